"""The connections of an unmodified Tornado program: which are idle, and how each one ends.

What differs from Tornado 3.1 to 6.6 stands here: 3.x has one HTTPConnection a stream,
4.0 and later a fresh HTTP1Connection for each request.
"""

from __future__ import annotations

import array
import math
import os
import random
import signal
import socket
import struct
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from tornado import web
from tornado.ioloop import IOLoop

try:
    from tornado.http1connection import HTTP1Connection as Connection
except ImportError:
    from tornado.httpserver import HTTPConnection as Connection  # 3.x

GOING_AWAY = 1001  # RFC 6455: the server is going down
CLOSED_PER_SECOND = 50.0  # WebSockets of a port, so that not all reconnect at once
LINGER_TIMEOUT = 2.0  # seconds that idle connections stay, for requests already on their way
UNAVAILABLE_TIME = 0.5  # seconds before the end when requests without an answer get a 503
LOOK_INTERVAL = 0.05  # seconds between two looks at the connections of a draining process
SHARE = 0.03  # of its time that a process may spend on looking: there may be thousands
COUNT_SHARE = 0.005  # of its time that counting them for the status may take
HANDLER_TIMEOUT = 4.0  # seconds for the program's own SIGTERM handler


class Connections(object):
    """All connections of this process.

    port: connections to it can be handed to the next process. Streams, handlers and servers
    are Tornado's own, of whatever version.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.untold: list[Any] = []  # WebSockets that have yet to be told 1001
        self.draining = False
        self.successor: socket.socket | None = None  # socket that idle connections are sent over
        self.end = self.begun = self.begun_at = 0.0
        self.quiet = 0  # looks in a row that found no connection
        self.counts: dict[str, int] = {}  # for the status
        self.count_at = 0.0  # moment from which on they are counted again

    def install(self) -> None:
        """Put our functions where Tornado's own stood."""
        connections = self
        real_connection = Connection.__init__
        real_handler = web.RequestHandler.__init__

        def new_connection(self: Any, stream: Any, *args: Any, **kwargs: Any) -> None:
            real_connection(self, stream, *args, **kwargs)
            if not getattr(self, "is_client", False):
                if not hasattr(stream, "tornado_app_connection"):
                    connections.streams.add(stream)
                stream.tornado_app_connection = self
                self.tornado_app_stream = stream
                if connections.draining:
                    # The last answer is out. Now, before the next request is read: a client
                    # that never pauses would keep this process for ever.
                    say_close(self)
                    connections.part_between_requests(stream)

        # For each request, so it is short: one reference, since a connection has one request
        # at a time.
        def new_handler(self: Any, application: Any, request: Any, **kwargs: Any) -> None:
            stream = getattr(request.connection, "tornado_app_stream", None)
            if stream is not None:
                stream.tornado_app_handler = weakref.ref(self)
            real_handler(self, application, request, **kwargs)

        Connection.__init__ = new_connection
        web.RequestHandler.__init__ = new_handler
        if hasattr(web.RequestHandler, "_generate_headers"):  # 3.x
            real_headers = web.RequestHandler._generate_headers
            real_finish = Connection._finish_request

            def generate_headers(self: Any) -> Any:
                late = self.request._start_time >= connections.begun_at
                if connections.draining and (late or connections.successor is None):
                    self.request.connection.no_keep_alive = True
                    self.set_header("Connection", "close")
                return real_headers(self)

            def finish_request(self: Any) -> None:
                stream, read = self.stream, self.stream.read_until

                def read_until(*args: Any) -> None:
                    if not connections.part_between_requests(stream):
                        read(*args)

                if connections.draining:
                    stream.read_until = read_until
                real_finish(self)
                stream.__dict__.pop("read_until", None)

            Connection._finish_request = finish_request
            web.RequestHandler._generate_headers = generate_headers

    # What there is.

    def open(self) -> list[Any]:
        """The streams that are not closed."""
        return [stream for stream in list(self.streams) if not stream.closed()]

    def load(self) -> dict[str, int]:
        """Counts for the status: requests being answered, open connections, WebSockets.

        With thousands of them as they were some seconds ago: each ping asks.
        """
        now, spent = time.monotonic(), time.process_time()
        if now >= self.count_at:
            requests = sockets = 0
            streams = self.open()
            for stream in streams:
                if is_websocket(handler_of(stream)):
                    sockets += 1
                elif not is_idle(stream):
                    requests += 1
            self.counts = {"requests": requests, "connections": len(streams), "websockets": sockets}
            self.count_at = now + (time.process_time() - spent) / COUNT_SHARE
        return self.counts

    # The end.

    def drain(self, seconds: float, successor: socket.socket | None, finished: Callable[[], None]) -> None:
        """Finish what is in flight within some seconds; then call ``finished``.

        successor: socket to hand idle connections over, or None if nobody follows.
        """
        self.draining = True
        self.successor = successor
        self.begun, self.begun_at = time.monotonic(), time.time()
        self.end = self.begun + seconds
        self.finished = finished
        # A loop that is blocked hears nothing: the end comes all the same.
        watch = threading.Timer(seconds + HANDLER_TIMEOUT, os._exit, [1])
        watch.daemon = True
        watch.start()
        if successor is None:
            for stream in self.open():
                say_close(stream.tornado_app_connection)
        # What has been accepted in this turn of the loop is known in the next one.
        self.look_later(LOOK_INTERVAL)

    def look_later(self, seconds: float) -> None:
        loop = IOLoop.current()
        loop.add_timeout(loop.time() + seconds, self.look)

    def look(self) -> None:
        """Part with the connections that are idle; come back until none is left."""
        now = time.monotonic()
        streams = self.open()
        for stream in streams:
            if is_idle(stream):
                self.part_with(stream, now)
        self.quiet = self.quiet + 1 if all(stream.closed() for stream in streams) else 0
        if self.quiet > 1 or now >= self.end:
            self.finish()
            return
        answering = handlers(streams)
        self.tell_websockets(answering)
        if now >= self.end - UNAVAILABLE_TIME:
            for handler in answering:
                apologise(handler)
        # The end of a time that is up comes in time.
        pause = max(LOOK_INTERVAL, (time.monotonic() - now) / SHARE)
        self.look_later(min(pause, max(LOOK_INTERVAL, self.end - UNAVAILABLE_TIME - now)))

    def tell_websockets(self, answering: list[Any]) -> None:
        """Ask those to go that have not been asked.

        A request that was on its way when the drain began may have become one since.
        """
        new = [one for one in answering if is_websocket(one) and not hasattr(one, "tornado_app_told")]
        for handler in new:
            handler.tornado_app_told = True
        random.shuffle(new)
        self.untold += new
        if new and len(self.untold) == len(new):
            self.tell_next()

    def tell_next(self) -> None:
        """Ask one to go, and the next a moment after: not all at once, and none too late.

        Each waits until the loop has turned, so that a host which is busy with those who come
        back gets no more of them for a while; what is left when half of the time is over goes.
        """
        left = (self.begun + self.end) / 2.0 - time.monotonic()
        number = math.ceil(len(self.untold) / (CLOSED_PER_SECOND * left)) if left > 0 else len(self.untold)
        for handler in self.untold[-number:]:
            close_websocket(handler)
        del self.untold[-number:]
        if self.untold:
            loop = IOLoop.current()
            loop.add_timeout(loop.time() + 1.0 / CLOSED_PER_SECOND, self.tell_next)

    def part_between_requests(self, stream: Any) -> bool:
        """Part with a connection whose next request has not been read; whether that was done."""
        if not (stream.closed() or stream.writing() or stream._read_buffer_size):
            self.part_with(stream, time.monotonic())
        return bool(stream.closed())

    def part_with(self, stream: Any, now: float) -> None:
        """Hand an idle connection to the successor, or close it when it has had its time."""
        plain = type(stream.socket) is socket.socket
        if self.successor is not None and plain and self.is_ours(stream):
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [stream.socket.fileno()]))]
            try:
                self.successor.sendmsg([b"{}"], rights)
            except (BlockingIOError, InterruptedError):
                return  # its queue is full: the next look tries again
            except OSError:
                # Gone: from here on it is an end without a successor.
                self.successor = None
                for other in self.open():
                    say_close(other.tornado_app_connection)
                return
            stream.close()
        elif now - self.begun >= LINGER_TIMEOUT:
            stream.close()

    def is_ours(self, stream: Any) -> bool:
        """Whether the connection came in by the port that the successor serves as well."""
        try:
            name = stream.socket.getsockname()
        except OSError:
            return False
        return isinstance(name, tuple) and name[1] == self.port

    def finish(self) -> None:
        """Nothing is left that could be answered; who is left hears that it is over."""
        for handler in handlers(self.open()):
            apologise(handler)
            if is_websocket(handler):
                close_websocket(handler)  # of those that a blocked loop has not told
        if self.successor is not None:
            self.successor.close()
        self.finished()


def no_handler() -> None:
    """What a connection has that was never asked anything."""


def handler_of(stream: Any) -> Any:
    """Who answers, or has answered last, on a connection; None if nobody has or it has gone."""
    return getattr(stream, "tornado_app_handler", no_handler)()


def handlers(streams: list[Any]) -> list[Any]:
    """The same of some connections, without the Nones."""
    found = map(handler_of, streams)
    return [one for one in found if one is not None]


def is_websocket(handler: Any) -> bool:
    """Whether it is an open WebSocket's."""
    return getattr(handler, "ws_connection", None) is not None


def is_idle(stream: Any) -> bool:
    """Whether nothing has been asked on it that is not answered in full.

    It must be waiting for the next request, or bytes that were read but not handled yet
    would be lost.
    """
    connection = stream.tornado_app_connection
    if hasattr(connection, "_request_headers"):
        asked = connection._request_headers is not None or connection.stream is None
    else:
        asked = connection._request is not None  # 3.x
    return not (asked or stream.writing() or stream._read_buffer_size or not stream.reading())


def say_close(connection: Any) -> None:
    """Let the next answer on this connection end it."""
    if getattr(connection, "tornado_app_closing", False):
        return
    connection.tornado_app_closing = True
    if not hasattr(connection, "write_headers"):
        return  # 3.x: generate_headers does it
    real = connection.write_headers

    def write_headers(start_line: Any, headers: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(start_line, "code", 200) >= 200:
            headers["Connection"] = "close"
            if connection._request_headers is not None:
                # Or a client of HTTP/1.0 would be told that it may stay.
                connection._request_headers["Connection"] = "close"
            connection._disconnect_on_finish = True
        return real(start_line, headers, *args, **kwargs)

    connection.write_headers = write_headers


def close_websocket(handler: Any) -> None:
    """Tell a WebSocket's client to reconnect: to the process that accepts by then."""
    connection = handler.ws_connection
    if connection is None:
        return
    try:
        handler.close(GOING_AWAY, "a new release is there")
    except TypeError:
        # 3.x sends no code by itself.
        if hasattr(connection, "_write_frame") and not connection.server_terminated:
            connection._write_frame(True, 0x8, struct.pack(">H", GOING_AWAY))
            connection.server_terminated = True
        handler.close()


def apologise(handler: Any) -> None:
    """An answer for a request that will have none: the client may try again."""
    if handler._finished or handler._headers_written or getattr(handler, "ws_connection", None):
        return
    try:
        handler.clear()
        handler.set_status(503)
        handler.set_header("Retry-After", "1")
        handler.set_header("Connection", "close")
        handler.finish()
    except Exception as problem:  # whatever a program's own methods may raise
        sys.stderr.write("tornado_app: no polite end for a request: %s\n" % problem)


def adopt(server: Any, sockets_from: socket.socket) -> bool:
    """Serve the connections that a draining process hands over; False at its end."""
    while True:
        try:
            data, rights, _flags, _address = sockets_from.recvmsg(64, socket.CMSG_SPACE(4))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not data:
            return False
        for _level, _kind, content in rights:
            [fd] = struct.unpack("i", content[:4])
            connection = socket.socket(fileno=fd)
            connection.setblocking(False)
            try:
                server._handle_connection(connection, connection.getpeername())
            except OSError:
                connection.close()  # its client is gone


def end_program() -> None:
    """End as the program would wish: by its own SIGTERM handler, or quietly."""
    if signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        loop = IOLoop.current()
        loop.add_timeout(loop.time() + HANDLER_TIMEOUT, lambda: os._exit(0))
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        sys.exit(0)
