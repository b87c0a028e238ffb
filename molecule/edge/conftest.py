"""Visitors who are as far away as visitors are."""

import subprocess
import sys
from pathlib import Path

import pytest

RELAY = Path(__file__).with_name("relay.py")
ONE_WAY = 0.02  # seconds, to the next country
FEW = ["--rate", "150", "--connections", "30", "--new", "3", "--slow-posts", "3", "--download", "0"]
LONG = ["--seconds", "3600"]  # more than 50 renewals and 20 publishes take


@pytest.fixture(scope="session")
def far(container, load):
    """Load from afar: ``with far("https") as running``; WebSockets and HTTP/2 with https alone."""
    _name, variables = container
    ports = dict(zip(("http", "https"), variables["test_host_ports"], strict=True))
    relays = {
        scheme: subprocess.Popen(
            [sys.executable, RELAY, str(port), str(ONE_WAY)], stdout=subprocess.PIPE, text=True
        )
        for scheme, port in ports.items()
    }
    found = {scheme: relay.stdout.readline().strip() for scheme, relay in relays.items()}

    def begin(scheme):
        more = ["--websockets", "40", "--http2", "40"] if scheme == "https" else ["--websockets", "0"]
        return load("--url", f"{scheme}://127.0.0.1:{found[scheme]}", *FEW, *LONG, *more)

    yield begin
    for relay in relays.values():
        relay.terminate()
        relay.wait()
