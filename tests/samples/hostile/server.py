"""A small program with a deliberate hole, for as long as hole.py lies beside it.

The fixed release is the same without that file.
"""

import os

import tornado.ioloop
import tornado.web
from tornado.options import define, options, parse_command_line

try:
    from hole import HANDLERS
except ImportError:
    HANDLERS = []

define("port", default=8000, type=int)

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version.txt")) as version_file:
    VERSION = version_file.read().strip()


class Main(tornado.web.RequestHandler):
    """GET: which release answers."""

    def get(self):
        self.write({"version": VERSION, "port": options.port, "pid": os.getpid()})


class Big(tornado.web.RequestHandler):
    """GET: an answer that does not fit into one packet, nor into a socket's buffer."""

    def get(self):
        self.write(b"x" * (4 * 2**20))


class Health(tornado.web.RequestHandler):
    """GET: ok."""

    def get(self):
        self.write("ok")


if __name__ == "__main__":
    parse_command_line()
    handlers = [("/", Main), ("/big", Big), ("/healthz", Health), *HANDLERS]
    tornado.web.Application(handlers).listen(options.port, xheaders=True)
    tornado.ioloop.IOLoop.current().start()
