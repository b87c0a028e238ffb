"""A program that shows how a request has reached it, at every path.

?size=N answers N bytes of text instead; ?say=NAME:VALUE adds a header to the answer.
"""

import tornado.httpserver
import tornado.ioloop
import tornado.web
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)


class Mirror(tornado.web.RequestHandler):
    def prepare(self):
        for one in self.get_query_arguments("say"):
            self.set_header(*one.split(":", 1))
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
                "body": len(request.body),
            }
        )


if __name__ == "__main__":
    parse_command_line()
    pages = tornado.web.Application([("/healthz", Mirror), (".*", Mirror)])
    tornado.httpserver.HTTPServer(pages, xheaders=True).listen(options.port)
    tornado.ioloop.IOLoop.current().start()
