"""A page, beside which a queue's worker and a nightly job run."""

import tornado.ioloop
import tornado.web
from tornado.options import define, options


class Page(tornado.web.RequestHandler):
    """Well."""

    def get(self):
        """Say so."""
        self.write("well")


if __name__ == "__main__":
    define("port", type=int)
    options.parse_command_line()
    tornado.web.Application([("/", Page)]).listen(options.port)
    tornado.ioloop.IOLoop.current().start()
