"""Refuse what can't be meant in the variables of the calling role: all of it at once.

Names and types come first, by the role's meta/argument_specs.yml. With C(values), what plugin_utils/
has for the role follows: what its values may be, and what the host has to have for them, which the
module C(look) is asked in one call. It changes nothing.
"""

import re
from importlib import import_module
from pathlib import Path

import yaml
from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars

from ..plugin_utils.command_line import COLLECTION, own_playbooks
from ..plugin_utils.names import Names, Unreadable, check, reason, strays

DEBIANS = ("12", "13")


class Run:
    """What the checks of a role's values know besides them.

    host, names: what the host is called in the inventory, and how it is called elsewhere. debian: its
    release, 0 where the facts do not say. options, defaults: the role's.
    """

    def __init__(self, role_path, loader, defaults, variables):
        spec = yaml.safe_load((role_path / "meta/argument_specs.yml").read_text())
        self.options = spec["argument_specs"]["variables"]["options"]
        self.loader, self.defaults, self.variables = loader, defaults, variables
        self.refused = {}  # variable to why its value can't be used
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
        }

    def types(self):
        """Keep a sentence for each value of a type that can't be meant."""
        for name, option in self.options.items():
            try:
                problems = list(check(name, self.value(name), option))
            except (Unreadable, AnsibleError) as problem:
                problems = [f"{name}: can't be read, {reason(problem)}. Correct what it is made of."]
            if problems:
                self.refused[name] = problems

    def system(self):
        """A sentence where the host is none that the roles know."""
        kind = self.facts.get("distribution", "Debian")
        if kind != "Debian" or (self.debian and str(self.debian) not in DEBIANS):
            yield (
                f"{self.host} is {kind} {self.facts.get('distribution_version', '')}. "
                f"The roles know Debian {' and '.join(DEBIANS)}."
            )

    def read(self, path):
        """The text of a file of the controller, decrypted; empty where there is none."""
        find = lookup_loader.get("ansible.builtin.file", self.loader, Templar(self.loader, self.variables))
        try:
            return str(find.run([path], variables=self.variables)[0])
        except AnsibleError:
            return ""


class ActionModule(ActionBase):
    """values: whether the values are looked at as well as names and types."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        role_path = Path(self._task._role._role_path)
        run = Run(role_path, self._loader, self._task._role.get_default_vars(), task_vars)
        playbooks = own_playbooks()
        given = load_extra_vars(self._loader) if playbooks else {}
        refusals = list(strays(context.CLIARGS.get("extra_vars", ()), run.options, bool(playbooks)))
        names = Names(role_path.name, run.options, run.defaults, task_vars, given)
        refusals += names.refusals(run.quietly)
        run.types()
        refusals += [sentence for problems in run.refused.values() for sentence in problems]
        # An entry of the wrong type leaves no app to look at.
        if self._task.args.get("values") and "tornado_app_apps" not in run.refused:
            inputs = import_module(f"ansible_collections.{COLLECTION}.plugins.plugin_utils.{role_path.name}")
            values = inputs.Inputs(run.values(), run)
            refusals += self.about(values, run, refusals, task_vars, result)
            result["listens"] = values.listens()
        if refusals:
            return {"failed": True, "msg": "\n".join(dict.fromkeys(refusals))}
        return result

    def about(self, inputs, run, refusals, task_vars, result):
        """Sentences about the values, and about what the host has for them.

        refusals: those of before. Where there are any, a host that can't be reached is no news.
        result: gets the packages that are missing.
        """
        found = [*run.system(), *inputs.refusals()]
        try:
            words = inputs.questions()
            looked = self._execute_module(f"{COLLECTION}.look", module_args=words, task_vars=task_vars)
            if looked.get("failed"):
                raise AnsibleError(looked.get("msg", "the host can't be looked at"))
            found += inputs.answers(looked)
            result["missing"] = looked["missing"]
        except (AnsibleConnectionFailure, AnsibleError):
            if not refusals and not found:
                raise
        # A default that stands for a refused value is nobody's.
        return [one for one in found if re.match(r"\w*", one)[0] not in run.refused]
