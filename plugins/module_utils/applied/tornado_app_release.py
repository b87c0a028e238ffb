"""Put a packed release on a host: unpack it, look for its program, compile it."""

import grp
import json
import os
import shutil
import subprocess

from ..compiled import compile_code
from ..interpreter import SYSTEM
from ..refusal import Refusal
from ..startable import refusals

TEXT = {"type": "str", "default": ""}
SPEC = {
    "path": {"type": "path", "required": True},
    "group": {"type": "str", "required": True},
    "archive": {"type": "path", "default": ""},
    "complete": {"type": "bool", "default": True},
    "main": TEXT,
    "program": TEXT,
    "python": {"type": "path", "default": SYSTEM},
    # The name of a variable.
    "secrets": {**TEXT, "no_log": False},
}

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


def main(module):
    """The modules of this name, and apply, call this."""
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
