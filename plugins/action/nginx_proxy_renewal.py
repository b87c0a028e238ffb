"""Take the renewal program, its units and what the user provides to the host, and fetch the private CA."""

from pathlib import Path

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import apply
from ..plugin_utils.command_line import ROOT
from ..plugin_utils.controller import text_of

FILES = ROOT / "roles/nginx_proxy/files"


def texts(pattern):
    """Name to text of files of the role."""
    return {path.name: path.read_text() for path in FILES.glob(pattern)}


def fetched(text, path, dry):
    """Let a file of the controller have this text; whether it had another, or would get it."""
    file = Path(path)
    if file.is_file() and file.read_text() == text:
        return False
    if not dry:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return True


class ActionModule(ActionBase):
    """The module's options; C(provided) has paths of files on the controller, whose texts go to the host.

    fetch_to: a file of the controller that gets the certificate of the host's private CA; "" for none.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        fetch_to = words.pop("fetch_to", "")
        if words.get("description"):
            words["program"] = texts("certificates/*.py")
            words["units"] = texts("etc/systemd/system/nginx-proxy-certificates.*")
            words["provided"] = {
                slug: {name: text_of(self._loader, task_vars, path) for name, path in pair.items()}
                for slug, pair in words.get("provided", {}).items()
            }
        result |= apply(self, "nginx_proxy_renewal", words, task_vars)
        if fetch_to and result.get("ca"):
            result["changed"] |= fetched(result["ca"], fetch_to, self._task.check_mode)
        return result
