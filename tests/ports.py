"""Ports for programs under test."""

import contextlib
import random
import socket


def free_port():
    """A TCP port that nobody listens on, and that no outgoing connection is given."""
    for _attempt in range(100):
        port = random.randrange(12000, 32000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
