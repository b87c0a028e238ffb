"""The app as a process, and clients that visit it: standard library only."""

import contextlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from clients.websocket import ACCEPTED, CLOSE, PING, TEXT, close_code, first_frame, frame, handshake
from ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent


class Visited:
    """Where visitors go. A class of it has ``authority`` (host and port), and connects."""

    def connect(self):
        """A new connection, TLS included where it is spoken."""
        raise NotImplementedError

    def ask(self, target, method="GET", headers=(), body=None):
        """One request on a connection of its own: status, headers and body (bytes)."""
        connection = self.begin(target, method, headers, body)
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def begin(self, target, method="GET", headers=(), body=None):
        """One request on a connection of its own, whose answer is still to be read."""
        connection = http.client.HTTPConnection(self.authority)
        connection.sock = self.connect()
        connection.sock.settimeout(60)
        connection.request(method, target, body, dict(headers))
        return connection

    def now(self):
        """The cursor after the last message."""
        return json.loads(self.ask("/messages?after=")[2])["cursor"]

    def say(self, text, key=None, address=None, **headers):
        """Write a message, as if from some address: status and what the answer says."""
        key = key or os.urandom(8).hex()
        address = address or "10." + ".".join(str(byte) for byte in os.urandom(3))
        body = urllib.parse.urlencode({"text": text, "key": key})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Real-IP": address, **headers}
        status, _headers, found = self.ask("/messages", "POST", headers, body)
        return status, json.loads(found)


class Program(Visited):
    """The app on a port of its own, as a context.

    command: words; {port} in them becomes its port. environment: its own.
    """

    def __init__(self, command, environment):
        self.port = free_port()
        self.authority = f"127.0.0.1:{self.port}"
        self.words = [word.replace("{port}", str(self.port)) for word in command]
        self.environment = environment

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.words, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        for _attempt in range(200):
            with contextlib.suppress(ConnectionError):
                self.ask("/healthz")
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"does not start: {self.said()}")

    def __exit__(self, *_problem):
        self.process.kill()
        self.process.wait()
        print(self.said()[-4000:])
        self.log.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


class Reader:
    """A client in a thread of its own: what it receives comes out of ``next()``.

    visited: where it goes. after: the cursor that it begins with; else, from now on. returns:
    whether it reconnects when it is closed, as the page does.
    """

    def __init__(self, visited, after=None, returns=False):
        self.visited, self.after = visited, visited.now() if after is None else after
        self.found = queue.Queue()
        self.ended = threading.Event()
        self.problems = []
        self.thread = threading.Thread(target=self.guard, args=(returns,), daemon=True)
        self.thread.start()

    def guard(self, returns):
        while True:
            try:
                self.run()
            except (OSError, ValueError, http.client.HTTPException) as problem:
                self.problems.append(problem)
            if not returns:
                break
            time.sleep(0.2)
        self.ended.set()

    def received(self, found):
        self.after = found["cursor"]
        self.found.put(found)

    def next(self, seconds=10):
        """The next thing it receives."""
        return self.found.get(timeout=seconds)

    def texts(self, count, seconds=10):
        """The texts of the next messages, so many of them."""
        texts, end = [], time.monotonic() + seconds
        while len(texts) < count:
            found = self.next(max(0.01, end - time.monotonic()))
            texts += [one["text"] for one in found["messages"]]
        return texts

    def quiet(self, seconds=0.5):
        """Whether no message comes for so long."""
        end = time.monotonic() + seconds
        with contextlib.suppress(queue.Empty):
            while True:
                if self.next(max(0.01, end - time.monotonic()))["messages"]:
                    return False
        return True


class Poll(Reader):
    """Long polling."""

    def run(self):
        while True:
            status, _headers, body = self.visited.ask(f"/messages?after={self.after}")
            if status != 200:
                return
            self.received(json.loads(body))


class Events(Reader):
    """Server-Sent Events."""

    def run(self):
        answer = self.visited.begin("/events", headers={"Last-Event-ID": self.after}).getresponse()
        if answer.status != 200:
            raise ValueError(answer.status)
        while line := answer.readline():
            if line.startswith(b"data: "):
                self.received(json.loads(line[6:]))


class Socket(Reader):
    """A WebSocket."""

    def run(self):
        self.frames = Frames(self.visited, f"/ws?after={self.after}")
        while True:
            opcode, content = self.frames.read()
            if opcode == TEXT:
                self.received(json.loads(content))
            elif opcode == CLOSE:
                self.code = close_code(content) if content else None
                self.frames.write(CLOSE, content)
                self.frames.socket.shutdown(socket.SHUT_RDWR)
                return


READERS = {"ws": Socket, "events": Events, "poll": Poll}


class Frames:
    """A WebSocket, frame by frame: it answers nothing by itself."""

    def __init__(self, visited, target="/ws", headers=()):
        self.socket, self.heard = visited.connect(), b""
        self.socket.settimeout(60)
        self.socket.sendall(handshake(visited.authority, target, headers))
        while b"\r\n\r\n" not in self.heard:
            self.receive()
        head, _end, self.heard = self.heard.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if self.status == 101:
            assert ACCEPTED.encode() in head

    def receive(self):
        """Wait for more from the server; OSError at the end."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("ended")
        self.heard += data

    def write(self, opcode, content=b"", final=True):
        self.socket.sendall(frame(opcode, content, final))

    def read(self):
        """Opcode and content of the next frame; OSError where there is none any more."""
        while not (found := first_frame(self.heard)):
            self.receive()
        opcode, _final, content, self.heard = found
        return opcode, content

    def echo(self, content, opcode=TEXT):
        """Send it; what comes back."""
        self.write(opcode, content)
        found, answer = self.read()
        while found == PING:
            found, answer = self.read()
        return found, answer

    def ends(self):
        """Read on to the end: the code that it was closed with, None without one."""
        code = None
        with contextlib.suppress(OSError):
            while True:
                opcode, content = self.read()
                if opcode == CLOSE and content:
                    code = close_code(content)
        return code
