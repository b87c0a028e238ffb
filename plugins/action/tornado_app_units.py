"""Take the keeper and the units of an app from the controller to the host."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.command_line import COLLECTION, ROOT
from ..plugin_utils.units import ports_of_others, units
from .inputs import Run


class ActionModule(ActionBase):
    """name: the app. The module's other options are made here, of the app's variables."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        ports = ports_of_others(Run(ROOT / "roles/tornado_app", self._loader, task_vars))
        words = {**self._task.args, **units(self._templar, f"tornado-{self._task.args['name']}", ports)}
        name = f"{COLLECTION}.tornado_app_units"
        return {**result, **self._execute_module(module_name=name, module_args=words, task_vars=task_vars)}
