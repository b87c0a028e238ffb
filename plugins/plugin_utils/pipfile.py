"""A Pipfile or its lock, which list their packages alike, as lines for pip."""

import os

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..module_utils.refusal import Refusal
from .locks import from_git

LISTED, LOCKED = "Pipfile", "Pipfile.lock"
FILES = (LOCKED, LISTED)
OTHERS = {"_meta", "source", "requires", "scripts", "pipenv"}  # tables that list no packages
# Keys of a package that stand for a marker of the same name.
MARKERS = (
    *("os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release"),
    *("platform_system", "platform_version", "python_version", "python_full_version"),
    *("implementation_name", "implementation_version"),
)


def packages(listed, locked, extras):
    """What is to be installed, name to what is said of it: what is always needed, then these categories.

    listed, locked: the two files; without a lock the first one counts.
    """
    name, always = (LISTED, "packages") if locked is None else (LOCKED, "default")
    data = listed if locked is None else locked
    there = sorted(set(data) - {always, *OTHERS})
    if unknown := [one for one in extras if one not in there]:
        raise Refusal(
            f"tornado_app_extras: '{unknown[0]}' is no category of {name}."
            f" {'Give some of: ' + ', '.join(there) if there else 'It has none: leave the variable out'}."
        )
    found = {one: given for table in (always, *extras) for one, given in data.get(table, {}).items()}
    for one, given in found.items() if data is locked else ():
        said = listed.get("packages", {}).get(one)
        if given == {"version": "*"} and isinstance(said, dict):
            # Of what another system alone needs pipenv locks nothing, not even that.
            found[one] = {**said, **given}
    known = set(map(canonicalize_name, found))
    # What comes from a folder is locked by another name.
    wanted = [one for one, given in listed.get("packages", {}).items() if not isinstance(given, dict)]
    if lost := [one for one in wanted if canonicalize_name(one) not in known]:
        raise Refusal(
            f"tornado_app_requirements: {LOCKED} has no '{lost[0]}', which {LISTED} needs. Lock it again."
        )
    return found


def line(name, one, base):
    """A package as pip takes it, without digests, and whether an index has it. one: what is said of it."""
    marks = [one["markers"]] if one.get("markers") else []
    marks += [" ".join([key, one[key]]) for key in MARKERS if key in one]
    marker = " ; " + " and ".join(f"({mark})" for mark in marks) if marks else ""
    extras = f"[{','.join(one['extras'])}]" if one.get("extras") else ""
    if "git" in one:
        place = one.get("subdirectory", "")
        return from_git(name + extras, one["git"], one.get("ref", "HEAD"), place) + marker, False
    if place := one.get("path") or one.get("file"):
        local = f"./{os.path.normpath(os.path.join(base, place))}"
        return (f"{name}{extras} @ {place}" if "://" in place else local + extras) + marker, False
    version = one.get("version", "*")
    pinned = f"=={version}" if version[:1].isdigit() else version
    text = f"{name}{extras}{'' if version == '*' else pinned}{marker}"
    Requirement(text)
    return text, True


def lines(found, base, hashed):
    """Lines of what an index has, with digests where they are to count, and lines of the rest."""
    indexed, direct = [], []
    for name, given in found.items():
        one = given if isinstance(given, dict) else {"version": given}
        text, of_an_index = line(name, one, base)
        digests = sorted(set(one.get("hashes", []))) if hashed and of_an_index else []
        if hashed and of_an_index and not digests and ";" not in text:
            raise Refusal(
                f"tornado_app_requirements: {LOCKED} has no digest of {name}. Lock it again, or give a"
                " requirements file instead."
            )
        (indexed if of_an_index else direct).append("".join([text, *(f" --hash={one}" for one in digests)]))
    return indexed, direct
