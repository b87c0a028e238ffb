"""Forks with its sockets open, and asks which of the processes it is."""

import common
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.process import fork_processes, task_id

app = common.make_app()
sockets = bind_sockets(common.port())
number = fork_processes(0)
assert number == task_id()
server = HTTPServer(app)
server.add_sockets(sockets)
IOLoop.instance().start()
