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

import grp
import json
import os
import shutil
import subprocess

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.compiled import compile_code
from ..module_utils.interpreter import SYSTEM
from ..module_utils.refusal import Refusal
from ..module_utils.startable import refusals

SHOWN = 3  # of the last lines of tar


def unpack(archive, partial, group):
    """Unpack what was packed, anew."""
    shutil.rmtree(partial, ignore_errors=True)
    os.mkdir(partial)
    os.chown(partial, 0, group)
    # The web server goes through it, to the static files.
    os.chmod(partial, 0o751)
    words = ["tar", "--extract", "--gzip", f"--file={archive}", f"--directory={partial}"]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise Refusal(f"it can't be unpacked: {' / '.join(done.stderr.splitlines()[-SHOWN:])}")


def look_for(main, partial, python):
    """Refuse a release that has not all that it starts."""
    with open(f"{partial}/.release/settings.json", encoding="utf-8") as file:
        said = list(refusals(partial, json.load(file), main, python))
    if said:
        raise Refusal(" ".join(said))


def main():
    """Ansible calls this."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "group": {"type": "str", "required": True},
            "archive": {"type": "path", "default": ""},
            "complete": {"type": "bool", "default": True},
            "main": text,
            "program": text,
            "python": {"type": "path", "default": SYSTEM},
            # The name of a variable.
            "secrets": {**text, "no_log": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=True, log=[])
    partial, group, log = f"{given['path']}.partial", grp.getgrnam(given["group"]).gr_gid, []
    try:
        if given["archive"]:
            unpack(given["archive"], partial, group)
        if given["complete"]:
            look_for(given["main"], partial, given["python"])
            unit = f"{given['group']}_compile"
            log = compile_code(partial, unit, given["program"], group, given["python"])
    except (Refusal, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=True, log=log)


if __name__ == "__main__":
    main()
