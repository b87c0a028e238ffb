"""A program that asks its server which addresses it has got, as many do that print them."""

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

server = HTTPServer(common.make_app())
server.listen(common.port())
[(address, port)] = [listener.getsockname() for listener in server._sockets.values()]
print("Open http://%s:%d/" % (address, port))
IOLoop.instance().start()
