"""What all releases share: keeper, unit templates, the status command. Standard library only."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
import subprocess

from .files import differences, link, mode_of, read, remove, write
from .host import UNITS, known_ports, show

TMPFILES = "/etc/tmpfiles.d/"
MARK = "@made_of@"  # in a unit: what a keeper says of itself, so that an older one is known by it


class KeeperFolder:
    """The keeper's folder. files: name to content. home: /srv/NAME."""

    def __init__(self, home, files):
        name = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]
        self.files, self.all, self.link = files, f"{home}/keepers", f"{home}/keeper"
        self.folder = f"{self.all}/{name}"

    def here(self):
        """What is there now, name to content."""
        return {os.path.basename(path): read(path) for path in glob.glob(f"{self.link}/*.py")}

    def due(self):
        """Whether the link has to move, or what it leads to was changed by hand."""
        return os.path.realpath(self.link) != os.path.realpath(self.folder) or self.here() != self.files

    def install(self):
        """Write the folder under another name, give it its own, then move the link."""
        partial = f"{self.folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial, mode=0o755)
        for name, content in self.files.items():
            write(f"{partial}/{name}", content, 0o644)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.rename(partial, self.folder)
        link(self.link, f"keepers/{os.path.basename(self.folder)}")

    def remove_others(self):
        """Remove older keepers; one that still runs has read all that it needs."""
        for path in glob.glob(f"{self.all}/*"):
            if path != self.folder:
                shutil.rmtree(path)


def made_of(keeper, files):
    """12 hexadecimal digits for all that a running keeper and its processes are made of."""
    units = {path: text for path, text in files.items() if path.endswith("@.service")}
    return hashlib.sha256(json.dumps([keeper, units], sort_keys=True).encode()).hexdigest()[:12]


def units_of(name):
    """The units that systemd knows of the app's ports."""
    ports = known_ports(f"tornado-{name}")
    return [f"tornado-{name}@{port}.{kind}" for port in ports for kind in ("service", "socket")]


def timers_due(files):
    """Timers among some files that systemd is yet to read, or to run now and from the next boot on."""
    units = [os.path.basename(path) for path in files if path.endswith(".timer")]
    wanted = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
    return [unit for unit, one in show(units).items() if not wanted.items() <= one.items()]


def systemctl(name, *words):
    """Run systemctl about an app. OSError: it failed."""
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"systemd did not do {words[0]} for {name}: {done.stderr.strip()}")


def prepare(name, text):
    """Do at once what a file of tmpfiles.d says: it is done at boot."""
    done = subprocess.run(
        ["systemd-tmpfiles", "--create", "-"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"systemd did not make the folders of {name}: {done.stderr.strip()}")


def install(name, keeper, files, command, dry):
    """Write what differs; whether anything does, and the differences.

    name: the app's. keeper: name of a file of the keeper to its content. files: path of a unit or
    another file to its content, where C(@made_of@) becomes a digest of all; an empty one is to be gone, and
    a timer runs. command: content of the command tornado-NAME-status. dry: whether to report it only.
    OSError: systemd does not read the units.
    """
    os.umask(0o022)
    digest = made_of(keeper, files)
    folder = KeeperFolder(f"/srv/{name}", keeper)
    gone = [path for path, text in files.items() if not text.strip() and os.path.exists(path)]
    files = {path: (text.replace(MARK, digest), 0o644) for path, text in files.items() if text.strip()}
    files[f"/usr/local/bin/tornado-{name}-status"] = (command, 0o755)
    due = {path: one for path, one in files.items() if (read(path), mode_of(path)) != one}

    changed = folder.due() or bool(due) or bool(gone) or bool(timers_due(files))
    before = {f"{folder.link}/{one}": text for one, text in folder.here().items()}
    after = {f"{folder.link}/{one}": text for one, text in keeper.items()}
    diff = differences(
        {**before, **{path: read(path) for path in [*due, *gone]}},
        {**after, **{path: text for path, (text, _mode) in due.items()}},
    )
    if dry:
        return changed, diff
    if folder.due():
        folder.install()
    folder.remove_others()
    for path, (text, mode) in due.items():
        if path.startswith(TMPFILES):
            # Before it is written, so that a run that is killed here does it again.
            prepare(name, text)
        write(path, text, mode)
    if ended := [os.path.basename(path) for path in gone if path.endswith(".timer")]:
        systemctl(name, "disable", "--quiet", "--now", *ended)
    for path in gone:
        remove(path)
    timers = timers_due(files)
    new = bool(timers) or any(path.startswith(UNITS) for path in [*due, *gone])
    if new or any(one["NeedDaemonReload"] == "yes" for one in show(units_of(name)).values()):
        systemctl(name, "daemon-reload")
        changed = True
    if gone:
        with contextlib.suppress(OSError):  # it is not known, as a rule
            # One that has failed would be listed for ever.
            systemctl(name, "reset-failed", *map(os.path.basename, gone))
    if timers:
        systemctl(name, "enable", "--quiet", *timers)
        systemctl(name, "restart", *timers)
    return changed, diff
