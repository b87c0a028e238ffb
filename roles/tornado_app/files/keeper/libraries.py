"""Replace the app's processes that still run what an update of the host has replaced.

    libraries.py APP    the process of tornado-<app>-libraries.service, which a timer starts

A library, or the interpreter, that dpkg has replaced stays in memory as it was, with its holes. One port
after the other is swapped as a release does it, then the workers are started again.

What a process has mapped is told by itself, and a program may say anything: it is compared with what
root has done to that path since the process was started. A process that has just come is therefore never
outdated, whatever it says, and each change of the host replaces it once at most.

Not by needrestart: that reads what a program says of itself as root, and ends it by stop and start.
"""

import contextlib
import fcntl
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keeper  # what follows an update is loaded here first: a broken Python ends this, and no keeper
import systemd
from child import settings_of
from commands import peer

NOTICE, ERROR = keeper.NOTICE, keeper.ERROR
RUN = "/run"
PLACES = ("/usr/", "/opt/")  # where libraries and interpreters come from; a program writes elsewhere
DELETED = " (deleted)"  # proc_pid_maps(5): the file that was mapped has that name no more
MOST_BYTES = 8 << 20  # of what one process has mapped
MOST_PROCESSES = 512  # of one unit
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
ANSWER_TIMEOUT = 5.0  # seconds for the status of a keeper
LIMITS = ("start_timeout", "settle_time", "drain_timeout")
MARGIN = 60.0  # seconds beyond a release's own limits


class Later(Exception):
    """Why nothing is replaced now; the timer comes again."""


class Failure(Exception):
    """Why one could not be replaced."""


# What a process has mapped, against what the host has.


def deleted(text: bytes) -> list[str]:
    """Paths of the programs and libraries in /proc/PID/maps that are not what was mapped any more."""
    found = []
    for line in text.split(b"\n"):
        words = line.split(None, 5)
        if len(words) < 6 or b"x" not in words[1]:
            continue  # data, as locales and caches are, or memory without a file
        path = os.fsdecode(words[5])
        name = path.removesuffix(DELETED)
        # As the kernel writes paths, and fit for a terminal.
        known = name.startswith(PLACES) and name == os.path.normpath(name) and name.isprintable()
        if name != path and known and name not in found:
            found.append(name)
    return found


def changed(path: str) -> float:
    """When root has put another file in a path's place, or taken it away, in seconds since 1970.

    0 where others than root can do so, or what is there is no file.
    """
    last = 0.0
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        try:
            found = os.lstat("/".join(parts[:count]) or "/")
        except OSError:
            return last
        wanted = stat.S_ISREG if count == len(parts) else stat.S_ISDIR
        if not wanted(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            return 0.0
        last = found.st_ctime if count == len(parts) else found.st_mtime
    return last


def started(pid: int) -> float:
    """When a process was started, in seconds since 1970. OSError, ValueError: it is gone."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # Its name stands in brackets, and may have some of its own.
        words = file.read().rpartition(b")")[2].split()
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + int(words[19]) / os.sysconf("SC_CLK_TCK")


def outdated(pid: int, pids: list[int]) -> str:
    """What of a unit's processes was replaced after its first one was started: a path, or "".

    pid: of the first. A child may be younger than what it has inherited.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        begun = started(pid)
        for one in [pid, *pids][:MOST_PROCESSES]:
            with contextlib.suppress(OSError), open(f"/proc/{one}/maps", "rb") as file:
                for path in deleted(file.read(MOST_BYTES)):
                    if changed(path) > begun:
                        return path
    return ""


def processes(cgroup: str) -> list[int]:
    """The processes of a unit. cgroup: its ControlGroup=."""
    # The others are where a host still has the first version of cgroups.
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"):
        with contextlib.suppress(OSError, ValueError), open(f"{root}{cgroup}/cgroup.procs") as file:
            return [int(line) for line in file]
    return []


def outdated_unit(unit: dict[str, str]) -> str:
    """The same of a unit, by what systemd.show() says of it."""
    pid = int(unit.get("MainPID") or 0)
    return outdated(pid, processes(unit.get("ControlGroup", ""))) if pid else ""


# Who else is at work.


def dpkg_runs() -> bool:
    """Whether packages are being installed: what is half unpacked is nothing to start with."""
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    for path in LOCKS:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            # Asked, and not tried: apt gives up at once where another process has it for a moment.
            answer = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
            if answer[0] != fcntl.F_UNLCK:
                return True
    return False


@contextlib.contextmanager
def locked(path: str, kind: int) -> Iterator[None]:
    """Hold a lock of root's. Later: somebody else does."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, kind)
        yield
    except BlockingIOError:
        raise Later("a run changes the app") from None
    finally:
        os.close(file)


@contextlib.contextmanager
def step(app: str) -> Iterator[None]:
    """Be the only one that changes the app, as a step of a deploy is. Later: it is not the time.

    A deploy that begins meanwhile waits for the end of it.
    """
    if dpkg_runs():
        raise Later("packages are being installed")
    with locked(f"{RUN}/{app}.step", fcntl.LOCK_EX | fcntl.LOCK_NB):
        with locked(f"{RUN}/{app}.lock", fcntl.LOCK_SH | fcntl.LOCK_NB):
            pass
        yield


# Replacing.


def restart(unit: str, timeout: float) -> None:
    """Let systemd start a unit again. Failure: it did not."""
    try:
        done = subprocess.run(
            ["systemctl", "restart", unit], capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"it is not done within {timeout:.0f} s") from None
    if done.returncode != 0:
        raise Failure(" ".join(done.stderr.split()))


class Port:
    """One port of the app. service: the keeper's unit, as loaded() names it."""

    def __init__(self, home: str, app: str, service: str) -> None:
        self.home, self.app, self.service = home, app, service
        self.number = service.removesuffix(".service").rpartition("@")[2]
        self.name = f"port {self.number}"
        self.keeper = systemd.show(service)
        self.status = self.ask(ANSWER_TIMEOUT, do="status")
        self.pid = int(self.status.get("pid") or 0)
        self.keeper_path = outdated_unit(self.keeper)
        self.path = self.keeper_path or self.process_path()

    def ask(self, timeout: float, **message: Any) -> dict[str, Any]:
        """What the keeper says to one command; {} where none answers."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.suppress(OSError, ValueError), channel:
            channel.settimeout(timeout)
            channel.connect(f"{RUN}/{self.app}/{self.number}.sock")
            # As it is now, after a restart as well.
            if str(peer(channel)) == systemd.show(self.service).get("MainPID"):
                channel.send(json.dumps(message).encode())
                answer = json.loads(channel.recv(65536))
                return answer if isinstance(answer, dict) else {}
        return {}

    def process_path(self) -> str:
        """What is outdated of the process that serves; "" for nothing. One that drains ends anyway."""
        for unit in systemd.loaded(f"{self.app}-worker@{self.number}-*") if self.pid else ():
            found = systemd.show(unit)
            if found.get("MainPID") == str(self.pid):
                return outdated_unit(found)
        return ""

    def replace(self) -> str:
        """Swap it to the release that it runs; who has taken over. Failure: why nobody has."""
        release = str(self.status.get("release", ""))
        try:
            limits = settings_of(os.path.join(self.home, "releases", release)) if release else {}
        except (OSError, ValueError) as problem:
            raise Failure(f"its release can't be read ({problem})") from problem
        # Three times the first, where it waits for a processor.
        start, settle, drain = (limits.get(name, 0) for name in LIMITS)
        timeout = MARGIN + 3 * start + settle + drain
        if self.keeper_path:
            # The next keeper takes the process over and swaps it too.
            restart(self.service, timeout)
            status = self.ask(ANSWER_TIMEOUT, do="status")
            if not status or (self.pid and status.get("pid") == self.pid):
                raise Failure(str(status.get("refused") or "its keeper does not answer"))
            return f"keeper and process {status.get('pid')}"
        answer = self.ask(timeout, do="swap", release=release)
        if not answer.get("ok"):
            raise Failure(f"release {release} {answer.get('reason') or 'got no answer of the keeper'}")
        return f"process {answer.get('pid')}"


class Worker:
    """One worker of the app. service: its unit."""

    def __init__(self, home: str, app: str, service: str) -> None:
        self.home, self.service = home, service
        self.name = "worker " + service.removeprefix(f"{app}_").removesuffix(".service")
        self.unit = systemd.show(service)
        self.pid = int(self.unit.get("MainPID") or 0)
        self.path = outdated_unit(self.unit)

    def replace(self) -> str:
        """End it, in the time that it may take for that, and start it again; see Port.replace()."""
        try:
            settings = settings_of(os.path.join(self.home, "current"))
        except (OSError, ValueError) as problem:
            raise Failure(f"its release can't be read ({problem})") from problem
        limits = [one["stop_timeout"] for one in settings.get("workers", [])]
        restart(self.service, MARGIN + max(limits, default=0))
        pid = systemd.show(self.service).get("MainPID")
        time.sleep(settings["settle_time"])
        if pid in (None, "0") or systemd.show(self.service).get("MainPID") != pid:
            raise Failure("the new one has ended; systemd starts it again and again")
        return f"process {pid}"


def all_of(home: str, app: str) -> Iterator[Callable[[], Port | Worker]]:
    """How ports, then workers, are looked at."""
    ports = systemd.loaded(f"{app}@*.service")
    for service in sorted(ports, key=lambda one: (len(one), one)):
        yield partial(Port, home, app, service)
    for service in sorted(systemd.loaded(f"{app}_*@*.service")):
        yield partial(Worker, home, app, service)


def main() -> int:
    """systemd calls this."""
    app = sys.argv[1]
    home = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
    for look in all_of(home, app):
        if not (one := look()).path:
            continue
        what = f"{one.name} of {app} runs {one.path} as it was before an update"
        try:
            # One app of the host at a time.
            with locked(f"{RUN}/tornadoes-libraries.lock", fcntl.LOCK_EX), step(app):
                # A deploy may have been faster, and not even the release is the same.
                if not (one := look()).path:
                    continue
                now = one.replace()
        except Later as problem:
            keeper.log(NOTICE, f"{what}. It is replaced later, since {problem}.")
            return 0
        except Failure as problem:
            keeper.log(
                ERROR,
                f"{what} and was not replaced: {problem}. What ran goes on where it can, and nothing after it"
                f" was touched. journalctl -u '{app}*' tells more; the timer tries again.",
            )
            return 1
        keeper.log(NOTICE, f"{what}: process {one.pid} was replaced by {now}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
