#!/usr/bin/python
"""Swap nginx's configuration as a whole, or not at all: module_utils/nginx_swap.py does it."""

DOCUMENTATION = r"""
---
module: nginx_proxy_configuration
short_description: Swap nginx's configuration as a whole, or not at all
description:
  - Stores the files below C(/etc/nginx/tornadoes), tests them, links C(/etc/nginx/nginx.conf)
    to them, and starts or reloads nginx. If any step fails, the old link is back.
  - Reloads only if nginx has yet to read something, and restarts it only if it was started with another
    drop-in. Neither loses a request. Lets nginx start at boot.
  - Hosts that are drained (see the module C(nginx_proxy_drain)) stay so.
  - The action of that name renders the files by the description of a host, and gives all other options.
author: The Tornadoes authors (!UNKNOWN)
options:
  found:
    type: dict
    default: {}
    description: What the host has, and in C(description) what it shall have, as the action C(inputs) says.
  files:
    type: dict
    default: {}
    description: >-
      Path to content. C(nginx.conf) is the entry; C(@release@) in a content becomes the
      release's folder, for includes. C(#= VARIABLE) at the end of a line is taken off; when nginx
      refuses the line, the variable is named.
  users:
    type: dict
    default: {}
    description: The same, for files of hashed passwords. No difference of them is shown.
  drop_in:
    type: str
    default: ""
    description: >-
      Content of C(/etc/systemd/system/nginx.service.d/tornadoes.conf). The configuration is tested in
      the sandbox that it describes; where that refuses, the old one is back as well.
  programs:
    type: dict
    default: {}
    description: Path to text of what the drop-in has systemd run, and Debian's scripts read.
  port: {type: int, default: 80, description: "Port on the loopback address that answers http."}
  upstreams:
    type: list
    elements: str
    default: []
    description: Host and port of upstreams on this host.
  named:
    type: list
    elements: str
    default: []
    description: Paths that the sites name.
  read_at_start:
    type: list
    elements: str
    default: []
    description: >-
      Further files that nginx reads when it loads its configuration, as certificates. A file C(unread)
      beside one says that nginx has yet to.
  unused:
    type: list
    elements: str
    default: []
    description: Paths that are removed after the swap, since no site uses them any more.
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.nginx_proxy_configuration:
    found: "{{ looked.roles.nginx_proxy }}"
"""

RETURN = r"""
release:
  type: str
  returned: always
  description: Name of the release's folder.
unmanaged:
  type: list
  elements: str
  returned: always
  description: Configuration files that nginx includes and the role has not made.
drifted:
  type: list
  elements: str
  returned: always
  description: Files of the role that somebody has changed by hand since the last run.
missing:
  type: list
  elements: str
  returned: always
  description: Those of C(upstreams) and C(named) that are not there.
removed:
  type: list
  elements: str
  returned: always
  description: Those of C(unused) that were there.
"""

import os
import pwd
import shutil

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import nginx_paths as paths
from ..module_utils.files import differences, read
from ..module_utils.listeners import holders
from ..module_utils.nginx_drain import heeded, notes
from ..module_utils.nginx_reasons import separated
from ..module_utils.nginx_release import MARK, drifted, filled, leftovers, linked, name_of, stored
from ..module_utils.nginx_service import Refused, restart_needed, unit
from ..module_utils.nginx_swap import differing, reload_needed, swap
from ..module_utils.nginx_unmanaged import is_stock, unloaded, unmanaged
from ..module_utils.systemd import outdated, run

USER = "www-data"  # Debian's, of the workers


def missing(upstreams, named):
    """The upstreams that nobody listens on, and the paths where nothing is."""
    ports = {one: int(one.rpartition(":")[2]) for one in upstreams}
    found = holders(list(ports.values()), ["127.0.0.1", "::1"])
    silent = [one for one, port in ports.items() if str(port) not in found]
    return silent + [path for path in named if not os.path.lexists(path)]


def main():
    """Ansible calls this."""
    texts = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "found": {"type": "dict", "default": {}},
            "files": {"type": "dict", "default": {}},
            "users": {"type": "dict", "default": {}, "no_log": True},
            "drop_in": {"type": "str", "default": ""},
            "programs": {"type": "dict", "default": {}},
            "port": {"type": "int", "default": 80},
            "upstreams": texts,
            "named": texts,
            "read_at_start": texts,
            "unused": texts,
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    shown, origins = separated(module.params["files"])
    shown = heeded(shown, notes())
    files, now = {**shown, **module.params["users"]}, unit()
    name = name_of(files)
    folder, old = f"{paths.RELEASES}/{name}", linked()
    before = stored(old) if old else {}
    drop_in, programs = module.params["drop_in"], module.params["programs"]
    confined = read(paths.DROP_IN)
    pending = (
        old != folder
        or confined != drop_in
        or outdated("nginx", paths.DROP_IN)
        or differing(programs)
        or restart_needed(drop_in)
        or before != filled(files, name)
        or is_stock(paths.STOCK_SITE)
        or not now["runs"]
        or reload_needed(module.params["read_at_start"])
        or unloaded()
    )
    # The folder's name is in every include; as a difference it tells nothing.
    in_use = f"tornadoes/{os.path.basename(old)}" if old else MARK
    was = {path: text.replace(in_use, MARK) for path, text in before.items() if not path.startswith("users/")}
    around = {path: read(path) for path in (*programs, paths.DROP_IN)}
    removed = [path for path in module.params["unused"] if os.path.lexists(path)]
    result = {
        "changed": bool(pending or leftovers(folder) or removed or not now["enabled"]),
        "release": name,
        "removed": removed,
        "unmanaged": unmanaged(),
        "drifted": drifted(old, before),
        "diff": differences({**was, **around}, {**shown, **programs, paths.DROP_IN: drop_in}),
    }
    try:
        if pending and not module.check_mode:
            group = pwd.getpwnam(USER).pw_gid
            more = module.params["read_at_start"]
            port = module.params["port"]
            swap(folder, filled(files, name), origins, programs, drop_in, port, group, more)
    except Refused as error:
        module.fail_json(msg=f"{str(error).rstrip('.')}. The old configuration stays in use.")
    if not module.check_mode:
        for path in [*leftovers(folder), *removed]:
            (shutil.rmtree if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        code, output = (0, "") if now["enabled"] else run("systemctl", "enable", "nginx")
        if code:
            module.fail_json(msg=f"nginx can't be enabled for the next boot: {output}")
    module.exit_json(missing=missing(module.params["upstreams"], module.params["named"]), **result)


if __name__ == "__main__":
    main()
