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
import sys

PATIENCE = 10.0  # seconds that the keeper may take to look whom it has before it
FIRST_TO_GO = "500"  # oom_score_adj until the release accepts: its runner takes it back then


def main() -> None:
    """systemd calls this."""
    folder, instance = sys.argv[1:]
    port = instance.split("-")[0]
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Waits where others of the account fill the queue.
    channel.connect(os.path.join(folder, f"{port}.workers"))
    channel.settimeout(PATIENCE)
    data, handed, _flags, _address = socket.recv_fds(channel, 4096, 1)
    if not data or not handed:
        sys.exit(f"The keeper of port {port} did not ask for {instance}.")
    channel.settimeout(None)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(FIRST_TO_GO)
    for number in (channel.fileno(), handed[0]):
        os.set_inheritable(number, True)
    os.environ["TORNADO_APP_KEEPER"] = f"{channel.fileno()} {handed[0]}"
    launcher = os.path.join(json.loads(data)["release"], ".release", "launcher.py")
    # In this interpreter, since each start of one costs what a whole health check does.
    sys.argv = [launcher, port]
    runpy.run_path(launcher, run_name="__main__")


if __name__ == "__main__":
    main()
