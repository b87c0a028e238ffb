"""Listens by other means until Tornado does, to say that it is starting; --default is its port untold."""

import http.server

import common
from tornado.ioloop import IOLoop
from tornado.options import define, options

define("default", type=int)
app = common.make_app()
number = options.default or common.port()
placeholder = http.server.HTTPServer(("127.0.0.1", number), http.server.BaseHTTPRequestHandler)
placeholder.server_close()
app.listen(number)
IOLoop.instance().start()
