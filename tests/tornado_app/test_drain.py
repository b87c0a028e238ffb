"""How a process ends that has something in flight: all within its time, and politely."""

import threading
import time

import pytest
import tornado
from port import ROOT, Port

PROGRAM = ROOT / "tests/samples/load"
VERSIONS = ["3.1.1", tornado.version]


@pytest.fixture(params=VERSIONS)
def draining(request, tmp_path, old_tornado):
    """A port whose releases have two seconds to end."""
    port = Port(tmp_path, path=old_tornado if request.param == "3.1.1" else "")
    for name in ("one", "two"):
        port.add(name, PROGRAM, drain_timeout=2)
    port.point("one")
    port.start()
    yield port
    port.stop()
    print(port.log.read_text()[-4000:])


def in_background(ask):
    """Ask in a thread; a function that waits for the answer."""
    found = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    time.sleep(0.3)
    return lambda: (thread.join(20), found[0])[1]


def answer(port, method, path, body=None):
    """Status and headers of one answer."""
    connection = port.open()
    connection.request(method, path, body)
    got = connection.getresponse()
    got.read()
    return got.status, dict(got.getheaders())


def test_a_request_in_flight_is_answered_by_the_process_that_has_it(draining):
    old = draining.ask(do="status")["pid"]
    wait = in_background(lambda: draining.get("/poll?seconds=1.5"))
    assert draining.ask(do="swap", release="two")["ok"]
    assert f'"pid": {old}' in wait()


def test_a_long_poll_is_told_to_ask_again_when_the_time_is_up(draining):
    wait = in_background(lambda: answer(draining, "GET", "/poll?seconds=300"))
    assert draining.ask(do="swap", release="two")["ok"]
    status, headers = wait()
    assert (status, headers["Retry-After"]) == (503, "1")


def test_the_end_of_the_time_is_the_end(draining):
    # A reader who never reads holds an answer that has begun for ever.
    client = draining.open()
    client.connect()
    client.sock.sendall(b"GET /big?bytes=50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.3)
    assert draining.ask(do="swap", release="two")["ok"]
    begun = time.monotonic()
    assert draining.wait_for(lambda: not draining.ask(do="status")["draining"], seconds=15)
    assert time.monotonic() - begun > 1


def test_a_process_that_hears_nothing_is_ended_all_the_same(draining):
    in_background(lambda: draining.post("/block"))
    assert draining.ask(do="swap", release="two")["ok"]
    assert draining.wait_for(lambda: not draining.ask(do="status")["draining"], seconds=15)
    assert draining.ask(do="status")["release"] == "two"


def visit(port):
    """A client with an open WebSocket."""
    client = port.open()
    client.connect()
    client.sock.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    client.sock.settimeout(10)
    return client


def hear_going_away(client):
    """Read a WebSocket until it is told to reconnect."""
    heard = b""
    # A close frame begins with 0x88, then its length, then the code: 1001.
    while b"\x03\xe9" not in heard.rpartition(b"\x88")[2]:
        data = client.sock.recv(4096)
        assert data, heard
        heard += data


def test_all_websockets_are_closed_with_going_away(draining):
    # More than are told to go in that time at the usual pace: they go faster, and none is cut off.
    visitors = [visit(draining) for _visitor in range(150)]
    time.sleep(0.3)
    assert draining.ask(do="swap", release="two")["ok"]
    for client in visitors:
        hear_going_away(client)


# Its loop does not turn from the moment on when it is told to drain, until the time is up.
BUSY = """
import time, tornado.httpserver, tornado.ioloop, tornado.options, tornado.web, tornado.websocket
tornado.options.define("port", type=int)
tornado.options.parse_command_line()
class Socket(tornado.websocket.WebSocketHandler):
    def check_origin(self, origin):
        return True
class Health(tornado.web.RequestHandler):
    def get(self):
        pass
application = tornado.web.Application([("/ws", Socket), ("/healthz", Health)])
server = tornado.httpserver.HTTPServer(application)
server.listen(tornado.options.options.port)
def look():
    if all(one.fileno() < 0 for one in server._sockets.values()):
        time.sleep(3)
loop = tornado.ioloop.IOLoop.instance()
tornado.ioloop.PeriodicCallback(look, 5).start()
loop.start()
"""


def test_a_loop_that_is_blocked_for_all_of_the_time_still_tells_its_websockets(draining):
    draining.add("busy", BUSY, drain_timeout=2)
    assert draining.ask(do="swap", release="busy")["ok"]
    visitors = [visit(draining) for _visitor in range(5)]
    time.sleep(0.3)
    assert draining.ask(do="swap", release="two")["ok"]
    for client in visitors:
        hear_going_away(client)
