#!/usr/bin/python
"""The description of an action plugin: see plugins/action/inputs.py."""

DOCUMENTATION = r"""
---
module: inputs
short_description: Refuse what can't be meant in the variables of the calling role
author: The Tornadoes authors
description:
  - Compares all variables with the calling role's C(meta/argument_specs.yml), and fails with a sentence for
    each that is misspelt, of another type or none of the choices.
  - Is never a change.
options:
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
missing:
  type: list
  elements: str
  returned: where values are looked at
  description: Packages that the role needs and the host does not have.
listens:
  type: list
  elements: int
  returned: where values are looked at
  description: TCP ports that the role's services will listen on.
"""
