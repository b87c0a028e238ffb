"""nginx as a service of systemd: whether it takes a configuration, in which sandbox, and what it runs."""

import glob
import hashlib
import os
import re
import socket
import time

from . import nginx_paths as paths
from .files import read
from .listeners import holders
from .nginx_reasons import explained
from .systemd import properties, run

ERROR_LOG = "/var/log/nginx/error.log"
OWN_LINE = re.compile(r"[0-9/]+ [0-9:]+ \[(?:emerg|alert|crit)\] \d+#\d+: (?!\*)")
TAKEN = re.compile(r"bind\(\) to \S*:([0-9]+) failed \(98: ")
LOAD_TIMEOUT = 15  # seconds; nginx tries for 2.5 to bind an occupied port


class Refused(Exception):
    """The new configuration can't be used; the text says why."""


def unit():
    """What systemd knows of nginx: its state, whether it runs, its master, whether it starts at boot."""
    found = properties("nginx", "ActiveState", "MainPID", "UnitFileState")
    return {
        "state": found.get("ActiveState", ""),
        "runs": found.get("ActiveState") == "active",
        "master": found.get("MainPID", "0"),
        "enabled": found.get("UnitFileState") == "enabled",
    }


def workers():
    """Pids of the processes that nginx's master has started."""
    master, found = unit()["master"], set()
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended meanwhile
        if parent == master != "0":
            found.add(path.split("/")[2])
    return found


def sandbox(unit_files):
    """What nginx's unit files say about its sandbox, as words for systemd-run."""
    single = "Capability|LockP|MemoryDeny|NoNew|Private|Proc|Protect|Restrict[A-Z]|SystemCall|UMask"
    several = "(?:ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths"
    text = re.sub(r"\\\n", " ", unit_files)
    return [f"--property={line}" for line in re.findall(rf"^(?:{single}|{several})\w*=.*$", text, re.M)]


def asked_at_start(drop_in):
    """What the lines of a drop-in that hold from nginx's next start on are known by; others need none."""
    lines = re.sub(r"\\\n", " ", drop_in).splitlines()
    passed = ("#", "ExecStartPre=", "ExecStartPost=", "ExecReload=", "ExecStop=", "ExecStopPost=")
    held = [line for line in lines if line and not line.startswith(passed)]
    return hashlib.sha256("\n".join(held).encode()).hexdigest()[:12]


def restart_needed(drop_in):
    """Whether what runs was started with another drop-in: handover.py notes its digest, and the master."""
    return f"{asked_at_start(drop_in)} {unit()['master']}" != read(paths.STARTED_BY)


def test(path, origins, drop_in):
    """Refuse a configuration that nginx can't use, in the sandbox that it has from its next start on.

    Outside of it, a log where nginx may not write would show at the next boot only.
    """
    _code, unit_files = run("systemctl", "cat", "nginx")
    # First, since other drop-ins may take back what ours says.
    unit_files = drop_in + unit_files.replace(read(paths.DROP_IN) or drop_in, "")
    inside = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", *sandbox(unit_files)]
    code, output = run(*inside, "/usr/sbin/nginx", "-t", "-c", path)
    if code:
        raise Refused(f"nginx refuses the new configuration: {explained(output, origins)}")


def verb(drop_in):
    """How systemd lets nginx run what it is to run: a restart is no worse for its clients than a reload."""
    state = unit()["state"]
    if state in ("inactive", "failed"):
        return "start"
    # One whose master can't start, again and again, has workers of a former one that serve on.
    return "restart" if state == "activating" or restart_needed(drop_in) else "reload"


def load(port, drop_in):
    """Start, restart or reload nginx, and see that it has taken the configuration."""
    before = workers()
    size = os.path.getsize(ERROR_LOG) if os.path.exists(ERROR_LOG) else 0
    code, output = run("systemctl", verb(drop_in), "nginx")
    deadline = time.monotonic() + LOAD_TIMEOUT
    # A master that can't use a configuration says so in its log only and stays with
    # the old one. New workers are the proof that it could.
    while not code and time.monotonic() < deadline:
        if workers() - before and answers(port):
            return
        time.sleep(0.05)
    if os.path.exists(ERROR_LOG):
        with open(ERROR_LOG, encoding="utf-8", errors="replace") as file:
            file.seek(size)
            # Visitors have their lines there as well.
            output = "\n".join(line for line in file.read().split("\n") if OWN_LINE.match(line)) or output
    reason = explained(output) or f"it does not answer on port {port}"
    if taken := TAKEN.search(reason):
        who = holders([int(taken[1])]).get(taken[1], "another server")
        reason = f"port {taken[1]} is taken by {who}. End what listens there first, or give another port"
    raise Refused(f"nginx can't run the new configuration: {reason}")


def answers(port):
    """Whether an http server answers on a port of this host."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
