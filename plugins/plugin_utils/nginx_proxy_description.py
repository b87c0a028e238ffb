"""What a host's nginx shall have: the role's inputs as finished values, for its templates and tasks."""

import re
from dataclasses import asdict, dataclass

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.nginx_service import asked_at_start
from .command_line import ROOT
from .nginx_proxy_headers import CACHE_KEY, CACHE_OWN, HEADERS, HEARSAY, SAID, header, respelt
from .nginx_proxy_inner import NAME, SLUG, inner
from .nginx_proxy_locations import locations, rules, slug, spelt, upstreams
from .nginx_proxy_values import server
from .values import address

CERTIFICATES = "/etc/nginx/certificates"
DROP_IN = ROOT / "roles/nginx_proxy/files/etc/systemd/system/nginx.service.d/tornadoes.conf"
LEAST_FILES = 524288  # that nginx may have open, whatever the workers' connections
TWO_YEARS = "max-age=63072000"
ON_THIS_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):")


@dataclass
class Site:
    """A site. slug: the name of its files. number: of it among the host's sites, for nginx's variables."""

    slug: str
    name: str
    number: int
    server_name: str
    redirects: str
    target: str
    tls: str
    upstreams: list
    redirect: bool
    hsts: str
    by_address: bool
    headers: list
    compression: bool
    max_body_size: str
    timeout: int
    rules: list
    plain: list
    locations: list
    closed_allow: list
    closed_paths: list
    closed_page: str
    snippet: str
    certificate: str
    named: list


def drop_in(open_files, units):
    """Text of nginx's drop-in. open_files: how many a worker may have. units: those that end after nginx."""
    text = DROP_IN.read_text().replace("@open_files@", str(open_files))
    why = "# Who switches the host off sends proxies elsewhere before what they ask for ends.\n"
    if units:
        text = text.replace("[Unit]\n", f"[Unit]\n{why}After={' '.join(units)}\n", 1)
    return text.replace("@digest@", asked_at_start(text))


def server_name(names):
    """Names as nginx compares them with what a client asks for."""
    return " ".join(f"[{one}]" if ":" in one else one for one in names)


def public_address(name, scheme, ports):
    """The site's address as a browser shows it. ports: scheme to TCP port."""
    usual = ports[scheme] == {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{server_name([name])}" + ("" if usual else f":{ports[scheme]}")


def described_site(site, number, ports):
    """What the templates need of a site. site: its entry with all its keys. ports: scheme to TCP port."""
    name, closed, tls = slug(site["names"][0]), site["maintenance"], site["tls"] != "none"
    redirect = tls and boolean(site["redirect"])
    hsts = {"host": TWO_YEARS, "subdomains": f"{TWO_YEARS}; includeSubDomains"}.get(site["hsts"], "")
    plain = [one["path"] for one in site["access"] + site["paths"] if one["path"] != "/"]
    apps = upstreams(site)
    sent = {**HEADERS, **site["headers"]}
    servers = [one for app in apps for one in app.servers]
    files = [*(one["path"] for one in site["static"]), *[site["favicon"]] * bool(site["favicon"])]
    return Site(
        slug=name,
        name=site["names"][0],
        number=number,
        server_name=server_name(site["names"]),
        redirects=server_name(site["redirects"]),
        target=public_address(site["names"][0], "https" if tls else "http", ports),
        tls=site["tls"] if tls else "",
        upstreams=apps,
        redirect=redirect,
        hsts=hsts if redirect else "",
        by_address=any(address(one) for one in site["names"] + site["redirects"]),
        headers=[header(one, str(value)) for one, value in sent.items() if value],
        compression=boolean(site["compression"]),
        max_body_size=site["max_body_size"],
        timeout=int(site["timeout"]),
        rules=rules(site),
        plain=[(spelt(path), re.escape(path.rstrip("/"))) for path in plain],
        locations=locations(site),
        closed_allow=closed["allow"],
        closed_paths=[spelt(path) + "/" * path.endswith("/") for path in closed["paths"]],
        closed_page=closed["page"],
        snippet=site["snippet"],
        certificate=f"{CERTIFICATES}/{name}" if tls else "",
        named=[
            *(one for one in files if not one.startswith(tuple(site["away"]))),
            *(one.removeprefix("unix:") for one in servers if one.startswith("unix:")),
        ],
    )


def certificates(sites, acme, https_port, modern, host, within, trusts):
    """What the program of the certificates is told. sites: entries with TLS. within: of the server for proxies, if
    it has TLS. trusts: host to address with port of those whose certificates this host is to trust.
    """
    own = []
    if within:
        own += [
            {"slug": SLUG, "names": within["names"], "tls": "private_ca", "listens": within["tls_listen"]}
        ]
    return {
        "ca_name": f"Private CA of {host}",
        # Mozilla's limits: 366 and 90.
        "ca_days": 90 if modern else 365,
        "https_port": https_port,
        "acme": acme,
        "sites": [
            {"slug": slug(one["names"][0]), "names": one["names"] + one["redirects"], "tls": one["tls"]}
            for one in sites
        ]
        + own,
        "trusts": trusts,
        "trusted_name": NAME,
    }


def describe(variables, present, limits, acme, run, edge):
    """All of it, as data. present: entries of sites with all their keys. run: see the action C(inputs).

    edge: whether visitors come to this host.
    """
    http, https = int(variables["nginx_proxy_http_port"]), int(variables["nginx_proxy_https_port"])
    ports = {"http": http, "https": https}
    sites = [described_site(site, number, ports) for number, site in enumerate(present)]
    with_tls = [site for site in present if site["tls"] != "none"]
    connections = int(variables["nginx_proxy_worker_connections"])
    modern = variables["nginx_proxy_tls_profile"] == "modern"
    folders = [site.certificate for site in sites if site.tls]
    servers = [one for site in sites for app in site.upstreams for one in app.servers]
    trusted = variables["nginx_proxy_trusted_proxies"]
    proxy_protocol = boolean(variables["nginx_proxy_proxy_protocol"])
    # Whether a balancer says in headers who came.
    forwarded = bool(trusted) and not proxy_protocol
    within, here = inner(run, edge), run.cluster.hosts.get(run.host)
    challenged, privately = run.cluster.challenged(run.host), run.cluster.challenged_privately(run.host)
    behind = [one for site in sites for one in site.upstreams if one.members]
    private_tls = run.cluster.hosts[run.host].tls
    members = [one for app in behind for one in app.members] * private_tls
    trusts = {one["name"]: one["tls_server"] for one in members}
    private = within if private_tls else {}
    folders += [f"{CERTIFICATES}/{SLUG}"] * bool(private)
    named = [path for site in sites for path in site.named] + [
        one["alias"] for one in within.get("files", [])
    ]
    servers += [one for app in within.get("apps", []) for one in app["servers"]]
    return {
        "sites": [asdict(site) for site in sites],
        "http_port": http,
        "https_port": https,
        "edge": edge,
        "answers_on": http if edge else within.get("port", http),
        "inner": within,
        # The address by which this host asks others for their apps; their nginx knows it.
        "asks_from": run.cluster.hosts[run.host].address if behind else "",
        "asked_respelt": respelt("X-Tornadoes-App"),
        "tls": bool(with_tls),
        # Whether proxies and the hosts of apps reach each other by TLS, and whether this host has certificates or
        # looks at those of others.
        "private_tls": private_tls,
        "private_certificate": f"{CERTIFICATES}/{SLUG}",
        "private_name": NAME,
        "trusts": trusts,
        "certified": bool(with_tls or private or trusts),
        "acme": any(site.tls == "acme" for site in sites),
        "challenged": [server(one.address, one.port if privately else one.http_port) for one in challenged],
        "challenges_on": server(here.address, here.port) if privately else "",
        "challenges_from": here.address if privately else "",
        "challengers": [one.address for one in challenged],
        "caching": any(site["cache"] for site in present),
        "hsts": any(site.hsts for site in sites),
        # Clients name no host in TLS when the URL has an address instead.
        "certificate": next((site.certificate for site in sites if site.tls and site.by_address), ""),
        "fetch_to": run.beside(variables["nginx_proxy_private_ca_fetch_to"]),
        "worker_processes": str(variables["nginx_proxy_worker_processes"]),
        "worker_connections": connections,
        "drop_in": drop_in(max(connections * 2, LEAST_FILES), within.get("units", [])),
        "modern": modern,
        "access_log": variables["nginx_proxy_access_log"],
        "cache_size": variables["nginx_proxy_cache_size"],
        "limits": limits,
        "trusted_proxies": trusted,
        "proxy_protocol": proxy_protocol,
        "forwarded": forwarded,
        "hearsay": HEARSAY.split(),
        "respelt": respelt(f"{SAID} {HEARSAY}"),
        "cache_respelt": respelt(f"{CACHE_KEY} {CACHE_OWN}"),
        "cache_key": [asdict(header(name)) for name in CACHE_KEY.split()],
        "cache_own": [asdict(header(name)) for name in CACHE_OWN.split()],
        "scheme": "$tornadoes_scheme" if forwarded else "$scheme",
        "request_id": "$tornadoes_request_id" if forwarded else "$request_id",
        "upstreams": list(dict.fromkeys(one for one in servers if ON_THIS_HOST.match(one))),
        "named": list(dict.fromkeys(named)),
        "read_at_start": [
            f"{folder}/{name}" for folder in folders for name in ("fullchain.pem", "privkey.pem")
        ],
        # What the certificates' program is told, and where on the controller the pairs are that users provide.
        "certificates": certificates(with_tls, acme, https, modern, run.host, private, trusts),
        "provided": {
            slug(site["names"][0]): {"certificate": site["certificate"], "key": site["certificate_key"]}
            for site in with_tls
            if site["tls"] == "provided"
        },
        "debian": run.debian,
    }
