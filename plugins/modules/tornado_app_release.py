#!/usr/bin/python
"""Put a packed release on a host: unpack it, look for its program, compile it."""

DOCUMENTATION = r"""
---
module: tornado_app_release
short_description: Put a packed release on a host
author: The Tornadoes authors (!UNKNOWN)
description:
  - Works below the release's name with C(.partial) at its end, until the release is complete. What is there
    under that name, as a killed run leaves it, is removed first.
  - What its ports, workers and timers start has to be there, a script in the release, a command in its
    environment, a module in either. Nothing of them runs.
  - The compiler runs as an account without rights, in a unit that may do nothing. A file that can't be
    compiled is no error, since what the app imports shows at its start.
options:
  path: {type: path, required: true, description: "The release."}
  group: {type: str, required: true, description: "Who may read it besides root."}
  archive:
    type: path
    default: ""
    description: The packed release, on the controller. Without it, a call before has unpacked it.
  complete:
    type: bool
    default: true
    description: Whether the environment is there, so that the release can be completed and get its name.
  main: {type: str, default: "", description: "The value of C(tornado_app_main)."}
  program: {type: str, default: "", description: "Text of the compiler, which the action gives."}
  python: {type: path, default: /usr/bin/python3, description: "The Python of its environment."}
  secrets:
    type: str
    default: ""
    description: >-
      Name of the variable that has the release's secrets. They go through a pipe alone, since files and
      arguments of modules can touch the controller's disk.
"""

EXAMPLES = r"""
- name: Put a release on the host
  tornadoes.tornadoes.tornado_app_release:
    path: /srv/chat/releases/0123456789ab
    group: tornado-chat
    archive: /tmp/release.tar.gz
    main: server.py
    secrets: tornado_app_secrets
"""

RETURN = r"""
log: {type: list, elements: str, returned: success, description: "What the compiler complained of."}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.applied import tornado_app_release as work


def main():
    """Ansible calls this."""
    work.main(AnsibleModule(work.SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
