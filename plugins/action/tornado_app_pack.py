"""Pack a release on the controller: what of it is secret never leaves this process.

The module gets what stands for the secrets in the release's id; they themselves go to the host
by tornado_app_secrets. What is packed lies in a folder of this run, next to Ansible's own. A
killed run leaves its folder to the next one.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import tempfile

from ansible import constants
from ansible.plugins.action import ActionBase

from ..module_utils.source import remote
from ..plugin_utils.controller import located

PREFIX = "tornado-app-"


def seal(secrets):
    """Stand for the secrets in the id, which is public: too slow to be guessed from it."""
    text = json.dumps(secrets, sort_keys=True).encode()
    return hashlib.scrypt(text, salt=b"tornado_app release", n=2**14, r=8, p=1).hex()


def alive(pid):
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep(folder):
    """Remove what runs have left that have ended."""
    for name in os.listdir(folder):
        owner = re.match(rf"{PREFIX}(\d+)-", name)
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if owner and os.lstat(path).st_uid == os.getuid() and not alive(int(owner[1])):
                shutil.rmtree(path)


class ActionModule(ActionBase):
    """Take the module's arguments, secrets among the settings; return what it returns, and the path.

    C(remove) alone: the folder that an earlier call has returned, which goes.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        if "remove" in words:
            if os.path.basename(words["remove"]).startswith(PREFIX):
                shutil.rmtree(words["remove"], ignore_errors=True)
            return {**result, "changed": False}
        if not remote(words["source"]):
            words["source"] = located(task_vars, words["source"])
        words["wheels"] = words["wheels"] and located(task_vars, words["wheels"])
        settings = dict(words["settings"])
        secrets = {name: str(value) for name, value in settings.pop("secrets", {}).items()}
        run = multiprocessing.parent_process().pid
        # Not the setting anew: each worker that asks for it makes a folder that ends with the worker.
        home = os.path.dirname(constants.DEFAULT_LOCAL_TMP)
        sweep(home)
        folder = tempfile.mkdtemp(prefix=f"{PREFIX}{run}-", dir=home)
        words.update(
            settings=settings, seal=seal(secrets), destination=os.path.join(folder, "release.tar.gz")
        )
        module = self._execute_module(
            module_name="tornadoes.tornadoes.tornado_app_pack", module_args=words, task_vars=task_vars
        )
        return {**result, **module, "path": words["destination"], "folder": folder, "wheels": words["wheels"]}
