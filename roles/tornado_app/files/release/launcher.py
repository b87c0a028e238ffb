"""Start what belongs to the release that this file is part of.

    launcher.py PORT            become the instance on that port
    launcher.py run WORD...     become a command (a hook), with the release's environment
    launcher.py job NAME NUMBER become a worker, the so-maniest of that name, or what a timer starts

Run with the system's Python. It resolves every link first, so that a process keeps to
one release however often ``current`` moves afterwards.

Standard library only: nothing of the user's code is imported here.
"""

import ctypes
import json
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)
PORT = "{port}"  # what stands for the instance's port in arguments and environment
INSTANCE = "{instance}"  # what stands for a worker's number in its command


def program(release: str, settings: dict[str, Any], port: str) -> list[str]:
    """What an instance executes: interpreter, runner, port, the program's words."""
    runner = os.path.join(release, ".release", "tornado_app_runner.py")
    main, arguments = shlex.split(settings["main"]), settings["arguments"]
    said = any(PORT in str(one) for one in [*main, *arguments, *settings["environment"].values()])
    option = [] if said or settings.get("listens_on") else [f"--port={port}"]
    words = [word.replace(PORT, port) for word in [*main, *option, *arguments]]
    return [python(release), runner, port, *words]


def job(release: str, settings: dict[str, Any], name: str, number: str) -> list[str]:
    """What a worker or a timer executes: a script of the release, a module, or a command."""
    jobs = [*settings.get("workers", []), *settings.get("timers", [])]
    commands = [one["command"] for one in jobs if one["name"] == name]
    if not commands:
        sys.exit(f"This release has no worker and no timer of the name {name}.")
    first, *more = [word.replace(INSTANCE, number) for word in shlex.split(commands[0])]
    if first == "-m" or os.path.isfile(os.path.join(release, settings.get("folder", ""), first)):
        return [python(release), first, *more]
    return [os.path.join(os.path.dirname(python(release)), first), *more]


def python(release: str) -> str:
    """The interpreter of the release's environment."""
    return os.path.join(os.path.realpath(os.path.join(release, ".release", "venv")), "bin", "python")


def environment(
    release: str, settings: dict[str, Any], port: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The environment: the service's, the release's settings, and ours. port: "0" for what has none."""
    secrets = os.path.join(release, ".release", "secrets")
    # systemd's own name for "files with secrets that only this service reads".
    credentials = {"CREDENTIALS_DIRECTORY": secrets} if os.path.isdir(secrets) else {}
    own = {name: str(value).replace(PORT, port) for name, value in settings["environment"].items()}
    path = own.get("PATH") or inherited.get("PATH") or os.defpath
    return {
        # Code below /srv is not writable for the program; logs want whole lines.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **inherited,
        **own,
        **credentials,
        "PATH": f"{os.path.dirname(python(release))}:{path}",
        "TORNADO_APP_RELEASE": os.path.basename(release),
        "TORNADO_APP_DRAIN_TIMEOUT": str(settings.get("drain_timeout", 30)),
        "TORNADO_APP_LISTENS_ON": str(settings.get("listens_on", 0)),
        "TORNADO_APP_UPLOADS": ":".join(settings.get("uploads", [])),
    }


def fill(release: str, shared: list[str]) -> None:
    """Let there be what the links of the release lead to: as the release has it, where there is nothing yet.

    Others may do the same at the same time. The release's content has its name only when it is whole.
    """
    for entry in shared:
        path = entry.rstrip("/")
        target, first = os.readlink(f"{release}/{path}"), f"{release}/.release/shared/{path}"
        if os.path.lexists(target):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(first):
            if entry.endswith("/"):
                os.makedirs(target, exist_ok=True)
            continue
        import shutil  # which takes time that no later start shall take
        import tempfile

        with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
            copy = f"{folder}/first"
            try:
                if os.path.isdir(first):
                    shutil.copytree(first, copy, symlinks=True)
                    os.rename(copy, target)
                else:
                    shutil.copy(first, copy)
                    os.link(copy, target)
            except OSError:
                if not os.path.lexists(target):
                    raise


def main() -> None:
    """Become what the arguments say."""
    release = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with open(os.path.join(release, ".release", "settings.json"), encoding="utf-8") as file:
        settings = json.load(file)
    os.chdir(os.path.join(release, settings.get("folder", "")))
    if not os.path.exists(python(release)):
        gone = os.path.realpath(python(release))
        sys.exit(f"This release needs {gone}, which is not on the host any more. site.yml makes it anew.")
    try:
        fill(release, settings.get("shared", []))
    except OSError as problem:
        sys.exit(f"tornado_app_shared: what releases share can't be made ({problem}).")
    kind = sys.argv[1]
    variables = environment(release, settings, "0" if kind in ("run", "job") else kind, os.environ)
    if kind in ("run", "job"):
        argv = sys.argv[2:] if kind == "run" else job(release, settings, *sys.argv[2:])
        os.execvpe(argv[0], argv, variables)
    argv = program(release, settings, kind)
    # Until it accepts (the runner ends this) it is of no use without its keeper.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execve(argv[0], argv, variables)


if __name__ == "__main__":
    main()
