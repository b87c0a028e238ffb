"""What is issued and renewed, by whom, and that nginx serves it."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator

from . import paths
from .acme import obtain
from .authority import Authority
from .description import Description, Site, Trouble
from .due import due_acme, due_private
from .files import write
from .nginx import reload, serves
from .sites import RELOAD_NEEDED, in_use, install
from .status import failed
from .x509 import new_key, pem


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One at a time: the timer and Ansible may come together."""
    paths.STATE.mkdir(mode=0o755, exist_ok=True)
    with open(paths.STATE / "lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def provide(slug: str, given: str, dry: bool) -> None:
    """Install a pair that the user brings, unless it is there."""
    pair = json.loads(given)
    folder, chain, key = paths.CERTIFICATES / slug, pair["certificate"].encode(), pair["key"].encode()
    with contextlib.suppress(OSError):
        if (folder / "fullchain.pem").read_bytes() == chain and (folder / "privkey.pem").read_bytes() == key:
            return
    if not dry:
        install(folder, chain, key, {"tls": "provided"})
    print(f"{'Would install' if dry else 'Installed'} what was provided for {slug}.")


def say(site: Site, reason: str, dry: bool, by: str) -> None:
    print(f"{'Would issue' if dry else 'Issued'} {site.slug} by {by}, since {reason}.", flush=True)


def issue(wanted: Description, dry: bool, force: bool = False) -> None:
    """Sign what the private CA has to sign."""
    private = [site for site in wanted.sites if site.tls == "private_ca"]
    # nginx can't start without any certificate, and no CA can be asked without nginx.
    first = [site for site in wanted.sites if site.tls == "acme" and in_use(site) is None]
    if not private and not first:
        return
    authority = Authority.load()
    if authority is None and (paths.CA / "private/ca.key").exists():
        raise Trouble(
            f"{paths.CA} holds a CA that can't be read. Repair it, or remove the folder for a new one"
        )
    if authority is None and not dry:
        authority = Authority.create(wanted.ca_name)
    for site in private + first:
        reason = "there is none" if site in first else due_private(site, authority, wanted.ca_days)
        reason = reason or ("it is forced" if force else "")
        if not reason:
            continue
        if authority is not None and not dry:
            key = new_key("ecdsa")
            chain = authority.sign(site.names, key, wanted.ca_days)
            install(site.folder, chain, pem(key), {"tls": "private_ca"})
        say(site, reason, dry, "the private CA")


def renew(wanted: Description, dry: bool, force: bool = False) -> None:
    """Renew all that is due, whichever CA issues it, and see nginx serve what there is."""
    failures = {}
    try:
        issue(wanted, dry, force)
    except Trouble as trouble:
        failures = {site.slug: str(trouble) for site in wanted.sites if site.tls == "private_ca"}
    for site in wanted.sites:
        reason = site.tls == "acme" and (due_acme(site, wanted.acme) or (force and "it is forced"))
        if not reason:
            continue
        try:
            if not dry:
                obtain(site, wanted.acme)
            say(site, reason, dry, wanted.acme.directory)
        except (Trouble, OSError, ValueError) as trouble:
            failures[site.slug] = str(trouble)
    # Asked, not remembered: a run that was killed before its reload is made up for.
    unserved = [site for site in wanted.sites if in_use(site) and not serves(site, wanted.https_port)]
    if dry:
        for site in wanted.sites:
            if site in unserved or site.slug in failed():
                print(f"Would see to {site.slug} again, which has failed before.")
        return
    if unserved:
        try:
            reload(unserved, wanted.https_port)
            for site in unserved:
                (site.folder / RELOAD_NEEDED).unlink(missing_ok=True)
        except Trouble as trouble:
            failures = {**{site.slug: str(trouble) for site in unserved}, **failures}
    write(paths.FAILURES, json.dumps(failures).encode(), 0o644)
