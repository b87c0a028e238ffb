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
  - For a release over several hosts, C(phase) is one step of it, and the service that takes part on the host
    does what is described here; see C(plugins/module_utils/transaction.py). In a task it is only said
    that a step C(switch) or C(conclude) has come, and the action looks at all hosts.
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
  phase:
    type: str
    choices: [whole, prepare, switch, watch, confirm, back]
    default: whole
    description: Which step of a release over several hosts; V(whole) is all of them for one host.
  digest: {type: str, default: "", description: "To prepare, digest of the word that confirms the release."}
  patience: {type: dict, default: {}, description: "To prepare, seconds by phase until the host acts alone."}
  peers:
    type: list
    elements: list
    default: []
    description: To switch, address and port of each other host.
  word: {type: str, default: "", description: "To confirm, the word."}
  reason: {type: str, default: "", description: "To turn back, why another host refuses the release."}
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
bad:
  type: bool
  returned: failure
  description: Whether the release itself is to blame.
prepared:
  type: bool
  returned: when this host takes part in a release over several hosts, and has proven it
  description: Whether it waits for the others.
addresses:
  type: list
  elements: list
  returned: when prepared
  description: Where the other hosts may ask it for the word.
log:
  type: list
  elements: str
  returned: failure
  description: The refused process's last lines.
"""

import fcntl
import grp
import json
import os
from contextlib import contextmanager, nullcontext

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import participant
from ..module_utils.cleanup import clean, close
from ..module_utils.host import look
from ..module_utils.lockfile import holder, open_lock
from ..module_utils.refusal import Refusal
from ..module_utils.rollout import Rollout, refused
from ..module_utils.units import install

PHASES = ["whole", "prepare", "switch", "watch", "confirm", "back"]
OF_A_ROLLOUT = ("name", "release", "ports", "static", "event", "source", "who", "left_out")


def roll(module, before):
    """Swap the ports, or find out what would change; what the module returns. before: what the host had."""
    params = module.params
    try:
        rollout = Rollout(params, before)
    except Refusal as problem:
        return refused(params["name"], params["release"], before, str(problem))
    if module.check_mode or not rollout.due:
        lines = rollout.dry_lines
        return {"changed": rollout.changed, "lines": lines, "swapped": [], "diff": rollout.dry_diff}
    try:
        rollout.prepare()
        rollout.switch()
    except Refusal as problem:
        return rollout.refuse(problem)
    rollout.record()
    return rollout.finish()


def together(module, before):
    """One step of a release over several hosts; what the module returns. before: None after the first."""
    params, name = module.params, module.params["name"]
    try:
        if params["phase"] == "switch":
            return participant.tell(name, do="switch", peers=params["peers"])
        if params["phase"] == "watch":
            return participant.tell(name, do="watch")
        if params["phase"] == "confirm":
            return participant.tell(name, do="confirm", word=params["word"])
        if params["phase"] == "back":
            return participant.tell(name, do="back", reason=params["reason"])
        if not Rollout(params, before).changed:
            return roll(module, before)
        held = json.loads(holder(f"/run/tornado-{name}.lock") or '{"token": ""}')
        order = {"params": {key: params[key] for key in OF_A_ROLLOUT}, "before": before}
        order |= {key: params[key] for key in ("digest", "patience")}
        participant.begin(name, {**order, "token": held["token"]})
        return {**participant.tell(name, do="prepare"), "prepared": True, "lines": []}
    except Refusal as problem:
        return refused(name, params["release"], before, str(problem))
    except (OSError, ValueError) as problem:
        log = f"journalctl -u {participant.unit_of(name)} tells why"
        text = f"{name}: {participant.unit_of(name)} gives no answer ({problem}); {log}."
        return {"failed": True, "msg": text, "reason": "gives no answer"}


def activate(module):
    """Keeper and units first, and last what is not needed any more; what the module returns."""
    params, changed, diff = module.params, False, []
    name = params["name"]
    if not module.check_mode and params["phase"] in ("whole", "prepare"):
        participant.end(name)
    if params["units"]:
        try:
            changed, diff = install(name, **params["units"], dry=module.check_mode)
        except OSError as problem:
            return {"failed": True, "msg": str(problem), "log": []}
    if params["phase"] in ("switch", "watch", "back"):
        return {"changed": False, **together(module, None)}
    before = look(name)
    result = roll(module, before) if params["phase"] == "whole" else together(module, before)
    diff += result.get("diff", [])
    if params["keep"] and not result.get("failed") and not result.get("prepared"):
        open_to_all = before["open_releases"]
        if not module.check_mode:
            with nullcontext() if params["phase"] == "whole" else step(name):
                # nginx has read these until now.
                close(open_to_all, grp.getgrnam(f"tornado-{name}").gr_gid)
                gone = clean(f"/srv/{name}", look(name) if result["changed"] else before, params["keep"])
            result["lines"] += gone
            changed = changed or bool(gone)
        changed = changed or bool(open_to_all)
    return {**result, "changed": changed or result.get("changed", False), "diff": diff}


@contextmanager
def step(name):
    """The run after a killed one waits for this to end."""
    with open_lock(f"/run/tornado-{name}.step") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def answer(module, result):
    """End with a result."""
    if result.get("failed"):
        log = "".join(f"\n  {line}" for line in result.get("log", []))
        if "log" in result:
            result["msg"] += f" The program's last lines:{log}" if log else " The program said nothing."
        module.fail_json(**result)
    module.exit_json(**result)


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
            "phase": {"type": "str", "choices": PHASES, "default": "whole"},
            "digest": text,
            "patience": {"type": "dict", "default": {}},
            "peers": {"type": "list", "elements": "list", "default": []},
            "word": {"type": "str", "default": "", "no_log": True},
            "reason": text,
        },
        supports_check_mode=True,
    )
    # Folders of static files are for nginx as well, whatever the session's umask is.
    os.umask(0o022)
    if module.check_mode:
        module.exit_json(**activate(module))
    if module.params["phase"] != "whole":
        answer(module, activate(module))
    with step(module.params["name"]):
        result = activate(module)
    answer(module, result)


if __name__ == "__main__":
    main()
