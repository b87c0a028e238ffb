"""Hosts of an app that get no requests for a while, though the inventory has them.

A note on each proxy says so. It outlives runs and reboots: every configuration that is put in place heeds it.
Standard library only.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from . import nginx_paths as paths
from .files import read

# A line of an upstream, as the role's template has it: the host stands behind it.
MEMBER = re.compile(r"^( *server (\S+)[^;#\n]*?)( down)?; # (\S+)$", re.MULTILINE)
UPSTREAM = re.compile(r"^upstream \S+ \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)


@dataclass
class Upstream:
    """Hosts among which nginx chooses. site: for whom. servers: name of a host to its address with port."""

    site: str
    servers: dict


def noted(host):
    """The name of a host's note, and what it is called in a configuration."""
    return quote(host, safe="")


def notes():
    """Name of each note to since when the host is drained."""
    names = os.listdir(paths.DRAINED) if os.path.isdir(paths.DRAINED) else []
    # What a killed run has left of one is none.
    names = sorted(name for name in names if not name.endswith(".partial"))
    return {name: read(f"{paths.DRAINED}/{name}").strip() for name in names}


def sites(files):
    """Path to text of those files of a configuration that choose among hosts."""
    return {path: text for path, text in files.items() if re.fullmatch(r"sites/.*\.conf", path)}


def heeded(files, drained):
    """A configuration in which these hosts get nothing, and all others what they are to have.

    Where they are all that there are, they get it all the same: nobody at all is no better.
    """

    def block(found):
        hosts = {host for _server, _address, _down, host in MEMBER.findall(found[0])}
        out = set(drained) if hosts - set(drained) else set()
        return MEMBER.sub(lambda line: f"{line[1]}{' down' * (line[4] in out)}; # {line[4]}", found[0])

    return {**files, **{path: UPSTREAM.sub(block, text) for path, text in sites(files).items()}}


def upstreams(files):
    """All choices among hosts in a configuration."""
    return [
        Upstream(
            os.path.basename(path).removesuffix(".conf"),
            {host: address for _line, address, _down, host in found},
        )
        for path, text in sites(files).items()
        for block in UPSTREAM.findall(text)
        if (found := MEMBER.findall(block))
    ]


def irreplaceable(drained, files):
    """Name of each drained host to the sites that it gets requests for, since they have no other host."""
    found = {host: set() for host in drained}
    for one in upstreams(files):
        if set(one.servers) <= set(drained):
            for host in one.servers:
                found[host].add(one.site)
    return {host: sorted(names) for host, names in found.items()}


def needed(host, files, drained, answers, partly):
    """Why a host can't be drained, in a sentence; "" if it can: somebody else has to take its requests.

    answers: whether somebody accepts a connection at an address with a port. partly: leave out the sites that
    have no other host at all.
    """
    for one in upstreams(files):
        others = {
            name: address for name, address in one.servers.items() if name != host and name not in drained
        }
        if host not in one.servers or any(answers(address) for address in others.values()):
            continue
        if partly and len(one.servers) == 1:
            continue
        why = f"{', '.join(map(unquote, others))} can't be reached" if others else "no other one is left"
        return f"{unquote(host)} is the last host that gets requests for {one.site}: {why}."
    return ""
