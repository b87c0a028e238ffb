"""WebSockets that are open at all times, each saying something every few seconds."""

import asyncio
import contextlib
import random
import time

from clients import websocket
from clients.http import FAILURES, Answer, Closed, Connection, Failed, reason
from clients.requests import check
from clients.tally import Wrong

CLEAN = (1001, 1005)  # "going away", and a close frame without a code
INTERVAL = 5  # seconds from one message to the next
ECHO_TIMEOUT = 10


class Session:
    """One WebSocket: a message every few seconds, each to come back."""

    def __init__(self, load, connection):
        self.load = load
        self.tally = load.tally
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
                    self.tally.lost("websocket", "MESSAGE", Wrong(f"never said {text[:80]!r}"), True)
                    continue
                timer.cancel()
                self.tally.answered("websocket", time.monotonic() - sent)
                if self.load.stopping:
                    self.leave()
        except (Closed, *FAILURES):
            if not self.leaving:
                raise
        finally:
            self.timer.cancel()
            for _sent, timer in self.waiting.values():
                timer.cancel()

    def speak(self):
        """Send the next message, and say when the one after it is due."""
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(INTERVAL, self.speak)
        if self.load.stopping or self.connection.writer.is_closing():
            return
        text = self.load.letter()
        self.tally.kinds["websocket"].sent += 1
        self.waiting[text] = (time.monotonic(), loop.call_later(ECHO_TIMEOUT, self.give_up, text))
        self.connection.send_frame(websocket.TEXT, text.encode())

    def give_up(self, text):
        """A message did not come back in time."""
        del self.waiting[text]
        self.tally.lost("websocket", "MESSAGE", TimeoutError(), True)
        if self.load.stopping:
            self.leave()

    def leave(self):
        """Close, as soon as nothing is awaited."""
        if not self.waiting and not self.leaving:
            self.leaving = True
            self.connection.send_frame(websocket.CLOSE, (1000).to_bytes(2, "big"))


class Sessions:
    """The WebSockets of one Load."""

    def __init__(self, load):
        self.load, self.tally = load, load.tally
        self.open = set()
        # A crowd at the start would only measure itself.
        self.gate = asyncio.Semaphore(16)

    def leave(self):
        """All of them close, as soon as nothing is awaited."""
        for session in self.open:
            session.leave()

    async def hold(self, index, ready):
        """One WebSocket at all times; opened again when the server closes it."""
        ended = None
        while not self.load.stopping:
            connection = session = None
            method = "OPEN"
            try:
                async with self.gate if ended is None else contextlib.nullcontext():
                    async with asyncio.timeout(self.load.options.timeout):
                        connection = await Connection.open(self.load.target)
                        await self.greet(connection, ended)
                self.tally.websockets["opened"] += 1
                ready()
                session = Session(self.load, connection)
                self.open.add(session)
                if self.load.stopping:
                    session.leave()
                method = "MESSAGE"
                await session.run(INTERVAL * (index + random.random()) / self.load.options.websockets)
            except Closed as closed:
                ended = time.monotonic()
                if closed.code in CLEAN:
                    self.tally.websockets["ws_closed_clean"] += 1
                    await asyncio.sleep(random.uniform(0, 0.2))
                else:
                    self.tally.lost("websocket", "CLOSE", Failed(str(closed)), session is not None)
                    await self.load.after_failure()
            except (*FAILURES, Wrong) as problem:
                ended = time.monotonic()
                if session:
                    cut = isinstance(problem, EOFError)
                    problem = Failed(f"unclean: {'no close frame' if cut else reason(problem)}")
                self.tally.lost("websocket", method, problem, session is not None)
                await self.load.after_failure()
            except asyncio.CancelledError:
                if session is None or session.waiting:
                    problem = Failed("no answer when the time was over")
                    self.tally.lost("websocket", method, problem, session is not None)
                raise
            finally:
                ready()
                if session:
                    self.open.discard(session)
                    self.tally.websockets["unanswered_at_close"] += len(session.waiting)
                if connection:
                    connection.close()

    async def greet(self, connection, ended):
        """Make a connection a WebSocket; note who greeted if one had ended before."""
        answer = await connection.upgrade("/ws")
        if answer.status != 101:
            raise Failed(f"status {answer.status}")
        if answer.header(b"sec-websocket-accept") != websocket.ACCEPTED.lower().encode():
            raise Wrong("another key was accepted")
        content = check(Answer(200, b"", (await connection.message()).encode()))
        if ended is not None:
            self.tally.websockets["reconnects"].append(
                {
                    "at": round(time.time(), 3),
                    "seconds": round(time.monotonic() - ended, 3),
                    "release": content["release"],
                }
            )
