"""Whether a listening socket is as it was made, whatever the programs that had it told it.

Every process of a program gets the port's socket. What it changes there (sizes of buffers, filters,
time-outs) holds for the next release too, and some of it for good. Standard library only.
"""

import contextlib
import os
import pwd
import re
import socket
import sys

from .listeners import opened

BACKLOG = 4096  # as in the socket unit
LONGEST = 256  # bytes of one option
# Options that no program sets for its own good, by level, with the numbers of <asm-generic/socket.h>,
# <linux/in.h> and <linux/tcp.h>. Not all there are: a program that likes TCP_NODELAY or SO_KEEPALIVE sets
# it again in each release, and opening a new socket for that would cost requests at each deploy.
OPTIONS = {
    socket.SOL_SOCKET: (5, 7, 8, 13, 18, 25, 26, 30, 36, 44, 47),
    socket.IPPROTO_IP: (2, 21),
    socket.IPPROTO_TCP: (2, 3, 10, 18, 19),
}
# Only less than a new one has does harm.
BUFFERS = {(socket.SOL_SOCKET, socket.SO_SNDBUF), (socket.SOL_SOCKET, socket.SO_RCVBUF)}


def traits(listener):
    """What the kernel tells of a socket: (level, number) to bytes, or to the number of an error."""
    found = {}
    for level, numbers in OPTIONS.items():
        for number in numbers:
            try:
                found[level, number] = listener.getsockopt(level, number, LONGEST)
            except OSError as problem:
                found[level, number] = problem.errno
    return found


def spoiled(listener):
    """Options in which a socket differs from a new one of its kind: (level, number)."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as fresh:
        mine, its = traits(listener), traits(fresh)
    return sorted(
        one for one in its if mine[one] != its[one] and not (one in BUFFERS and larger(mine[one], its[one]))
    )


def larger(one, other):
    """Whether an option's value is more than another."""
    return int.from_bytes(one, sys.byteorder) > int.from_bytes(other, sys.byteorder)


def belongs(pid, unit, port):
    """Whether a process is in the units of an app's port, no matter what has started it."""
    units = rf"/system\.slice/(.*/)?{re.escape(unit)}(-worker@{port}-[^/]*|@{port})\.service$"
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        lines = file.read().splitlines()
        return any(re.search(units, line) and "/user.slice/" not in line for line in lines)
    return False


def holders(listener, unit, port, ours):
    """Who has a socket that is for systemd, its keeper and its port's processes alone, in words.

    A program can send it to any process that listens on a Unix socket. ours: pids that may have it.
    """
    found = []
    inode = str(os.fstat(listener.fileno()).st_ino)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if pid in {1, *ours} or belongs(pid, unit, port) or inode not in opened(pid):
            continue
        account = "an account that has ended"
        with contextlib.suppress(OSError, KeyError):
            account = pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
        found.append(f"process {pid} of {account}")
    return found
