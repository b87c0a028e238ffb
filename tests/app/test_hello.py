"""The tutorial's part of the app: whoever knows it, knows it still."""

import os
import subprocess
import sys

from visitor import ROOT, Program

RUNNER = ROOT / "roles/tornado_app/files/release/tornado_app_runner.py"
HELLO = ROOT / "app/hello.py"


def test_it_greets_as_the_tutorial_has_it(app):
    assert app.ask("/")[2] == b"Hello, friendly user!"
    assert app.ask("/?greeting=Salutations")[2] == b"Salutations, friendly user!"
    assert app.ask("/?greeting=%E4%BD%A0%E5%A5%BD")[2].decode() == "你好, friendly user!"


def test_a_greeting_is_never_a_script(app):
    _status, headers, body = app.ask("/?greeting=%3Cscript%3E")
    assert body == b"<script>, friendly user!"
    assert headers["Content-Type"].lower() == "text/plain; charset=utf-8"


def test_it_says_that_it_lives_and_that_it_is_ready(app):
    assert app.ask("/healthz")[::2] == (200, b"ok\n")
    assert app.ask("/readyz")[::2] == (200, b"ready\n")


def test_the_runner_keeps_it_on_the_loopback_address():
    command = [sys.executable, str(RUNNER), "{port}", str(HELLO), "--port={port}"]
    with Program(command, dict(os.environ)) as app:
        listing = ["ss", "--listening", "--tcp", "--numeric", "--no-header", f"sport = {app.port}"]
        addresses = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        assert f"127.0.0.1:{app.port}" in addresses
        assert f"0.0.0.0:{app.port}" not in addresses
