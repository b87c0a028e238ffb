"""bind_sockets, imported by name, and add_sockets."""

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

server = HTTPServer(common.make_app())
server.add_sockets(bind_sockets(common.port()))
IOLoop.instance().start()
