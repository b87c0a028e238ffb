#!/usr/bin/python
"""Bring all ports of an app to one release, without a lost request; or leave them as they were."""

DOCUMENTATION = r"""
---
module: tornado_app_roll
short_description: Swap the ports of an app to a release
description:
  - Starts the release beside what runs on each port, waits until every one of these processes
    has proven itself, then lets one after the other take over its port. Only then C(current)
    moves, so that a reboot half-way comes up on what was proven.
  - The first refusal calls all of them off, turns back the ports that had taken over, and fails
    with the reason and the program's last lines. A release that is itself to blame is marked as bad
    in releases.jsonl.
  - A port that runs the release already is not touched.
  - The release's static files join those of the others in C(/srv/<app>/static) before the first
    port is swapped; where names are the same, the new ones are right. A refusal takes that back.
  - Keeper and units come first, where they are given, as M(tornadoes.tornadoes.tornado_app_units) does it.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  release: {type: str, required: true, description: "Id of a release that is on the host."}
  ports: {type: list, elements: int, required: true, description: "The ports that shall run it."}
  units:
    type: dict
    description: C(keeper), C(files) and C(command) of M(tornadoes.tornadoes.tornado_app_units).
  static: {type: str, default: static, description: "Folder of static files inside a release."}
  event: {type: str, choices: [deployed, rolled back], default: deployed, description: "For the history."}
  source: {type: str, default: "", description: "Where the release comes from, for the history."}
  who: {type: str, default: "", description: "Who asked for it, for the history."}
"""

EXAMPLES = r"""
- name: Swap the ports to a release
  tornadoes.tornadoes.tornado_app_roll:
    name: chat
    release: 0123456789ab
    ports: [8000, 8001]
"""

RETURN = r"""
lines:
  type: list
  elements: str
  returned: always
  description: >-
    One line a port: old release, new release, seconds to ready, to drained.
swapped:
  type: list
  elements: dict
  returned: always
  description: Per port C(port), C(old), C(seconds), C(drained), C(forced).
reason:
  type: str
  returned: failure
  description: Why the release was refused.
log:
  type: list
  elements: str
  returned: failure
  description: The refused process's last lines.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import ask, connect, look, running, show
from ..module_utils.lockfile import open_lock
from ..module_utils.port_socket import BACKLOG, belongs, holders, spoiled
from ..module_utils.static import gather, missing
from ..module_utils.text import printable
from ..module_utils.units import install

LINES = 12  # of the journal, shown when a release is refused
MARGIN = 30  # seconds beyond a release's own limits before a keeper counts as stuck
RESTART = 10  # seconds that a keeper may take that is just being restarted
HEARD = 10  # seconds for an answer by the port itself
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # the host's fault, not the release's
TRIES = 3  # such answers that are missed until a port counts as deaf


class Refusal(Exception):
    """A release that a port did not take: the port, why, and whose last lines say more.

    pid: the release's process, or 0. bad: whether the release is to blame.
    """

    def __init__(self, port, reason, pid=0, bad=False):
        super().__init__(f"port {port} {reason}")
        self.pid, self.bad = pid, bad


def systemctl(*words, patience=MARGIN):
    """Run systemctl for so many seconds at most; whether it did what it was told, and its own sentence."""
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, check=False, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return False, f"it is not done within {patience} s"
    return done.returncode == 0, " ".join(done.stderr.split())


def occupant(port):
    """Who listens on a port of this host, in words; "" if nobody does."""
    words = ["ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header", f"sport = :{port}"]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    name = re.search(r'users:\(\("([^"]*)",pid=(\d+)', found)
    if name:
        return f"{name[1]}, process {name[2]}, listens there"
    return "another process listens there" if found else ""


def answers(port, path):
    """Whether an HTTP server answers on a port of this host, whatever it thinks of the path."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=HEARD) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


class Roll:
    """The way of some ports to one release. settings: the release's own limits, in seconds.

    static: folder of static files inside a release.
    """

    def __init__(self, name, release, before, static):
        self.name, self.release, self.before, self.static = name, release, before, static
        self.home, self.unit = f"/srv/{name}", f"tornado-{name}"
        with open(f"{self.home}/releases/{release}/.release/settings.json", encoding="utf-8") as file:
            self.settings = json.load(file)
        self.patience = self.settings["start_timeout"] + self.settings["settle_time"] + MARGIN
        self.channels = {}
        self.swapped = []
        self.reopened = []

    def start_keepers(self, ports):
        """Let every port have a keeper of today, enabled at boot."""
        known = self.before["ports"]
        names = {port: f"{self.unit}@{port}" for port in ports}
        disabled = [f"{names[port]}.service" for port in ports if not known.get(str(port), {}).get("enabled")]
        for port in ports:
            # One that has failed, as where another process had the port, would stay what it is.
            if known.get(str(port), {}).get("socket") == "failed":
                systemctl("reset-failed", f"{names[port]}.socket", f"{names[port]}.service")
        if disabled:
            done, why = systemctl("enable", "--quiet", f"{self.unit}.target", *disabled)
            if not done:
                raise Refusal(ports[0], f"can't be enabled for the next boot: {why}")
        for port in ports:
            one = known.get(str(port), {})
            if one.get("outdated") or one.get("state") == "stuck":
                self.start(port, "restart")
        services = [f"{name}.service" for name in names.values()]
        systemctl("start", f"{self.unit}.target", *services, patience=self.patience)
        for port in ports:
            self.start(port, "start")

    def start(self, port, verb):
        """Let a port have a keeper. Refusal: it has none, and why."""
        unit = f"{self.unit}@{port}"
        done, why = systemctl(verb, f"{unit}.service", patience=self.patience)
        if not done:
            listens = show([f"{unit}.socket"])[f"{unit}.socket"]["ActiveState"] == "active"
            who = "" if listens else occupant(port)
            late = why if "within" in why else ""
            raise Refusal(port, f"does not start: {who or late or f'see journalctl -u {unit}'}")

    def waiting(self, ports):
        """The ports that do not serve the release."""
        return [port for port in ports if running(self.name, port).get("release") != self.release]

    def prepare(self, ports):
        """Start the release on each port, beside what runs there, and wait for its health."""
        for port in ports:
            self.channels[port] = self.reach(port)
            self.tell(port, do="swap", release=self.release, hold=True)

    def reach(self, port):
        """A connection to a port's keeper, which may be just restarting."""
        end = time.monotonic() + RESTART
        while True:
            try:
                return connect(self.name, port, self.patience)
            except OSError as problem:
                if time.monotonic() > end:
                    raise Refusal(port, f"has no keeper ({problem})") from problem
            time.sleep(0.2)

    def tell(self, port, **message):
        """One command to the keeper of a prepared port; its answer, if that is a yes."""
        try:
            answer = ask(self.channels[port], **message)
        except (OSError, ValueError) as problem:
            raise Refusal(port, f"has a keeper that has ended or is stuck ({problem})") from problem
        if not answer["ok"]:
            raise Refusal(port, answer["reason"], answer["pid"], answer["bad"])
        return answer

    def commit(self, ports):
        """Let the prepared processes take over, one after the other."""
        for port in ports:
            answer = self.tell(port, do="commit")
            self.swapped.append({"port": port, "begun": time.monotonic(), **answer})

    def gather_static(self, ports):
        """Let the release's static files be found, beside those of the others."""
        try:
            gather(self.home, self.static, self.release, self.before["bad"])
        except OSError as problem:
            why = f"was not swapped, since the static files can't be linked ({problem})"
            raise Refusal(ports[0], why, bad=problem.errno not in NO_ROOM) from problem

    def hang_up(self):
        """Call off what was prepared and not committed."""
        for channel in self.channels.values():
            channel.close()
        self.channels = {}

    def turn_back(self):
        """Give the ports that have taken over what they ran before; stop what ran nothing."""
        self.move_current(self.before["current"])
        with contextlib.suppress(OSError):
            # A release that was refused has nothing there.
            gather(self.home, self.static, self.before["current"], {*self.before["bad"], self.release})
        new = []
        for port, one in look(self.name)["ports"].items():
            before = self.before["ports"].get(port)
            back = before and (before["release"] or self.before["current"])
            if not back:
                new += [f"{self.unit}@{port}.{kind}" for kind in ("socket", "service")]
            elif one["release"] == self.release != back:
                self.swap_back(port, back)
        if new:
            systemctl("disable", "--quiet", "--now", *new)
            systemctl("reset-failed", *new)

    def swap_back(self, port, release):
        """Let a port take what it ran before; one that refuses even that goes on with the new."""
        with (
            contextlib.suppress(OSError, ValueError, Refusal),
            self.reach(port) as channel,
        ):
            ask(channel, do="swap", release=release)

    def move_current(self, release):
        """Name a release for the next start of any port, in one step; "": none."""
        link = f"{self.home}/current"
        if release and os.path.realpath(link) == f"{self.home}/releases/{release}":
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{link}.new" if release else link)
        if release:
            os.symlink(f"releases/{release}", f"{link}.new")
            os.replace(f"{link}.new", link)
        # On disk, before anybody relies on it.
        folder = os.open(self.home, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def wait_for_drains(self):
        """Wait until the processes before have ended, as their keepers see to within their own limits.

        One that a keeper can't end, as where an earlier Tornadoes has started it, is ended here;
        one that the kernel can't end, as on a disk that hangs, is waited for no longer.
        """
        waiting = {one["port"]: one for one in self.swapped if one["old_pid"]}
        limits = map(self.drain_timeout, {self.release, *(one["old"] for one in self.swapped)})
        end = time.monotonic() + max(limits) + MARGIN
        while waiting and time.monotonic() < end:
            for port, one in list(waiting.items()):
                status = running(self.name, port)
                # A keeper that says nothing has not said that it is over.
                if not status or any(old["pid"] == one["old_pid"] for old in status.get("draining", [])):
                    continue
                known = [done for done in status.get("drains", []) if done["pid"] == one["old_pid"]]
                one["drained"] = known[-1]["seconds"] if known else None
                one["forced"] = bool(known and known[-1]["forced"])
                del waiting[port]
            time.sleep(0.1)
        for port, one in waiting.items():
            with contextlib.suppress(OSError):
                if belongs(one["old_pid"], self.unit, port):
                    os.kill(one["old_pid"], signal.SIGKILL)

    def drain_timeout(self, release):
        """How long a release may drain, in seconds; 0 if it is not known."""
        try:
            with open(f"{self.home}/releases/{release}/.release/settings.json", encoding="utf-8") as file:
                return json.load(file)["drain_timeout"]
        except OSError:
            return 0

    def hear(self, ports):
        """See that ports are heard as well as ever, now that nothing of before has their sockets.

        The program before may have told the kept socket anything, and made that final.
        """
        path = self.settings["health_path"]
        for port in ports:
            if others := self.others(port):
                raise Refusal(port, f"has its socket in other hands too ({', '.join(others)}): end these")
            if self.sound(port) and any(answers(port, path) for _try in range(TRIES)):
                with contextlib.suppress(OSError, ValueError), self.reach(port) as channel:
                    ask(channel, do="heard")
                continue
            systemctl("restart", f"{self.unit}@{port}.socket", f"{self.unit}@{port}.service")
            self.reopened.append(port)
            end = time.monotonic() + self.patience
            while not answers(port, path):
                if time.monotonic() > end:
                    raise Refusal(port, "can't be heard, not even on a new socket")
                time.sleep(0.2)

    def listener(self, port):
        """A port's listening socket. OSError, ValueError, IndexError: its keeper does not give it."""
        with self.reach(port) as channel:
            channel.send(json.dumps({"do": "socket"}).encode())
            _answer, handed, _flags, _address = socket.recv_fds(channel, 4096, 1)
            return socket.socket(fileno=handed[0])

    def others(self, port):
        """Who has a port's socket without being of the app's port, in words."""
        service = f"{self.unit}@{port}.service"
        with contextlib.suppress(OSError, ValueError, IndexError), self.listener(port) as listener:
            ours = {os.getpid(), int(show([service])[service]["MainPID"])}
            found = holders(listener, self.unit, port, ours)
            if found:
                time.sleep(1)  # who is just being started by one of ours has it for a moment
                found = [one for one in holders(listener, self.unit, port, ours) if one in found]
            return found
        return []

    def sound(self, port):
        """Whether a port's socket is as it was made; its queue is made as long as it was."""
        with contextlib.suppress(OSError, ValueError, IndexError), self.listener(port) as listener:
            with contextlib.suppress(OSError):
                listener.listen(BACKLOG)
            return not spoiled(listener)
        return True  # not known: it is asked for an answer all the same

    def record(self, **more):
        """Append one line to the history."""
        now = datetime.datetime.now(datetime.UTC)
        line = {"release": self.release, "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), **more}
        path = f"{self.home}/releases.jsonl"
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(path, 0o644)

    def lines(self):
        """What became of each port, for people."""
        return [
            f"port {one['port']}: {one['old'] or 'nothing'} -> {self.release},"
            f" ready after {one['seconds']} s"
            + (f", drained after {one['drained']} s" if one.get("drained") is not None else "")
            + (" (its time was up)" if one.get("forced") else "")
            for one in self.swapped
        ] + [f"port {port}: a new socket, since the old one was spoilt" for port in self.reopened]


def last_lines(pid, begun):
    """What a process that was started since then last said into the journal."""
    if not pid:
        return []
    subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)
    # No --lines: with --since, Debian 12's journalctl takes the first ones.
    words = ["journalctl", f"_PID={pid}", f"--since=@{int(begun)}", "--output=cat", "--no-pager"]
    text = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    return [printable(line) for line in text.splitlines()[-LINES:]]


def due(before, release, ports):
    """The ports that would be touched."""
    return [
        port
        for port in ports
        for one in [before["ports"].get(str(port), {})]
        if one.get("release") != release
        or not one.get("enabled")
        or one.get("socket") != "active"
        or one.get("outdated")
    ]


def known(before):
    """Ids of the releases on the host; a dry run may be about one that is not."""
    return [one["id"] for one in before["releases"]]


def refused(name, release, before, why, log=()):
    """What the module returns of a release that was not taken."""
    goes_on = f"release {before['current']} goes on" if before["current"] else "none ran before"
    text = f"{name}: release {release} was not taken ({goes_on}): {why}."
    return {"failed": True, "msg": text, "reason": why, "log": list(log)}


def roll(module):
    """Do it; what the module returns."""
    params = module.params
    name, release, ports = params["name"], params["release"], params["ports"]
    before = look(name)
    touched = due(before, release, ports)
    unrecorded = before["last"].get("release") != release or release in before["bad"]
    there = release in known(before)
    try:
        unlinked = missing(f"/srv/{name}", params["static"], release, before["bad"]) if there else {}
    except OSError as problem:
        return refused(name, release, before, f"its static files can't be linked ({problem})")
    changed = bool(touched) or unrecorded or before["current"] != release or bool(unlinked)
    # Where a run was killed before it could look at what it had swapped.
    unheard = [port for port in ports if before["ports"].get(str(port), {}).get("unheard")]
    if module.check_mode or not (changed or unheard):
        lines = [f"port {port}: would run {release}" for port in touched]
        return {"changed": changed, "lines": lines, "swapped": []}
    begun = time.time()
    this = Roll(name, release, before, params["static"])
    origin = {"source": params["source"], "who": params["who"]}
    try:
        if touched:
            this.start_keepers(ports)
        waiting = this.waiting(ports)
        this.prepare(waiting)
        # Before the first page that names them. A browser that finds old content under a new
        # version's name keeps it for good, so the new files are right from here on.
        this.gather_static(ports)
        this.commit(waiting)
        this.move_current(release)
        # A keeper that was killed just now has come up with what "current" named then.
        for port in this.waiting(ports):
            this.prepare([port])
            this.commit([port])
    except Refusal as problem:
        this.hang_up()
        this.turn_back()
        if problem.bad:
            this.record(event="refused", reason=str(problem), **origin)
        return refused(name, release, before, str(problem), last_lines(problem.pid, begun))
    this.hang_up()
    if unrecorded:
        this.record(event=params["event"], **origin)
    this.wait_for_drains()
    try:
        this.hear(sorted({*unheard, *(one["port"] for one in this.swapped)}))
    except Refusal as problem:
        text = f"{name}: release {release} was taken, but {problem}."
        return {"failed": True, "msg": text, "reason": str(problem), "log": []}
    return {"changed": changed or bool(this.reopened), "lines": this.lines(), "swapped": this.swapped}


def installed_and_rolled(module):
    """Keeper and units first; what the module returns."""
    units, changed, diff = module.params["units"], False, []
    if units:
        try:
            changed, diff = install(module.params["name"], **units, dry=module.check_mode)
        except OSError as problem:
            return {"failed": True, "msg": str(problem), "log": []}
    result = roll(module)
    return {**result, "changed": changed or result.get("changed", False), "diff": diff}


def main():
    """Ansible calls this."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "units": {"type": "dict"},
            "static": {"type": "str", "default": "static"},
            "event": {"type": "str", "choices": ["deployed", "rolled back"], "default": "deployed"},
            "source": text,
            "who": text,
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(**installed_and_rolled(module))
    # Whoever comes after a killed run waits for this step of it.
    with open_lock(f"/run/tornado-{module.params['name']}.step") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        result = installed_and_rolled(module)
    if result.get("failed"):
        log = "".join(f"\n  {line}" for line in result["log"])
        result["msg"] += f" The program's last lines:{log}" if log else " The program said nothing."
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
