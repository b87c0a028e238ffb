"""Whether a listening socket is as it was made, whatever the programs that had it told it.

Every process of a program gets the port's socket. What it changes there (sizes of buffers, filters,
time-outs) holds for the next release too, and some of it for good. Standard library only.
"""

import socket

BACKLOG = 4096  # as in the socket unit
LEVELS = (socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_TCP)
OPTIONS = 128  # Linux 6.12 numbers its own up to 84
LONGEST = 256  # bytes of one option
# What the kernel counts or chooses itself, from <asm-generic/socket.h> and <linux/tcp.h>.
CHANGING = {
    (socket.SOL_SOCKET, 49),  # SO_INCOMING_CPU
    (socket.SOL_SOCKET, 55),  # SO_MEMINFO
    (socket.SOL_SOCKET, 57),  # SO_COOKIE
    (socket.SOL_SOCKET, 17),  # SO_PEERCRED: who called listen()
    (socket.SOL_SOCKET, 59),  # SO_PEERGROUPS
    (socket.SOL_SOCKET, 77),  # SO_PEERPIDFD
    (socket.IPPROTO_TCP, 11),  # TCP_INFO
    (socket.IPPROTO_TCP, 24),  # TCP_TIMESTAMP
    (socket.IPPROTO_TCP, 26),  # TCP_CC_INFO
}


def traits(listener):
    """All options of a socket that the kernel tells: (level, number) to bytes."""
    found = {}
    for level in LEVELS:
        for number in range(1, OPTIONS):
            if (level, number) not in CHANGING:
                try:
                    found[level, number] = listener.getsockopt(level, number, LONGEST)
                except OSError as problem:
                    found[level, number] = problem.errno
    return found


def spoiled(listener):
    """Options in which a socket differs from a new one of its kind: (level, number)."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as fresh:
        fresh.setblocking(False)
        mine, its = traits(listener), traits(fresh)
    return sorted(one for one in its if mine[one] != its[one])
