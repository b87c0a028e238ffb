"""Give the module the users with hashes in the place of their passwords, which never leave the controller."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import apply
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.controller import options
from ..plugin_utils.redis_replication import secret_of
from ..plugin_utils.redis_server import users


def for_host(words):
    """What the module gets in the place of a task's arguments."""
    if "users" in words:
        found = users(options(ROOT / "roles/redis_server")["variables"], words["users"])
        words = {**words, "users": [one.for_host() for one in found]}
    words = dict(words)
    password = words.pop("replication_password", "")
    if words.get("replication"):
        words["replication"] = {**words["replication"], "secret": secret_of(password)}
    return words


class ActionModule(ActionBase):
    """The module's arguments, with users as the variable redis_server_users lists them. Shows what it did.

    replication: without the secret, which is made of replication_password.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        done = apply(self, "redis_server_configuration", for_host(self._task.args), task_vars)
        if did := done.pop("did", ""):
            # As the module debug shows it.
            said = f"Redis {'would get' if self._task.check_mode else 'got'} {did}."
            done |= {"msg": said, "_ansible_verbose_always": True}
        return {**result, **done}
