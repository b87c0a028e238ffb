"""One run at a time changes an app on a host: a lock that ends with its ansible-playbook.

The lock is a flock(2) on the host, held by a small process there as long as somebody
reads what it writes. The reader is a child of this run that outlives its task: it ends
with ansible-playbook, however that ends, and its ssh client or shell with it. Nothing
needs to clean up, and that ssh's masters live on for minutes doesn't matter. A released lock
is free within some tenths of a second; a run that wants it meanwhile waits longer than that.

With the lock comes what the host has of the app: nobody else changes it from here on.
"""

import contextlib
import json
import multiprocessing
import os
import select
import shlex
import signal
import socket
import threading
import uuid
from getpass import getuser
from urllib.parse import quote

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

START_TIMEOUT = 30  # seconds that the lock's process may take to start
STEP_TIMEOUT = 600  # seconds for a step of a dead run that still runs on the host


def text_of(name):
    """A file of module_utils, for the programs below."""
    with open(os.path.join(os.path.dirname(__file__), "../module_utils", name), encoding="utf-8") as file:
        return file.read()


# How a file that is locked is opened.
OPEN = text_of("lockfile.py")

# Takes the lock, waits for the step of a dead run, and holds on while it can write.
HOLD = f"""{OPEN}
import fcntl, json, os, sys, time
path, token, who = sys.argv[1:]
def take(kind):
    file = open_lock(path + kind)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another file by now, if somebody removed the one that was opened.
        return file if os.path.samestat(os.fstat(file.fileno()), os.stat(path + kind)) else None
    except OSError:
        return None
def say(held):
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(dict(who=who, since=since, token=token, held=held)) + "\\n")
    lock.flush()
def beat():
    os.write(1, b"\\n")
    time.sleep(0.1)
while not (lock := take(".lock")):
    beat()
since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
say(False)
while not take(".step"):
    beat()
say(True)
while True:
    beat()
"""

# What the lock says while a run holds it. Shared locks do not disturb each other; a run that
# wants to hold it tries again.
ASK = f"""{OPEN}
import fcntl, json, os, sys, time
path, token = sys.argv[1:3]
begun = time.time()
open_lock(path + ".step").close()
def ask():
    with open_lock(path + ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return dict()
        except BlockingIOError:
            try:
                return json.load(file)
            except ValueError:  # being written
                return dict(token="")
def waited():
    return time.time() - begun
"""

# Waits until it is ours. Only after a while is it another run's: that of a dead run takes a second to go.
TAKEN = f"""{ASK}
while True:
    found = ask()
    if found.get("token") == token:
        if found["held"] or waited() > {STEP_TIMEOUT}:
            break
    elif waited() > (1.5 if found.get("token") else {START_TIMEOUT}):
        break
    time.sleep(0.1)
print(json.dumps(found))
if found.get("token") != token or not found["held"]:
    sys.exit()
"""

# Prints the status of the app that the last word names.
STATUS = f"""
import json, sys
names = dict(__name__="host")
exec({text_of("host.py")!r}, names)
print(json.dumps(names["look"](sys.argv[-1])))
"""

# What it tells. Nothing else of an answer goes into a result: Ansible obeys some words there (add_host).
FOUND = [
    "name",
    "unstartable",
    "account",
    "open_releases",
    "python",
    "current",
    "releases",
    "history",
    "last",
    "bad",
    "owed",
    "previous",
    "venvs",
    "half_built",
    "units",
    "ports",
    "workers",
    "timers",
    "job_files",
    "replacing",
]


def caller():
    """Who runs Ansible, and where."""
    try:
        name = getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


class ActionModule(ActionBase):
    """Take the lock of an app, or give it back. Neither is a change.

    name: the app. state: held (default) or released. status: whether to say what the host has of the
    app, as the module C(tornado_app_status) does. folder: where the lock's files are.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        _validated, words = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
                "status": {"type": "bool", "default": False},
                "folder": {"type": "path", "default": "/run"},
            }
        )
        self.app, self.host = words["name"], task_vars["inventory_hostname"]
        self.path = os.path.join(words["folder"], f"tornado-{self.app}")
        # What the run's tasks know of each other. The folder is the run's alone and goes with it.
        self.note = os.path.join(constants.DEFAULT_LOCAL_TMP, quote(f"{self.host}:{self.path}.lock", safe=""))
        said, status = [], STATUS if words["status"] else ""
        if not self._task.check_mode:
            self.release()
            if words["state"] == "held":
                said = self.take(status)
        elif status:
            said = self.remote(status, self.app)
        answer = json.loads(said[-1]) if status and said else {}
        found = {key: answer[key] for key in FOUND} if answer else {}
        return {**result, **found, "who": caller(), "changed": False}

    def take(self, status):
        """Take the lock; what a program says once it is ours. AnsibleActionFail: somebody else has it."""
        token = uuid.uuid4().hex
        with open(self.note, "w", encoding="ascii") as note:
            note.write(token)
        try:
            self.hold(token)
            said = self.remote(TAKEN + status, self.path, token, self.app)
            found = json.loads(said[0])
            if found.get("token") != token or not found["held"]:
                raise AnsibleActionFail(self.refusal(found, token))
        except BaseException:
            os.unlink(self.note)
            raise
        return said

    def refusal(self, found, token):
        """The sentence for what was found instead of a lock of our own."""
        if found.get("token") == token:
            return (
                f"{self.app}: a step of a run that was killed has been running on {self.host} for"
                f" {STEP_TIMEOUT} s. Look there for who holds {self.path}.step."
            )
        if found.get("token"):
            return (
                f"{self.app}: another run is changing this app on {self.host}: {found['who']},"
                f" since {found['since']}. Try again when it has ended."
            )
        return f"{self.app}: {self.path}.lock could not be taken on {self.host} within {START_TIMEOUT} s."

    def release(self):
        """Give back what this run has taken."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.note)

    def remote(self, program, *words):
        """Run a Python program on the host; the lines that it prints."""
        # From stdin, as Ansible's pipelining does: no terminal, and nothing long in ps.
        command = shlex.join(["/usr/bin/python3", "-I", "-", *words])
        said = self._low_level_execute_command(command, in_data=program.encode(), sudoable=True)
        if said["rc"] != 0:
            reason = (said["stderr"].strip() or said["stdout"].strip() or f"rc={said['rc']}").split("\n")[-1]
            if "must have a tty" in reason:
                reason += ". What a run gives by stdin has no terminal: take requiretty out of its sudoers"
            raise AnsibleActionFail(f"{self.app}: no answer about {self.path}.lock on {self.host}: {reason}")
        return said["stdout"].strip().split("\n")

    def hold(self, token):
        """Start the child that keeps the lock's process going."""
        run = multiprocessing.parent_process().pid
        who = f"{caller()} (pid {run})"
        if os.fork():
            return
        try:
            os.setsid()  # a process group, to which the ssh client belongs as well
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # The run's pipes and files: not to be kept open, nor to be written to by Display.
            os.closerange(3, 1 << 16)
            Display()._final_q = None
            Display().verbosity = 0
            threading.Thread(target=end_with, args=(run, self.note, token), daemon=True).start()
            self.remote(HOLD, self.path, token, who)
        finally:
            os._exit(0)  # never back into Ansible, which would go on as a second worker


def noted(path):
    """The token in a note; empty where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as note:
        return note.read()
    return ""


def end_with(run, note, token):
    """End this process group when a process has ended, by SIGKILL or not, or the note is of another lock."""
    watched = []
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        watched.append(os.pidfd_open(run))  # also tells of a zombie's end
    with contextlib.suppress(OSError):
        while noted(note) == token and not select.select(watched, [], [], 0.05)[0]:
            os.kill(run, 0)
    os.killpg(0, signal.SIGKILL)
