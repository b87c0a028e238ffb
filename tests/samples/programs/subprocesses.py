"""A program that starts a process of its own, which never ends by itself."""

import subprocess

import common
import tornado.web
from tornado.ioloop import IOLoop

helper = subprocess.Popen(["sleep", "3600"])


class Helper(tornado.web.RequestHandler):
    def get(self):
        self.write(str(helper.pid))


common.make_app((r"/helper", Helper)).listen(common.port())
IOLoop.instance().start()
