"""What systemd knows of a unit, and what it has yet to read. Standard library only."""

import datetime
import os
import re
import subprocess

from .files import read, remove, write


def run(*words):
    """A command's return code and all that it says."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def properties(unit, *names):
    """Name to value of some properties of a unit; those that this systemd does not know are left out."""
    _code, text = run("systemctl", "show", unit, "--timestamp=us+utc", f"--property={','.join(names)}")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def seconds(timestamp):
    """A timestamp of systemd in seconds since 1970; 0 where it is empty."""
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC", timestamp)
    if not found:
        return 0.0
    moment = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def outdated(unit, drop_in):
    """Whether systemd has yet to read a unit's files, a drop-in of ours (path) among them."""
    found = properties(unit, "NeedDaemonReload", "DropInPaths")
    # Debian 12's systemd does not notice the first file in a new folder by itself.
    known = drop_in in found.get("DropInPaths", "").split()
    return found.get("NeedDaemonReload") == "yes" or os.path.exists(drop_in) != known


def confine(unit, drop_in, text):
    """Let this be a unit's drop-in, which systemd has read; an empty one is none."""
    if not text:
        remove(drop_in)
    elif read(drop_in) != text:
        write(drop_in, text, 0o644)
    if outdated(unit, drop_in):
        run("systemctl", "daemon-reload")
