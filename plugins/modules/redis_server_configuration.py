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
  replication:
    type: dict
    description: >-
      Of a host among several with one Redis. It follows the master then, and lets another one be that
      before it restarts.
    suboptions:
      address: {type: str, required: true, description: "By which the others reach it."}
      master: {type: str, required: true, description: "Address of the master when the run began."}
      group: {type: list, elements: str, required: true, description: "Addresses of all hosts."}
      secret: {type: str, required: true, description: "By which they know each other."}
      quorum: {type: int, required: true, description: "How many Sentinels have to miss a master."}
      reached: {type: bool, required: true, description: "Whether the run reaches the master."}
      rekey: {type: bool, required: true, description: "Whether a host has another secret yet: both count."}
  forget: {type: bool, default: false, description: "Let another secret count no longer."}
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

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import redis_server_configuration as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
