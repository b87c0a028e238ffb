"""Run an untrusted program as nobody, in a unit that may do next to nothing.

The account is one that systemd makes for the unit (DynamicUser), so that two of them can't reach
each other. What a killed run has left of a unit is stopped first. Standard library only.
"""

import collections
import contextlib
import json
import subprocess
import tarfile
import threading
import time

from .interpreter import SYSTEM
from .refusal import Refusal

MAX_LINES = 1000  # of the last that a program said
STOP_TIMEOUT = 60  # seconds that a unit may take to stop, which is killed after 5
WANTED_INTERVAL = 0.5  # seconds between two questions whether a run still needs a unit
LOCAL = "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/64"

BORDERS = [
    "DynamicUser=yes",
    "PrivateUsers=yes",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0022",
    # It sees neither apps, nor the data of services, nor their sockets.
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "TemporaryFileSystem=/srv:ro /run:ro /dev/shm:mode=1777",
    "BindReadOnlyPaths=-/run/systemd/resolve -/run/resolvconf -/run/NetworkManager/resolv.conf -/run/nscd",
    "InaccessiblePaths=-/var/lib -/var/log -/var/cache -/var/spool -/var/mail -/var/www -/var/backups",
    "InaccessiblePaths=-/mnt -/media",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectProc=invisible",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "KeyringMode=private",
    # Whatever it starts ends with it, at once.
    "KillMode=control-group",
    "KillSignal=SIGKILL",
    "TimeoutStopSec=5",
    # The site's processes go first.
    "TasksMax=512",
    "MemoryMax=75%",
    "OOMScoreAdjust=1000",
    "Nice=10",
    "CPUWeight=20",
    "IOWeight=20",
]


# The program comes first: in a process list it would fill pages.
FIRST = "import json, sys; exec(compile(json.loads(sys.stdin.buffer.readline()), 'build', 'exec'))"


def stop(unit):
    """Let nothing be left of a unit that a killed run has started."""
    try:
        for verb in ("stop", "reset-failed"):
            subprocess.run(["systemctl", verb, unit], capture_output=True, check=False, timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired as problem:
        raise Refusal(f"{unit} of a run that was killed does not stop within {STOP_TIMEOUT} s") from problem


def run(unit, program, feed, seconds, *properties, take=None, wanted=lambda: True, python=SYSTEM):
    """Run a Python program in a unit; its exit code, and its last lines.

    program: its text. feed: is called with its stdin, to write to it. take: with its stdout, to
    read it; without it, what it says are the lines. seconds: when it is killed, as it is when
    ``wanted`` says that no run needs it any more. python: what runs it.
    """
    stop(unit)
    words = [f"--property={one}" for one in (*BORDERS, f"RuntimeMaxSec={seconds}", *properties)]
    command = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    command += ["--service-type=exec", f"--description={unit}", *words, python, "-I", "-c", FIRST]
    begun = time.monotonic()
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            said = collections.deque(maxlen=MAX_LINES)
            others = [threading.Thread(target=give, args=(process.stdin, program, feed))]
            others += [threading.Thread(target=read, args=(process.stderr, said))]
            others += [threading.Thread(target=watch, args=(process, unit, wanted))]
            for other in others:
                other.start()
            try:
                take(process.stdout) if take else read(process.stdout, said)
            except (OSError, ValueError, tarfile.TarError) as problem:
                said.append(f"what it gives can't be read: {problem}")
                process.stdout.close()
            for other in others:
                other.join()
    finally:
        stop(unit)
    if time.monotonic() - begun > seconds:
        said.append(f"It took more than {seconds} s and was ended.")
    return process.returncode, list(said)


def watch(process, unit, wanted):
    """End a unit that no run needs any more."""
    while True:
        first = wanted()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WANTED_INTERVAL)
            return
        # Asked twice: what tells it may just be written.
        if not first and not wanted():
            stop(unit)


def give(stdin, program, feed):
    """Write to a program that may end before it has read everything."""
    try:
        with stdin:
            stdin.write(json.dumps(program).encode() + b"\n")
            feed(stdin)
    except BrokenPipeError:
        pass


def read(stream, said):
    """Note the lines that come; one without an end is cut."""
    while line := stream.readline(4096):
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            said.append(text)
