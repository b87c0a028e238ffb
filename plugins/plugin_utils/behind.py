"""Which hosts a proxy is to ask last, since a release of an app goes on without them.

It is told before any host serves the release: whoever comes back meanwhile has the one before. It asks a host as
before once a release has come there in a run, or where this one has come to none.
"""

from ..module_utils.nginx_drain import parted
from ..module_utils.nginx_paths import DRAINED
from .unreachable import unreachable

MARKED = "__tornado_app_marked"  # what the task before the release registers


def asked(app, host, proxy, run):
    """Whether a proxy sends a host visitors of the app. run: of the role nginx_proxy, on any host."""
    takes = host in [one.name for one in run.cluster.takers(app)]
    return takes and any(entry["app"] == app for _site, entry in run.cluster.visitors(host).get(proxy, []))


def behind(hosts, proxy, run):
    """The hosts that a release leaves behind, of those that the proxy sends visitors. hosts: see Together."""
    missing = [one for one in hosts.every if one in unreachable(hosts.variables)]
    return [one for one in missing if asked(hosts.app, one, proxy, run)]


def marked(hosts, proxy):
    """What the task before the release has said of the proxy."""
    told = (hosts.variables.get(MARKED) or {}).get("results", [])
    return next((one for one in told if one.get("__tornado_app_proxy") == proxy), {})


def may_note(hosts, proxy):
    """Whether a proxy may have a note about a host of the app. site.yml has looked; another run does not know."""
    looked = hosts.variables["hostvars"][proxy].get("__tornadoes_inputs") or {}
    seen = looked.get("roles", {}).get("nginx_proxy", {}).get("folders")
    return not seen or any(app == hosts.app for _host, app in parted(seen[DRAINED])[1])


def concerned(hosts, run):
    """Proxies that have to hear of a release: before it (late), and once it has come to hosts or to none (after)."""
    proxies = hosts.variables["groups"].get("nginx_proxy", [])
    late = [one for one in proxies if behind(hosts, one, run)]
    unsure = [one for one in proxies if one in late or may_note(hosts, one)]
    after = [
        one for one in unsure if one in late or any(asked(hosts.app, host, one, run) for host in hosts.hosts)
    ]
    return {"late": late, "after": after}


def along(hosts, proxy, run):
    """The hosts that the proxy is to ask as before, now that the release has come to them, or to none."""
    if not hosts.taken():
        return marked(hosts, proxy).get("added", [])
    if not may_note(hosts, proxy):
        return []
    there = [one for one in hosts.hosts if one not in hosts.lost()]
    return [one for one in there if asked(hosts.app, one, proxy, run)]
