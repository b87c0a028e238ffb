#!/usr/bin/python
"""The description of an action plugin: see plugins/action/inputs.py."""

DOCUMENTATION = r"""
---
module: inputs
short_description: Refuse variables whose names or types can't be meant
description:
  - Compares all variables with the calling role's meta/argument_specs.yml, and fails with a sentence for each
    that is misspelt, of another type or none of the choices.
  - Asks no host, and is never a change.
options: {}
"""
