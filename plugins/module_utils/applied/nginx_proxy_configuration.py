"""Swap nginx's configuration as a whole, or not at all: module_utils/nginx_swap.py does it."""

import os
import pwd
import shutil

from .. import nginx_paths as paths
from ..files import differences, read
from ..listeners import holders
from ..lockfile import wait_for
from ..nginx_drain import heeded, notes
from ..nginx_reasons import separated
from ..nginx_release import MARK, drifted, filled, leftovers, linked, name_of, stored
from ..nginx_service import Refused, restart_needed, unit
from ..nginx_swap import differing, rehearse, reload_needed, swap
from ..nginx_unmanaged import is_stock, unloaded, unmanaged
from ..systemd import outdated, run

TEXTS = {"type": "list", "elements": "str", "default": []}
SPEC = {
    "found": {"type": "dict", "default": {}},
    "step": {"type": "str", "choices": ["open", "change", "close"], "default": "change"},
    "files": {"type": "dict", "default": {}},
    "users": {"type": "dict", "default": {}, "no_log": True},
    "drop_in": {"type": "str", "default": ""},
    "programs": {"type": "dict", "default": {}},
    "port": {"type": "int", "default": 80},
    "upstreams": TEXTS,
    "named": TEXTS,
    "read_at_start": TEXTS,
    "unused": TEXTS,
    "rehearse": {"type": "bool", "default": False},
    "rehearsed": {"type": "bool", "default": False},
}

USER = "www-data"  # Debian's, of the workers


def missing(upstreams, named):
    """The upstreams that nobody listens on, and the paths where nothing is."""
    ports = {one: int(one.rpartition(":")[2]) for one in upstreams}
    found = holders(list(ports.values()), ["127.0.0.1", "::1"])
    silent = [one for one, port in ports.items() if str(port) not in found]
    return silent + [path for path in named if not os.path.lexists(path)]


def main(module):
    """The modules of this name, and apply, call this."""
    os.umask(0o022)
    # Held until this process ends: another run may be about to tell nginx who is drained.
    _lock = None if module.check_mode else wait_for(paths.LOCK)
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
            if module.params["rehearse"]:
                rehearse(name, files, origins, drop_in, group)
                module.exit_json(changed=False, rehearsed=True)
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
