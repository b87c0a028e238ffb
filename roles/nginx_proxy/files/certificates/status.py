"""How each site's certificate is, and what failed last."""

from __future__ import annotations

import datetime
import json

from . import paths
from .description import Acme, Site
from .sites import in_use, origin_of
from .x509 import left, now, span, threshold


def failed() -> dict[str, str]:
    """Sites whose last attempt failed, and why."""
    try:
        found: dict[str, str] = json.loads(paths.FAILURES.read_text())
    except (OSError, ValueError):
        return {}
    return found


def judged(site: Site, acme: Acme, failures: dict[str, str]) -> dict[str, str]:
    """A site's certificate as status shows it; trouble is empty if all is well."""
    certificate = in_use(site)
    row = {"site": site.slug, "tls": site.tls, "issuer": "", "until": "", "trouble": ""}
    if certificate is None:
        return {**row, "trouble": "It has no certificate that fits its key"}
    row["until"] = until = f"{span(certificate)[1]:%Y-%m-%d %H:%M} UTC"
    row["issuer"] = certificate.issuer.rfc4514_string() or "nobody"
    said = []
    if site.slug in failures:
        said.append(failures[site.slug])
    elif site.tls == "acme" and origin_of(site, certificate) != acme.origin:
        said.append(f"It has no certificate of {acme.directory} yet")
    if (begin := span(certificate)[0]) > now():
        # What can be renewed is: this one is a CA's that is not valid either, or another's.
        said.append(
            f"Its certificate is valid only from {begin:%Y-%m-%d %H:%M} UTC on: this host has a wrong date,"
            " or had one when it, or the private CA, was made"
        )
    elif left(certificate) <= datetime.timedelta():
        said.append(f"Its certificate has expired on {until}")
    elif left(certificate) < threshold(certificate) / 2:
        said.append(f"Its certificate expires soon, on {until}")
    elif said:
        said.append(f"It serves the one that it has, from {row['issuer']}, until {until}")
    return {**row, "trouble": ". ".join(said)}


def table(rows: list[dict[str, str]]) -> str:
    """The rows, for people."""
    if not rows:
        return ""
    columns = ("site", "tls", "until", "issuer")
    shown = [dict(zip(columns, columns, strict=True)), *rows]
    widths = {name: max(len(row[name]) for row in shown) for name in columns}
    lines = ["  ".join(row[name].ljust(widths[name]) for name in columns).rstrip() for row in shown]
    return "\n".join(lines)


def troubles(rows: list[dict[str, str]]) -> list[str]:
    return [f"{row['site']}: {row['trouble']}." for row in rows if row["trouble"]]
