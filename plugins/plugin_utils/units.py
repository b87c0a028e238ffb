"""What all releases of an app share on a host, as the modules take it: keeper, units, the status command."""

from ansible.template import trust_as_template

from .command_line import ROOT

ROLE = ROOT / "roles/tornado_app"
TEMPLATES = ROLE / "templates"


def ports_of_others(run):
    """The TCP ports of nginx and Redis on a host, as the inventory has them. run: of any role, there."""
    groups = {"nginx_proxy": ["nginx_proxy", "tornado_app"], "redis_server": ["redis_server"]}
    found = set()
    for role, names in groups.items():
        if any(run.host in run.group(name) for name in names):
            there = run.on(run.host, role)
            there.types()
            found.update(there.inputs.listens())
    return sorted(found)


def units(templar, unit, ports):
    """C(keeper), C(files) and C(command) of the module C(tornado_app_units).

    templar: of a task, with the app's variables. unit: what the app's files are called by. ports: those that
    the program may not listen on.
    """
    denied = "\n".join(f"SocketBindDeny=tcp:{one}" for one in ports)
    # Not the lookup: it copies all variables of a run for each template. Of one that says nothing, it is None.
    files = {
        f"/{path.parent.relative_to(TEMPLATES)}/{path.stem.replace('tornado-app', unit)}": templar.template(
            trust_as_template(path.read_text().replace("SocketBindDeny=@ports_of_others@", denied))
        )
        or ""
        for path in sorted(TEMPLATES.rglob("*.j2"))
    }
    return {
        "keeper": {path.name: path.read_text() for path in sorted((ROLE / "files/keeper").glob("*.py"))},
        "files": files,
        "command": (ROOT / "plugins/module_utils/host.py").read_text(),
    }
