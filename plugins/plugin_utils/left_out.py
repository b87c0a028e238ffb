"""What of a source is no part of a program, and so of no release. Standard library only."""

import os
import re
import stat

from ..module_utils.links import resolve
from ..module_utils.refusal import Refusal
from ..module_utils.text import printable

# Version control and caches.
NEVER = {".git", ".hg", ".svn", ".tox", ".nox", ".eggs", "__pycache__"}
NEVER |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
ENVIRONMENTS = {".venv"}
# What builds use, as a rule; a page may be served from it all the same.
BUILT_WITH = {"node_modules"}
SHOWN = 10  # names in one line
SETTINGS = re.compile(r"\.?env(?:\..+)?|.+\.(?:env|ini|cfg|conf)")
# A line that gives a setting its value, or a section of an INI file. The last line of a key ends in "=".
KEY = re.compile(r"\s*(?:export\s+)?(?:([A-Za-z_][\w.-]*)\s*[=:](?!=|\s*$)|\[([\w.-]+)\]\s*$)")
LARGEST_SETTINGS, MOST_KEYS = 64 * 1024, 200  # bytes of one file; keys of all


def never(path):
    """Whether a file, folder or link is never part of a program."""
    name = os.path.basename(path)
    if name in NEVER | ENVIRONMENTS or name.endswith(".pyc"):
        return True
    # Made for a place and an interpreter of this machine, whatever its name.
    return os.path.isfile(os.path.join(path, "pyvenv.cfg")) or of_a_process(path)


def of_a_process(path):
    """Whether a path is a socket, a pipe or a device: some process's of this machine, which no clone would have."""
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
    return kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def included(folder, given):
    """The paths that somebody asks for, as the source has them. Refusal: it has no such path."""
    for name in given:
        path = os.path.normpath(name) if name else ""
        try:
            there = bool(path) and not path.startswith("/") and "\0" not in path
            there = there and os.path.lexists(os.path.join(folder, resolve(folder, path)))
        except Refusal:
            there = False
        if not there or any(never(os.path.join(folder, one)) for one in above(path)):
            raise Refusal(
                f"tornado_app_include: '{name}' is no path in the source that a release can hold."
                " Give files and folders there, as config.py or locale."
            )
        yield path


def keys_in(path):
    """The names of the settings that a small file of text gives values. None of the values."""
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_SETTINGS:
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        matches = [KEY.match(line) for line in file]
    return list(dict.fromkeys(one[1] or one[2] for one in matches if one))


def within(path, folder):
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def above(path):
    """A path and the folders that it lies in."""
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}


class LeftOut:
    """What stays behind of a folder. wanted: paths in the release that belong to it whatever git ignores.

    ask: is called with the path of a checkout in it, "" being the folder itself, and gives what git
    ignores there. found: what was left out that somebody may miss.
    """

    def __init__(self, folder, wanted=(), ask=None):
        self.folder, self.wanted, self.ask = folder, wanted, ask
        self.ignored, self.found, self.unknown = set(), [], ""
        self.settings = {}  # path of a file of settings that was left out, to the names of these
        self.enter("")

    def enter(self, real):
        """Learn what git ignores in a checkout, a submodule among them."""
        if not self.ask:
            return
        try:
            found = self.ask(os.path.join(self.folder, real))
        except (Refusal, OSError) as problem:  # a folder of another user's, no git on this machine
            self.unknown = str(problem)
        else:
            self.ignored |= {f"{real}/{one}".lstrip("/") for one in found}

    def __call__(self, name, real):
        """Whether what has this path in the release, and that in the source, stays behind."""
        if never(os.path.join(self.folder, real)):
            return True
        if any(within(name, one) or within(one, name) for one in self.wanted):
            return False
        if os.path.basename(name) not in BUILT_WITH and not above(real) & self.ignored:
            return False
        self.found.append(name)
        if SETTINGS.fullmatch(os.path.basename(name)):
            self.note(name, os.path.join(self.folder, real))
        return True

    def note(self, name, path):
        """Keep what a file of settings is about: a program may miss that without ever naming the file."""
        room = MOST_KEYS - sum(map(len, self.settings.values()))
        try:
            keys = keys_in(path)[:room]
        except OSError:
            return
        if keys:
            self.settings[name] = keys

    def sentence(self):
        """What somebody may miss, and how it gets in; "" where there is nothing."""
        said = []
        if self.unknown:
            said.append(f"Packed as it is: git can't say what it ignores there ({printable(self.unknown)}).")
        if self.found:
            more = f" and {len(self.found) - SHOWN} more" if len(self.found) > SHOWN else ""
            said.append(
                "Left out, as git ignores it or a build alone needs it: "
                f"{', '.join(map(printable, self.found[:SHOWN]))}{more}."
                " List in tornado_app_include what the program needs of that."
            )
        return " ".join(said)
