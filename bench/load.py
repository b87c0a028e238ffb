"""Ask a deployed tests/samples/load without pause, retry nothing, and say what was lost.

    python bench/load.py --url https://127.0.0.1:18443 --host localhost --authority ca.crt

Eight kinds of traffic at once, each with a switch for its amount. A request that was sent
and not answered in full is a failure, whatever the reason; what a client may be asked to
bear (a connection closed while nothing was in flight on it, a WebSocket closed by a frame
that says "going away") is counted apart. README.md beside this file explains the report.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
import threading
import urllib.parse

from clients import target
from clients.traffic import Load


def target_of(options):
    """The Target; ValueError in one sentence if there is none to be had."""
    url = urllib.parse.urlsplit(options.url)
    if url.path not in ("", "/") or url.query:
        raise ValueError(f"--url {options.url} is not like https://127.0.0.1:18443.")
    trust = functools.partial(target.trusting, options.authority)
    found = target.find(options.url, options.host, trust, loopback_only=False)
    if options.http2 and not found.tls:
        raise ValueError(f"--http2 needs TLS, and --url {options.url} has none.")
    return found


def at_end_of_input(call):
    """Call it, from another thread, when nobody holds the other end of stdin any more."""

    def read():
        with contextlib.suppress(OSError):  # There may be no stdin at all.
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # The time was over first.
            call()

    threading.Thread(target=read, daemon=True).start()


async def measure(options, where):
    """One run; its report."""
    load = Load(options, where)
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
    add("--grace", type=number, default=20, help="then wait so long for what is in flight (%(default)s)")
    add("--timeout", type=number, default=30, help="seconds for an answer to come (%(default)s)")
    add("--report", metavar="FILE", help="write the report there (default: stdout)")
    kinds = parser.add_argument_group("kinds of traffic, 0 for none")
    add = kinds.add_argument
    add("--rate", type=number, default=300, help="requests a second on keep-alive connections (%(default)s)")
    add("--connections", type=count, default=16, help="how many of those (%(default)s)")
    add("--new", type=number, default=10, help="a second, on a new connection each (%(default)s)")
    add("--slow-posts", type=count, default=20, help="POST /slow in flight at all times (%(default)s)")
    add("--slow-seconds", type=number, default=3, help="how slow (%(default)s)")
    add("--download", type=count, default=1, help="slow readers of GET /big (%(default)s)")
    add("--download-seconds", type=number, default=8, help="how slow (%(default)s)")
    add("--download-bytes", type=count, default=16 * 1024 * 1024, help="how big (%(default)s)")
    add("--websockets", type=count, default=200, help="open at all times (%(default)s)")
    add("--polls", type=number, default=1, help="long polls begun a second (%(default)s)")
    add("--poll-seconds", type=number, default=8, help="how long (%(default)s)")
    add("--http2", type=number, default=0, help="HTTP/2 requests a second, for https alone (%(default)s)")
    add("--http2-connections", type=count, default=8, help="on so many connections (%(default)s)")
    add("--http2-streams", type=count, default=4, help="at most so many at a time on each (%(default)s)")
    options = parser.parse_args(words)
    if options.seconds is None:
        options.seconds = 900 if options.until_eof else 60
    if not options.connections:
        options.rate = 0
    if not options.http2_connections or not options.http2_streams:
        options.http2 = 0
    return options


def main(words=None):
    """The command."""
    options = arguments(words)
    try:
        where = target_of(options)
    except ValueError as problem:
        print(f"load.py: {problem}", file=sys.stderr)
        return 2
    target.allow_many_files()
    report = json.dumps(asyncio.run(measure(options, where)), indent=1) + "\n"
    if options.report:
        with open(options.report, "w") as file:
            file.write(report)
    else:
        sys.stdout.write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
