"""What bench/load.py talks to: a program with all the kinds of answers that a deploy could cut.

It knows nothing of how it is deployed, and keeps to what every Tornado from 3.1 on has.
"""

import datetime
import os
import time

import tornado.concurrent
import tornado.gen
import tornado.ioloop
import tornado.iostream
import tornado.web
import tornado.websocket
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)

# Read once: a process tells of the release that it was started from, as its code does.
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "version.txt")) as version_file:
    RELEASE = version_file.read().strip()

BLOCK = 65536
FILLER = bytes(bytearray(range(251))) * (BLOCK // 251 + 1)
EATEN = []


def block(number):
    """The 64 KiB of /big with that number: the number in 16 bytes, then 0, 1, ... 250, 0, ..."""
    head = ("%015x\n" % number).encode("ascii")
    return head + FILLER[: BLOCK - len(head)]


def identity():
    """Who answers."""
    return {"release": RELEASE, "port": options.port, "pid": os.getpid()}


def wait(seconds):
    """A Future that is done that much later."""
    future = tornado.concurrent.Future()
    tornado.ioloop.IOLoop.instance().add_timeout(
        datetime.timedelta(seconds=seconds), lambda: future.set_result(None)
    )
    return future


def flushed(handler):
    """What to yield to go on when the client has taken what was written."""
    if tornado.version_info < (4,):
        return tornado.gen.Task(handler.flush)
    return handler.flush()


class Answering(tornado.web.RequestHandler):
    """All answers in JSON say who gave them."""

    def answer(self, **more):
        self.write(dict(identity(), **more))

    def echo(self):
        self.answer(echo=self.request.body.decode("utf-8"))


class Main(Answering):
    """GET: who answers. POST: and the body."""

    def get(self):
        self.answer()

    def post(self):
        self.echo()


class Client(Answering):
    """GET: and who asks for what, as the program sees it."""

    def get(self):
        request = self.request
        told = request.headers.get_list("X-Forwarded-For")
        self.answer(address=request.remote_ip, told=told, scheme=request.protocol, host=request.host)


class Kept(Answering):
    """GET: who answers, and how often it has; whoever is in between may keep it for a second."""

    asked = 0

    def get(self):
        Kept.asked += 1
        self.set_header("Cache-Control", "max-age=1")
        self.answer(asked=Kept.asked)


class Slow(Answering):
    """POST /slow?seconds=3: the echo, that much later."""

    @tornado.gen.coroutine
    def post(self):
        yield wait(float(self.get_argument("seconds", "3")))
        self.echo()


class Poll(Answering):
    """GET /poll?seconds=8: who answers, that much later."""

    @tornado.gen.coroutine
    def get(self):
        yield wait(float(self.get_argument("seconds", "8")))
        self.answer()


class Big(Answering):
    """GET /big?bytes=N: that many bytes, never more of them in memory than one block."""

    @tornado.gen.coroutine
    def get(self):
        size = int(self.get_argument("bytes", "16777216"))
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(size))
        self.set_header("X-Release", RELEASE)
        try:
            for number in range((size + BLOCK - 1) // BLOCK):
                self.write(block(number)[: size - number * BLOCK])
                yield flushed(self)
        except tornado.iostream.StreamClosedError:
            pass  # The reader has gone; there is nobody to tell.


class Socket(tornado.websocket.WebSocketHandler):
    """WebSocket: who answers, then every message comes back."""

    def check_origin(self, origin):
        return True

    def open(self):
        self.write_message(identity())

    def on_message(self, message):
        self.write_message(message)


class Block(tornado.web.RequestHandler):
    """POST: the program answers nobody any more."""

    def post(self):
        while True:
            time.sleep(1)


class Burn(Answering):
    """POST /burn?seconds=10: all of a core for so long, with others answered in between."""

    @tornado.gen.coroutine
    def post(self):
        end = time.time() + float(self.get_argument("seconds", "10"))
        while time.time() < end:
            piece = time.time() + 0.001
            while time.time() < piece:
                pass
            yield wait(0)
        self.answer()


class Eat(Answering):
    """POST /eat?mb=N: takes that much memory and keeps it."""

    def post(self):
        # Written to, so that it is really taken.
        EATEN.append(b"x" * (int(self.get_argument("mb", "1")) * 1024 * 1024))
        self.answer(mb=sum(len(one) for one in EATEN) // 1024 // 1024)


class Health(tornado.web.RequestHandler):
    """GET: ok."""

    def get(self):
        self.write("ok")


if __name__ == "__main__":
    parse_command_line()
    tornado.web.Application(
        [
            (r"/", Main),
            (r"/client", Client),
            (r"/kept", Kept),
            (r"/slow", Slow),
            (r"/poll", Poll),
            (r"/big", Big),
            (r"/ws", Socket),
            (r"/block", Block),
            (r"/burn", Burn),
            (r"/eat", Eat),
            (r"/healthz", Health),
        ]
    ).listen(options.port, xheaders=True)
    tornado.ioloop.IOLoop.instance().start()
