#!/usr/bin/python
"""Install what stays from release to release: keeper, unit templates, the status command."""

DOCUMENTATION = r"""
---
module: tornado_app_units
short_description: Install the keeper and the units of an app
description:
  - The keeper is a folder named by its content, and C(/srv/NAME/keeper) a link to it that is
    renamed into place, so that a killed run leaves the old one or the new one, whole.
  - Restarts nothing but timers. A keeper knows what it was made of, so that
    M(tornadoes.tornadoes.tornado_app_status) tells which ports run an older keeper or unit; clocks have
    no part in it.
  - systemd reads the units again if it has yet to.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  keeper: {type: dict, required: true, description: "Name of a file of the keeper to its content."}
  files:
    type: dict
    required: true
    description: >-
      Path of a unit or another file to its content, where C(@made_of@) becomes a digest of all. One without
      content is removed. A timer is enabled and started.
  command: {type: str, required: true, description: "Content of the command tornado-NAME-status."}
"""

EXAMPLES = r"""
- name: Install keeper and units
  tornadoes.tornadoes.tornado_app_units:
    name: chat
    keeper: {keeper.py: ""}
    files: {/etc/systemd/system/tornado-chat.target: "[Unit]"}
    command: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.units import install


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "keeper": {"type": "dict", "required": True},
            "files": {"type": "dict", "required": True},
            "command": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        changed, diff = install(**module.params, dry=module.check_mode)
    except OSError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=changed, diff=diff)


if __name__ == "__main__":
    main()
