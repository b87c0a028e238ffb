#!/usr/bin/python
"""What a host has of what some inputs are about: listeners, paths, folders, packages, units, nginx."""

DOCUMENTATION = r"""
---
module: look
short_description: Look at what a host has of what some inputs are about
author: The Tornadoes authors (!UNKNOWN)
description:
  - Says who listens on some TCP ports, what some paths are, what some folders hold, which packages and
    groups are missing, how units are, what some Pythons are, and what there is of nginx.
  - Follows no link but those to a Python, which an account without rights asks what it is. Changes
    nothing.
options:
  questions:
    type: dict
    required: true
    description: >-
      Name of a question to what it asks for, each of which may be left out: C(ports) (TCP ports),
      C(addresses) (that are meant, besides listeners on all of them; none is any), C(paths) and
      C(folders) (absolute paths), C(packages) (of Debian), C(groups) (of accounts), C(units)
      (of systemd), C(calendars) (when a timer is to start something), C(interpreters) (paths of Pythons),
      C(apps) (of the role C(tornado_app)), C(nginx) (whether nginx is asked for), C(cards) (whether network
      interfaces are), and C(texts) (paths of files of root's).
"""

EXAMPLES = r"""
- name: Ask who has the ports of the web
  tornadoes.tornadoes.look:
    questions:
      web: {ports: [80, 443]}
"""

RETURN = r"""
answers:
  type: dict
  returned: always
  description: >-
    Name of a question to its answer. C(holders) is port, as text, to the name of who listens; C(paths)
    is path to its C(kind) (folder, file, link, other, or empty where nothing is), C(owner) (uid) and
    C(mode) (permissions); C(folders) is folder to the names in it, none where there is none; C(missing)
    are the packages that are not installed; C(no_groups) the groups
    that there are none of; C(active) the units that are active, and enabled for the
    next boot; C(calendars) is expression to what is wrong with it; C(interpreters) is path to what there
    is of that Python, C(why) it can't be used among it; C(instances) is app to the ports, as text, that
    have a unit which is loaded or enabled;
    C(sites) the names of the files of the sites that the role C(nginx_proxy) has made; C(settings) the lines
    that somebody has added to Debian's nginx.conf before the role came, and C(unmanaged) the files that it
    includes and the role has not made; C(cards) the interfaces, each with its name and its addresses with
    the lengths of their prefixes; C(texts) is path to content, empty where there is none; and C(build) what
    nginx says of its version and build, empty where there is none.
"""

import contextlib
import grp
import json
import os
import stat
import subprocess

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import read
from ..module_utils.host import known_ports
from ..module_utils.interpreter import examine
from ..module_utils.listeners import holders
from ..module_utils.nginx_unmanaged import own_settings, unmanaged

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


def is_group(name):
    """Whether the host knows a group."""
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


def active(unit):
    """Whether a unit is active, and enabled for the next boot."""
    found = said("systemctl", "show", "--property=ActiveState,UnitFileState", unit).split()
    return set(found) == {"ActiveState=active", "UnitFileState=enabled"}


def calendar(text):
    """What is wrong with the calendar of a timer, as the end of a sentence; "" where it is good."""
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--", text],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode:
        return "is no time that systemd knows"
    return "never comes" if "Next elapse: never" in done.stdout else ""


def cards():
    """The network interfaces, by name, with their addresses."""
    try:
        found = json.loads(said("ip", "-json", "address") or "[]")
    except ValueError:
        return []
    return [
        {
            "name": one["ifname"],
            "addresses": [
                f"{each['local']}/{each['prefixlen']}"
                for each in one["addr_info"]
                if each.get("scope") == "global"
            ],
        }
        for one in found
        if "ifname" in one
    ]


def answer(question):
    """What there is of what one question asks for."""
    nginx = question.get("nginx", False)
    return {
        "holders": holders(question.get("ports", []), question.get("addresses", [])),
        "paths": {path: what(path) for path in question.get("paths", [])},
        "folders": {path: names(path) for path in question.get("folders", [])},
        "missing": [package for package in question.get("packages", []) if not installed(package)],
        "no_groups": [name for name in question.get("groups", []) if not is_group(name)],
        "active": [unit for unit in question.get("units", []) if active(unit)],
        "calendars": {text: why for text in question.get("calendars", []) if (why := calendar(text))},
        "interpreters": {path: examine(path) for path in question.get("interpreters", [])},
        "instances": {name: known_ports(f"tornado-{name}") for name in question.get("apps", [])},
        "sites": sites() if nginx else [],
        "settings": own_settings() if nginx else [],
        "unmanaged": unmanaged() if nginx else [],
        "cards": cards() if question.get("cards", False) else [],
        "texts": {path: read(path) for path in question.get("texts", [])},
        "build": said("/usr/sbin/nginx", "-V") if nginx else "",
    }


def main():
    """Ansible calls this."""
    module = AnsibleModule({"questions": {"type": "dict", "required": True}}, supports_check_mode=True)
    questions = module.params["questions"]
    module.exit_json(changed=False, answers={name: answer(one) for name, one in questions.items()})


if __name__ == "__main__":
    main()
