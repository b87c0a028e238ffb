#!/usr/bin/python
"""What a host has of what some inputs are about: listeners, paths, folders, packages, units, nginx."""

DOCUMENTATION = r"""
---
module: look
short_description: Look at what a host has of what some inputs are about
author: The Tornadoes authors (!UNKNOWN)
description:
  - Says who listens on some TCP ports, what some paths are, what some folders hold, which packages and
    groups are missing, how units are, what some Pythons are, and what there is of nginx.
  - Follows no link but those to a Python, which an account without rights asks what it is. Changes
    nothing.
options:
  questions:
    type: dict
    required: true
    description: >-
      Name of a question to what it asks for, each of which may be left out: C(ports) (TCP ports),
      C(addresses) (that are meant, besides listeners on all of them; none is any), C(paths) and
      C(folders) (absolute paths), C(packages) (of Debian), C(groups) (of accounts), C(units)
      (of systemd), C(starts) (units that are to be started),
      C(calendars) (when a timer is to start something), C(interpreters) (paths of Pythons),
      C(apps) (of the role C(tornado_app)), C(nginx) (whether nginx is asked for), C(cards) (whether network
      interfaces are), and C(texts) (paths of files of root's).
"""

EXAMPLES = r"""
- name: Ask who has the ports of the web
  tornadoes.tornadoes.look:
    questions:
      web: {ports: [80, 443]}
"""

RETURN = r"""
answers:
  type: dict
  returned: always
  description: >-
    Name of a question to its answer. C(holders) is port, as text, to the name of who listens; C(paths)
    is path to its C(kind) (folder, file, link, other, or empty where nothing is), C(owner) (uid) and
    C(mode) (permissions); C(folders) is folder to the names in it, none where there is none; C(missing)
    are the packages that are not installed; C(no_groups) the groups
    that there are none of; C(active) the units that are active, and enabled for the
    next boot; C(masked) the units that nothing can start;
    C(calendars) is expression to what is wrong with it; C(interpreters) is path to what there
    is of that Python, C(why) it can't be used among it; C(instances) is app to the ports, as text, that
    have a unit which is loaded or enabled; C(installed) all apps that there are, where C(apps) are asked for;
    C(sites) the names of the files of the sites that the role C(nginx_proxy) has made; C(settings) the lines
    that somebody has added to Debian's nginx.conf before the role came, and C(unmanaged) the files that it
    includes and the role has not made; C(cards) the interfaces, each with its name and its addresses with
    the lengths of their prefixes; C(texts) is path to content, empty where there is none; and C(build) what
    nginx says of its version and build, empty where there is none.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import look as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
