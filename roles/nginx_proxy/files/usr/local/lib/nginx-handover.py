#!/usr/bin/python3 -IS
"""Hand nginx's listening sockets and clients from one master, and its workers, to the next.

systemd runs this around nginx (nginx.service.d/tornadoes.conf), as root. Sockets lie in its store of file
descriptors, which outlives a master. A restart ends the master alone: its workers serve on until the next
master's do, and are told to end then. Standard library only.

    handover.py before-start | started DIGEST | reload | stop | stopped
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator

DIGEST = "/run/nginx-handover"  # by which unit file which master was started
LEAVING = "nginx-leaving"
# Seconds in which answers tell their clients to come again on a new connection (leaving.conf of a release):
# one for workers to notice, four in which who sends a request is told. A request that was there before has
# that long to be answered, too.
LEAVE = 5
WORKERS_TIMEOUT = 60  # seconds until a master has workers, or has ended; it reads its configuration first
RELOAD_TIMEOUT = 10  # seconds until a master that reloads has new ones
ACCEPTING = 0.5  # seconds until new workers accept
QUIT_TIMEOUT = 5  # seconds for clients of an nginx that is to stop, as Debian's unit has it
TERM_TIMEOUT = 2  # seconds for nginx to close what is open then
RETRY = 2  # seconds after which a start that was refused is tried again, where nobody waits for it
MOST = 200  # descriptors in one message
PIDFD_GETFD = 438  # of every architecture; the C library of Debian 12 has no name for it


def read(path: str) -> str:
    """A small text file; empty where it has gone."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def main_pid() -> int:
    """The master that systemd knows, or 0."""
    return int(os.environ.get("MAINPID") or 0)


def cgroup(pid: str) -> str:
    """Where systemd has a process. It goes by the second version alone, where a host has it."""
    found = dict(line.split(":", 2)[1:] for line in read(f"/proc/{pid}/cgroup").splitlines())
    return found.get("", found.get("name=systemd", ""))


def running() -> dict[int, int]:
    """Pid to parent of nginx's processes in this unit."""
    own = cgroup("self")
    found = {}
    for path in glob.glob("/proc/[0-9]*"):
        name, _after, rest = read(f"{path}/stat").rpartition(")")
        state = rest.split()
        pid = os.path.basename(path)
        if name.endswith("(nginx") and state[0] != "Z" and cgroup(pid) == own:
            found[int(pid)] = int(state[1])
    return found


def workers(master: int) -> set[int]:
    """Processes that a master has started."""
    return {pid for pid, parent in running().items() if parent == master}


def former() -> set[int]:
    """Processes that a master has left."""
    found, master = running(), main_pid()
    return {pid for pid, parent in found.items() if pid != master and parent not in found}


def listens(one: socket.socket) -> bool:
    """Whether a socket is one that clients come to."""
    if one.type == socket.SOCK_STREAM:
        return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    if one.type != socket.SOCK_DGRAM or one.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        one.getpeername()
    except OSError:
        return int(one.getsockname()[1]) != 0
    return False


def duplicate(pid: int, number: int) -> socket.socket:
    """A socket of another process, as one of this."""
    process = os.pidfd_open(pid)
    try:
        copied = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if copied < 0:
        problem = ctypes.get_errno()
        # Python makes the class of it by its number.
        raise OSError(errno.ENOENT if problem == errno.EBADF else problem, f"pidfd_getfd of {pid}")
    return socket.socket(fileno=copied)


def sockets(pids: Iterable[int]) -> list[socket.socket]:
    """The sockets on which processes listen, each once."""
    seen: set[str] = set()
    found = []
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            # A worker may end, or close it, meanwhile: that is no refusal of the kernel.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                target = os.readlink(path)
                if target.startswith("socket:") and target not in seen:
                    seen.add(target)
                    one = duplicate(pid, int(os.path.basename(path)))
                    if listens(one):
                        found.append(one)
    return found


def tell(message: str, found: Iterable[socket.socket] = ()) -> None:
    """Send systemd a message about the unit, with sockets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = os.environ["NOTIFY_SOCKET"]
        systemd.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        socket.send_fds(systemd, [message.encode()], [one.fileno() for one in found])


def store(found: list[socket.socket]) -> None:
    """Let these be the sockets that systemd gives the next master."""
    tell("FDSTOREREMOVE=1\nFDNAME=nginx")
    for first in range(0, len(found), MOST):
        tell("FDSTORE=1\nFDNAME=nginx", found[first : first + MOST])


def keep(pids: Iterable[int]) -> bool:
    """Let systemd have the sockets on which processes listen; whether the kernel allows it."""
    try:
        found = sockets(pids)
    except OSError as error:
        print(f"nginx's sockets can't be kept ({error}): clients are refused for a moment at a restart.")
        store([])
        return False
    if found:
        store(found)
    return True


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes; 0 is none."""
    for pid in filter(None, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def leaves() -> bool:
    """Whether the configuration in use tells clients to come again."""
    release = os.path.dirname(os.path.realpath("/etc/nginx/nginx.conf"))
    return f"/run/{LEAVING}" in read(f"{release}/snippets/leaving.conf")


@contextlib.contextmanager
def leaving(wanted: bool) -> Iterator[None]:
    """Tell clients to come again on a new connection, and give them time to.

    The folder that says so is systemd's: it goes whatever is killed.
    """
    stop = ["systemctl", "stop", "--quiet", f"{LEAVING}.service"]
    if wanted and leaves():
        subprocess.run(stop, stderr=subprocess.DEVNULL, check=False)
        words = [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={LEAVING}",
            f"--property=RuntimeDirectory={LEAVING}",
        ]
        subprocess.run([*words, "sleep", "60"], check=False)
        time.sleep(LEAVE)
    try:
        yield
    finally:
        subprocess.run(stop, stderr=subprocess.DEVNULL, check=False)


def wait(condition: Callable[[], object], seconds: float) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def job() -> str:
    """What systemd is about to do with nginx: restart, stop, or nothing that it was asked for."""
    words = ["systemctl", "list-jobs", "--plain", "--no-legend", "nginx.service"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return next((line.split()[2] for line in said.splitlines() if "nginx.service" in line), "")


def before_start() -> None:
    """Take the sockets of workers that serve on without a master."""
    left = former()
    if not keep(left):
        # They must let go what the next master is to bind.
        send(left, signal.SIGQUIT)


def started(digest: str) -> None:
    """Keep the sockets of the new master, and tell the former one's workers to end."""
    master = main_pid()
    wait(lambda: workers(master) or master not in running(), WORKERS_TIMEOUT)
    if not workers(master):
        return  # It does not start, or can't listen: whoever serves goes on.
    left = former()
    with open(DIGEST, "w", encoding="utf-8") as file:
        file.write(f"{digest} {master}")
    kept = keep([master])
    if left:
        # Those that drain already have told their clients.
        with leaving(kept and bool(sockets(left))):
            time.sleep(ACCEPTING)
            send(left, signal.SIGQUIT)
        time.sleep(ACCEPTING)


def reload() -> None:
    """Let the master read its configuration, of which new workers are the only proof."""
    master = main_pid()
    with leaving(True):
        old = workers(master)
        send([master], signal.SIGHUP)
        taken = wait(lambda: workers(master) - old, RELOAD_TIMEOUT)
        time.sleep(ACCEPTING)
    if not taken:
        sys.exit("nginx stays with what it had. Its error log tells why.")
    keep([master])


def stop() -> None:
    """End the master: alone, where another follows it."""
    master = main_pid()
    if job() == "restart":
        send([master], signal.SIGKILL)
        return
    # In store, sockets would take connections that nobody accepts any more, until all is over.
    tell("FDSTOREREMOVE=1\nFDNAME=nginx")
    for number, timeout in ((signal.SIGQUIT, QUIT_TIMEOUT), (signal.SIGTERM, TERM_TIMEOUT)):
        send([master], number)
        if wait(lambda: master not in running(), timeout):
            break


def stopped() -> None:
    """Say why nginx was not started; end what a master has left, if it was stopped."""
    result = os.environ.get("SERVICE_RESULT")
    if result == "exit-code":
        done = subprocess.run(["/usr/sbin/nginx", "-t", "-q"], capture_output=True, text=True, check=False)
        reason = " ".join(done.stderr.split())
        serving = "; its former processes serve on" if former() else ""
        tell(f"STATUS=nginx does not start{serving}: {reason}"[:1000])
        wait(lambda: job() == "stop", RETRY)
    asked = job()
    if asked == "stop" or (not asked and result == "success"):
        # Who stops nginx means all of it, a master that hung included.
        send(former(), signal.SIGTERM)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["before-start"]:
            before_start()
        case ["started", digest]:
            started(digest)
        case ["reload"]:
            reload()
        case ["stop"]:
            stop()
        case ["stopped"]:
            stopped()
        case _:
            sys.exit(__doc__)
