"""Where load goes: this machine and its own network, and nowhere else."""

import ipaddress
import resource
import socket
import ssl
import urllib.parse
from dataclasses import dataclass

PRIVATE = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]


@dataclass
class Target:
    """Where to connect to, and whom to expect there. path: what to ask for, with its query."""

    address: str
    port: int
    host: str
    path: str
    tls: ssl.SSLContext | None


def trusting(authority, protocol="http/1.1"):
    """A TLS context that trusts a CA (path of its certificate in PEM), or those of the system (None).

    protocol: what it offers (ALPN).
    """
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as problem:
        raise ValueError(f"--authority {authority}: {problem.strerror or problem}.") from None
    context.set_alpn_protocols([protocol])
    return context


def unverified():
    """A TLS context for where the server's speed alone is measured; its certificate is tested elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def find(url, host=None, tls=unverified, loopback_only=True):
    """The Target of a URL; ValueError in one sentence if there is none, or it must get no load.

    host: the site's name, by default the URL's. tls: makes the TLS context, for https alone.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"--url {url} is not like https://127.0.0.1:18443.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise ValueError(f"--url {url} leads nowhere: {problem.strerror}.") from None
    text = found[0][4][0]
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if loopback_only and not address.is_loopback:
        raise ValueError(f"{text} is not a loopback address: load stays on loopback.")
    if not any(address in network for network in PRIVATE):
        raise ValueError(f"{text} is neither a loopback nor a private address, and gets no load from here.")
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    return Target(text, port, host or parts.hostname, path, tls() if parts.scheme == "https" else None)


def allow_many_files():
    """As many open files as the system allows: each connection is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
