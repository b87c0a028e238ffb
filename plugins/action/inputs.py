"""Refuse what can't be meant in the variables of one or more roles: all of it at once.

Names and types come first, by the roles' meta/argument_specs.yml. With C(values), what plugin_utils/
has for a role follows: what its values may be, and what the host has to have for them, which the
module C(look) is asked in one call for all roles. It changes nothing.
"""

import contextlib
import functools
import os
import re
from importlib import import_module
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars

from ..plugin_utils.apply import look
from ..plugin_utils.cluster import OPTIONS, Cluster
from ..plugin_utils.command_line import COLLECTION, ROOT, own_playbooks
from ..plugin_utils.controller import folders, located, looked, options, text_of
from ..plugin_utils.names import Names, Unreadable, check, near, reason, strays, unreadable, wanted
from ..plugin_utils.unreachable import refusals as about_unreachable
from ..plugin_utils.values import listed

DEBIANS = ("12", "13")
UNPROVEN = "tornadoes_unproven_system"  # the variable by which a host may be another system


@functools.cache
def file_of(path):
    """The variables in one of a role's files, read once: a run looks at each host from each other."""
    return DataLoader().load_from_file(str(path), trusted_as_template=True) if path.exists() else {}


class Run:
    """What the checks of a role's values know besides them.

    host, names: what the host is called in the inventory, and how it is called elsewhere. debian: its
    release, 0 where the facts do not say. options, defaults: the role's, with what the playbook is told
    on the command line. elsewhere: such a name of another playbook, to that playbook. variables: all that
    the role would see.
    """

    def __init__(self, role_path, loader, variables, playbook=None):
        entries = options(role_path)
        self.options = entries.pop("variables") | entries.pop(f"playbook_{playbook}", {})
        told = [(other.removeprefix("playbook_"), name) for other in entries for name in entries[other]]
        self.elsewhere = {name: other for other, name in told}
        self.role, self.loader, self.given = role_path.name, loader, variables
        self.defaults = file_of(role_path / "defaults/main.yml")
        # As in a task of the role, wherever this one stands.
        self.variables = {
            **self.defaults,
            **variables,
            **file_of(role_path / "vars/main.yml"),
            "role_path": str(role_path),
            "ansible_search_path": [str(role_path), *variables.get("ansible_search_path", [])],
        }
        self.refused = {}  # variable to why its value can't be used
        self.runners = []  # the hosts whose apps this run validates
        self.host = variables["inventory_hostname"]
        self.facts = variables.get("ansible_facts", {})
        self.names = {self.host, *(self.facts.get(name, self.host) for name in ("hostname", "fqdn"))}
        self.names.add(str(self.quietly("ansible_host") or self.host))
        version = str(self.facts.get("distribution_major_version", ""))
        self.debian = int(version) if version.isdigit() else 0

    def value(self, name, **more):
        """A variable's value, with more variables beside it, or Unreadable."""
        try:
            return Templar(self.loader, {**self.variables, **more}).template(self.variables[name])
        except AnsibleError as problem:
            raise Unreadable(reason(problem)) from problem

    def decent(self, name, **more):
        """A variable's value, with more variables beside it; the default of one that is refused elsewhere."""
        with contextlib.suppress(Unreadable, AnsibleError):
            value = self.value(name, **more)
            if not list(check(name, value, self.options[name])):
                return value
        return Templar(self.loader, {**self.variables, **more}).template(self.defaults[name])

    def group(self, name):
        """The hosts of a group of the inventory."""
        return self.given.get("groups", {}).get(name, [])

    def on(self, host, role):
        """The same of a role on another host, as far as the inventory and what is known of that host say."""
        variables = self.given
        if host != self.host:
            known = variables["hostvars"]
            # Unread, since not all that a host has can be read from here.
            variables = known.raw_get(host) if hasattr(known, "raw_get") else known[host]
        return Run(ROOT / "roles" / role, self.loader, variables)

    @functools.cached_property
    def cluster(self):
        """What the inventory says of all hosts together."""
        return Cluster(self)

    def quietly(self, name):
        """A variable's value, or None."""
        try:
            return self.value(name) if name in self.variables else None
        except Unreadable:
            return None

    def values(self, **more):
        """Name to value of the role's variables; the default where a value is refused already."""
        defaults = Templar(self.loader, {**self.variables, **more})
        return {
            name: defaults.template(self.defaults[name]) if name in self.refused else self.value(name, **more)
            for name in self.options
            if name in self.defaults  # no argument of a playbook
        }

    def types(self):
        """Keep a sentence for each value of a type that can't be meant."""
        for name, option in self.options.items():
            if name not in self.variables:
                # Without a default: an argument of the playbook.
                problems = [f"{name}: is missing. Give {wanted(option)}, with -e."] * option.get(
                    "required", False
                )
                self.refused |= {name: problems} if problems else {}
                continue
            try:
                problems = list(check(name, self.value(name), option))
            except (Unreadable, AnsibleError) as problem:
                problems = [unreadable(name, problem)]
            if problems:
                self.refused[name] = problems

    @functools.cached_property
    def inputs(self):
        """The role's inputs; None where an entry of the wrong type leaves nothing to look at.

        Read once, after types(), which says for which names the defaults stand in.
        """
        if "tornado_app_apps" in self.refused:
            return None
        module = import_module(f"ansible_collections.{COLLECTION}.plugins.plugin_utils.{self.role}")
        return module.Inputs(self.values(), self)

    def description(self):
        """What the host shall have by the role's inputs; empty for a role that does not say."""
        return self.inputs.description() if hasattr(self.inputs, "description") else {}

    def warnings(self):
        """What is allowed by the role's inputs and should not stay."""
        return self.inputs.warnings() if hasattr(self.inputs, "warnings") else []

    def unproven(self):
        """The name of a host's system that the roles are not proven on; "" of one that they are."""
        kind, version = (self.facts.get(f"distribution{end}", "") for end in ("", "_major_version"))
        if not kind or (kind == "Debian" and version in ("", *DEBIANS)):
            return ""
        return f"{kind} {self.facts.get('distribution_version', '')}".rstrip()

    def system(self):
        """A sentence where the host's system is one that a run must not begin with."""
        manager = self.facts.get("service_mgr", "systemd")
        if not self.unproven():
            if manager != "systemd":
                yield (
                    f"{self.host} is run by {manager}, not by systemd, as many containers are. Take a host, "
                    "or a container, whose first process is systemd."
                )
            return
        lacks = [
            name
            for name, fact in (("apt", "pkg_mgr"), ("systemd", "service_mgr"))
            if self.facts.get(fact) != name
        ]
        if lacks:
            yield f"{self.host} is {self.unproven()}, and has no {listed(lacks)}. The roles need Debian's."
        elif not boolean(self.quietly(UNPROVEN) or False, strict=False):
            yield (
                f"{self.host} is {self.unproven()}. The roles are proven on Debian {' and '.join(DEBIANS)} "
                f"alone. Set {UNPROVEN}: true to try them there."
            )

    def located(self, path):
        """The absolute path on the controller that a variable's path means."""
        return located(self.variables, path)

    def beside(self, path):
        """The absolute path of a file of the controller that a run writes: beside the inventory; "" of ""."""
        return path and os.path.join(folders(self.variables)[0], os.path.expanduser(path))

    def looked(self, paths):
        """Half a sentence on where the controller looked for these."""
        return looked(self.variables, paths)

    def read(self, path):
        """The text of a file of the controller, decrypted; empty where there is none."""
        try:
            return text_of(self.loader, self.variables, path).rstrip()
        except AnsibleError:
            return ""


def shared(listens, host):
    """A sentence where services of several roles would listen on one port of a host.

    listens: role to its ports.
    """
    others = {port for role, ports in listens.items() if role != "tornado_app" for port in ports}
    if both := [port for port in listens.get("tornado_app", []) if port in others]:
        yield (
            f"tornado_app_ports: {listed(both)} is nginx's or Redis's on {host} as well "
            "(nginx_proxy_http_port, nginx_proxy_https_port, redis_server_port). Give each its own."
        )


def barred(role, units, host):
    """A sentence for each unit that the role is to start and nothing can."""
    for unit in units:
        yield (
            f"{role}: {unit} is masked on {host}, so that nothing can start it. Run systemctl unmask {unit} "
            "there, if it shall be the role's."
        )


def picked(role, apps, given):
    """A sentence where the inventory itself picks one of the apps that it lists, which -e is for.

    apps: what the role's variables say. given: the variables of the command line.
    """
    others = [one["name"] for one in apps.all if one["name"] != apps.named] if role == "tornado_app" else []
    if others and apps.named and "tornado_app_name" not in given:
        yield (
            f"tornado_app_name: '{apps.named}' picks one of tornado_app_apps, so {listed(others)} is left as "
            "it is. Remove the line, and say it with -e where one app is meant."
        )


def unlisted(role, apps, installed, host, given):
    """A sentence where a host runs apps that the inventory does not list, and so nobody deploys or stops.

    apps: what the role's variables say. installed: the apps that the host has. given: see picked().
    """
    if role != "tornado_app" or "tornado_app_name" in given:
        return
    known = {one["name"] for one in apps.all} | {one.name for one in apps.apps}
    if left := [one for one in installed if one not in known]:
        are, it = ("are", "one") if len(left) > 1 else ("is", "it")
        yield (
            f"tornado_app_apps: {listed(left)} {are} on {host} and in no entry, so nothing is done there. To "
            f"remove {it}, write {{name: {left[0]}, state: absent}}, if no other inventory has it."
        )


def of_the_host(run):
    """A sentence for each variable of no role that can't be meant."""
    known = {UNPROVEN: {"type": "raw"}, **OPTIONS}
    for name in sorted(one for one in map(str, run.given) if one.startswith("tornadoes_")):
        if name not in known:
            yield f"{name}: no such variable.{near(name, 'tornadoes_', known)}"
        elif name in OPTIONS:
            try:
                yield from check(name, run.value(name), OPTIONS[name])
            except Unreadable as problem:
                yield unreadable(name, problem)


def unusable(connection):
    """A sentence where a connection is Mitogen's: nothing that a task leaves behind can use it."""
    if any(one.__module__.startswith("ansible_mitogen") for one in type(connection).__mro__):
        yield (
            "ANSIBLE_STRATEGY: Mitogen's connections can't hold a deploy's lock, since it outlives a task. "
            "Run these playbooks with a strategy of Ansible's own, such as linear."
        )


class ActionModule(ActionBase):
    """roles: names of the roles; the calling one. playbook: whose arguments they are given as well.
    values: whether the values are looked at.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        paths = [ROOT / "roles" / name for name in self._task.args.get("roles", ())]
        paths = paths or [Path(self._task._role._role_path)]
        runs = [Run(path, self._loader, task_vars, self._task.args.get("playbook")) for path in paths]
        playbooks = own_playbooks()
        given = load_extra_vars(self._loader) if playbooks else {}
        options = {name: option for run in runs for name, option in run.options.items()}
        options |= {name: {} for run in runs for name in run.elsewhere}
        refusals = list(unusable(self._connection))
        refusals += strays(context.CLIARGS.get("extra_vars", ()), options, bool(playbooks))
        refusals += of_the_host(runs[0])
        doubts = []
        for run in runs:
            names = Names(run.role, run.options, run.defaults, run.variables, given, run.elsewhere)
            refusals += names.refusals(run.quietly)
            doubts += names.doubts(run.quietly)
            run.types()
            # Those that are still there to say what is wrong with them.
            run.runners = [one for one in self.runners(runs) if one in task_vars["ansible_play_hosts"]]
            refusals += [sentence for problems in run.refused.values() for sentence in problems]
        result["roles"] = {run.role: {} for run in runs}
        if self._task.args.get("values"):
            refusals += self.about(runs, refusals, task_vars, result["roles"])
        if refusals:
            return {"failed": True, "msg": "\n".join(dict.fromkeys(refusals))}
        for run in runs:
            result["roles"][run.role]["description"] = run.description()
        if self._task.args.get("values"):
            system = runs[0].unproven()
            warnings = [f"{runs[0].host} is {system}, which the roles are not proven on."] if system else []
            warnings += doubts + [sentence for run in runs for sentence in run.warnings()]
            if playbooks:
                for run in [one for one in runs if one.inputs]:
                    installed = result["roles"][run.role].get("installed", [])
                    warnings += picked(run.role, run.inputs, given)
                    warnings += unlisted(run.role, run.inputs, installed, run.host, given)
            result["warnings"] = warnings
        return result

    def runners(self, runs):
        """The hosts of the play that have apps."""
        everywhere = runs[0].given["ansible_play_hosts_all"]
        if "roles" in self._task.args:
            return [one for one in runs[0].group("tornado_app") if one in everywhere]
        return everywhere if runs[0].role == "tornado_app" else []

    def about(self, runs, refusals, task_vars, roles):
        """Sentences about the values, and about what the host has for them.

        refusals: those of before. Where there are any, a host that can't be reached is no news.
        roles: gets what the host has for each role.
        """
        inputs = {run.role: run.inputs for run in runs if run.inputs}
        found = list(about_unreachable(runs[0], self.runners(runs)))
        found += [*runs[0].system(), *(sentence for one in inputs.values() for sentence in one.refusals())]
        found += shared({role: one.listens() for role, one in inputs.items()}, runs[0].host)
        try:
            answers = look(self, {role: one.questions() for role, one in inputs.items()}, task_vars)
            for role, one in inputs.items():
                roles[role] = answers[role]
                found += one.answers(roles[role])
                found += barred(role, roles[role]["masked"], runs[0].host)
                if hasattr(one, "surplus"):
                    roles[role]["surplus"] = one.surplus(roles[role]["instances"])
        except (AnsibleConnectionFailure, AnsibleError):
            if not refusals and not found:
                raise
        # A default that stands for a refused value is nobody's.
        refused = {name for run in runs for name in run.refused}
        return [one for one in found if re.match(r"\w*", one)[0] not in refused]
