"""A shop's prices, news and chat: what every Tornado from 3.1 on has."""

import time

import tornado.concurrent
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

# A refused connection was an HTTPError once and is an OSError now.
FAILED = (tornado.httpclient.HTTPError, OSError)
# Whose pages may chat, besides our own.
FRIENDS = ["https://shop.example.org"]

loop = tornado.ioloop.IOLoop.instance()
waiting = []
chatting = []


class Terms(tornado.web.RequestHandler):
    def get(self):
        visits = int(self.get_secure_cookie("visits") or 0) + 1
        self.set_secure_cookie("visits", str(visits))
        self.write("Visit %d. " % visits + "All prices include tax. " * 100)


class Price(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self, name):
        client = tornado.httpclient.AsyncHTTPClient()
        try:
            answer = yield client.fetch(options.stock + name)
        except FAILED:
            self.send_error(502)
            return
        self.finish(answer.body)


class Basket(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self):
        names = self.get_arguments("of")
        client = tornado.httpclient.AsyncHTTPClient()
        try:
            answers = yield [client.fetch(options.stock + name) for name in names]
        except FAILED:
            self.send_error(502)
            return
        self.finish({"total": sum(float(answer.body) for answer in answers)})


def settle(future, value):
    if not future.done():
        future.set_result(value)


class News(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self):
        self.news = tornado.concurrent.Future()
        timeout = loop.add_timeout(time.time() + options.patience, lambda: settle(self.news, None))
        waiting.append(self.news)
        text = yield self.news
        waiting.remove(self.news)
        loop.remove_timeout(timeout)
        if text is None:
            self.set_status(204)
            self.finish()
        else:
            self.finish(text)

    def post(self):
        for one in list(waiting):
            settle(one, self.request.body)

    def on_connection_close(self):
        settle(self.news, None)


class Chat(tornado.websocket.WebSocketHandler):
    def check_origin(self, origin):
        return origin in FRIENDS or super().check_origin(origin)

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
    server = tornado.httpserver.HTTPServer(app, xheaders=True)
    server.listen(options.port)
    tornado.ioloop.PeriodicCallback(ping, options.ping * 1000).start()
    loop.start()
