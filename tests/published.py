"""What the role nginx_proxy would give a host: the description by its inputs, and the files.

Both are made as in a run; only what a host would answer is given here.
"""

import re

from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_configuration import (
    configuration,
    host_of,
)
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.nginx_proxy_private import staged
from rendering import ROOT, role_variables, trusted

BOOKWORM, TRIXIE = "nginx/1.22.1 OpenSSL 3.0.17", "nginx/1.26.3 OpenSSL 3.5.4"
FORKY = "nginx/1.30.6 OpenSSL 3.6.3"
# How every location begins.
DETOUR = r"\{\s+include @release@/snippets/detour\.conf;\s+"


def described(*sites, debian="13", **settings):
    """What the host shall have by these inputs."""
    given = trusted({"nginx_proxy_sites": list(sites), **settings})
    facts = {"distribution": "Debian", "distribution_major_version": debian}
    host = {"inventory_hostname": "www1", "ansible_facts": facts}
    run = Run(ROOT / "roles/nginx_proxy", DataLoader(), {**role_variables("nginx_proxy", **given), **host})
    return run.description()


# What a host has of the ways between proxies and the hosts of apps before its first run.
NOTHING = {"listens": [], "asks": "", "trusted": ""}


def files_of(run, build=TRIXIE, ipv6=True, has=NOTHING, step="change", told=()):
    """Path to content of everything that the role would store. has, step, told: see staged()."""
    return stored(run.description(), build, ipv6, has, step, dict(told))


def render(*sites, build=TRIXIE, ipv6=True, **settings):
    """The same by the role's inputs alone."""
    return stored(described(*sites, **settings), build, ipv6)


def stored(description, build, ipv6, has=NOTHING, step="change", told=None):
    """The same by a description."""
    description = staged(description, has, step, told or {})
    found = {"build": build, "paths": {"/proc/net/if_inet6": {"kind": "file" * ipv6}}}
    files, _users = configuration(description, host_of(found, description["debian"]), None)
    for path, text in files.items():
        assert not re.search(r"{{|{%|{#|#jinja2", text), f"{path} was not rendered"
        assert text.count("{") == text.count("}"), path
        assert text.endswith("\n"), path
    return files


def site(**keys):
    """A site with what every site needs."""
    return {"names": ["www.example.org"], "upstreams": ["127.0.0.1:8000", "127.0.0.1:8001"], **keys}


def page(**arguments):
    """The file of one site, with its keys among the arguments."""
    settings = {key: arguments.pop(key) for key in [*arguments] if key in ("build", "ipv6") or "nginx" in key}
    files = render(site(**arguments), **settings)
    return next(text for path, text in files.items() if path.startswith("sites/"))


def servers(text):
    """The server blocks of a file."""
    return re.findall(r"^ *server \{\n(.*?)^ *\}\n(?=\n|\Z| *server| *include)", text, re.S | re.M)
