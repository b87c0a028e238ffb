"""asyncio.run(main()), as Tornado's documentation shows it from 6.2 on."""

import asyncio

import common


async def main():
    common.make_app().listen(common.port())
    await asyncio.Event().wait()


asyncio.run(main())
