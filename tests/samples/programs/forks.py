"""A program that starts two processes of itself."""

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

server = HTTPServer(common.make_app())
server.bind(common.port())
server.start(2)
IOLoop.instance().start()
