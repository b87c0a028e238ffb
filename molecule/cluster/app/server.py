"""A program that notes what it was asked to do, so that what was done twice is seen."""

import os
import socket

import tornado.ioloop
import tornado.web
import tornado.websocket
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)
DONE = os.path.join(os.environ["STATE_DIRECTORY"], "done")


class Ask(tornado.web.RequestHandler):
    """Who answers, and what nginx says of the client."""

    def get(self):
        self.write(
            {
                "host": socket.gethostname(),
                "port": options.port,
                "address": self.request.remote_ip,
                "asked": self.request.host,
                "scheme": self.request.protocol,
                "uri": self.request.uri,
                "headers": sorted(self.request.headers),
            }
        )


class Do(tornado.web.RequestHandler):
    """Note an id, in a line of a file that outlives the process."""

    def post(self):
        with open(f"{DONE}-{options.port}", "a") as file:
            file.write(self.request.body.decode() + "\n")
        self.write({"host": socket.gethostname(), "size": len(self.request.body)})


class Echo(tornado.websocket.WebSocketHandler):
    """Say it back."""

    def on_message(self, message):
        self.write_message(message)


class Pieces(tornado.web.RequestHandler):
    """An answer in two pieces, a second apart."""

    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        self.write("data: 1\n\n")
        await self.flush()
        await tornado.gen.sleep(1)
        self.write("data: 2\n\n")


class Gone(tornado.web.RequestHandler):
    """Answer 502, as a program does that could not reach another."""

    def get(self):
        self.send_error(502)


if __name__ == "__main__":
    parse_command_line()
    handlers = [("/do", Do), ("/echo", Echo), ("/pieces", Pieces), ("/gone", Gone), ("/.*", Ask)]
    tornado.web.Application(handlers).listen(options.port, "127.0.0.1", xheaders=True)
    tornado.ioloop.IOLoop.current().start()
