"""Whether a process is well: what it is asked until it serves, and which answers are good ones."""

import socket
import time
from typing import Protocol

from systemd import Stopwatch
from words import MAX_REASON, Message

ANSWER_TIMEOUT = 5.0  # seconds for one answer
MAX_HEAD = 65536  # bytes of an answer that are looked at
USUAL, ROOT = "/healthz", "/"  # paths that are asked where no variable names one

Answer = tuple[int, str]  # the status, 0 where there is none; and what the process did, in words


class Process(Protocol):
    """What of a process a question needs. answered: when its runner last said something."""

    port: int
    cgroup: str
    answered: float

    def send(self, message: Message, handed: socket.socket | None = None) -> bool:
        """Send the runner a message, with a socket or without: whether it is on its way."""


class Request:
    """A GET, on a connection that nobody but this process can answer. sent: whether it is on its way."""

    def __init__(self, process: Process, path: str) -> None:
        self.watch = Stopwatch(process.cgroup, time.monotonic())
        self.head = b""
        self.near, far = socket.socketpair()
        self.near.setblocking(False)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{process.port}\r\nConnection: close\r\n\r\n"
        self.near.send(request.encode())
        self.sent = process.send({"do": "probe"}, far)
        far.close()

    def read(self) -> Answer | None:
        """None while there is no answer."""
        try:
            data = self.near.recv(4096)
        except BlockingIOError:
            late = self.watch.over(time.monotonic(), ANSWER_TIMEOUT)
            return (0, f"gave no answer within {ANSWER_TIMEOUT:.0f} s") if late else None
        except OSError as problem:
            return 0, f"cut the connection ({problem.strerror})"
        self.head += data
        first, end, rest = self.head.partition(b"\r\n")
        more = data and len(self.head) < MAX_HEAD
        if not end and more:
            return None
        words = first.decode("latin-1").split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
            return 0, "gave no HTTP answer"
        redirect = words[1].startswith("3")
        if redirect and b"\r\n\r\n" not in self.head and more:
            return None
        return int(words[1][:3]), f"answered {words[1][:3]}{target(rest) if redirect else ''}"

    def close(self) -> None:
        """Forget it."""
        self.near.close()


class Ping:
    """Whether the loop turns, asked without a request. sent: whether it is on its way."""

    def __init__(self, process: Process) -> None:
        self.process, self.watch = process, Stopwatch(process.cgroup, time.monotonic())
        self.sent = process.send({"do": "ping"})

    def read(self) -> Answer | None:
        """None while there is no answer."""
        if self.process.answered >= self.watch.begun:
            return 200, "turns its loop"
        late = self.watch.over(time.monotonic(), ANSWER_TIMEOUT)
        return (0, f"its loop has not turned for {ANSWER_TIMEOUT:.0f} s") if late else None

    def close(self) -> None:
        """Forget it."""


class Health:
    """What one process is asked, and what it must answer.

    path: its release's health path, which must answer 200; "": its loop must turn. None: /healthz
    must answer 200, or where a process has no such path, / anything below 500. Which of the two
    counts is decided by the first answer and stays so: a path that says no is not asked round.
    """

    def __init__(self, path: str | None) -> None:
        self.path = USUAL if path is None else path
        self.decided = path is not None
        self.instead = ""  # why / is asked, in words
        self.question: Request | Ping | None = None

    def ask(self, process: Process) -> bool:
        """Put the question: whether it is on its way."""
        question = Request(process, self.path) if self.path else Ping(process)
        if question.sent:
            self.question = question
        else:
            question.close()
        return question.sent

    def read(self) -> str | None:
        """None while there is no answer that counts, "" if the process is well, else what is wrong."""
        answer = self.question.read() if self.question else None
        if answer is None:
            return None
        self.close()
        status, words = answer
        if not self.decided and 0 < status < 500:
            self.decided = True
            if status != 200:
                self.path, self.instead = ROOT, f" ({USUAL} {words})"
                return None
        if status == 200 or (self.instead and 0 < status < 500):
            return ""
        wanted = "below 500" if self.instead else "200"
        return self.says(f"{words}, not {wanted}" if status else words)

    def says(self, words: str = "gave no answer") -> str:
        """What is wrong, with the variable that decides on it."""
        return f"tornado_app_health_path: {f'{self.path} {words}'.strip()}{self.instead}"

    def close(self) -> None:
        """Forget the question."""
        if self.question:
            self.question.close()
        self.question = None


def target(head: bytes) -> str:
    """Where a redirect leads, in words."""
    for line in head.decode("latin-1").split("\r\n"):
        name, _colon, value = line.partition(":")
        if name.lower() == "location":
            return f" to {''.join(one for one in value.strip()[:MAX_REASON] if one.isprintable())}"
    return ""
