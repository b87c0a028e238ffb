"""A shop's prices, news and chat, as people wrote for Tornado 3.1."""

import time

import tornado.gen
import tornado.httpclient
import tornado.httpserver
import tornado.ioloop
import tornado.web
import tornado.websocket
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)
define("stock", default="http://127.0.0.1:8100/", help="the service that knows the prices")
define("patience", default=30.0, help="seconds that somebody waits for news")
define("ping", default=30.0, help="seconds between two pings")

loop = tornado.ioloop.IOLoop.instance()
waiting = []
chatting = []


class Terms(tornado.web.RequestHandler):
    def get(self):
        visits = int(self.get_secure_cookie("visits") or 0) + 1
        self.set_secure_cookie("visits", str(visits))
        self.write("Visit %d. " % visits + "All prices include tax. " * 100)


class Price(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self, name):
        client = tornado.httpclient.AsyncHTTPClient(io_loop=loop)
        client.fetch(options.stock + name, callback=self.on_price)

    def on_price(self, answer):
        if answer.error:
            raise tornado.web.HTTPError(502)
        self.finish(answer.body)


class Basket(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    @tornado.gen.engine
    def get(self):
        names = self.get_arguments("of")
        client = tornado.httpclient.AsyncHTTPClient(io_loop=loop)
        answers = yield [tornado.gen.Task(client.fetch, options.stock + name) for name in names]
        if any(answer.error for answer in answers):
            raise tornado.web.HTTPError(502)
        self.finish({"total": sum(float(answer.body) for answer in answers)})


class News(tornado.web.RequestHandler):
    @tornado.web.asynchronous
    def get(self):
        self.timeout = loop.add_timeout(time.time() + options.patience, self.on_silence)
        waiting.append(self)

    def post(self):
        for one in list(waiting):
            one.on_news(self.request.body)

    def on_news(self, text):
        self.leave()
        self.finish(text)

    def on_silence(self):
        self.leave()
        self.set_status(204)
        self.finish()

    def on_connection_close(self):
        self.leave()

    def leave(self):
        loop.remove_timeout(self.timeout)
        waiting.remove(self)


class Chat(tornado.websocket.WebSocketHandler):
    def open(self):
        chatting.append(self)

    def on_message(self, message):
        for one in chatting:
            one.write_message(message)

    def on_close(self):
        chatting.remove(self)


def ping():
    for one in chatting:
        one.ping(b"")


if __name__ == "__main__":
    parse_command_line()
    app = tornado.web.Application(
        [(r"/", Terms), (r"/price/(\w+)", Price), (r"/basket", Basket), (r"/news", News), (r"/chat", Chat)],
        cookie_secret="a sample needs no secret",
        gzip=True,
    )
    server = tornado.httpserver.HTTPServer(app, io_loop=loop, xheaders=True)
    server.listen(options.port)
    tornado.ioloop.PeriodicCallback(ping, options.ping * 1000, io_loop=loop).start()
    loop.start()
