"""One run at a time changes an app on a host: a lock that dies with its ansible-playbook.

The lock is a flock(2) on the host, held by a small process there. That process is the
other end of a command which a child of this run keeps open, and it ends when nobody reads
from it any more. The child ends with ansible-playbook, however that ends: no clean-up is
needed, and ssh's masters, which live on for minutes, don't matter.
"""

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import threading
import time
import uuid
from getpass import getuser

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

START = 30  # seconds that the lock's process may take to start
STEP = 600  # seconds to wait for a step of a dead run that still runs on the host

# Holds the lock as long as somebody reads what it writes.
HOLD = """
import fcntl, json, os, sys, time
path, token, who = sys.argv[1:]
lock = open(path + ".lock", "a+")
os.chmod(path + ".lock", 0o644)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(0)
since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
def say(held):
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(dict(token=token, who=who, since=since, pid=os.getpid(), held=held)))
    lock.flush()
say(False)
step, waiting = open(path + ".step", "a"), True
while True:
    if waiting:
        try:
            fcntl.flock(step, fcntl.LOCK_EX | fcntl.LOCK_NB)
            step.close()
            waiting = False
            say(True)
        except OSError:
            pass
    os.write(1, b".")
    time.sleep(0.5)
"""

# What the lock says: that it is ours, or whose it is.
ASK = """
import json, os, sys, time
path, token, start, step = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
begun, found = time.time(), {}
while time.time() - begun < (step if found.get("token") == token else start):
    try:
        found = json.load(open(path + ".lock"))
    except (OSError, ValueError):
        found = {}
    ours = found.get("token") == token
    alive = bool(found) and os.path.exists("/proc/%s" % found["pid"])
    if (ours and found["held"]) or (alive and not ours):
        break
    time.sleep(0.1)
print(json.dumps(found))
"""

# Whether the lock's process has ended.
GONE = """
import json, os, sys, time
for _turn in range(100):
    try:
        found = json.load(open(sys.argv[1] + ".lock"))
    except (OSError, ValueError):
        break
    if found["token"] != sys.argv[2] or not os.path.exists("/proc/%s" % found["pid"]):
        break
    time.sleep(0.1)
"""


class ActionModule(ActionBase):
    """Take the lock of an app, or give it back.

    name (str): the app. state (str): C(held), the default, or C(released). folder (path):
    where the lock's files are on the host, /run by default.
    """

    _VALID_ARGS = frozenset(("name", "state", "folder"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["changed"] = False
        if self._task.check_mode:
            return result
        name = self._task.args["name"]
        self.path = os.path.join(self._task.args.get("folder", "/run"), f"tornado-{name}")
        self.host = (task_vars or {}).get("inventory_hostname", "the host")
        # Each task has a process of its own; this folder is the whole run's, and no other's.
        self.note = os.path.join(constants.DEFAULT_LOCAL_TMP, f"tornado_app_lock-{self.host}-{name}")
        if self._task.args.get("state", "held") == "released":
            self.release()
            return result
        token = uuid.uuid4().hex
        keeper = self.hold(token)
        found = json.loads(self.remote(ASK, self.path, token, START, STEP) or "{}")
        if found.get("token") == token and found["held"]:
            with open(self.note, "w", encoding="utf-8") as file:
                json.dump({"keeper": keeper, "token": token}, file)
            return result
        end(keeper)
        result["failed"] = True
        if found.get("token") == token:
            result["msg"] = (
                f"{name}: a step of a run that was killed has not ended on {self.host} for {STEP} s."
                f" See who holds {self.path}.step there."
            )
        elif found:
            result["msg"] = (
                f"{name}: another run is changing this app on {self.host}: {found['who']},"
                f" since {found['since']}. Try again when it has ended."
            )
        else:
            result["msg"] = f"{name}: the lock {self.path}.lock on {self.host} could not be taken."
        return result

    def release(self):
        """End the process that holds the lock, and wait until it has."""
        try:
            with open(self.note, encoding="utf-8") as file:
                noted = json.load(file)
        except FileNotFoundError:
            return
        end(noted["keeper"])
        os.unlink(self.note)
        self.remote(GONE, self.path, noted["token"])

    def remote(self, program, *words):
        """Run a program on the host; what it prints."""
        return self._low_level_execute_command(command(program, *words), sudoable=True)["stdout"].strip()

    def hold(self, token):
        """Start the child that keeps the lock's process alive; its pid.

        It leads a process group, to which the ssh client belongs as well.
        """
        run = os.getppid()
        who = f"{getuser()}@{socket.gethostname()} (pid {run})"
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            # Pipes to the run: it waits for their end.
            os.closerange(3, 4096)
            display = Display()
            display._final_q = None
            display.verbosity = 0
            threading.Thread(target=end_with, args=(run,), daemon=True).start()
            self.remote(HOLD, self.path, token, who)
        finally:
            os._exit(0)


def command(program, *words):
    """A shell's command line for a Python program."""
    return shlex.join(["/usr/bin/python3", "-c", program, *map(str, words)])


def end(group):
    """Kill a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_with(run):
    """End this process group when the run has ended, be it by SIGKILL."""
    try:
        select.select([os.pidfd_open(run)], [], [])
    except (AttributeError, OSError):  # not Linux
        with contextlib.suppress(OSError):
            while True:
                os.kill(run, 0)
                time.sleep(0.5)
    end(0)
