"""What the keeper says to systemd and gets from it: sd_notify(3), sd_listen_fds(3), systemctl(1)."""

import array
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator, MutableMapping

FIRST_FD = 3  # sd_listen_fds(3): descriptors start here
BACKLOG = 4096  # as in the socket unit
SO_DETACH_FILTER = 27  # socket(7); no name in Python
SYSTEMCTL_TIMEOUT = 5.0  # seconds; systemd itself may be busy for a moment
CLOSE_TIMEOUT = 0.2  # seconds to close a descriptor that a program has sent
SIGNALLED = ("2", "3")  # ExecMainCode= of a process that a signal has ended (CLD_KILLED, CLD_DUMPED)
NOT_STARTED = range(200, 246)  # ExecMainStatus= where systemd has failed before the program, systemd.exec(5)
# Only there the kernel tells systemd whom it has ended for want of memory.
ONE_HIERARCHY = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def inherited() -> list[tuple[str, socket.socket]]:
    """The sockets that systemd passed to this process, with their names."""
    ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = int(os.environ.pop("LISTEN_FDS", "0")) if ours else 0
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    found = []
    for fd in range(FIRST_FD, FIRST_FD + count):
        os.set_inheritable(fd, False)
        found.append((names[fd - FIRST_FD], socket.socket(fileno=fd)))
    return found


@contextlib.contextmanager
def interrupting_close() -> Iterator[None]:
    """Close descriptors that a program may hold open as well, without waiting for any of them.

    The last process to close a connection with SO_LINGER waits for up to an hour, even where the
    connection is in flight in another socket. A signal ends the kernel's wait.
    """
    signal.setitimer(signal.ITIMER_REAL, CLOSE_TIMEOUT, CLOSE_TIMEOUT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def restore(listener: socket.socket) -> None:
    """Let a port listen again, whatever the keeper before was told.

    Where the stop of a socket is called off by a start, systemd keeps what commands.deafen()
    and a closing process have left. What a program has made of it that can't be undone is found by
    who deploys the next release.
    """
    with contextlib.suppress(OSError):  # ENOENT, nearly always
        listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    with contextlib.suppress(OSError):
        listener.listen(BACKLOG)


def waited(cgroup: str) -> float:
    """Seconds in which a process of a unit could have run and had no processor, ever since.

    cgroup: ControlGroup= of the unit. 0 where the kernel does not count it.
    """
    # The second is where a host still has the first version of cgroups beside it.
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        with contextlib.suppress(OSError, ValueError), open(f"{root}{cgroup}/cpu.pressure") as file:
            return int(file.readline().rpartition("total=")[2]) / 1e6
    return 0.0


class Stopwatch:
    """How long a unit takes for something. cgroup: its ControlGroup=; "" while it has none.

    Time in which it waited for a processor does not count, up to twice a grace: ending a process that only
    waits would add to the load that it waits for.
    """

    def __init__(self, cgroup: str, now: float) -> None:
        self.cgroup, self.begun = cgroup, now
        self.before = waited(cgroup) if cgroup else 0.0

    def over(self, now: float, limit: float, grace: float | None = None) -> bool:
        """Whether that were more seconds than a limit. grace: the limit where it is not given."""
        seconds = now - self.begun
        if seconds <= limit or not self.cgroup:
            return seconds > limit
        most = 2 * (limit if grace is None else grace)
        return seconds - min(waited(self.cgroup) - self.before, most) > limit


def systemctl(*words: str) -> str:
    """What systemctl prints. OSError with its own sentence: it failed, or took too long."""
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, check=False, timeout=SYSTEMCTL_TIMEOUT
        )
    except subprocess.TimeoutExpired as problem:
        raise OSError(f"systemd gave no answer within {SYSTEMCTL_TIMEOUT:.0f} s") from problem
    if done.returncode != 0:
        raise OSError(" ".join(done.stderr.split()))
    return done.stdout


def start(unit: str) -> None:
    """Let systemd start a unit, and don't wait for it."""
    systemctl("start", "--no-block", unit)


def stop(unit: str) -> None:
    """Let systemd stop a unit, or not begin with it, and don't wait for it."""
    with contextlib.suppress(OSError):
        systemctl("stop", "--no-block", unit)


def kill(unit: str, name: str, whom: str = "all") -> None:
    """Signal what runs in a unit ("all"), or its first process ("main"); what is gone hears nothing."""
    with contextlib.suppress(OSError):
        systemctl("kill", f"--signal={name}", f"--kill-whom={whom}", unit)


def forget(unit: str) -> None:
    """Let a unit not stay listed only because it has failed."""
    with contextlib.suppress(OSError):
        systemctl("reset-failed", unit)


def end(units: Iterable[str]) -> None:
    """End all that runs in some units at once, and let nothing be left of them."""
    for unit in units:
        kill(unit, "KILL")
        with contextlib.suppress(OSError):
            systemctl("stop", unit)
        forget(unit)


def show(unit: str) -> dict[str, str]:
    """What systemd knows of a unit, by property; {} where it gives no answer."""
    names = "ActiveState,MainPID,ControlGroup,MemoryMax,Result,ExecMainCode,ExecMainStatus"
    try:
        lines = systemctl("show", f"--property={names}", unit).splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def loaded(pattern: str) -> list[str]:
    """The units that systemd has by a pattern; not those that only another unit has in mind, as by After=."""
    try:
        text = systemctl("list-units", "--all", "--plain", "--no-legend", pattern)
    except OSError:
        return []
    found = [line.split() for line in text.splitlines() if line.strip()]
    return [words[0] for words in found if words[1:3] != ["not-found", "inactive"]]


class Manager:
    """The channel to systemd; outside of it, every message goes nowhere.

    environ: mapping that names the channel; its entries are taken out, so that no
    child can speak for the service.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.settimeout(1)  # a systemd that does not listen must not stop us
        environ.pop("WATCHDOG_PID", None)
        # Fed twice in the time after which systemd would act, as sd_watchdog_enabled(3) says.
        self.watchdog = int(environ.pop("WATCHDOG_USEC", "0")) / 2e6

    def tell(self, *lines: str, descriptor: int | None = None) -> None:
        """Send one message; with a descriptor, systemd stores that for the next start."""
        if not self.address:
            return
        rights = []
        if descriptor is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        # A systemd that is just being replaced hears the next message, which says the same.
        with contextlib.suppress(OSError):
            self.channel.sendmsg(["\n".join(lines).encode()], rights, 0, self.address)

    def store(self, name: str, descriptor: int) -> None:
        """Store a descriptor over a restart of this process, by name."""
        self.tell("FDSTORE=1", f"FDNAME={name}", descriptor=descriptor)

    def forget(self, name: str) -> None:
        """Let systemd close what it stores by that name."""
        self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")
