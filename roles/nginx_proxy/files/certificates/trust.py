"""Whether nginx here trusts the certificates of the app hosts that it asks."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .nginx import place

CONFIGURATION = Path("/etc/nginx/nginx.conf")  # a link into the folder that has whom nginx trusts
CONNECT_TIMEOUT = 3  # seconds


def why_not(address: str, name: str) -> str:
    """Why nginx does not trust who answers at an address; empty where it does, or nobody answers."""
    try:
        context = ssl.create_default_context(cafile=str(CONFIGURATION.resolve().parent / "trusted.pem"))
    except (OSError, ssl.SSLError):
        return "no CA of an app host is known here"
    try:
        with (
            socket.create_connection(place(address), CONNECT_TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return ""
    except ssl.SSLCertVerificationError as problem:
        return problem.verify_message
    except ssl.SSLError as problem:
        return problem.reason or "it speaks no TLS"
    except OSError:
        return ""  # whether it is there is another question


def distrusted(trusts: dict[str, str], name: str) -> list[str]:
    """A sentence for each host that gets no requests, since its certificate is not trusted."""
    with ThreadPoolExecutor(max_workers=len(trusts) or 1) as pool:
        found = list(pool.map(lambda address: why_not(address, name), trusts.values()))
    return [
        f"{host}: This proxy does not trust its certificate ({why}), and sends it no requests. "
        f"Run site.yml for both hosts."
        for host, why in zip(trusts, found, strict=True)
        if why
    ]
