#!/usr/bin/python
"""The description of an action plugin: see plugins/action/status.py."""

DOCUMENTATION = r"""
---
module: status
short_description: Show what all hosts of a play run, as one table
description:
  - Reads what the tasks C(show) of the roles C(tornado_app), C(nginx_proxy) and C(redis_server) have
    registered on each host of the play. Asks no host, and is never a change.
author: The Tornadoes authors (!UNKNOWN)
options: {}
"""

EXAMPLES = r"""
- name: Report what runs
  tornadoes.tornadoes.status:
  run_once: true
"""

RETURN = r"""
unreachable_hosts:
  type: list
  elements: str
  returned: always
  description: Hosts that could not be asked.
"""
