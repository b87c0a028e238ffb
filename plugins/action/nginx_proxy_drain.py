"""Drain a host at a proxy, or undrain it, and say what that means; without a host, say who is drained."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import call
from ..plugin_utils.values import listed


def unknown(host, groups):
    """Why a name is no host of an app, in a sentence; "" if it is one."""
    there = groups.get("tornado_app", [])
    return "" if host in there else f"'{host}' is no host of tornado_app. There are {listed(there)}."


def said(host, drained, proxy, done):
    """What the proxy does from now on, as sentences. done: what the module says."""
    if not host:
        for name, since in done["drained"].items():
            kept = f" but those for {listed(done['kept'][name])}" if done["kept"].get(name) else ""
            yield (
                f"{name} is drained since {since}: {proxy} sends it no requests{kept} until "
                f"playbooks/undrain.yml -e nginx_proxy_undrain={name}"
            )
        for name, apps in done["behind"].items():
            for app, since in apps.items():
                yield (
                    f"{name} has missed a release of {app}, since {since}: {proxy} asks it only where no"
                    " other host answers, until a run brings it along"
                )
    elif done["sends"] and drained:
        left = f"{done['open']} connections to it are open" if done["open"] else "nothing is open to it"
        kept = f" but those for {listed(done['kept'][host])}" if done["kept"].get(host) else ""
        yield f"{proxy} sends {host} no requests any more{kept}, and {left}."
    elif done["sends"]:
        late = listed(done["behind"].get(host, []))
        yield f"{proxy} sends {host} requests{f', for {late} only where no other host answers' * bool(late)}."


class ActionModule(ActionBase):
    """The options of the module. A name that is no host of tornado_app is refused here, as the variable's."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        host, drained = words.get("host", ""), words.get("drained", True)
        variable = "nginx_proxy_drain" if drained else "nginx_proxy_undrain"
        if host and (problem := unknown(host, task_vars["groups"])):
            return {**result, "failed": True, "msg": f"{variable}: {problem}"}
        done = call(self, "nginx_proxy_drain", words, task_vars)
        if done.get("unreachable"):
            return {**result, **done}
        proxy = self._task.delegate_to or task_vars["inventory_hostname"]
        if done.get("failed"):
            return {**result, **done, "msg": f"{proxy}: {done['msg']}"}
        if not self._task.check_mode and (sentences := list(said(host, drained, proxy, done))):
            # As the module debug shows it.
            done |= {"msg": sentences, "_ansible_verbose_always": True}
        return {**result, **done}
