"""A program that opens a port of its own beside the one it is told."""

import common
from tornado.ioloop import IOLoop
from tornado.options import define, options

define("admin_port", default=0, type=int)

app = common.make_app()
app.listen(common.port())
app.listen(options.admin_port, address="127.0.0.1")
IOLoop.instance().start()
