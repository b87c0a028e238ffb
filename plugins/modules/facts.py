#!/usr/bin/python
"""The description of an action plugin: see plugins/action/facts.py."""

DOCUMENTATION = r"""
---
module: facts
short_description: Gather facts, and say what is missing where nobody can become root
author: The Tornadoes authors (!UNKNOWN)
description:
  - Does what C(ansible.builtin.gather_facts) does, when Ansible would by itself (DEFAULT_GATHERING).
  - Where it is asked for the network, and the inventory has several hosts, it does so as well if none of the
    facts say the host's addresses.
  - Where that fails, as the user has no sudo or the host no Python, says so, and what helps.
options:
  gather_subset:
    type: list
    elements: str
    description: As of C(ansible.builtin.setup).
"""

EXAMPLES = r"""
- name: Gather facts
  tornadoes.tornadoes.facts:
    gather_subset: ["!all", network]
"""

RETURN = r"""
ansible_facts:
  type: dict
  returned: always
  description: As of C(ansible.builtin.setup).
"""
