"""A shop's prices, news and chat, as one writes today: async, await and asyncio.run."""

import asyncio

import tornado.httpclient
import tornado.web
import tornado.websocket
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)
define("stock", default="http://127.0.0.1:8100/", help="the service that knows the prices")
define("patience", default=30.0, help="seconds that somebody waits for news")
define("ping", default=30.0, help="seconds between two pings")

FAILED = (tornado.httpclient.HTTPError, OSError)
# Whose pages may chat, besides our own.
FRIENDS = ["https://shop.example.org"]

waiting = []
chatting = []


class Terms(tornado.web.RequestHandler):
    def get(self):
        visits = int(self.get_signed_cookie("visits") or 0) + 1
        self.set_signed_cookie("visits", str(visits))
        self.write("Visit %d. " % visits + "All prices include tax. " * 100)


class Price(tornado.web.RequestHandler):
    async def get(self, name):
        client = tornado.httpclient.AsyncHTTPClient()
        try:
            answer = await client.fetch(options.stock + name)
        except FAILED:
            self.send_error(502)
            return
        self.finish(answer.body)


class Basket(tornado.web.RequestHandler):
    async def get(self):
        names = self.get_arguments("of")
        client = tornado.httpclient.AsyncHTTPClient()
        try:
            answers = await asyncio.gather(*[client.fetch(options.stock + name) for name in names])
        except FAILED:
            self.send_error(502)
            return
        self.finish({"total": sum(float(answer.body) for answer in answers)})


def settle(future, value):
    if not future.done():
        future.set_result(value)


class News(tornado.web.RequestHandler):
    async def get(self):
        self.news = asyncio.Future()
        waiting.append(self.news)
        try:
            text = await asyncio.wait_for(self.news, options.patience)
        except asyncio.TimeoutError:
            text = None
        waiting.remove(self.news)
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


async def main():
    parse_command_line()
    app = tornado.web.Application(
        [(r"/", Terms), (r"/price/(\w+)", Price), (r"/basket", Basket), (r"/news", News), (r"/chat", Chat)],
        cookie_secret="a sample needs no secret",
        compress_response=True,
        websocket_ping_interval=options.ping,
    )
    app.listen(options.port, xheaders=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
