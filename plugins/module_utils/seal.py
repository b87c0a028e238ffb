"""Turn a folder that others have filled into one of root's, with nothing in it but files.

The processes that filled it have ended, so that nothing in it changes meanwhile. No link is followed.
Standard library only.
"""

import contextlib
import os
import stat

from .interpreter import SYSTEM
from .links import resolve
from .refusal import Refusal
from .text import printable

MOST = 1_000_000  # files and folders


def fail(problem):
    """For os.fwalk, which keeps silent about what it can't read."""
    raise problem


def walk(folder):
    """All below a folder: its path, the folder's descriptor, its name, its status."""
    count = 0
    for path, folders, files, descriptor in os.fwalk(folder, onerror=fail, follow_symlinks=False):
        for name in (*folders, *files):
            count += 1
            if count > MOST:
                raise Refusal(f"has more than {MOST} files")
            below = os.path.relpath(os.path.join(path, name), folder)
            yield below, descriptor, name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)


def check(folder, python):
    """Raise Refusal unless there are only folders, files, and links within or to a Python of the host."""
    names = {}
    for path, descriptor, name, status in walk(folder):
        shown = printable(path)
        if stat.S_ISLNK(status.st_mode):
            check_link(folder, path, os.readlink(name, dir_fd=descriptor), python)
        elif stat.S_ISREG(status.st_mode):
            if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
                raise Refusal(f"has a file that runs as another account: {shown}")
            if status.st_nlink > 1:
                names.setdefault((status.st_ino, status.st_nlink), []).append(shown)
        elif not stat.S_ISDIR(status.st_mode):
            raise Refusal(f"has something that is neither file, folder nor link: {shown}")
    for (_inode, count), found in names.items():
        if len(found) != count:
            raise Refusal(f"has a file that is elsewhere as well: {found[0]}")


def check_link(folder, path, target, python):
    """Raise Refusal for a link that leads out of the folder to anything but a Python of the host."""
    system = os.path.realpath(python)
    if target.startswith("/") and os.path.realpath(target) == system:
        return
    try:
        if target.startswith(f"{folder}/"):
            resolve(folder, target[len(folder) + 1 :])
        else:
            resolve(folder, path)
    except Refusal as problem:
        # bin/python3 leads to bin/python, and that to the host's.
        if os.path.realpath(os.path.join(folder, path)) != system:
            shown = f"{printable(path)} to {printable(target)}"
            raise Refusal(f"has a link that leads {problem} it: {shown}") from problem


def seal(folder, group, owner=0, python=SYSTEM):
    """Check a folder; then let all in it be root's and read-only, and a group's to read.

    python: what links in it may lead to. Refusal, OSError, RecursionError: it is not to be used.
    """
    check(folder, python)
    for _path, descriptor, name, status in walk(folder):
        if stat.S_ISLNK(status.st_mode):
            os.chown(name, owner, group, dir_fd=descriptor, follow_symlinks=False)
            continue
        one = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        try:
            own(one, group, owner, 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o100 else 0o644)
        finally:
            os.close(one)
    one = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    own(one, group, owner, 0o750)
    os.close(one)


def own(descriptor, group, owner, mode):
    """One file or folder: its owner, its mode, and no access list beside it."""
    os.fchown(descriptor, owner, group)
    with contextlib.suppress(OSError):  # a file system without them
        for name in os.listxattr(descriptor):
            os.removexattr(descriptor, name)
    os.fchmod(descriptor, mode)
