"""The tutorial's program, started by hand and through the runner; no host needed."""

import http.client
import os
import socket
import subprocess
import sys
import time

import pytest
from rendering import ROOT

HELLO = ROOT / "app" / "hello.py"
RUNNER = ROOT / "roles/tornado_app/files/tornado_app_runner.py"


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


def test_the_runner_hands_it_the_kept_socket_and_says_when_it_is_ready(start, tmp_path):
    # The port that it asks for is taken by the socket that we keep, as systemd would.
    kept = socket.create_server(("127.0.0.1", 0))
    port = kept.getsockname()[1]
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(str(tmp_path / "notify"))
    ready.settimeout(20)
    # The id of the process is known only to itself, and systemd's sockets begin at 3.
    launch = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    environment = {**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")}
    words = ["-c", launch, kept.fileno(), RUNNER, port, HELLO, f"--port={port}"]
    start(*words, env=environment, pass_fds=[kept.fileno()], cwd=tmp_path)
    assert ready.recv(1024).decode() == f"READY=1\nSTATUS=Release by hand on port {port}"
    assert ask(port, "/?greeting=Hi") == "Hi, friendly user!"


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
