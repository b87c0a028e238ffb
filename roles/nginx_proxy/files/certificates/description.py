"""What Ansible wants of the host, as /etc/nginx/certificates.json says it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import paths


class Trouble(Exception):
    """Why a site does not get its certificate, in a sentence without the site."""


@dataclass
class Site:
    """A site with TLS: what it shall have. listens: where nginx has it, if not where visitors come."""

    slug: str
    names: list[str]
    tls: str
    listens: str = ""

    @property
    def folder(self) -> Path:
        return paths.CERTIFICATES / self.slug


@dataclass
class Acme:
    """The ACME server, and what it is asked for; nginx_proxy_acme in the role's README."""

    directory: str
    mail: str = ""
    key_type: str = "ecdsa"
    profile: str = ""
    ca_bundle: str = ""
    probe: bool = True
    challenge_port: int = 80

    @property
    def origin(self) -> dict[str, str]:
        """What a certificate depends on: another CA, profile or kind of key is another certificate."""
        found = asdict(self)
        return {"tls": "acme", **{key: found[key] for key in ("directory", "key_type", "profile")}}


@dataclass
class Description:
    """All of it. ca_days: that a certificate of the private CA is good for.

    trusts: host to address with port of those whose certificates nginx is to trust for trusted_name.
    """

    ca_name: str
    ca_days: int
    https_port: int
    acme: Acme
    sites: list[Site]
    trusts: dict[str, str] = field(default_factory=dict)
    trusted_name: str = ""

    @classmethod
    def read(cls, text: str) -> Description:
        found = json.loads(text)
        sites = [Site(**site) for site in found["sites"]]
        return cls(**{**found, "acme": Acme(**found["acme"]), "sites": sites})
