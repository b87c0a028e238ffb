"""The clients of bench/ count what really happens: against the reference app as a process."""

import http.server
import itertools
import json
import subprocess
import sys
import threading
import time

import pytest
from visitor import ROOT, Program


@pytest.fixture
def app():
    """The reference app."""
    with Program([sys.executable, str(ROOT / "app/hello.py"), "--port={port}"], None) as program:
        yield program


def clients(app, count, *words):
    """connections.py on the app: a process, once all have been tried, and how many that were."""
    url = f"http://127.0.0.1:{app.port}/ws?after="
    command = [sys.executable, ROOT / "bench/connections.py", "--url", url, "--host", "localhost"]
    process = subprocess.Popen(
        [*command, "--count", str(count), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, json.loads(process.stdout.readline())["tried"]


def test_clients_are_counted_and_so_is_what_they_hear(app):
    process, tried = clients(app, 60, "--echo", "1")
    assert app.say("broadcast-7 to all")[0] == 201
    time.sleep(2)
    found = json.loads(process.communicate(timeout=120)[0])
    assert (tried, found["opened"], found["held"], found["failed"], found["lost"]) == (60, 60, 60, 0, 0)
    assert 60 <= found["echoed"] <= found["said"]
    assert found["broadcasts"] == {"7": 60}


def test_who_is_told_to_come_again_does_and_who_is_cut_off_is_lost(app):
    process, _tried = clients(app, 20, "--echo", "0")
    app.end()
    time.sleep(6)
    found = json.loads(process.communicate(timeout=120)[0])
    # Told, and there was nobody to come back to.
    assert (found["told"], found["held"], found["lost"]) == (20, 0, 20)


def test_clients_that_do_not_get_in_are_not_held(app):
    process, _tried = clients(app, 10, "--echo", "0", "--rate", "1000")
    app.process.kill()
    time.sleep(1)
    found = json.loads(process.communicate(timeout=120)[0])
    assert (found["opened"], found["lost"]) == (10, 10)
    process, _tried = clients(app, 10)
    found = json.loads(process.communicate(timeout=120)[0])
    assert (found["opened"], found["failed"], found["held"]) == (0, 10, 0)
    assert sum(found["reasons"].values()) == 10


@pytest.mark.parametrize("words", [[], ["--keep-alive"]])
def test_a_probe_counts_all_that_it_asks(app, words):
    command = [sys.executable, ROOT / "bench/probe.py", "--url", f"http://127.0.0.1:{app.port}/"]
    words = ["--host", "localhost", "--rate", "50", "--seconds", "1", *words]
    found = json.loads(subprocess.run([*command, *words], capture_output=True, check=True).stdout)
    assert (found["asked"], found["bad"], found["apart"]) == (50, 0, 0)
    assert 0 < found["p50"] <= found["p99"] <= found["max"]


@pytest.fixture
def proxy():
    """As nginx that asks two servers in turn, and each third time the second when the first is silent."""
    turns = itertools.cycle(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1, 127.0.0.1:2"])

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            servers = next(turns)
            if ", " in servers:
                time.sleep(2)
            self.send_response(200)
            self.send_header("X-Served-By", servers)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


def test_what_a_silent_server_was_asked_first_is_not_counted_with_the_others(proxy):
    command = [sys.executable, ROOT / "bench/probe.py", "--url", f"http://127.0.0.1:{proxy.server_port}/"]
    words = ["--host", "localhost", "--rate", "30", "--seconds", "1", "--apart", "127.0.0.1:1"]
    found = json.loads(subprocess.run([*command, *words], capture_output=True, check=True).stdout)
    assert (found["asked"], found["bad"], found["apart"]) == (30, 0, 20)
    assert found["max"] < 2000


@pytest.mark.parametrize("tool", ["connections", "probe"])
def test_load_stays_on_loopback(tool):
    words = ["--url", "http://192.0.2.1:80/", "--host", "x"] + (
        ["--count", "1"] if tool == "connections" else []
    )
    done = subprocess.run(
        [sys.executable, ROOT / f"bench/{tool}.py", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "load stays on loopback" in done.stderr) == (2, True)
