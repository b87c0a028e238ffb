"""TLS of its own; its handlers hear that they are asked by https."""

import ssl

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler


class Protocol(RequestHandler):
    def get(self):
        self.write(self.request.protocol)


app = common.make_app(("/protocol", Protocol))
server = HTTPServer(app, ssl_options=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
server.listen(common.port())
IOLoop.instance().start()
