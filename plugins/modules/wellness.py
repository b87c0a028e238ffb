#!/usr/bin/python
"""See that a host is well: module_utils/wellness.py says what that is."""

DOCUMENTATION = r"""
---
module: wellness
short_description: See that a host is well, or wait until it is
author: The Tornadoes authors (!UNKNOWN)
description:
  - The system has booted, each app runs its current release on all its ports and has proven its health there,
    and its workers run. Changes nothing.
options:
  before:
    type: dict
    default: {}
    description: >-
      What this module has said earlier. What ran then has to run, with the same releases, and no other unit
      may have failed.
  wait:
    type: int
    default: 0
    description: Seconds to wait for it at most.
  compare:
    type: bool
    default: false
    description: >-
      Ask nothing, and fail where the hosts of the play run different releases, by what they have said.
      The action of that name does it, and refuses the machine that the playbook runs on.
"""

EXAMPLES = r"""
- name: See that the host is well
  tornadoes.tornadoes.wellness:
  register: before

- name: Wait until it is well again
  tornadoes.tornadoes.wellness:
    before: "{{ before }}"
    wait: 300
"""

RETURN = r"""
system:
  type: str
  returned: success
  description: What systemd says of the system.
failed_units:
  type: list
  elements: str
  returned: success
  description: Units that have failed.
active:
  type: list
  elements: str
  returned: success
  description: Which of nginx, keepalived and Redis run.
redis:
  type: dict
  returned: success
  description: Of several hosts with one Redis, what the module redis_server_sentinel says.
apps:
  type: list
  elements: dict
  returned: success
  description: Of each app C(name), C(python), C(current), C(unstartable), C(ports) and C(workers).
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.wellness import ask, troubles

PAUSE = 1  # second


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "before": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
            "compare": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    end = time.monotonic() + module.params["wait"]
    while True:
        found = ask()
        problems = list(troubles(found, module.params["before"]))
        if not problems:
            module.exit_json(changed=False, **found)
        if time.monotonic() > end:
            module.fail_json(msg=f"{'; '.join(problems)}.")
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
