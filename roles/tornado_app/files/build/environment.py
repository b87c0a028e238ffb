"""Make an environment: the folder, the requirements, and a look at whether Tornado is in it.

Code of others runs here, setup.py and .pth files: in a unit without rights, which may write the
environment alone (plugins/module_utils/unprivileged.py). From stdin comes a line of
JSON, then the source as a tar stream. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from typing import Any

NO_TORNADO = 3  # exit code: all is installed, and Tornado can't be imported
# What comes is packed by root from a checked release. Newer Pythons want to be told so.
TRUSTED = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
EXIT_TIMEOUT = 5  # seconds for what a step has started and not waited for


def children() -> set[int]:
    """Processes whose parent is this one; orphans become some of them."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="latin-1") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(name))
    return found


def run(*command: str, **words: Any) -> int:
    """Run a step; its exit code. pip waits for all that hold its pipe: what is left behind is ended."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **words) as process:
        seen: dict[int, float] = {}
        while process.poll() is None:
            orphans = children() - {process.pid}
            seen = {pid: seen.get(pid, time.monotonic()) for pid in orphans}
            for pid, since in seen.items():
                if time.monotonic() - since > EXIT_TIMEOUT:
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.1)
        return process.returncode


def prepare(environment: str, files: dict[str, str]) -> dict[str, str]:
    """Make a home and a folder for temporary files, gone when all is done; the variables for them."""
    scratch = os.path.join(environment, ".build")
    for name in ("home", "tmp"):
        os.makedirs(os.path.join(scratch, name))
    for name, text in files.items():
        path = os.path.join(scratch, "home", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    return {"HOME": os.path.join(scratch, "home"), "TMPDIR": os.path.join(scratch, "tmp")}


def main() -> None:
    """Do it; the exit code says how it went."""
    os.dup2(1, 2)
    words = json.loads(sys.stdin.buffer.readline())
    environment, source = words["environment"], words["source"]
    own = prepare(environment, words["files"])
    variables = {**os.environ, "LANG": "C.UTF-8", **words["variables"], **own}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as packed:
        packed.extractall(source, **TRUSTED)  # type: ignore[arg-type]
    python = os.path.join(environment, "bin", "python")
    if run(words["python"], "-m", "venv", environment, env=variables) != 0:
        sys.exit(1)
    for step in words["steps"]:
        if step is words["steps"][-1]:
            variables |= words["version"]
        if run(python, "-m", "pip", "install", *words["pip"], *step, cwd=source, env=variables) != 0:
            sys.exit(1)
    found = run(python, "-c", "import tornado.web, tornado.autoreload", cwd="/", env=variables)
    shutil.rmtree(os.path.join(environment, ".build"), ignore_errors=True)
    sys.exit(NO_TORNADO if found != 0 else 0)


if __name__ == "__main__":
    main()
