"""Folders of the program whose files may be read by whoever gets there: nginx, and no other account.

The folder above lets nginx pass and nobody else (tmpfiles.d, which root obeys). In here it is the program's
own account that opens what is its own, so root never looks into a folder that the program writes.
"""

from __future__ import annotations

import os
import struct
import sys

# What new files get, whatever the umask (acl(5)), as the kernel stores it: owner, group, others, each with
# what it may and no id.
DEFAULT = "system.posix_acl_default"
ENTRIES = struct.pack("<I" + "HHI" * 3, 2, *(1, 7, 0xFFFFFFFF), *(4, 5, 0xFFFFFFFF), *(32, 5, 0xFFFFFFFF))


def share(folder: str) -> None:
    """Let others read a folder, what is in it and what will be."""
    os.makedirs(folder, exist_ok=True)
    if DEFAULT in os.listxattr(folder):
        return
    for path, _folders, files in os.walk(folder, topdown=False):
        for name in files:
            one = os.path.join(path, name)
            if not os.path.islink(one):
                os.chmod(one, os.stat(one).st_mode | 0o044)
        os.chmod(path, 0o755)
        # Of the folder itself it comes last, and tells that all is done.
        os.setxattr(path, DEFAULT, ENTRIES)


def install() -> None:
    """Share what the release's settings name."""
    for name in filter(None, os.environ.pop("TORNADO_APP_UPLOADS", "").split(":")):
        folder = os.path.join(os.environ["STATE_DIRECTORY"], name)
        try:
            share(folder)
        except OSError as problem:
            sys.exit("tornado_app_uploads: %s can't be shared with nginx (%s)" % (folder, problem))
