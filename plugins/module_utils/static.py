"""One folder with the static files of all releases that a host keeps.

A page that was loaded a second before a deploy names files of the release that it came from,
and one that is loaded during the deploy names those of the new one: both have to be there.
Standard library only.
"""

import contextlib
import os
import shutil

from .links import resolve
from .refusal import Refusal

MOST = 100_000  # static files of one release; no link is followed beyond it


def hidden(name):
    """Whether a file or folder is hidden from visitors: .env, .git, but not .well-known."""
    return name.startswith(".") and name != ".well-known"


def below(release, static):
    """Path to real path of each static file of a release.

    Releases that were packed before links were resolved have some. Each is resolved within its
    release; one that leads elsewhere, or in a circle, is left out.
    """
    found, root, visited = {}, os.path.realpath(release), 0
    with contextlib.suppress(Refusal):
        start = resolve(root, static)
        ahead = [("", start, (start,))]
        while ahead:
            name, real, above = ahead.pop()
            with contextlib.suppress(NotADirectoryError, FileNotFoundError):
                for entry in sorted(os.listdir(os.path.join(root, real))):
                    note(found, ahead, root, f"{name}/{entry}".lstrip("/"), f"{real}/{entry}", above)
            visited += 1
            if max(len(found), visited) > MOST:
                raise OSError(f"{release} has more than {MOST} static files or folders")
    return found


def note(found, ahead, root, name, path, above):
    """One entry of a folder: a file that was found, or a folder to look into."""
    if hidden(os.path.basename(name)):
        return
    with contextlib.suppress(Refusal, FileNotFoundError):
        real = resolve(root, path)
        whole = os.path.join(root, real)
        if os.path.isdir(whole):
            if real not in above:
                ahead.append((name, real, (*above, real)))
        elif os.path.isfile(whole) and real.split("/")[0] != ".release":
            found[name] = whole


def wanted(home, static, first, without=()):
    """Path to real path of each file of the union.

    Where releases have different files of one name, the release ``first`` is right, and before
    any other the one that was installed last. without: releases of which nothing is in it.
    """
    releases = f"{home}/releases"
    names = [name for name in os.listdir(releases) if not name.endswith(".partial")]
    names = [name for name in names if name == first or name not in without]
    names.sort(key=lambda name: (name == first, os.stat(f"{releases}/{name}").st_mtime), reverse=True)
    union, folders = {}, set()
    for name in names:
        try:
            files = below(f"{releases}/{name}", static)
        except OSError:
            # A fault of another release than the one at hand stops nothing.
            if name == first:
                raise
            continue
        for path, real in files.items():
            parents = {path[:end] for end in range(len(path)) if path[end] == "/"}
            # What is a file in one release may be a folder in another.
            if path not in union and path not in folders and not parents & set(union):
                union[path] = real
                folders |= parents
    return union


def missing(home, static, first, without=()):
    """Path to real path of the files that the union lacks, or that ``first`` has otherwise.

    Which of the other releases a file is from does not matter: when one of them is removed,
    nothing is missing.
    """
    right = below(f"{home}/releases/{first}", static) if first else {}
    return {
        path: real
        for path, real in wanted(home, static, first, without).items()
        for there in [f"{home}/static/{path}"]
        if not os.path.isfile(there) or (path in right and not os.path.samefile(there, real))
    }


def gather(home, static, first, without=()):
    """Make the folder ``static`` in ``home`` what it has to be. A file appears as a whole.

    home: the app's folder. static: folder inside a release. first: id of the release whose
    files go before those of others. without: ids of releases that were refused. Files are hard
    links, so that they take no room. OSError: a file of ``first`` can't be linked; all others are
    what they have to be. A file of another release that can't be is left out.
    """
    # Beside the union, where no file of a release has its name, and short: names in there may not grow.
    union, partial = f"{home}/static", f"{home}/static.partial"
    own, problem = os.path.realpath(f"{home}/releases/{first}") + "/", None
    os.makedirs(union, mode=0o755, exist_ok=True)
    left = contextlib.suppress(FileNotFoundError)
    with left:
        os.unlink(partial)
    for path, real in missing(home, static, first, without).items():
        try:
            make_room(union, path)
            os.link(real, partial, follow_symlinks=False)
            os.replace(partial, f"{union}/{path}")
        except OSError as why:
            with left:
                os.unlink(partial)
            if first and real.startswith(own):
                problem = problem or why
    keep = wanted(home, static, first, without)
    for folder, _folders, names in os.walk(union, topdown=False):
        for name in names:
            if os.path.relpath(os.path.join(folder, name), union) not in keep:
                os.unlink(os.path.join(folder, name))
        if folder != union and not os.listdir(folder):
            os.rmdir(folder)
    if problem:
        raise problem


def make_room(union, path):
    """Make a file's folders, and remove a folder in its own place."""
    parts = path.split("/")
    for end in range(1, len(parts)):
        folder = os.path.join(union, *parts[:end])
        if os.path.lexists(folder) and not os.path.isdir(folder):
            os.unlink(folder)
        os.makedirs(folder, mode=0o755, exist_ok=True)
    if os.path.isdir(f"{union}/{path}"):
        shutil.rmtree(f"{union}/{path}")
