#!/usr/bin/python
"""Ask a host what it runs of one app. Everything is derived, nothing remembered."""

DOCUMENTATION = r"""
---
module: tornado_app_status
short_description: What a host has and runs of one app
description:
  - Asks the file system, systemd and the keepers. Changes nothing.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
"""

EXAMPLES = r"""
- name: Query the releases
  tornadoes.tornadoes.tornado_app_status:
    name: chat
"""

RETURN = r"""
account:
  type: bool
  returned: always
  description: Whether account and folders are as the role makes them.
open_releases:
  type: list
  elements: str
  returned: always
  description: Paths of releases that all accounts may read.
python:
  type: str
  returned: always
  description: The system interpreter, with its version.
current:
  type: str
  returned: always
  description: Id of the release that C(current) names, or empty.
unstartable:
  type: str
  returned: always
  description: Why that release could not be started again, as its Python is gone, or empty.
releases:
  type: list
  elements: dict
  returned: always
  description: >-
    Complete releases, newest first: C(id), and C(venv) that it needs.
history:
  type: list
  elements: dict
  returned: always
  description: The lines of releases.jsonl, oldest first.
last:
  type: dict
  returned: always
  description: The last of them that was no refusal.
bad:
  type: list
  elements: str
  returned: always
  description: Releases that were refused when they were last tried.
owed:
  type: str
  returned: always
  description: Id of the release after which commands have yet to run, or empty.
previous:
  type: str
  returned: always
  description: Id of the release that a rollback would go to, or empty.
venvs:
  type: list
  elements: str
  returned: always
  description: Ids of the complete environments.
half_built:
  type: list
  elements: str
  returned: always
  description: Paths of what a killed run left of other releases.
units:
  type: bool
  returned: always
  description: Whether the app's unit files are there.
ports:
  type: dict
  returned: always
  description: >-
    For each port with a unit: C(service) and C(socket) (systemd's ActiveState), C(enabled), C(outdated)
    (unit or keeper are younger than the keeper's process), C(socket_outdated), and what the keeper says:
    C(release), C(state), C(pid), C(since) (seconds since 1970), C(load), C(restarts), C(draining),
    C(confined) (whether its process is in a sandbox);
    C(memory) and C(keeper_memory) in bytes.
workers:
  type: dict
  returned: always
  description: >-
    For each instance of a worker (C(mail@1)) C(state) (systemd's ActiveState), C(enabled), C(release),
    C(pid), C(since), C(memory), C(restarts), and how the last one C(ended).
timers:
  type: dict
  returned: always
  description: >-
    For each timer C(state), C(enabled), the seconds since 1970 of its C(last) start and of the C(next), and
    of its job whether it is C(running), of which C(release), else how it C(ended) and whether it C(failed).
job_files:
  type: list
  elements: str
  returned: always
  description: Paths of what workers and timers have on the host besides what they share with the ports.
replacing:
  type: str
  returned: always
  description: ActiveState of the service that swaps what runs from before an update of the host.
troubles:
  type: list
  elements: str
  returned: always
  description: A sentence for each worker and timer that is not well, and for a failed swap after an update.
table:
  type: list
  elements: str
  returned: always
  description: The same as lines for people.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import look, table, troubles


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True
    )
    status = look(module.params["name"])
    module.exit_json(changed=False, table=table(status), troubles=list(troubles(status)), **status)


if __name__ == "__main__":
    main()
