"""Which paths of a site are whose, for nginx's locations."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible.module_utils.parsing.convert_bool import boolean

# Where programs have their folders, and where a release has links to such. Up to here the path is root's: all
# below a program can move away, the folder that is served as well, and put a link in its place.
WRITTEN = re.compile(r"/var/(?:lib|cache)/(?:[^/]+/)?|/srv/[^/]+/(?=(?:current|releases)/)")
FILES = "/.tornadoes/files"  # before the path of a file that the hosts of an app are asked for
EVERYBODY = {"0.0.0.0/0", "::/0"}


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
class Upstream:
    """The servers of one app, and the path that they have with all below it.

    name: nginx's for them. app: theirs where other hosts run it, and members: how nginx is to use each. prefix: what is taken off the path for the app, encoded, and spelt, how clients may
    write it; both empty where it stays.
    """

    name: str
    path: str
    servers: list
    sticky: str
    prefix: str = ""
    spelt: str = ""
    app: str = ""
    members: list = field(default_factory=list)


@dataclass
class Location:
    """A location of nginx.

    match: how nginx finds it. alias: where its files are; empty for an app's. slash: visitors are sent on, to
    the same path with a slash at its end. written: the folder, root's own, below which a program writes what is
    here, so that a link may be anything. away: what the hosts of the app have instead of this one, as they are
    asked for it.
    """

    match: str
    path: str
    alias: str = ""
    upstream: Upstream | None = None
    slash: bool = False
    expires: str = "$tornadoes_expires"
    rule: Rule | None = None
    cached: bool = False
    written: str = ""
    away: str = ""


def slug(name):
    """The name of a site's files. A host name holds no underscore, so these names don't collide."""
    return re.sub("[*:]", "_", name)


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


def written(path, more=()):
    """The folder of root's below which a program writes what is at a path; empty where none does.

    more: other folders that programs write, in folders of root's.
    """
    if found := WRITTEN.match(path):
        return found[0]
    inside = [below(one) for one in more if path.startswith(below(one))]
    outside = [path for one in more if below(one).startswith(path)] if path.endswith("/") else []
    return next(iter([*inside, *outside]), "")


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


def members(entry, sticky):
    """The hosts of an app as nginx is to use them: it wants one that is no backup, and none for sticky clients."""
    given = entry.get("members", [])
    first = [one for one in given if not one["backup"]]
    if not first:
        return [{**one, "backup": False} for one in given]
    return first if sticky == "address" else given


def upstreams(site):
    """Those of a site, the longest path first; its own, if it has some, are for /."""
    own = {**site, "path": "/", "sticky": "", "strip_prefix": False}
    entries = sorted(site["paths"] + [own] * bool(own["upstreams"]), key=lambda one: -len(below(one["path"])))
    found = []
    for number, one in enumerate(entries):
        name = f"tornadoes_{slug(site['names'][0])}" + f"_path{number}" * (one is not own)
        apart = one["path"].rstrip("/") * boolean(one["strip_prefix"])
        found.append(
            Upstream(
                name,
                below(one["path"]),
                one["upstreams"],
                one["sticky"] or site["sticky"],
                quote(apart, safe="/!&()*+,:=@~"),
                spelt(apart),
                one["app"] if one.get("members") else "",
                members(one, one["sticky"] or site["sticky"]),
            )
        )
    return found


def locations(site):
    """Locations of a site, that of all other paths last."""
    by_path = {rule.path: rule for rule in reversed(rules(site))}
    apps = {one.path: one for one in upstreams(site)}
    static = {one["url"]: one["path"] for one in reversed(site["static"])}
    found = []
    if site["favicon"]:
        found.append(Location("= /favicon.ico", "/favicon.ico", site["favicon"], "1d"))
    for one in site["static"]:
        # Both end in a slash, or "../" behind the URL would reach the folder above.
        found.append(Location(f"^~ {one['url']}", one["url"], below(one["path"])))
    named = [one["path"] for one in site["access"] + site["paths"]] + site["cache"]
    for path in map(below, named):
        files = nearest(path, {**static, **apps})
        inside = below(static[files]) + path[len(files) :] if files in static else ""
        if path != "/":
            # What is at the path itself, without the slash: a file, or the app's.
            found.append(Location(f"= {path[:-1]}", path, inside[:-1] if path != files else ""))
            found.append(Location(f"^~ {path}", path, inside))
    found.append(Location("/", "/"))
    for one in found:
        one.written = written(one.alias, site.get("writable", ()))
        one.upstream = apps.get(nearest(one.path, apps))
        one.slash = bool(one.upstream and one.upstream.prefix and one.match == f"= {one.upstream.path[:-1]}")
        app = next(
            (app for folder, app in site.get("away", {}).items() if one.alias.startswith(folder)), None
        )
        if there := [found for found in apps.values() if found.app == app] if app else []:
            one.upstream, one.away = there[0], FILES + quote(one.alias)
        # To be sent on tells nobody anything, and nginx does it before it asks who it is.
        one.rule = None if one.slash else by_path.get(nearest(one.path, by_path))
        one.cached = any(below(one.path).startswith(below(path)) for path in site["cache"])
    # Once each, the first: a path may be guarded, cached and on disk.
    return list({one.match: one for one in reversed(found)}.values())[::-1]
