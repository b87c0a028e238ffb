"""Open many WebSockets, hold them, send a message on each now and then: on loopback only.

    python3 connections.py --url https://127.0.0.1:21443/ws --host NAME --count 10000

Runs on the test host, which needs this folder and Debian's Python. A line of JSON when all have
been tried, and one at the end (--hold seconds later, or when stdin is closed). A WebSocket that is
closed with 1001 reconnects; one that is cut off is lost.
"""

import argparse
import contextlib
import heapq
import json
import os
import random
import re
import select
import signal
import socket
import ssl
import sys
import time

from clients import target, websocket

BIND_ADDRESS_NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT, which Python 3.11 has no name for
TIMEOUT = 10  # seconds for a connection to open, and for an echo
RECONNECT_DELAY = 5.0  # seconds at most until one that was closed with 1001 reconnects
OPENING_AT_ONCE = 256  # in a process
MARK = re.compile(rb"broadcast-(\d+)")
CURSOR = re.compile(rb'"cursor": "([^"]+)"')
CONNECTING, SHAKING, ASKING, OPEN = range(4)
COUNTS = ["opened", "failed", "lost", "told", "said", "echoed", "late", "held"]


def frame(opcode, content):
    """One frame, at as little cost as can be."""
    return websocket.frame(opcode, content, mask=websocket.NO_MASK)


class Connection:
    """One WebSocket. after: the last id that it has received, where it was here before."""

    __slots__ = ("after", "first", "heard", "sock", "state", "waits")

    def __init__(self, sock, after):
        self.sock, self.after, self.state = sock, after or "", CONNECTING
        self.heard, self.first, self.waits = b"", after is None, 0.0


class Crowd:
    """The WebSockets of one process."""

    def __init__(self, options, where, number, count):
        self.options, self.target, self.count = options, where, count
        # A source of its own: one pair of addresses has some 28,000 ports.
        self.source = f"127.0.{2 + number // 200}.{1 + number % 200}"
        self.epoll, self.all, self.opening = select.epoll(), {}, 0
        self.counts = dict.fromkeys(COUNTS, 0)
        self.broadcasts, self.reasons = {}, {}
        self.due = []  # (moment, number, what to do, with whom)
        self.turn = 0

    def later(self, seconds, call, *words):
        self.turn += 1
        heapq.heappush(self.due, (time.monotonic() + seconds, self.turn, call, words))

    def begin(self, after):
        """Open one more, soon if too many are just being opened; after: None for a new one."""
        if self.opening >= OPENING_AT_ONCE:
            self.later(0.02, self.begin, after)
            return
        self.opening += 1
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self.source, 0))
        sock.connect_ex((self.target.address, self.target.port))
        one = Connection(sock, after)
        self.all[sock.fileno()] = one
        self.epoll.register(sock.fileno(), select.EPOLLOUT)
        self.later(TIMEOUT, self.check, one)

    def check(self, one):
        """Give up one that does not open."""
        if one.state != OPEN and one.sock is not None:
            self.gone(one, "not open in time")

    def gone(self, one, why):
        """One has been closed, or has failed to open."""
        number = one.sock.fileno()
        self.all.pop(number, None)
        with contextlib.suppress(OSError):
            self.epoll.unregister(number)
        one.sock.close()
        one.sock = None
        if one.state != OPEN:
            self.opening -= 1
            self.counts["failed" if one.first else "lost"] += 1
        elif why == "told":
            self.counts["told"] += 1
            self.counts["held"] -= 1
            self.later(random.random() * RECONNECT_DELAY, self.begin, one.after)
            return
        else:
            self.counts["lost"] += 1
            self.counts["held"] -= 1
        self.reasons[why] = self.reasons.get(why, 0) + 1

    def step(self, one, event):
        """Something can be done with one."""
        if one.state == CONNECTING:
            if problem := one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.gone(one, os.strerror(problem))
                return
            one.state = ASKING
            if self.target.tls:
                number = one.sock.fileno()
                one.sock = self.target.tls.wrap_socket(
                    one.sock, server_hostname=self.target.host, do_handshake_on_connect=False
                )
                assert one.sock.fileno() == number
                one.state = SHAKING
        if one.state == SHAKING:
            try:
                one.sock.do_handshake()
            except ssl.SSLWantReadError:
                self.epoll.modify(one.sock.fileno(), select.EPOLLIN)
                return
            one.state = ASKING
            event |= select.EPOLLOUT
        if one.state == ASKING and event & select.EPOLLOUT:
            # Where it left off, as the page does: what was missed comes, and nothing twice.
            one.sock.send(websocket.handshake(self.target.host, self.target.path + one.after))
            self.epoll.modify(one.sock.fileno(), select.EPOLLIN)
            return
        self.read(one)

    def read(self, one):
        while True:
            try:
                data = one.sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not data:
                self.gone(one, "closed")
                return
            one.heard += data
            if one.state == ASKING:
                head, end, rest = one.heard.partition(b"\r\n\r\n")
                if not end:
                    continue
                if not head.startswith(b"HTTP/1.1 101"):
                    self.gone(one, head[:12].decode("latin-1"))
                    return
                one.state, one.heard = OPEN, rest
                self.opening -= 1
                self.counts["held"] += 1
                self.counts["opened"] += one.first
                if self.options.echo:
                    self.later(random.random() * self.options.echo, self.say, one)
            if not self.frames(one):
                return

    def frames(self, one):
        """Take whole frames from what was received; whether the connection is still there."""
        while found := websocket.first_frame(one.heard):
            opcode, _final, content, one.heard = found
            if opcode == websocket.CLOSE:
                code = websocket.close_code(content)
                with contextlib.suppress(OSError):
                    one.sock.send(frame(websocket.CLOSE, content[:2]))
                self.gone(one, "told" if code == 1001 else f"closed with {code}")
                return False
            if opcode == websocket.PING:
                one.sock.send(frame(websocket.PONG, content))
            elif content == b"echo":
                self.counts["echoed"] += 1
                self.counts["late"] += time.monotonic() - one.waits > TIMEOUT
                one.waits = 0.0
            else:
                if cursor := CURSOR.search(content):
                    one.after = cursor[1].decode()
                for number in MARK.findall(content):
                    self.broadcasts[number.decode()] = self.broadcasts.get(number.decode(), 0) + 1
        return True

    def say(self, one):
        """Send a message, and again after a while."""
        if one.sock is None:
            return
        try:
            one.sock.send(frame(websocket.TEXT, b"echo"))
        except OSError as problem:
            self.gone(one, f"{type(problem).__name__} when writing")
            return
        one.waits = time.monotonic()
        self.counts["said"] += 1
        self.later(self.options.echo, self.say, one)

    def run(self, go_on):
        """Open all, and hold them while go_on(tried) says so."""
        for number in range(self.count):
            self.later(number * self.options.processes / self.options.rate, self.begin, None)
        tried = False
        while True:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _moment, _turn, call, words = heapq.heappop(self.due)
                call(*words)
            if not tried and self.counts["opened"] + self.counts["failed"] == self.count:
                tried = True
            if not go_on(tried):
                break
            wait = min(0.5, max(0, self.due[0][0] - time.monotonic())) if self.due else 0.5
            for number, event in self.epoll.poll(wait, 512):
                one = self.all.get(number)
                if one is None:
                    continue
                try:
                    self.step(one, event)
                except (OSError, ValueError) as problem:
                    if one.sock is not None:
                        self.gone(one, type(problem).__name__)
        return {**self.counts, "broadcasts": self.broadcasts, "reasons": self.reasons}


def merge(found):
    """The sum of what some processes counted."""
    total = {name: sum(one[name] for one in found) for name in COUNTS}
    for name in ("broadcasts", "reasons"):
        total[name] = {}
        for one in found:
            for key, value in one[name].items():
                total[name][key] = total[name].get(key, 0) + value
    return total


def child(crowd, up, down):
    """One process: tells "tried" on a pipe, waits for the end of another, tells its counts."""
    told = False

    def go_on(tried):
        nonlocal told
        if tried and not told:
            told = True
            os.write(up, b"tried\n")
        return not select.select([down], [], [], 0)[0]

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(up, json.dumps(crowd.run(go_on)).encode() + b"\n")
    os._exit(0)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--count", type=int, required=True, help="how many")
    parser.add_argument("--rate", type=float, default=1000, help="how many to begin a second")
    parser.add_argument("--processes", type=int, default=2, help="how many processes share them")
    parser.add_argument(
        "--echo", type=float, default=60, help="seconds between two messages on a connection; 0: none"
    )
    parser.add_argument("--hold", type=float, default=60, help="seconds at most, after all have been tried")
    options = parser.parse_args()
    try:
        where = target.find(options.url, options.host)
    except ValueError as problem:
        parser.error(str(problem))
    target.allow_many_files()
    down, end = os.pipe()
    readers = []
    for number in range(options.processes):
        count = options.count // options.processes + (number < options.count % options.processes)
        back, up = os.pipe()
        if os.fork() == 0:
            os.close(end)
            child(Crowd(options, where, number, count), up, down)
        os.close(up)
        readers.append(os.fdopen(back, "rb"))
    begin = time.monotonic()
    for reader in readers:
        if reader.readline() != b"tried\n":
            sys.exit("connections.py: a process has died")
    print(json.dumps({"tried": options.count, "seconds": round(time.monotonic() - begin, 2)}), flush=True)
    select.select([sys.stdin], [], [], options.hold)
    os.close(end)
    print(json.dumps(merge([json.loads(reader.readline()) for reader in readers])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
