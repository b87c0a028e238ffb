"""Which variable lets a program do what its last words say it could not. Standard library only."""

import os
import re
from pathlib import PurePosixPath

from . import module_reasons
from .text import printable

DENIED = re.compile(r"(?:Permission denied|Read-only file system)(?:: ['\"]([^'\"]+)['\"])?")
DATABASE = re.compile(r"unable to open database file|attempt to write a readonly database")
EXECUTABLE = re.compile(
    r"failed to map segment from shared object|cannot enable executable stack|mprotect|PROT_EXEC"
    r"|[Uu]nable to allocate section memory|ffi\.callback|executable memory|JIT"
)
OTHER = re.compile(r"Operation not permitted|Address family not supported|\[Errno (?:1|97)\]|\bSIGSYS\b")
TAKEN = re.compile(r"(?i)\[errno 98\]|address already in use|EADDRINUSE")
OVERLAP = (
    " If it opens that port besides its own, let it take any free one, or end the process before first:"
    " tornado_app_overlap: false."
)
# As argparse, click, fire, getopt, tornado.options or int() say it.
NO_PORT = re.compile(
    r"(?i)(?:recogni[sz]ed|no such|unknown|invalid|consume).*(?:--port\b|'port')|option --port not recogn"
)
TELL = (
    " It takes no --port: write {port} where it takes its port, in tornado_app_main, tornado_app_arguments or"
    " tornado_app_environment, or name its own in tornado_app_listens_on."
)
# As a file that defines an application and starts none, or a program that goes into the background.
ENDED = "exited with status 0 before it answered"
STAY = (
    " It ended of itself: give what listens and stays. docs/programs.md has the script for an app factory"
    " (make_app)."
)
NO_MODULE = re.compile(r"No module named '([\w.]+)'")
NO_FILE = re.compile(r"No such file or directory: '([^']+)'")
LOOKED_UP = re.compile(r"(?:KeyError: |No section: |No option |environ\[|getenv\()['\"]([\w.-]+)['\"]")
MISSED = re.compile(r"(?i)environment|not set|not found|missing|required|undefined")
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
FIELD = re.compile(r"[a-z][a-z0-9_.]*")  # as pydantic names one that it misses, in a line of its own
UNKNOWN = " tornado_app_sandbox: {enabled: false} would show whether its sandbox forbids that."


def denied(path, home, own):
    """A sentence for a path that could not be written. home: /srv/NAME. own: folders of the program's."""
    path = re.sub(rf"^{re.escape(home)}/(?:releases/[0-9a-f]+|current)/", "", path)
    if path.startswith("/dev/"):
        return f" To use {path}, list it in tornado_app_sandbox.devices, and its group in groups."
    if path.startswith(("/proc/", "/sys/")):
        return UNKNOWN
    if path.startswith(own):
        return ""
    if path.startswith("/"):
        return f" To write {path}, list its folder in tornado_app_sandbox.writable_paths."
    return f" To write {path} beside the code, list it in tornado_app_shared."


def absent(line, home, left_out):
    """A sentence for a line that misses a module or a file that was left out of the release, or ""."""
    module, file = NO_MODULE.search(line), NO_FILE.search(line)
    if module:
        path = module[1].replace(".", "/")
    elif file:
        path = os.path.normpath(re.sub(rf"^{re.escape(home)}/(?:releases/[0-9a-f]+|current)/", "", file[1]))
    else:
        return ""
    wanted = [path, f"{path}.py", *(str(one) for one in PurePosixPath(path).parents)]
    for name in left_out:
        if any(f"/{name}".endswith(f"/{one}") for one in wanted if one not in (".", "/")):
            return f" {printable(name)} was left out of the release, list it in tornado_app_include."
    if file and os.path.basename(path).startswith(".env") and not path.startswith("/"):
        instead = "tornado_app_environment and tornado_app_secrets"
        return f" The source has no {printable(path)}: give what it says in {instead}."
    return ""


def unset(line, settings):
    """A sentence for a line that misses a setting of a file that was left out of the release, or ""."""
    names = set(LOOKED_UP.findall(line))
    names |= set(VARIABLE.findall(line)) if MISSED.search(line) else set()
    names |= {line} if FIELD.fullmatch(line) else set()
    names = {one.casefold() for one in names}
    for path, keys in settings.items():
        if found := [one for one in keys if one.casefold() in names]:
            return (
                f" {found[0]} is set in {printable(path)}, which was left out of the release: give it in"
                " tornado_app_environment or tornado_app_secrets, or list the file in tornado_app_include."
            )
    return ""


def remedy(name, lines, left_out=(), settings=None, release=""):
    """A sentence for the last line that looks like an app's sandbox; "" where none does.

    left_out: paths in the source that are no part of the release. settings: some of them, to the names of
    what they give values. release: the folder of that, where it is known.
    """
    own = (*(f"/var/{kind}/tornado-{name}/" for kind in ("lib", "cache", "log")), "/tmp/", "/var/tmp/")
    for line in reversed(lines):
        if sentence := absent(line, f"/srv/{name}", left_out):
            return sentence
        if release and (sentence := module_reasons.remedy(line, release, left_out)):
            return sentence
        if sentence := unset(line.strip(), settings or {}):
            return sentence
        found = DENIED.search(line)
        if found and found[1]:
            return denied(found[1], f"/srv/{name}", own)
        if DATABASE.search(line):
            return " To write a database beside the code, list its file in tornado_app_shared."
        if NO_PORT.search(line):
            return TELL
        if ENDED in line:
            return STAY
        if TAKEN.search(line):
            return OVERLAP
        if EXECUTABLE.search(line):
            return " tornado_app_sandbox.executable_memory lets it compile at run time."
        if found or OTHER.search(line):
            return UNKNOWN
    return ""
