#!/usr/bin/python
"""Let a host of an app get no requests from this proxy, or let it get them again."""

DOCUMENTATION = r"""
---
module: nginx_proxy_drain
short_description: Let a host of an app get no requests from a proxy for a while
author: The Tornadoes authors (!UNKNOWN)
description:
  - Puts a note below C(/etc/nginx/drained), which each later configuration heeds, and swaps the one in use
    for one in which the host's servers are down, or no longer are. No request is lost by it.
  - Refuses to drain the last host that gets requests for a site and can be reached.
  - The action of that name says what has been done. Without O(host) and O(app) it says who is drained, and
    changes nothing.
  - With O(app) the notes are about hosts that a release of that app has left behind. They get its requests
    where no other host answers. A host that is drained as well stays so.
options:
  host:
    type: str
    default: ""
    description: Name of the host in the inventory.
  drained:
    type: bool
    default: true
    description: Whether it gets no requests.
  partly:
    type: bool
    default: false
    description: Whether it still gets the requests for sites that have no other host, instead of a refusal.
  app:
    type: str
    default: ""
    description: The app that hosts are behind with, or are so no more.
  behind:
    type: list
    elements: str
    default: []
    description: Names of the hosts that are.
  along:
    type: list
    elements: str
    default: []
    description: Names of those that are not.
  wait:
    type: int
    default: 0
    description: Seconds to wait at most until nothing is open to the host.
"""

EXAMPLES = r"""
- name: Drain the host
  tornadoes.tornadoes.nginx_proxy_drain:
    host: app2.example.org
    wait: 30

- name: Undrain it
  tornadoes.tornadoes.nginx_proxy_drain:
    host: app2.example.org
    drained: false

- name: Send none where a release of chat has not come to
  tornadoes.tornadoes.nginx_proxy_drain:
    app: chat
    behind: [app2.example.org]
"""

RETURN = r"""
sends:
  type: bool
  returned: always
  description: Whether the host is among those to which this proxy sends requests, drained or not.
open:
  type: int
  returned: always
  description: How many connections are open to it.
drained:
  type: dict
  returned: always
  description: Name of each host that is drained to since when.
behind:
  type: dict
  returned: always
  description: Name of each host that is behind to its apps, each to since when.
added:
  type: list
  elements: str
  returned: always
  description: Names of the hosts that were not drained, or behind with O(app), before.
ended:
  type: list
  elements: str
  returned: always
  description: Names of those that were.
kept:
  type: dict
  returned: always
  description: Name of each host that is drained to the sites that it gets requests for all the same.
"""

import datetime
import os
import pwd
import re
import shutil
import socket
import time
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import nginx_paths as paths
from ..module_utils.files import read, remove, write
from ..module_utils.listeners import connections
from ..module_utils.lockfile import wait_for
from ..module_utils.nginx_drain import (
    heeded,
    irreplaceable,
    needed,
    noted,
    noted_behind,
    notes,
    parted,
    upstreams,
)
from ..module_utils.nginx_release import MARK, filled, leftovers, linked, name_of, stored
from ..module_utils.nginx_service import Refused, unit
from ..module_utils.nginx_swap import reload_needed, swap

CONNECT_TIMEOUT = 2  # seconds
USER = "www-data"  # Debian's, of the workers


def place(address):
    """Host and port of an address as nginx writes it."""
    host, _colon, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def answers(address):
    """Whether somebody accepts a connection there."""
    try:
        socket.create_connection(place(address), CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def pending(files, names):
    """Whether nginx has yet to heed these notes; a run that was killed may have left it unread."""
    return heeded(files, names) != files or bool(reload_needed([]))


def put_in_place(files):
    """Have nginx run a configuration, or go on with the one that it has."""
    name = name_of(files)
    folder = f"{paths.RELEASES}/{name}"
    port = int(re.search(r"^ *listen ([0-9]+) default_server", files["nginx.conf"], re.MULTILINE)[1])
    swap(folder, filled(files, name), {}, {}, read(paths.DROP_IN), port, pwd.getpwnam(USER).pw_gid, [])
    for path in leftovers(folder):
        (shutil.rmtree if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)


def change(names, files):
    """Have these notes and no others, and nginx heed them where it runs. The notes come first, for a run that
    is killed between: the next one heeds them.
    """
    was = notes()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    keep(dict.fromkeys(names, now) | was, names ^ set(was), names)
    try:
        if files and pending(files, names):
            put_in_place(heeded(files, names))
    except Refused:
        keep(was, names ^ set(was), set(was))
        raise


def keep(texts, changed, names):
    """Let there be those of the changed notes that have these names. texts: name to text."""
    for name in changed:
        path = f"{paths.DRAINED}/{name}"
        if name in names:
            write(path, f"{texts[name]}\n", 0o644)
        else:
            remove(path)


def wanted(words, found):
    """The names of the notes that shall be there. found: whether this proxy sends requests to O(host)."""
    if words["app"]:
        behind, along = (
            {noted_behind(one, words["app"]) for one in words[key]} for key in ("behind", "along")
        )
        return (set(notes()) | behind) - along
    host = {noted(words["host"])}
    return (set(notes()) - host) | (host if found and words["drained"] else set())


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": ""},
            "drained": {"type": "bool", "default": True},
            "partly": {"type": "bool", "default": False},
            "app": {"type": "str", "default": ""},
            "behind": {"type": "list", "elements": "str", "default": []},
            "along": {"type": "list", "elements": "str", "default": []},
            "wait": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    words = module.params
    host, drained = noted(words["host"]), words["drained"]
    # Another run may be about to put a configuration in place.
    lock = None if module.check_mode else wait_for(paths.LOCK)
    old = linked()
    in_use = f"tornadoes/{os.path.basename(old)}" if old else MARK
    files = {path: text.replace(in_use, MARK) for path, text in stored(old).items()} if old else {}
    found = [one.servers[host] for one in upstreams(files) if host in one.servers]
    if host and found and drained and (reason := needed(host, files, notes(), answers, words["partly"])):
        module.fail_json(msg=reason)
    was, names = set(notes()), wanted(words, found)
    # A release need not wait until somebody starts nginx: the note is there by then.
    asked = bool(found) if host else bool(words["app"] and files and unit()["runs"])
    changed = names != was or (asked and pending(files, names))
    if changed and not module.check_mode:
        if host and not unit()["runs"]:
            module.fail_json(msg="nginx does not run here. Start it first.")
        try:
            change(names, files if asked else {})
        except Refused as error:
            module.fail_json(msg=f"{str(error).rstrip('.')}. The old configuration stays in use.")
    if lock:
        lock.close()
    places = [place(address) for address in set(found)]
    end = time.monotonic() + words["wait"]
    while (still := connections(places)) and time.monotonic() < end and not module.check_mode:
        time.sleep(0.2)
    there, behind = notes(), {}
    for name, app in sorted(parted(there)[1]):
        behind.setdefault(unquote(name), {})[app] = there[f"{name}@{app}"]
    module.exit_json(
        changed=changed,
        sends=bool(found),
        open=still,
        drained={unquote(name): since for name, since in there.items() if "@" not in name},
        behind=behind,
        added=sorted(unquote(name.partition("@")[0]) for name in names - was),
        ended=sorted(unquote(name.partition("@")[0]) for name in was - names),
        kept={unquote(name): several for name, several in irreplaceable(parted(there)[0], files).items()},
    )


if __name__ == "__main__":
    main()
