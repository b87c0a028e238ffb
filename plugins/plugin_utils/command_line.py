"""What the command line of a run says."""

from pathlib import Path

from ansible import context

ROOT = Path(__file__).resolve().parent.parent.parent
COLLECTION = "tornadoes.tornadoes"


def own_playbooks():
    """The project's playbooks that this run was given, by file or by name; none if others are among them."""
    found = []
    for given in context.CLIARGS.get("args", ()):
        path = Path(given)
        name = given.removeprefix(f"{COLLECTION}.")
        if name != given and not path.exists():
            path = ROOT / "playbooks" / f"{name}.yml"
        if path.resolve().parent not in (ROOT, ROOT / "playbooks"):
            return []
        found.append(path)
    return found
