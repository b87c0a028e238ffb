"""A project that says in a file of its own what it needs, as steps for pip.

What is locked is installed with its digests and nothing besides, then the project itself. Nothing of it
runs here: the files are read as data.
"""

import json
import os
import re
import tomllib
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..module_utils.links import resolve
from ..module_utils.refusal import Refusal
from . import git, locks, pipfile
from .tree import RESERVED

PROJECT, PYLOCK = "pyproject.toml", re.compile(r"pylock(\.[^.]+)?\.toml")
LOCKS = ("pylock.toml", "uv.lock", "poetry.lock")
SETUP = "setup.py"  # of a project of before pyproject.toml
# What has neither is a script that happens to be called so.
SETUPTOOLS = re.compile(rb"\b(setuptools|distutils)\b")
# What such a project is in the words of today: only its build can say what it needs.
BY_BUILD = {
    "project": {"dynamic": ["version", "dependencies", "optional-dependencies"]},
    "build-system": {},
}
MOST = 32 << 20  # bytes of such a file
NO_PROJECT = (KeyError, TypeError, AttributeError, ValueError, InvalidRequirement)


@dataclass
class Plan:
    """What pip is to install. first: lines of requirements, None being the role's own; then: the project itself, and what no index has.

    alone: whether the first lines are locked, so that nothing else may come with them. complete: whether
    the project needs nothing besides them. versioned: whether its build asks git for its version.
    """

    first: list[str] | None = field(default_factory=list)
    then: list[str] = field(default_factory=list)
    alone: bool = False
    complete: bool = True
    versioned: bool = False

    def steps(self):
        """What pip is told, one call after the other; the files are those of files()."""
        first = ["--no-deps"] * self.alone + [f"--requirement={RESERVED}/requirements.txt"]
        then = ["--no-deps"] * self.complete + [f"--requirement={RESERVED}/project.txt"]
        return [first] * (self.first != []) + [then] * bool(self.then)

    def files(self):
        """Names and contents of the files below .release/ that the steps name."""
        given = {"requirements.txt": self.first, "project.txt": self.then}
        return {name: "".join(f"{one}\n" for one in lines).encode() for name, lines in given.items() if lines}


def is_project(name):
    """Whether a path is one of a project's files, rather than of requirements."""
    name = os.path.basename(name)
    return name in (PROJECT, SETUP, *LOCKS, *pipfile.FILES) or bool(PYLOCK.fullmatch(name))


def find(folder):
    """The file of a source that says what it needs, where it has no requirements.txt; "" where none does."""
    there = [one for one in (PROJECT, LOCKS[0], SETUP) if os.path.isfile(os.path.join(folder, one))]
    data = read(folder, PROJECT) or {}
    # Beside a setup.py the other file is often for tools alone.
    if "project" in data or "poetry" in data.get("tool", {}):
        return PROJECT
    if LOCKS[0] not in there:
        for one in pipfile.FILES:
            if os.path.isfile(os.path.join(folder, one)):
                return one
    if SETUP in there and LOCKS[0] not in there:
        with open(os.path.join(folder, SETUP), "rb") as file:
            if SETUPTOOLS.search(file.read(MOST)):
                return SETUP
    return next((one for one in there if one != SETUP), "")


def read(folder, name):
    """The tables of a file of the source; None where there is none. Refusal: it is none that can be read."""
    try:
        path = os.path.join(folder, resolve(folder, name))
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            text = file.read(MOST + 1)
        if len(text) > MOST:
            raise ValueError(f"more than {MOST >> 20} MiB")
        parse = json.loads if name.endswith(pipfile.LOCKED) else tomllib.loads
        return {**parse(text.decode())}
    except (Refusal, OSError, ValueError, TypeError, RecursionError) as problem:
        raise Refusal(
            f"tornado_app_requirements: {name} can't be read ({problem}). Mend it, or name a requirements file."
        ) from problem


def plan(folder, name, extras, offline):
    """What pip is to install by a project's file; None where it names nothing. offline: from wheels, whose digests are their own."""
    base, file = os.path.split(name)
    if file in pipfile.FILES:
        return plan_of_pipfile(folder, name, extras, offline)
    lock = file if file not in (PROJECT, SETUP) else ""
    if file == PROJECT:
        lock = next((one for one in LOCKS if os.path.isfile(os.path.join(folder, base, one))), "")
    data = BY_BUILD if file == SETUP else read(folder, os.path.join(base, PROJECT)) or {}
    locked = lock and read(folder, os.path.join(base, lock))
    try:
        project = Project(os.path.join(folder, base), data, [canonicalize_name(one) for one in extras])
        found = project.locked(lock, locked, base, not offline) if lock else project.unlocked(base)
        if file == SETUP:
            found.first = None  # many of them leave Tornado to whoever starts them
        if found and found.then:
            found.versioned = "version" in project.dynamic or "poetry-dynamic-versioning" in project.tool
        return found
    except NO_PROJECT as problem:
        raise Refusal(
            f"tornado_app_requirements: {name} is no project that pip could install ({type(problem).__name__}: {problem})."
            " Mend it, or name a requirements file."
        ) from problem


def plan_of_pipfile(folder, name, extras, offline):
    """The same by a Pipfile, held to its lock where there is one."""
    base = os.path.dirname(name)
    listed, locked = (read(folder, os.path.join(base, one)) for one in (pipfile.LISTED, pipfile.LOCKED))
    alone = locked is not None
    try:
        found = pipfile.packages(listed or {}, locked, extras)
        indexed, direct = pipfile.lines(found, base, hashed=alone and not offline)
    except NO_PROJECT as problem:
        raise Refusal(
            f"tornado_app_requirements: {name} is none that pipenv could install ({type(problem).__name__}: {problem})."
            " Mend it, or name a requirements file."
        ) from problem
    return Plan(indexed, direct, alone=alone, complete=alone) if found else None


class Project:
    """A pyproject.toml. asked: extras and groups besides what is always needed."""

    def __init__(self, folder, data, asked):
        self.project, self.tool = data.get("project", {}), data.get("tool", {})
        tool = self.tool
        self.poetry = tool.get("poetry", {})
        self.name = canonicalize_name(self.project.get("name", self.poetry.get("name", "")))
        self.dynamic = self.project.get("dynamic", [])
        self.given = {
            canonicalize_name(key): value
            for key, value in self.project.get("optional-dependencies", {}).items()
        }
        self.groups = {
            canonicalize_name(key): value for key, value in data.get("dependency-groups", {}).items()
        }
        poetry_groups = {canonicalize_name(key): value for key, value in self.poetry.get("group", {}).items()}
        self.poetry_groups = {key: value.get("dependencies", {}) for key, value in poetry_groups.items()}
        self.poetry_extras = {
            canonicalize_name(key): value for key, value in self.poetry.get("extras", {}).items()
        }
        package = tool.get("uv", {}).get("package", self.poetry.get("package-mode"))
        self.src = os.path.isdir(os.path.join(folder, "src"))
        # As uv has it: a project without a build is a folder of scripts, unless it keeps its package apart.
        builds = "build-system" in data or (bool(self.name) and self.src)
        self.packaged = builds if package is None else bool(package)
        self.sort_out(asked)

    def sort_out(self, asked):
        """Tell extras from groups. Refusal: something is neither."""
        known = {*self.given, *self.poetry_extras}
        self.extras = [one for one in asked if one in known]
        self.chosen = [
            one for one in asked if one in {*self.groups, *self.poetry_groups} and one not in known
        ]
        unknown = [one for one in asked if one not in (*self.extras, *self.chosen)]
        if "optional-dependencies" in self.dynamic:
            self.extras, unknown = [*self.extras, *unknown], []
        if unknown:
            there = sorted({*known, *self.groups, *self.poetry_groups})
            raise Refusal(
                f"tornado_app_extras: '{unknown[0]}' is neither an extra nor a group of {PROJECT}."
                f" {'Give some of: ' + ', '.join(there) if there else 'It has none: leave the variable out'}."
            )

    def itself(self, base, extras=()):
        """The project as pip takes it; nothing where it is no package."""
        return [f"./{base}{'[' + ','.join(extras) + ']' if extras else ''}"] if self.packaged else []

    def needs(self):
        """The lines of what it needs, with those of the extras and groups."""
        lines, seen = [*self.project.get("dependencies", [])], set()
        ahead = [("extra", one) for one in self.extras] + [("group", one) for one in self.chosen]
        while ahead:
            kind, name = ahead.pop(0)
            if (kind, name) in seen:
                continue
            seen.add((kind, name))
            for one in self.given[name] if kind == "extra" else self.groups[name]:
                if isinstance(one, dict):
                    ahead.append(("group", canonicalize_name(one["include-group"])))
                elif canonicalize_name(Requirement(one).name) == self.name:
                    ahead += [("extra", canonicalize_name(extra)) for extra in Requirement(one).extras]
                else:
                    lines.append(one)
        for one in lines:
            Requirement(one)
        return lines

    def unlocked(self, base):
        """The plan without a lock file."""
        dependencies = {key for key in self.poetry.get("dependencies", {}) if key != "python"}
        hidden = {"dependencies", "optional-dependencies"} & set(self.dynamic)
        if "dependencies" not in self.project and dependencies:
            hidden = {"dependencies"}
        if hidden and (not self.packaged or any(one not in self.groups for one in self.chosen)):
            raise Refusal(
                f"tornado_app_requirements: what {PROJECT} needs is not said in [project]. Lock it (poetry lock)."
            )
        if hidden:
            # Only its build can say what it needs.
            lines = [line for one in self.chosen for line in self.groups[one] if isinstance(line, str)]
            return Plan(lines, self.itself(base, self.extras), complete=False)
        lines = self.needs()
        if not lines:
            return Plan(None, self.itself(base)) if self.src and self.packaged else None
        return Plan(lines, self.itself(base))

    def locked(self, name, data, base, hashed):
        """The plan of a lock file."""
        try:
            if name == "uv.lock":
                needed = locks.uv(data, self.extras, self.chosen)
            elif name == "poetry.lock":
                listed = [
                    self.poetry.get("dependencies", {}),
                    *(self.poetry_groups.get(one, {}) for one in self.chosen),
                ]
                roots = [edge for one in listed for edge in locks.poetry_edges(one)]
                roots += [
                    locks.Edge(one.split("[")[0])
                    for extra in self.extras
                    for one in self.poetry_extras.get(extra, [])
                ]
                roots += [locks.edge_of(line) for line in self.needs()] if self.project else []
                needed = locks.poetry(data, self.extras, self.chosen, roots)
            else:
                needed = locks.pylock(data, self.extras, self.chosen)
            indexed, direct = locks.lines(needed, hashed)
        except Refusal as problem:
            raise Refusal(
                f"tornado_app_requirements: {name} {problem}. Give a requirements file instead."
            ) from problem
        there = {canonicalize_name(package.name) for package, _sets in needed}
        for line in self.project.get("dependencies", []):
            need = Requirement(line)
            if not need.marker and canonicalize_name(need.name) not in there | {self.name}:
                raise Refusal(
                    f"tornado_app_requirements: {name} has no '{need.name}', which {PROJECT} needs. Lock it again."
                )
        if not needed:
            return self.unlocked(base)
        own = self.itself(base)
        others = [os.path.normpath(one) for one in direct]
        then = [
            f"./{os.path.join(base, one)}" if line.startswith("./") else line
            for line, one in zip(direct, others, strict=True)
        ]
        return Plan(
            indexed, [*own, *(one for one, path in zip(then, others, strict=True) if path != ".")], alone=True
        )


def version(folder, given):
    """The version that a build which asks git is told, as release has no repository; given: tornado_app_version."""
    try:
        return str(Version(given))
    except InvalidVersion:
        pass
    try:
        if git.checkout_of(folder):
            tag, distance, commit = git.git(folder, "describe", "--tags", "--long", "--match=*[0-9]*").rsplit(
                "-", 2
            )
            number = Version(re.sub(r"^.*?(?=v?\d)", "", tag))
            return str(number) if distance == "0" else f"{number.base_version}.post{distance}+{commit}"
    except (Refusal, OSError, ValueError, InvalidVersion):
        pass  # a repository without tags, or none that can be asked
    try:
        return f"0+g{git.git(folder, 'rev-parse', '--short=12', 'HEAD')}" if git.checkout_of(folder) else "0"
    except (Refusal, OSError):
        return "0"
