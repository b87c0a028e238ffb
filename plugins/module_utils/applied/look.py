"""What a host has of what some inputs are about: listeners, paths, folders, packages, units, nginx."""

import contextlib
import glob
import grp
import json
import os
import re
import stat
import subprocess

from ..files import read
from ..host import installed_apps, known_ports
from ..interpreter import examine
from ..listeners import holders
from ..nginx_unmanaged import own_settings, unmanaged

SPEC = {"questions": {"type": "dict", "required": True}}

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


def private():
    """How proxies reach this host's apps, and it those of others: C(plain) or C(tls); and whom it trusts."""
    release = os.path.dirname(os.path.realpath(f"{NGINX}/nginx.conf"))
    listens = re.findall(
        r"^ *listen (?!127\.0\.0\.1:)\S+( ssl)?", read(f"{release}/snippets/inner.conf"), re.MULTILINE
    )
    sites = "".join(read(path) for path in glob.glob(f"{release}/sites/*.conf"))
    asks = "tls" if "proxy_pass https://" in sites else "plain" if "proxy_bind " in sites else ""
    return {
        "listens": sorted("tls" if one else "plain" for one in listens),
        "asks": asks,
        "trusted": read(f"{release}/trusted.pem"),
    }


def said(*words):
    """All that a command says; empty where there is no such command."""
    try:
        return subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        ).stdout
    except OSError:
        return ""


def not_installed(packages):
    """Those of some packages that dpkg has not: needs neither python3-apt nor a package index."""
    form = "--showformat=${Package} ${Package}:${Architecture} ${db:Status-Status}\\n"
    text = said("dpkg-query", "--show", form, "--", *packages) if packages else ""
    lines = [line.split() for line in text.splitlines()]
    there = {name for line in lines if line[-1:] == ["installed"] for name in line[:-1]}
    return [one for one in packages if one not in there]


def is_group(name):
    """Whether the host knows a group."""
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False


def shown(units, *names):
    """Unit to some of its properties, as systemctl's lines; one call, since each has to ask systemd anew."""
    blocks = said("systemctl", "show", f"--property={','.join(names)}", *units).split("\n\n") if units else []
    return {unit: set(block.split()) for unit, block in zip(units, blocks, strict=False)}


def active(units):
    """Those of some units that are active, and enabled for the next boot."""
    found = shown(units, "ActiveState", "UnitFileState")
    return [one for one, lines in found.items() if lines == {"ActiveState=active", "UnitFileState=enabled"}]


def masked(units):
    """Those that somebody has seen to it that nothing starts, which need not be there yet."""
    return [one for one, lines in shown(units, "LoadState").items() if lines == {"LoadState=masked"}]


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
        "missing": not_installed(question.get("packages", [])),
        "no_groups": [name for name in question.get("groups", []) if not is_group(name)],
        "active": active(question.get("units", [])),
        "masked": masked(question.get("starts", [])),
        "calendars": {text: why for text in question.get("calendars", []) if (why := calendar(text))},
        "interpreters": {path: examine(path) for path in question.get("interpreters", [])},
        "instances": {name: known_ports(f"tornado-{name}") for name in question.get("apps", [])},
        "installed": installed_apps() if "apps" in question else [],
        "sites": sites() if nginx else [],
        "settings": own_settings() if nginx else [],
        "unmanaged": unmanaged() if nginx else [],
        "private": private() if nginx else {},
        "cards": cards() if question.get("cards", False) else [],
        "texts": {path: read(path) for path in question.get("texts", [])},
        "build": said("/usr/sbin/nginx", "-V") if nginx else "",
    }


def main(module):
    """The modules of this name, and apply, call this."""
    questions = module.params["questions"]
    module.exit_json(changed=False, answers={name: answer(one) for name, one in questions.items()})
