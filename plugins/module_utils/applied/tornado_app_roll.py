"""Bring all ports of an app to one release, without a lost request; or leave them as they were."""

import fcntl
import grp
import json
import os
from contextlib import contextmanager, nullcontext

from .. import participant
from ..cleanup import clean, close
from ..host import look
from ..lockfile import holder, open_lock
from ..refusal import Refusal
from ..rollout import Rollout, refused
from ..units import install

PHASES = ["whole", "prepare", "switch", "watch", "confirm", "back"]
TEXT = {"type": "str", "default": ""}
SPEC = {
    "name": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "ports": {"type": "list", "elements": "int", "required": True},
    "units": {"type": "dict"},
    "static": {"type": "str", "default": "static"},
    "event": {"type": "str", "choices": ["deployed", "rolled back"], "default": "deployed"},
    "source": TEXT,
    "code": TEXT,
    "who": TEXT,
    "left_out": {"type": "list", "elements": "str", "default": []},
    "left_out_settings": {"type": "dict", "default": {}},
    "keep": {"type": "int", "default": 0},
    "phase": {"type": "str", "choices": PHASES, "default": "whole"},
    "digest": TEXT,
    "patience": {"type": "dict", "default": {}},
    "address": TEXT,
    "peers": {"type": "list", "elements": "list", "default": []},
    "word": {"type": "str", "default": "", "no_log": True},
    "reason": TEXT,
}

OF_A_ROLLOUT = ("name", "release", "ports", "static", "event", "source", "code", "who")
OF_A_ROLLOUT += ("left_out", "left_out_settings")


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
        order |= {key: params[key] for key in ("digest", "patience", "address")}
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
            return {"failed": True, "msg": str(problem)}
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


def main(module):
    """The modules of this name, and apply, call this."""
    # Folders of static files are for nginx as well, whatever the session's umask is.
    os.umask(0o022)
    if module.check_mode:
        module.exit_json(**activate(module))
    if module.params["phase"] != "whole":
        answer(module, activate(module))
    with step(module.params["name"]):
        result = activate(module)
    answer(module, result)
