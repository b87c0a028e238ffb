"""What single values of the role nginx_proxy may be."""

import re

from .values import PATH, address, port, whole

LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"(?:\*\.)?(?:{LABEL}\.)*(?![0-9]){LABEL}")
LONGEST_NAME = 253  # characters, in the DNS; a label has 63
LONGEST_FIRST = 240  # of a file's name, 255, with what stands before and behind it
HOST = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")
QUOTED = re.compile(r"[ !#%-\[\]-~]*")  # what can stand between quotes: neither quote, backslash nor dollar
HEADER = re.compile("[A-Za-z][A-Za-z0-9-]*")
STATIC = re.compile(r"/[^\s;{}$\"'\\#]*[^/\s;{}$\"'\\#]/")
SIZE = re.compile("[0-9]{1,9}[kKmMgG]?")
OWN_TMP = re.compile("(?:unix:)?/(?:var/)?tmp/")
USER = re.compile(r"[^:#\s]+:\$(?:2[aby]|5|6|y|apr1)\$[!-9;-~]+")
NETWORKS = "Give addresses or networks, as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."
PATHS = r"Give an absolute path without spaces, quotes and any of ; { } $ # \."


def like(pattern):
    """A check whether a value is all of a pattern."""
    compiled = re.compile(pattern)
    return lambda value: bool(compiled.fullmatch(str(value)))


def between(least, most):
    """A check whether a value is a whole number from one to another."""
    return lambda value: whole(value, least, most)


MANY = (between(0, 99999), "Give a number up to 99999, or 0 for any number.")
SECONDS = (between(1, 99999999), "Give seconds, at least 1.")
SETTINGS = {
    "nginx_proxy_worker_processes": (like("auto|[1-9][0-9]{0,3}"), "Give a number, or auto."),
    "nginx_proxy_worker_connections": (between(10, 9999999), "Give a number from 10 to 9999999."),
    "nginx_proxy_cache_size": (like("[1-9][0-9]{0,5}[mMgG]"), "Give a number with m or g."),
}
LIMITS = {
    "header_size": (
        like("[1-9][0-9]{3,5}|[1-9][0-9]{0,2}[kK]"),
        "Give bytes (1000 to 999999), or a number with k.",
    ),
    "header_timeout": SECONDS,
    "body_timeout": SECONDS,
    "send_timeout": SECONDS,
    "streams": (between(1, 99999999), "Give a number, at least 1."),
    "connections": MANY,
    "requests": (between(0, 999999), "Give a number per second up to 999999, or 0 for any number."),
    "uploads": MANY,
    "all_uploads": MANY,
}


def called(site):
    """What a site is called."""
    return site["names"][0] if site["names"] else "a site without a name"


def every(sites, key):
    """What the lists of that name hold, of all sites."""
    return [one for site in sites for one in site[key]]


def servers(site):
    """The upstreams of a site, and of its paths: a list each."""
    return [site["upstreams"], *(one["upstreams"] for one in site["paths"])]


def server(host, number):
    """An address with a port, as nginx writes it."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def every_server(sites):
    """The upstreams of all sites and their paths."""
    return [one for site in sites for group in servers(site) for one in group]


def site_name(text):
    """Whether a text can be the name of a site: of a host (*.example.org too), or an address."""
    named = bool(NAME.fullmatch(text)) and len(text) <= LONGEST_NAME
    return named or (text == text.lower() and address(text) is not None)


def no_site_name(text):
    """A text that can't be the name of a site, in quotes, and what of it is to blame where that can be told."""
    whole = {
        "it is an address of a page": "/" in text,
        "it has a port": bool(re.fullmatch(r"[^:]+:[0-9]+|\[.*\]:[0-9]+", text)),
        "it ends with a dot": text.endswith("."),
        "it has an underscore": "_" in text,
        "it has capitals": text != text.lower(),
        "it is too long": len(text) > LONGEST_NAME,
    }
    said = [why for why, so in whole.items() if so][:1]
    return f"'{text}'" + "".join(f" ({why})" for why in said)


def as_ascii(name):
    """A name as the DNS has it: bücher.example is xn--bcher-kva.example. One that can't be is given back."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def upstream(text):
    """Whether a text is host:port, [IPv6]:port or unix:/path."""
    if text.startswith("unix:"):
        return bool(PATH.fullmatch(text[5:])) and ":" not in text[5:]
    host, _colon, number = text.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]") and ":" in host and address(host[1:-1])
    return port(number) and bool(in_brackets or HOST.fullmatch(host))
