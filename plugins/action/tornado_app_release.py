"""Take a release to the host: its archive as a file, and its secrets through a pipe alone.

Neither a file that Ansible copies nor a module's arguments would do for these: both can touch the
controller's disk, where a killed run leaves them.
"""

import json
import shlex

from ansible.plugins.action import ActionBase

from ..plugin_utils.apply import apply
from ..plugin_utils.command_line import ROOT

COMPILER = ROOT / "roles/tornado_app/files/build/compile.py"

# Gets its words as the last line of what it is given. A release gets its name when all of it is there.
FINISH = """
import grp, json, os, shutil
words = json.loads(WORDS)
group = grp.getgrnam(words["group"]).gr_gid
partial = words["path"] + ".partial"
folder = partial + "/.release/secrets"
os.umask(0o077)
if words["secrets"]:
    os.mkdir(folder)
for name, text in words["secrets"].items():
    with open(os.path.join(folder, name), "x", encoding="utf-8") as file:
        file.write(text)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o640)
        os.fsync(file.fileno())
if words["secrets"]:
    os.chown(folder, 0, group)
    os.chmod(folder, 0o750)
if os.path.isdir(words["path"]):
    # The same, from when its environment was there.
    shutil.rmtree(partial)
else:
    os.rename(partial, words["path"])
"""


class ActionModule(ActionBase):
    """The module's options but C(program). archive: on the controller. secrets: the name of a variable."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = {**self._task.args, "program": COMPILER.read_text()}
        if self._task.check_mode:
            return {**result, "changed": True, "log": []}
        if words.get("archive"):
            there = self._connection._shell.join_path(self._connection._shell.tmpdir, "release.tar.gz")
            words["archive"] = self._transfer_file(words["archive"], there)
        try:
            done = apply(self, "tornado_app_release", words, task_vars)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        if words.get("complete", True) and not done.get("failed"):
            done |= self.finish(words, task_vars)
        return {**result, **done}

    def finish(self, words, task_vars):
        """Write the secrets, and give the release its name; what that adds to the result."""
        secrets = self._templar.template(task_vars.get(words.get("secrets"), {}))
        given = {"path": words["path"], "group": words["group"]}
        given["secrets"] = {name: str(value) for name, value in secrets.items()}
        program = f"WORDS = {json.dumps(given)!r}\n{FINISH}"
        # From stdin, as Ansible's pipelining does.
        command = shlex.join(["/usr/bin/python3", "-I", "-"])
        said = self._low_level_execute_command(command, in_data=program.encode(), sudoable=True)
        if said["rc"] == 0:
            return {}
        reason = said["stderr"].strip() or said["stdout"].strip() or f"rc={said['rc']}"
        return {"failed": True, "msg": f"it can't be completed: {reason.splitlines()[-1]}"}
