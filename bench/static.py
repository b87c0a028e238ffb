"""Files from disk: nginx beside Tornado's own StaticFileHandler on the same host, small and large."""

import sys
from functools import partial

import lab
import tutorial
from wrk import rate

SECONDS = 1 if lab.SMOKE else 4
SIZES = {"1 KiB": 1024, "32 MiB": 32 * 2**20}
CLIENTS = {"1 KiB": 64, "32 MiB": 4}
PROGRAM = """
import sys, tornado.ioloop, tornado.web
handler = (r"/static/(.*)", tornado.web.StaticFileHandler, {"path": sys.argv[1]})
tornado.web.Application([handler]).listen(9020)
tornado.ioloop.IOLoop.current().start()
"""


def sendfile(path):
    """MiB a second that the kernel moves from a file to a loopback connection, without any server."""
    script = f"""
import os, socket, threading, time
server = socket.create_server(("127.0.0.1", 0))
def give():
    peer, _ = server.accept()
    with open({path!r}, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        end = time.monotonic() + {SECONDS}
        while time.monotonic() < end:
            at = 0
            while at < size:
                at += os.sendfile(peer.fileno(), file.fileno(), at, size - at)
    peer.close()
threading.Thread(target=give).start()
client = socket.create_connection(server.getsockname())
total, begin, room = 0, time.monotonic(), bytearray(1 << 20)
while count := client.recv_into(room):
    total += count
print(total / 2**20 / (time.monotonic() - begin))
"""
    return float(lab.on_host("python3 -", given=script))


def main():
    """The command."""
    python, folder = "/srv/hello/current/.release/venv/bin/python", "/srv/bench-files"
    lab.on_host(f"mkdir -p {folder} && chmod 755 {folder}")
    for size in SIZES.values():
        lab.on_host(f"head -c {size} /dev/urandom > '{folder}/{size}.bin'")
    lab.put("/opt/bench/serve.py", PROGRAM)
    lab.on_host(f"systemd-run --quiet --unit=bench-static {python} /opt/bench/serve.py {folder}")
    wait = "curl --silent --fail --retry 20 --retry-connrefused --output /dev/null"
    lab.on_host(f"{wait} http://127.0.0.1:9020/static/1024.bin")
    report = lab.Report("static", "Tornado's handler", "nginx, http", "times", "nginx, https")
    for name, size in SIZES.items():
        lab.say(f"{name}: {lab.ROUNDS} rounds")
        urls = {
            "tornado": f"http://127.0.0.1:9020/static/{size}.bin",
            "http": f"http://{tutorial.NAME}:{lab.HTTP}/files/{size}.bin",
            "https": f"https://{tutorial.NAME}:{lab.HTTPS}/files/{size}.bin",
        }
        ways = {way: partial(rate, url, CLIENTS[name], SECONDS) for way, url in urls.items()}
        large = size > 2**20
        if large:
            ways["sendfile"] = lambda size=size: sendfile(f"{folder}/{size}.bin")
        found = lab.rounds(ways)
        unit = "requests/s"
        if large:
            unit = "MiB/s"
            for way in urls:
                found[way] = [one * size / 2**20 for one in found[way]]
        for way, values in found.items():
            report.figure(f"{way}, {name}", unit, values, clients=CLIENTS[name])
        times = lab.ratio(found["http"], found["tornado"])
        report.figure(f"ratio, {name}", "times Tornado's handler", times)
        report.row(
            f"{name}, {unit}", *map(lab.show, (found["tornado"], found["http"], times, found["https"]))
        )
        if large:
            share = lab.ratio(found["http"], found["sendfile"])
            report.figure(f"share, {name}", "of sendfile alone on one connection", share)
            report.row("of sendfile(2) alone", "", lab.show(share), "", "")
    lab.on_host("systemctl stop bench-static")
    report.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
