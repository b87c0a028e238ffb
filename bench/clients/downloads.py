"""Downloads by a reader who takes its time, every byte compared."""

import asyncio
import time

from clients.http import FAILURES, Connection, Failed
from clients.tally import Wrong

# As tests/samples/load/server.py makes it.
BLOCK = 65536
FILLER = bytes(range(251)) * (BLOCK // 251 + 1)


def block(number):
    """What /big?bytes=... has at number * 64 KiB."""
    head = b"%015x\n" % number
    return head + FILLER[: BLOCK - len(head)]


async def download(load, ready):
    """One download after the other."""
    await load.go.wait()
    while not load.stopping:
        load.tally.kinds["download"].sent += 1
        connection = None
        clock = time.monotonic()
        try:
            async with asyncio.timeout(load.options.download_seconds + load.options.timeout):
                connection = await Connection.open(load.target)
                ready()
                await read_slowly(connection, load.options.download_bytes, load.options.download_seconds)
            load.tally.answered("download", time.monotonic() - clock)
        except (*FAILURES, Wrong) as problem:
            load.tally.lost("download", "GET", problem, False)
            await load.after_failure()
        except asyncio.CancelledError:
            load.tally.lost("download", "GET", Failed("no answer when the time was over"), False)
            raise
        finally:
            ready()
            if connection:
                connection.close()


async def read_slowly(connection, size, seconds):
    """Ask for so many bytes, read them in so many seconds, and compare every one."""
    connection.send("GET", f"/big?bytes={size}", "Connection: close\r\n")
    answer = await connection.head()
    if answer.status != 200:
        raise Failed(f"status {answer.status}")
    if answer.header(b"content-length") != str(size).encode():
        raise Wrong(f"content-length {answer.header(b'content-length')}")
    count = -(-size // BLOCK)
    begun = time.monotonic()
    for number in range(count):
        expected = block(number)[: size - number * BLOCK]
        if await connection.reader.readexactly(len(expected)) != expected:
            raise Wrong(f"other bytes after {number * BLOCK}")
        due = begun + (number + 1) * seconds / count
        await asyncio.sleep(max(0, due - time.monotonic()))
