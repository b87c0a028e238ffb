"""Files in /run that runs lock, for root alone: who can open one can hold it. Standard library only."""

import contextlib
import fcntl
import os
import stat


def open_lock(path):
    """Open a lock's file, making it if need be. OSError: there is something else in its place.

    Older versions let everybody read it, so that anybody could hold it: then another one takes its place.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        file = os.open(path, flags, 0o600)
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            os.close(file)
            raise OSError(f"{path} is not root's own file. Remove it.")
        os.fchmod(file, 0o600)
        # Asked twice: a process that is just ending is no stranger.
        if not (held_by_a_stranger(status) and held_by_a_stranger(status)):
            return os.fdopen(file, "r+", encoding="utf-8")
        os.close(file)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(status, os.lstat(path)):
                os.unlink(path)


def wait_for(path):
    """Open a lock's file and hold it, once nobody else does, for as long as it is open."""
    file = open_lock(path)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def holder(path):
    """What a lock says of who holds it; "" where nobody does."""
    with open_lock(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read()
    return ""


def held_by_a_stranger(status):
    """Whether a file is locked by a process of another account."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with open("/proc/locks", encoding="ascii") as locks:
        # "1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF", with "->" where somebody waits
        found = [line.split() for line in locks if "->" not in line and f" {device} " in line]
    for words in found:
        try:
            owner = os.stat(f"/proc/{words[4]}").st_uid
        except FileNotFoundError:
            return True
        if owner not in (0, os.geteuid()):
            return True
    return False
