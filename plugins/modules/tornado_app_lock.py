#!/usr/bin/python
"""The description of an action plugin: see plugins/action/tornado_app_lock.py."""

DOCUMENTATION = r"""
---
module: tornado_app_lock
short_description: Let one run at a time change an app on a host
description:
  - Takes a lock that other runs respect, until it is released or this run ends, however it
    ends. Fails at once, naming who holds it since when, if another run has it.
  - Waits for a step of a killed run that is still under way on the host.
  - Takes nothing in check mode, and is never a change.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  state: {type: str, choices: [held, released], default: held, description: "Take or give back."}
  status:
    type: bool
    default: false
    description: Whether to return what M(tornadoes.tornadoes.tornado_app_status) does, but for its table.
"""

EXAMPLES = r"""
- name: Acquire the lock and query the releases
  tornadoes.tornadoes.tornado_app_lock:
    name: chat
    status: true
"""
