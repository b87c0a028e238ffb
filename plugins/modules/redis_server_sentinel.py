#!/usr/bin/python
"""One Redis of several hosts: what each says of it, and the Sentinels that keep it so."""

DOCUMENTATION = r"""
---
module: redis_server_sentinel
short_description: Let Sentinel decide whose Redis is the master
description:
  - Without C(replication) it says where the host's Redis stands, and changes nothing. The action of the same
    name decides by what all hosts have said who is the master.
  - With it, Sentinel gets its configuration and users, and is restarted where these differ. What Sentinel
    has learned by itself stays.
author: The Tornadoes authors (!UNKNOWN)
options:
  replication:
    type: dict
    description: Of this host among several.
    suboptions:
      address: {type: str, required: true, description: "By which the others reach it."}
      master: {type: str, required: true, description: "Address of the master when the run began."}
      group: {type: list, elements: str, required: true, description: "Addresses of all hosts."}
      secret: {type: str, required: true, description: "By which they know each other."}
      quorum: {type: int, required: true, description: "How many Sentinels have to miss a master."}
      reached: {type: bool, required: true, description: "Whether the run reaches the master."}
      rekey: {type: bool, required: true, description: "Whether a host has another secret yet: both count."}
  step_back: {type: bool, default: false, description: "Let another host be the master, if this one is."}
  leave: {type: bool, default: false, description: "Do so and end this host's Redis."}
  stays: {type: list, elements: str, default: [], description: "With C(leave), names of the others."}
  introduce: {type: bool, default: false, description: "Let hosts come by this secret as well."}
  addresses: {type: list, elements: str, description: "Where Sentinel listens."}
  port: {type: int, description: "Redis's."}
  drop_in: {type: str, description: "Content of the unit's drop-in."}
  forget: {type: bool, default: false, description: "Let another secret count no longer."}
  users:
    type: list
    elements: dict
    description: Who may ask for the master.
    suboptions:
      name: {type: str, required: true, description: "What the client calls itself."}
      hash: {type: str, required: true, description: "SHA-256 of the password, in hexadecimal digits."}
      keys: {type: list, elements: str, required: true, description: "Of no meaning here."}
      commands: {type: list, elements: str, required: true, description: "Of no meaning here."}
"""

EXAMPLES = r"""
- name: Ask where Redis stands
  tornadoes.tornadoes.redis_server_sentinel:
"""

RETURN = r"""
standing:
  type: dict
  returned: where there is no C(replication)
  description: >-
    C(role) of the host's Redis, empty where none runs, its C(address), the address that it C(follows),
    whether it is C(linked) to that, its C(followers), whether it holds C(data), a digest of its C(secret),
    the master by the host's C(sentinel), with its C(epoch), and whose Redis that C(sees) and C(misses).
did:
  type: str
  returned: with C(replication)
  description: What Sentinel received.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import redis_server_sentinel as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
