#!/usr/bin/python
"""Swap Redis's configuration and users as a whole, or not at all.

What is in place and what Redis runs with is asked of the host each time
(module_utils/redis_host.py), so a killed run is finished by the next one, and a
run that finds everything in place changes and restarts nothing.
"""

DOCUMENTATION = r"""
---
module: redis_server_configuration
short_description: Swap Redis's configuration and users as a whole, or not at all
description:
  - Writes the configuration and the users beside those in use, starts a Redis on them that nobody can
    reach and that has no data, puts them in place, and lets the Redis of the host apply them.
    If any step fails, the old ones are back.
  - Redis restarts only for what it can't apply while it runs.
  - A task gives C(users) as the variable redis_server_users lists them. The action of the same name sends
    hashes in the place of their passwords, and fills in defaults.
author: The Tornadoes authors (!UNKNOWN)
options:
  configuration:
    type: str
    required: true
    description: >-
      Content of C(/etc/redis/tornadoes.conf). C(#= VARIABLE) at the end of a line is removed; when Redis
      refuses the line, the variable is named.
  drop_in:
    type: str
    required: true
    description: Content of C(/etc/systemd/system/redis-server.service.d/tornadoes.conf).
  users:
    type: list
    elements: dict
    required: true
    description: Who may connect.
    suboptions:
      name: {type: str, required: true, description: "What the client calls itself."}
      hash:
        type: str
        required: true
        description: SHA-256 of the password, in hexadecimal digits. No difference of it is shown.
      keys:
        type: list
        elements: str
        required: true
        description: Patterns of the user's keys and channels.
      commands: {type: list, elements: str, required: true, description: "What it may do, in Redis's words."}
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.redis_server_configuration:
    configuration: "{{ lookup('template', 'tornadoes.conf.j2') }}"
    drop_in: "{{ lookup('template', 'drop-in.conf.j2') }}"
    users: "{{ redis_server_users }}"
"""

RETURN = r"""
did:
  type: str
  returned: always
  description: What Redis received besides files, or would receive in check mode; empty if nothing.
"""

import os
import secrets

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import differences, read
from ..module_utils.redis_configuration import separated
from ..module_utils.redis_host import (
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
from ..module_utils.redis_transaction import check, swap
from ..module_utils.redis_users import redacted, rules
from ..module_utils.refusal import Refusal
from ..module_utils.systemd import outdated, run

# Behind "Redis got".
RECEIVED = {
    "start": "its start",
    "restart": "a restart",
    "set": "a new limit of memory, without a restart",
    "load": "new users, without a restart",
    "enable": "its place among what starts at boot",
}


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
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
        },
        supports_check_mode=True,
    )
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


if __name__ == "__main__":
    main()
