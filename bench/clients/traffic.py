"""All kinds of traffic at once, from a common start to a common end."""

import asyncio
import time

from clients.downloads import download
from clients.requests import Requests
from clients.sessions import Sessions
from clients.tally import Tally

AFTER_FAILURE = 0.5  # seconds; a kind that is always in flight must not spin while nobody answers


class Load:
    """All the traffic of one run. options: see load.py."""

    def __init__(self, options, target):
        self.options = options
        self.target = target
        self.tally = Tally()
        self.stop = asyncio.Event()
        self.go = asyncio.Event()
        self.letters = 0
        self.begun = 0
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

    async def after_failure(self):
        """Wait a little, or for the end of the run."""
        await self.until(time.monotonic() + AFTER_FAILURE)

    async def all_connected(self):
        """Wait for those that first() promised, or for the end."""
        self.connected.clear()
        if self.to_connect:
            waits = [asyncio.create_task(event.wait()) for event in (self.connected, self.stop)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def run(self, on_started):
        """All kinds, until the time is over or somebody stops it; the report.

        on_started: called when all kinds have connected.
        """
        options, requests, sessions = self.options, Requests(self), Sessions(self)
        started = time.time()
        # These connect first and the others begin when all of them have, or couldn't.
        if options.rate:
            for _index in range(options.connections):
                self.spawn(requests.keep_alive(self.first()))
        for index in range(options.websockets):
            self.spawn(sessions.hold(index, self.first()))
        visitors = None
        if options.http2:
            from clients.visitors import Visitors  # h2 is needed for these alone

            visitors = Visitors(self)
            for index in range(options.http2_connections * options.http2_streams):
                self.spawn(visitors.visit(index, self.first()))
        await self.all_connected()
        for index in range(options.slow_posts):
            self.spawn(requests.slow(index, self.first()))
        for _index in range(options.download):
            self.spawn(download(self, self.first()))
        if options.new:
            self.spawn(requests.steady(options.new, requests.new, self.first()))
        if options.polls:
            self.spawn(requests.steady(options.polls, requests.poll, self.first()))
        self.begun = time.monotonic()
        end = asyncio.get_running_loop().call_later(options.seconds, self.stop.set)
        self.go.set()
        await self.all_connected()
        on_started()
        await self.stop.wait()
        end.cancel()
        stopped = time.monotonic()
        sessions.leave()
        over = stopped + options.grace
        while self.tasks and time.monotonic() < over:
            await asyncio.wait(self.tasks, timeout=over - time.monotonic())
        late = list(self.tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if visitors:
            visitors.leave()
        if self.error:
            raise self.error
        asked = self.tally.kinds["get"].answered + self.tally.kinds["post"].answered
        return {
            "started": started,
            "ended": time.time(),
            "rate": round(asked / max(stopped - self.begun, 0.001), 1),
            **self.tally.report(),
        }
