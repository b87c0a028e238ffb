#!/usr/bin/python
"""Compile the code of a release, which the app itself may not do."""

DOCUMENTATION = r"""
---
module: tornado_app_compile
short_description: Compile the code of a release
description:
  - The compiler runs as an account without rights, in a unit that may nothing, see
    M(tornadoes.tornadoes.tornado_app_environment). It gets the files and gives back what it makes of them.
  - A file that can't be compiled is no error. What the app imports shows at its start.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  path: {type: path, required: true, description: "The release."}
  program: {type: str, required: true, description: "Text of files/build/compile.py."}
"""

EXAMPLES = r"""
- name: Compile the code of a release
  tornadoes.tornadoes.tornado_app_compile:
    name: chat
    path: /srv/chat/releases/0123456789ab.partial
    program: "{{ lookup('file', 'build/compile.py') }}"
"""

RETURN = r"""
log: {type: list, elements: str, returned: success, description: "What the compiler complained of."}
"""

import grp
import os
import subprocess
import tarfile

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.refusal import Refusal
from ..module_utils.text import printable
from ..module_utils.unprivileged import run

TIMEOUT = 600  # seconds
SHOWN = 20  # of the last lines
MOST_BYTES = 32 << 20  # of one compiled file


def find(release):
    """Path below the release to full path of all Python files; links are left out."""
    found = {}
    for folder, _folders, names in os.walk(release):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.isfile(path) and not os.path.islink(path):
                found[os.path.relpath(path, release)] = path
    return found


def install(path, data, tag, group):
    """Put a compiled file where Python looks for it."""
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if not os.path.isdir(cache):
        os.mkdir(cache)
        os.chown(cache, 0, group)
        os.chmod(cache, 0o750)
    place = os.path.join(cache, f"{name.removesuffix('.py')}.{tag}.pyc")
    with open(place, "xb") as file:
        file.write(data)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o640)


def main():
    """Ansible calls this."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={"name": text, "path": {"type": "path", "required": True}, "program": text},
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=True, log=[])
    group = grp.getgrnam(f"tornado-{params['name']}").gr_gid
    words = ["/usr/bin/python3", "-I", "-c", "import sys; print(sys.implementation.cache_tag)"]
    tag = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    files = find(params["path"])

    def feed(stdin):
        with tarfile.open(fileobj=stdin, mode="w|") as packed:
            for name, path in files.items():
                packed.add(path, name, recursive=False)

    def take(stdout):
        with tarfile.open(fileobj=stdout, mode="r|") as packed:
            for member in packed:
                # Each at most once, and under no name but those that were given.
                path = files.pop(member.name, None)
                if path and member.isreg() and member.size <= MOST_BYTES:
                    install(path, packed.extractfile(member).read(), tag, group)
        while stdout.read(1 << 20):
            pass

    closed = ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "MemoryDenyWriteExecute=yes"]
    try:
        unit = f"tornado-{params['name']}_compile"
        _code, log = run(unit, params["program"], feed, TIMEOUT, *closed, take=take)
    except (Refusal, OSError) as problem:
        log = [str(problem)]
    module.exit_json(changed=True, log=[printable(line) for line in log[-SHOWN:]])


if __name__ == "__main__":
    main()
