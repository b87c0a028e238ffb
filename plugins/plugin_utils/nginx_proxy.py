"""What the values of the role nginx_proxy may be. No sentence holds a line of a file of users."""

import os
import re

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.nginx_drain import noted
from ..module_utils.nginx_paths import DRAINED
from .cluster import with_app
from .nginx_proxy_certificates import about_acme, about_certificate
from .nginx_proxy_description import describe
from .nginx_proxy_inner import SLUG
from .nginx_proxy_locations import below, slug
from .nginx_proxy_paths import about_access, about_apps, about_paths
from .nginx_proxy_values import (
    HEADER,
    LIMITS,
    LONGEST_FIRST,
    LONGEST_NAME,
    NETWORKS,
    OWN_TMP,
    PATHS,
    QUOTED,
    SECONDS,
    SETTINGS,
    SIZE,
    STATIC,
    USER,
    as_ascii,
    called,
    every,
    every_server,
    no_site_name,
    server,
    servers,
    site_name,
    upstream,
)
from .values import PATH, filled, listed, network, port, quoted, twice

IPV6 = "/proc/net/if_inet6"  # where the kernel has none, nginx can't listen on an address of it
# What former sites may have left.
FOLDERS = ["/etc/nginx/certificates", "/etc/nginx/maintenance", "/var/lib/nginx", DRAINED]
TIMER = "nginx-proxy-certificates.timer"
FIREWALLS = ["ufw.service", "firewalld.service", "nftables.service"]


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        self.variables, self.run = variables, run
        options = run.options["nginx_proxy_sites"]["options"]
        self.sites = [filled(options, one) for one in variables["nginx_proxy_sites"]]
        # Who runs an app for proxies elsewhere may read their variables as well.
        self.sites = [one for one in self.sites if self.edge or one["state"] == "absent"]
        for site in self.sites:
            for key in ("names", "redirects"):
                site[key] = [as_ascii(one) for one in site[key]]
            site["paths"] = [filled(options["paths"]["options"], one) for one in site["paths"]]
            # An app that nobody runs is refused below.
            for one in with_app(site):
                one["given"] = one["upstreams"]
                one["members"] = self.members(one["app"])
                one["upstreams"] = one["given"] or self.servers_of(one)
            site["writable"] = run.cluster.writable(run.host)
            site["away"] = run.cluster.away(site, run.host) if with_app(site) else {}
        self.present = [one for one in self.sites if one["state"] == "present"]
        self.limits = filled(run.options["nginx_proxy_limits"]["options"], variables["nginx_proxy_limits"])
        self.acme = filled(run.options["nginx_proxy_acme"]["options"], variables["nginx_proxy_acme"])
        self.ports = [variables["nginx_proxy_http_port"], variables["nginx_proxy_https_port"]]

    def refusals(self):
        """A sentence for each value that is invalid."""
        yield from self.about_settings()
        yield from self.about_names()
        yield from self.about_cluster()
        yield from self.about_upstreams()
        yield from self.about_files()
        for site in self.present:
            yield from about_access(site)
            yield from about_apps(site)
        yield from about_paths(self.sites)
        yield from self.about_pages()
        yield from about_acme(self.acme, self.present, self.run)
        for site in self.present:
            yield from about_certificate(site, self.run)

    def about_settings(self):
        """What is nginx's and no site's."""
        http, https = self.ports
        inner = self.variables["nginx_proxy_private_port"]
        if not port(inner) or str(inner) in map(str, self.ports):
            yield (
                f"nginx_proxy_private_port: {inner} is invalid. Give a port from 1 to 65535 that is neither "
                "nginx_proxy_http_port nor nginx_proxy_https_port."
            )
        private = self.variables["nginx_proxy_private_tls_port"]
        if not port(private) or str(private) in map(str, [*self.ports, inner]):
            yield (
                f"nginx_proxy_private_tls_port: {private} is invalid. Give a port from 1 to 65535 that is none of "
                "nginx_proxy_http_port, nginx_proxy_https_port and nginx_proxy_private_port."
            )
        if not (port(http) and port(https)) or int(http) == int(https):
            yield (
                f"nginx_proxy_http_port, nginx_proxy_https_port: {http} and {https} are invalid. Give two different "
                "ports from 1 to 65535."
            )
        values = {name: (self.variables[name], check) for name, check in SETTINGS.items()}
        values |= {f"nginx_proxy_limits.{key}": (self.limits[key], check) for key, check in LIMITS.items()}
        for name, (value, (fits, remedy)) in values.items():
            if not fits(value):
                yield f"{name}: '{value}' is invalid. {remedy}"
        if bad := [one for one in self.variables["nginx_proxy_trusted_proxies"] if not network(one)]:
            yield f"nginx_proxy_trusted_proxies: {quoted(bad)} is no network. {NETWORKS}"
        copy = self.variables["nginx_proxy_private_ca_fetch_to"]
        if copy.endswith("/") or os.path.isdir(self.run.beside(copy)):
            yield (
                f"nginx_proxy_private_ca_fetch_to: '{copy}' is a folder. Give the file that gets the certificate, as "
                "ca.crt."
            )
        told = boolean(self.variables["nginx_proxy_proxy_protocol"])
        if told and not self.variables["nginx_proxy_trusted_proxies"]:
            yield (
                "nginx_proxy_proxy_protocol: true is for balancers that are trusted, and there are none. Give their "
                "addresses or networks in nginx_proxy_trusted_proxies, or false."
            )

    def about_names(self):
        """What the sites are called, and whether they are anything."""
        if not all(site["names"] for site in self.sites):
            yield "nginx_proxy_sites: a site has names: []. Give it at least one name."
        if bad := self.misnamed():
            yield (
                f"nginx_proxy_sites: {listed(map(no_site_name, bad))} can't be the name of a site. Give host names of "
                "lowercase letters, digits and dashes, with dots between (www.example.org, *.example.org), or addresses, "
                "without a port."
            )
        names = [called(site) for site in self.sites]
        if long := [one for one in names if LONGEST_FIRST < len(one) <= LONGEST_NAME]:
            yield (
                f"nginx_proxy_sites: {listed(long)} would name the site's files, and is too long for that. Put a name "
                f"of at most {LONGEST_FIRST} characters first."
            )
        if again := twice([name for site in self.present for name in site["names"] + site["redirects"]]):
            yield (
                f"nginx_proxy_sites: {listed(again)} stands in two sites, or twice in one. A name belongs to one "
                "site."
            )
        if bad := [called(site) for site in self.present if site["redirects"] and "*" in called(site)]:
            yield (
                f"nginx_proxy_sites: redirects: {listed(bad)} is no single name to send visitors to. Give a name "
                "without a * first."
            )
        if empty := [
            called(site)
            for site in self.present
            if not (any(servers(site)) or with_app(site) or site["static"])
        ]:
            yield (
                f"nginx_proxy_sites: {listed(empty)} has no app, no upstreams and no static. Give one, or state: absent."
            )

    def misnamed(self):
        """Names that no site can have."""
        names = every(self.sites, "names") + every(self.sites, "redirects")
        return [one for one in names if not site_name(one)]

    def members(self, app):
        """The hosts that an app's requests go to; none where it runs on this host alone."""
        cluster = self.run.cluster
        takers = [] if cluster.alone(app, self.run.host) else cluster.takers(app)
        # Where an address is missing, that is refused.
        return [
            {
                "host": noted(one.name),
                "name": one.name,
                "server": server(one.address or one.name, one.port),
                "tls_server": server(one.address or one.name, one.tls_port),
                "weight": one.share,
                "backup": one.backup,
            }
            for one in takers
        ]

    def servers_of(self, entry):
        """The upstreams that an app is: its hosts, or its ports on this one."""
        here = [one for one in self.run.cluster.members(entry["app"]) if one.name == self.run.host]
        ports = [f"127.0.0.1:{port}" for one in here for port in one.apps[entry["app"]]]
        away = not self.run.cluster.alone(entry["app"], self.run.host)
        return [one["server"] for one in entry["members"]] if away else ports

    def about_cluster(self):
        """Which apps are published by their names, and by which addresses hosts reach each other."""
        for site in self.present:
            for one in with_app(site):
                if one["given"]:
                    yield (
                        f"nginx_proxy_sites: {called(site)} has app and upstreams for {one.get('path', '/')}. Give "
                        "one of them: an app's upstreams follow from the inventory."
                    )
                for problem in self.run.cluster.about_app(one["app"]):
                    yield f"nginx_proxy_sites: {called(site)}: app {problem}"
        yield from self.run.cluster.refusals(self.run.host)

    def about_upstreams(self):
        """Where requests go."""
        if bad := [one for one in every_server(self.sites) if not upstream(one)]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} is no upstream. Give host:port, [IPv6]:port (ports from 1 to "
                "65535) or unix:/path."
            )
        for site in self.present:
            paths = [below(one["path"]) for one in site["paths"]] + [one["url"] for one in site["static"]]
            written = [one.get("given", one["upstreams"]) for one in [site, *site["paths"]]]
            if again := [one for group in [*written, paths] for one in twice(group)]:
                yield (
                    f"nginx_proxy_sites: {called(site)} has {listed(again)} twice. Give each upstream, each path "
                    "and each url of static files once."
                )
        if bad := [one for one in every_server(self.present) if self.nginx_itself(one)]:
            yield (
                f"nginx_proxy_sites: {listed(bad)} is nginx itself, so requests would go round in a circle. Give "
                "the app's port, or change nginx_proxy_http_port or nginx_proxy_https_port."
            )

    def nginx_itself(self, text):
        """Whether an upstream is a port of this nginx."""
        host, _colon, number = text.lower().rpartition(":")
        here = {one.lower() for one in self.run.names} | {"localhost", "[::1]", "0.0.0.0"}
        return number in map(str, self.ports) and (host in here or host.startswith("127."))

    def about_files(self):
        """What nginx serves by itself, and how much it takes."""
        static = every(self.sites, "static")
        if bad := [one["url"] for one in static if not STATIC.fullmatch(one["url"])]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} can't be the url of static files. Start and end it with a slash, "
                "as in /static/, with something plain between."
            )
        paths = [one["path"] for one in static] + [site["favicon"] for site in self.sites if site["favicon"]]
        cluster = self.run.cluster
        if bad := [one for one in paths if not (PATH.fullmatch(one) or cluster.of_a_misnamed(one))]:
            yield f"nginx_proxy_sites: {quoted(bad)} can't be a path of static files or a favicon. {PATHS}"
        if bad := [one for one in paths + every_server(self.sites) if OWN_TMP.match(one)]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} is invisible to nginx, which has a /tmp of its own. Give a path "
                "that is not below /tmp or /var/tmp: sockets belong into /run, files into /srv."
            )
        fits, remedy = SECONDS
        if bad := [site["timeout"] for site in self.sites if not fits(site["timeout"])]:
            yield f"nginx_proxy_sites: timeout: {listed(bad)} is invalid. {remedy}"
        if bad := [
            one["max_body_size"] for one in self.sites if not SIZE.fullmatch(str(one["max_body_size"]))
        ]:
            yield (
                f"nginx_proxy_sites: max_body_size: {quoted(bad)} is invalid. Give bytes, or a number with k, m or g."
            )
        pairs = [pair for site in self.sites for pair in site["headers"].items()]
        bad = [
            name
            for name, value in pairs
            if not (HEADER.fullmatch(name) and QUOTED.fullmatch(str(value)))
            or name.lower() == "strict-transport-security"
        ]
        if bad:
            yield (
                f"nginx_proxy_sites: headers: {quoted(bad)} can't be sent. A name is letters, digits and dashes; a "
                'value is text in one line without any of " $ \\. '
                "Strict-Transport-Security is the site's hsts."
            )

    def about_pages(self):
        """Files of the controller that a site is made of."""
        for path in [site["maintenance"]["page"] for site in self.sites if site["maintenance"]["page"]]:
            if not self.run.read(path):
                yield (
                    f"nginx_proxy_sites: maintenance: {path} does not exist on the controller{self.run.looked([path])}, or is empty. Give the "
                    "path of a page that does."
                )
        for path in [rule["users_file"] for rule in every(self.sites, "access") if rule.get("users_file")]:
            lines = self.run.read(path).splitlines()
            if not lines or not all(USER.fullmatch(line) for line in lines):
                yield (
                    f"nginx_proxy_sites: users_file: {path} does not exist on the controller{self.run.looked([path])}, or has a line that is "
                    "not NAME:HASH with a hash like $6$... Make one with: "
                    r"""printf 'NAME:%s\n' "$(openssl passwd -6)" >> FILE"""
                )

    def questions(self):
        """What the host is asked, for the module C(look)."""
        tls = any(site["tls"] != "none" for site in self.present)
        asked = (self.ports if tls else self.ports[:1]) * self.edge + self.inner_ports()
        bundle = self.acme["ca_bundle"]
        return {
            "ports": [int(one) for one in asked if port(one)],
            "paths": [IPV6, *[bundle] * bool(PATH.fullmatch(bundle) and self.with_acme())],
            "folders": FOLDERS,
            "units": [TIMER, *FIREWALLS],
            "starts": ["nginx.service"],
            "packages": self.packages(tls or self.private_tls()),
            "nginx": True,
        }

    def packages(self, tls):
        """What the sites need to be installed."""
        return ["nginx", "logrotate", *["python3-cryptography"] * tls, *["certbot"] * self.with_acme()]

    def with_acme(self):
        """Whether a CA is asked for certificates."""
        return any(site["tls"] == "acme" for site in self.present)

    def answers(self, found):
        """A sentence for each value that can't be had on the host."""
        ours = re.compile(r"nginx\.(service|socket)")
        bad = [
            f"{number} is listened on by {who}"
            for number, who in sorted(found["holders"].items())
            if not ours.fullmatch(who)
        ]
        if bad:
            public = ["nginx_proxy_http_port, nginx_proxy_https_port"] * self.edge
            names = ", ".join(
                public
                + ["nginx_proxy_private_port", "nginx_proxy_private_tls_port"][: len(self.inner_ports())]
            )
            yield (
                f"{names}: {listed(bad)} on {self.run.host}. Give other ports, or end what listens there first."
            )
        for path, what in found["paths"].items():
            if path != IPV6 and what["kind"] not in ("file", "link"):
                yield (
                    f"nginx_proxy_acme: ca_bundle: {path} is no file on {self.run.host}. Put it there first."
                )
        if found["settings"] and found["unmanaged"]:
            yield (
                f"nginx_proxy_sites: /etc/nginx/nginx.conf on {self.run.host} has settings of its own "
                f"({listed(found['settings'])}), which {listed(found['unmanaged'])} would lose with it. Move them into "
                "these files first."
            )
        # Their certificates and keys would go, which nobody can bring back.
        known = {SLUG, *(slug(name) for name in every(self.sites, "names"))}
        left = [re.sub("^_", "*", one) for one in found["sites"] if one not in known]
        # One that is refused may be meant to be one of them.
        if left and not self.misnamed():
            entry = f"{{names: ['{left[0]}'], state: absent}}"
            yield (
                f"nginx_proxy_sites: {listed(left)} is on {self.run.host} and in no entry. List it, or remove it with "
                f"its certificate by an entry {entry}."
                if self.edge
                else f"nginx_proxy: {self.run.host} has {listed(left)} and is not in this group any more. Put it back, or "
                f"remove the site with its certificate by nginx_proxy_sites: [{entry}] in host_vars/{self.run.host}.yml."
            )

    def description(self):
        """What the host shall have, as data."""
        # 80 at every CA, but those of the tests.
        challenge_port = int(self.run.quietly("__nginx_proxy_challenge_port") or 80)
        acme = {**self.acme, "challenge_port": challenge_port}
        present = [site for site in self.present if site["names"]]
        return describe(self.variables, present, self.limits, acme, self.run, self.edge)

    @property
    def edge(self):
        """Whether visitors come to this host; else proxies alone do."""
        return self.run.host in self.run.cluster.proxies

    def private_tls(self):
        """Whether this host answers proxies, or asks the hosts of an app, by TLS."""
        cluster = self.run.cluster
        return cluster.hosts[self.run.host].tls and bool(
            cluster.visitors(self.run.host) or cluster.apart(self.run.host)
        )

    def inner_ports(self):
        """The ports that other hosts come to, where some do."""
        cluster, host = self.run.cluster, self.run.host
        visited, asked = bool(cluster.visitors(host)), bool(cluster.challenged_privately(host))
        tls = boolean(self.variables["nginx_proxy_private_tls"])
        found = [self.variables["nginx_proxy_private_port"]] * (visited or asked)
        found += [self.variables["nginx_proxy_private_tls_port"]] * (visited and tls)
        return [int(one) for one in found if port(one)]

    def listens(self):
        """The ports that nginx will listen on."""
        return [int(one) for one in self.ports * self.edge if port(one)] + self.inner_ports()
