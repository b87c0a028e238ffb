"""One port of an app on its host: its units, its keeper, its listening socket. Standard library only."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

from .host import ask, connect, running, show
from .port_socket import BACKLOG, holders, spoiled
from .refusal import Refusal

SYSTEMCTL_TIMEOUT = 30  # seconds, and a release's own limits where it has to start one
KEEPER_TIMEOUT = 10  # seconds that a keeper may take that is just being restarted
ANSWER_TIMEOUT = 10  # seconds for an answer by the port itself
ANSWER_TRIES = 3  # answers that are missed until a port counts as deaf


def systemctl(*words, timeout=SYSTEMCTL_TIMEOUT):
    """Run systemctl for so many seconds at most; whether it did what it was told, and its own sentence."""
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return False, f"it is not done within {timeout} s"
    return done.returncode == 0, " ".join(done.stderr.split())


class Port:
    """A port of an app. app: its name. timeout: seconds in which a release has to be ready."""

    def __init__(self, app, number, timeout):
        self.app, self.number, self.timeout = app, number, timeout
        self.unit = f"tornado-{app}"
        self.service, self.socket = (f"{self.unit}@{number}.{kind}" for kind in ("service", "socket"))

    def refusal(self, reason, **more):
        """The Refusal of what this port can't do."""
        return Refusal(f"port {self.number} {reason}", **more)

    # Its units.

    def start(self, verb="start"):
        """Let it have a keeper. Refusal: it has none, and why."""
        done, why = systemctl(verb, self.service, timeout=self.timeout)
        if not done:
            listens = show([self.socket])[self.socket]["ActiveState"] == "active"
            who = "" if listens else self.occupant()
            late = why if "within" in why else ""
            see = f"see journalctl -u {self.unit}@{self.number}"
            raise self.refusal(f"does not start: {who or late or see}")

    def reset_failed(self):
        """Let its units start again that have failed, as where another process had the port."""
        systemctl("reset-failed", self.socket, self.service)

    def occupant(self):
        """Who listens on it, in words; "" if nobody does."""
        words = ["ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header"]
        found = subprocess.run(
            [*words, f"sport = :{self.number}"], capture_output=True, text=True, check=False
        ).stdout
        name = re.search(r'users:\(\("([^"]*)",pid=(\d+)', found)
        if name:
            return f"{name[1]}, process {name[2]}, listens there"
        return "another process listens there" if found else ""

    # Its keeper.

    def status(self):
        """What it runs, as its keeper says; {} where none answers."""
        return running(self.app, self.number)

    def connect(self):
        """A connection to its keeper, which may be just restarting."""
        end = time.monotonic() + KEEPER_TIMEOUT
        while True:
            try:
                return connect(self.app, self.number, self.timeout)
            except OSError as problem:
                if time.monotonic() > end:
                    raise self.refusal(f"has no keeper ({problem})") from problem
            time.sleep(0.2)

    def tell(self, channel, **message):
        """One command on a connection to its keeper; the answer, if that is a yes."""
        try:
            answer = ask(channel, **message)
        except (OSError, ValueError) as problem:
            raise self.refusal(f"has a keeper that has ended or is stuck ({problem})") from problem
        if not answer["ok"]:
            raise self.refusal(answer["reason"], pid=answer["pid"], bad=answer["bad"])
        return answer

    def swap_back(self, release):
        """Let it run what it ran before; one that refuses even that goes on with the new."""
        with contextlib.suppress(OSError, ValueError, Refusal), self.connect() as channel:
            ask(channel, do="swap", release=release)

    # Its socket, which the program before may have changed for good.

    def listener(self):
        """Its listening socket. OSError, ValueError, IndexError: its keeper does not give it."""
        with self.connect() as channel:
            channel.send(json.dumps({"do": "socket"}).encode())
            _answer, handed, _flags, _address = socket.recv_fds(channel, 4096, 1)
            return socket.socket(fileno=handed[0])

    def strangers(self):
        """Who has its socket without being of the app's port, in words."""
        with contextlib.suppress(OSError, ValueError, IndexError), self.listener() as listener:
            ours = {os.getpid(), int(show([self.service])[self.service]["MainPID"])}
            found = holders(listener, self.unit, self.number, ours)
            if found:
                time.sleep(1)  # a process that one of ours just starts has it for a moment
                found = [one for one in holders(listener, self.unit, self.number, ours) if one in found]
            return found
        return []

    def sound(self):
        """Whether its socket is as it was made; its queue is made as long as it was."""
        with contextlib.suppress(OSError, ValueError, IndexError), self.listener() as listener:
            with contextlib.suppress(OSError):
                listener.listen(BACKLOG)
            return not spoiled(listener)
        return True  # not known: it is asked for an answer all the same

    def answers(self, path):
        """Whether an HTTP server answers on it, whatever it thinks of the path; "": whether it listens."""
        address = ("127.0.0.1", self.number)
        try:
            with socket.create_connection(address, timeout=ANSWER_TIMEOUT) as connection:
                if not path:
                    return True
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
                return connection.recv(5) == b"HTTP/"
        except OSError:
            return False

    def reopen_if_deaf(self, path):
        """Open its socket anew where clients are not heard; whether that was necessary.

        path: one that is asked for, "" for none. Refusal: somebody else has the socket, or the new one
        does not help.
        """
        if strangers := self.strangers():
            raise self.refusal(f"has its socket in other hands too ({', '.join(strangers)}): end these")
        if self.sound() and any(self.answers(path) for _try in range(ANSWER_TRIES)):
            with contextlib.suppress(OSError, ValueError), self.connect() as channel:
                ask(channel, do="heard")
            return False
        systemctl("restart", self.socket, self.service)
        end = time.monotonic() + self.timeout
        while not self.answers(path):
            if time.monotonic() > end:
                raise self.refusal("can't be heard, not even on a new socket")
            time.sleep(0.2)
        return True
