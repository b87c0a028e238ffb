"""Have a proxy ask hosts that a release leaves behind last, and those that it has come to as before."""

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..plugin_utils.behind import along, behind, concerned, marked
from ..plugin_utils.command_line import COLLECTION, ROOT
from ..plugin_utils.together import Together
from ..plugin_utils.unreachable import unreachable
from ..plugin_utils.values import listed
from .inputs import Run


def said(app, proxy, done):
    """What the proxy does from now on, as sentences. done: what the module says."""
    if hosts := listed(done["added"]):
        yield f"{proxy} asks {hosts} for {app} only where no other host answers, until a release comes there."
    if hosts := listed(done["ended"]):
        yield f"{proxy} sends {hosts} requests for {app} again."


def unasked(app, proxy, hosts):
    """What follows where the proxy can't be reached. hosts: those that are left behind now."""
    if hosts:
        does = f"it sends visitors to {listed(hosts)}"
    else:
        does = "it asks a host that it has a note about only where no other answers"
    return f"{app}: {proxy} can't be reached. Once it is back, {does}, until the next run."


class ActionModule(ActionBase):
    """See plugins/modules/tornado_app_behind.py for what it takes. In a loop, delegated to proxies."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = {**super().run(tmp, task_vars), "changed": False, "added": []}
        _validated, words = self.validate_argument_spec(
            {"name": {"type": "str", "required": True}, "concluded": {"type": "bool", "default": False}}
        )
        app, proxy = words["name"], self._task.delegate_to
        hosts = Together(app, "", task_vars)
        run = Run(ROOT / "roles/nginx_proxy", self._loader, task_vars)
        if not proxy:
            return {**result, **concerned(hosts, run)}
        if words["concluded"]:
            late, there = [], along(hosts, proxy, run)
        else:
            late, there = behind(hosts, proxy, run), []
        # The first of the two tasks has named a proxy that it can't reach.
        if not late + there or (words["concluded"] and marked(hosts, proxy).get("unasked")):
            return result
        try:
            if proxy in unreachable(task_vars):
                raise AnsibleConnectionFailure
            name = f"{COLLECTION}.nginx_proxy_drain"
            notes = {"app": app, "behind": late, "along": there}
            done = self._execute_module(module_name=name, module_args=notes, task_vars=task_vars)
        except AnsibleConnectionFailure:
            # It stops no release that its app's hosts can take.
            return {**result, "unasked": True, "warnings": [unasked(app, proxy, late)]}
        if done.get("failed"):
            return {**result, **done, "msg": f"{proxy}: {done['msg']}"}
        result |= {"changed": done["changed"], "added": done["added"]}
        if not self._task.check_mode and (sentences := list(said(app, proxy, done))):
            # As the module debug shows it.
            result |= {"msg": sentences, "_ansible_verbose_always": True}
        return result
