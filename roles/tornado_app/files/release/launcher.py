"""Start one instance of the release that this file belongs to.

    launcher.py PORT

systemd runs this with the system's Python. It resolves every link first, so
that a process keeps to one release however often ``current`` moves afterwards,
then becomes the release's own interpreter, running ``tornado_app_runner.py``.

Standard library only: nothing of the user's code is imported here.
"""

import json
import os
import sys


def command(release, settings, port):
    """What to execute, as a list: interpreter, runner, port, the program's words."""
    venv = os.path.realpath(os.path.join(release, ".release", "venv"))
    runner = os.path.join(release, ".release", "tornado_app_runner.py")
    main = settings["main"].split()
    python = os.path.join(venv, "bin", "python")
    return [python, runner, port, *main, f"--port={port}", *settings["arguments"]]


def environment(release, settings, inherited):
    """The program's environment: systemd's, the release's settings, and ours."""
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
    }


def main():
    """Become the instance on the port given as the only argument."""
    port = sys.argv[1]
    release = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with open(os.path.join(release, ".release", "settings.json"), encoding="utf-8") as file:
        settings = json.load(file)
    os.chdir(release)
    argv = command(release, settings, port)
    os.execve(argv[0], argv, environment(release, settings, os.environ))


if __name__ == "__main__":
    main()
