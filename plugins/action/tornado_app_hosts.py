"""Whether the hosts of an app can take a release together: those that are there, and what they would run."""

from ansible.plugins.action import ActionBase

from ..plugin_utils import same_source
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.together import Together, hosts_of
from ..plugin_utils.unreachable import left_behind, refusal, unreachable
from .inputs import Run

TEXT = {"type": "str", "default": ""}


def source_of(run, app):
    """What decides which source an app has on a host."""
    entry = next((one for one in run.decent("tornado_app_apps") if one["name"] == app), {})
    names = ("tornado_app_source", "tornado_app_version")
    return [run.decent(one, __tornado_app_entry=entry) for one in names]


class ActionModule(ActionBase):
    """See plugins/modules/tornado_app_hosts.py for what it takes. It asks no host."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = {**super().run(tmp, task_vars), "changed": False}
        _validated, words = self.validate_argument_spec(
            {
                "name": TEXT,
                "max_unreachable": {"type": "int", "default": 0},
                "event": TEXT,
                "release": TEXT,
                "refusal": TEXT,
                "running": {"type": "str"},
            }
        )
        if words["running"]:
            return {**result, "troubles": list(self.troubles(words["running"], task_vars))}
        if not words["name"]:
            return {**result, "warnings": list(self.report(task_vars))}
        said = [words["refusal"], *self.refusals(words, task_vars)]
        for sentence in filter(None, said):
            return {**result, "failed": True, "msg": sentence}
        return result

    def refusals(self, words, task_vars):
        """Why these hosts can't."""
        app, known = words["name"], task_vars["hostvars"]
        missing = [one for one in hosts_of(app, task_vars) if one in unreachable(task_vars)]
        if len(missing) > words["max_unreachable"]:
            yield refusal(app, missing, words["max_unreachable"])
        hosts = Together(app, "", task_vars)
        if said := hosts.about_lost("a release was not begun"):
            yield said
        if words["event"] == "deployed":
            releases = {one: same_source.to_deploy(known[one], app) for one in hosts.hosts}
        else:
            releases = {one: same_source.to_go_back_to(known[one], words["release"]) for one in hosts.hosts}
        if words["event"] and (found := same_source.apart(releases)):
            yield same_source.refusal(app, words["event"], found)

    def troubles(self, name, task_vars):
        """A sentence for each app of which this host has missed what others run. name: of their statuses."""
        host, known = task_vars["inventory_hostname"], task_vars["hostvars"]
        run = Run(ROOT / "roles/tornado_app", self._loader, task_vars)
        there = {}
        for one in task_vars["ansible_play_hosts"]:
            for status in (known[one].get(name) or {}).get("results", []):
                there.setdefault(status["name"], {})[one] = status
        for app, statuses in there.items():
            if host in statuses:
                asked = {one: source_of(run.on(one, "tornado_app"), app) for one in statuses}
                alike = [one for one in statuses if asked[one] == asked[host]]
                found = {one: same_source.running(statuses[one]) for one in alike}
                yield from filter(None, [same_source.behind(app, host, found)])

    def report(self, task_vars):
        """The sentence, if there is something to say."""
        run = Run(ROOT / "roles/tornado_app", self._loader, task_vars)
        return filter(None, [left_behind(run, task_vars["ansible_play_hosts_all"])])
