"""Whether a listening socket is as it was made, whatever the programs that had it told it.

Every process of a program gets the port's socket. What it changes there (sizes of buffers, filters,
time-outs) holds for the next release too, and some of it for good. Standard library only.
"""

import socket

BACKLOG = 4096  # as in the socket unit
LONGEST = 256  # bytes of one option
# What a program may set, by level, with the numbers of <asm-generic/socket.h>, <linux/in.h> and
# <linux/tcp.h>: all that changes who is heard, how fast and for how long. Not all there are: what
# the kernel chooses itself differs from socket to socket.
OPTIONS = {
    socket.SOL_SOCKET: (1, 5, 6, 7, 8, 9, 10, 12, 13, 18, 20, 21, 25, 26, 30, 36, 44, 46, 47, 60, 61),
    socket.IPPROTO_IP: (1, 2, 4, 10, 15, 19, 21),
    socket.IPPROTO_TCP: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 16, 17, 18, 19, 23, 25, 27, 31, 37),
}


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
    return sorted(one for one in its if mine[one] != its[one])
