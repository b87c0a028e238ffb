"""One Redis of several hosts: what each says of it, and the Sentinels that keep it so."""

import os

from .. import redis_sentinel
from ..redis_replication import introduce, leave, standing, step_back
from ..refusal import Refusal
from .redis_server_configuration import REPLICATION
from .redis_server_configuration import SPEC as CONFIGURATION

SPEC = {
    "step_back": {"type": "bool", "default": False},
    "leave": {"type": "bool", "default": False},
    "stays": {"type": "list", "elements": "str", "default": []},
    "introduce": {"type": "bool", "default": False},
    "forget": {"type": "bool", "default": False},
    "replication": {"type": "dict", "options": REPLICATION},
    "addresses": {"type": "list", "elements": "str"},
    "port": {"type": "int"},
    "drop_in": {"type": "str"},
    "users": {**CONFIGURATION["users"], "required": False},
}


def main(module):
    """The modules of this name, and apply, call this."""
    os.umask(0o077)
    words = module.params
    if not (words["replication"] or words["step_back"] or words["leave"]):
        module.exit_json(changed=False, standing=standing())
    try:
        if words["step_back"] or words["leave"]:
            changed = not module.check_mode and (leave(words["stays"]) if words["leave"] else step_back())
            module.exit_json(changed=changed, did="")
        if words["introduce"]:
            if not module.check_mode:
                introduce(words["replication"]["secret"])
            module.exit_json(changed=True, did="a second password of replication")
        names = {one["name"]: one["hash"] for one in words["users"]}
        changed = redis_sentinel.install(
            words["replication"],
            words["addresses"],
            words["port"],
            names,
            words["drop_in"],
            words["replication"]["rekey"] and not words["forget"],
            module.check_mode,
        )
    except (OSError, Refusal) as refusal:
        module.fail_json(msg=f"{refusal}.")
    module.exit_json(changed=changed, did="a new configuration" if changed else "")
