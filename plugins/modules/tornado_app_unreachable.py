#!/usr/bin/python
"""The description of an action plugin: see plugins/action/tornado_app_unreachable.py."""

DOCUMENTATION = r"""
---
module: tornado_app_unreachable
short_description: Go on without the hosts of an app that can't be reached, or refuse to
description:
  - Runs on the controller, by what the run knows of its hosts. Fails on all of them if more hosts of the
    app could not be reached than may be so; one that has failed, or was lost after it had answered, is
    none of them.
  - Without options, warns of the hosts that the run went on without, once.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, description: "The app's name."}
  max: {type: int, description: "How many of its hosts may be missing."}
"""

EXAMPLES = r"""
- name: Refuse to go on without too many hosts
  tornadoes.tornadoes.tornado_app_unreachable:
    name: chat
    max: 1

- name: Tell of hosts that were left as they are
  tornadoes.tornadoes.tornado_app_unreachable:
"""
