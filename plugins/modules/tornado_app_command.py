#!/usr/bin/python
"""Run commands of a release, such as a migration, in the sandbox of its instances."""

DOCUMENTATION = r"""
---
module: tornado_app_command
short_description: Run commands of a release
description:
  - Each runs to its end before the next begins, as the app's user, in the release's folder, with its
    environment; a command that fails is the last one.
  - The sandbox is the one of an instance. It is read from the instances' unit as systemd has it, so that
    an operator's drop-in counts as well.
  - A command that a killed run has left is waited for, since two of them may not run beside each other.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  release: {type: str, required: true, description: "Id of a release that is on the host."}
  commands:
    type: list
    elements: str
    required: true
    description: "Commands, each as a line of words. Quotes hold words together; no shell reads them."
"""

EXAMPLES = r"""
- name: Migrate the database
  tornadoes.tornadoes.tornado_app_command:
    name: chat
    release: 0123456789ab
    commands: [python migrate.py --to latest]
"""

RETURN = r"""
refusal:
  description: Why a command did not run, or which one failed, and its last lines; "" where none did.
  type: str
  returned: always
"""

import shlex
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.sandbox import sandbox
from ..module_utils.sandbox_reasons import remedy
from ..module_utils.systemd import properties
from ..module_utils.text import logged

LEFTOVER_TIMEOUT = 600  # seconds for a command that a killed run has left
SHOWN = 5  # of the last lines that a failed command said


def wait_for_others(unit):
    """Wait for a command of a killed run to end; whether it has."""
    end = time.monotonic() + LEFTOVER_TIMEOUT
    while (now := properties(unit, "ActiveState")["ActiveState"]) not in ("inactive", "failed"):
        if time.monotonic() > end:
            return False
        time.sleep(1)
    if now == "failed":
        subprocess.run(["systemctl", "reset-failed", unit], capture_output=True, check=False)
    return True


def run(unit, release, command):
    """Run one command; its exit code, and its last lines as people may see them."""
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}-hook"]
    # What it has started ends with it, and is no failure of it.
    words += [f"--property={one}" for one in [*sandbox(unit), "KillMode=mixed"]]
    words += ["/usr/bin/python3", "-IS", f"{release}/.release/launcher.py", "run", *command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace").splitlines()
    return done.returncode, [logged(line) for line in said[-SHOWN:]]


def refusal(name, release, commands):
    """Run all of them; why not, or ""."""
    unit = f"tornado-{name}"
    if not wait_for_others(f"{unit}-hook.service"):
        return (
            f"{name}: a command of a run that was killed has been running for {LEFTOVER_TIMEOUT} s."
            f" Let it end, or end it: systemctl stop {unit}-hook."
        )
    folder = f"/srv/{name}/releases/{release}"
    for command in commands:
        code, lines = run(unit, folder, shlex.split(command))
        if code:
            said = f" Its last lines: {' / '.join(lines)}" if lines else " It said nothing."
            return f"{name}: {command!r} ended with {code}.{remedy(name, lines, release=folder)}{said}"
    return ""


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "commands": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    name, release, commands = (module.params[key] for key in ("name", "release", "commands"))
    why = "" if module.check_mode else refusal(name, release, commands)
    module.exit_json(changed=bool(commands), refusal=why)


if __name__ == "__main__":
    main()
