"""What of a source is part of a release. Standard library only."""

import contextlib
import os
import re
import stat

from ..module_utils.links import resolve
from ..module_utils.refusal import Refusal
from .archive import MOST_FILES
from .left_out import above as folders_of
from .left_out import never

RESERVED = ".release"
MOST_NAMES = 1 << 20  # characters of the file that names submodules


def too_much(limit):
    """The Refusal of a source that is too large to be a program."""
    return Refusal(f"tornado_app_source: it holds more than {limit}. Leave out what is not the program's.")


def empty_submodules(folder):
    """Paths of the git submodules that a source names and has nothing of."""
    path = f"{folder}/.gitmodules"
    # A link or a pipe of that name would be read without an end, and is nothing to git either.
    if not os.path.lexists(path) or not stat.S_ISREG(os.lstat(path).st_mode):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        paths = re.findall(r"(?m)^\s*path\s*=\s*(.+?)\s*$", file.read(MOST_NAMES))
    return [path for path in paths if not filled(os.path.join(folder, path))]


def filled(path):
    """Whether a folder holds something."""
    with contextlib.suppress(OSError):
        return bool(os.listdir(path))
    return False


class Tree:
    """The files of a source. static: the folder in it whose files are for everybody. left_out: a LeftOut.

    found: path in the release to the path of the file or link on the controller. empty: folders without any.
    links: path in the release to where on the host a link there leads.
    """

    def __init__(self, folder, static, left_out):
        self.folder, self.static, self.left_out = folder, static, left_out
        self.found, self.empty, self.links, self.visited = {}, [], {}, 0
        if os.path.lexists(os.path.join(folder, RESERVED)):
            raise Refusal(f"tornado_app_source: the source has a {RESERVED}, which is a reserved name.")
        if empty := empty_submodules(folder):
            raise Refusal(
                f"tornado_app_source: the submodule {empty[0]} is empty. Run git submodule update --init"
                " --recursive in the source, or give the repository's address and a version."
            )
        try:
            self.visit("", "", [])
        except RecursionError as problem:
            raise too_much("some hundred folders in each other") from problem

    def public(self, name):
        """Whether all accounts may read what has this path."""
        hidden = any(part.startswith(".") for part in name[len(self.static) :].split("/"))
        return f"{name}/".startswith(f"{self.static}/") and not hidden

    def on_the_way(self, name):
        """Whether a path is the static folder, above it or below it."""
        return f"{name}/".startswith(f"{self.static}/") or self.static.startswith(f"{name}/")

    def visit(self, name, real, above):
        """Add all that a folder holds. name: its path in the release; real: in the source.

        above: the real paths of the folders that it lies in.
        """
        # Links to one folder from several others multiply it, without a file in any of them.
        self.visited += 1
        if self.visited > MOST_FILES:
            raise too_much(f"{MOST_FILES} folders")
        entries = sorted(os.listdir(os.path.join(self.folder, real)))
        if name and not entries:
            self.empty.append(name)
        if real and ".git" in entries:
            self.left_out.enter(real)
        for entry in entries:
            self.enter(f"{name}/{entry}".lstrip("/"), f"{real}/{entry}".lstrip("/"), [*above, real])

    def enter(self, name, real, above):
        """Add a file or a link; look into a folder."""
        if self.left_out(name, real):
            return
        path = os.path.join(self.folder, real)
        if os.path.islink(path):
            where = self.target(name, real, above)
            if where is None:
                self.add(name, path)
                return
            real, path = where, os.path.join(self.folder, where)
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            self.visit(name, real, above)
        elif not stat.S_ISREG(mode):
            raise Refusal(f"tornado_app_source: {name} is neither a file, a folder nor a link.")
        else:
            self.add(name, path)

    def add(self, name, path):
        """Add one file or link."""
        self.found[name] = path
        if len(self.found) > MOST_FILES:
            raise too_much(f"{MOST_FILES} files")

    def target(self, name, real, above):
        """Where a link leads, if that takes its place; None: it stays a link."""
        says = os.readlink(os.path.join(self.folder, real))
        link = f"tornado_app_source: the link {name}"
        try:
            where = resolve(self.folder, real)
        except Refusal as problem:
            raise Refusal(
                f"{link} leads {problem} the source (to {says}). A release holds all that it needs."
            ) from problem
        if where.split("/")[0] == RESERVED:
            raise Refusal(f"{link} leads to {RESERVED} (to {says}), which is a reserved name.")
        # As "x -> ." does, and one that is reached through another: endless for whoever follows it.
        if where in above:
            raise Refusal(f"{link} leads to a folder that holds it (to {says}). Links go in no circle.")
        there = os.path.lexists(os.path.join(self.folder, where))
        there = there and not any(never(os.path.join(self.folder, one)) for one in folders_of(where))
        return where if there and self.on_the_way(name) else None
