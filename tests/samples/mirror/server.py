"""A program that shows how a request has reached it, at every path.

?size=N answers N bytes of text instead, ?wait=N that many seconds later; ?say=NAME:VALUE
adds a header to the answer, ?status=N makes it one of that status, ?head=N adds that many bytes of a
cookie, ?nonsense=TEXT answers with that alone, which is no HTTP. ?hold=NAME answers one piece, and
another when ?release=NAME is asked for. ?save=NAME stores the body among the uploads,
?link=NAME&to=PATH makes a link there. The page /asset names a static file of this release.
"""

import os

import tornado.gen
import tornado.httpserver
import tornado.ioloop
import tornado.locks
import tornado.web
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)

UPLOADS = "/var/lib/tornado-mirror/media"
HELD = {}  # name of an answer in pieces to what it waits for


class Mirror(tornado.web.RequestHandler):
    async def prepare(self):
        await tornado.gen.sleep(float(self.get_query_argument("wait", "0")))
        for one in self.get_query_arguments("say"):
            self.set_header(*one.split(":", 1))
        self.set_status(int(self.get_query_argument("status", "200")))
        if name := self.get_query_argument("save", ""):
            os.makedirs(os.path.dirname(os.path.join(UPLOADS, name)), exist_ok=True)
            with open(os.path.join(UPLOADS, name), "wb") as file:
                file.write(self.request.body)
        if name := self.get_query_argument("link", ""):
            os.symlink(self.get_query_argument("to"), os.path.join(UPLOADS, name))
        if head := int(self.get_query_argument("head", "0")):
            self.set_header("Set-Cookie", "large=" + "x" * head)
        if text := self.get_query_argument("nonsense", ""):
            stream = self.detach()
            await stream.write(text.encode())
            stream.close()
            return
        if name := self.get_query_argument("hold", ""):
            await self.answer_in_pieces(name)
            return
        if name := self.get_query_argument("release", ""):
            HELD.pop(name).set()
        size = int(self.get_query_argument("size", "0"))
        if size:
            self.finish(("0123456789abcdef" * (size // 16 + 1))[:size])
            return
        request = self.request
        self.finish(
            {
                "path": request.path,
                "headers": dict(request.headers),
                "address": request.remote_ip,
                "protocol": request.protocol,
                "host": request.host,
                "port": options.port,
                "body": len(request.body),
            }
        )

    async def answer_in_pieces(self, name):
        """The second piece waits for another request."""
        released = HELD[name] = tornado.locks.Event()
        self.write("first\n")
        await self.flush()
        await released.wait()
        self.finish("second\n")


class Asset(tornado.web.RequestHandler):
    def get(self):
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static/assets")
        self.finish(sorted(os.listdir(folder))[0])


if __name__ == "__main__":
    parse_command_line()
    pages = tornado.web.Application([("/asset", Asset), (".*", Mirror)])
    tornado.httpserver.HTTPServer(pages, xheaders=True).listen(options.port)
    tornado.ioloop.IOLoop.current().start()
