"""Visitors who ask a site without pause and never ask again, each request with an id.

    python visitors.py PORT AUTHORITY SECONDS

Half of them on connections that stay, half on new ones; half ask, half have something done.
"""

import http.client
import json
import ssl
import sys
import threading
import time
import uuid

MANY = 32
PAUSE = 0.15  # seconds after each request
TIMEOUT = 30


class Visitors:
    """With it they begin; at its end they have stopped. lost: what went wrong, as (when, what, why)."""

    def __init__(self, port, authority):
        self.port, self.context = port, ssl.create_default_context(cafile=authority)
        self.lost, self.sent, self.slowest, self.asked = [], [], 0.0, 0
        self.over, self.begun = threading.Event(), time.monotonic()
        self.threads = [threading.Thread(target=self.visit, args=(number,)) for number in range(MANY)]

    def connect(self):
        """A connection, as a visitor of localhost has it."""
        return http.client.HTTPSConnection("localhost", self.port, timeout=TIMEOUT, context=self.context)

    def visit(self, number):
        """What one visitor does."""
        stays, acts = number % 2, number // 2 % 2
        connection = None
        while not self.over.wait(PAUSE):
            connection = connection or self.connect()
            name, since = uuid.uuid4().hex, time.monotonic()
            try:
                self.asked += 1
                if acts:
                    self.sent.append(name)
                connection.request(
                    "POST" if acts else "GET", "/do" if acts else f"/{name}", name if acts else None
                )
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200 or "host" not in json.loads(text):
                    self.fail(since, acts, f"status {answer.status}")
            except (OSError, http.client.HTTPException, ValueError) as problem:
                self.fail(since, acts, f"{type(problem).__name__}: {problem}")
                connection.close()
                connection = None
            self.slowest = max(self.slowest, time.monotonic() - since)
            if not stays and connection:
                connection.close()
                connection = None

    def fail(self, since, acts, why):
        """Keep what went wrong."""
        self.lost.append((round(since - self.begun, 1), "POST" if acts else "GET", why))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *problem):
        self.over.set()
        for thread in self.threads:
            thread.join()


if __name__ == "__main__":
    port, authority, seconds = sys.argv[1:]
    with Visitors(int(port), authority) as visitors:
        time.sleep(float(seconds))
    print(f"{visitors.asked} asked, {len(visitors.lost)} lost, the slowest after {visitors.slowest:.1f} s")
    for one in visitors.lost[:12]:
        print(*one)
