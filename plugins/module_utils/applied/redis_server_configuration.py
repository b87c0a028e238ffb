"""Swap Redis's configuration and users as a whole, or not at all.

What is in place and what Redis runs with is asked of the host each time
(module_utils/redis_host.py), so a killed run is finished by the next one, and a
run that finds everything in place changes and restarts nothing.
"""

import os
import secrets

from ..files import differences, read
from ..redis_configuration import separated
from ..redis_host import (
    CONFIGURATION,
    DROP_IN,
    PASSWORD,
    UNIT,
    USERS,
    Wanted,
    pending,
    running,
    unit,
)
from ..redis_transaction import check, swap
from ..redis_users import redacted, rules
from ..refusal import Refusal
from ..systemd import outdated, run

# Behind "Redis got".
RECEIVED = {
    "start": "its start",
    "restart": "a restart",
    "set": "a new limit of memory, without a restart",
    "load": "new users, without a restart",
    "enable": "its place among what starts at boot",
}

SPEC = {
    "configuration": {"type": "str", "required": True},
    "drop_in": {"type": "str", "required": True},
    "users": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "hash": {"type": "str", "required": True, "no_log": True},
            "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
            "commands": {"type": "list", "elements": "str", "required": True},
        },
    },
}


def main(module):
    """The modules of this name, and apply, call this."""
    os.umask(0o077)
    configuration, variables = separated(module.params["configuration"])
    password = read(PASSWORD) or secrets.token_hex(32)
    files = {
        DROP_IN: module.params["drop_in"],
        CONFIGURATION: configuration,
        USERS: rules(module.params["users"], password),
    }
    was = {path: read(path) for path in files}
    wanted = Wanted.by(files)
    now, found = unit(), running(wanted.directives)
    steps = pending(wanted, found, now)
    if was[DROP_IN] not in ("", files[DROP_IN]) and now.runs:
        steps = ["restart"]
    if not now.enabled:
        steps.append("enable")
    before = {**was, USERS: redacted(was[USERS], files[USERS], "the old password")}
    after = {**files, USERS: redacted(files[USERS], was[USERS], "a new password")}
    result = {
        "changed": bool(was != files or steps or outdated(UNIT, DROP_IN) or not os.path.exists(PASSWORD)),
        "did": ", and ".join(RECEIVED[step] for step in steps),
        "diff": differences(before, after),
    }
    try:
        check(wanted, found, now)
        if result["changed"] and not module.check_mode:
            swap(files, was, password, variables)
            if "enable" in steps:
                run("systemctl", "enable", UNIT)
    except Refusal as refusal:
        module.fail_json(msg=f"{refusal}. Everything stays as it was.")
    module.exit_json(**result)
