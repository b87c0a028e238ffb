#!/usr/bin/python
"""The description of an action plugin: see plugins/action/nginx_proxy_reach.py."""

DOCUMENTATION = r"""
---
module: nginx_proxy_reach
short_description: Be the first visitor of the sites, from the controller
description:
  - Warns of each port that it gets no connection to, as a firewall drops it, and names the firewall that
    the host has, and of each site whose first page is an error. Asks nothing where the host is reached by
    another one, and is never a change.
author: The Tornadoes authors (!UNKNOWN)
options:
  ports: {type: list, elements: int, required: true, description: "TCP ports of nginx, that of TLS last."}
  sites: {type: list, elements: dict, required: true, description: "Name and tls of each site to ask."}
  active: {type: list, elements: str, required: true, description: "Units of the host that are active."}
"""

EXAMPLES = r"""
- name: Visit the sites
  tornadoes.tornadoes.nginx_proxy_reach:
    ports: [80, 443]
    sites: [{name: www.example.org, tls: acme}]
    active: [ufw.service]
"""
