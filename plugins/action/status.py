"""One table of what all hosts of the play run, of what their tasks before have registered."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.status import of_apps, of_proxy, table

APPS, PROXIES = "__tornado_app_now", "__nginx_proxy_now"  # what the roles' tasks register


def registered(hosts, known, name):
    """Host to what it has registered under a name, of those that have."""
    return {host: known[host][name] for host in hosts if name in known[host]}


class ActionModule(ActionBase):
    """No options. C(unreachable_hosts) are those that have answered no task."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        hosts, known = task_vars["ansible_play_hosts_all"], task_vars["hostvars"]
        apps = {host: of_apps(one) for host, one in registered(hosts, known, APPS).items()}
        proxies = {host: of_proxy(one) for host, one in registered(hosts, known, PROXIES).items()}
        lost = [host for host in hosts if apps.get(host, []) is None or proxies.get(host, {}) is None]
        # As the module debug shows it.
        shown = {"msg": table(apps, proxies), "_ansible_verbose_always": True}
        return {**result, **shown, "changed": False, "unreachable_hosts": lost}
