"""Notes in Markdown as pages."""

import argparse
import asyncio

import jinja2
import tornado.web
from markdown_it import MarkdownIt

NOTES = {"today": "# Today\n\nMilk, and **bread** from www.example.org"}
PAGE = jinja2.Template("<!DOCTYPE html><title>{{ name }}</title>{{ text }}")
markdown = MarkdownIt("commonmark", {"linkify": True}).enable("linkify")


class Note(tornado.web.RequestHandler):
    def get(self, name):
        if name not in NOTES:
            raise tornado.web.HTTPError(404)
        self.write(PAGE.render(name=name, text=markdown.render(NOTES[name])))


async def serve(port):
    tornado.web.Application([(r"/([a-z]+)", Note)]).listen(port)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    asyncio.run(serve(parser.parse_args().port))
