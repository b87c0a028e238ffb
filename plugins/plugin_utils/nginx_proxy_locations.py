"""Which paths of a site are whose, for nginx's locations."""

import re
from dataclasses import dataclass, field

# Where programs have their folders, and where a release has links to such.
WRITTEN = re.compile("/var/(lib|cache)/|/srv/[^/]+/(current|releases)/")
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
