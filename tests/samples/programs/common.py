"""What the programs share: a page, and the port that they are told."""

import tornado.web
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)


class Index(tornado.web.RequestHandler):
    def get(self):
        self.write("Hello, friendly user!")


def make_app(*more, **settings):
    parse_command_line()
    return tornado.web.Application([(r"/", Index), *more], **settings)


def port():
    return options.port
