#!/usr/bin/python
"""Swap nginx's configuration as a whole, or not at all: module_utils/nginx_swap.py does it."""

DOCUMENTATION = r"""
---
module: nginx_proxy_configuration
short_description: Swap nginx's configuration as a whole, or not at all
description:
  - Stores the files below C(/etc/nginx/tornadoes), tests them, links C(/etc/nginx/nginx.conf)
    to them, and starts or reloads nginx. If any step fails, the old link is back.
  - Reloads only if nginx has yet to read something, and restarts it only if it was started with another
    drop-in. Neither loses a request. Lets nginx start at boot.
  - Hosts that are drained (see the module C(nginx_proxy_drain)) stay so.
  - The action of that name renders the files by the description of a host, and gives all other options.
author: The Tornadoes authors (!UNKNOWN)
options:
  found:
    type: dict
    default: {}
    description: What the host has, and in C(description) what it shall have, as the action C(inputs) says.
  step:
    type: str
    choices: [open, change, close]
    default: change
    description: >-
      To the action, where proxies are to reach this host, or this proxy others, by TLS instead of plain http,
      or the other way round: C(open) listens for both, C(close) for the new one alone.
  files:
    type: dict
    default: {}
    description: >-
      Path to content. C(nginx.conf) is the entry; C(@release@) in a content becomes the
      release's folder, for includes. C(#= VARIABLE) at the end of a line is taken off; when nginx
      refuses the line, the variable is named.
  users:
    type: dict
    default: {}
    description: The same, for files of hashed passwords. No difference of them is shown.
  drop_in:
    type: str
    default: ""
    description: >-
      Content of C(/etc/systemd/system/nginx.service.d/tornadoes.conf). The configuration is tested in
      the sandbox that it describes; where that refuses, the old one is back as well.
  programs:
    type: dict
    default: {}
    description: Path to text of what the drop-in has systemd run, and Debian's scripts read.
  port: {type: int, default: 80, description: "Port on the loopback address that answers http."}
  upstreams:
    type: list
    elements: str
    default: []
    description: Host and port of upstreams on this host.
  named:
    type: list
    elements: str
    default: []
    description: Paths that the sites name.
  read_at_start:
    type: list
    elements: str
    default: []
    description: >-
      Further files that nginx reads when it loads its configuration, as certificates. A file C(unread)
      beside one says that nginx has yet to.
  unused:
    type: list
    elements: str
    default: []
    description: Paths that are removed after the swap, since no site uses them any more.
  rehearse:
    type: bool
    default: false
    description: >-
      Whether what has changed is tested and not yet put in place. The action of that name gives it where
      the play has other hosts.
  rehearsed:
    type: bool
    default: false
    description: >-
      Whether all hosts have tested theirs in a task before. Nothing is put in place where one of them that
      has a site or an app in common with this one has refused its own.
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.nginx_proxy_configuration:
    found: "{{ looked.roles.nginx_proxy }}"
  register: swapped

- name: Swap what all hosts have accepted
  tornadoes.tornadoes.nginx_proxy_configuration:
    found: "{{ looked.roles.nginx_proxy }}"
    rehearsed: true
  when: swapped.rehearsed | default(false)
"""

RETURN = r"""
release:
  type: str
  returned: always
  description: Name of the release's folder.
unmanaged:
  type: list
  elements: str
  returned: always
  description: Configuration files that nginx includes and the role has not made.
drifted:
  type: list
  elements: str
  returned: always
  description: Files of the role that somebody has changed by hand since the last run.
missing:
  type: list
  elements: str
  returned: always
  description: Those of C(upstreams) and C(named) that are not there.
rehearsed:
  type: bool
  returned: with C(rehearse), where there is something to put in place
  description: Whether that was tested and is yet to be put in place, by a second call.
removed:
  type: list
  elements: str
  returned: always
  description: Those of C(unused) that were there.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import nginx_proxy_configuration as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
