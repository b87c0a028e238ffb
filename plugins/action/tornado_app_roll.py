"""Bring an app to a release on the host, with keeper and units of the controller, and say how it went.

Where several hosts of the play have the app, the first call only proves the release on its host. Two more
follow, for all of them: C(phase=switch), which does so if all have proven it, and C(phase=conclude), which
keeps it if all have switched well. module_utils/transaction.py has the rules.
"""

import subprocess
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils.text import printable
from ..module_utils.transaction import digest_of
from ..plugin_utils.apply import apply
from ..plugin_utils.cluster import ADDRESS, private
from ..plugin_utils.command import split
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.together import (
    CONFIRM_TIMEOUT,
    PREPARED,
    SWITCHED,
    Together,
    Turns,
    batches_of,
    patience,
    word_of,
)
from ..plugin_utils.units import ports_of_others, units
from .inputs import Run

CONFIRM_INTERVAL = 2  # seconds between two tries to reach a host that has to be told
CANARY_INTERVAL = 5  # seconds between two looks at the first host that runs a release


def replaced(word, names):
    """A word with what its placeholders stand for."""
    for name, value in names.items():
        word = word.replace(name, value)
    return word


class ActionModule(ActionBase):
    """The module's options; C(units) is whether keeper and units come first. What was done is shown."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        self.words, self.task_vars = dict(self._task.args), task_vars
        self.phase = self.words.pop("phase", "whole")
        self.serial, self.canary = str(self.words.pop("serial", "100%")), int(self.words.pop("canary", 0))
        self.check = split(self.words.pop("canary_check", "")) or []
        if boolean(self.words.pop("units", False)):
            ports = ports_of_others(Run(ROOT / "roles/tornado_app", self._loader, task_vars))
            self.words["units"] = units(self._templar, f"tornado-{self.words['name']}", ports)
        self.hosts = Together(self.words["name"], self.words["release"], task_vars)
        if self.phase == "whole" and len(self.hosts.hosts) > 1 and not self._task.check_mode:
            self.phase = "prepare"
        done = getattr(self, self.phase)()
        done.pop("swapped", None)
        if lines := done.pop("lines", []):
            # As the module debug shows it.
            done |= {"msg": lines, "_ansible_verbose_always": True}
        return {**result, **done, "app": self.words["name"]}

    def call(self, phase, **more):
        """What the module returns."""
        words = {**self.words, "phase": phase, **more}
        return apply(self, "tornado_app_roll", words, self.task_vars)

    def word(self):
        """What the controller says once all have switched."""
        return word_of(self.words["name"], self.words.get("event", "deployed"))

    # The calls.

    def whole(self):
        """One host: all at once."""
        return self.call("whole")

    def prepare(self):
        """Prove the release here."""
        if said := self.hosts.about_lost(f"release {self.words['release']} was not tried"):
            return {"failed": True, "msg": said}
        hosts = self.hosts.hosts
        batches = len(batches_of(hosts, self.serial, self.canary))
        words = patience(len(hosts), batches, self.canary)
        return self.call("prepare", digest=digest_of(self.word()), patience=words, address=self.address())

    def address(self):
        """The private address that the inventory gives the host; "" where it gives none."""
        given = self._templar.template(self.task_vars.get(ADDRESS, ""))
        return given if private(given) else ""

    def switch(self):
        """Switch this host, if all have proven the release. What it does not do, conclude() tells."""
        if not self.hosts.all_well(PREPARED):
            return self.call_off(PREPARED, "nor was any touched")
        host, turns = self.hosts.host, Turns(f"{self.hosts.app} {self.words['event']}")
        batches = self.hosts.batches(self.serial, self.canary)
        mine = next(number for number, batch in enumerate(batches) if host in batch)
        before, well = [one for batch in batches[:mine] for one in batch], False
        try:
            seconds = patience(len(self.hosts.hosts), len(batches), self.canary)["switched"]
            if bad := turns.wait(before, seconds):
                return {"refusal": f"it has not switched, since {', '.join(bad)} did not", "waits": True}
            done = self.call("switch", peers=self.hosts.addresses())
            if self.canary and mine == 0 and len(batches) > 1 and not done.get("failed"):
                done |= self.watch()
            # Not a failure yet: this host has to hear how it ends.
            if done.pop("failed", False):
                done["refusal"] = done.pop("msg")
                done.pop("exception", None)
            well = "refusal" not in done
            return done
        finally:
            turns.note(host, well)

    def watch(self):
        """See whether the first host stays well, and what the user's own check says; what that adds."""
        end, said = time.monotonic() + self.canary, ""
        while time.monotonic() < end:
            if (found := self.call("watch")).get("failed"):
                return {"refusal": found["msg"], "waits": True}
            if self.check and not (said := self.ask(end)):
                return {}
            time.sleep(min(CANARY_INTERVAL, max(end - time.monotonic(), 0)))
        if not self.check:
            return {}
        why = f"tornado_app_canary_check has not said yes within {self.canary} s"
        return {"refusal": f"{why}: {printable(said)}", "waits": True}

    def ask(self, end):
        """Ask the user's own check, until then at most; why it does not say yes, or ""."""
        names = {"{host}": self.hosts.host, "{release}": self.hosts.release}
        words = [replaced(word, names) for word in self.check]
        try:
            left = max(end - time.monotonic(), 1)
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=left)
        except (OSError, subprocess.TimeoutExpired) as problem:
            return str(problem)
        last = [*(done.stdout + done.stderr).strip().splitlines(), "it said nothing"][-2:][0]
        return f"it ended with {done.returncode}, {last}" if done.returncode else ""

    def conclude(self):
        """Keep the release if all hosts have switched well; else turn this one back, and fail."""
        if not self.hosts.all_well(SWITCHED):
            return self.call_off(SWITCHED, "and this one runs what it ran before")
        end = time.monotonic() + CONFIRM_TIMEOUT
        while True:
            try:
                return self.call("confirm", word=self.word())
            except AnsibleConnectionFailure:
                # The others may have heard it: this one has to, from here or from them.
                if time.monotonic() > end:
                    raise
            time.sleep(CONFIRM_INTERVAL)

    def call_off(self, name, where):
        """Let this host be as it was; why."""
        own = self.hosts.found(self.hosts.host, name)
        if own.get("refusal") and not own.get("waits"):
            # It has done so by itself.
            return {"failed": True, "msg": own["refusal"]}
        done = self.call("back", reason=self.hosts.to_blame(name))
        text = self.hosts.sentence(name, where)
        if done.get("failed"):
            text += f" {done['msg']}"
        return {"failed": True, "msg": text}
