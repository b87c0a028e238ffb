"""A program that wants to hear SIGTERM, to say goodbye."""

import signal
import sys

import common
from tornado.ioloop import IOLoop


def goodbye(number, frame):
    sys.stderr.write("goodbye\n")
    IOLoop.instance().add_callback_from_signal(IOLoop.instance().stop)


signal.signal(signal.SIGTERM, goodbye)
common.make_app().listen(common.port())
IOLoop.instance().start()
