"""Files of the host that are written as a whole, and folders that change places in one step."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def write(path: Path, content: bytes, mode: int) -> None:
    """A whole file or none, never readable by more than it shall be."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places, in one step (renameat2 with RENAME_EXCHANGE)."""
    here, exchanged = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchanged):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))
