"""Whether what a release starts is there: a script in it, a command of its environment, a module in either.

Nothing of them runs. Standard library only.
"""

import difflib
import glob
import os
import shlex

from .interpreter import asked

# Of pip and setuptools themselves. Any other may name folders that only Python finds.
USUAL_PTH = {"distutils-precedence.pth"}


def commands(environment):
    """The names of the Python scripts in an environment's folder of programs."""
    found = []
    for path in filter(os.path.isfile, glob.glob(f"{environment}/bin/*")):
        with open(path, "rb") as file:
            if file.read(2) == b"#!" and b"python" in file.read(512):
                found.append(os.path.basename(path))
    return found


def has_module(release, environment, name, python):
    """Whether python -m finds a module, or may find one by ways that are not looked at."""
    installed = glob.glob(f"{environment}/lib/*/site-packages")
    others = {os.path.basename(path) for folder in installed for path in glob.glob(f"{folder}/*.pth")}
    path = name.replace(".", "/")
    places = [release, *installed, asked(python)["stdlib"]]
    files = [f"{place}/{path}{end}" for place in places for end in (".py", "/__main__.py")]
    return bool(others - USUAL_PTH) or any(map(os.path.isfile, files))


def missing(release, words, python, folder=""):
    """Why the words start nothing, and what would; "" if they do. folder: where in the release they start."""
    environment = os.path.realpath(f"{release}/.release/venv")
    first, *more = words
    start = os.path.join(release, folder)
    if first == "-m":
        there = has_module(start, environment, more[0], python)
        return "" if there else f"neither the source nor its environment has a module {more[0]} that runs"
    names = commands(environment)
    if os.path.isfile(os.path.join(start, first)) or first in names:
        return ""
    there = "".join(f" (there is {name})" for name in difflib.get_close_matches(first, names, n=1))
    return f"neither is {first} a file of the source, nor do the requirements install such a program{there}"


def started(settings, main):
    """What a release starts: the label of a sentence about it, the command, and how it was written.

    settings: the release's own, where what has no port has no main. main: the value of C(tornado_app_main).
    """
    if settings["main"]:
        yield "tornado_app_main", settings["main"], main
    for kind in ("workers", "timers"):
        for one in settings.get(kind, []):
            yield f"tornado_app_{kind}: {one['name']}", one["command"], one["command"]


def refusals(release, settings, main, python):
    """A sentence for each program that is not there. python: the environment's. See also started()."""
    for label, command, written in started(settings, main):
        if why := missing(release, shlex.split(command), python, settings.get("folder", "")):
            yield (
                f"{label}: '{written}' can't be started, {why}. Give a script of the source, -m and a"
                " module, or a command that the requirements install."
            )
