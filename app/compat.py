"""What Tornado 3.1 to 6.6 do differently: the one place of this program that knows.

All else here keeps to what every one of them has.
"""

import signal

from tornado import gen, websocket
from tornado.concurrent import Future
from tornado.ioloop import IOLoop
from tornado.web import HTTPError
from tornado.web import RequestHandler as TornadosRequestHandler
from tornado.websocket import WebSocketHandler as TornadosWebSocketHandler

try:
    from urllib.parse import urlsplit
except ImportError:  # Python 2
    from urlparse import urlsplit


# 3.1 raises nothing of its own.
LEFT = getattr(websocket, "WebSocketClosedError", ())


def resolve(future, value=None):
    """Give a Future its value, unless it has one: not every version minds a second one."""
    if not future.done():
        future.set_result(value)


def unheard(future):
    """Nobody waits for this Future (or None): a client that has left needs no line in the log.

    A crowd that leaves at once would cost a traceback each, and the loop's time.
    """
    if future is not None:
        future.add_done_callback(lambda done: done.exception())


def later(seconds, call):
    """Call it after some seconds (number); returns what IOLoop.remove_timeout takes."""
    loop = IOLoop.current()
    return loop.add_timeout(loop.time() + seconds, call)


@gen.coroutine
def in_thread(pool, call):
    """Run ``call()`` in a pool of threads (concurrent.futures); a Future of what it returns or raises.

    gen.sleep, run_in_executor and their like came with 4.x and 5.x.
    """
    loop, done = IOLoop.current(), Future()
    running = pool.submit(call)
    running.add_done_callback(lambda _running: loop.add_callback(resolve, done))
    yield done
    raise gen.Return(running.result())


def on_sigterm(call):
    """Call it in the loop when the process gets SIGTERM.

    signal.signal with add_callback, as it is often seen, never wakes an idle loop of 6.x.
    """
    loop = IOLoop.current()
    if hasattr(loop, "asyncio_loop"):
        loop.asyncio_loop.add_signal_handler(signal.SIGTERM, call)
    else:
        signal.signal(signal.SIGTERM, lambda _number, _frame: loop.add_callback_from_signal(call))


def new_loop():
    """The main thread's loop. Newer Pythons make none by themselves, and 6.x asks for one."""
    try:
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
    except ImportError:
        pass  # Python 2
    return IOLoop.instance()


def same_origin(request):
    """Whether a request comes from a page of this very site, or from no page at all."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


class RequestHandler(TornadosRequestHandler):
    """Answers 400 to what is not UTF-8; 3.1 answers 500."""

    def decode_argument(self, value, name=None):
        try:
            return super(RequestHandler, self).decode_argument(value, name)
        except UnicodeDecodeError:
            raise HTTPError(400)


class WebSocketHandler(TornadosWebSocketHandler):
    """A WebSocket that pages of other sites can't open, and that calls on_gone once."""

    gone = False

    def check_origin(self, _origin):
        return same_origin(self.request)

    if not hasattr(TornadosWebSocketHandler, "check_origin"):  # 3.x opens it for everybody

        def _execute(self, *args, **kwargs):
            if same_origin(self.request):
                return super(WebSocketHandler, self)._execute(*args, **kwargs)
            self.stream.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.stream.close()

    def on_gone(self):
        """To override: the client has left, or was closed."""

    def on_close(self):
        if not self.gone:
            self.gone = True
            self.on_gone()

    def on_connection_close(self):
        super(WebSocketHandler, self).on_connection_close()
        self.on_close()  # 3.x and 4.0 do not call it after a close of our own

    def tell(self, message, binary=False):
        """Send a message, as write_message does; to a client that has left, nothing."""
        try:
            if self.ws_connection is not None:
                unheard(self.write_message(message, binary))
        except LEFT:
            pass

    def end(self, code, reason):
        """Close it with a code of RFC 6455 (integer) and a reason; 3.x sends neither."""
        if self.ws_connection is None:
            return
        try:
            self.close(code, reason)
        except TypeError:
            self.close()


def stream_of(handler):
    """The stream that a handler answers on, or None when there is none any more."""
    connection = getattr(handler, "ws_connection", None)
    for one in (connection, handler, handler.request.connection):
        if getattr(one, "stream", None) is not None:
            return one.stream
    return None
