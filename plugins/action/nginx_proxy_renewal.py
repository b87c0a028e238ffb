"""Take the renewal program, its units and what the user provides from the controller to the host."""

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import apply
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.controller import text_of

FILES = ROOT / "roles/nginx_proxy/files"


def texts(pattern):
    """Name to text of files of the role."""
    return {path.name: path.read_text() for path in FILES.glob(pattern)}


class ActionModule(ActionBase):
    """The module's options; C(provided) has paths of files on the controller, whose texts go to the host."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        if words.get("description"):
            words["program"] = texts("certificates/*.py")
            words["units"] = texts("etc/systemd/system/nginx-proxy-certificates.*")
            words["provided"] = {
                slug: {name: text_of(self._loader, task_vars, path) for name, path in pair.items()}
                for slug, pair in words.get("provided", {}).items()
            }
        return {**result, **apply(self, "nginx_proxy_renewal", words, task_vars)}
