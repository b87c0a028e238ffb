#!/usr/bin/python
"""The description of an action plugin: see plugins/action/tornado_app_hosts.py."""

DOCUMENTATION = r"""
---
module: tornado_app_hosts
short_description: Whether the hosts of an app can take a release together
description:
  - Runs on the controller, by what the run knows of its hosts. Fails on all of them if more hosts of the
    app could not be reached than may be so, or if one has failed, or was lost after it had answered.
  - With O(event), fails as well where hosts that were asked for the same would run different sources.
  - With O(running), says which apps have missed on this host what others have come to, in RV(troubles).
  - Without options, warns of the hosts that the run went on without, once.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, default: "", description: "The app's name."}
  max_unreachable: {type: int, default: 0, description: "How many of its hosts may be missing."}
  event: {type: str, default: "", description: "As for M(tornadoes.tornadoes.tornado_app_roll)."}
  release: {type: str, default: "", description: "To roll back, the id that was asked for, if any."}
  refusal: {type: str, default: "", description: "Why this host has no release to take, if so."}
  running:
    type: str
    description: The name by which M(tornadoes.tornadoes.tornado_app_status), in a loop, is registered.
"""

EXAMPLES = r"""
- name: Refuse to go on without too many hosts
  tornadoes.tornadoes.tornado_app_hosts:
    name: chat
    max_unreachable: 1
    event: deployed

- name: Tell of hosts that were left as they are
  tornadoes.tornadoes.tornado_app_hosts:
"""

RETURN = r"""
troubles:
  type: list
  elements: str
  returned: with O(running)
  description: A sentence for each such app.
"""
