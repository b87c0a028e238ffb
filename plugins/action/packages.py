"""Install Debian packages, and say why their lists can't be read, where the module apt says only that."""

import re

from ansible.plugins.action import ActionBase

from ..module_utils.text import printable

# A host's first boot brings its updates for minutes.
LOCK_TIMEOUT = 900
REASON = re.compile(r"(?m)^(?:E|W): (.+)$")

UNKNOWN = re.compile(r"No package matching '(.+)' is available|no available installation candidate for (\S+)")


def reason(text):
    """What apt-get says first of an update that fails; "" where it says nothing."""
    found = REASON.search(text)
    return printable(found[1].strip()).rstrip(".") if found else ""


class ActionModule(ActionBase):
    """name: of the packages."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = {"update_cache": True, "lock_timeout": LOCK_TIMEOUT, "install_recommends": False}
        words["name"] = self._task.args["name"]
        done = self._execute_module(module_name="ansible.builtin.apt", module_args=words, task_vars=task_vars)
        if done.get("failed") and "apt cache" in str(done.get("msg")):
            said = self._low_level_execute_command("LC_ALL=C apt-get update 2>&1", sudoable=True)["stdout"]
            if why := reason(said):
                host = task_vars["inventory_hostname"]
                lists = f"{host} can't read the lists of its packages: {why}."
                done["msg"] = f"{lists} Mend what apt-get update says there."
                done.pop("exception", None)
        if done.get("failed") and (unknown := UNKNOWN.search(str(done.get("msg")))):
            host, name = task_vars["inventory_hostname"], unknown[1] or unknown[2]
            done["msg"] = (
                f"{host} has no package '{name}'. Where that is from tornado_app_packages,"
                " give the name alone that apt-cache search finds there, one an entry."
            )
        return {**result, **done}
