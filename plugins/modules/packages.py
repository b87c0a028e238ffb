#!/usr/bin/python
"""The description of an action plugin: see plugins/action/packages.py."""

DOCUMENTATION = r"""
---
module: packages
short_description: Install Debian packages
author: The Tornadoes authors (!UNKNOWN)
description:
  - Does what C(ansible.builtin.apt) does, with new lists, and waits where another process installs some.
  - Where the lists can't be read, says why.
options:
  name:
    type: list
    elements: str
    required: true
    description: Names of the packages.
"""

EXAMPLES = r"""
- name: Install nginx
  tornadoes.tornadoes.packages:
    name: [nginx]
"""
