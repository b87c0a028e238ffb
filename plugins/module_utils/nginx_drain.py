"""Hosts of an app that get no requests for a while, though the inventory has them.

A note on each proxy says so. It outlives runs and reboots: every configuration that is put in place heeds it.
One called HOST says that the host is drained. One called HOST@APP says that it is behind, since a release of
the app has come to the others alone: it is asked where none of them answers, an old answer being better than
none. Standard library only.
"""

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from . import nginx_paths as paths
from .files import read

# A line of an upstream, as the role's template has it: behind it stand the host and its app. Earlier versions
# named the host alone.
MEMBER = re.compile(r"^( *server (\S+)[^;#\n]*?)( down)?; # (\S+?)(?: (\S+))?$", re.MULTILINE)
UPSTREAM = re.compile(r"^upstream \S+ \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)


@dataclass
class Upstream:
    """Hosts among which nginx chooses. site: for whom. servers: name of a host to its address with port.

    behind: the notes that say of each that it is behind.
    """

    site: str
    servers: dict
    behind: dict


def noted(host):
    """The name of a host's note, and what it is called in a configuration."""
    return quote(host, safe="")


def noted_behind(host, app):
    """The name of the note that a host is behind with an app."""
    return f"{noted(host)}@{app}"


def parted(names):
    """The hosts that are drained, and those that are behind, as pairs with the app."""
    return {one for one in names if "@" not in one}, {
        (host, app) for host, found, app in (one.partition("@") for one in names) if found
    }


def notes():
    """Name of each note to since when that is so."""
    names = os.listdir(paths.DRAINED) if os.path.isdir(paths.DRAINED) else []
    # What a killed run has left of one is none.
    names = sorted(name for name in names if not name.endswith(".partial"))
    return {name: read(f"{paths.DRAINED}/{name}").strip() for name in names}


def sites(files):
    """Path to text of those files of a configuration that choose among hosts."""
    return {path: text for path, text in files.items() if re.fullmatch(r"sites/.*\.conf", path)}


def heeded(files, names):
    """A configuration in which the hosts of these notes get what the notes leave them, and all others what
    they are to have.

    Where they are all that there are, they get it all the same: nobody at all is no better.
    """
    drained, behind = parted(names)

    def block(found):
        lines = list(MEMBER.finditer(found[0]))
        hosts = {line[4] for line in lines}
        out = drained if hosts - drained else set()
        late = {
            line[4] for line in lines for host, app in behind if (host, line[5] or app) == (line[4], app)
        } - out
        left = hosts - out - late
        late = late if left else set()
        # What stays of a host that is behind is the line by which any is asked when the others have failed.
        # Not where these are but backups themselves: it would be asked beside them.
        spared = {line[4] for line in lines if not line[1].endswith(" backup")} & left

        def changed(line):
            down = line[4] in out or (line[4] in late and not (spared and line[1].endswith(" backup")))
            return f"{line[1]}{' down' * down}; # {line[4]}{' ' * bool(line[5])}{line[5] or ''}"

        return MEMBER.sub(changed, found[0])

    return {**files, **{path: UPSTREAM.sub(block, text) for path, text in sites(files).items()}}


def upstreams(files):
    """All choices among hosts in a configuration."""
    return [
        Upstream(
            os.path.basename(path).removesuffix(".conf"),
            {host: address for _line, address, _down, host, _app in found},
            {host: f"{host}@{app}" for _line, _address, _down, host, app in found},
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

    drained: names of notes. answers: whether somebody accepts a connection at an address with a port. partly:
    leave out the sites that have no other host at all.
    """
    for one in upstreams(files):
        there = [name for name in one.servers if name != host and name not in drained]
        late = [name for name in there if one.behind[name] in drained]
        others = {name: one.servers[name] for name in there if name not in late}
        if host not in one.servers or any(answers(address) for address in others.values()):
            continue
        if partly and len(one.servers) == 1:
            continue
        reasons = [f"{', '.join(map(unquote, others))} can't be reached"] * bool(others)
        reasons += [f"{', '.join(map(unquote, late))} has missed a release"] * bool(late)
        why = ", and ".join(reasons) or "no other one is left"
        return f"{unquote(host)} is the last host that gets requests for {one.site}: {why}."
    return ""
