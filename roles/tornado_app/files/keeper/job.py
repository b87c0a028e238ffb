"""Start a process of an app that has no port: a worker, or what a timer starts.

    job.py choose UNIT    as root, first: which release it is about to run
    job.py start UNIT     as the app's account, in its sandbox: become it

Root alone says what a unit runs: the first writes it where the second and who deploys read it. So a swap
that comes between both changes neither, and a program can't claim to be of another release.

Standard library only.
"""

import contextlib
import json
import os
import re
import runpy
import sys

from worker import keep_to_itself

UNIT = re.compile(r"[a-z0-9-]+_([a-z0-9-]+?)(?:@([0-9]+))?\.service")  # its name, and which one of several


def choose(home: str, chosen: str) -> None:
    """Write which release the unit runs, and which unit file it was started by."""
    release = os.path.realpath(os.path.join(home, "current"), strict=True)
    for folder in (os.path.dirname(os.path.dirname(chosen)), os.path.dirname(chosen)):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
            os.chmod(folder, 0o755)
    said = {"release": os.path.basename(release), "made_of": os.environ["TORNADO_APP_MADE_OF"]}
    with open(f"{chosen}.partial", "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o644)
        json.dump(said, file)
    os.replace(file.name, chosen)


def start(home: str, chosen: str, unit: str) -> None:
    """Become the process, by the launcher of the release that was chosen."""
    with open(chosen, encoding="ascii") as file:
        release = os.path.join(home, "releases", json.load(file)["release"])
    found = UNIT.fullmatch(unit)
    if not found:
        sys.exit(f"{unit} is no unit of a worker or a timer.")
    keep_to_itself()
    sys.argv = [os.path.join(release, ".release", "launcher.py"), "job", found[1], found[2] or "1"]
    runpy.run_path(sys.argv[0], run_name="__main__")


def main() -> None:
    """systemd calls this."""
    verb, unit = sys.argv[1:]
    home = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
    chosen = f"/run/tornado-{os.path.basename(home)}/jobs/{unit}"
    if verb == "choose":
        choose(home, chosen)
    else:
        start(home, chosen, unit)


if __name__ == "__main__":
    main()
