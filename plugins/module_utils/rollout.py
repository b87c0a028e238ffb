"""The way of an app on its host to a release, and what is said of it. Standard library only."""

import re
import subprocess
import time

from .activation import Activation
from .host import without_python
from .jobs import Jobs
from .refusal import Refusal
from .sandbox_reasons import remedy
from .static import missing
from .text import logged

LINES = 12  # of the journal, shown when a release is refused


# What an access log says of a health check: Tornado's own, and the format that most servers share.
PROBED = r'\b\d{3} GET (?:%s) |"GET (?:%s) HTTP/1\.\d" \d{3}\b'


def unasked(lines, path):
    """What a program says of itself: its lines without those of an access log about health checks.

    path: that of the checks, None where the keeper chooses it.
    """
    paths = "/(?:healthz)?" if path is None else re.escape(path)
    asked = re.compile(PROBED % (paths, paths))
    return [line for line in lines if not asked.search(line)]


def last_lines(pid, begun, path):
    """What a process that was started since then last said into the journal. path: see unasked()."""
    subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)
    # No --lines: with --since, Debian 12's journalctl takes the first ones.
    words = ["journalctl", f"_PID={pid}", f"--since=@{int(begun)}", "--output=cat", "--no-pager"]
    text = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    return [logged(line) for line in unasked(text.splitlines(), path)[-LINES:]]


def to_swap(before, release, ports):
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


def refused(name, release, before, why, log=None, left_out=(), settings=()):
    """What the module returns of a release that was not taken. log: of its program, where that was started.

    settings: the option left_out_settings.
    """
    goes_on = f"release {before['current']} goes on" if before["current"] else "none ran before"
    helps = remedy(name, [why, *(log or ())], left_out, dict(settings), f"/srv/{name}/releases/{release}")
    text = f"{name}: release {release} was not taken ({goes_on}): {why}.{helps}"
    said = {} if log is None else {"log": list(log)}
    return {"failed": True, "msg": text, "reason": why, **said}


class Rollout:
    """The way of an app on this host to a release, in steps.

    params: name, release, ports, static, event, source, code, who, left_out and left_out_settings, as
    tornado_app_roll has them. before: what the host had, see host.look(). Refusal: it can't even be compared.
    """

    def __init__(self, params, before):
        self.params, self.before = params, before
        name, release = params["name"], params["release"]
        self.touched = to_swap(before, release, params["ports"])
        self.unrecorded = before["last"].get("release") != release or release in before["bad"]
        # A dry run may be about a release that is not on the host.
        there = release in [one["id"] for one in before["releases"]]
        try:
            unlinked = missing(f"/srv/{name}", params["static"], release, before["bad"]) if there else {}
        except OSError as problem:
            raise Refusal(f"its static files can't be linked ({problem})") from problem
        # Of a release that is not there, a dry run can't say more.
        self.jobs = Jobs(name, release if there else "", before["workers"], before["timers"])
        self.changed = (
            bool(self.touched)
            or self.unrecorded
            or before["current"] != release
            or bool(unlinked)
            or self.jobs.due
        )
        unheard = any(before["ports"].get(str(port), {}).get("unheard") for port in params["ports"])
        self.due = self.changed or unheard
        self.dry_lines = [f"port {port}: would run {release}" for port in self.touched]
        self.dry_lines += [f"would do: {line}" for line in self.jobs.lines()]
        self.dry_diff = self.jobs.diff if there else []
        self.activation = None

    def origin(self):
        """Where the release comes from, for the history."""
        return {one: self.params[one] for one in ("source", "code", "who")}

    def open(self):
        """Be ready for the steps. OSError: the release is not there."""
        params = self.params
        words = (params["name"], params["release"], params["ports"], self.before, params["static"])
        self.begun, self.activation = time.time(), Activation(*words)

    def prepare(self):
        """Prove the release on every port that needs it. Refusal: one does not take it; refuse() follows."""
        self.open()
        release = self.params["release"]
        if self.touched and (why := without_python(f"/srv/{self.params['name']}/releases/{release}")):
            # No fault of its own: it is as good as before once its Python is back.
            raise Refusal(f"it {why}, and a deploy of its source makes it anew")
        if self.touched:
            self.activation.start_keepers()
        self.activation.prepare_all()

    def switch(self):
        """Let what is prepared take over. Refusal: something does not; refuse() follows."""
        self.activation.commit_all()
        self.jobs.swap()

    def turn_back(self):
        """Let the host run what it ran before, however far it has come."""
        self.activation.hang_up()
        self.activation.turn_back()
        self.jobs.turn_back(self.before["current"])

    def refuse(self, problem):
        """Turn back after a Refusal; what the module returns."""
        params, activation = self.params, self.activation
        self.turn_back()
        if problem.bad:
            activation.record(event="refused", reason=str(problem), **self.origin())
        path = activation.settings["health_path"]
        log = problem.log or (last_lines(problem.pid, self.begun, path) if problem.pid else None)
        left_out = params["left_out"], params["left_out_settings"]
        found = refused(params["name"], params["release"], self.before, str(problem), log, *left_out)
        return {**found, "bad": problem.bad}

    def record(self):
        """The release is for good."""
        self.activation.hang_up()
        if self.unrecorded:
            self.activation.record(event=self.params["event"], **self.origin())

    def finish(self):
        """See to what was before; what the module returns."""
        activation, jobs = self.activation, self.jobs
        activation.wait_for_drains()
        try:
            activation.check_sockets()
        except Refusal as problem:
            text = f"{self.params['name']}: release {self.params['release']} was taken, but {problem}."
            return {"failed": True, "msg": text, "reason": str(problem), "log": []}
        activation.look_for_lost_ports()
        lines = activation.lines() + jobs.lines()
        changed = self.changed or bool(activation.reopened)
        return {"changed": changed, "lines": lines, "swapped": activation.swapped, "diff": jobs.diff}
