"""One process of the app as its keeper sees it: start, health, messages, end."""

import array
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Self

from systemd import waited

Message = dict[str, Any]  # one packet between keeper and runner, from JSON

PROBE_TIMEOUT = 5.0  # seconds for one answer of the health path
PROBE_INTERVAL = 0.25  # seconds between two probes of a process that shall prove itself
GRACE = 5.0  # seconds between "my requests are done" and SIGKILL
LAST_BREATH = 0.3  # seconds from the cut of a connection to the end of the process that did it, at most

# A process is STARTING until its health path answers 200 for the first time, PROVEN
# until it is let at the port, then SERVING, DRAINING, and ENDED.
STARTING, PROVEN, SERVING, DRAINING, ENDED = "starting", "proven", "serving", "draining", "ended"


def settings_of(release: str) -> dict[str, Any]:
    """What the release in a folder says of itself. OSError, ValueError: there is none.

    health_path; in seconds start_timeout, settle_time, drain_timeout, watchdog (0: off).
    """
    with open(os.path.join(release, ".release", "settings.json"), encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
    return settings


class Probe:
    """One health check, on a connection that nobody but this process can answer."""

    def __init__(self, child: "Child", path: str) -> None:
        self.begun = time.monotonic()
        self.answer = b""
        self.near, far = socket.socketpair()
        self.near.setblocking(False)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{child.port}\r\nConnection: close\r\n\r\n"
        self.near.send(request.encode())
        child.send({"do": "probe"}, far)
        far.close()

    def read(self) -> str | None:
        """None while there is no answer, "" if the process is well, else what is wrong."""
        try:
            data = self.near.recv(4096)
        except BlockingIOError:
            late = time.monotonic() - self.begun > PROBE_TIMEOUT
            return f"gave no answer within {PROBE_TIMEOUT:.0f} s" if late else None
        except OSError as problem:
            return f"cut the connection ({problem.strerror})"
        self.answer += data
        first, end, _rest = self.answer.partition(b"\r\n")
        if not end and data:
            return None
        words = first.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            return "gave no HTTP answer"
        return "" if words[1] == b"200" else f"answered {words[1].decode('latin-1')}, not 200"

    def close(self) -> None:
        self.near.close()


class Child:
    """A process on the port, started by this keeper or by the one before it.

    release: the folder. control: our end of the channel to its runner. popen: None where
    an earlier keeper has started it.
    """

    def __init__(
        self,
        port: int,
        release: str,
        settings: dict[str, Any],
        control: socket.socket,
        pid: int,
        popen: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.port, self.release, self.settings = port, release, settings
        self.control, self.pid, self.popen = control, pid, popen
        self.control.setblocking(False)
        self.pidfd = os.pidfd_open(pid)
        self.state = STARTING
        self.begun = self.since = time.monotonic()
        # The same in milliseconds, for later keepers, from which the sandbox hides its /proc.
        self.begun_at = int(self.begun * 1000)
        self.listens = False  # whether the program has asked for its port
        self.reason = ""  # why this process is not to be trusted
        self.wrong = ""  # what the last health check found
        self.others: list[int] = []  # further ports that the program has opened
        self.load: dict[str, int] = {}  # what the runner last said: requests, connections, websockets
        self.probe: Probe | None = None
        self.next_probe = 0.0
        self.asked = self.answered = time.monotonic()  # the last ping, the last answer
        self.waited = 0.0  # as waited() was at the last ping
        self.unknown = False  # adopted, and not heard of yet
        self.drain_begun = 0.0
        self.deadline: float | None = None  # when it is killed, whatever it does
        self.forced = False  # whether that was necessary
        self.killed = False
        self.exit_status: int | None = None

    @classmethod
    def start(cls, port: int, release: str, listener: socket.socket) -> Self:
        """Start the release on the kept socket. OSError: it can't be started."""
        settings = settings_of(release)
        control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "TORNADO_APP_KEEPER": f"{far.fileno()} {listener.fileno()}"}
        words = ["/usr/bin/python3", "-IS", os.path.join(release, ".release", "launcher.py"), str(port)]
        try:
            # A session of its own: what the program starts in turn ends with it.
            popen = subprocess.Popen(
                words,
                env=environment,
                pass_fds=(far.fileno(), listener.fileno()),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            far.close()
        child = cls(port, release, settings, control, popen.pid, popen)
        child.prefer_to_kill(True)
        return child

    @classmethod
    def adopt(cls, port: int, release: str, pid: int, begun_at: int, control: socket.socket) -> Self:
        """Take over a process that an earlier keeper started. OSError: it has ended."""
        child = cls(port, release, settings_of(release), control, pid)
        child.begun_at = begun_at
        child.listens = child.unknown = True
        child.state = SERVING
        child.send({"do": "who"})
        return child

    @property
    def name(self) -> str:
        """What systemd stores the channel by; an adopting keeper learns all from it."""
        return f"child-{self.pid}-{self.begun_at}-{os.path.basename(self.release)}"

    def send(self, message: Message, handed: socket.socket | None = None) -> None:
        """Tell the runner something, with a socket or without; a dead one hears nothing."""
        rights = []
        if handed is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handed.fileno()]))]
        # Its end is noticed by the pidfd, its silence by the watchdog.
        with contextlib.suppress(OSError):
            self.control.sendmsg([json.dumps(message).encode()], rights)

    def messages(self) -> Iterator[Message]:
        """What the runner has said since."""
        while True:
            try:
                data = self.control.recv(65536)
            except OSError:
                return
            if not data:
                return
            yield json.loads(data)

    def hear(self, message: Message) -> None:
        """Note what one message says."""
        self.answered = time.monotonic()
        self.load = message.get("load", self.load)
        if message["is"] == "listening":
            self.listens = True
        elif message["is"] == "refused":
            self.reason = message["reason"]
        elif message["is"] == "accepting":
            self.state, self.since = SERVING, self.answered
        elif message["is"] == "drained":
            self.deadline = min(self.deadline or self.answered + GRACE, self.answered + GRACE)

    def prove(self, now: float) -> None:
        """Ask for its health until it is PROVEN, and on until it SERVES or has failed."""
        if self.state not in (STARTING, PROVEN) or self.reason:
            return
        path = self.settings["health_path"]
        if self.state == STARTING and now - self.begun > self.settings["start_timeout"]:
            self.reason = self.why_not_proven()
        elif self.probe:
            wrong = self.probe.read()
            if wrong is None:
                return
            self.probe.close()
            self.probe, self.next_probe, self.wrong = None, now + PROBE_INTERVAL, wrong
            if wrong and self.state == PROVEN:
                if select.select([self.pidfd], [], [], LAST_BREATH)[0]:
                    return  # it has died under the question: how, is the better reason
                self.reason = f"was well at first, then {path} {wrong}"
            elif not wrong and self.state == STARTING:
                self.state, self.since = PROVEN, now
        elif self.listens and now >= self.next_probe:
            self.probe = Probe(self, path)

    def why_not_proven(self) -> str:
        """What was missing until its time was up."""
        limit = f"within {self.settings['start_timeout']} s"
        if self.listens:
            return f"is not well {limit}: {self.settings['health_path']} {self.wrong or 'gave no answer'}"
        elsewhere = f" (it listens on {', '.join(map(str, self.others))})" if self.others else ""
        return f"did not listen on port {self.port} {limit}{elsewhere}"

    def settled(self, now: float) -> bool:
        """Whether it has stayed well for long enough to be let at the port."""
        return self.state == PROVEN and now - self.since >= self.settings["settle_time"] and not self.probe

    def ping(self, now: float) -> bool:
        """Ask whether its loop turns; True if it has not turned for too long.

        Asked every eighth of the watchdog's time and given three quarters to answer, by a
        keeper that looks every sixteenth: a process is replaced within that time. Time in
        which this service waited for a processor does not count, up to twice the limit: to
        kill who only waits would add to the load that it waits for.
        """
        limit: float = self.settings["watchdog"]
        if now - self.asked >= (limit or 40) / 8 and self.answered >= self.asked:
            self.asked, self.waited = now, waited()
            self.send({"do": "ping"})
        if not limit or self.killed or self.answered >= self.asked or now - self.asked <= limit * 0.75:
            return False
        return now - self.asked - min(waited() - self.waited, limit * 2) > limit * 0.75

    def drain(self, now: float, successor: "Child | None" = None, close: bool = False) -> None:
        """Let it finish what it has; idle connections go to the successor, if there is one.

        close: the port goes as well. Who still connects is refused at once, and so asks
        elsewhere, instead of waiting for a socket that is about to be closed.
        """
        seconds = self.settings["drain_timeout"]
        self.state, self.drain_begun = DRAINING, now
        self.deadline = now + seconds + GRACE
        handed = None
        if successor:
            handed, taken = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            successor.send({"do": "adopt"}, taken)
            taken.close()
        self.send({"do": "drain", "seconds": seconds, "close": close}, handed)
        if handed:
            handed.close()

    def prefer_to_kill(self, first: bool) -> None:
        """Tell the kernel whom to kill when memory runs out: the newcomer first."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/oom_score_adj", "w") as file:
            file.write("500" if first else "0")

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        if self.state == ENDED:
            return True
        if self.popen:
            if self.popen.poll() is None:
                return False
            self.exit_status = self.popen.returncode
        else:
            try:
                signal.pidfd_send_signal(self.pidfd, 0)
                return False
            except ProcessLookupError:
                pass
        return True

    def close(self) -> None:
        """After its end: tell what it has started to go as well, and forget it."""
        self.signal_group(signal.SIGTERM)
        self.state, self.since = ENDED, time.monotonic()
        os.close(self.pidfd)
        self.control.close()
        if self.probe:
            self.probe.close()

    def kill(self) -> None:
        """End it at once, and what it has started."""
        self.killed = True
        self.signal_group(signal.SIGKILL)

    def abort(self, now: float) -> None:
        """End one that hangs; it tells the journal first where it stands, if it can still do that."""
        self.killed = True
        self.deadline = now + self.settings["watchdog"] / 16
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGABRT)

    def is_alone(self) -> bool:
        """After its end: whether nothing is left of what it has started."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and what it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def how_it_ended(self) -> str:
        """The end in words: "exited with status 1"."""
        if self.exit_status is None:
            return "ended"
        if self.exit_status < 0:
            return f"was ended by {signal.Signals(-self.exit_status).name}"
        return f"exited with status {self.exit_status}"
