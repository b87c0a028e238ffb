"""Which hosts run which app: what the inventory says of all hosts together.

The roles are strangers in their variables. This introduces them: a site names its app, and its upstreams are
the hosts and ports that the role tornado_app has for that name.
"""

from dataclasses import dataclass


@dataclass
class Member:
    """A host that runs an app, and the ports of the app there."""

    host: str
    ports: list


def named(run):
    """Name to ports of the apps that a host is to have. run: of the role tornado_app, there.

    What the role refuses there is said there; here its default stands for it.
    """
    found = {}
    for entry in run.decent("tornado_app_apps") or [{}]:
        # A name that is given flat says which app a run is about, and renames none.
        name = entry.get("name") or run.decent("tornado_app_name", __tornado_app_entry=entry)
        if run.decent("tornado_app_state", __tornado_app_entry=entry) == "present":
            found[name] = [int(one) for one in run.decent("tornado_app_ports", __tornado_app_entry=entry)]
    return found


class Cluster:
    """All hosts of an inventory. run: of any role on any of them, see the action C(inputs)."""

    def __init__(self, run):
        self.apps = {}  # name to its members, in the inventory's order
        for host in run.group("tornado_app"):
            for name, ports in named(run.on(host, "tornado_app")).items():
                self.apps.setdefault(name, []).append(Member(host, ports))

    def refusals(self, names):
        """Half a sentence for each of the apps that can be nobody's upstream."""
        there = sorted(self.apps)
        for name in names:
            if name not in self.apps:
                known = f"There are {', '.join(there)}" if there else "No host of tornado_app runs one"
                yield f"'{name}' runs on no host. {known}."
            elif not any(one.ports for one in self.apps[name]):
                yield f"'{name}' has no ports. Give it some (tornado_app_ports), or publish another app."
