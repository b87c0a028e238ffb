"""Ask at a steady pace, and say how long answers took: on loopback only, with Debian's Python.

    python3 probe.py --url https://127.0.0.1:21443/ --host NAME --rate 50 --seconds 10

The pace does not depend on the answers: a late one does not delay the next. Each
request has a connection of its own, or with --keep-alive one that is free.
"""

import argparse
import asyncio
import json
import sys
import time

from clients import target
from clients.http import FAILURES, Connection, Failed
from clients.tally import quantiles


class Probe:
    """The requests. found: seconds that each took; bad: how many were not answered with 200."""

    def __init__(self, options, where):
        self.options, self.target = options, where
        self.free, self.found, self.bad = [], [], 0
        self.headers = f"Connection: {'keep-alive' if options.keep_alive else 'close'}\r\n"

    async def ask(self):
        begin, servers = time.monotonic(), ""
        try:
            servers = await asyncio.wait_for(self.answer(), 60)
        except FAILURES:
            self.bad += 1
        self.found.append((time.monotonic() - begin, servers))

    async def answer(self):
        """The servers that nginx has asked, as X-Served-By says where a site sends it."""
        connection = self.free.pop() if self.free else await Connection.open(self.target)
        connection.send("GET", self.target.path, self.headers)
        answer = await connection.answer()
        if answer.status != 200:
            raise Failed(f"status {answer.status}")
        if self.options.keep_alive and not answer.last:
            self.free.append(connection)
        else:
            connection.close()
        return (answer.header(b"x-served-by") or b"").decode()

    async def run(self):
        begin, tasks = time.monotonic(), []
        for number in range(int(self.options.rate * self.options.seconds)):
            await asyncio.sleep(max(0, begin + number / self.options.rate - time.monotonic()))
            tasks.append(asyncio.ensure_future(self.ask()))
        await asyncio.gather(*tasks)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--keep-alive", action="store_true", help="ask again on connections that are free")
    parser.add_argument("--apart", help="count what this server was asked apart")
    options = parser.parse_args()
    try:
        probe = Probe(options, target.find(options.url, options.host))
    except ValueError as problem:
        parser.error(str(problem))
    asyncio.run(probe.run())
    # Where it did not answer, another one's name comes behind its own.
    counted = [seconds for seconds, servers in probe.found if options.apart not in servers.split(", ")]
    counts = {"asked": len(probe.found), "bad": probe.bad, "apart": len(probe.found) - len(counted)}
    print(json.dumps({**counts, **quantiles(counted)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
