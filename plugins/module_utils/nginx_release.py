"""A configuration of nginx as a release: a folder named by its digest, and nginx.conf is a link into it.

Standard library only.
"""

import glob
import hashlib
import json
import os

from . import nginx_paths as paths
from .files import read, write

MARK = "@release@"  # in a content: the release's folder
DIGESTS = "digests.json"  # of a release's files, as they were put there


def name_of(files):
    """The name of a release, from its content."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def filled(files, name):
    """The contents as they lie on the host."""
    return {path: text.replace(MARK, f"tornadoes/{name}") for path, text in files.items()}


def below(folder):
    """Everything in a folder, and the folder itself."""
    return [os.path.join(path, name) for path, _folders, names in os.walk(folder) for name in (".", *names)]


def stored(folder):
    """Path to content of all files in a folder, but what they were."""
    found = {}
    for path in below(folder):
        if not os.path.isdir(path) and os.path.relpath(path, folder) != DIGESTS:
            with open(path, encoding="utf-8", errors="replace") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def store(folder, files, group=0):
    """Make a folder hold these files and no others, each written as a whole.

    group: id of the group of nginx's workers. They read what is in public/ and users/
    themselves, at a request; all else is read by the master.
    """
    there = stored(folder)
    for path, text in files.items():
        if there.pop(path, None) == text:
            continue
        mode = 0o644 if path.startswith("public/") else 0o640
        write(f"{folder}/{path}", text, mode, group if path.startswith("users/") else -1)
    for path in there:
        os.unlink(f"{folder}/{path}")
    write(f"{folder}/{DIGESTS}", json.dumps({path: digest(text) for path, text in files.items()}), 0o640)


def digest(text):
    """What a content is known by."""
    return hashlib.sha256(text.encode()).hexdigest()


def linked():
    """The release that nginx.conf is linked to: its folder, or None."""
    target = os.readlink(paths.LINK) if os.path.islink(paths.LINK) else ""
    return f"{paths.HOME}/{os.path.dirname(target)}" if target.startswith("tornadoes/") else None


def drifted(old, before):
    """What somebody has changed by hand in the release in use since it was put in place."""
    found = []
    if os.path.exists(paths.LINK) and not os.path.islink(paths.LINK) and os.path.exists(paths.DIST):
        found.append(f"{paths.LINK} (kept as {paths.EDITED})")
    if old:
        name = os.path.basename(old)
        if name_of({path: text.replace(f"tornadoes/{name}", MARK) for path, text in before.items()}) != name:
            were = json.loads(read(f"{old}/{DIGESTS}") or "{}")
            now = {path: digest(text) for path, text in before.items()}
            other = [path for path in {*were, *now} if were and were.get(path) != now.get(path)]
            found += sorted(f"{old}/{path}" for path in other) or [old]
    return found


def link(folder, path):
    """Link a path to the entry of a release."""
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(f"{os.path.relpath(folder, paths.HOME)}/nginx.conf", path)


def leftovers(folder):
    """Releases but this one, and the link that a killed run may have left."""
    found = [*glob.glob(f"{paths.RELEASES}/*"), paths.NEXT]
    return [path for path in found if path != folder and os.path.lexists(path)]
