"""A program left in debug mode, which restarts itself when a file changes."""

import common
from tornado.ioloop import IOLoop

common.make_app(debug=True).listen(common.port())
IOLoop.instance().start()
