#!/usr/bin/python
"""The description of an action plugin: see plugins/action/tornado_app_behind.py."""

DOCUMENTATION = r"""
---
module: tornado_app_behind
short_description: Have a proxy ask the hosts that a release has not come to last
description:
  - Says which proxies that is about, in RV(late) and RV(after), for all hosts of the play.
  - Runs then delegated to such a proxy, once for all hosts of the play. Those of the app that could not be
    reached are noted there as behind, by M(tornadoes.tornadoes.nginx_proxy_drain), before the others take a
    release.
  - With O(concluded), ends that for the hosts to which a release of the app has come in this run. Where it
    has come to none, what this run has noted goes again.
  - A proxy that can't be reached is named in a warning.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  concluded: {type: bool, default: false, description: "Whether the hosts have taken the release, or not."}
"""

EXAMPLES = r"""
- name: Find the proxies that have to hear of it
  tornadoes.tornadoes.tornado_app_behind:
    name: chat
  run_once: true

- name: Have proxies ask hosts that are left behind last
  tornadoes.tornadoes.tornado_app_behind:
    name: chat
  delegate_to: www1.example.org
  run_once: true
"""

RETURN = r"""
late:
  type: list
  elements: str
  returned: where it is not delegated
  description: Names of the proxies that send visitors to hosts which the release is about to leave behind.
after:
  type: list
  elements: str
  returned: where it is not delegated
  description: These, and the names of those that may have a note from an earlier run.
added:
  type: list
  elements: str
  returned: always
  description: Names of the hosts that this call has noted.
unasked:
  type: bool
  returned: where the proxy can't be reached
  description: That it was not told.
"""
