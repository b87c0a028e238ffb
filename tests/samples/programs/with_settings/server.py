"""A script with its settings in a file beside it, and in another one that it is told."""

import os

import tornado.ioloop
import tornado.web
from tornado.options import define, options, parse_command_line, parse_config_file

define("port", default=8000, type=int)
define("greeting", default="Nobody set this")
define("config", type=str, callback=lambda path: parse_config_file(path, final=False))


class Index(tornado.web.RequestHandler):
    def get(self):
        self.write(options.greeting + ", friendly user!")


if __name__ == "__main__":
    parse_config_file(os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.conf"), final=False)
    parse_command_line()
    tornado.web.Application([(r"/", Index)]).listen(options.port)
    tornado.ioloop.IOLoop.instance().start()
