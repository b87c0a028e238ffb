"""The samples of docs/carry-forward.md: every step answers as the program did before it."""

import contextlib
import gzip
import http.client
import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time

import pytest
import tornado
from clients.websocket import PING, TEXT
from port import ROOT, Port
from visitor import Frames, Program, free_port

PAGE = ROOT / "docs/carry-forward.md"
STEPS = ROOT / "tests/samples/carried"
OLD, NEW = "3.1.1", tornado.version
# Which step runs on which Tornado, as the page says.
RUNS = [
    ("0_as_it_was.py", OLD),
    ("1_coroutines.py", OLD),
    ("2_any_tornado.py", OLD),
    ("2_any_tornado.py", NEW),
    ("3_today.py", NEW),
]
TERMS = "All prices include tax. " * 100
FRIEND = "https://shop.example.org"
PRICES = {"/tea": b"3.25", "/milk": b"1.50"}


class Stock(http.server.BaseHTTPRequestHandler):
    """The service that the program asks for prices."""

    def do_GET(self):
        self.send_response(200 if self.path in PRICES else 404)
        self.end_headers()
        self.wfile.write(PRICES.get(self.path, b""))

    def log_message(self, *words):
        pass


@pytest.fixture(scope="session")
def stock():
    """Its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stock) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def made(old_tornado, stock):
    """A step as a Program on a Tornado, not started yet; its stock answers unless told otherwise."""

    def make(step, version, stock=stock):
        words = ["--port={port}", f"--stock={stock}", "--patience=0.7", "--ping=0.3"]
        path = str(old_tornado) if version == OLD else ""
        return Program([sys.executable, str(STEPS / step), *words], {**os.environ, "PYTHONPATH": path})

    return make


@pytest.fixture(scope="module", params=RUNS, ids=[f"{step}-{version}" for step, version in RUNS])
def program(request, made):
    """Each step on each Tornado that it runs on."""
    with made(*request.param) as running:
        yield running


def chat(program, origin=None):
    """A WebSocket as a browser opens it, from a page of the program itself or of another site."""
    return Frames(program, "/chat", [("Origin", origin or f"http://{program.authority}")])


def frame(frames, wanted):
    """What is in the next frame of a kind."""
    while True:
        opcode, content = frames.read()
        if opcode == wanted:
            return content


def test_a_visitor_is_known_again(program):
    status, headers, body = program.ask("/")
    assert (status, body.decode()) == (200, f"Visit 1. {TERMS}")
    cookie = headers["Set-Cookie"].split(";")[0]
    assert program.ask("/", headers={"Cookie": cookie})[2].startswith(b"Visit 2.")


def test_pages_are_compressed(program):
    _status, headers, body = program.ask("/", headers={"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body).decode() == f"Visit 1. {TERMS}"


def test_another_service_is_asked(program):
    assert program.ask("/price/tea")[::2] == (200, b"3.25")
    assert json.loads(program.ask("/basket?of=tea&of=milk")[2]) == {"total": 4.75}


def test_what_the_other_service_does_not_know_is_a_bad_gateway(program):
    assert program.ask("/price/beer")[0] == 502
    assert program.ask("/basket?of=tea&of=beer")[0] == 502


@pytest.mark.parametrize(("step", "version"), RUNS)
def test_a_service_that_is_down_is_a_bad_gateway(made, step, version):
    with made(step, version, f"http://127.0.0.1:{free_port()}/") as program:
        assert program.ask("/price/tea")[0] == 502
        assert program.ask("/basket?of=tea")[0] == 502


def test_who_waits_for_news_gets_them(program):
    found = []
    waiters = [threading.Thread(target=lambda: found.append(program.ask("/news")[::2])) for _one in range(2)]
    for waiter in waiters:
        waiter.start()
    time.sleep(0.3)
    assert program.ask("/news", method="POST", body="New: coffee")[0] == 200
    for waiter in waiters:
        waiter.join()
    assert found == [(200, b"New: coffee")] * 2


def test_who_waits_for_nothing_hears_that_in_time(program):
    begin = time.monotonic()
    assert program.ask("/news")[::2] == (204, b"")
    assert 0.5 < time.monotonic() - begin < 3


def test_who_leaves_while_waiting_disturbs_nobody(program):
    with program.connect() as connection:
        connection.sendall(b"GET /news HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
    assert program.ask("/news")[0] == 204
    assert program.ask("/news", method="POST", body="x")[0] == 200


def test_those_who_chat_hear_each_other(program):
    one, other = chat(program), chat(program, FRIEND)
    with one.socket, other.socket:
        assert (one.status, other.status) == (101, 101)
        one.write(TEXT, b"good day")
        assert [frame(one, TEXT), frame(other, TEXT)] == [b"good day"] * 2
        # The ping that keeps proxies from closing it.
        assert frame(one, PING) == b""


@pytest.mark.parametrize(("step", "version"), RUNS)
def test_pages_of_strangers_can_chat_on_the_oldest_tornado_alone(made, step, version):
    with made(step, version) as program:
        stranger = chat(program, "https://stranger.example")
        with stranger.socket:
            assert stranger.status == (101 if version == OLD else 403)


@pytest.mark.parametrize("step", ["0_as_it_was.py", "1_coroutines.py"])
def test_the_first_steps_do_not_start_on_todays_tornado_for_the_reason_that_the_page_gives(made, step):
    with pytest.raises(AssertionError, match="does not start") as problem, made(step, NEW):
        pass
    reason = str(problem.value).splitlines()[-1]
    assert f"`{reason}`" in PAGE.read_text()


def test_the_last_step_answers_nobody_on_the_oldest_tornado(made):
    # It listens, but asyncio turns no loop of Tornado's own.
    program = made("3_today.py", OLD)
    with subprocess.Popen(program.words, env=program.environment) as process:
        try:
            for _attempt in range(100):
                with contextlib.suppress(ConnectionRefusedError), program.connect() as connection:
                    break
                time.sleep(0.1)
            with program.connect() as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                connection.settimeout(1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
            assert process.poll() is None
        finally:
            process.kill()


def test_the_page_speaks_of_the_tornados_that_are_tried():
    assert set(re.findall(r"^tornado==(\S+)$", PAGE.read_text(), re.MULTILINE)) == {OLD, NEW}


def test_the_names_that_the_page_calls_gone_are(old_tornado):
    table = PAGE.read_text().split("## What else has gone")[1]
    names = set(re.findall(r"`(tornado\.[\w.]+)`", "".join(re.findall(r"^\| ([^|]+)", table, re.MULTILINE))))
    assert len(names) == 8
    for version, path in ((OLD, old_tornado), (NEW, "")):
        code = "import pkgutil, sys\nfor name in sys.argv[1:]:\n try: pkgutil.resolve_name(name); print(name)"
        code += "\n except (AttributeError, ImportError): pass"
        command = [sys.executable, "-W", "ignore", "-c", code, *names]
        found = subprocess.check_output(command, env={**os.environ, "PYTHONPATH": str(path)}, text=True)
        assert set(found.split()) == (names if version == OLD else set())


def visits(program, cookie=""):
    """What the page counts, and the cookie to come back with."""
    with program:
        _status, headers, body = program.ask("/", headers={"Cookie": cookie})
        return int(re.match(rb"Visit (\d+)", body)[1]), headers["Set-Cookie"].split(";")[0]


def test_visitors_stay_logged_in_on_the_way_to_today_but_not_on_the_way_back(made):
    count, cookie = 0, ""
    for step, version in RUNS:
        count, cookie = visits(made(step, version), cookie)
    assert count == len(RUNS)
    assert visits(made("2_any_tornado.py", OLD), cookie)[0] == 1


def test_each_step_is_a_deploy_that_nobody_notices(tmp_path, old_tornado, stock):
    port = Port(tmp_path)
    venv = tmp_path / "old"
    (venv / "bin").mkdir(parents=True)
    paths = [shlex.quote(str(path)) for path in (old_tornado, sys.executable)]
    (venv / "bin/python").write_text(f'#!/bin/sh\nPYTHONPATH={paths[0]} exec {paths[1]} "$@"\n')
    (venv / "bin/python").chmod(0o755)
    try:
        for number, (step, version) in enumerate(RUNS):
            name = f"release{number}"
            port.add(name, STEPS, main=step, health_path="/", arguments=[f"--stock={stock}"])
            if version == OLD:
                link = port.home / "releases" / name / ".release/venv"
                link.unlink()
                link.symlink_to(venv)
        port.point("release0")
        port.start()
        connection = port.open()

        def ask():
            connection.request("GET", "/price/tea")
            return connection.getresponse().read()

        assert ask() == b"3.25"
        client = connection.sock
        for number in range(1, len(RUNS)):
            port.swap(f"release{number}")
            # The idle connection is handed on, from one Tornado to the other as well.
            assert [ask() for _turn in range(5)] == [b"3.25"] * 5
            assert connection.sock is client
    finally:
        port.stop()
        print(port.log.read_text()[-4000:])
