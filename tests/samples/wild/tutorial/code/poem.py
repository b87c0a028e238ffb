import tornado.httpserver
import tornado.ioloop
import tornado.options
import tornado.web
from tornado.options import define, options

define("port", default=8000, help="run on the given port", type=int)


class IndexHandler(tornado.web.RequestHandler):
    def get(self):
        self.render("index.html")


class PoemPageHandler(tornado.web.RequestHandler):
    def post(self):
        words = [self.get_argument(name) for name in ("noun1", "noun2")]
        self.render("poem.html", roads=words[0], wood=words[1])


if __name__ == "__main__":
    tornado.options.parse_command_line()
    app = tornado.web.Application(
        handlers=[(r"/", IndexHandler), (r"/poem", PoemPageHandler)],
        template_path="templates",
    )
    http_server = tornado.httpserver.HTTPServer(app)
    http_server.bind(options.port)
    http_server.start(0)
    tornado.ioloop.IOLoop.instance().start()
