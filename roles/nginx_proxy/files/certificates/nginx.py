"""Which certificates nginx serves."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time

from cryptography.hazmat.primitives import serialization

from .description import Site, Trouble
from .sites import in_use
from .x509 import as_address

RELOAD_TIMEOUT = 15  # seconds


def reload(sites: list[Site], port: int) -> None:
    """Let nginx read the certificates, and see that it serves them."""
    # Debian's ExecReload reads the whole configuration first, as nginx -t does, and
    # signals nothing if it is invalid.
    if subprocess.run(["systemctl", "reload", "nginx"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Trouble("nginx does not reload its configuration; nginx -t tells why")
    deadline = time.monotonic() + RELOAD_TIMEOUT
    waiting = sites
    while waiting := [site for site in waiting if not serves(site, port)]:
        if time.monotonic() > deadline:
            slugs = ", ".join(site.slug for site in waiting)
            raise Trouble(f"nginx was reloaded, but does not serve the new certificate of {slugs}")
        time.sleep(0.1)


def place(address: str) -> tuple[str, int]:
    """Host and port of an address as nginx writes it."""
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def serves(site: Site, port: int) -> bool:
    """Whether nginx serves the certificate that the site's folder has."""
    wanted = in_use(site)
    name = None if as_address(site.names[0]) else site.names[0].replace("*", "any")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which one it is tells more than who signed it
    try:
        with (
            socket.create_connection(
                place(site.listens) if site.listens else ("127.0.0.1", port), timeout=5
            ) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            found = connection.getpeercert(binary_form=True)
    except OSError:
        return False
    return wanted is not None and found == wanted.public_bytes(serialization.Encoding.DER)
