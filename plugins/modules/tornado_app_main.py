#!/usr/bin/python
"""Look whether what a release is started by is there: in its source, or in its environment."""

DOCUMENTATION = r"""
---
module: tornado_app_main
short_description: Look whether the program of a release is there
description:
  - A script is looked for in the release, a command in its environment, a module in both.
  - Nothing of them runs.
author: The Tornadoes authors (!UNKNOWN)
options:
  path: {type: path, required: true, description: "The release, with its environment."}
  main: {type: str, required: true, description: "The value of C(tornado_app_main)."}
"""

EXAMPLES = r"""
- name: Look whether the program is there
  tornadoes.tornadoes.tornado_app_main:
    path: /srv/chat/releases/0123456789ab.partial
    main: bokeh serve page
"""

import difflib
import glob
import json
import os
import shlex
import sysconfig

from ansible.module_utils.basic import AnsibleModule

# Of pip and setuptools themselves. Any other may name folders that only Python finds.
USUAL_PTH = {"distutils-precedence.pth"}


def commands(environment):
    """The names of the Python scripts in an environment's folder of programs."""
    found = []
    for path in filter(os.path.isfile, glob.glob(f"{environment}/bin/*")):
        with open(path, "rb") as file:
            if file.read(2) == b"#!" and b"python" in file.read(512):
                found.append(os.path.basename(path))
    return found


def has_module(release, environment, name):
    """Whether python -m finds a module, or may find one by ways that are not looked at."""
    installed = glob.glob(f"{environment}/lib/python3*/site-packages")
    others = {os.path.basename(path) for folder in installed for path in glob.glob(f"{folder}/*.pth")}
    path = name.replace(".", "/")
    places = [release, *installed, sysconfig.get_path("stdlib")]
    files = [f"{place}/{path}{end}" for place in places for end in (".py", "/__main__.py")]
    return bool(others - USUAL_PTH) or any(map(os.path.isfile, files))


def missing(release, words):
    """Why the words start nothing, and what would; "" if they do."""
    environment = os.path.realpath(f"{release}/.release/venv")
    first, *more = words
    if first == "-m":
        there = has_module(release, environment, more[0])
        return "" if there else f"neither the source nor its environment has a module {more[0]} that runs"
    names = commands(environment)
    if os.path.isfile(f"{release}/{first}") or first in names:
        return ""
    there = "".join(f" (there is {name})" for name in difflib.get_close_matches(first, names, n=1))
    return f"neither is {first} a file of the source, nor do the requirements install such a program{there}"


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "main": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False)
    with open(f"{module.params['path']}/.release/settings.json", encoding="utf-8") as file:
        words = shlex.split(json.load(file)["main"])
    if why := missing(module.params["path"], words):
        module.fail_json(
            msg=f"tornado_app_main: '{module.params['main']}' can't be started, {why}. Give a script of the"
            " source, -m and a module, or a command that the requirements install."
        )
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
