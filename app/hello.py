"""The tutorial's program, and what Tornado is for: it greets, and it pushes messages.

    python hello.py --port=8000

It runs unchanged on every Tornado from 3.1 to the newest, and knows nothing
of how it is deployed. On several ports it needs a Redis between them: --redis.
"""

import os

import compat
import lessons
import push
import room
import tornado.httpserver
import tornado.locale
import tornado.options
import tornado.web
from tornado.options import define, options

define("port", default=8000, help="run on the given port", type=int)
define("redis", default="", help="redis://USER@HOST:PORT, or redis+sentinel://USER@HOST:PORT,.../NAME")
define("redis_prefix", default="hello:", help="what the names of its keys begin with")
define("silence", default=300, help="seconds after which a silent WebSocket is dropped", type=int)
define("lessons", default=False, help="offer /block and /wait to everybody", type=bool)

HERE = os.path.dirname(os.path.abspath(__file__))
DRAIN_TIMEOUT = 10  # seconds that clients have when the process must end


class IndexHandler(compat.RequestHandler):
    """``GET /?greeting=TEXT``: TEXT (default ``Hello``), and who is greeted."""

    def get(self):
        greeting = self.get_argument("greeting", "Hello")
        # The greeting is what the visitor sent: as HTML it could be a script.
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.write(greeting + ", friendly user!")


class HealthHandler(compat.RequestHandler):
    """``GET /healthz``: 200 as long as the process answers at all."""

    def get(self):
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.write("ok\n")


class ReadyHandler(compat.RequestHandler):
    """``GET /readyz``: 200 while the process can take visitors; not before, and not once it drains."""

    def get(self):
        the_room = self.settings["room"]
        if the_room.draining or not the_room.ready:
            self.set_status(503)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.write("draining\n" if the_room.draining else "ready\n" if the_room.ready else "starting\n")


class Server(tornado.httpserver.HTTPServer):
    """Tells the room when it stops accepting, whoever stops it."""

    room = None

    def stop(self):
        self.room.drain()
        tornado.httpserver.HTTPServer.stop(self)


def make_app(the_room):
    """The program's URLs, as a ``tornado.web.Application``."""
    handlers = [
        (r"/", IndexHandler),
        (r"/healthz", HealthHandler),
        (r"/readyz", ReadyHandler),
        (r"/live", push.PageHandler),
        (r"/messages", push.MessagesHandler),
        (r"/events", push.EventsHandler),
        (r"/ws", push.SocketHandler),
    ]
    if options.lessons:
        handlers += [
            (r"/block", lessons.BlockHandler),
            (r"/wait", lessons.WaitHandler),
            (r"/where", lessons.WhereHandler),
        ]
    return tornado.web.Application(
        handlers=handlers,
        room=the_room,
        port=options.port,
        lessons=options.lessons,
        static_path=os.path.join(HERE, "static"),
        template_path=os.path.join(HERE, "templates"),
    )


def make_room():
    """One of this process alone, or the one that all share through Redis."""
    if not options.redis:
        return room.Room()
    import redis_room

    password = None
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and os.path.exists(os.path.join(folder, "redis_password")):
        with open(os.path.join(folder, "redis_password")) as file:
            password = file.read()
    return redis_room.RedisRoom(options.redis, password, options.redis_prefix, options.port)


def main():
    tornado.options.parse_command_line()
    tornado.locale.load_translations(os.path.join(HERE, "translations"))
    loop = compat.new_loop()
    the_room = make_room()
    server = Server(make_app(the_room), xheaders=True)
    server.room = the_room
    server.listen(options.port)
    push.watch(options.silence)

    def end():
        """What Tornadoes' runner has not done yet."""
        server.stop()
        close_all(loop.time() + DRAIN_TIMEOUT)

    def close_all(until):
        left = push.close_sockets() + len(the_room.listeners)
        if left and loop.time() < until:
            compat.later(0.2, lambda: close_all(until))
        else:
            # For answers in flight.
            compat.later(0.5, loop.stop)

    compat.on_sigterm(end)
    loop.start()


if __name__ == "__main__":
    main()
