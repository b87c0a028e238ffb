"""Pack a release on the controller: what of it is secret never leaves this process.

Something else stands for the secrets in the release's id; they themselves go to the host by
tornado_app_release. What is packed lies in a folder of this run, next to Ansible's own. A
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

from ..module_utils.refusal import Refusal, unforeseen
from ..plugin_utils.controller import located
from ..plugin_utils.pack import pack
from ..plugin_utils.source import remote

PREFIX = "tornado-app-"
TEXT, NEEDED = {"type": "str", "default": ""}, {"type": "str", "required": True}
OPTIONS = {
    "source": NEEDED,
    "version": TEXT,
    "checksum": TEXT,
    "runtime": NEEDED,
    "group": NEEDED,
    "settings": {"type": "dict", "required": True},
    "static": {"type": "str", "default": "static"},
    "include": {"type": "list", "elements": "str", "default": []},
    "requirements": NEEDED,
    "extras": {"type": "list", "elements": "str", "default": []},
    "default_requirements": NEEDED,
    "wheels": TEXT,
    "python": NEEDED,
    "known": {"type": "list", "elements": "str", "default": []},
}


def plain(value):
    """A value as JSON has it, whatever Ansible knows of it besides."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def seal(secrets):
    """Stand for the secrets in the id, which is public: too slow to be guessed from it. "" for none."""
    if not secrets:
        return ""
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
    """See plugins/modules/tornado_app_pack.py for what it takes and returns."""

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task, which shows nothing of an exception."""
        result = super().run(tmp, task_vars)
        try:
            return {**result, **self.pack(task_vars)}
        except Exception as problem:
            refusal = f"tornado_app_source: can't be packed, {unforeseen(problem)}"
            return {**result, "changed": False, "refusal": refusal}

    def pack(self, task_vars):
        """What the module returns."""
        words = plain(self._task.args)
        if "remove" in words:
            if os.path.basename(words["remove"]).startswith(PREFIX):
                shutil.rmtree(words["remove"], ignore_errors=True)
            return {"changed": False}
        _validated, words = self.validate_argument_spec(OPTIONS)
        words = plain(words)
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
        path = os.path.join(folder, "release.tar.gz")
        words.update(settings=settings, seal=seal(secrets), destination=path)
        found = {"changed": False, "path": path, "folder": folder, "wheels": words["wheels"], "refusal": ""}
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                found |= pack(words, scratch)
            except Refusal as problem:
                found["refusal"] = str(problem)
        if found.get("id") in words["known"]:
            shutil.rmtree(folder)
            found |= {"path": "", "folder": ""}
        return found
