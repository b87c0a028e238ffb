"""What is between a test host and its visitors in life: a way that takes time.

    python relay.py PORT SECONDS

Passes on what comes, each byte so many seconds later, to that port of 127.0.0.1, and prints its own. Where
everything is on one machine, a request is hardly ever on its way when its connection is closed.
"""

import asyncio
import contextlib
import sys

PIECE = 65536


async def delayed(reader, writer, seconds):
    """Pass on one direction of a connection, its end included."""
    loop, on_the_way = asyncio.get_running_loop(), asyncio.Queue()

    async def arrive():
        piece = b"some"
        while piece:
            due, piece = await on_the_way.get()
            await asyncio.sleep(max(0, due - loop.time()))
            writer.write(piece)
        # The other direction may go on: nginx says goodbye, and listens for a while.
        with contextlib.suppress(OSError):
            writer.write_eof()

    arriving = asyncio.create_task(arrive())
    piece = b"some"
    while piece:
        try:
            piece = await reader.read(PIECE)
        except OSError:
            piece = b""
        on_the_way.put_nowait((loop.time() + seconds, piece))
    await arriving


async def relay(port, seconds):
    """Take connections until the process is ended."""

    # asyncio itself forgets who waits for one end when the other has said its last.
    tasks = set()

    async def accept(reader, writer):
        task = asyncio.current_task()
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        try:
            inside, outside = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(delayed(reader, outside, seconds), delayed(inside, writer, seconds))
        outside.close()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), float(sys.argv[2])))
