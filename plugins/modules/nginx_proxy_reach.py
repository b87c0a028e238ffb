#!/usr/bin/python
"""The description of an action plugin: see plugins/action/nginx_proxy_reach.py."""

DOCUMENTATION = r"""
---
module: nginx_proxy_reach
short_description: Connect to nginx's ports from the controller
description:
  - Warns of each port that it gets no connection to, as a firewall drops it, and names the firewall that
    the host has. Asks nothing where the host is reached by another one, and is never a change.
author: The Tornadoes authors (!UNKNOWN)
options:
  ports: {type: list, elements: int, required: true, description: "TCP ports that nginx listens on."}
  active: {type: list, elements: str, required: true, description: "Units of the host that are active."}
"""

EXAMPLES = r"""
- name: Connect to the ports of the web
  tornadoes.tornadoes.nginx_proxy_reach:
    ports: [80, 443]
    active: [ufw.service]
"""
