"""Processes of an app without a port, on its host: workers, timers and jobs. Standard library only."""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import time

from .files import differences, read, remove, write
from .host import REMOVED, STAMPS, UNITS, how_it_ended, job_files, known_jobs, show, workers_and_timers
from .port import SYSTEMCTL_TIMEOUT, systemctl
from .refusal import Refusal
from .sandbox import sandbox
from .text import printable

KINDS = (".service", ".timer")
LINES = 12  # of the journal, shown when a worker is refused
PLAIN = ("--output=cat", "--no-pager")
LOOK_INTERVAL = 0.2  # seconds between two looks at workers that have to stay well

HEAD = """\
# Managed by Ansible (role tornado_app): a change here is undone by the next run.
[Unit]
Description={description}
PartOf=tornado-{app}.target
After=network.target
# Keep trying, as a port does.
StartLimitIntervalSec=0
"""

PROCESS = """
[Service]
Type={kind}
# Root says which release it is, outside of the sandbox; no swap comes between the two.
ExecStartPre=+/usr/bin/python3 -BSEs /srv/{app}/keeper/job.py choose %n
ExecStart=/usr/bin/python3 -BSEs /srv/{app}/keeper/job.py start %n
# How its work is best ended is for the process itself to say to those that it has started.
KillMode=mixed
{sandbox}
TimeoutStopSec={stop_timeout}
"""

AGAIN = """\
Restart=always
RestartSec=1

[Install]
WantedBy=tornado-{app}.target
"""

TIMER = """
[Timer]
OnCalendar={calendar}
AccuracySec=1s
# What was due while the host was down is done after its start.
Persistent=true

[Install]
WantedBy=tornado-{app}.target
"""


def with_digest(text):
    """A service whose processes say by which text of it they were started."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return text.replace("[Service]\n", f"[Service]\nEnvironment=TORNADO_APP_MADE_OF={digest}\n")


def unit_files(app, settings, lines):
    """Path to text of the units of a release's workers and timers. lines: their sandbox."""
    found = {}
    for one in settings.get("workers", []):
        words = {"app": app, "kind": "exec", "sandbox": "\n".join(lines), **one}
        description = f"Worker {one['name']} of Tornado app {app} (%i)"
        text = (HEAD + PROCESS + AGAIN).format(description=description, **words)
        found[f"{UNITS}/tornado-{app}_{one['name']}@.service"] = with_digest(text)
    for one in settings.get("timers", []):
        words = {"app": app, "kind": "oneshot", "sandbox": "\n".join(lines), "stop_timeout": 30, **one}
        path = f"{UNITS}/tornado-{app}_{one['name']}"
        limit = f"TimeoutStartSec={one['timeout'] or 'infinity'}\n"
        text = (HEAD + PROCESS).format(description=f"Job {one['name']} of Tornado app {app}", **words)
        found[f"{path}.service"] = with_digest(text + limit)
        description = f"Timer {one['name']} of Tornado app {app}"
        found[f"{path}.timer"] = (HEAD + TIMER).format(description=description, **words)
    return found


def last_lines(invocation):
    """What a unit's processes last said, since the start that systemd has given this id."""
    subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)
    words = ["journalctl", f"_SYSTEMD_INVOCATION_ID={invocation}", "_TRANSPORT=stdout", *PLAIN]
    text = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    return [printable(line) for line in text.splitlines()[-LINES:]]


class Jobs:
    """The workers and timers of an app, on their way to those of a release.

    release: an id, "" for none. workers, timers: what the host has, see host.look().
    """

    def __init__(self, app, release, workers, timers):
        self.app, self.release, self.unit = app, release, f"tornado-{app}"
        self.workers, self.timers = workers, timers
        settings = self.settings(release)
        listed, armed = settings.get("workers", []), settings.get("timers", [])
        self.files = unit_files(app, settings, sandbox(self.unit) if listed or armed else [])
        self.settle_time = settings.get("settle_time", 0)
        self.timeout = SYSTEMCTL_TIMEOUT + max([one["stop_timeout"] for one in listed], default=0)
        keys = [f"{one['name']}@{number}" for one in listed for number in range(1, one["count"] + 1)]
        names = [one["name"] for one in armed]
        # What is to be done.
        self.to_write = {path: text for path, text in self.files.items() if read(path) != text}
        self.to_remove = self.left_over(names)
        self.to_start = [key for key in keys if self.start_is_due(key)]
        self.to_arm = [key for key in names if self.arming_is_due(key)]
        # A job that runs goes on without its timer.
        self.ended = [key for key in workers if key not in keys]
        self.unset = [key for key in timers if key not in names and timers[key]["state"] != REMOVED]
        self.to_stop = [*map(self.service, self.ended), *map(self.timer, self.unset)]
        units = [*self.to_write, *(path for path in self.to_remove if path.startswith(UNITS))]
        self.diff = differences({path: read(path) for path in units}, self.to_write)
        self.due = any((self.to_write, self.to_remove, self.to_start, self.to_arm, self.to_stop))
        self.begun = False

    def settings(self, release):
        """What a release says of itself; {} for none."""
        if not release:
            return {}
        with open(f"/srv/{self.app}/releases/{release}/.release/settings.json", encoding="utf-8") as file:
            return json.load(file)

    def service(self, key):
        """The unit of a worker's instance, or of a timer's job."""
        return f"{self.unit}_{key}.service"

    def timer(self, key):
        """The unit of a timer."""
        return f"{self.unit}_{key}.timer"

    def stamp(self, key):
        """Where systemd keeps when a timer has last started its job."""
        return f"{STAMPS}/stamp-{self.timer(key)}"

    # What is to be done.

    def left_over(self, timers):
        """Paths of units that the release does not have, and of what systemd remembers of such timers."""
        ours = {*self.files, *map(self.stamp, timers)}
        return [path for path in job_files(self.unit) if path.endswith(KINDS) and path not in ours]

    def start_is_due(self, key):
        """Whether an instance of a worker has to be started, or started again."""
        now, path = self.workers.get(key), f"{UNITS}/{self.service(key.partition('@')[0] + '@')}"
        if not now or now["state"] != "active" or not now["enabled"] or now["release"] != self.release:
            return True
        return f"TORNADO_APP_MADE_OF={now['made_of']}\n" not in self.files[path]

    def arming_is_due(self, key):
        """Whether a timer has to be started, or started again."""
        now, changed = self.timers.get(key), f"{UNITS}/{self.timer(key)}" in self.to_write
        return changed or not now or now["state"] != "active" or not now["enabled"] or now["outdated"]

    def lines(self):
        """What is started and what ends, a line each."""
        old = {key: one["release"] for key, one in self.workers.items()}
        lines = [f"worker {key}: {old.get(key) or 'nothing'} -> {self.release}" for key in self.to_start]
        lines += [f"worker {key}: {old[key] or 'nothing'} -> nothing" for key in self.ended]
        lines += [f"timer {key}: set" for key in self.to_arm]
        return lines + [f"timer {key}: removed" for key in self.unset]

    # Doing it.

    def swap(self):
        """Let the app have the release's workers and timers. Refusal: one does not stay; turn_back() follows.

        A worker has its own time to finish what it does; no two releases of one run at once.
        """
        self.begun = True
        if self.to_stop:
            # For as long as the workers' own units say.
            systemctl("disable", "--quiet", "--now", *self.to_stop, timeout=None)
            systemctl(
                "reset-failed", *self.to_stop, *(re.sub("timer$", "service", one) for one in self.to_stop)
            )
        for path, text in self.to_write.items():
            write(path, text, 0o644)
        for path in self.to_remove:
            remove(path)
        # Whatever a run before has left unread.
        if self.due:
            systemctl("daemon-reload")
        for key in self.to_arm:
            # Another calendar: what would have been due by it since the last start is not made up for.
            if f"{UNITS}/{self.timer(key)}" in self.to_write and os.path.exists(self.stamp(key)):
                os.utime(self.stamp(key))
        self.start([self.timer(key) for key in self.to_arm])
        started = [self.service(key) for key in self.to_start]
        self.start(started)
        if started or self.to_arm:
            # Where no port has done it: who stops the target means these as well.
            systemctl("start", f"{self.unit}.target")
        self.settle(started)

    def start(self, units):
        """Start some units, or start them again, now and at boot. Refusal: one can't be."""
        if not units:
            return
        for words in (("enable", "--quiet", f"{self.unit}.target", *units), ("restart", *units)):
            done, why = systemctl(*words, timeout=self.timeout)
            if not done:
                raise Refusal(f"{self.names(units)} can't be started: {why}", bad=True)

    def settle(self, units):
        """See that workers stay well for as long as a new instance has to. Refusal: one does not."""
        first = {unit: one["InvocationID"] for unit, one in show(units).items()}
        end = time.monotonic() + self.settle_time
        while units:
            for unit, one in show(units).items():
                if one["ActiveState"] != "active" or one["InvocationID"] != first[unit]:
                    log = last_lines(first[unit])
                    raise Refusal(f"{self.names([unit])} {how_it_ended(one)}", log=log, bad=True)
            if time.monotonic() > end:
                return
            time.sleep(LOOK_INTERVAL)

    def names(self, units):
        """Units in a sentence."""
        names = [unit.removeprefix(f"{self.unit}_").removesuffix(".service") for unit in units]
        return (
            f"the worker {', '.join(names)}"
            if units[0].endswith(".service")
            else f"the timer {', '.join(names)}"
        )

    def turn_back(self, release):
        """Give the app the workers and timers of another release, if those of this one were begun with."""
        if not self.begun:
            return
        with contextlib.suppress(Refusal):
            units = show(known_jobs(self.unit))
            back = Jobs(self.app, release, *workers_and_timers(self.app, units))
            back.settle_time = 0
            back.swap()
            # That it was started again is the other release's fault.
            systemctl("reset-failed", *map(back.service, back.workers))
