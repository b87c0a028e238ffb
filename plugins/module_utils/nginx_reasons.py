"""Why nginx refuses a configuration: its reason, the line, and the variable that the line is from."""

import re

from . import nginx_paths as paths
from .systemd import run
from .text import printable

PACKAGE = re.compile("[a-z0-9][a-z0-9.+-]+")
ORIGIN = re.compile(r" #= (\S+)$", re.MULTILINE)
MISSING = re.compile(r'open\(\) "([^"]+)" failed \(2: No such file or directory\)')
RESTORE = "apt-get install --reinstall -o Dpkg::Options::=--force-confmiss"
SHUT_OUT = "in its sandbox: give the folder in ReadWritePaths= of a drop-in of your own and restart nginx"


def separated(files):
    """The contents without the variables at their lines' ends, and those by (path, line number)."""
    origins = {
        (path, number): found[1]
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        for found in [ORIGIN.search(line)]
        if found
    }
    return {path: ORIGIN.sub("", text) for path, text in files.items()}, origins


def complaint(output):
    """nginx's first error: (reason, file, line number), the last two None if it names none."""
    found = re.search(r"\[(?:emerg|alert|crit)\] (?:\d+#\d+: )?(.+)", output)
    reason = found[1] if found else " ".join(output.split())
    place = re.fullmatch(r"(.+) in (/\S+):(\d+)", reason)
    return (place[1], place[2], int(place[3])) if place else (reason, None, None)


def remedy(reason):
    """What helps, as a further part of the sentence; "" where nobody can say."""
    if "(30: Read-only file system)" in reason:
        return f"; {SHUT_OUT}"
    missing = MISSING.search(reason)
    # dpkg knows what it has installed, whoever has removed it since.
    code, said = run("dpkg-query", "--search", missing[1]) if missing else (1, "")
    package = said.split(":")[0]
    known = not code and PACKAGE.fullmatch(package)
    return f"; it came with {package}, {RESTORE} {package} brings it back" if known else ""


def explained(output, origins=()):
    """The same as a part of a sentence, with the text of the line and the variable behind it."""
    reason, path, number = complaint(output)
    reason = printable(reason)
    cure = remedy(reason)
    if path is None:
        return reason + cure
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    line = printable("".join(lines[number - 1 : number]).strip())
    short = re.sub(f"^{paths.RELEASES}/[^/]+/", "", path)
    # What is missing at a file's end is missed behind its last line.
    origin = dict(origins).get((short, min(number, len(lines))))
    return (
        f"{reason} in {short}:{number}" + f" ({line})" * bool(line) + f", from {origin}" * bool(origin) + cure
    )
