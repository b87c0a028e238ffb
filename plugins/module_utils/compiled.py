"""Compile the code of a release, which the app itself may not do.

The compiler runs as an account without rights, in a unit that may do nothing, see unprivileged.py. It gets
the files and gives back what it makes of them. Standard library only.
"""

import os
import tarfile

from .interpreter import SYSTEM, asked
from .refusal import Refusal
from .text import printable
from .unprivileged import run

TIMEOUT = 600  # seconds
SHOWN = 20  # of the last lines
MOST_BYTES = 32 << 20  # of one compiled file


def find(release):
    """Path below the release to full path of all Python files; links are left out."""
    found = {}
    for folder, _folders, names in os.walk(release):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.isfile(path) and not os.path.islink(path):
                found[os.path.relpath(path, release)] = path
    return found


def install(path, data, tag, group):
    """Put a compiled file where Python looks for it."""
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if not os.path.isdir(cache):
        os.mkdir(cache)
        os.chown(cache, 0, group)
        os.chmod(cache, 0o750)
    place = os.path.join(cache, f"{name.removesuffix('.py')}.{tag}.pyc")
    with open(place, "xb") as file:
        file.write(data)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o640)


def compile_code(release, unit, program, group, python):
    """Compile what can be; the compiler's last lines. What the app imports shows at its start.

    unit: the name of the compiler's. program: its text. group: number of the one that may read the result.
    python: what it is compiled for, and by.
    """
    tag = asked(python)["tag"]
    files = find(release)

    def feed(stdin):
        with tarfile.open(fileobj=stdin, mode="w|") as packed:
            for name, path in files.items():
                packed.add(path, name, recursive=False)

    def take(stdout):
        with tarfile.open(fileobj=stdout, mode="r|") as packed:
            for member in packed:
                # Each at most once, and under no name but those that were given.
                path = files.pop(member.name, None)
                if path and member.isreg() and member.size <= MOST_BYTES:
                    install(path, packed.extractfile(member).read(), tag, group)
        while stdout.read(1 << 20):
            pass

    closed = ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"]
    # Another Python may compile itself while it runs.
    closed += ["MemoryDenyWriteExecute=yes"] * (python == SYSTEM)
    try:
        _code, log = run(unit, program, feed, TIMEOUT, *closed, take=take, python=python)
    except (Refusal, OSError) as problem:
        log = [str(problem)]
    return [printable(line) for line in log[-SHOWN:]]
