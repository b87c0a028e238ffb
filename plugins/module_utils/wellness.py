"""Whether a host is well: its system, what the roles have on it, what its apps run. Standard library only."""

import glob
import os

from . import redis_sentinel
from .host import look
from .redis_replication import standing
from .systemd import properties, run

UNITS = ("nginx", "keepalived", "redis-server")  # of the roles, beside the apps' own
TARGETS = "/etc/systemd/system/tornado-*.target"


def apps():
    """Names of the apps that the host has."""
    names = [os.path.basename(path)[len("tornado-") : -len(".target")] for path in glob.glob(TARGETS)]
    return sorted(names)


def ask():
    """What there is to see: the system's state, units that have failed, those of ours that run, the apps."""
    _code, state = run("systemctl", "is-system-running")
    _code, failed = run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend")
    active = [unit for unit in UNITS if properties(unit, "ActiveState").get("ActiveState") == "active"]
    statuses = [look(name) for name in apps()]
    return {
        "system": state.strip(),
        # Of an app's own, each try that has failed is one; the app says how it is.
        "failed_units": [
            line.split()[0]
            for line in failed.splitlines()
            if line.strip() and not line.startswith("tornado-")
        ],
        "active": active,
        # Of several with one Redis.
        "redis": standing() if os.path.exists(redis_sentinel.DROP_IN) else {},
        "apps": [
            {
                "name": one["name"],
                "python": one["python"],
                "current": one["current"],
                "unstartable": one["unstartable"],
                "ports": {port: [each["state"], each["release"]] for port, each in one["ports"].items()},
                "workers": {key: each["state"] for key, each in one["workers"].items()},
            }
            for one in statuses
        ],
    }


def about_redis(found):
    """Why one of several Redises is not well. found: where it stands; empty of a Redis that is alone."""
    if not found:
        return
    if not found["role"]:
        yield "its Redis does not answer"
    elif not found["sentinel"]:
        yield "its Sentinel does not answer"
    elif found["sentinel"] != found["address"] and not found["linked"]:
        yield f"its Redis does not follow the master, {found['sentinel']}"
    if found["misses"]:
        yield f"its Sentinel misses the Redis at {', '.join(found['misses'])}"


def troubles(found, before):
    """Why the host is not well, a sentence each. before: how it was when it was well; empty for any."""
    if found["system"] not in ("running", "degraded"):
        yield f"its system is {found['system']}"
    if before and (failed := sorted(set(found["failed_units"]) - set(before["failed_units"]))):
        yield f"{', '.join(failed)} failed"
    if before and (ended := [unit for unit in before["active"] if unit not in found["active"]]):
        yield f"{', '.join(ended)} does not run"
    yield from about_redis(found["redis"])
    were = {app["name"]: app for app in before.get("apps", [])}
    for app in found["apps"]:
        name, current = app["name"], app["current"]
        if app["unstartable"]:
            yield f"{name}'s release {current} {app['unstartable']}: site.yml makes it anew"
        for port, (state, release) in app["ports"].items():
            if state != "serving":
                yield f"{name} is {state} on port {port}"
            elif release != current:
                yield f"{name} runs release {release} on port {port}, and {current} is the current one"
        for worker, state in app["workers"].items():
            if state != "active":
                yield f"{name}'s worker {worker} is {state}"
        if name in were and were[name]["current"] != current:
            yield f"{name} has release {current or 'none'}, and had {were[name]['current']}"
    for name in sorted(set(were) - {app["name"] for app in found["apps"]}):
        yield f"{name} is gone"
