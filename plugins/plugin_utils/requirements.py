"""The requirements of a source: the file, and what decides whether two of them give the same environment."""

import codecs
import hashlib
import os
import re

from ..module_utils.links import resolve
from ..module_utils.refusal import Refusal
from .git import checkout_of
from .left_out import above, never
from .tree import RESERVED

# By their first bytes, as pip takes them: PowerShell writes UTF-16.
ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MOST_PATHS = 1000  # that requirements may name one by one
DEFAULT = "requirements.txt"  # the one file that a source need not have
INCLUDED = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)")
LOCAL = re.compile(r"\s*(-e|--editable|\.|/|file:)|.*@\s*file:")
PACKED = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz", ".tar")
EDITABLE = re.compile(r"\s*(-e|--editable)")


def find(folder, name):
    """The path of the source's requirements file; None: it has none, and none was asked for."""
    try:
        real = "" if name.startswith("/") else resolve(folder, name)
    except (Refusal, ValueError):  # out of the source, or no path
        real = ""
    kept = real.split("/")[0] != RESERVED and not any(never(os.path.join(folder, one)) for one in above(real))
    if kept and os.path.isfile(os.path.join(folder, real)):
        return os.path.join(folder, name)
    if name == DEFAULT and not os.path.lexists(os.path.join(folder, name)):
        return None
    raise Refusal(
        f"tornado_app_requirements: '{name}' is no file in the source."
        f" Give the path of one there, as {DEFAULT}, or leave the variable out."
    )


def over(folder):
    """The requirements file of the checkout that a folder lies in, as seen from there; none where it has none."""
    top, place = checkout_of(os.path.realpath(folder)), os.path.realpath(folder)
    while top and place != top:
        place = os.path.dirname(place)
        if os.path.isfile(os.path.join(place, DEFAULT)):
            return [os.path.relpath(os.path.join(place, DEFAULT), os.path.realpath(folder))]
    return []


def read(folder, path):
    """The text of a requirements file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        encoding = next((name for mark, name in ENCODINGS.items() if data.startswith(mark)), "utf-8")
        text = data.decode(encoding)
        if "\0" in text:
            raise ValueError
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "no text in UTF-8 or UTF-16"
        raise Refusal(
            f"tornado_app_requirements: {os.path.relpath(path, folder)} can't be read ({why})."
            " Give requirements as text, in files that you may read."
        ) from problem
    return text


def lines(folder, path, seen=None):
    """The lines of a requirements file and of those in its source that it includes."""
    seen = set() if seen is None else seen
    if path in seen or not os.path.isfile(path):
        return []
    seen.add(path)
    found = []
    for line in read(folder, path).splitlines():
        found.append(line)
        if included := INCLUDED.match(line):
            other = os.path.realpath(os.path.join(os.path.dirname(path), included[1]))
            if other.startswith(f"{folder}/"):
                found += lines(folder, other, seen)
    return found


def named(folder, line):
    """Paths in the source, "" being all of it, that a line lets pip install, look into or hold to.

    What pip takes for a path: the value of an option, and whatever has a slash or ends as an archive does.
    """
    text = re.sub(r"(^|\s)#.*", "", line)
    found = set()
    for word in re.split(r"[\s=@;,]+", text):
        word = re.sub(r"\[[^]]*\]$", "", word.removeprefix("file://").removeprefix("file:"))
        path = os.path.normpath(os.path.join(folder, word))
        looks = text.lstrip().startswith("-") or "/" in word or word.startswith(".") or word.endswith(PACKED)
        if not word or not looks or not os.path.exists(path):
            continue
        # What a link leads to counts as well.
        inside = [one for one in (path, os.path.realpath(path)) if f"{one}/".startswith(f"{folder}/")]
        found |= {os.path.relpath(one, folder) if one != folder else "" for one in inside}
    return found


def installed(folder, found):
    """Paths in the source that these lines name; "" where one names what is not there."""
    paths = set()
    for line in found:
        paths |= named(folder, line) or ({""} if LOCAL.match(line) else set())
    # Each is looked for among all files, so a source with very many of them is meant as a whole.
    return sorted(paths) if len(paths) <= MOST_PATHS else [""]


def wheels(folder):
    """Names and digests of the wheels that an environment is built from; folder: "" where there are none."""
    try:
        for name in sorted(os.listdir(folder)) if folder else []:
            with open(os.path.join(folder, name), "rb") as file:
                yield name
                yield hashlib.file_digest(file, "sha256").digest()
    except OSError as problem:
        raise Refusal(
            f"tornado_app_wheels: {problem.filename} can't be read ({problem.strerror}). Give a folder on the"
            " controller that holds wheels, as files that you may read, and nothing else."
        ) from problem
