"""The smallest program of one's own: what the README's ten lines deploy."""

import tornado.ioloop
import tornado.web
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)


class Main(tornado.web.RequestHandler):
    def get(self):
        self.write("Chat with us\n")


class Health(tornado.web.RequestHandler):
    def get(self):
        self.write("ok\n")


if __name__ == "__main__":
    parse_command_line()
    tornado.web.Application([(r"/", Main), (r"/healthz", Health)]).listen(options.port)
    tornado.ioloop.IOLoop.current().start()
