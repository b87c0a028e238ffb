"""HTTPServer.bind and start(1)."""

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

server = HTTPServer(common.make_app())
server.bind(common.port())
server.start(1)
IOLoop.instance().start()
