"""Bring ports of an app to one release, or back to what they ran. Standard library only."""

import contextlib
import datetime
import errno
import json
import os
import signal
import time

from .files import link, remove
from .host import look
from .listeners import chosen
from .port import SYSTEMCTL_TIMEOUT, Port, systemctl
from .port_socket import belongs
from .refusal import Refusal
from .static import gather

DRAIN_MARGIN = 30  # seconds beyond a release's own limit before a drain counts as stuck
# The host's fault, not the release's.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class Activation:
    """The way of some ports to one release.

    before: what the host had, see host.look(). static: folder of static files inside a release.
    settings: the release's own limits, in seconds.
    """

    def __init__(self, name, release, ports, before, static):
        self.name, self.release, self.before, self.static = name, release, before, static
        self.home, self.unit = f"/srv/{name}", f"tornado-{name}"
        self.settings = self.settings_of(release)
        # Three times the first, where its processes wait for a processor.
        self.timeout = self.settings["start_timeout"] * 3 + self.settings["settle_time"] + SYSTEMCTL_TIMEOUT
        # Where the process before has to end first.
        self.timeout += self.drain_timeout(before["current"]) + DRAIN_MARGIN
        self.ports = [Port(name, number, self.timeout) for number in ports]
        self.channels = {}  # port to the connection that its new process is held by
        self.swapped = []
        self.reopened = []
        self.listened = set()  # ports that the program listened on before
        self.lost = []  # those of them that nobody listens on any more

    def settings_of(self, release):
        """What a release says of itself. OSError: it is not there."""
        with open(f"{self.home}/releases/{release}/.release/settings.json", encoding="utf-8") as file:
            return json.load(file)

    def known(self, port):
        """What the host had on a port."""
        return self.before["ports"].get(str(port.number), {})

    def start_keepers(self):
        """Let every port have a keeper of today, enabled at boot."""
        disabled = [port.service for port in self.ports if not self.known(port).get("enabled")]
        for port in self.ports:
            if self.known(port).get("socket") == "failed":
                port.reset_failed()
        if disabled:
            done, why = systemctl("enable", "--quiet", f"{self.unit}.target", *disabled)
            if not done:
                raise self.ports[0].refusal(f"can't be enabled for the next boot: {why}")
        for port in self.ports:
            if self.known(port).get("outdated") or self.known(port).get("state") == "stuck":
                port.start("restart")
        services = [port.service for port in self.ports]
        systemctl("start", f"{self.unit}.target", *services, timeout=self.timeout)
        for port in self.ports:
            port.start()

    def waiting(self):
        """The ports that do not run the release."""
        return [port for port in self.ports if port.status().get("release") != self.release]

    def prepare(self, ports):
        """Start the release on each port, beside what runs there, and wait for its health."""
        for port in ports:
            self.channels[port] = port.connect()
            port.tell(self.channels[port], do="swap", release=self.release, hold=True)

    def commit(self, ports):
        """Let the prepared processes take over, one after the other."""
        for port in ports:
            answer = port.tell(self.channels[port], do="commit")
            self.swapped.append({"port": port.number, "begun": time.monotonic(), **answer})

    def gather_static(self):
        """Let the release's static files be found, beside those of the others."""
        try:
            gather(self.home, self.static, self.release, self.before["bad"])
        except OSError as problem:
            why = f"the static files can't be linked ({problem})"
            raise Refusal(why, bad=problem.errno not in NO_ROOM) from problem

    def look_for_lost_ports(self):
        """Find the ports that the program listened on and nobody does now.

        What Tornado opens goes from release to release. What a process that the program has started opens
        fails beside the one before, and nobody is told.
        """
        self.lost = sorted(self.listened - chosen(f"{self.unit}-worker@")) if self.swapped else []

    def prepare_all(self):
        """Prove the release on every port that does not run it. Refusal: one does not take it."""
        waiting = self.waiting()
        self.listened = chosen(f"{self.unit}-worker@") if waiting else set()
        self.prepare(waiting)

    def commit_all(self):
        """Let what is prepared take over. Refusal: one does not; hang_up() and turn_back() follow."""
        # Before the first page that names them. A browser that finds old content under a new
        # version's name keeps it for good, so the new files are right from here on.
        self.gather_static()
        self.commit(list(self.channels))
        self.move_current(self.release)
        # A keeper that was killed just now has come up with what "current" named then.
        for port in self.waiting():
            self.prepare([port])
            self.commit([port])

    def swap(self):
        """Bring all ports to the release. Refusal: one does not take it; hang_up() and turn_back() follow."""
        self.prepare_all()
        self.commit_all()

    def hang_up(self):
        """Close the connections: what was prepared and not committed is called off."""
        for channel in self.channels.values():
            channel.close()
        self.channels = {}

    def turn_back(self):
        """Give the ports that have taken over what they ran before; stop those that ran nothing."""
        self.move_current(self.before["current"])
        with contextlib.suppress(OSError):
            # A release that was refused has nothing there.
            gather(self.home, self.static, self.before["current"], {*self.before["bad"], self.release})
        new = []
        for number, now in look(self.name)["ports"].items():
            port, before = Port(self.name, number, self.timeout), self.before["ports"].get(number)
            back = before and (before["release"] or self.before["current"])
            if not back:
                new += [port.socket, port.service]
            elif now["release"] == self.release != back:
                port.swap_back(back)
        if new:
            systemctl("disable", "--quiet", "--now", *new)
            systemctl("reset-failed", *new)

    def move_current(self, release):
        """Name a release for the next start of any port, in one step; "": none."""
        current = f"{self.home}/current"
        if release and os.path.realpath(current) == os.path.realpath(f"{self.home}/releases/{release}"):
            return
        if release:
            link(current, f"releases/{release}")
        else:
            remove(current)
        # On disk, before anybody relies on it.
        folder = os.open(self.home, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def drain_timeout(self, release):
        """How long a release may drain, in seconds; 0 if it is not known."""
        try:
            return self.settings_of(release)["drain_timeout"]
        except OSError:
            return 0

    def wait_for_drains(self):
        """Wait until the processes before have ended, as their keepers see to within their own limits.

        One that a keeper can't end, as where an earlier Tornadoes has started it, is ended here;
        one that the kernel can't end, as on a disk that hangs, is waited for no longer.
        """
        waiting = {one["port"]: one for one in self.swapped if one["old_pid"]}
        ports = {port.number: port for port in self.ports}
        limits = map(self.drain_timeout, {self.release, *(one["old"] for one in self.swapped)})
        end = time.monotonic() + max(limits) + DRAIN_MARGIN
        while waiting and time.monotonic() < end:
            for number, one in list(waiting.items()):
                status = ports[number].status()
                # A keeper that says nothing has not said that it is over.
                if not status or any(old["pid"] == one["old_pid"] for old in status.get("draining", [])):
                    continue
                known = [done for done in status.get("drains", []) if done["pid"] == one["old_pid"]]
                one["drained"] = known[-1]["seconds"] if known else None
                one["forced"] = bool(known and known[-1]["forced"])
                del waiting[number]
            time.sleep(0.1)
        for number, one in waiting.items():
            with contextlib.suppress(OSError):
                if belongs(one["old_pid"], self.unit, number):
                    os.kill(one["old_pid"], signal.SIGKILL)

    def check_sockets(self):
        """See that clients are heard as well as ever, now that nothing of before has the ports' sockets."""
        swapped = {one["port"] for one in self.swapped}
        # Where a run was killed before it could check what it had swapped.
        due = [port for port in self.ports if port.number in swapped or self.known(port).get("unheard")]
        path = self.settings["health_path"]
        for port in due:
            if port.reopen_if_deaf("/healthz" if path is None else path):
                self.reopened.append(port.number)

    def record(self, **more):
        """Append one line to the history."""
        now = datetime.datetime.now(datetime.UTC)
        line = {"release": self.release, "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), **more}
        path = f"{self.home}/releases.jsonl"
        # For root alone: a reason may quote the program, and that its settings.
        with open(path, "a", encoding="utf-8", opener=lambda *words: os.open(*words, mode=0o600)) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def lines(self):
        """The result for each port, for people."""
        swapped = [
            f"port {one['port']}: {one['old'] or 'nothing'} -> {self.release},"
            f" ready after {one['seconds']} s"
            + (f", drained after {one['drained']} s" if one.get("drained") is not None else "")
            + (" (its time was up)" if one.get("forced") else "")
            + (f", clients waited {one['closed']} s" if one.get("closed") else "")
            for one in self.swapped
        ]
        reopened = [f"port {number}: a new socket, since the old one was spoilt" for number in self.reopened]
        lost = [
            f"port {number}: the release before listened there, and nobody does now. See the log, and "
            "tornado_app_overlap if it can't be opened twice"
            for number in self.lost
        ]
        return swapped + reopened + lost
