"""Swap Redis's configuration and users as a whole, or not at all.

What is in place and what Redis runs with is asked of the host each time
(module_utils/redis_host.py), so a killed run is finished by the next one, and a
run that finds everything in place changes and restarts nothing.
"""

import os
import secrets

from .. import redis_sentinel
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
from ..redis_replication import follow, must_follow, standing
from ..redis_transaction import check, swap
from ..redis_users import REPLICA, known, redacted, rules, without_secret
from ..refusal import Refusal
from ..systemd import outdated, run

# Behind "Redis got".
RECEIVED = {
    "start": "its start",
    "restart": "a restart",
    "set": "a new limit of memory, without a restart",
    "copies": "another number of copies to insist on, without a restart",
    "secret": "a new password of replication, without a restart",
    "load": "new users, without a restart",
    "enable": "its place among what starts at boot",
    "follow": "a master to follow",
    "leave": "an end of its Sentinel",
}

# Of a host among several with one Redis: addresses of this one, of the master as the run began, and of all;
# the secret by which they know each other; how many Sentinels have to agree; whether the master is reached;
# whether some host has another secret yet, so that both count.
REPLICATION = {
    "address": {"type": "str", "required": True},
    "master": {"type": "str", "required": True},
    "group": {"type": "list", "elements": "str", "required": True},
    "secret": {"type": "str", "required": True, "no_log": True},
    "quorum": {"type": "int", "required": True},
    "reached": {"type": "bool", "required": True},
    "rekey": {"type": "bool", "required": True},
}

SPEC = {
    "configuration": {"type": "str", "required": True},
    "drop_in": {"type": "str", "required": True},
    "replication": {"type": "dict", "options": REPLICATION},
    "forget": {"type": "bool", "default": False},
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


def shown(files, others, name):
    """Path to text for --diff, without passwords. others: the files compared with. name: see redacted()."""
    return {
        **files,
        CONFIGURATION: without_secret(files[CONFIGURATION], others[CONFIGURATION], name),
        USERS: redacted(files[USERS], others[USERS], name),
    }


def main(module):
    """The modules of this name, and apply, call this."""
    os.umask(0o077)
    configuration, variables = separated(module.params["configuration"])
    replication = module.params["replication"]
    secret = replication["secret"] if replication else ""
    if secret:
        configuration += f"\n\nmasteruser {REPLICA}\nmasterauth {secret}\n"
    rekey = replication and replication["rekey"] and not module.params["forget"]
    former = known(read(USERS)) if rekey else ()
    password = read(PASSWORD) or secrets.token_hex(32)
    files = {
        DROP_IN: module.params["drop_in"],
        CONFIGURATION: configuration,
        USERS: rules(module.params["users"], password, secret, former),
    }
    was = {path: read(path) for path in files}
    wanted = Wanted.by(files)
    now, found = unit(), running(wanted.directives)
    steps = pending(wanted, found, now)
    if was[DROP_IN] not in ("", files[DROP_IN]) and now.runs:
        steps = ["restart"]
    if not now.enabled:
        steps.append("enable")
    if replication and must_follow(replication):
        steps.append("follow")
    before = shown(was, files, "the old password")
    after = shown(files, was, "a new password")
    # One of several that is to be alone.
    leaves = not replication and os.path.exists(redis_sentinel.DROP_IN)
    if leaves:
        steps.append("leave")
    result = {
        "changed": bool(was != files or steps or outdated(UNIT, DROP_IN) or not os.path.exists(PASSWORD)),
        "did": ", and ".join(RECEIVED[step] for step in steps),
        "diff": differences(before, after),
    }
    try:
        check(wanted, found, now)
        if leaves and (master := standing()["follows"]):
            raise Refusal(
                f"redis_server_replication_password: this Redis follows {master}, which may have accepted "
                "more. Keep that one alone, or make this one the master first"
            )
        if leaves and (several := standing()["followers"]):
            raise Refusal(
                f"redis_server_replication_password: {', '.join(several)} follow this Redis, and would go on "
                "without it. Give those hosts redis_server_state: absent first"
            )
        if result["changed"] and not module.check_mode:
            if leaves:
                redis_sentinel.uninstall()
            swap(files, was, password, variables, replication)
            if "enable" in steps:
                run("systemctl", "enable", UNIT)
    except Refusal as refusal:
        module.fail_json(msg=f"{refusal}. Everything stays as it was.")
    if replication and result["changed"] and not module.check_mode:
        try:
            follow(replication, wanted.directives["port"])
        except (OSError, Refusal) as problem:
            module.fail_json(msg=f"Redis runs with the new configuration, but {problem}.")
    module.exit_json(**result)
