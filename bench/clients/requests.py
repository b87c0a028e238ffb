"""Requests of the kinds get, post, new, slow and poll. None is tried a second time."""

import asyncio
import contextlib
import json
import time

from clients.http import FAILURES, Connection, Failed
from clients.tally import PLAIN, Wrong


def check(answer, letter=None):
    """What the answer's JSON says. Raises Failed at another status than 200, Wrong at other content."""
    if answer.status != 200:
        raise Failed(f"status {answer.status}")
    try:
        content = json.loads(answer.body)
        content["release"], content["port"], content["pid"]
    except (ValueError, TypeError, KeyError):
        raise Wrong(f"not the program's JSON: {answer.body[:80]!r}") from None
    if letter is not None and content.get("echo") != letter:
        raise Wrong(f"sent {letter!r}, echoed {content.get('echo')!r}")
    return content


class Requests:
    """The requests of one Load."""

    def __init__(self, load):
        self.load, self.options, self.tally = load, load.options, load.tally
        self.scheduled = 0  # of those on keep-alive connections

    async def one(self, kind, method, path, connection=None, close=False, ready=lambda: None):
        """One request; the connection if it can carry another, and its Answer.

        Without a connection it opens one. ready: called once there is one, or none to be had.
        """
        counts = self.tally.kinds[kind]
        counts.sent += 1
        reused = connection is not None and connection.used
        letter = self.load.letter() if method == "POST" else None
        answer = None
        clock = time.monotonic()
        try:
            async with asyncio.timeout(self.options.timeout):
                connection = connection or await Connection.open(self.load.target)
                ready()
                start = time.time()
                if not close:
                    clock = time.monotonic()
                headers = "Connection: close\r\n" if close else ""
                connection.send(method, path, headers, letter.encode() if letter else b"")
                answer = await connection.answer()
            if kind == "poll" and answer.status == 503 and answer.header(b"retry-after") is not None:
                counts.polite += 1
            else:
                content = check(answer, letter)
                self.tally.answered(kind, time.monotonic() - clock)
                if kind in PLAIN:
                    self.tally.released(str(content["release"]), start)
            last = close or answer.last
            counts.polite_closed += answer.last and not close
        except (*FAILURES, Wrong) as problem:
            self.tally.lost(kind, method, problem, reused)
            last = close or answer is None or answer.last
        except asyncio.CancelledError:
            self.tally.lost(kind, method, Failed("no answer when the time was over"), reused)
            raise
        ready()
        if last and connection:
            connection.close()
        return None if last else connection, answer

    async def still_open(self, kind, connection):
        """The connection, or None where the server has closed it while it was idle."""
        if connection and await connection.ended():
            self.tally.kinds[kind].idle_closed += 1
            connection.close()
            return None
        return connection

    async def keep_alive(self, ready):
        """One of the keep-alive connections; they share one schedule."""
        connection = None
        with contextlib.suppress(OSError):  # Then the first request fails.
            async with asyncio.timeout(self.options.timeout):
                connection = await Connection.open(self.load.target)
        ready()
        await self.load.go.wait()
        while not self.load.stopping:
            number = self.scheduled
            self.scheduled += 1
            await self.load.until(self.load.begun + number / self.options.rate)
            if self.load.stopping:
                break
            method = "POST" if number % 2 else "GET"
            connection = await self.still_open(method.lower(), connection)
            connection, _answer = await self.one(method.lower(), method, "/", connection)
        if connection:
            connection.close()

    async def slow(self, index, ready):
        """One slow POST after the other."""
        connection = None
        await self.load.go.wait()
        # The first ones wait differently long, so that their ends are spread.
        seconds = self.options.slow_seconds * (index + 1) / self.options.slow_posts
        while not self.load.stopping:
            connection = await self.still_open("slow", connection)
            path = f"/slow?seconds={seconds:g}"
            connection, answer = await self.one("slow", "POST", path, connection, ready=ready)
            seconds = self.options.slow_seconds
            if answer is None or answer.status != 200:
                await self.load.after_failure()
        if connection:
            connection.close()

    async def steady(self, rate, begin, ready):
        """Begin something so many times a second, however long each takes."""
        await self.load.go.wait()
        number = 0
        while not self.load.stopping:
            self.load.spawn(begin(number, ready))
            number += 1
            await self.load.until(self.load.begun + number / rate)

    async def new(self, number, ready):
        """A request on a connection of its own."""
        await self.one("new", "POST" if number % 2 else "GET", "/", close=True, ready=ready)

    async def poll(self, _number, ready):
        """A long poll. One that is answered by 503 with Retry-After is repeated then."""
        path = f"/poll?seconds={self.options.poll_seconds:g}"
        while True:
            _none, answer = await self.one("poll", "GET", path, close=True, ready=ready)
            if self.load.stopping or answer is None or answer.status != 503:
                return
            wish = answer.header(b"retry-after") or b""
            seconds = int(wish) if wish.isdigit() else 1
            await self.load.until(time.monotonic() + min(5, max(0.1, seconds)))
            if self.load.stopping:
                return
