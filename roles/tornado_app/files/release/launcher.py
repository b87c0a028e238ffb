"""Start what belongs to the release that this file is part of.

    launcher.py PORT            become the instance on that port
    launcher.py run WORD...     become a command (a hook), with the release's environment

Run with the system's Python. It resolves every link first, so that a process keeps to
one release however often ``current`` moves afterwards.

Standard library only: nothing of the user's code is imported here.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)


def program(release: str, settings: dict[str, Any], port: str) -> list[str]:
    """What an instance executes: interpreter, runner, port, the program's words."""
    runner = os.path.join(release, ".release", "tornado_app_runner.py")
    main = settings["main"].split()
    return [python(release), runner, port, *main, f"--port={port}", *settings["arguments"]]


def python(release: str) -> str:
    """The interpreter of the release's environment."""
    return os.path.join(os.path.realpath(os.path.join(release, ".release", "venv")), "bin", "python")


def environment(release: str, settings: dict[str, Any], inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment: the service's, the release's settings, and ours."""
    secrets = os.path.join(release, ".release", "secrets")
    # systemd's own name for "files with secrets that only this service reads".
    credentials = {"CREDENTIALS_DIRECTORY": secrets} if os.path.isdir(secrets) else {}
    return {
        # Code below /srv is not writable for the program; logs want whole lines.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **inherited,
        **settings["environment"],
        **credentials,
        "TORNADO_APP_RELEASE": os.path.basename(release),
        "TORNADO_APP_DRAIN_TIMEOUT": str(settings.get("drain_timeout", 30)),
    }


def main() -> None:
    """Become what the arguments say."""
    release = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with open(os.path.join(release, ".release", "settings.json"), encoding="utf-8") as file:
        settings = json.load(file)
    os.chdir(release)
    variables = environment(release, settings, os.environ)
    if sys.argv[1] == "run":
        argv = sys.argv[2:]
        variables["PATH"] = f"{os.path.dirname(python(release))}:{variables['PATH']}"
        os.execvpe(argv[0], argv, variables)
    argv = program(release, settings, sys.argv[1])
    # Until it accepts (the runner ends this) it is of no use without its keeper.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execve(argv[0], argv, variables)


if __name__ == "__main__":
    main()
