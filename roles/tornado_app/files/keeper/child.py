"""One process of the app as its keeper sees it: start, health, messages, end."""

import array
import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Self

import systemd
from health import Health
from words import InvalidMessage, Message, parse
from worker import CANDIDATE_OOM_SCORE

PING_INTERVAL = 1.25  # seconds at most between two pings: each answer has the load for the status
PROBE_INTERVAL = 0.25  # seconds between two probes of a process that has to prove itself
EXIT_TIMEOUT = 5.0  # seconds between "drained" and SIGKILL
UNIT_INTERVAL = 0.25  # seconds between two questions about a unit
UNIT_TIMEOUT = 5.0  # seconds that systemd may take to begin with a unit
MAX_MESSAGES = 64  # of one process in one turn; it may send more than anybody can read
MAX_MESSAGE_SIZE = 65536  # bytes
EXIT_NOTICE_TIMEOUT = 0.3  # seconds from a cut connection to the end of the process that cut it

# Signals that somebody sends; by the others a process dies of itself.
SENT_SIGNALS = {
    getattr(signal, f"SIG{name}") for name in ("KILL", "TERM", "INT", "QUIT", "HUP", "USR1", "USR2")
}


class State(Enum):
    """How far a process is."""

    STARTING = auto()  # until it is well for the first time
    PROVEN = auto()  # until it accepts on the port
    SERVING = auto()
    DRAINING = auto()
    ENDED = auto()


def settings_of(release: str) -> dict[str, Any]:
    """What the release in a folder says of itself. OSError, ValueError: there is none.

    health_path (None: none is set); in seconds start_timeout, settle_time, drain_timeout, watchdog (0: off).
    overlap: whether it may run beside the process before.
    """
    with open(os.path.join(release, ".release", "settings.json"), encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    return settings


def overlaps(*settings: dict[str, Any]) -> bool:
    """Whether processes of releases with these settings may run at once."""
    return all(one.get("overlap", True) for one in settings)


class Child:
    """A process on the port, started for this keeper or for the one before it.

    release: the folder. unit: systemd's, which ends all that the process has started when the
    process ends. control: our end of the channel to its runner, None until the process is there.
    """

    def __init__(self, port: int, release: str, settings: dict[str, Any], unit: str) -> None:
        self.port, self.release, self.settings, self.unit = port, release, settings, unit
        self.control: socket.socket | None = None
        self.pid = 0
        self.pidfd = -1
        self.cgroup = ""
        self.state = State.STARTING
        self.begun = self.since = time.monotonic()
        self.start_watch = systemd.Stopwatch("", self.begun)
        self.looked = 0.0  # when systemd was last asked about the unit
        self.adopted = False
        self.told_to_accept = False
        self.listens = False  # whether the program has asked for its port
        self.reason = ""  # why this process is not to be trusted
        self.wrong = ""  # what the last health check found
        self.others: list[int] = []  # further ports that the program has opened
        self.unix = ""  # path of a Unix socket that it has opened
        self.foreign = ""  # what it has opened without Tornado, in words
        self.load: dict[str, int] = {}  # what the runner last said: requests, connections, websockets
        self.health = Health(settings["health_path"])
        self.next_probe = 0.0
        self.ping_watch = systemd.Stopwatch("", self.begun)  # since the last ping
        self.answered = self.begun  # when the runner last said something
        self.unknown = False  # adopted, and not heard of yet
        self.drain_begun = 0.0
        self.deadline: float | None = None  # when it is killed, whatever it does
        self.forced = False  # whether that was necessary
        self.killed = False
        self.stopped = False
        self.end: dict[str, str] = {}  # what systemd says of its end

    @classmethod
    def start(cls, port: int, release: str, units: str) -> Self:
        """Let systemd start a process of the release. OSError: it can't be started.

        units: prefix of the units' names. The process comes to the keeper by itself, see attach().
        """
        settings = settings_of(release)
        number = int(time.monotonic() * 1000)
        child = cls(port, release, settings, f"{units}@{port}-{os.path.basename(release)}-{number}.service")
        systemd.start(child.unit)
        return child

    @classmethod
    def adopt(cls, port: int, release: str, pid: int, unit: str, control: socket.socket) -> Self:
        """Take over a process that was started for an earlier keeper. OSError: it has ended."""
        child = cls(port, release, settings_of(release), unit)
        child.attach(control, pid, systemd.show(unit))
        child.listens = child.unknown = child.adopted = True
        child.state = State.SERVING
        child.send({"do": "who"})
        return child

    @classmethod
    def find(cls, port: int, release: str, unit: str) -> Self:
        """A process that served for an earlier keeper, whose channel is gone: it drains by itself.

        OSError, ValueError: there is none, or it has never accepted.
        """
        child = cls(port, release, settings_of(release), unit)
        child.pid = int(systemd.show(unit).get("MainPID", "0"))
        with open(f"/proc/{child.pid}/oom_score_adj", encoding="ascii") as file:
            if file.read().strip() == CANDIDATE_OOM_SCORE:
                raise ProcessLookupError(f"process {child.pid} serves nobody")
        child.pidfd = os.pidfd_open(child.pid)
        child.listens = child.adopted = True
        child.state, child.drain_begun = State.DRAINING, time.monotonic()
        child.deadline = child.drain_begun + child.settings["drain_timeout"] + EXIT_TIMEOUT
        return child

    def attach(self, control: socket.socket, pid: int, unit: dict[str, str]) -> None:
        """The process is there: its channel, its number, what systemd says of its unit."""
        self.pidfd = os.pidfd_open(pid)
        self.control, self.pid = control, pid
        self.control.setblocking(False)
        self.cgroup = self.start_watch.cgroup = unit.get("ControlGroup", "")

    @property
    def number(self) -> int:
        """When it was started, in milliseconds since the boot."""
        return int(self.unit.removesuffix(".service").rpartition("-")[2])

    @property
    def name(self) -> str:
        """What systemd stores the channel by; an adopting keeper learns all from it."""
        return f"child-{self.pid}-{self.number}-{os.path.basename(self.release)}"

    def look(self, now: float) -> dict[str, str]:
        """What systemd says of the unit; {} if it was asked just before."""
        if now - self.looked < UNIT_INTERVAL:
            return {}
        self.looked = now
        return systemd.show(self.unit)

    def send(self, message: Message, handed: socket.socket | None = None) -> bool:
        """Send the runner a message, with a socket or without: whether it is on its way."""
        if self.control is None:
            return False
        rights = []
        if handed is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handed.fileno()]))]
        # Its end is noticed by the pidfd, its silence by the watchdog.
        with contextlib.suppress(OSError):
            self.control.sendmsg([json.dumps(message).encode()], rights)
            return True
        return False

    def messages(self) -> Iterator[tuple[Message, socket.socket | None]]:
        """New messages of the runner, each with a socket or None. InvalidMessage: that was no runner."""
        for _one in range(MAX_MESSAGES):
            if self.control is None:
                return
            try:
                data, handed, flags, _address = socket.recv_fds(self.control, MAX_MESSAGE_SIZE, 1)
            except OSError:
                return
            for further in handed[1:]:
                os.close(further)
            try:
                brought = socket.socket(fileno=handed[0]) if handed else None
            except OSError as problem:
                os.close(handed[0])
                raise InvalidMessage from problem
            if not data:
                return
            try:
                if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                    raise InvalidMessage
                message = parse(data)
                if brought and message["is"] != "opened":
                    raise InvalidMessage
            except InvalidMessage:
                if brought:
                    brought.close()
                raise
            yield message, brought

    def hear(self, message: Message) -> None:
        """Note what one message says."""
        self.answered = time.monotonic()
        self.load = message.get("load", self.load)
        if message["is"] == "listening":
            self.listens = True
        elif message["is"] == "bound":
            self.unix = message.get("reason", "")
        elif message["is"] == "foreign":
            self.foreign = message.get("reason", "")
        elif message["is"] == "refused":
            self.reason = message.get("reason") or "refused its port"
        elif message["is"] == "accepting" and self.told_to_accept:
            self.state, self.since = State.SERVING, self.answered
        elif message["is"] == "drained":
            self.deadline = min(self.deadline or self.answered + EXIT_TIMEOUT, self.answered + EXIT_TIMEOUT)

    def prove(self, now: float) -> None:
        """Ask for its health until it serves or has failed."""
        if self.state not in (State.STARTING, State.PROVEN) or self.reason:
            return
        if self.state == State.STARTING and self.start_watch.over(now, self.settings["start_timeout"]):
            self.reason = self.why_not_proven()
        elif self.health.question:
            wrong = self.health.read()
            if wrong is None:
                return
            self.next_probe, self.wrong = now + PROBE_INTERVAL, wrong
            if wrong and self.state == State.PROVEN:
                if select.select([self.pidfd], [], [], EXIT_NOTICE_TIMEOUT)[0]:
                    return  # it has died meanwhile: how it died is the better reason
                self.reason = f"was well at first, then not ({wrong})"
            elif not wrong and self.state == State.STARTING:
                self.state, self.since = State.PROVEN, now
        elif self.listens and now >= self.next_probe and not self.health.ask(self):
            # The kernel had no room for it: that says nothing about the process.
            self.next_probe = now + PROBE_INTERVAL

    def why_not_proven(self) -> str:
        """What was missing until its time was up."""
        limit = f"within {self.settings['start_timeout']} s"
        if not self.pid:
            return f"was not begun {limit}: the host is too busy, or other processes of the app hold it up"
        if self.listens:
            return f"is not well {limit} ({self.wrong or self.health.says()})"
        elsewhere = (
            f" (the program listens on the Unix socket {self.unix}: let it listen on {{port}})"
            if self.unix
            else ""
        )
        if self.others:
            ports = ", ".join(map(str, self.others))
            elsewhere = (
                f" (the program listens on {ports}: tell it {{port}}, or name that in tornado_app_listens_on)"
            )
        slow = " (tornado_app_start_timeout is how long it may take)"
        return f"did not listen {limit}{elsewhere or self.without_tornado() or slow}"

    def without_tornado(self) -> str:
        """What makes it look as if it were no program of Tornado's, in words; "" where nothing does."""
        if not self.foreign or self.listens or self.others:
            return ""
        return f" (it has opened {self.foreign} without Tornado, whose servers alone can be run)"

    def settled(self, now: float) -> bool:
        """Whether it has stayed well for long enough to take over."""
        return (
            self.state == State.PROVEN
            and now - self.since >= self.settings["settle_time"]
            and not self.health.question
        )

    def ping(self, now: float) -> bool:
        """Ask whether its loop turns; True if it has not turned for too long.

        Asked every eighth of the watchdog's time or oftener, and given three quarters to answer,
        by a keeper that looks every sixteenth: a process is replaced within that time.
        """
        limit: float = self.settings["watchdog"]
        interval = min(limit / 8 or PING_INTERVAL, PING_INTERVAL)
        asked = self.ping_watch.begun
        if now - asked >= interval and self.answered >= asked:
            self.ping_watch = systemd.Stopwatch(self.cgroup, now)
            self.send({"do": "ping"})
        if not limit or self.killed or self.answered >= self.ping_watch.begun:
            return False
        return self.ping_watch.over(now, limit * 0.75, limit)

    def drain(self, now: float, successor: "Child | None" = None, close: bool = False) -> None:
        """Let it finish what is in flight; idle connections go to the successor, if there is one.

        close: the port goes as well. Clients that still connect are refused at once, and so try
        elsewhere, instead of waiting for a socket that is about to be closed.
        """
        seconds = self.settings["drain_timeout"]
        self.state, self.drain_begun = State.DRAINING, now
        self.deadline = now + seconds + EXIT_TIMEOUT
        message = {"do": "drain", "seconds": seconds, "close": close}
        handed, taken = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with handed, taken:
            if successor and successor.send({"do": "adopt"}, taken) and self.send(message, handed):
                return
        # Nobody follows, or the kernel has no room for a descriptor in flight: idle connections are
        # closed. Unheard, it would accept until it is killed.
        self.send(message)

    def has_ended(self, now: float) -> bool:
        """Whether the process is gone; ``end`` says how."""
        if self.state == State.ENDED:
            return True
        if self.pidfd >= 0 and not select.select([self.pidfd], [], [], 0)[0]:
            return False
        if self.pidfd < 0:
            unit = self.look(now)
            # A unit is inactive before systemd has started it, too.
            overdue = self.killed or now - self.begun > UNIT_TIMEOUT
            ended = unit.get("ActiveState") == "failed" or (overdue and unit.get("ActiveState") == "inactive")
        else:
            # systemd knows how, a moment after the kernel has said that it did.
            unit = systemd.show(self.unit)
            ended = bool(unit) and unit.get("MainPID") != str(self.pid)
        self.end = unit
        return ended

    def is_stopped(self) -> bool:
        """Whether somebody has sent it SIGSTOP, so that it can't answer."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/stat", encoding="latin-1") as file:
            self.stopped = self.stopped or file.read().rpartition(")")[2].split()[0] == "T"
        return self.stopped

    def meddled_with(self) -> bool:
        """Whether neither the keeper nor the kernel ended or stopped it.

        Then it was a process of the app's own account, or root.
        """
        if self.stopped:
            return True
        if self.killed or self.end.get("ExecMainCode") not in systemd.SIGNALLED:
            return False
        memory = self.end.get("MemoryMax", "infinity") != "infinity" and not systemd.ONE_HIERARCHY
        return (
            self.end.get("Result") == "signal"
            and int(self.end["ExecMainStatus"]) in SENT_SIGNALS
            and not memory
        )

    def is_gone(self, now: float) -> bool:
        """After its end: whether nothing is left of what it has started."""
        unit = self.look(now)
        return bool(unit) and unit.get("ActiveState") in ("inactive", "failed")

    def close(self) -> None:
        """After its end: forget it. systemd ends what it has started: SIGTERM, SIGKILL after EXIT_TIMEOUT."""
        self.state, self.since = State.ENDED, time.monotonic()
        if self.pidfd >= 0:
            os.close(self.pidfd)
        if self.control:
            self.control.close()
        self.health.close()

    def kill(self) -> None:
        """End it at once, and what it has started."""
        self.killed = True
        if self.pidfd < 0:
            systemd.stop(self.unit)
        systemd.kill(self.unit, "KILL")

    def abort(self, now: float) -> None:
        """End one that hangs; it writes into the journal where it stands, if it still can."""
        self.killed = True
        self.deadline = now + self.settings["watchdog"] / 16
        systemd.kill(self.unit, "ABRT", "main")

    def how_it_ended(self) -> str:
        """The end in words: "exited with status 1"."""
        status = self.end.get("ExecMainStatus", "")
        if self.end.get("Result") == "oom-kill":
            return "was ended by the kernel, since its memory was used up"
        if self.end.get("ExecMainCode") in systemd.SIGNALLED:
            return f"was ended by {signal.Signals(int(status)).name}"
        # A program may exit with any of them as well, and -1 is 255: one that has come to us was started.
        if self.end.get("Result") == "exit-code" and int(status) in systemd.NOT_STARTED and not self.pid:
            return f"was not started by systemd (status {status}, see systemctl status {self.unit})"
        return f"exited with status {status or 0}"
