"""Whether the hosts of an app can take a release together: those that are there, and what they would run."""

from ansible.plugins.action import ActionBase

from ..plugin_utils import same_source
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.together import Together, hosts_of
from ..plugin_utils.unreachable import left_behind, refusal, unreachable
from .inputs import Run

TEXT = {"type": "str", "default": ""}


class ActionModule(ActionBase):
    """See plugins/modules/tornado_app_hosts.py for what it takes. It asks no host."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = {**super().run(tmp, task_vars), "changed": False}
        _validated, words = self.validate_argument_spec(
            {"name": TEXT, "max_unreachable": {"type": "int", "default": 0}, "event": TEXT, "release": TEXT}
        )
        if not words["name"]:
            return {**result, "warnings": list(self.report(task_vars))}
        for sentence in self.refusals(words, task_vars):
            return {**result, "failed": True, "msg": sentence}
        return result

    def refusals(self, words, task_vars):
        """Why these hosts can't."""
        app, known = words["name"], task_vars["hostvars"]
        missing = [one for one in hosts_of(app, task_vars) if one in unreachable(task_vars)]
        if len(missing) > words["max_unreachable"]:
            yield refusal(app, missing, words["max_unreachable"])
        releases = {
            host: same_source.to_deploy(known[host], app)
            if words["event"] == "deployed"
            else same_source.to_go_back_to(known[host], words["release"])
            for host in Together(app, "", task_vars).hosts
        }
        if found := same_source.apart(releases):
            yield same_source.refusal(app, words["event"], found)

    def report(self, task_vars):
        """The sentence, from one of the hosts."""
        if task_vars["inventory_hostname"] == task_vars["ansible_play_hosts"][0]:
            run = Run(ROOT / "roles/tornado_app", self._loader, task_vars)
            yield from filter(None, [left_behind(run, task_vars["ansible_play_hosts_all"])])
