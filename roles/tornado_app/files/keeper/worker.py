"""Become the process of a release that a keeper has asked systemd for.

    worker.py FOLDER PORT-RELEASE-NUMBER

Runs as the app's account, first in its unit, whose instance the second word is. In the folder
is the keeper's socket for workers: the keeper knows this process by its number, gives it the
port's socket, and says where the release is. Nothing of the release has run until then.
"""

import contextlib
import json
import os
import runpy
import socket
import struct
import sys
import time

KEEPER_TIMEOUT = 60.0  # seconds in which a keeper may learn of this process
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # the same on all architectures
ABSTRACT_UNIX_SOCKETS, SIGNALS = 1, 2  # struct landlock_ruleset_attr: scoped
CANDIDATE_OOM_SCORE = "500"  # oom_score_adj until the release accepts: its runner takes it back then


def keep_to_itself() -> None:
    """Let the program send nothing to abstract Unix sockets of others, nor signals to other processes.

    By landlock(7), of which only Linux 6.12 and later can do that: nothing happens on others.
    """
    with contextlib.suppress(ImportError, MemoryError, OSError, AttributeError):
        import ctypes  # which may want memory that a sandbox does not give

        libc = ctypes.CDLL(None, use_errno=True)
        rules = ctypes.create_string_buffer(struct.pack("=QQQ", 0, 0, ABSTRACT_UNIX_SOCKETS | SIGNALS))
        number = libc.syscall(LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(24), 0)
        if number >= 0:
            libc.syscall(LANDLOCK_RESTRICT_SELF, number, 0)
            os.close(number)


def main() -> None:
    """systemd calls this."""
    folder, instance = sys.argv[1:]
    port = instance.split("-")[0]
    end = time.monotonic() + KEEPER_TIMEOUT
    while True:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Waits where others of the account fill the queue.
        channel.connect(os.path.join(folder, f"{port}.workers"))
        # However long a busy host takes: the keeper ends a process that it has had enough of.
        data, handed, _flags, _address = socket.recv_fds(channel, 4096, 1)
        if data and handed:
            break
        # It may have asked systemd who is who just before this process was one of them.
        if time.monotonic() > end:
            sys.exit(f"The keeper of port {port} did not ask for {instance}.")
        channel.close()
        time.sleep(0.05)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(CANDIDATE_OOM_SCORE)
    for number in (channel.fileno(), handed[0]):
        os.set_inheritable(number, True)
    os.environ["TORNADO_APP_KEEPER"] = f"{channel.fileno()} {handed[0]}"
    keep_to_itself()
    launcher = os.path.join(json.loads(data)["release"], ".release", "launcher.py")
    # In this interpreter, since each start of one costs what a whole health check does.
    sys.argv = [launcher, port]
    runpy.run_path(launcher, run_name="__main__")


if __name__ == "__main__":
    main()
