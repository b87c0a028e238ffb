"""Which certificates a site may have: what a CA is asked for, and what the user brings.

No sentence holds a line of a key.
"""

import datetime
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .nginx_proxy_values import PATHS, called
from .values import PATH, address, listed

DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(?:/\S*)?")
MAIL = re.compile(r"(?:[^\s@]+@[^\s@]+)?")
WORD = re.compile("[A-Za-z0-9._-]*")
PUBLIC_CA = re.compile(
    r"https://(?:[a-z0-9-]+\.)*(?:letsencrypt\.org|zerossl\.com|pki\.goog|buypass\.com|ssl\.com|sectigo\.com"
    r"|digicert\.com|globalsign\.com|actalis\.com)(?:[:/]|\Z)"
)
# Tops that the public DNS never has (RFC 6761, 6762, 8375, 9476; ICANN's .internal).
NOT_PUBLIC = ["localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan"]
NOT_PUBLIC += ["test", "example", "invalid", "onion", "alt", "home.arpa"]
OLDEST_WITH_PROFILES = 13  # the Debian whose certbot has them
ACME = {
    "directory": (DIRECTORY.fullmatch, "Give the https URL of an ACME directory."),
    "mail": (MAIL.fullmatch, "Give one mail address, or leave it out."),
    "profile": (WORD.fullmatch, "Give the name of one of the CA's profiles, or leave it out."),
    "ca_bundle": (lambda value: not value or PATH.fullmatch(value), PATHS),
}


def private(name):
    """Whether no public CA can know a name."""
    return "." not in name or any(name.endswith(f".{top}") for top in NOT_PUBLIC)


def unprovable(name):
    """Whether a name can't be proven to a CA over http: a wildcard, or an address."""
    return "*" in name or address(name) is not None


def about_acme(acme, present, run):
    """What a CA is asked for, and which."""
    for key, (fits, remedy) in ACME.items():
        if not fits(acme[key]):
            yield f"nginx_proxy_acme: {key}: '{acme[key]}' is invalid. {remedy}"
    if acme["profile"] and 0 < run.debian < OLDEST_WITH_PROFILES:
        yield (
            f"nginx_proxy_acme: profile: {acme['profile']} needs certbot 4, and Debian {run.debian} has an older "
            "one. Leave it out, or move to Debian 13."
        )
    names = [name for site in present if site["tls"] == "acme" for name in site["names"] + site["redirects"]]
    if bad := [name for name in names if unprovable(name)]:
        yield (
            f"nginx_proxy_sites: {listed(bad)} can't have tls: acme, since wildcards and addresses can't be proven "
            "over http. Give that site host names, or tls: private_ca or provided."
        )
    # A CA of one's own may know such names.
    unknown = [name for name in names if not unprovable(name) and private(name)]
    if unknown and PUBLIC_CA.match(acme["directory"]):
        yield (
            f"nginx_proxy_sites: {listed(unknown)} can't have tls: acme, since no public CA knows such names. Give "
            "that site a name of the public DNS, tls: private_ca or provided, or nginx_proxy_acme the directory "
            "of a CA of your own."
        )


def about_certificate(site, run):
    """What the user brings."""
    files = [site["certificate"], site["certificate_key"]]
    wanted = site["tls"] == "provided"
    if [bool(one) for one in files] != [wanted, wanted]:
        yield (
            f"nginx_proxy_sites: {called(site)} has tls: {site['tls']}, certificate: '{files[0]}' and "
            f"certificate_key: '{files[1]}'. With tls: provided give both files, else none."
        )
    elif wanted:
        missing = [one for one in files if not run.read(one)]
        for path in missing:
            yield (
                f"nginx_proxy_sites: {path} does not exist on the controller{run.looked([path])}, or is empty. Give the path of a PEM "
                "file that does."
            )
        if not missing:
            yield from about_pair(*files, run)


def about_pair(certificate, key, run):
    """A certificate and its key, by their files."""
    try:
        given = x509.load_pem_x509_certificate(run.read(certificate).encode())
        own = load_pem_private_key(run.read(key).encode(), password=None).public_key()
    except (ValueError, TypeError):
        yield (
            f"nginx_proxy_sites: {certificate} and {key} are not a certificate and an unencrypted key in PEM. "
            "Convert them; ansible-vault may encrypt the file."
        )
        return
    if given.public_key() != own:
        yield (
            f"nginx_proxy_sites: {key} is not the key of {certificate}. Give the pair that belongs together, the "
            "site's own certificate first in its file."
        )
    end = given.not_valid_after_utc
    if end < datetime.datetime.now(datetime.UTC):
        yield f"nginx_proxy_sites: {certificate} has expired ({end:%Y-%m-%d}). Give one that is valid."
