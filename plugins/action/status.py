"""One table of what all hosts of the play run, of what their tasks before have registered."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.status import of_apps, of_proxy, of_redis, table

# What the roles' tasks register.
APPS, PROXIES, REDIS = "__tornado_app_now", "__nginx_proxy_now", "__redis_server_now"


def registered(hosts, known, name):
    """Host to what it has registered under a name, of those that have, and had to."""
    found = {host: known[host][name] for host in hosts if name in known[host]}
    return {host: one for host, one in found.items() if not one.get("skipped")}


class ActionModule(ActionBase):
    """No options. C(unreachable_hosts) are those that have answered no task."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        hosts, known = task_vars["ansible_play_hosts_all"], task_vars["hostvars"]
        apps = {host: of_apps(one) for host, one in registered(hosts, known, APPS).items()}
        proxies = {host: of_proxy(one) for host, one in registered(hosts, known, PROXIES).items()}
        redis = {host: of_redis(one) for host, one in registered(hosts, known, REDIS).items()}
        lost = [host for host in hosts if None in [of.get(host, "") for of in (apps, proxies, redis)]]
        # As the module debug shows it.
        shown = {"msg": table(apps, proxies, redis), "_ansible_verbose_always": True}
        return {**result, **shown, "changed": False, "unreachable_hosts": lost}
