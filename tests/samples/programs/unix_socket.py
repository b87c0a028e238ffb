"""Listens on a Unix socket alone."""

import os
import sys
import tempfile

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_unix_socket

path = os.path.join(tempfile.mkdtemp(), "web.sock")
sys.stderr.write(path + "\n")
HTTPServer(common.make_app()).add_socket(bind_unix_socket(path))
IOLoop.instance().start()
