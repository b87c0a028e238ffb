"""The page, and the three ways in which a browser gets messages: it takes the first that works.

    GET  /live                the page
    POST /messages            text=TEXT&key=KEY: accept a message, once for a key
    GET  /messages?after=ID   long polling: waits until there is one, with &wait=0 not at all
    GET  /events?after=ID     Server-Sent Events
    GET  /ws?after=ID         WebSocket; without "after" it only echoes

Each answer says where it comes from (port, release), who is here, and, after an ID, the messages
since then and the ID to continue from; {"reset": true} where something in between is no longer
known. Without an ID all stored messages come.
"""

import os
import random
import time

from compat import RequestHandler, WebSocketHandler, later, resolve, same_origin, stream_of
from room import START, TEXT_MAX, Refused, in_turns
from tornado import gen
from tornado.concurrent import Future
from tornado.escape import json_encode
from tornado.ioloop import IOLoop, PeriodicCallback

POLL_SECONDS = 25  # until a long poll without news is answered, far below the 330 that nginx waits
PER_SECOND, AT_ONCE = 5, 20  # messages of one address
FRAMES_PER_SECOND, FRAMES_AT_ONCE = 50, 500  # of one WebSocket
PUSH_MAX = 16 * 1024  # characters of messages in flight to one client
RETRY_INTERVAL, STUCK_TIMEOUT = 0.5, 60  # seconds until a slow client is tried again, and given up
PIECE_INTERVAL = 0.1  # seconds from one part of all WebSockets that is checked to the next
FRAME_MAX = 64 * 1024  # bytes
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
RELEASE = os.environ.get("TORNADO_APP_RELEASE", "by hand")


class Allowance(object):
    """So many a second (number), so many at once (integer)."""

    def __init__(self, per_second, at_once):
        self.per_second, self.at_once = per_second, at_once
        self.left, self.when = at_once, time.time()

    def take(self):
        """Whether one more is allowed."""
        now = time.time()
        self.left = min(self.at_once, self.left + max(0, now - self.when) * self.per_second)
        self.when = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


# Of this process: by address, and all that are open.
ALLOWANCES = {}
OPEN = set()


class Handler(RequestHandler):
    """What all of them share. settings: room, port."""

    def prepare(self):
        self.room = self.settings["room"]

    def here(self):
        """Where this is answered, and the room's state."""
        return dict(self.room.state(), port=self.settings["port"], release=RELEASE)

    def news(self, cursor):
        """What came after a cursor, as a dict for the page."""
        messages, cursor, whole = self.room.after(cursor)
        found = {"here": self.here(), "messages": messages, "cursor": cursor}
        if not whole:
            found["reset"] = True
        return found

    def refuse(self, status, reason, sentence, **more):
        """A status of HTTP with its name, and a sentence in the visitor's language."""
        self.set_status(status, reason)
        self.write(dict(more, refused=self.locale.translate(sentence)))


class PageHandler(Handler):
    """``GET /live``: the page."""

    def get(self):
        self.set_header("Content-Security-Policy", CSP)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Vary", "Accept-Language")
        self.render("live.html", lessons=self.settings["lessons"], most=TEXT_MAX)


class MessagesHandler(Handler):
    """``/messages``: write a message, or wait for one."""

    @gen.coroutine
    def post(self):
        if not same_origin(self.request):
            self.refuse(403, "Forbidden", "Messages are written on this site's own page.")
            return
        text, key = self.get_argument("text", "").strip(), self.get_argument("key", "")
        if not text:
            self.refuse(400, "Bad Request", "There is no text in this message.")
        elif len(text) > TEXT_MAX:
            self.refuse(413, "Request Entity Too Large", "This message is too long.")
        elif not 8 <= len(key) <= 64:
            self.refuse(400, "Bad Request", "A message has a key of 8 to 64 characters.")
        elif not self.allowed():
            self.set_header("Retry-After", "1")
            self.refuse(429, "Too Many Requests", "That was fast. Wait a moment.")
        else:
            try:
                found = yield self.room.say(text, key)
                self.set_status(201)
                self.write({"id": found})
            except Refused as problem:
                self.set_header("Retry-After", "1")
                more = {"again": True} if problem.again else {}
                self.refuse(problem.status, "Service Unavailable", str(problem), **more)

    def allowed(self):
        """Whether this address may write one more."""
        for address, one in list(ALLOWANCES.items()) if len(ALLOWANCES) > 1000 else ():
            if time.time() - one.when > AT_ONCE / PER_SECOND:
                del ALLOWANCES[address]  # its allowance is full again
        return ALLOWANCES.setdefault(self.request.remote_ip, Allowance(PER_SECOND, AT_ONCE)).take()

    @gen.coroutine
    def get(self):
        cursor = self.get_argument("after", "")
        self.set_header("Cache-Control", "no-store")
        self.happened = Future()
        found = self.news(cursor or START)
        # The first answer comes at once, so that the page knows where it is.
        at_once = not cursor or self.get_argument("wait", "") == "0" or self.room.draining
        if not (at_once or found["messages"] or "reset" in found):
            self.room.join(self)
            timeout = later(POLL_SECONDS, self.wake)
            yield self.happened
            IOLoop.current().remove_timeout(timeout)
            self.room.leave(self)
            found = self.news(cursor)
        self.write(found)

    def wake(self):
        resolve(self.happened)

    def on_connection_close(self):
        self.room.leave(self)
        if hasattr(self, "happened"):
            self.wake()


def first_of(messages):
    """The first of some messages: as many as PUSH_MAX allows, and at least one."""
    size = 0
    for number, one in enumerate(messages):
        size += len(one["text"])
        if number and size > PUSH_MAX:
            return messages[:number]
    return messages


class Pushed(object):
    """A client that is sent new messages as fast as it reads them: the rest waits in the room.

    The class it is mixed into has ``push(found)``.
    """

    late = 0  # attempts in a row at which it had not read what it was sent

    def follow(self, cursor):
        """Begin after a cursor."""
        self.cursor, self.seen = cursor or START, None
        self.room.join(self)
        self.wake()

    def wake(self):
        if not self.late:
            self.send()

    def send(self):
        stream = stream_of(self)
        if stream is None or stream.closed():
            return
        if stream.writing():
            # Nothing is buffered for it here; it is tried again.
            self.late += 1
            if self.late * RETRY_INTERVAL > STUCK_TIMEOUT:
                stream.close()
            else:
                later(RETRY_INTERVAL, self.send)
            return
        self.late = 0
        found = self.news(self.cursor)
        if found["messages"] or "reset" in found or found["here"] != self.seen:
            first = first_of(found["messages"])
            more = len(first) < len(found["messages"])
            if more:
                found.update(messages=first, cursor=first[-1]["id"])
            self.cursor, self.seen = found["cursor"], found["here"]
            self.push(found)
            if more:
                IOLoop.current().add_callback(self.send)


class EventsHandler(Pushed, Handler):
    """``GET /events``: Server-Sent Events."""

    @gen.coroutine
    def get(self):
        cursor = self.request.headers.get("Last-Event-ID") or self.get_argument("after", "")
        self.set_header("Content-Type", "text/event-stream; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        self.left = Future()
        # Not all clients reconnect at the same moment.
        self.write("retry: %d\n\n" % random.randint(200, 1200))
        self.flush()
        self.follow(cursor)
        # Without them nginx closes a connection that is silent for too long.
        comments = PeriodicCallback(self.comment, POLL_SECONDS * 1000)
        comments.start()
        yield self.left
        comments.stop()
        self.room.leave(self)

    def comment(self):
        stream = stream_of(self)
        if stream is not None and not stream.closed() and not stream.writing():
            self.write(": still here\n\n")
            self.flush()

    def push(self, found):
        self.write("id: %s\ndata: %s\n\n" % (self.cursor, json_encode(found)))
        self.flush()

    def wake(self):
        if self.room.draining:
            resolve(self.left)
        else:
            Pushed.wake(self)

    def on_connection_close(self):
        self.room.leave(self)
        if hasattr(self, "left"):
            resolve(self.left)


class SocketHandler(Pushed, WebSocketHandler, Handler):
    """``GET /ws``: a WebSocket. It echoes what it is sent."""

    def open(self, *_args):
        self.prepare()
        self.heard, self.allowance = time.time(), Allowance(FRAMES_PER_SECOND, FRAMES_AT_ONCE)
        OPEN.add(self)
        cursor = self.get_argument("after", None)
        if cursor is not None:
            self.follow(cursor)

    def push(self, found):
        self.tell(found)

    def on_message(self, message):
        self.heard = time.time()
        if len(message) > FRAME_MAX:
            self.end(1009, "at most %d bytes" % FRAME_MAX)
        elif not self.allowance.take():
            self.end(1008, "too many messages")
        else:
            self.tell(message, binary=isinstance(message, bytes))

    def on_pong(self, _data):
        self.heard = time.time()

    def on_gone(self):
        OPEN.discard(self)
        self.room.leave(self)


def watch(silence):
    """Ping silent clients, drop those that have not even answered for so many seconds (number)."""

    def check(one):
        stream, silent = stream_of(one), time.time() - one.heard
        if stream is None or stream.closed():
            one.on_close()
        elif silent > silence:
            one.end(1001, "you were silent for too long")
        elif silent > silence / 12.0 and not stream.writing():
            one.ping(b"")

    def check_some():
        # Clients that came together would be pinged together, and ten thousand answers delay all others.
        if not pieces:
            everybody = list(OPEN)
            pieces.extend(everybody[first::count] for first in range(count))
        in_turns(pieces.pop(), check)

    pieces, around = [], silence / 30.0
    count = max(1, int(around / PIECE_INTERVAL))
    PeriodicCallback(check_some, around * 1000 / count).start()


def close_sockets():
    """Tell all WebSockets to reconnect; returns how many there are."""
    in_turns(list(OPEN), lambda one: one.end(1001, "a new release is there"))
    return len(OPEN)
