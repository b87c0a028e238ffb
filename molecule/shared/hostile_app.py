"""The app with a hole, as its operator sees it and as who uses the hole does."""

import json
import re
import shutil
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# All that could move a cursor, ring, rename a window or hide what follows.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PORTS = tuple(range(8000, 8006))
SAMPLE = ROOT / "tests/samples/hostile"
# Where a program may put files; what it does there is its own business, until root reads it.
FOLDERS = [f"/var/{kind}/tornado-hostile" for kind in ("lib", "cache", "log")]
FOLDERS += ["/var/cache/tornadoes-tmp/hostile"]  # its /tmp

# What all attacks begin with. What an attack prints, has succeeded.
PRELUDE = """
import array, contextlib, ctypes, errno, fcntl, glob, json, os, select, signal, socket, stat
import struct, subprocess, sys, threading, time

LIBC = ctypes.CDLL(None, use_errno=True)

def attempt(what, function, *words):
    "Say so if it can be done."
    try:
        result = function(*words)
    except (OSError, ValueError, OverflowError, subprocess.SubprocessError):
        return None
    print(what)
    return result

def call(name, *words):
    "A function of the C library; OSError where it fails."
    if getattr(LIBC, name)(*words) == -1:
        raise OSError(ctypes.get_errno(), name)

def netlink(kind, body):
    "Ask the kernel to make or change an interface or an address; OSError where it does not."
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as one:
        one.send(struct.pack("=IHHII", 16 + len(body), kind, 0x405, 1, 0) + body)  # REQUEST, ACK, CREATE
        [problem] = struct.unpack_from("=i", one.recv(4096), 16)
    if problem:
        raise OSError(-problem, "netlink")

def orphan(function):
    "Run it in a process with another session and no parent; its pid. OSError: no room for one."
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            pid = os.fork()
            if pid:
                os.write(writing, b"%d" % pid)
            else:
                function()
        finally:
            os._exit(0)
    os.close(writing)
    os.wait()
    said = os.read(reading, 20)
    os.close(reading)
    if not said:
        raise OSError(errno.EAGAIN, "fork")
    return int(said)

def sockets():
    "The sockets that this process holds, but for input and output: duplicates of ours."
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if fd > 2 and stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.append(socket.socket(fileno=os.dup(fd)))
    return found

def is_connected(one):
    try:
        one.getpeername()
    except OSError:
        return False
    return True

def listener(port):
    "The listening socket of a port, even if it listens no more."
    [found, *_more] = [one for one in sockets() if one.family == socket.AF_INET
                       and one.getsockname()[1] == port and not is_connected(one)]
    return found

def channels():
    "What leads to the keeper: connected Unix sockets without a name, but for a pair of the program's own."
    return [one for one in sockets() if one.family == socket.AF_UNIX and is_connected(one)]
"""


class Hostile:
    """The app with the hole, as its operator sees it."""

    def __init__(self, scenario, playbook, host):
        self.source = ROOT / ".cache" / scenario.name / "source"
        self.playbook, self.host = playbook, host
        self.version = "first"

    def write(self, hole, edit=lambda text: text):
        """Another release in the source, with the hole or without."""
        shutil.rmtree(self.source)
        shutil.copytree(SAMPLE, self.source, ignore=shutil.ignore_patterns("__pycache__"))
        if not hole:
            (self.source / "hole.py").unlink()
        self.version = f"{'hole' if hole else 'fixed'}-{time.time()}"
        (self.source / "version.txt").write_text(self.version)
        server = self.source / "server.py"
        server.write_text(edit(server.read_text()))

    def run(self, book, **more):
        """Run a playbook for the app alone: the exit code, and what it printed."""
        words = ["-e", "tornado_app_name=hostile"]
        if more:
            words += ["-e", json.dumps({f"tornado_app_{name}": value for name, value in more.items()})]
        return self.playbook(f"playbooks/{book}.yml", *words)

    def status(self):
        """What the host says of the app, within ten seconds."""
        return json.loads(self.host.check_output("timeout 10 tornado-hostile-status --json"))

    def keepers(self):
        """The main processes of the ports' services."""
        units = " ".join(f"tornado-hostile@{port}.service" for port in PORTS)
        found = self.host.check_output(f"systemctl show --property=MainPID --value {units}").split()
        return dict(zip(PORTS, map(int, found), strict=True))

    def versions(self):
        """What each port answers, with a new connection: port -> version."""
        urls = " ".join(f"http://127.0.0.1:{port}/" for port in PORTS)
        answers = self.host.run(f"curl --silent --max-time 2 --write-out '\\n' {urls}").stdout
        found = [json.loads(line) for line in answers.splitlines() if line.startswith("{")]
        return {one["port"]: one["version"] for one in found}

    def open_hole(self):
        """Deploy the release with the hole, unless it is what answers."""
        if any(version.startswith("fixed") for version in self.versions().values()):
            self.write(hole=True)
            assert self.run("deploy")[0] == 0

    def is_well(self):
        """Whether every port answers."""
        return set(self.versions()) == set(PORTS)

    def processes(self):
        """Pids of all that run with the app's account, whatever started them; keepers are none of these."""
        found = self.host.run("pgrep --uid tornado-hostile").stdout.split()
        return set(map(int, found)) - set(self.keepers().values())

    def served_by(self):
        """Pids of the processes that serve, as the status has them."""
        return {port["pid"] for port in self.status()["ports"].values()} - {0}

    def end(self, pids):
        """Kill processes of the app's, by root."""
        if pids:
            self.host.run(f"kill -KILL {' '.join(map(str, pids))}")

    def nothing_else_runs(self):
        """Whether each port has its one process, and the account no other."""
        return self.processes() == self.served_by()
