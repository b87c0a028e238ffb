"""Ask at a steady pace, and say how long answers took: on loopback alone, with Python alone.

    python3 probe.py --url https://127.0.0.1:21443/ --host NAME --rate 50 --seconds 10

The pace does not depend on the answers: one that is late does not hold up the next. Each
request has a connection of its own, or with --kept one that is free.
"""

import argparse
import asyncio
import ipaddress
import json
import ssl
import sys
import time
import urllib.parse


class Probe:
    """The requests. found: seconds that each took; bad: how many were not answered with 200."""

    def __init__(self, options):
        self.options, self.url = options, urllib.parse.urlsplit(options.url)
        self.tls = None
        if self.url.scheme == "https":
            self.tls = ssl.create_default_context()
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.free, self.found, self.bad = [], [], 0
        connection = "keep-alive" if options.kept else "close"
        self.request = (
            f"GET {self.url.path or '/'} HTTP/1.1\r\nHost: {options.host}\r\nConnection: {connection}\r\n\r\n"
        ).encode()

    async def ask(self):
        begin, servers = time.monotonic(), ""
        try:
            servers = await asyncio.wait_for(self.answer(), 60)
        except (OSError, EOFError, ValueError):
            self.bad += 1
        self.found.append((time.monotonic() - begin, servers))

    async def answer(self):
        """The servers that nginx has asked, as X-Served-By says where a site sends it."""
        if self.free:
            reader, writer = self.free.pop()
        else:
            more = {"ssl": self.tls, "server_hostname": self.options.host} if self.tls else {}
            reader, writer = await asyncio.open_connection(self.url.hostname, self.url.port, **more)
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head[:20])
        lines = [line.partition(b": ") for line in head.lower().split(b"\r\n")]
        headers = {name: value for name, _colon, value in lines}
        await reader.readexactly(int(headers[b"content-length"]))
        if self.options.kept and headers.get(b"connection") != b"close":
            self.free.append((reader, writer))
        else:
            writer.close()
        return headers.get(b"x-served-by", b"").decode()

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
    parser.add_argument("--kept", action="store_true", help="ask again on connections that are free")
    parser.add_argument("--apart", help="count what this server was asked apart")
    options = parser.parse_args()
    if not ipaddress.ip_address(urllib.parse.urlsplit(options.url).hostname).is_loopback:
        parser.error("load stays on loopback")
    probe = Probe(options)
    asyncio.run(probe.run())
    # Where it did not answer, another one's name comes behind its own.
    counted = sorted(seconds for seconds, servers in probe.found if options.apart not in servers.split(", "))
    quantiles = {
        name: round(counted[min(len(counted) - 1, int(len(counted) * share))] * 1000, 3)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    print(
        json.dumps(
            {
                "asked": len(probe.found),
                "bad": probe.bad,
                "apart": len(probe.found) - len(counted),
                **quantiles,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
