"""Whether a listening socket is as it was made, whatever the programs that had it told it.

Every process of a program gets the port's socket. What it changes there (sizes of buffers, filters,
time-outs) holds for the next release too, and some of it for good. Standard library only.
"""

import socket
import sys

BACKLOG = 4096  # as in the socket unit
LONGEST = 256  # bytes of one option
# What no program sets for its own good, by level, with the numbers of <asm-generic/socket.h>, <linux/in.h>
# and <linux/tcp.h>. Not all there are: a program that likes TCP_NODELAY or SO_KEEPALIVE sets it again in
# each release, and a socket that is opened anew for that would cost requests at each deploy.
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
