"""Servers that are not Tornado's: what they open is noted, so that a refusal can say what is wrong."""

from __future__ import annotations

import socket
import sys
from typing import Any, Callable

# Whose sockets may be opened by C, where nobody sees it.
SERVERS = ("uvicorn", "hypercorn", "granian")


def install(note: Callable[[int], None]) -> None:
    """Let a function hear of each TCP port that a socket of Python's is bound to."""
    real_bind = socket.socket.bind

    def bind(self: socket.socket, address: Any) -> None:
        is_tcp = self.family in (socket.AF_INET, socket.AF_INET6) and self.type == socket.SOCK_STREAM
        if is_tcp and isinstance(address, tuple) and len(address) > 1:
            note(address[1])
        real_bind(self, address)

    socket.socket.bind = bind  # type: ignore[assignment, method-assign]


def known() -> str:
    """The server that the program has imported, in words, or ""."""
    return next(("a server of %s's" % name for name in SERVERS if name in sys.modules), "")
