"""What a lock file pins, as lines for pip: versions, digests, and the markers under which each is needed.

pip holds to digests only where all that it may install has one, so what a marker or an extra brings is
found here, and no resolver is asked. Markers themselves are evaluated by pip, on the host.
"""

import re
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..module_utils.refusal import Refusal

MOST_STEPS, MOST_WAYS = (
    50_000,
    200,
)  # in a lock file, and to one package; those that people have take some hundred
# As markers, which know no constants.
CONSTANTS = {True: "python_version >= '0'", False: "python_version < '0'"}


@dataclass(frozen=True)
class Edge:
    """That a package is needed: by name, in one version where there are several."""

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()
    version: str = ""


def edge_of(line):
    """A requirement as the need of a package."""
    need = Requirement(line)
    return Edge(need.name, str(need.marker or ""), tuple(map(canonicalize_name, need.extras)))


@dataclass
class Package:
    """One locked package. direct: what pip takes in the place of name and version, of one in no index.

    edges: what it needs, by extra, "" being always.
    """

    name: str
    version: str
    hashes: list[str]
    direct: str = ""
    edges: dict[str, list[Edge]] = field(default_factory=dict)


def ways(packages, roots):
    """For each package that is needed, the sets of markers that each let it be so."""
    named = {}
    for index, package in enumerate(packages):
        named.setdefault(canonicalize_name(package.name), []).append(index)
    found, ahead, steps = {}, [(edge, frozenset()) for edge in roots], 0
    while ahead:
        edge, when = ahead.pop()
        when = when | {edge.marker} if edge.marker else when
        indexes = named.get(canonicalize_name(edge.name), [])
        for index in indexes if len(indexes) == 1 else with_version(packages, indexes, edge.version):
            for extra in ("", *edge.extras):
                known = found.setdefault((index, extra), [])
                steps += 1
                if steps > MOST_STEPS or len(known) > MOST_WAYS:
                    raise Refusal("has more ways from one package to another than can be followed")
                if any(one <= when for one in known):
                    continue
                known[:] = [one for one in known if not when <= one] + [when]
                ahead += [(one, when) for one in packages[index].edges.get(extra, [])]
    needed = {}
    for (index, _extra), sets in found.items():
        needed.setdefault(index, []).extend(sets)
    return [(packages[index], sets) for index, sets in sorted(needed.items())]


def with_version(packages, indexes, version):
    """Those of several packages of one name that are meant."""
    return [one for one in indexes if not version or packages[one].version == version]


def either(sets):
    """One marker of several sets of them; "" where it always holds."""
    if not all(sets):
        return ""
    return " or ".join(sorted({" and ".join(f"({one})" for one in sorted(each)) for each in sets}))


def lines(needed, hashed):
    """Lines of what an index has, with digests where they are to count, and lines of the rest."""
    indexed, direct = [], []
    for package, sets in needed:
        marker = either(sets)
        # As a URL may end in anything, what follows needs its space.
        text = (package.direct or f"{package.name}=={package.version}") + (f" ; {marker}" if marker else "")
        if package.direct and not package.hashes:
            direct.append(text)
            continue
        if hashed and not package.hashes:
            raise Refusal(f"has no digest of {package.name}")
        digests = [f" --hash={one}" for one in sorted(set(package.hashes))] if hashed else []
        indexed.append("".join([text, *digests]))
    return indexed, direct


def from_git(name, url, commit, folder=""):
    """A repository's commit as pip takes it."""
    place = f"#subdirectory={folder}" if folder else ""
    return f"{name} @ git+{url.removeprefix('git+')}@{commit}{place}"


def uv_edges(listed, chosen):
    """Edges of uv.lock. chosen: extras and groups as its markers name them, where some exclude each other."""

    def constant(found):
        return CONSTANTS[(found[3] in chosen) == (found[1] == "==")]

    for one in listed:
        marker = re.sub(r"extra\s*([!=]=)\s*(['\"])([^'\"]*)\2", constant, one.get("marker", ""))
        extras = tuple(map(canonicalize_name, one.get("extra", [])))
        yield Edge(one["name"], marker, extras, one.get("version", ""))


def uv(data, extras, groups):
    """What uv.lock has for a project with these extras and groups."""
    packages, roots = [], []
    own = next((one["name"] for one in data.get("package", []) if "." in one.get("source", {}).values()), "")
    chosen = {
        f"{kind}-{len(own)}-{own}-{name}"
        for kind, names in (("extra", extras), ("group", groups))
        for name in names
    }
    for one in data.get("package", []):
        source, files = one.get("source", {}), [*one.get("wheels", []), *filter(None, [one.get("sdist")])]
        optional = {
            canonicalize_name(name): deps for name, deps in one.get("optional-dependencies", {}).items()
        }
        path = next(
            (source[kind] for kind in ("editable", "directory", "virtual", "path") if kind in source), ""
        )
        if path == ".":
            wanted = [one.get("dependencies", []), *(optional.get(name, []) for name in extras)]
            development = {
                canonicalize_name(name): deps for name, deps in one.get("dev-dependencies", {}).items()
            }
            wanted += [development.get(name, []) for name in groups]
            roots = [edge for listed in wanted for edge in uv_edges(listed, chosen)]
            continue
        direct = f"./{path}" if path and "virtual" not in source else ""
        if "git" in source:
            url, _hash, commit = source["git"].partition("#")
            direct = from_git(one["name"], url.partition("?")[0], commit, source.get("subdirectory", ""))
        elif "url" in source:
            direct = f"{one['name']} @ {source['url']}"
        edges = {
            name: list(uv_edges(deps, chosen))
            for name, deps in {"": one.get("dependencies", []), **optional}.items()
        }
        hashes = [] if path or "git" in source else [file["hash"] for file in files if "hash" in file]
        packages.append(Package(one["name"], one.get("version", ""), hashes, direct, edges))
    return [(one, sets) for one, sets in ways(packages, roots) if one.direct or one.hashes or one.version]


def pylock(data, extras, groups):
    """What pylock.toml has, which lists it package by package."""
    chosen = {
        "extras": extras,
        "dependency_groups": groups or list(map(canonicalize_name, data.get("default-groups", []))),
    }

    def constant(found):
        inside = canonicalize_name(found[2]) in chosen[found[4]]
        return CONSTANTS[inside != bool(found[3])]

    needed = []
    for one in data.get("packages", []):
        files = [*one.get("wheels", []), *(one[kind] for kind in ("sdist", "archive") if kind in one)]
        hashes = [f"{kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items()]
        direct = ""
        if "directory" in one:
            direct = f"./{one['directory']['path']}"
        elif "vcs" in one:
            vcs = one["vcs"]
            direct = from_git(one["name"], vcs["url"], vcs["commit-id"], vcs.get("subdirectory", ""))
        elif "archive" in one:
            direct = f"{one['name']} @ {one['archive']['url']}"
        marker = re.sub(
            r"(['\"])([^'\"]*)\1\s+(not\s+)?in\s+(extras|dependency_groups)", constant, one.get("marker", "")
        )
        sets = [frozenset([marker] if marker else [])]
        needed.append((Package(one["name"], one.get("version", ""), hashes, direct), sets))
    return needed


def poetry_edges(listed):
    """Edges of Poetry's tables: a name to a version, a table, or several of them."""
    for name, given in listed.items():
        for one in given if isinstance(given, list) else [given]:
            more = one if isinstance(one, dict) else {}
            if name.lower() != "python" and not more.get("optional"):
                yield Edge(
                    name, more.get("markers", ""), tuple(map(canonicalize_name, more.get("extras", [])))
                )


def poetry(data, extras, groups, roots):
    """What poetry.lock has for the main group and these. roots: the project's own, which older ones leave out."""
    packages = []
    older = data.get("metadata", {}).get("files", {})
    for one in data.get("package", []):
        edges = {"": list(poetry_edges(one.get("dependencies", {})))}
        for extra, listed in one.get("extras", {}).items():
            edges[canonicalize_name(extra)] = [edge_of(text) for text in listed]
        source, direct = one.get("source", {}), ""
        if source.get("type") == "git":
            folder = source.get("subdirectory", "")
            direct = from_git(one["name"], source["url"], source["resolved_reference"], folder)
        elif source.get("type") in ("directory", "file"):
            direct = f"./{source['url']}"
        elif source.get("type") == "url":
            direct = f"{one['name']} @ {source['url']}"
        files = one.get("files") or older.get(one["name"], [])
        hashes = [] if direct and source["type"] != "url" else [file["hash"] for file in files]
        packages.append(Package(one["name"], one["version"], hashes, direct, edges))
    if not all("groups" in one for one in data.get("package", [])):
        return ways(packages, roots)
    needed = []
    for package, one in zip(packages, data.get("package", []), strict=True):
        marked, sets = one.get("markers", ""), []
        for group in {"main", *groups} & set(map(canonicalize_name, one["groups"])):
            marker = marked.get(group, "") if isinstance(marked, dict) else marked
            marker = re.sub(
                r"extra\s*==\s*(['\"])([^'\"]*)\1",
                lambda found: CONSTANTS[canonicalize_name(found[2]) in extras],
                marker,
            )
            sets.append(frozenset([marker] if marker else []))
        if sets:
            needed.append((package, sets))
    return needed
