"""What is due, and why. An empty reason says that nothing is."""

from __future__ import annotations

from cryptography import x509

from .authority import Authority
from .description import Acme, Site
from .sites import in_use, origin_of
from .x509 import as_address, left, names_in, now, span, threshold


def outdated(site: Site, certificate: x509.Certificate) -> str:
    """Why a certificate has to be replaced, whoever issued it."""
    if names_in(certificate) != {as_address(name) or name for name in site.names}:
        return "the names have changed"
    if left(certificate) < threshold(certificate):
        return "it is time"
    return ""


def due_private(site: Site, authority: Authority | None, days: int) -> str:
    """Why a site of the private CA needs a new certificate. days: that one may live for."""
    certificate = in_use(site)
    if certificate is None:
        return "there is none"
    if authority is None or not authority.signed(certificate):
        return "it is from elsewhere"
    begin, end = span(certificate)
    if (end - begin).days > days:
        return f"none may live for more than {days} days"
    # Made while the host's date was ahead. Where the CA is not valid either, the date may be wrong now.
    if span(authority.certificate)[0] <= now() < begin:
        return "it is not valid yet"
    return outdated(site, certificate)


def due_acme(site: Site, acme: Acme) -> str:
    """Why the ACME server is to be asked for a site."""
    certificate = in_use(site)
    if certificate is None:
        return "there is none"
    if origin_of(site, certificate) != acme.origin:
        return "it is from elsewhere"
    return outdated(site, certificate)
