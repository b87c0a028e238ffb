"""Go on without the hosts that can't be reached, if there may be so many of them; and say so at the end."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.command_line import ROOT
from ..plugin_utils.together import hosts_of
from ..plugin_utils.unreachable import left_behind, refusal, unreachable
from .inputs import Run


class ActionModule(ActionBase):
    """See plugins/modules/tornado_app_unreachable.py for what it takes. It asks no host."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = {**super().run(tmp, task_vars), "changed": False}
        _validated, words = self.validate_argument_spec({"name": {"type": "str"}, "max": {"type": "int"}})
        if words["name"] is None:
            return {**result, "warnings": list(self.report(task_vars))}
        missing = [one for one in hosts_of(words["name"], task_vars) if one in unreachable(task_vars)]
        if len(missing) > words["max"]:
            return {**result, "failed": True, "msg": refusal(words["name"], missing, words["max"])}
        return result

    def report(self, task_vars):
        """The sentence, from one of the hosts."""
        if task_vars["inventory_hostname"] == task_vars["ansible_play_hosts"][0]:
            run = Run(ROOT / "roles/tornado_app", self._loader, task_vars)
            yield from filter(None, [left_behind(run, task_vars["ansible_play_hosts_all"])])
