"""Started with -m; its imports are relative."""

from tornado.ioloop import IOLoop

from . import pages

pages.common.make_app().listen(pages.common.port())
IOLoop.instance().start()
