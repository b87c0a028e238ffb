"""One folder with the static files of all releases that a host keeps.

A page that was loaded a second before a deploy names files of the release that it came from,
and one that is loaded during the deploy names those of the new one: both have to be there.
Standard library only.
"""

import contextlib
import os
import shutil


def below(folder):
    """Path to real path of each file in a folder, whatever is a link on the way."""
    found = {}
    for path, _folders, names in os.walk(os.path.realpath(folder), followlinks=True):
        for name in names:
            real = os.path.realpath(os.path.join(path, name))
            if os.path.isfile(real):
                found[os.path.relpath(os.path.join(path, name), os.path.realpath(folder))] = real
    return found


def wanted(home, static, first):
    """Path to real path of each file of the union.

    Where releases have different files of one name, the release ``first`` is right, and before
    any other the one that was installed last.
    """
    releases = f"{home}/releases"
    names = [name for name in os.listdir(releases) if not name.endswith(".partial")]
    names.sort(key=lambda name: (name == first, os.stat(f"{releases}/{name}").st_mtime), reverse=True)
    union, folders = {}, set()
    for name in names:
        for path, real in below(f"{releases}/{name}/{static}").items():
            parents = {path[:end] for end in range(len(path)) if path[end] == "/"}
            # What is a file in one release may be a folder in another.
            if path not in union and path not in folders and not parents & set(union):
                union[path] = real
                folders |= parents
    return union


def missing(home, static, first):
    """Path to real path of the files that the union lacks, or that ``first`` has otherwise.

    Which of the other releases a file is from does not matter: when one of them is removed,
    nothing is owed.
    """
    right = below(f"{home}/releases/{first}/{static}") if first else {}
    return {
        path: real
        for path, real in wanted(home, static, first).items()
        for there in [f"{home}/static/{path}"]
        if not os.path.isfile(there) or (path in right and not os.path.samefile(there, real))
    }


def gather(home, static, first):
    """Make the folder ``static`` in ``home`` what it has to be. A file appears as a whole.

    home: the app's folder. static: folder inside a release. first: id of the release whose
    files go before those of others. Files are hard links, so that they take no room.
    """
    union = f"{home}/static"
    os.makedirs(union, mode=0o755, exist_ok=True)
    for path, real in missing(home, static, first).items():
        target = f"{union}/{path}"
        make_room(union, path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{target}.partial")
        os.link(real, f"{target}.partial")
        os.replace(f"{target}.partial", target)
    keep = wanted(home, static, first)
    for folder, _folders, names in os.walk(union, topdown=False):
        for name in names:
            if os.path.relpath(os.path.join(folder, name), union) not in keep:
                os.unlink(os.path.join(folder, name))
        if folder != union and not os.listdir(folder):
            os.rmdir(folder)


def make_room(union, path):
    """Let a file's folders be folders, and nothing be in its own place that is none."""
    parts = path.split("/")
    for end in range(1, len(parts)):
        folder = os.path.join(union, *parts[:end])
        if os.path.lexists(folder) and not os.path.isdir(folder):
            os.unlink(folder)
        os.makedirs(folder, mode=0o755, exist_ok=True)
    if os.path.isdir(f"{union}/{path}"):
        shutil.rmtree(f"{union}/{path}")
