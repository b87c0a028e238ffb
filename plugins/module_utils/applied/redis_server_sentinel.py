"""One Redis of several hosts: what each says of it, and the Sentinels that keep it so."""

import os

from .. import redis_sentinel
from ..redis_replication import standing
from ..refusal import Refusal
from .redis_server_configuration import REPLICATION
from .redis_server_configuration import SPEC as CONFIGURATION

SPEC = {
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
    if not words["replication"]:
        module.exit_json(changed=False, standing=standing())
    names = {one["name"]: one["hash"] for one in words["users"]}
    try:
        changed = redis_sentinel.install(
            words["replication"],
            words["addresses"],
            words["port"],
            names,
            words["drop_in"],
            module.check_mode,
        )
    except Refusal as refusal:
        module.fail_json(msg=f"{refusal}.")
    module.exit_json(changed=changed, did="a new configuration" if changed else "")
