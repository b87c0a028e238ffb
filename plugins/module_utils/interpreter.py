"""Whether a Python of the host can run programs that others wrote, and what it is. Standard library only."""

import json
import os
import stat
import subprocess

from .text import printable

LEAST = (3, 9)  # what files/release and files/build are written for
ANSWER_TIMEOUT = 20  # seconds
NOBODY = 65534
SYSTEM = "/usr/bin/python3"
# What the sandbox of a program, or that of a build, does not show.
HIDDEN = ("/home", "/root", "/run", "/srv", "/tmp", "/var", "/mnt", "/media", "/dev", "/proc", "/sys")
MOST_LINKS = 40

ASKED = """
import json, sys, sysconfig
from importlib.util import find_spec
print(json.dumps({
    "version": sys.version_info[:2],
    "kind": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag,
    "tag": sys.implementation.cache_tag,
    "program": sys._base_executable,
    "stdlib": sysconfig.get_path("stdlib"),
    "lacks": [name for name in ("venv", "ensurepip") if not find_spec(name)],
}))
"""


class Unusable(Exception):
    """Why an interpreter is not taken, as the end of a sentence that begins with its path."""


def steps(path):
    """A path and all that it leads through, links and what they lead to; no link is above any of them."""
    ahead, there, links = path.split("/")[::-1], "", 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            there = os.path.dirname(there).rstrip("/")
            continue
        there = f"{there}/{part}"
        yield there
        if os.path.islink(there):
            target, links = os.readlink(there), links + 1
            if links > MOST_LINKS:
                raise Unusable("is a link in a circle")
            there = "" if target.startswith("/") else os.path.dirname(there).rstrip("/")
            ahead += target.split("/")[::-1]


def require_roots(path):
    """Raise Unusable where others than root could replace what a path leads to, or a sandbox hides it."""
    for one in steps(path):
        try:
            found = os.lstat(one)
        except OSError as problem:
            raise Unusable("is not there") from problem
        link = stat.S_ISLNK(found.st_mode)
        if found.st_uid != 0 or (found.st_mode & 0o022 and not link):
            raise Unusable(f"could be replaced, since others than root may write {one}")
        if hidden := [top for top in HIDDEN if f"{one}/".startswith(f"{top}/")]:
            raise Unusable(f"leads below {hidden[0]}, which the sandbox of a program or of its build hides")


def asked(path):
    """What an interpreter says of itself, without any right of root's."""
    rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        done = subprocess.run(
            [path, "-IS", "-c", ASKED],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ANSWER_TIMEOUT,
            cwd="/",
            env={},
            check=False,
            **rights,
        )
    except subprocess.TimeoutExpired as problem:
        raise Unusable(f"gave no answer within {ANSWER_TIMEOUT} s") from problem
    except OSError as problem:
        raise Unusable(f"can't be run by other accounts than root ({problem.strerror})") from problem
    try:
        return json.loads(done.stdout)
    except ValueError as problem:
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        said = f", it says: {printable(lines[0])}" if lines else ""
        raise Unusable(f"is no Python {written(LEAST)} or later{said}") from problem


def written(version):
    """A version as people write it."""
    return ".".join(map(str, version))


def examine(path):
    """What there is of an interpreter at a path.

    why: the reason not to take it, as the end of a sentence, or "". id: what an environment of it depends
    on. program: what the environment's links lead to. stdlib, tag: where its own modules are, and what it
    calls compiled files.
    """
    try:
        require_roots(path)
        found = asked(path)
        version = tuple(found["version"])
        if version < LEAST:
            raise Unusable(f"is Python {written(version)}, and it takes {written(LEAST)} or later")
        if found["lacks"]:
            raise Unusable(f"has no {' and no '.join(found['lacks'])}, which make environments")
        program = os.path.realpath(found["program"])
        for one in (program, found["stdlib"]):
            require_roots(one)
    except Unusable as problem:
        return {"why": str(problem)}
    return {
        "why": "",
        "id": f"{path} {program} {written(version)} {found['kind']}",
        "program": program,
        "stdlib": found["stdlib"],
        "tag": found["tag"],
    }
