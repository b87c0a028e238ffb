"""Requests of the kind http2: several at a time on each connection, as browsers send them."""

import asyncio
import dataclasses
import os
import time

from clients.http import FAILURES, Failed
from clients.http2 import Connection, NotTaken
from clients.requests import check
from clients.tally import Wrong
from clients.target import trusting

# Of ten requests one takes its time, and one has a body that the server lets come in pieces.
SLOW, BIG = 9, 5
SLOW_SECONDS = 1
PADDING = "." * 100_000


class Shared:
    """A connection that is there for several, and the next one when it has ended."""

    def __init__(self, target, counts):
        self.target, self.counts = target, counts
        self.connection = None
        self.connecting = asyncio.Lock()

    async def get(self):
        """A connection that takes requests, as far as is known here."""
        async with self.connecting:
            old = self.connection
            if old is None or old.told or old.ended:
                self.connection = None
                if old:
                    self.counts.polite_closed += old.told
                    self.counts.idle_closed += not old.told
                self.connection = await Connection.open(self.target)
            return self.connection


class Visitors:
    """Those who speak HTTP/2, of one Load; they share one schedule."""

    def __init__(self, load):
        self.load, self.options, self.tally = load, load.options, load.tally
        self.counts = self.tally.kinds["http2"]
        target = dataclasses.replace(load.target, tls=trusting(self.options.authority, "h2"))
        self.connections = [Shared(target, self.counts) for _index in range(self.options.http2_connections)]
        self.scheduled = 0

    async def visit(self, index, ready):
        """One visitor, who asks on one of the connections for one thing after the other."""
        shared = self.connections[index % len(self.connections)]
        try:
            async with asyncio.timeout(self.options.timeout):
                await shared.get()
        except FAILURES:
            pass  # Then the first request fails.
        ready()
        await self.load.go.wait()
        while not self.load.stopping:
            number = self.scheduled
            self.scheduled += 1
            await self.load.until(self.load.begun + number / self.options.http2)
            if not self.load.stopping:
                await self.one(number, shared)

    def leave(self):
        """Close all connections."""
        for shared in self.connections:
            if shared.connection:
                shared.connection.close()

    async def one(self, number, shared):
        """One request. Only one that the server has not taken is sent again."""
        self.counts.sent += 1
        method = "POST" if number % 2 else "GET"
        letter = self.load.letter() + PADDING * (number % 10 == BIG) if method == "POST" else ""
        slow = f"slow?seconds={SLOW_SECONDS}&" if number % 10 == SLOW else "?"
        # In the server's log, so that one that is answered twice is seen.
        path = f"/{slow}visit={os.getpid()}-{number}"
        answer, reused = None, False
        clock = time.monotonic()
        try:
            async with asyncio.timeout(self.options.timeout):
                while answer is None:
                    connection = await shared.get()
                    reused = connection.used
                    try:
                        answer = await connection.ask(method, path, letter.encode())
                    except NotTaken:
                        self.counts.sent_on += 1
            check(answer, letter or None)
            self.tally.answered("http2", time.monotonic() - clock)
        except (*FAILURES, Wrong) as problem:
            self.tally.lost("http2", method, problem, reused)
        except asyncio.CancelledError:
            self.tally.lost("http2", method, Failed("no answer when the time was over"), reused)
            raise
