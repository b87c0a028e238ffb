"""Bring an app to a release on the host, with keeper and units of the controller, and say how it went."""

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..plugin_utils.command_line import COLLECTION
from ..plugin_utils.units import units


class ActionModule(ActionBase):
    """The module's options; C(units) is whether keeper and units come first. What was done is shown."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        if boolean(words.pop("units", False)):
            words["units"] = units(self._templar, f"tornado-{words['name']}")
        name = f"{COLLECTION}.tornado_app_roll"
        done = self._execute_module(module_name=name, module_args=words, task_vars=task_vars)
        done.pop("swapped", None)
        if lines := done.pop("lines", []):
            # As the module debug shows it.
            done |= {"msg": lines, "_ansible_verbose_always": True}
        return {**result, **done}
