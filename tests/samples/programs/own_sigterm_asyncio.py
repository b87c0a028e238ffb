"""asyncio's own way to hear SIGTERM, to say goodbye."""

import asyncio
import signal
import sys

import common


async def main():
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    common.make_app().listen(common.port())
    await end.wait()
    sys.stderr.write("goodbye\n")


asyncio.run(main())
