"""A program that tells what reached it; the tests deploy it as somebody else's app.

It knows nothing of how it is deployed: plain ``listen(port)``, all addresses.
"""

import json
import os

import tornado.ioloop
import tornado.web
import tornado.websocket
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)
define("colour", default="none")


class Request(tornado.web.RequestHandler):
    """All methods, any path below /request: the request as the program sees it, in JSON."""

    def answer(self):
        request = self.request
        self.set_header("Content-Type", "application/json")
        self.write(
            json.dumps(
                {
                    "method": request.method,
                    "uri": request.uri,
                    "host": request.host,
                    "protocol": request.protocol,
                    "remote_ip": request.remote_ip,
                    "headers": sorted(request.headers.get_all()),
                    # The oldest Tornado has text where there is no body.
                    "body": (request.body or b"").decode("latin-1"),
                    "port": options.port,
                }
            )
        )

    get = post = put = answer


class Setting(tornado.web.RequestHandler):
    """GET: what the deployment told the program."""

    def get(self):
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        secrets = {}
        for name in os.listdir(folder) if folder else []:
            with open(os.path.join(folder, name)) as file:
                secrets[name] = len(file.read())
        self.write(
            {
                "colour": options.colour,
                "mood": os.environ.get("MOOD"),
                "secret_lengths": secrets,
                "tornado": tornado.version,
                "uid": os.getuid(),
            }
        )


class Write(tornado.web.RequestHandler):
    """POST path: try to write there, and say how it went."""

    def post(self):
        try:
            with open(self.get_argument("path"), "a") as file:
                file.write("x")
            self.write("written")
        except (IOError, OSError) as problem:
            self.write("refused: %s" % problem)


class Echo(tornado.websocket.WebSocketHandler):
    """WebSocket: every message comes back. Origins are checked as Tornado does by default."""

    def on_message(self, message):
        self.write_message(message)


class Health(tornado.web.RequestHandler):
    """GET: well, unless the release says otherwise."""

    def get(self):
        self.write("well")


if __name__ == "__main__":
    parse_command_line()
    tornado.web.Application(
        [
            (r"/request.*", Request),
            (r"/setting", Setting),
            (r"/write", Write),
            (r"/ws", Echo),
            (r"/well", Health),
        ]
    ).listen(options.port, xheaders=True)
    tornado.ioloop.IOLoop.instance().start()
