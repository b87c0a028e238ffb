import asyncio

import arrow
import click
import httpx
import tornado.web


class Index(tornado.web.RequestHandler):
    def get(self):
        self.write('What is it like <a href="/now">now</a>?')


class Now(tornado.web.RequestHandler):
    def initialize(self, station):
        self.station = station

    async def get(self):
        async with httpx.AsyncClient(http2=True, timeout=10) as client:
            found = (await client.get(self.station)).json()
        seen = arrow.get(found["seen"]).humanize(arrow.get("2026-01-01T12:00Z"))
        self.write(f"It was {found['degrees']} degrees {seen}")


class Station(tornado.web.RequestHandler):
    """Stands in for a weather station elsewhere."""

    def get(self):
        self.write({"degrees": 21, "seen": "2026-01-01T09:00Z"})


@click.command()
@click.option("--port", type=int, default=8000)
def main(port):
    async def serve():
        station = {"station": f"http://127.0.0.1:{port}/station"}
        tornado.web.Application([(r"/", Index), (r"/now", Now, station), (r"/station", Station)]).listen(port)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
