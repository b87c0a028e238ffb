"""Ask a deployed tests/samples/load without pause, retry nothing, and say what was lost.

    python bench/load.py --url https://127.0.0.1:18443 --host localhost --authority ca.crt

Seven kinds of traffic at once, each with a switch for its amount. A request that was sent
and not answered in full is a failure, whatever the reason; what a client may be asked to
bear (a connection closed while nothing was under way on it, a WebSocket closed by a frame
that says "going away") is counted apart. README.md beside this file explains the report.
"""

import argparse
import asyncio
import contextlib
import functools
import ipaddress
import json
import os
import random
import resource
import select
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

PRIVATE = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]
BUCKET = 0.25  # seconds, of the timeline
FAILURES_TOLD = 20  # a kind
PLAIN = ("get", "post", "new")  # answered at once, so their latency and order tell of a deploy
CLEAN = (1001, 1005)  # "going away", and a close frame without a code
WEBSOCKET_INTERVAL = 5
WEBSOCKET_PATIENCE = 10
AFTER_FAILURE = 0.5  # a kind that is always under way must not spin while nobody answers

# As tests/samples/load/server.py makes it.
BLOCK = 65536
FILLER = bytes(range(251)) * (BLOCK // 251 + 1)


def block(number):
    """What /big?bytes=... has at number * 64 KiB."""
    head = b"%015x\n" % number
    return head + FILLER[: BLOCK - len(head)]


class Bad(Exception):
    """An answer came, but not the one to be had."""


class Wrong(Exception):
    """The right answer's status, with something else in it."""


class Closed(Exception):
    """The server ended a WebSocket by a close frame with this code."""

    def __init__(self, code):
        super().__init__(f"close frame {code}")
        self.code = code


# What a connection can do to its user. IncompleteReadError is an EOFError.
TROUBLE = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, Bad)


def reason(problem):
    """A failure in a few words."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, asyncio.IncompleteReadError):
        return "closed in the middle of the answer" if problem.partial else "closed without an answer"
    return f"{type(problem).__name__}: {problem}" if not isinstance(problem, Bad) else str(problem)


@dataclass
class Target:
    """Where to connect to, and whom to expect there."""

    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None


@dataclass
class Answer:
    """One HTTP answer; the head in lower case."""

    status: int
    head: bytes
    body: bytes = b""

    def header(self, name):
        """A header's value, or None."""
        start = self.head.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        return self.head[start + len(name) + 3 : self.head.index(b"\r\n", start + 2)].strip()

    @property
    def last(self):
        """Whether the server said that it will close the connection."""
        return b"close" in (self.header(b"connection") or b"")


class Connection:
    """One HTTP/1.1 connection, parsed by hand: http.client would cost as much as the rest."""

    def __init__(self, reader, writer, host):
        self.reader = reader
        self.writer = writer
        self.host = host
        self.used = False
        self.goodbye = False  # A close frame has been sent; nothing may follow it.
        self.readable = select.poll()
        self.readable.register(writer.get_extra_info("socket").fileno(), select.POLLIN)

    @classmethod
    async def open(cls, target):
        """Connect, over TLS only to the one whose certificate is good for the host."""
        tls = {"ssl": target.tls, "server_hostname": target.host, "ssl_shutdown_timeout": 1}
        reader, writer = await asyncio.open_connection(
            target.address, target.port, **tls if target.tls else {}
        )
        return cls(reader, writer, target.host)

    async def ended(self):
        """Whether the server has closed it, by all that has reached this machine so far."""
        for _turn in range(8):
            if self.reader.at_eof() or self.reader.exception() or self.writer.is_closing():
                return True
            if not self.readable.poll(0):
                return False
            await asyncio.sleep(0)  # Something came; the loop has yet to read it.
        return False

    def close(self):
        self.readable = None
        self.writer.close()

    def send(self, method, path, headers="", body=b""):
        """Write one request. It is all in the kernel's hands at once."""
        self.used = True
        if method == "POST":
            headers += f"Content-Length: {len(body)}\r\n"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}\r\n".encode() + body)

    async def head(self):
        """The Answer, its body unread."""
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1."):
                raise Bad("not HTTP")
            status = int(head[9:12])
            if status == 101 or status >= 200:
                return Answer(status, head.lower())

    async def answer(self):
        """The Answer with its body."""
        answer = await self.head()
        length = answer.header(b"content-length")
        if length is not None:
            answer.body = await self.reader.readexactly(int(length))
        elif answer.header(b"transfer-encoding") == b"chunked":
            answer.body = await self.chunks()
        elif answer.status not in (204, 304):
            answer.body = await self.reader.read()
        return answer

    async def chunks(self):
        """A chunked body."""
        body = b""
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            if size:
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
                continue
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                pass  # Trailers.
            return body

    # WebSocket, RFC 6455.

    def send_frame(self, opcode, payload):
        """Write one masked frame; payloads of up to 125 bytes are all there is to say."""
        if self.goodbye:
            return
        self.goodbye = opcode == 8
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        self.writer.write(bytes((0x80 | opcode, 0x80 | len(payload))) + mask + masked)

    async def message(self):
        """The next text. Answers pings; raises Closed at a close frame."""
        text = b""
        while True:
            first, second = await self.reader.readexactly(2)
            length = second & 127
            if second & 128:
                raise Bad("a masked frame from the server")
            if length > 125:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
            payload = await self.reader.readexactly(length)
            opcode = first & 15
            if opcode == 8:
                self.send_frame(8, payload[:2])
                raise Closed(int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005)
            if opcode == 9:
                self.send_frame(10, payload)
            elif opcode in (0, 1, 2):
                text += payload
                if first & 128:
                    return text.decode()


@dataclass
class Kind:
    """What became of one kind of traffic. sent = answered + failed + wrong + polite."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    wrong: int = 0
    polite: int = 0
    idle_closed: int = 0
    polite_closed: int = 0
    latencies: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def report(self):
        """For the report."""
        told = {name: value for name, value in vars(self).items() if name != "latencies"}
        return {**told, "latency": quantiles(self.latencies)}


def quantiles(values):
    """p50, p99 and max of seconds, in ms; None of nothing."""
    if not values:
        return {"p50": None, "p99": None, "max": None}
    values = sorted(values)
    last = len(values) - 1
    return {
        name: round(values[round(last * share)] * 1000, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1))
    }


class Book:
    """Where every outcome is written down."""

    def __init__(self):
        self.kinds = {
            name: Kind() for name in ("get", "post", "new", "slow", "download", "websocket", "poll")
        }
        self.websockets = {"opened": 0, "ws_closed_clean": 0, "unanswered_at_close": 0, "reconnects": []}
        self.releases = {}
        self.buckets = {}

    def bucket(self):
        """The timeline's entry of now."""
        number = int(time.time() / BUCKET)
        return self.buckets.setdefault(number, {"answered": 0, "failed": 0, "max_ms": 0})

    def answered(self, kind, seconds):
        """The right answer came."""
        self.kinds[kind].answered += 1
        self.kinds[kind].latencies.append(seconds)
        if kind in PLAIN:
            bucket = self.bucket()
            bucket["answered"] += 1
            bucket["max_ms"] = max(bucket["max_ms"], round(seconds * 1000, 1))

    def lost(self, kind, method, problem, reused):
        """No answer came, or not the right one."""
        wrong = isinstance(problem, Wrong)
        tally = self.kinds[kind]
        if wrong:
            tally.wrong += 1
        else:
            tally.failed += 1
        self.bucket()["failed"] += 1
        if len(tally.failures) < FAILURES_TOLD:
            told = f"wrong: {problem}" if wrong else reason(problem)
            tally.failures.append(
                {
                    "at": round(time.time(), 3),
                    "kind": kind,
                    "method": method,
                    "reason": told,
                    "connection_reused": reused,
                }
            )

    def released(self, release, start):
        """A release answered a request that was sent then."""
        end = time.time()
        seen = self.releases.setdefault(
            release, {"count": 0, "first_start": start, "last_start": start, "first_end": end}
        )
        seen["count"] += 1
        seen["first_start"] = min(seen["first_start"], start)
        seen["last_start"] = max(seen["last_start"], start)
        seen["last_end"] = end

    def report(self):
        """All of it, but the times of the run."""
        kinds = {name: kind.report() for name, kind in self.kinds.items()}
        kinds["websocket"].update(self.websockets)
        numbers = range(min(self.buckets), max(self.buckets) + 1) if self.buckets else ()
        empty = {"answered": 0, "failed": 0, "max_ms": 0}
        return {
            "failed": sum(kind.failed for kind in self.kinds.values()),
            "wrong": sum(kind.wrong for kind in self.kinds.values()),
            "idle_closed": sum(kind.idle_closed for kind in self.kinds.values()),
            "kinds": kinds,
            "releases": self.releases,
            "timeline": [{"t": number * BUCKET, **self.buckets.get(number, empty)} for number in numbers],
        }


def check(answer, letter=None):
    """What the answer's JSON says. Raises Bad at another status than 200, Wrong at other content."""
    if answer.status != 200:
        raise Bad(f"status {answer.status}")
    try:
        content = json.loads(answer.body)
        content["release"], content["port"], content["pid"]
    except (ValueError, TypeError, KeyError):
        raise Wrong(f"not the program's JSON: {answer.body[:80]!r}") from None
    if letter is not None and content.get("echo") != letter:
        raise Wrong(f"sent {letter!r}, echoed {content.get('echo')!r}")
    return content


class WebSocket:
    """One session: a message every few seconds, each to come back."""

    def __init__(self, load, connection):
        self.load = load
        self.book = load.book
        self.connection = connection
        self.waiting = {}  # message: (when it was sent, the timer of its failure)
        self.leaving = False
        self.timer = None

    async def run(self, delay):
        """Until a close frame or worse, which is raised; returns if it was we who closed."""
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(delay, self.speak)
        try:
            while True:
                text = await self.connection.message()
                sent, timer = self.waiting.pop(text, (None, None))
                if sent is None:
                    self.book.lost("websocket", "MESSAGE", Wrong(f"never said {text[:80]!r}"), True)
                    continue
                timer.cancel()
                self.book.answered("websocket", time.monotonic() - sent)
                if self.load.stopping:
                    self.leave()
        except (Closed, *TROUBLE):
            if not self.leaving:
                raise
        finally:
            self.timer.cancel()
            for _sent, timer in self.waiting.values():
                timer.cancel()

    def speak(self):
        """Send the next message, and say when the one after it is due."""
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(WEBSOCKET_INTERVAL, self.speak)
        if self.load.stopping or self.connection.writer.is_closing():
            return
        text = self.load.letter()
        self.book.kinds["websocket"].sent += 1
        self.waiting[text] = (time.monotonic(), loop.call_later(WEBSOCKET_PATIENCE, self.give_up, text))
        self.connection.send_frame(1, text.encode())

    def give_up(self, text):
        """A message did not come back in time."""
        del self.waiting[text]
        self.book.lost("websocket", "MESSAGE", TimeoutError(), True)
        if self.load.stopping:
            self.leave()

    def leave(self):
        """Close, as soon as nothing is awaited."""
        if not self.waiting and not self.leaving:
            self.leaving = True
            self.connection.send_frame(8, (1000).to_bytes(2, "big"))


class Load:
    """All the traffic of one run."""

    def __init__(self, options, target):
        self.options = options
        self.target = target
        self.book = Book()
        self.stop = asyncio.Event()
        self.go = asyncio.Event()
        self.letters = 0
        self.tickets = 0
        self.begun = 0
        self.sessions = set()
        self.tasks = set()
        self.to_connect = 0
        self.connected = asyncio.Event()
        self.error = None

    @property
    def stopping(self):
        return self.stop.is_set()

    def letter(self):
        """A text that nobody has sent before."""
        self.letters += 1
        return f"letter {self.letters} {self.letters * 2654435761 % 2**32:08x} \u2709"

    def spawn(self, work):
        """Run it beside the others; an error of this program ends all of it."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.error = task.exception()
            self.stop.set()

    def first(self):
        """What tells, at its first call, that one more of those to connect has done so."""
        self.to_connect += 1
        calls = []

        def call():
            calls.append(None)
            if len(calls) == 1:
                self.to_connect -= 1
                if not self.to_connect:
                    self.connected.set()

        return call

    async def until(self, due):
        """Wait for that moment, or for the end of the run."""
        while not self.stopping and (seconds := due - time.monotonic()) > 0:
            await asyncio.sleep(min(seconds, 0.1))

    async def one(self, kind, method, path, connection=None, close=False, ready=lambda: None):
        """One request, and no second try; the connection if it can carry another, and its Answer.

        Without a connection it opens one. ready: called once there is one, or none to be had.
        """
        tally = self.book.kinds[kind]
        tally.sent += 1
        reused = connection is not None and connection.used
        letter = self.letter() if method == "POST" else None
        answer = None
        clock = time.monotonic()
        try:
            async with asyncio.timeout(self.options.timeout):
                connection = connection or await Connection.open(self.target)
                ready()
                start = time.time()
                if not close:
                    clock = time.monotonic()
                headers = "Connection: close\r\n" if close else ""
                connection.send(method, path, headers, letter.encode() if letter else b"")
                answer = await connection.answer()
            if kind == "poll" and answer.status == 503 and answer.header(b"retry-after") is not None:
                tally.polite += 1
            else:
                content = check(answer, letter)
                self.book.answered(kind, time.monotonic() - clock)
                if kind in PLAIN:
                    self.book.released(str(content["release"]), start)
            last = close or answer.last
            tally.polite_closed += answer.last and not close
        except (*TROUBLE, Wrong) as problem:
            self.book.lost(kind, method, problem, reused)
            last = close or answer is None or answer.last
        except asyncio.CancelledError:
            self.book.lost(kind, method, Bad("no answer when the time was over"), reused)
            raise
        ready()
        if last and connection:
            connection.close()
        return None if last else connection, answer

    async def kept(self, ready):
        """One of the keep-alive connections; they share one schedule."""
        connection = None
        with contextlib.suppress(OSError):  # Then the first request fails.
            async with asyncio.timeout(self.options.timeout):
                connection = await Connection.open(self.target)
        ready()
        await self.go.wait()
        while not self.stopping:
            number = self.tickets
            self.tickets += 1
            await self.until(self.begun + number / self.options.rate)
            if self.stopping:
                break
            method = "POST" if number % 2 else "GET"
            if connection and await connection.ended():
                self.book.kinds[method.lower()].idle_closed += 1
                connection.close()
                connection = None
            connection, _answer = await self.one(method.lower(), method, "/", connection)
        if connection:
            connection.close()

    async def slow(self, index, ready):
        """One slow POST after the other."""
        connection = None
        await self.go.wait()
        # The first ones wait differently long, so that their ends are spread.
        seconds = self.options.slow_seconds * (index + 1) / self.options.slow_posts
        while not self.stopping:
            if connection and await connection.ended():
                self.book.kinds["slow"].idle_closed += 1
                connection.close()
                connection = None
            path = f"/slow?seconds={seconds:g}"
            connection, answer = await self.one("slow", "POST", path, connection, ready=ready)
            seconds = self.options.slow_seconds
            if answer is None or answer.status != 200:
                await self.until(time.monotonic() + AFTER_FAILURE)
        if connection:
            connection.close()

    async def steady(self, rate, begin, ready):
        """Begin something so many times a second, however long each takes."""
        await self.go.wait()
        number = 0
        while not self.stopping:
            self.spawn(begin(number, ready))
            number += 1
            await self.until(self.begun + number / rate)

    async def new(self, number, ready):
        """A request on a connection of its own."""
        await self.one("new", "POST" if number % 2 else "GET", "/", close=True, ready=ready)

    async def poll(self, _number, ready):
        """A long poll. Asked to come again, it does when it was told to."""
        path = f"/poll?seconds={self.options.poll_seconds:g}"
        while True:
            _none, answer = await self.one("poll", "GET", path, close=True, ready=ready)
            if self.stopping or answer is None or answer.status != 503:
                return
            wish = answer.header(b"retry-after") or b""
            await self.until(time.monotonic() + min(5, max(0.1, int(wish) if wish.isdigit() else 1)))
            if self.stopping:
                return

    async def download(self, ready):
        """One download after the other, by a reader who takes its time."""
        await self.go.wait()
        tally = self.book.kinds["download"]
        while not self.stopping:
            tally.sent += 1
            connection = None
            clock = time.monotonic()
            try:
                async with asyncio.timeout(self.options.download_seconds + self.options.timeout):
                    connection = await Connection.open(self.target)
                    ready()
                    await self.big(connection)
                self.book.answered("download", time.monotonic() - clock)
            except (*TROUBLE, Wrong) as problem:
                self.book.lost("download", "GET", problem, False)
                await self.until(time.monotonic() + AFTER_FAILURE)
            except asyncio.CancelledError:
                self.book.lost("download", "GET", Bad("no answer when the time was over"), False)
                raise
            finally:
                ready()
                if connection:
                    connection.close()

    async def big(self, connection):
        """Read /big slowly, and compare every byte."""
        size = self.options.download_bytes
        connection.send("GET", f"/big?bytes={size}", "Connection: close\r\n")
        answer = await connection.head()
        if answer.status != 200:
            raise Bad(f"status {answer.status}")
        if answer.header(b"content-length") != str(size).encode():
            raise Wrong(f"content-length {answer.header(b'content-length')}")
        count = -(-size // BLOCK)
        begun = time.monotonic()
        for number in range(count):
            expected = block(number)[: size - number * BLOCK]
            if await connection.reader.readexactly(len(expected)) != expected:
                raise Wrong(f"other bytes after {number * BLOCK}")
            due = begun + (number + 1) * self.options.download_seconds / count
            await asyncio.sleep(max(0, due - time.monotonic()))

    async def websocket(self, index, gate, ready):
        """One WebSocket at all times; opened again when the server closes it."""
        tally = self.book.websockets
        ended = None
        while not self.stopping:
            connection = session = None
            method = "OPEN"
            try:
                # A crowd at the start would only measure itself.
                async with gate if ended is None else contextlib.nullcontext():
                    async with asyncio.timeout(self.options.timeout):
                        connection = await Connection.open(self.target)
                        await self.greet(connection, ended)
                tally["opened"] += 1
                ready()
                session = WebSocket(self, connection)
                self.sessions.add(session)
                if self.stopping:
                    session.leave()
                method = "MESSAGE"
                spread = WEBSOCKET_INTERVAL * (index + random.random()) / self.options.websockets
                await session.run(spread)
            except Closed as closed:
                ended = time.monotonic()
                if closed.code in CLEAN:
                    tally["ws_closed_clean"] += 1
                    await asyncio.sleep(random.uniform(0, 0.2))
                else:
                    self.book.lost("websocket", "CLOSE", Bad(str(closed)), session is not None)
                    await self.until(time.monotonic() + AFTER_FAILURE)
            except (*TROUBLE, Wrong) as problem:
                ended = time.monotonic()
                if session:
                    cut = isinstance(problem, EOFError)
                    problem = Bad(f"unclean: {'no close frame' if cut else reason(problem)}")
                self.book.lost("websocket", method, problem, session is not None)
                await self.until(time.monotonic() + AFTER_FAILURE)
            except asyncio.CancelledError:
                if session is None or session.waiting:
                    problem = Bad("no answer when the time was over")
                    self.book.lost("websocket", method, problem, session is not None)
                raise
            finally:
                ready()
                if session:
                    self.sessions.discard(session)
                    tally["unanswered_at_close"] += len(session.waiting)
                if connection:
                    connection.close()

    async def greet(self, connection, ended):
        """Make a connection a WebSocket; note who greeted if one had ended before."""
        connection.send(
            "GET",
            "/ws",
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        )
        answer = await connection.head()
        if answer.status != 101:
            raise Bad(f"status {answer.status}")
        if answer.header(b"sec-websocket-accept") != b"s3pplmbitxaq9kygzzhzrbk+xoo=":  # lower case
            raise Wrong("another key was accepted")
        content = check(Answer(200, b"", (await connection.message()).encode()))
        if ended is not None:
            self.book.websockets["reconnects"].append(
                {
                    "at": round(time.time(), 3),
                    "seconds": round(time.monotonic() - ended, 3),
                    "release": content["release"],
                }
            )

    async def run(self, told):
        """All kinds, until the time is over or somebody stops it; the report."""
        options = self.options
        loop = asyncio.get_running_loop()
        started = time.time()
        gate = asyncio.Semaphore(16)
        # These connect first and the others begin when all of them have, or couldn't.
        if options.rate:
            for _index in range(options.connections):
                self.spawn(self.kept(self.first()))
        for index in range(options.websockets):
            self.spawn(self.websocket(index, gate, self.first()))
        await self.all_connected()
        for index in range(options.slow_posts):
            self.spawn(self.slow(index, self.first()))
        for _index in range(options.download):
            self.spawn(self.download(self.first()))
        if options.new:
            self.spawn(self.steady(options.new, self.new, self.first()))
        if options.polls:
            self.spawn(self.steady(options.polls, self.poll, self.first()))
        self.begun = time.monotonic()
        end = loop.call_later(options.seconds, self.stop.set)
        self.go.set()
        await self.all_connected()
        told()
        await self.stop.wait()
        end.cancel()
        stopped = time.monotonic()
        for session in self.sessions:
            session.leave()
        over = stopped + options.grace
        while self.tasks and time.monotonic() < over:
            await asyncio.wait(self.tasks, timeout=over - time.monotonic())
        late = list(self.tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if self.error:
            raise self.error
        asked = self.book.kinds["get"].answered + self.book.kinds["post"].answered
        return {
            "started": started,
            "ended": time.time(),
            "rate": round(asked / max(stopped - self.begun, 0.001), 1),
            **self.book.report(),
        }

    async def all_connected(self):
        """Wait for those that first() promised, or for the end."""
        self.connected.clear()
        if self.to_connect:
            waits = [asyncio.create_task(event.wait()) for event in (self.connected, self.stop)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()


def allowed(address):
    """Whether an address is one that this program may put load on."""
    address = ipaddress.ip_address(address.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in PRIVATE)


def target_of(options):
    """The Target; ValueError in one sentence if there is none to be had."""
    url = urllib.parse.urlsplit(options.url)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
        raise ValueError(f"--url {options.url} is not like https://127.0.0.1:18443.")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise ValueError(f"--url {options.url} leads nowhere: {problem.strerror}.") from None
    address = found[0][4][0]
    if not allowed(address):
        raise ValueError(
            f"{address} is neither a loopback nor a private address, and gets no load from here."
        )
    context = None
    if url.scheme == "https":
        try:
            context = ssl.create_default_context(cafile=options.authority)
        except OSError as problem:
            raise ValueError(f"--authority {options.authority}: {problem.strerror or problem}.") from None
        context.set_alpn_protocols(["http/1.1"])
    return Target(address, port, options.host or url.hostname, context)


def at_end_of_input(call):
    """Call it, from another thread, when nobody holds the other end of stdin any more."""

    def read():
        with contextlib.suppress(OSError):  # There may be no stdin at all.
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # The time was over first.
            call()

    threading.Thread(target=read, daemon=True).start()


async def measure(options, target):
    """One run; its report."""
    load = Load(options, target)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, load.stop.set)
    if options.until_eof:
        at_end_of_input(functools.partial(loop.call_soon_threadsafe, load.stop.set))
    return await load.run(lambda: print("started", file=sys.stderr, flush=True))


def amount(kind):
    """An argparse type: a number that is not negative."""

    def number(text):
        value = kind(text)
        if not 0 <= value < 1_000_000_000:
            raise ValueError
        return value

    number.__name__ = f"{kind.__name__} from 0 on"
    return number


def arguments(words):
    """The options."""
    count, number = amount(int), amount(float)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("--url", required=True, help="http or https, on a loopback or private address")
    add("--host", help="the site's name, for TLS and the Host header (default: the URL's)")
    add("--authority", metavar="FILE", help="the CA's certificate (default: the system's)")
    add("--seconds", type=number, help="at most so long (default: 60; 900 with --until-eof)")
    add("--until-eof", action="store_true", help="end when stdin is closed")
    add("--grace", type=number, default=20, help="then wait so long for what is under way (%(default)s)")
    add("--timeout", type=number, default=30, help="seconds for an answer to come (%(default)s)")
    add("--report", metavar="FILE", help="write the report there (default: stdout)")
    kinds = parser.add_argument_group("kinds of traffic, 0 for none")
    add = kinds.add_argument
    add("--rate", type=number, default=300, help="requests a second on keep-alive connections (%(default)s)")
    add("--connections", type=count, default=16, help="how many of those (%(default)s)")
    add("--new", type=number, default=10, help="a second, on a new connection each (%(default)s)")
    add("--slow-posts", type=count, default=20, help="POST /slow under way at all times (%(default)s)")
    add("--slow-seconds", type=number, default=3, help="how slow (%(default)s)")
    add("--download", type=count, default=1, help="slow readers of GET /big (%(default)s)")
    add("--download-seconds", type=number, default=8, help="how slow (%(default)s)")
    add("--download-bytes", type=count, default=16 * 1024 * 1024, help="how big (%(default)s)")
    add("--websockets", type=count, default=200, help="open at all times (%(default)s)")
    add("--polls", type=number, default=1, help="long polls begun a second (%(default)s)")
    add("--poll-seconds", type=number, default=8, help="how long (%(default)s)")
    options = parser.parse_args(words)
    if options.seconds is None:
        options.seconds = 900 if options.until_eof else 60
    if not options.connections:
        options.rate = 0
    return options


def main(words=None):
    """The command."""
    options = arguments(words)
    try:
        target = target_of(options)
    except ValueError as problem:
        print(f"load.py: {problem}", file=sys.stderr)
        return 2
    # Two thousand WebSockets are a fair wish.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = json.dumps(asyncio.run(measure(options, target)), indent=1) + "\n"
    if options.report:
        with open(options.report, "w") as file:
            file.write(report)
    else:
        sys.stdout.write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
