#!/usr/bin/python
"""The description of an action plugin: see plugins/action/inputs.py."""

DOCUMENTATION = r"""
---
module: inputs
short_description: Refuse what can't be meant in the variables of the calling role
author: The Tornadoes authors (!UNKNOWN)
description:
  - Compares all variables with the calling role's C(meta/argument_specs.yml), and fails with a sentence for
    each that is misspelt, of another type or none of the choices.
  - Is never a change.
options:
  roles:
    type: list
    elements: str
    description: Names of roles of this collection whose variables are looked at; the calling role without it.
  playbook:
    type: str
    description: Name of the playbook whose arguments, given on the command line, are looked at as well.
  values:
    type: bool
    default: false
    description: Whether to look at the values as well, on the controller and on the host.
"""

EXAMPLES = r"""
- name: Refuse what can't be meant
  tornadoes.tornadoes.inputs:
    values: true
"""

RETURN = r"""
roles:
  type: dict
  returned: always
  description: >-
    Name of a role to its C(description), what the host shall have by its inputs, and, where values are looked
    at, to what the host has for it, as the module C(look) answers. For the role C(tornado_app) C(surplus) are
    the names of the apps of which something is to be removed.
"""
