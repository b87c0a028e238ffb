"""By which way proxies reach the hosts of apps, plain or by TLS, and a change from one to the other.

No visitor notices it: first the hosts of apps listen for both (open), then proxies change, then those hosts
close what nobody uses any more (close). Each step is a configuration of its own, and where nothing changes all
are the same.
"""

import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .values import listed

CALLED = {"tls": "TLS", "plain": "plain http"}
MARK = "@release@/trusted.pem"


def way(nginx):
    """The way that there is to be. nginx: a host's description."""
    return "tls" if nginx["private_tls"] else "plain"


def asked(nginx):
    """Names of the hosts that a proxy asks, a list for each of its apps."""
    apps = [one["members"] for site in nginx["sites"] for one in site["upstreams"]]
    return [[one["name"] for one in members] for members in apps if members]


def known(bundle):
    """Name of a host to the certificate of its CA, of a bundle that stands on a proxy."""
    return dict(re.findall(r"^# (.+)\n((?:[^#\n].*\n)+)", bundle, re.MULTILINE))


def bundle(nginx, there, told):
    """The certificates of the CAs that a proxy trusts, as a file.

    there: that file as it is. told: name to certificate of those hosts that this run has asked.
    """
    found = {**known(there), **{name: f"{text.strip()}\n" for name, text in told.items() if text}}
    return "".join(f"# {name}\n{found[name]}" for name in sorted(nginx["trusts"]) if name in found)


def certificate(text):
    """What a host has said as one certificate and nothing else, since it goes to others; "" where it is none."""
    try:
        found = x509.load_pem_x509_certificate(str(text).encode())
    except ValueError:
        return ""
    return found.public_bytes(Encoding.PEM).decode()


def staged(nginx, has, step, told):
    """A description as it is for a step: C(open), C(change) or C(close). has: what the host has of this now.

    told: see bundle().
    """
    now = way(nginx)
    listens = [now] if step == "close" else sorted({now, *has["listens"]})
    asks = has["asks"] or now if step == "open" else now
    return {
        **nginx,
        "listens": listens if nginx["inner"] else [],
        "asks": asks if nginx["asks_from"] else "",
        "trusted": MARK,
        "trusted_text": bundle(nginx, has["trusted"], told) if nginx["trusts"] else has["trusted"],
    }


def refusals(nginx, has, host, present, dry):
    """A sentence where a proxy would reach nobody any more. nginx: as staged() says. present: hosts of the run.

    dry: with --check, when no host may have a CA yet.
    """
    now, apps = nginx["asks"], asked(nginx)
    out = [members for members in apps if not set(members) & set(present)]
    if has["asks"] not in ("", now) and out:
        names = sorted({name for members in out for name in members})
        yield (
            f"nginx_proxy_private_tls: {host} would reach {listed(names)} by {CALLED[now]} from now on, and this "
            "run leaves them out. Run it without -l."
        )
    elif now == "tls" and not nginx["trusted_text"] and not dry:
        yield (
            f"nginx_proxy_private_tls: {host} knows the private CA of none of {listed(sorted(nginx['trusts']))}, which "
            "this run leaves out. Run it without -l."
        )
