"""Which hosts run which app, and how proxies reach them: what the inventory says of all hosts together.

The roles are strangers in their variables. This introduces them: a site names its app, and its upstreams are
the hosts and ports that the role tornado_app has for that name.
"""

import ipaddress
from dataclasses import dataclass
from functools import cached_property

from ansible.module_utils.parsing.convert_bool import boolean

from .tornado_app import NAME
from .values import address, filled, listed, whole

# Of each host, for all roles.
ADDRESS, WEIGHT = "tornadoes_private_address", "tornadoes_weight"
# What is said of them where they are given, as a role's meta/argument_specs.yml does.
OPTIONS = {ADDRESS: {"type": "str"}, WEIGHT: {"type": "raw"}}
PRIVATE = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
MOST = 100  # times as many requests as the other hosts


def private(text):
    """Whether a text is an address of a private network (RFC 1918, RFC 4193)."""
    found = address(text)
    return found is not None and any(found in one for one in PRIVATE)


def seen(facts):
    """The private addresses that a host's facts have; None where nobody has looked.

    The first of each interface: further ones may float. Those of IPv6 count where there is none of IPv4.
    """
    if "interfaces" not in facts:
        return None
    cards = [facts.get(name.replace("-", "_"), {}) for name in facts["interfaces"]]
    four = [card["ipv4"]["address"] for card in cards if card.get("ipv4")]
    six = [card["ipv6"][0]["address"] for card in cards if card.get("ipv6")]
    six += [one["address"] for card in cards for one in card.get("ipv6", [])[1:]]
    return [one for one in four if private(one)] or [one for one in six if private(one)]


@dataclass
class Host:
    """A host of the cluster. address: its private one, "" with the reason in why. weight: as it was given.

    port: on which its nginx answers proxies. tls: whether they come by TLS, and tls_port: on which then.
    apps: name to ports of those that it is to have. http_port: on which visitors come to it, where it is a proxy.
    proxy_protocol: whether they come there through a balancer that says so.
    """

    name: str
    address: str
    why: str
    weight: object
    port: int
    tls: bool
    tls_port: int
    apps: dict
    http_port: int
    proxy_protocol: bool

    @property
    def share(self):
        """How many requests it gets, as a number."""
        return 1 if self.weight == "backup" else int(self.weight) if whole(self.weight, 0, MOST) else 1

    @property
    def backup(self):
        """Whether it gets requests only where no other host can be reached."""
        return self.weight == "backup"


def located(run):
    """A host's private address, and why there is none."""
    given = run.quietly(ADDRESS)
    if given is not None:
        return (given, "") if private(given) else ("", f"'{given}' of {run.host} is no private address")
    found = seen(run.facts)
    if found is None:
        # How the controller reaches it may say so.
        outer = run.quietly("ansible_host") or run.host
        return (outer, "") if private(outer) else ("", f"{run.host} was not looked at in this run")
    if len(found) == 1:
        return found[0], ""
    many = f"several ({listed(found)})" if found else "none that is private"
    return "", f"{run.host} has {many}"


def apps_of(run):
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


def misnamed(run):
    """Whether the role tornado_app refuses what the apps of a host are called. run: of that role, there."""
    run.types()
    refused = {"tornado_app_apps", "tornado_app_name"} & set(run.refused)
    return bool(refused) or not all(map(NAME.fullmatch, apps_of(run)))


def below_app(name):
    """The folders of an app on its hosts."""
    return [f"/srv/{name}/", f"/var/lib/tornado-{name}/", f"/var/cache/tornado-{name}/"]


def with_app(site):
    """The site itself and its paths, as far as they name their app."""
    return [one for one in [site, *site["paths"]] if one["app"]]


def sites_of(run):
    """The sites that a proxy is to have, with all their keys. run: of the role nginx_proxy, there."""
    options = run.options["nginx_proxy_sites"]["options"]
    sites = [filled(options, one) for one in run.decent("nginx_proxy_sites")]
    for site in sites:
        site["paths"] = [filled(options["paths"]["options"], one) for one in site["paths"]]
    return [one for one in sites if one["state"] == "present"]


class Cluster:
    """All hosts of an inventory. run: of any role on any of them, see the action C(inputs)."""

    def __init__(self, run):
        self.run = run
        self.runners = run.group("tornado_app")
        # In a playbook of one's own a proxy may be in another group.
        self.proxies = run.group("nginx_proxy") or [run.host]

    @cached_property
    def hosts(self):
        """Name to host of all that run apps or are proxies."""
        found = {}
        for name in dict.fromkeys([*self.runners, *self.proxies]):
            run = self.run.on(name, "nginx_proxy")
            weight = run.quietly(WEIGHT)
            found[name] = Host(
                name,
                *located(run),
                1 if weight is None else weight,
                run.decent("nginx_proxy_private_port"),
                boolean(run.decent("nginx_proxy_private_tls")),
                run.decent("nginx_proxy_private_tls_port"),
                apps_of(self.run.on(name, "tornado_app")) if name in self.runners else {},
                run.decent("nginx_proxy_http_port"),
                boolean(run.decent("nginx_proxy_proxy_protocol")),
            )
        return found

    @cached_property
    def sites(self):
        """Name of a proxy to its sites."""
        return {name: sites_of(self.run.on(name, "nginx_proxy")) for name in self.proxies}

    def members(self, app):
        """The hosts that run an app, in the inventory's order."""
        return [self.hosts[name] for name in self.runners if app in self.hosts[name].apps]

    def alone(self, app, proxy):
        """Whether a proxy is the one host that runs an app, so that nobody else is asked."""
        return [one.name for one in self.members(app)] == [proxy]

    def takers(self, app):
        """The hosts that get requests for an app."""
        return [one for one in self.members(app) if one.apps[app] and one.share]

    def visitors(self, name):
        """The proxies that reach a host's apps over its private address: name to what they publish of them.

        That is a site, and the entry that names the app: the site itself, or one of its paths.
        """
        found = {}
        for proxy in self.proxies:
            for site in self.sites[proxy]:
                for entry in with_app(site):
                    app = entry["app"]
                    if app in self.hosts[name].apps and not self.alone(app, proxy):
                        found.setdefault(proxy, []).append((site, entry))
        return found

    def asked_of_a_ca(self, proxy):
        """The names for which a proxy asks a public CA."""
        sites = [one for one in self.sites.get(proxy, []) if one["tls"] == "acme"]
        return {name for site in sites for name in site["names"] + site["redirects"]}

    def challenged(self, proxy):
        """The other proxies that ask a public CA for a name of this one, as far as they can be reached.

        The CA's question comes to any of them.
        """
        own = self.asked_of_a_ca(proxy)
        others = [one for one in self.proxies if one != proxy and own & self.asked_of_a_ca(one)]
        return [self.hosts[one] for one in others if self.hosts[one].address]

    def challenged_privately(self, proxy):
        """Whether a proxy and those others ask each other on their private ports.

        nginx can't ask with the PROXY protocol. Where one proxy wants it on its public ports, all do without
        these, so that none has to know of each other how it is asked.
        """
        taken = any(self.hosts[one].proxy_protocol for one in self.proxies)
        return bool(taken and self.hosts[proxy].address and self.challenged(proxy))

    def apart(self, proxy):
        """The apps that a proxy reaches over private addresses."""
        names = dict.fromkeys(entry["app"] for site in self.sites.get(proxy, []) for entry in with_app(site))
        return [one for one in names if self.members(one) and not self.alone(one, proxy)]

    def writable(self, name):
        """The folders, besides their own, that apps may write on a host."""
        if name not in self.runners:
            return []
        run = self.run.on(name, "tornado_app")
        entries = run.decent("tornado_app_apps") or [{}]
        found = [run.decent("tornado_app_sandbox", __tornado_app_entry=one) for one in entries]
        return [path for one in found for path in one.get("writable_paths", [])]

    def away(self, site, proxy):
        """Folders that only other hosts than a proxy have, to the app of the site whose they are."""
        apps = [entry["app"] for entry in with_app(site)]
        there = [
            one
            for one in apps
            if self.members(one) and proxy not in [host.name for host in self.members(one)]
        ]
        return {folder: one for one in there for folder in below_app(one)}

    @cached_property
    def misnamed(self):
        """Whether this run refuses what apps are called, so that nothing else can be said of their names."""
        return any(misnamed(self.run.on(name, "tornado_app")) for name in self.run.runners)

    def of_a_misnamed(self, path):
        """Whether a path is wrong by the name of an app that this run refuses."""
        apps = {app for host in self.hosts.values() for app in host.apps if not NAME.fullmatch(app)}
        return self.misnamed and path.startswith(tuple(one for app in apps for one in below_app(app)))

    def about_app(self, name):
        """Half a sentence on why an app can be nobody's upstream."""
        if not self.members(name) and self.misnamed:
            return
        there = sorted({app for host in self.hosts.values() for app in host.apps})
        members = self.members(name)
        if not members:
            known = f"There are {', '.join(there)}" if there else "No host of tornado_app runs one"
            yield f"'{name}' runs on no host. {known}."
        elif not any(one.apps[name] for one in members):
            yield f"'{name}' has no ports. Give it some (tornado_app_ports), or publish another app."
        elif not self.takers(name):
            yield f"'{name}' has no host that gets requests: {WEIGHT} is 0 on all. Give one of them more."

    def refusals(self, name):
        """A sentence for each value that keeps a host from its place among the others."""
        apps = self.apart(name)
        reached = [one for app in apps for one in self.members(app)]
        visitors = [self.hosts[one] for one in self.visitors(name)]
        near = {one.name: one for one in [self.hosts[name]] * bool(reached or visitors) + reached + visitors}
        if bad := [one.why for one in near.values() if one.why]:
            yield (
                f"{ADDRESS}: {listed(bad)}. Give each of these hosts the address by which proxies and app hosts "
                "reach each other, as 10.0.0.12 or fd00::12."
            )
        there = [one.address for one in near.values() if one.address]
        for again in sorted({one for one in there if there.count(one) > 1}):
            whose = [one.name for one in near.values() if one.address == again]
            yield f"{ADDRESS}: {again} is that of {listed(whose)}. Give each host its own."
        if len({address(one).version for one in there}) > 1:
            yield f"{ADDRESS}: {listed(there)} are of IPv4 and IPv6. Give all hosts addresses of one kind."
        if len({one.tls for one in near.values()}) > 1:
            whose = [one.name for one in near.values() if one.tls]
            yield (
                f"nginx_proxy_private_tls: is true on {listed(whose)} and false on others. Give all hosts the same, as "
                "in group_vars/all.yml."
            )
        for one in near.values():
            if one.weight != "backup" and not whole(one.weight, 0, MOST):
                yield (
                    f"{WEIGHT}: '{one.weight}' of {one.name} is invalid. Give a number up to {MOST}, 0 for a host "
                    "that gets no requests, or backup for one that gets them where no other can be reached."
                )
