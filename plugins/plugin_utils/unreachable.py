"""The hosts of a run that can't be reached: of which app, how many may be so, and what is said of them.

One that has answered once in a run and then is lost is none of them: it may be half-way.
"""

from .cluster import apps_of
from .values import listed

LIMIT = "tornado_app_max_unreachable"
# What tasks register of a host that they have reached, or would have, the latest first.
SAID = ("__tornado_app_before", "__tornado_app_inputs", "__tornadoes_inputs")


def silent(variables):
    """Whether a host has not been reached, by all that a run knows of it. One that has failed was."""
    for said in filter(None, map(variables.get, SAID)):
        return bool(said.get("unreachable"))
    return not variables.get("ansible_facts")


def unreachable(variables):
    """The hosts of the play that could not be reached before anything was done to them."""
    left, known = variables["ansible_play_hosts"], variables["hostvars"]
    return [one for one in variables["ansible_play_hosts_all"] if one not in left and silent(known[one])]


def refusal(app, hosts, limit):
    """Why nothing is begun without these hosts of an app."""
    return (
        f"{LIMIT}: {listed(hosts)} can't be reached, and {limit} of {app}'s hosts may be so. Try again later, leave"
        f" out what is gone (--limit '{','.join(f'!{one}' for one in hosts)}'), or give {len(hosts)}: the others"
        " go on then, and the next run brings the rest along."
    )


def limits(run, host):
    """Name to how many hosts may be missing, of the apps that a run is about on a host."""
    there = run.on(host, "tornado_app")
    entries, named = there.decent("tornado_app_apps"), there.decent("tornado_app_name")
    chosen = [one for one in entries if not named or one.get("name") == named] if entries else [{}]
    apps = apps_of(there)
    found = {}
    for entry in chosen:
        name = entry.get("name") or there.decent("tornado_app_name", __tornado_app_entry=entry)
        if name in apps:
            found[name] = int(there.decent(LIMIT, __tornado_app_entry=entry))
    return found


def refusals(run, runners):
    """A sentence for each app that too many of its hosts are missing of. runners: hosts that have apps."""
    missing = [one for one in unreachable(run.given) if one in runners]
    if not missing:
        return
    # The host that runs an app first in the inventory says how many of it.
    found = {}
    for host in runners:
        for name, limit in limits(run, host).items():
            one = found.setdefault(name, {"limit": limit, "hosts": []})
            one["hosts"] += [host] * (host in missing)
    for name, one in found.items():
        if len(one["hosts"]) > one["limit"]:
            yield refusal(name, one["hosts"], one["limit"])


def left_behind(run, runners):
    """One sentence about the hosts that a run went on without; "" where it has reached all."""
    missing = {}
    for host in unreachable(run.given):
        if host in runners and (apps := [*limits(run, host)]):
            missing.setdefault(listed(apps), []).append(host)
    if not missing:
        return ""
    said = " and ".join(f"{apps} is as it was on {listed(hosts)}" for apps, hosts in missing.items())
    return f"Not reached in this run: {said}. Run it again once that is mended."
