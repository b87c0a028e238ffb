#!/usr/bin/python
"""Swap keepalived's files as a whole, or not at all, without letting an address go that needs not."""

DOCUMENTATION = r"""
---
module: keepalived_configuration
short_description: Swap keepalived's files as a whole, or not at all
author: The Tornadoes authors (!UNKNOWN)
description:
  - Has keepalived test the configuration, puts all files in place, and lets keepalived and what watches
    nginx for it take them. If any step fails, the old ones are back.
  - A changed configuration costs a reload, which keeps the addresses. Another sandbox costs a restart, before
    which the host leaves its addresses to others.
options:
  files:
    type: dict
    required: true
    description: >-
      Path to content of C(/etc/keepalived/keepalived.conf), of the unit files and of the programs that they
      start. Without any, as on a host where keepalived can't be looked at, nothing is done.
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.keepalived_configuration:
    files:
      /etc/keepalived/keepalived.conf: "{{ configuration }}"
"""

RETURN = r"""
did:
  type: list
  elements: str
  returned: always
  description: What systemd did besides files, or would do in check mode.
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import differences, read, remove, write
from ..module_utils.refusal import Refusal
from ..module_utils.systemd import outdated, properties, run, seconds

UNIT, WATCH = "keepalived.service", "tornadoes-keepalived-watch.service"
CONFIGURATION = "/etc/keepalived/keepalived.conf"
DROP_IN = "/etc/systemd/system/keepalived.service.d/tornadoes.conf"
NEXT = f"{CONFIGURATION}.next"  # there from before a change until keepalived runs with it
SETTLE = 1.5  # seconds in which one that can't run has ended


def since(unit):
    """When a unit was started, in seconds since 1970; 0 where it does not run."""
    found = properties(unit, "ActiveState", "ExecMainStartTimestamp")
    return seconds(found.get("ExecMainStartTimestamp", "")) if found.get("ActiveState") == "active" else 0.0


def written(path):
    """When a file was written; 0 where there is none."""
    return os.stat(path).st_mtime if os.path.exists(path) else 0.0


def restarts():
    """Of both units which process they are, and how often systemd has started it again by itself."""
    return {unit: properties(unit, "MainPID", "NRestarts") for unit in (UNIT, WATCH)}


def sandbox(text):
    """What of the drop-in holds from a start on: neither its place among other units, nor what ends it."""
    lines = text.partition("[Service]")[2].splitlines()
    return [line for line in lines if line and not line.startswith(("#", "ExecStop"))]


def pending(files):
    """What it takes until all runs with these files: a list of words for systemctl, and units."""
    steps = []
    watch, keepalived = since(WATCH), since(UNIT)
    programs = [path for path in files if "watch" in path]
    if not watch or any(read(path) != files[path] or written(path) > watch for path in programs):
        steps.append(("restart" if watch else "start", WATCH))
    if not keepalived:
        steps.append(("start", UNIT))
    elif DROP_IN in files and sandbox(read(DROP_IN)) != sandbox(files[DROP_IN]):
        steps.append(("restart", UNIT))
    elif read(CONFIGURATION) != files[CONFIGURATION] or os.path.exists(NEXT):
        steps.append(("reload", UNIT))
    if properties(UNIT, "UnitFileState").get("UnitFileState") != "enabled":
        steps.append(("enable", UNIT))
    return steps


def test(text):
    """Refuse a configuration that keepalived can't use."""
    write(NEXT, text, 0o644)
    # It asks for the folder of the file by which it hears of nginx.
    os.makedirs("/run/tornadoes-keepalived", exist_ok=True)
    code, output = run("/usr/sbin/keepalived", "--config-test", "--use-file", NEXT)
    if code:
        reason = "; ".join(line.replace(NEXT, CONFIGURATION) for line in output.strip().splitlines())
        raise Refusal(f"keepalived refuses the new configuration: {reason or f'it ends with {code}'}")


def place(files):
    """Let these be the files; an empty one is none."""
    for path, text in files.items():
        if not text:
            remove(path)
        elif read(path) != text:
            write(path, text, 0o644)


def apply(steps):
    """Let systemd do this, and see that keepalived runs afterwards."""
    if any(outdated(unit, DROP_IN) for unit in (UNIT, WATCH)):
        run("systemctl", "daemon-reload")
    for word, unit in steps:
        code, output = run("systemctl", word, unit)
        if code:
            raise Refusal(f"systemctl {word} {unit} fails: {output.strip()}")
    before = restarts()
    end = time.monotonic() + (SETTLE if steps else 0)
    while time.monotonic() < end:
        time.sleep(0.2)
        for unit, now in restarts().items():
            if now != before[unit] or not since(unit):
                _code, log = run("journalctl", f"--unit={unit}", "--lines=5", "--output=cat", "--no-pager")
                raise Refusal(f"{unit} does not run with the new configuration: {log.strip()}")


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "dict", "required": True}}, supports_check_mode=True
    )
    os.umask(0o022)
    files = module.params["files"]
    if not files:
        module.exit_json(changed=module.check_mode, did=[])
    was = {path: read(path) for path in files}
    steps = pending(files)
    changed = was != files or bool(steps) or outdated(UNIT, DROP_IN)
    result = {
        "changed": changed,
        "did": [" ".join(step) for step in steps],
        "diff": differences(was, files),
    }
    if changed and not module.check_mode:
        try:
            test(files[CONFIGURATION])
            place(files)
            apply(steps)
        except Refusal as refusal:
            ours = bool(was[CONFIGURATION])
            place(was)
            run("systemctl", "daemon-reload")
            for word, unit in [*steps][::-1]:
                run("systemctl", ("reload" if word == "reload" else "restart") if ours else "stop", unit)
            remove(NEXT)
            module.fail_json(msg=f"{refusal}. Everything stays as it was.")
        remove(NEXT)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
