"""Write a release's secrets on the host, through a pipe alone.

Neither a file that Ansible copies nor a module's arguments would do: both can touch the
controller's disk, where a killed run leaves them.
"""

import json
import shlex

from ansible.plugins.action import ActionBase

# Gets its words as the last line of what it is given; a folder of secrets is whole or not there.
WRITE = """
import grp, json, os, shutil
words = json.loads(WORDS)
group = grp.getgrnam(words["group"]).gr_gid
folder = words["folder"]
os.umask(0o077)
shutil.rmtree(folder, ignore_errors=True)
os.mkdir(folder)
for name, text in words["secrets"].items():
    with open(os.path.join(folder, name), "x", encoding="utf-8") as file:
        file.write(text)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o640)
        os.fsync(file.fileno())
os.chown(folder, 0, group)
os.chmod(folder, 0o750)
"""


class ActionModule(ActionBase):
    """folder: where they go. group: who may read them besides root. secrets: name to value.

    What goes wrong comes back as ``refusal``, since no_log hides a failure's message.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        words = dict(self._task.args)
        words["secrets"] = {name: str(value) for name, value in words["secrets"].items()}
        refusal = ""
        if not self._task.check_mode:
            program = f"WORDS = {json.dumps(words)!r}\n{WRITE}"
            command = shlex.join(["/usr/bin/python3", "-I", "-"])
            said = self._low_level_execute_command(command, in_data=program.encode(), sudoable=True)
            if said["rc"] != 0:
                reason = said["stderr"].strip() or said["stdout"].strip() or f"rc={said['rc']}"
                reason = reason.splitlines()[-1]
                refusal = f"the secrets can't be written to {words['folder']}: {reason}"
        return {**result, "changed": True, "refusal": refusal}
