"""What the values of the role nginx_proxy may be. No sentence holds a line of a key or of a file of users."""

import datetime
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .nginx_proxy_description import describe, open_rules, slug
from .values import PATH, address, filled, listed, network, port, quoted, twice, whole

LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"(?:\*\.)?(?:{LABEL}\.)*(?![0-9]){LABEL}")
LONGEST_NAME = 253  # characters, in the DNS; a label has 63
HOST = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")
QUOTED = re.compile(r"[ !#%-\[\]-~]*")  # what can stand between quotes: neither quote, backslash nor dollar
HEADER = re.compile("[A-Za-z][A-Za-z0-9-]*")
STATIC = re.compile(r"/[^\s;{}$\"'\\#]*[^/\s;{}$\"'\\#]/")
SIZE = re.compile("[0-9]{1,9}[kKmMgG]?")
UNSEEN = re.compile(r"[*%?]|//|/\.\.?(?:/|\Z)")  # in no address that nginx compares with
OWN_TMP = re.compile("(?:unix:)?/(?:var/)?tmp/")
USER = re.compile(r"[^:#\s]+:\$(?:2[aby]|5|6|y|apr1)\$[!-9;-~]+")
NETWORKS = "Give addresses or networks, as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32."
PATHS = r"Give an absolute path without spaces, quotes and any of ; { } $ # \."

DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(?:/\S*)?")
MAIL = re.compile(r"(?:[^\s@]+@[^\s@]+)?")
WORD = re.compile("[A-Za-z0-9._-]*")
PUBLIC_CA = re.compile(
    r"https://(?:[a-z0-9-]+\.)*(?:letsencrypt\.org|zerossl\.com|pki\.goog|buypass\.com|ssl\.com|sectigo\.com"
    r"|digicert\.com|globalsign\.com|actalis\.com)(?:[:/]|\Z)"
)
# Tops that the public DNS never has (RFC 6761, 6762, 8375, 9476; ICANN's .internal).
NOT_PUBLIC = [
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "test",
    "example",
    "invalid",
    "onion",
    "alt",
    "home.arpa",
]
IPV6 = "/proc/net/if_inet6"  # where the kernel has none, nginx can't listen on an address of it
FOLDERS = [
    "/etc/nginx/certificates",
    "/etc/nginx/maintenance",
    "/var/lib/nginx",
]  # what former sites may have left
TIMER = "nginx-proxy-certificates.timer"
FIREWALLS = ["ufw.service", "firewalld.service", "nftables.service"]
OLDEST_WITH_PROFILES = 13  # the Debian whose certbot has them


def like(pattern):
    """A check whether a value is all of a pattern."""
    compiled = re.compile(pattern)
    return lambda value: bool(compiled.fullmatch(str(value)))


def between(least, most):
    """A check whether a value is a whole number from one to another."""
    return lambda value: whole(value, least, most)


MANY = (between(0, 99999), "Give a number up to 99999, or 0 for any number.")
SECONDS = (between(1, 99999999), "Give seconds, at least 1.")
SETTINGS = {
    "nginx_proxy_worker_processes": (like("auto|[1-9][0-9]{0,3}"), "Give a number, or auto."),
    "nginx_proxy_worker_connections": (between(10, 9999999), "Give a number from 10 to 9999999."),
    "nginx_proxy_cache_size": (like("[1-9][0-9]{0,5}[mMgG]"), "Give a number with m or g."),
}
LIMITS = {
    "header_size": (
        like("[1-9][0-9]{3,5}|[1-9][0-9]{0,2}[kK]"),
        "Give bytes (1000 to 999999), or a number with k.",
    ),
    "header_timeout": SECONDS,
    "body_timeout": SECONDS,
    "send_timeout": SECONDS,
    "streams": (between(1, 99999999), "Give a number, at least 1."),
    "connections": MANY,
    "requests": (between(0, 999999), "Give a number per second up to 999999, or 0 for any number."),
    "uploads": MANY,
    "all_uploads": MANY,
}
ACME = {
    "directory": (DIRECTORY.fullmatch, "Give the https URL of an ACME directory."),
    "mail": (MAIL.fullmatch, "Give one mail address, or leave it out."),
    "profile": (WORD.fullmatch, "Give the name of one of the CA's profiles, or leave it out."),
    "ca_bundle": (lambda value: not value or PATH.fullmatch(value), PATHS),
}


def site_name(text):
    """Whether a text can be the name of a site: of a host (*.example.org too), or an address."""
    named = bool(NAME.fullmatch(text)) and len(text) <= LONGEST_NAME
    return named or (text == text.lower() and address(text) is not None)


def as_ascii(name):
    """A name as the DNS has it: bücher.example is xn--bcher-kva.example. One that can't be is given back."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def upstream(text):
    """Whether a text is host:port, [IPv6]:port or unix:/path."""
    if text.startswith("unix:"):
        return bool(PATH.fullmatch(text[5:])) and ":" not in text[5:]
    host, _colon, number = text.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]") and ":" in host and address(host[1:-1])
    return port(number) and bool(in_brackets or HOST.fullmatch(host))


def private(name):
    """Whether no public CA can know a name."""
    return "." not in name or any(name.endswith(f".{top}") for top in NOT_PUBLIC)


def unprovable(name):
    """Whether a name can't be proven to a CA over http: a wildcard, or an address."""
    return "*" in name or address(name) is not None


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        self.variables, self.run = variables, run
        options = run.options["nginx_proxy_sites"]["options"]
        self.sites = [filled(options, one) for one in variables["nginx_proxy_sites"]]
        for site in self.sites:
            for key in ("names", "redirects"):
                site[key] = [as_ascii(one) for one in site[key]]
        self.present = [one for one in self.sites if one["state"] == "present"]
        self.limits = filled(run.options["nginx_proxy_limits"]["options"], variables["nginx_proxy_limits"])
        self.acme = filled(run.options["nginx_proxy_acme"]["options"], variables["nginx_proxy_acme"])
        self.ports = [variables["nginx_proxy_http_port"], variables["nginx_proxy_https_port"]]

    def all(self, key):
        """What the lists of that name hold, of all sites."""
        return [one for site in self.sites for one in site[key]]

    def first(self, site):
        """What a site is called."""
        return site["names"][0] if site["names"] else "a site without a name"

    def refusals(self):
        """A sentence for each value that is invalid."""
        yield from self.about_settings()
        yield from self.about_names()
        yield from self.about_upstreams()
        yield from self.about_files()
        for site in self.present:
            yield from self.about_access(site)
        yield from self.about_paths()
        yield from self.about_pages()
        yield from self.about_acme()
        for site in self.present:
            yield from self.about_certificate(site)

    def about_settings(self):
        """What is nginx's and no site's."""
        http, https = self.ports
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

    def about_names(self):
        """What the sites are called, and whether they are anything."""
        if not all(site["names"] for site in self.sites):
            yield "nginx_proxy_sites: a site has names: []. Give it at least one name."
        if bad := [one for one in self.all("names") + self.all("redirects") if not site_name(one)]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} can't be the name of a site. Give host names in lowercase "
                "(www.example.org, *.example.org) or addresses, without a port."
            )
        if again := twice([name for site in self.present for name in site["names"] + site["redirects"]]):
            yield (
                f"nginx_proxy_sites: {listed(again)} stands in two sites, or twice in one. A name belongs to one "
                "site."
            )
        if bad := [
            self.first(site) for site in self.present if site["redirects"] and "*" in self.first(site)
        ]:
            yield (
                f"nginx_proxy_sites: redirects: {listed(bad)} is no single name to send visitors to. Give a name "
                "without a * first."
            )
        if empty := [self.first(site) for site in self.present if not (site["upstreams"] or site["static"])]:
            yield (
                f"nginx_proxy_sites: {listed(empty)} has neither upstreams nor static. Give one, or state: absent."
            )

    def about_upstreams(self):
        """Where requests go."""
        if bad := [one for one in self.all("upstreams") if not upstream(str(one))]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} is no upstream. Give host:port, [IPv6]:port (ports from 1 to "
                "65535) or unix:/path."
            )
        for site in self.present:
            if again := twice(site["upstreams"] + [one["url"] for one in site["static"]]):
                yield (
                    f"nginx_proxy_sites: {self.first(site)} has {listed(again)} twice. Give each upstream and each "
                    "url of static files once."
                )
        if bad := [one for site in self.present for one in site["upstreams"] if self.nginx_itself(one)]:
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
        static = self.all("static")
        if bad := [one["url"] for one in static if not STATIC.fullmatch(one["url"])]:
            yield (
                f"nginx_proxy_sites: {quoted(bad)} can't be the url of static files. Start and end it with a slash, "
                "as in /static/, with something plain between."
            )
        paths = [one["path"] for one in static] + [site["favicon"] for site in self.sites if site["favicon"]]
        if bad := [one for one in paths if not PATH.fullmatch(one)]:
            yield f"nginx_proxy_sites: {quoted(bad)} can't be a path of static files or a favicon. {PATHS}"
        if bad := [one for one in paths + self.all("upstreams") if OWN_TMP.match(str(one))]:
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

    def about_access(self, site):
        """Who may open a site."""
        if bad := open_rules(site):
            yield (
                f"nginx_proxy_sites: access: {listed(bad)} of {self.first(site)} admits everybody. Give it allow or "
                "users_file; neither is for a path below one that has a rule."
            )
        paths = [rule["path"].rstrip("/") for rule in site["access"]]
        if twice(paths):
            yield (
                f"nginx_proxy_sites: access: {self.first(site)} has two rules for one path ({listed(paths)}). Write "
                "one, with allow and users_file as needed."
            )

    def about_paths(self):
        """Which addresses of a site are meant. nginx compares with the decoded path, and refuses other spellings."""
        rules = self.all("access")
        closed = [path for site in self.sites for path in site["maintenance"]["paths"]]
        mine = [one for one in [rule["path"] for rule in rules] + self.all("cache") if one != "/"] + closed
        bad = [one for one in mine if not PATH.fullmatch(one)]
        if bad:
            yield f"nginx_proxy_sites: {quoted(bad)} can't be a path of access, cache or maintenance. {PATHS}"
        urls = [one["url"] for one in self.all("static") if STATIC.fullmatch(one["url"])]
        if unseen := [one for one in mine + urls if one not in bad and UNSEEN.search(one)]:
            yield (
                f"nginx_proxy_sites: {quoted(unseen)} matches no address that nginx sees. Give a plain path, which is "
                "for all that is below as well: no *, no %, no query, and neither //, /./ nor /../ in it."
            )
        allowed = [one for rule in rules for one in rule.get("allow", [])]
        allowed += [one for site in self.sites for one in site["maintenance"]["allow"]]
        if bad := [one for one in allowed if not network(one)]:
            yield f"nginx_proxy_sites: allow: {quoted(bad)} is no network. {NETWORKS}"

    def about_pages(self):
        """Files of the controller that a site is made of."""
        for path in [site["maintenance"]["page"] for site in self.sites if site["maintenance"]["page"]]:
            if not self.run.read(path):
                yield (
                    f"nginx_proxy_sites: maintenance: {path} does not exist on the controller{self.run.looked([path])}, or is empty. Give the "
                    "path of a page that does."
                )
        for path in [rule["users_file"] for rule in self.all("access") if rule.get("users_file")]:
            lines = self.run.read(path).splitlines()
            if not lines or not all(USER.fullmatch(line) for line in lines):
                yield (
                    f"nginx_proxy_sites: users_file: {path} does not exist on the controller{self.run.looked([path])}, or has a line that is "
                    "not NAME:HASH with a hash like $6$... Make one with: "
                    r"""printf 'NAME:%s\n' "$(openssl passwd -6)" >> FILE"""
                )

    def about_acme(self):
        """What a CA is asked for, and which."""
        for key, (fits, remedy) in ACME.items():
            if not fits(self.acme[key]):
                yield f"nginx_proxy_acme: {key}: '{self.acme[key]}' is invalid. {remedy}"
        debian = self.run.debian
        if self.acme["profile"] and debian and debian < OLDEST_WITH_PROFILES:
            yield (
                f"nginx_proxy_acme: profile: {self.acme['profile']} needs certbot 4, and Debian {debian} has an older "
                "one. Leave it out, or move to Debian 13."
            )
        acme = [site for site in self.present if site["tls"] == "acme"]
        names = [name for site in acme for name in site["names"] + site["redirects"]]
        if bad := [name for name in names if unprovable(name)]:
            yield (
                f"nginx_proxy_sites: {listed(bad)} can't have tls: acme, since wildcards and addresses can't be proven "
                "over http. Give that site host names, or tls: private_ca or provided."
            )
        # A CA of one's own may know such names.
        unknown = [name for name in names if not unprovable(name) and private(name)]
        if unknown and PUBLIC_CA.match(self.acme["directory"]):
            yield (
                f"nginx_proxy_sites: {listed(unknown)} can't have tls: acme, since no public CA knows such names. Give "
                "that site a name of the public DNS, tls: private_ca or provided, or nginx_proxy_acme the directory "
                "of a CA of your own."
            )

    def about_certificate(self, site):
        """What the user brings."""
        files = [site["certificate"], site["certificate_key"]]
        wanted = site["tls"] == "provided"
        if [bool(one) for one in files] != [wanted, wanted]:
            yield (
                f"nginx_proxy_sites: {self.first(site)} has tls: {site['tls']}, certificate: '{files[0]}' and "
                f"certificate_key: '{files[1]}'. With tls: provided give both files, else none."
            )
        elif wanted:
            missing = [one for one in files if not self.run.read(one)]
            for path in missing:
                yield (
                    f"nginx_proxy_sites: {path} does not exist on the controller{self.run.looked([path])}, or is empty. Give the path of a PEM "
                    "file that does."
                )
            if not missing:
                yield from self.about_pair(*files)

    def about_pair(self, certificate, key):
        """A certificate and its key, by their files."""
        try:
            given = x509.load_pem_x509_certificate(self.run.read(certificate).encode())
            own = load_pem_private_key(self.run.read(key).encode(), password=None).public_key()
        except (ValueError, TypeError):
            yield (
                f"nginx_proxy_sites: {certificate} and {key} are not a certificate and an unencrypted key in PEM. "
                "Convert them; ansible-vault may encrypt the file."
            )
            return
        if given.public_key() != own:
            yield (
                f"nginx_proxy_sites: {key} is not the key of {certificate}. Give the pair that belongs together, the "
                "site's own certificate first in its file."
            )
        end = given.not_valid_after_utc
        if end < datetime.datetime.now(datetime.UTC):
            yield f"nginx_proxy_sites: {certificate} has expired ({end:%Y-%m-%d}). Give one that is valid."

    def questions(self):
        """What the host is asked, for the module C(look)."""
        tls = any(site["tls"] != "none" for site in self.present)
        asked = self.ports if tls else self.ports[:1]
        bundle = self.acme["ca_bundle"]
        return {
            "ports": [int(one) for one in asked if port(one)],
            "paths": [IPV6, *[bundle] * bool(PATH.fullmatch(bundle) and self.with_acme())],
            "folders": FOLDERS,
            "units": [TIMER, *FIREWALLS],
            "packages": self.packages(tls),
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
            yield (
                f"nginx_proxy_http_port, nginx_proxy_https_port: {listed(bad)} on {self.run.host}. Give other ports, or "
                "end what listens there first."
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
        known = {slug(name) for name in self.all("names")}
        if left := [re.sub("^_", "*", one) for one in found["sites"] if one not in known]:
            yield (
                f"nginx_proxy_sites: {listed(left)} is on {self.run.host} and in no entry. List it, or remove it with "
                f"its certificate by an entry {{names: ['{left[0]}'], state: absent}}."
            )

    def description(self):
        """What the host shall have, as data."""
        # 80 at every CA, but those of the tests.
        challenge_port = int(self.run.quietly("__nginx_proxy_challenge_port") or 80)
        acme = {**self.acme, "challenge_port": challenge_port}
        present = [site for site in self.present if site["names"]]
        return describe(self.variables, present, self.limits, acme, self.run)

    def listens(self):
        """The ports that nginx will listen on."""
        return [int(one) for one in self.ports if port(one)]
