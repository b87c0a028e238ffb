"""Gather facts, as Ansible does by itself, and say what is missing where nobody can become root.

It is the first that a run does on a host. Ansible's own task of the kind says "The following modules failed
to execute: setup", whatever it was.
"""

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action.gather_facts import ActionModule as GatherFacts

from ..plugin_utils.becoming_root import sentence


def said(done):
    """All that the modules of a result said, which have failed."""
    parts = [
        one.get(part)
        for one in done.get("failed_modules", {}).values()
        for part in ("module_stdout", "module_stderr", "msg")
    ]
    return "\n".join(map(str, filter(None, parts)))


def without_addresses(task_vars):
    """Whether facts lack what several hosts reach each other by: those of an earlier play may."""
    groups = task_vars.get("groups", {})
    several = {*groups.get("tornado_app", []), *groups.get("nginx_proxy", [])}
    return len(several) > 1 and "interfaces" not in task_vars.get("ansible_facts", {})


class ActionModule(GatherFacts):
    """The options of C(ansible.builtin.gather_facts). Gathers when Ansible would (DEFAULT_GATHERING).

    With a C(gather_subset) of the network, it does so as well where several hosts don't know their addresses.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        when = constants.config.get_config_value("DEFAULT_GATHERING")
        needed = "network" in self._task.args.get("gather_subset", ()) and without_addresses(task_vars)
        if not needed and (when == "explicit" or (when == "smart" and task_vars.get("ansible_facts"))):
            return {"skipped": True, "changed": False}
        try:
            done = super().run(tmp, task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as problem:
            if why := self.why(str(problem), task_vars):
                return {"failed": True, "msg": why}
            raise
        if why := done.get("failed") and self.why(said(done), task_vars):
            return {"failed": True, "msg": why}
        return done

    def why(self, text, task_vars):
        """What is missing, in a sentence."""
        become = self._connection.become
        user = self._connection.get_option("remote_user") if self._connection.transport != "local" else ""
        return sentence(text, task_vars["inventory_hostname"], user, become.name if become else "sudo")
