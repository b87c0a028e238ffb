"""What a host's nginx shall have: the role's inputs as finished values, for its templates and tasks."""

import itertools
import re
from dataclasses import asdict, dataclass, field

from ansible.module_utils.parsing.convert_bool import boolean

from .command_line import ROOT
from .values import address

CERTIFICATES = "/etc/nginx/certificates"
DROP_IN = ROOT / "roles/nginx_proxy/files/etc/systemd/system/nginx.service.d/tornadoes.conf"
LEAST_FILES = 524288  # that nginx may have open, whatever the workers' connections
TWO_YEARS = "max-age=63072000"
# What a site sends unless it says otherwise: no guessing of types, no frames on other sites, no
# full address to other sites.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
# What nginx says to the app of its client and of the request's body.
SAID = (
    "X-Real-IP X-Scheme X-Request-ID X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port"
    " X-Forwarded-Server Content-Length Transfer-Encoding"
)
# What clients may say of themselves and some programs believe, besides the names that Tornado looks at.
HEARSAY = (
    "X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Scheme X-Forwarded-Ssl X-Forwarded-Protocol X-Url-Scheme"
    " X-Original-Host X-Original-URL X-Rewrite-URL X-Host X-Client-IP X-Cluster-Client-IP Front-End-Https"
)
# Cached answers (a site's cache): what programs choose an answer by without saying so (Vary), and
# what makes a request personal.
CACHE_KEY = "Accept Accept-Encoding Accept-Language Origin X-Requested-With HX-Request X-PJAX Turbo-Frame"
CACHE_OWN = (
    "Authorization Proxy-Authorization X-Api-Key X-Auth-Token X-Access-Token X-Xsrftoken X-Csrftoken X-Csrf-Token"
    " Content-Type X-HTTP-Method-Override X-HTTP-Method X-Method-Override"
)
# Where programs have their folders, and where a release has links to such.
WRITTEN = re.compile("/var/(lib|cache)/|/srv/[^/]+/(current|releases)/")
EVERYBODY = {"0.0.0.0/0", "::/0"}
ON_THIS_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):")


@dataclass
class Header:
    """A header. variable: what nginx's variables for it end with."""

    name: str
    variable: str
    value: str = ""


@dataclass
class Rule:
    """Who may come in below a path. users: file of the configuration with hashed passwords."""

    path: str
    allow: list = field(default_factory=list)
    users_file: str = ""
    users: str = ""

    @property
    def guards(self):
        """Whether there are clients that it refuses."""
        return bool(self.users_file or (self.allow and not EVERYBODY & set(self.allow)))


@dataclass
class Location:
    """A location of nginx.

    match: how nginx finds it. alias: where its files are; empty for the app's. written: the folder of files
    that a program writes, in which a link may be anything.
    """

    match: str
    path: str
    alias: str = ""
    expires: str = "$tornadoes_expires"
    rule: Rule | None = None
    cached: bool = False
    written: str = ""


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
    sticky: str
    redirect: bool
    hsts: str
    by_address: bool
    headers: list
    compression: bool
    max_body_size: str
    timeout: int
    rules: list
    guarded: list
    locations: list
    closed_allow: list
    closed_paths: list
    closed_page: str
    snippet: str
    certificate: str
    named: list


def slug(name):
    """The name of a site's files. A host name holds no underscore, so these names don't collide."""
    return re.sub("[*:]", "_", name)


def header(name, value=""):
    """A header by its name."""
    return Header(name, name.lower().replace("-", "_"), value)


def respelt(names):
    """Headers' names as they are spelt with underscores, in all places or in some."""
    found = []
    for name in names.split():
        first, *others = name.split("-")
        for marks in itertools.product("-_", repeat=len(others)):
            if "_" in marks:
                found.append(first + "".join(map("".join, zip(marks, others, strict=True))))
    return found


def spelt(path):
    """A regular expression for a path as plainly as clients may spell it, without a slash at its end.

    Letters, digits and what never needs it are not to be encoded; all else may be.
    """
    found = ""
    for character in path.rstrip("/"):
        plain = re.escape(character)
        encoded = "".join(f"%{byte:02x}" for byte in character.encode())
        found += plain if re.match("[A-Za-z0-9/._-]", character) else f"(?:{plain}|(?i:{encoded}))"
    return found


def below(path):
    """A path as the start of all that is below it."""
    return path.rstrip("/") + "/"


def nearest(path, entries):
    """The path among these, path to anything, that contains this one most closely, with what it leads to."""
    found = [one for one in entries if below(path).startswith(below(one))]
    return max(found, key=lambda one: len(below(one)), default=None)


def rules(site):
    """The rules of a site's access. It may have no name: that is refused elsewhere."""
    name = slug("".join(site["names"][:1]))
    return [
        Rule(
            one["path"],
            list(one.get("allow", [])),
            one.get("users_file", ""),
            f"users/{name}-{number}" if one.get("users_file") else "",
        )
        for number, one in enumerate(site["access"])
    ]


def open_rules(site):
    """Paths of the rules that let everybody in without being an exception from another rule."""
    found = rules(site)
    guarding = [rule.path for rule in found if rule.guards]
    return [rule.path for rule in found if not rule.guards and nearest(rule.path, guarding) is None]


def locations(site):
    """Locations of a site, the app's own one last."""
    by_path = {rule.path: rule for rule in reversed(rules(site))}
    static = {one["url"]: one["path"] for one in reversed(site["static"])}
    found = []
    if site["favicon"]:
        found.append(Location("= /favicon.ico", "/favicon.ico", site["favicon"], "1d"))
    for one in site["static"]:
        # Both end in a slash, or "../" behind the URL would reach the folder above.
        found.append(Location(f"^~ {one['url']}", one["url"], below(one["path"])))
    for path in [below(path) for path in [rule["path"] for rule in site["access"]] + site["cache"]]:
        files = nearest(path, static)
        inside = below(static[files]) + path[len(files) :] if files else ""
        if path != "/":
            # What is at the path itself, without the slash: a file, or the app's.
            found.append(Location(f"= {path[:-1]}", path, inside[:-1] if path != files else ""))
            found.append(Location(f"^~ {path}", path, inside))
    found.append(Location("/", "/"))
    for one in found:
        one.rule = by_path.get(nearest(one.path, by_path))
        files = nearest(one.path, static) if one.alias else None
        if files and WRITTEN.match(static[files]):
            one.written = below(static[files])
        one.cached = any(below(one.path).startswith(below(path)) for path in site["cache"])
    # Once each, the first: a path may be guarded, cached and on disk.
    return list({one.match: one for one in reversed(found)}.values())[::-1]


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
    guarded = [rule["path"] for rule in site["access"] if rule["path"] != "/"]
    sent = {**HEADERS, **site["headers"]}
    sockets = [one.removeprefix("unix:") for one in site["upstreams"] if one.startswith("unix:")]
    return Site(
        slug=name,
        name=site["names"][0],
        number=number,
        server_name=server_name(site["names"]),
        redirects=server_name(site["redirects"]),
        target=public_address(site["names"][0], "https" if tls else "http", ports),
        tls=site["tls"] if tls else "",
        upstreams=site["upstreams"],
        sticky=site["sticky"],
        redirect=redirect,
        hsts=hsts if redirect else "",
        by_address=any(address(one) for one in site["names"] + site["redirects"]),
        headers=[header(one, str(value)) for one, value in sent.items() if value],
        compression=boolean(site["compression"]),
        max_body_size=site["max_body_size"],
        timeout=int(site["timeout"]),
        rules=rules(site),
        guarded=[(spelt(path), re.escape(path.rstrip("/"))) for path in guarded],
        locations=locations(site),
        closed_allow=closed["allow"],
        closed_paths=[spelt(path) + "/" * path.endswith("/") for path in closed["paths"]],
        closed_page=closed["page"],
        snippet=site["snippet"],
        certificate=f"{CERTIFICATES}/{name}" if tls else "",
        named=[
            *(one["path"] for one in site["static"]),
            *[site["favicon"]] * bool(site["favicon"]),
            *sockets,
        ],
    )


def certificates(sites, acme, https_port, modern, host):
    """What the program of the certificates is told. sites: entries with TLS."""
    return {
        "ca_name": f"Private CA of {host}",
        # Mozilla's limits: 366 and 90.
        "ca_days": 90 if modern else 365,
        "https_port": https_port,
        "acme": acme,
        "sites": [
            {"slug": slug(one["names"][0]), "names": one["names"] + one["redirects"], "tls": one["tls"]}
            for one in sites
        ],
    }


def describe(variables, present, limits, acme, run):
    """All of it, as data. present: entries of sites with all their keys. run: see the action C(inputs)."""
    http, https = int(variables["nginx_proxy_http_port"]), int(variables["nginx_proxy_https_port"])
    ports = {"http": http, "https": https}
    sites = [described_site(site, number, ports) for number, site in enumerate(present)]
    with_tls = [site for site in present if site["tls"] != "none"]
    connections = int(variables["nginx_proxy_worker_connections"])
    modern = variables["nginx_proxy_tls_profile"] == "modern"
    folders = [site.certificate for site in sites if site.tls]
    upstreams = [one for site in sites for one in site.upstreams if ON_THIS_HOST.match(one)]
    trusted = variables["nginx_proxy_trusted_proxies"]
    return {
        "sites": [asdict(site) for site in sites],
        "http_port": http,
        "https_port": https,
        "tls": bool(with_tls),
        "acme": any(site.tls == "acme" for site in sites),
        "caching": any(site["cache"] for site in present),
        "hsts": any(site.hsts for site in sites),
        # Clients name no host in TLS when the URL has an address instead.
        "certificate": next((site.certificate for site in sites if site.tls and site.by_address), ""),
        "fetch_to": run.beside(variables["nginx_proxy_private_ca_fetch_to"]),
        "worker_processes": str(variables["nginx_proxy_worker_processes"]),
        "worker_connections": connections,
        "drop_in": DROP_IN.read_text().replace("@open_files@", str(max(connections * 2, LEAST_FILES))),
        "modern": modern,
        "access_log": variables["nginx_proxy_access_log"],
        "cache_size": variables["nginx_proxy_cache_size"],
        "limits": limits,
        "trusted_proxies": trusted,
        "hearsay": HEARSAY.split(),
        "respelt": respelt(f"{SAID} {HEARSAY}"),
        "cache_respelt": respelt(f"{CACHE_KEY} {CACHE_OWN}"),
        "cache_key": [asdict(header(name)) for name in CACHE_KEY.split()],
        "cache_own": [asdict(header(name)) for name in CACHE_OWN.split()],
        "scheme": "$tornadoes_scheme" if trusted else "$scheme",
        "request_id": "$tornadoes_request_id" if trusted else "$request_id",
        "upstreams": list(dict.fromkeys(upstreams)),
        "named": list(dict.fromkeys(path for site in sites for path in site.named)),
        "read_at_start": [
            f"{folder}/{name}" for folder in folders for name in ("fullchain.pem", "privkey.pem")
        ],
        # What the certificates' program is told, and where on the controller the pairs are that users provide.
        "certificates": certificates(with_tls, acme, https, modern, run.host),
        "provided": {
            slug(site["names"][0]): {"certificate": site["certificate"], "key": site["certificate_key"]}
            for site in with_tls
            if site["tls"] == "provided"
        },
        "debian": run.debian,
    }
