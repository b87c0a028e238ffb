"""The tutorial's program, started by hand and through the runner; no host needed."""

import http.client
import socket
import subprocess
import sys
import time

import pytest
from rendering import ROOT

HELLO = ROOT / "app" / "hello.py"
RUNNER = ROOT / "roles/tornado_app/files/release/tornado_app_runner.py"


def free_port():
    """A TCP port that nobody uses at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(port, target):
    """The body of an answer, asked until somebody listens."""
    for _attempt in range(100):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("nobody listens")


@pytest.fixture
def start():
    """Start a command; ended with the test."""
    started = []

    def run(*words, **options):
        started.append(subprocess.Popen([sys.executable, *map(str, words)], **options))

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_it_works_without_any_of_the_rest(start):
    port = free_port()
    start(HELLO, f"--port={port}")
    assert ask(port, "/") == "Hello, friendly user!"
    assert ask(port, "/?greeting=Salutations") == "Salutations, friendly user!"
    assert ask(port, "/?greeting=%E4%BD%A0%E5%A5%BD") == "你好, friendly user!"
    assert ask(port, "/healthz") == "ok\n"


def test_the_runner_keeps_a_program_on_the_loopback_address(start):
    port = free_port()
    start(RUNNER, port, HELLO, f"--port={port}")
    assert ask(port, "/healthz") == "ok\n"
    addresses = subprocess.run(
        ["ss", "--listening", "--tcp", "--numeric", "--no-header", f"sport = {port}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert f"127.0.0.1:{port}" in addresses
    assert f"0.0.0.0:{port}" not in addresses
