"""The tutorial's program: greets whoever asks, on the port it is told.

    python hello.py --port=8000

It runs unchanged on every Tornado from 3.1 to the newest, and knows nothing
of how it is deployed.
"""

import tornado.httpserver
import tornado.ioloop
import tornado.options
import tornado.web
from tornado.options import define, options

define("port", default=8000, help="run on the given port", type=int)


class IndexHandler(tornado.web.RequestHandler):
    """``GET /?greeting=TEXT``: TEXT (default ``Hello``), and who is greeted."""

    def get(self):
        greeting = self.get_argument("greeting", "Hello")
        # The greeting is whatever the visitor sent: as HTML it could be a script.
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.write(greeting + ", friendly user!")


class HealthHandler(tornado.web.RequestHandler):
    """``GET /healthz``: 200 as long as the process answers at all."""

    def get(self):
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.write("ok\n")


def make_app():
    """The program's URLs, as a ``tornado.web.Application``."""
    return tornado.web.Application(
        handlers=[
            (r"/", IndexHandler),
            (r"/healthz", HealthHandler),
        ]
    )


if __name__ == "__main__":
    tornado.options.parse_command_line()
    http_server = tornado.httpserver.HTTPServer(make_app(), xheaders=True)
    http_server.listen(options.port)
    tornado.ioloop.IOLoop.instance().start()
