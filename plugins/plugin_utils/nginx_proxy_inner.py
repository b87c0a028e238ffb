"""What nginx on an app host has for the proxies that reach its apps over the private address."""

from ansible.module_utils.parsing.convert_bool import boolean

from .cluster import below_app
from .nginx_proxy_locations import FILES, below, written
from .nginx_proxy_values import server

# What each certificate of such a server is for, beside its address: nginx looks for one name on all hosts of an app.
NAME = "app-host.tornadoes.internal"
# The name of its folder, which no site can have.
SLUG = "tornadoes_private"


def apps(visits):
    """The ways to an app: what is asked for, its name for nginx, and whether its clients stay with a port."""
    found = {}
    for site, entry in visits:
        sticky = (entry.get("sticky") or site["sticky"]) == "address"
        found[entry["app"], sticky] = {
            "asked": f"{entry['app']} address" if sticky else entry["app"],
            "name": f"tornadoes_app_{entry['app']}" + "_address" * sticky,
            "app": entry["app"],
            "sticky": sticky,
        }
    return list(found.values())


def files(visits):
    """Folders and files of the apps that proxies publish from here, each once."""
    found = {}
    for site, entry in visits:
        mine = tuple(below_app(entry["app"]))
        given = [(below(one["path"]), "^~") for one in site["static"]]
        given += [(site["favicon"], "=")] * bool(site["favicon"])
        for path, match in given:
            if not path.startswith(mine):
                continue
            one = found.setdefault(path, {"packed": False})
            one |= {
                "match": f"{match} {FILES}{path}",
                "alias": path,
                "expires": "1d" if match == "=" else "$tornadoes_expires",
                "written": written(path),
                "packed": one["packed"] or boolean(site["compression"]),
            }
    return list(found.values())


def inner(run, edge):
    """That server as data; empty where no proxy comes. run: see the action C(inputs). edge: whether visitors come."""
    cluster = run.cluster
    visitors = cluster.visitors(run.host)
    if not visitors:
        return {}
    visits = [one for several in visitors.values() for one in several]
    here = cluster.hosts[run.host]
    ways = apps(visits)
    for way in ways:
        way["servers"] = [f"127.0.0.1:{port}" for port in here.apps[way["app"]]]
    return {
        "listen": server(here.address or here.name, here.port),
        "tls_listen": server(here.address or here.name, here.tls_port),
        "names": [NAME, here.address or here.name],
        "port": here.port,
        # To the run itself, where nothing else answers it.
        "own": not edge,
        "visitors": list(visitors),
        "proxies": [cluster.hosts[name].address or name for name in visitors],
        "apps": [one for one in ways if one["servers"]],
        "units": sorted(
            {f"tornado-{way['app']}@{port}.service" for way in ways for port in here.apps[way["app"]]}
        ),
        "files": files(visits),
    }
