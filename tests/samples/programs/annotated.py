"""A program that reads its own annotations, as many frameworks do."""

import tornado.ioloop
from common import make_app, port


def number(text: int) -> int:
    return text


if __name__ == "__main__":
    assert number.__annotations__["text"] is int
    make_app().listen(port())
    tornado.ioloop.IOLoop.instance().start()
