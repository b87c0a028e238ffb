#!/usr/bin/python
"""Bring all ports of an app to one release, without a lost request; or leave them as they were."""

DOCUMENTATION = r"""
---
module: tornado_app_roll
short_description: Swap the ports of an app to a release
description:
  - Starts the release beside what runs on each port, waits until every one of these processes
    has proven itself, then lets one after the other take over its port. Only then C(current)
    moves, so that a reboot half-way starts what was proven.
  - The first refusal calls all of them off, turns back the ports that had taken over, and fails
    with the reason and the program's last lines. A release that is itself to blame is marked as bad
    in releases.jsonl.
  - A port that runs the release already is not touched.
  - The release's static files join those of the others in C(/srv/<app>/static) before the first
    port is swapped; where names are the same, the new ones are right. A refusal takes that back.
  - The release's workers and timers follow its ports. A worker that does not stay well is a refusal as
    well, and the former ones come back. A job that runs is left alone.
  - Keeper and units come first, where they are given, as M(tornadoes.tornadoes.tornado_app_units) does it.
  - What is not needed any more goes last, where it is said how many releases stay. So does what killed runs
    have left, and what older versions of the role let everybody read is closed.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  release: {type: str, required: true, description: "Id of a release that is on the host."}
  ports: {type: list, elements: int, required: true, description: "The ports to run it."}
  units:
    type: dict
    description: >-
      C(keeper), C(files) and C(command) of M(tornadoes.tornadoes.tornado_app_units); in a task, whether the
      action gives them.
  static: {type: str, default: static, description: "Folder of static files inside a release."}
  event: {type: str, choices: [deployed, rolled back], default: deployed, description: "For the history."}
  source: {type: str, default: "", description: "Where the release comes from, for the history."}
  who: {type: str, default: "", description: "Who asked for it, for the history."}
  left_out: {type: list, elements: str, default: [], description: "Paths in the source that are not in it."}
  keep: {type: int, default: 0, description: "How many releases stay; 0 is all of them."}
"""

EXAMPLES = r"""
- name: Swap the ports to a release
  tornadoes.tornadoes.tornado_app_roll:
    name: chat
    release: 0123456789ab
    ports: [8000, 8001]
"""

RETURN = r"""
lines:
  type: list
  elements: str
  returned: always
  description: >-
    One line a port: old release, new release, seconds to ready, to drained. One for each worker and
    timer that was started, and for each release and environment that was removed. A task has them as C(msg).
swapped:
  type: list
  elements: dict
  returned: always
  description: Per port C(port), C(old), C(seconds), C(drained), C(forced).
reason:
  type: str
  returned: failure
  description: Why the release was refused.
log:
  type: list
  elements: str
  returned: failure
  description: The refused process's last lines.
"""

import fcntl
import grp
import os
import re
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.activation import Activation
from ..module_utils.cleanup import clean, close
from ..module_utils.host import look
from ..module_utils.jobs import Jobs
from ..module_utils.lockfile import open_lock
from ..module_utils.refusal import Refusal
from ..module_utils.sandbox_reasons import remedy
from ..module_utils.static import missing
from ..module_utils.text import logged
from ..module_utils.units import install

LINES = 12  # of the journal, shown when a release is refused


# What an access log says of a health check: Tornado's own, and the format that most servers share.
PROBED = r'\b\d{3} GET (?:%s) |"GET (?:%s) HTTP/1\.\d" \d{3}\b'


def unasked(lines, path):
    """What a program says of itself: its lines without those of an access log about health checks.

    path: that of the checks, None where the keeper chooses it.
    """
    paths = "/(?:healthz)?" if path is None else re.escape(path)
    asked = re.compile(PROBED % (paths, paths))
    return [line for line in lines if not asked.search(line)]


def last_lines(pid, begun, path):
    """What a process that was started since then last said into the journal. path: see unasked()."""
    if not pid:
        return []
    subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)
    # No --lines: with --since, Debian 12's journalctl takes the first ones.
    words = ["journalctl", f"_PID={pid}", f"--since=@{int(begun)}", "--output=cat", "--no-pager"]
    text = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    return [logged(line) for line in unasked(text.splitlines(), path)[-LINES:]]


def to_swap(before, release, ports):
    """The ports that would be touched."""
    return [
        port
        for port in ports
        for one in [before["ports"].get(str(port), {})]
        if one.get("release") != release
        or not one.get("enabled")
        or one.get("socket") != "active"
        or one.get("outdated")
    ]


def refused(name, release, before, why, log=(), left_out=()):
    """What the module returns of a release that was not taken. left_out: see the option."""
    goes_on = f"release {before['current']} goes on" if before["current"] else "none ran before"
    text = f"{name}: release {release} was not taken ({goes_on}): {why}.{remedy(name, [why, *log], left_out)}"
    return {"failed": True, "msg": text, "reason": why, "log": list(log)}


def roll(module, before):
    """Swap the ports, or find out what would change; what the module returns. before: what the host had."""
    params = module.params
    name, release, ports = params["name"], params["release"], params["ports"]
    touched = to_swap(before, release, ports)
    unrecorded = before["last"].get("release") != release or release in before["bad"]
    # A dry run may be about a release that is not on the host.
    there = release in [one["id"] for one in before["releases"]]
    try:
        unlinked = missing(f"/srv/{name}", params["static"], release, before["bad"]) if there else {}
    except OSError as problem:
        return refused(name, release, before, f"its static files can't be linked ({problem})")
    # Of a release that is not there, a dry run can't say more.
    jobs = Jobs(name, release if there else "", before["workers"], before["timers"])
    changed = bool(touched) or unrecorded or before["current"] != release or bool(unlinked) or jobs.due
    unheard = any(before["ports"].get(str(port), {}).get("unheard") for port in ports)
    if module.check_mode or not (changed or unheard):
        lines = [f"port {port}: would run {release}" for port in touched]
        lines += [f"would do: {line}" for line in jobs.lines()]
        return {"changed": changed, "lines": lines, "swapped": [], "diff": jobs.diff if there else []}
    begun = time.time()
    activation = Activation(name, release, ports, before, params["static"])
    origin = {"source": params["source"], "who": params["who"]}
    try:
        if touched:
            activation.start_keepers()
        activation.swap()
        jobs.swap()
    except Refusal as problem:
        activation.hang_up()
        activation.turn_back()
        jobs.turn_back(before["current"])
        if problem.bad:
            activation.record(event="refused", reason=str(problem), **origin)
        log = problem.log or last_lines(problem.pid, begun, activation.settings["health_path"])
        return refused(name, release, before, str(problem), log, params["left_out"])
    activation.hang_up()
    if unrecorded:
        activation.record(event=params["event"], **origin)
    activation.wait_for_drains()
    try:
        activation.check_sockets()
    except Refusal as problem:
        text = f"{name}: release {release} was taken, but {problem}."
        return {"failed": True, "msg": text, "reason": str(problem), "log": []}
    activation.look_for_lost_ports()
    changed = changed or bool(activation.reopened)
    lines = activation.lines() + jobs.lines()
    return {"changed": changed, "lines": lines, "swapped": activation.swapped, "diff": jobs.diff}


def activate(module):
    """Keeper and units first, and last what is not needed any more; what the module returns."""
    params, changed, diff = module.params, False, []
    name, home = params["name"], f"/srv/{params['name']}"
    if params["units"]:
        try:
            changed, diff = install(name, **params["units"], dry=module.check_mode)
        except OSError as problem:
            return {"failed": True, "msg": str(problem), "log": []}
    before = look(name)
    result = roll(module, before)
    diff += result.get("diff", [])
    if params["keep"] and not result.get("failed"):
        open_to_all = before["open_releases"]
        if not module.check_mode:
            # nginx has read these until now.
            close(open_to_all, grp.getgrnam(f"tornado-{name}").gr_gid)
            gone = clean(home, look(name) if result["changed"] else before, params["keep"])
            result["lines"] += gone
            changed = changed or bool(gone)
        changed = changed or bool(open_to_all)
    return {**result, "changed": changed or result.get("changed", False), "diff": diff}


def main():
    """Ansible calls this."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "units": {"type": "dict"},
            "static": {"type": "str", "default": "static"},
            "event": {"type": "str", "choices": ["deployed", "rolled back"], "default": "deployed"},
            "source": text,
            "who": text,
            "left_out": {"type": "list", "elements": "str", "default": []},
            "keep": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    # Folders of static files are for nginx as well, whatever the session's umask is.
    os.umask(0o022)
    if module.check_mode:
        module.exit_json(**activate(module))
    # The run after a killed one waits for this step to end.
    with open_lock(f"/run/tornado-{module.params['name']}.step") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        result = activate(module)
    if result.get("failed"):
        log = "".join(f"\n  {line}" for line in result["log"])
        result["msg"] += f" The program's last lines:{log}" if log else " The program said nothing."
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
