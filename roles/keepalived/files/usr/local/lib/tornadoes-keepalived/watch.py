# Managed by Ansible (role keepalived): a change here is undone by the next run.
"""Tell keepalived whether nginx lives, by a number in a file that it adds to this host's priority.

watch.py FILE PORT [PEER ...]: nginx's port on this host, and the other proxies' addresses. A worker that
lives notices at once that a client has nothing to say, and closes: nothing is logged, on either side. Where
none does for a while, the host gives its floating addresses up, if the nginx of another proxy lives.
Standard library only.
"""

import asyncio
import os
import sys
import time

INTERVAL = 0.1  # seconds between two looks
REFUSED = 0.2  # seconds in which nobody listens; a restart of nginx needs some
HUNG = 0.35  # seconds until one that listens has closed
LATE = 0.1  # seconds by which this process itself may be late, or it says nothing of nginx
BUSY, SLOW = 4, 8  # so many processes a CPU that want to run, and nginx gets so many times as long
AGAIN = 3  # seconds without a fault until one that was dead is well: an address that comes and goes is worse
WELL, DEAD = 0, -254  # with which keepalived takes no part any more


def patience():
    """How many times as long as usual nginx may take: a machine that has much to do is none that hangs."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].split("/")[0])
    except OSError:
        return 1
    return SLOW if running > BUSY * (os.cpu_count() or 1) else 1


async def lives(host, port):
    """Whether a server there notices that somebody has come and gone; None where that can't be said."""
    writer, begun, most = None, time.monotonic(), HUNG * patience()
    try:
        async with asyncio.timeout(most):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write_eof()
            await reader.read(1)
        return True
    except TimeoutError:
        # After a pause of the whole machine, or for want of a CPU: nginx is no worse than this process.
        return False if time.monotonic() - begun < most + LATE else None
    except OSError:
        return False
    finally:
        if writer:
            writer.transport.abort()


def tell(path, number):
    """Write the number as a whole, since keepalived reads it at once."""
    with open(f"{path}.partial", "w", encoding="ascii") as file:
        file.write(f"{number}\n")
    os.replace(file.name, path)


class Judge:
    """What is said of nginx, by what was seen of it. moment: seconds of any clock."""

    def __init__(self, moment):
        self.said = None
        self.well, self.bad = moment, moment - AGAIN  # when it was last seen so

    def doubts(self, seen, moment):
        """Whether it has been away long enough to ask how others are. seen: as lives() says."""
        if seen is not False:
            # Of what can't be said, the best is thought.
            self.well = moment
        else:
            self.bad = moment
        return moment - self.well >= INTERVAL + REFUSED

    def says(self, doubted, others):
        """WELL or DEAD, where it is another than before. others: whether another proxy is well."""
        if doubted:
            number = DEAD if others else WELL
        elif self.said == DEAD and self.well - self.bad < AGAIN:
            number = DEAD
        else:
            number = WELL
        before, self.said = self.said, number
        return None if number == before else number


async def watch(path, port, peers):
    """Look for ever."""
    judge = Judge(time.monotonic())
    while True:
        begun = time.monotonic()
        seen = await lives("127.0.0.1", port)
        doubted = judge.doubts(seen, begun if seen else time.monotonic())
        others = doubted and any(await asyncio.gather(*(lives(peer, port) for peer in peers)))
        if (number := judge.says(doubted, others)) is not None:
            tell(path, number)
        await asyncio.sleep(max(0, INTERVAL - (time.monotonic() - begun)))


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
