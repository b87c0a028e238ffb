"""A program that tries what programs do, and says how it went: GET /try?what=NAME.

Runs on uvloop, as many do for speed.
"""

import asyncio
import concurrent.futures
import mmap
import multiprocessing
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading

import psutil
import tornado.ioloop
import tornado.web
import uvloop
import zmq
from tornado.options import define, options, parse_command_line

define("port", default=8000, type=int)
EATEN = []


def doubled(number):
    return 2 * number


class Tries:
    """One method a try; whatever it raises is the answer."""

    def uvloop(self):
        assert type(tornado.ioloop.IOLoop.current().asyncio_loop).__module__.startswith("uvloop")

    def subprocess(self):
        assert subprocess.check_output(["/bin/sh", "-c", "echo $((1 + 1))"]) == b"2\n"

    def threads(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert list(pool.map(doubled, range(8))) == [2 * one for one in range(8)]

    def processes(self):
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(doubled, [1, 2]) == [2, 4]

    def temporary(self):
        for folder in (None, "/var/tmp"):
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                file.write(b"x")

    def sqlite(self):
        with sqlite3.connect(os.path.expanduser("~/data.db")) as database:
            database.execute("create table if not exists visits (at integer)")
            database.execute("insert into visits values (1)")

    def resolver(self):
        assert socket.getaddrinfo("localhost", 80)

    def zeromq(self):
        with zmq.Context() as context, context.socket(zmq.REP) as one, context.socket(zmq.REQ) as other:
            other.connect(f"tcp://127.0.0.1:{one.bind_to_random_port('tcp://*')}")
            other.send(b"x")
            assert one.recv() == b"x"

    def host_figures(self):
        assert psutil.virtual_memory().total
        assert psutil.boot_time()
        assert psutil.cpu_times()
        assert psutil.disk_partitions() is not None

    def interfaces(self):
        assert "lo" in dict(map(reversed, socket.if_nameindex()))
        assert "lo" in psutil.net_if_addrs()

    def priorities(self):
        def give_way():
            os.nice(5)
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

        subprocess.run(["true"], check=True, preexec_fn=give_way)

    def limits(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def shared_memory(self):
        lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
        queue.put(1)
        with lock:
            assert queue.get() == 1

    def realtime(self):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    def group(self):
        with open("/srv/serial") as file:
            assert file.read() == "from the device"

    def inside(self):
        socket.create_connection(("127.0.0.1", 22), 2).close()

    def outside(self):
        # Not loopback, and yet no further than this host. Nothing is sent to find its address.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            route.connect(("203.0.113.1", 9))
            own = route.getsockname()[0]
        socket.create_connection((own, 22), 2).close()

    def executable_memory(self):
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()

    def others(self):
        # What runs besides: this program sees its own alone.
        owners = {os.stat(f"/proc/{pid}").st_uid for pid in os.listdir("/proc") if pid.isdigit()}
        assert owners != {os.getuid()}

    def namespaces(self):
        subprocess.run(["/usr/bin/unshare", "--user", "true"], check=True, capture_output=True)

    def packets(self):
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()

    def memory(self):
        EATEN.append(b"x" * (400 * 2**20))

    def tasks(self):
        waiting = threading.Event()
        try:
            for _number in range(600):
                threading.Thread(target=waiting.wait, daemon=True).start()
        finally:
            waiting.set()

    def device(self):
        os.close(os.open("/dev/fuse", os.O_RDWR))


class Try(tornado.web.RequestHandler):
    def get(self):
        try:
            getattr(Tries(), self.get_argument("what"))()
        except Exception as problem:
            self.write(repr(problem))
        else:
            self.write("done")


class Write(tornado.web.RequestHandler):
    """GET /write?path=FILE"""

    def get(self):
        try:
            with open(self.get_argument("path"), "w") as file:
                file.write("x")
        except OSError as problem:
            self.write(repr(problem))
        else:
            self.write("done")


class Request(tornado.web.RequestHandler):
    """Any path below /request: the request as the program sees it, in JSON."""

    def answer(self):
        request = self.request
        seen = {name: getattr(request, name) for name in ("uri", "host", "protocol", "remote_ip")}
        self.write({**seen, "headers": sorted(request.headers.get_all())})

    get = post = answer


class Health(tornado.web.RequestHandler):
    def get(self):
        self.write("ok")


if __name__ == "__main__":
    parse_command_line()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    handlers = [("/try", Try), ("/write", Write), ("/request.*", Request), ("/healthz", Health)]
    tornado.web.Application(handlers).listen(options.port, xheaders=True)
    tornado.ioloop.IOLoop.current().start()
