#!/usr/bin/python
"""What a host has of what some inputs are about: listeners, paths, folders, packages, units, nginx."""

DOCUMENTATION = r"""
---
module: look
short_description: Look at what a host has of what some inputs are about
author: The Tornadoes authors
description:
  - Says who listens on some TCP ports, what some paths are, what some folders hold, which packages are
    missing, how units are, and what there is of nginx.
  - Follows no link, and changes nothing.
options:
  ports: {type: list, elements: int, default: [], description: "TCP ports."}
  addresses:
    type: list
    elements: str
    default: []
    description: "Addresses that are meant, besides listeners on all of them; empty is any."
  paths: {type: list, elements: str, default: [], description: "Absolute paths."}
  folders: {type: list, elements: str, default: [], description: "Absolute paths of folders."}
  packages: {type: list, elements: str, default: [], description: "Names of Debian packages."}
  units: {type: list, elements: str, default: [], description: "Names of systemd's units."}
  nginx: {type: bool, default: false, description: "Whether nginx is asked for."}
"""

EXAMPLES = r"""
- name: Ask who has the ports of the web
  tornadoes.tornadoes.look:
    ports: [80, 443]
"""

RETURN = r"""
holders:
  type: dict
  returned: always
  description: Port, as text, to the name of who listens.
paths:
  type: dict
  returned: always
  description: >-
    Path to its C(kind) (folder, file, link, other, or empty where nothing is), C(owner) (uid) and
    C(mode) (permissions).
folders:
  type: dict
  returned: always
  description: Folder to the names in it; empty where there is none.
missing:
  type: list
  elements: str
  returned: always
  description: The packages that are not installed.
active:
  type: list
  elements: str
  returned: always
  description: The units that are active, and enabled for the next boot.
sites:
  type: list
  elements: str
  returned: always
  description: Names of the files of the sites that the role C(nginx_proxy) has made.
build:
  type: str
  returned: always
  description: What nginx says of its version and build; empty where there is none.
"""

import contextlib
import json
import os
import stat
import subprocess

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.listeners import holders

NGINX = "/etc/nginx"
KINDS = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


def what(path):
    """Kind, owner and permissions of a path."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return {"kind": "", "owner": 0, "mode": 0}
    kind = KINDS.get(stat.S_IFMT(found.st_mode), "other")
    return {"kind": kind, "owner": found.st_uid, "mode": stat.S_IMODE(found.st_mode)}


def names(folder):
    """What a folder holds."""
    with contextlib.suppress(OSError, ValueError):
        return sorted(os.listdir(folder))
    return []


def sites():
    """Names of the sites that have a certificate, or a configuration of the role's own.

    What somebody has put beside the role's files is none of its sites.
    """
    certificates = f"{NGINX}/certificates"
    found = {one for one in names(certificates) if what(f"{certificates}/{one}")["kind"] == "folder"}
    release = os.path.dirname(os.path.realpath(f"{NGINX}/nginx.conf"))
    with contextlib.suppress(OSError, ValueError), open(f"{release}/digests.json") as file:
        parts = [os.path.split(path) for path in json.load(file)]
        found |= {
            name.removesuffix(".conf")
            for folder, name in parts
            if folder == "sites" and name.endswith(".conf")
        }
    return sorted(found)


def said(*words):
    """All that a command says; empty where there is no such command."""
    try:
        return subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        ).stdout
    except OSError:
        return ""


def installed(package):
    """Whether dpkg says so of a package: needs neither python3-apt nor a package index."""
    form = "--showformat=${db:Status-Status}\\n"
    return "installed" in said("dpkg-query", "--show", form, "--", package).splitlines()


def active(unit):
    """Whether a unit is active, and enabled for the next boot."""
    found = said("systemctl", "show", "--property=ActiveState,UnitFileState", unit).split()
    return set(found) == {"ActiveState=active", "UnitFileState=enabled"}


def main():
    """Ansible calls this."""
    texts = {"type": "list", "elements": "str", "default": []}
    arguments = {
        "ports": {"type": "list", "elements": "int", "default": []},
        "addresses": texts,
        "paths": texts,
        "folders": texts,
        "packages": texts,
        "units": texts,
        "nginx": {"type": "bool", "default": False},
    }
    module = AnsibleModule(arguments, supports_check_mode=True)
    asked = module.params
    module.exit_json(
        changed=False,
        holders=holders(asked["ports"], asked["addresses"]),
        paths={path: what(path) for path in asked["paths"]},
        folders={path: names(path) for path in asked["folders"]},
        missing=[package for package in asked["packages"] if not installed(package)],
        active=[unit for unit in asked["units"] if active(unit)],
        sites=sites() if asked["nginx"] else [],
        build=said("/usr/sbin/nginx", "-V") if asked["nginx"] else "",
    )


if __name__ == "__main__":
    main()
