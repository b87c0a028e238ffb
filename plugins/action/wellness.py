"""See that a host is well, before and after its reboot; or that all hosts run the same releases."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import call
from ..plugin_utils.reboot import differing

BEFORE = "__tornadoes_before"  # what the playbook registers of each host


class ActionModule(ActionBase):
    """The options of the module; or C(compare), to compare what it has said of all hosts."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words, host = dict(self._task.args), task_vars["inventory_hostname"]
        if words.pop("compare", False):
            known = {one: task_vars["hostvars"][one][BEFORE] for one in task_vars["ansible_play_hosts"]}
            sentences = differing({one: said["apps"] for one, said in known.items()})
            return {**result, "failed": bool(sentences), "msg": " ".join(sentences)}
        if self._connection.transport == "local":
            return {
                **result,
                "failed": True,
                "msg": f"{host} is the machine that this runs on. Reboot it by hand.",
            }
        done = call(self, "wellness", words, task_vars)
        if done.get("failed") and not words.get("before"):
            done["msg"] = f"{host} is not well: {done['msg']}"
        return {**result, **done}
