"""The folder of a site, with the certificate and the key that nginx reads.

It is made anew beside the one in use, and both change places in one step: nginx finds a pair
whenever it looks, whatever is killed meanwhile.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from cryptography import x509

from . import paths
from .description import Site
from .files import exchange, write
from .x509 import public, read_certificate, read_key

RELOAD_NEEDED = "unread"  # a file in the folder until nginx has read it; Ansible's next run looks there too


def in_use(site: Site) -> x509.Certificate | None:
    """The site's certificate, if nginx can serve it: its key is there too."""
    certificate, key = read_certificate(site.folder / "fullchain.pem"), read_key(site.folder / "privkey.pem")
    if certificate and key and public(certificate.public_key()) == public(key.public_key()):
        return certificate
    return None


def install(folder: Path, chain: bytes, key: bytes, origin: dict[str, str]) -> None:
    """Put a certificate, its key and where it is from in a site's folder, all at once."""
    paths.CERTIFICATES.mkdir(mode=0o700, exist_ok=True)
    beside = paths.CERTIFICATES / f".{folder.name}.next"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    write(beside / "fullchain.pem", chain, 0o644)
    write(beside / "privkey.pem", key, 0o600)
    serial = x509.load_pem_x509_certificate(chain).serial_number
    write(beside / "origin.json", json.dumps({**origin, "serial": serial}).encode(), 0o644)
    write(beside / RELOAD_NEEDED, b"", 0o644)
    if folder.exists():
        exchange(beside, folder)
        shutil.rmtree(beside)
    else:
        beside.rename(folder)


def origin_of(site: Site, certificate: x509.Certificate) -> dict[str, Any]:
    """Where the certificate is from, as far as this program put it there."""
    try:
        found: dict[str, Any] = json.loads((site.folder / "origin.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if found.pop("serial", 0) == certificate.serial_number else {}
