"""What a site's files are named, and which locations it needs, each under which rule of access."""

import re


def nginx_proxy_slug(site):
    """The name of a site's files. A host name holds no underscore, so these names don't collide."""
    return re.sub("[*:]", "_", site["names"][0])


def nginx_proxy_header(name):
    """nginx's variable of a header that a client sends, without its dollar."""
    return "http_" + name.lower().replace("-", "_")


def nginx_proxy_spelt(path):
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


def nearest(path, entries, key):
    """The entry whose path contains this one most closely, or None."""
    found = [entry for entry in entries if below(path).startswith(below(entry[key]))]
    return max(found, key=lambda entry: len(below(entry[key])), default=None)


def nginx_proxy_open_rules(site):
    """Paths of the rules that let everybody in without being an exception from another rule."""
    everybody = {"0.0.0.0/0", "::/0"}
    guarding = [
        rule
        for rule in site["access"]
        if rule.get("users_file") or (rule.get("allow") and not everybody & set(rule["allow"]))
    ]
    return [
        rule["path"]
        for rule in site["access"]
        if rule not in guarding and nearest(rule["path"], guarding, "path") is None
    ]


def nginx_proxy_locations(site):
    """Locations of a site, the app's own one last.

    Each has C(match) for nginx, C(rule) (an entry of C(access) with its C(number), or None),
    C(cached) and, where nginx serves files, C(alias) and C(expires).
    """
    rules = [
        {"number": number, "allow": [], "users_file": "", **rule}
        for number, rule in enumerate(site["access"])
    ]
    found = []
    if site["favicon"]:
        found.append(
            {"match": "= /favicon.ico", "path": "/favicon.ico", "alias": site["favicon"], "expires": "1d"}
        )
    for static in site["static"]:
        # Both end in a slash, or "../" behind the URL would reach the folder above.
        found.append({"path": static["url"], "alias": below(static["path"])})
    for path in [below(path) for path in [rule["path"] for rule in rules] + site["cache"]]:
        files = nearest(path, site["static"], "url")
        inside = below(files["path"]) + path[len(files["url"]) :] if files else ""
        if path != "/":
            # What is at the path itself, without the slash: a file, or the app's.
            at_itself = inside[:-1] if files and path != files["url"] else ""
            found.append({"match": f"= {path[:-1]}", "path": path, "alias": at_itself})
            found.append({"path": path, "alias": inside})
    found.append({"match": "/", "path": "/"})
    all_of_them = [
        {
            "match": f"^~ {one['path']}",
            "alias": "",
            "expires": "$tornadoes_expires",
            "rule": nearest(one["path"], rules, "path"),
            "cached": any(below(one["path"]).startswith(below(path)) for path in site["cache"]),
            **one,
        }
        for one in found
    ]
    # Once each, the first: a path may be guarded, cached and on disk.
    return list({one["match"]: one for one in reversed(all_of_them)}.values())[::-1]


class FilterModule:
    """Ansible finds the filters here."""

    def filters(self):
        """Name to function."""
        return {
            "nginx_proxy_header": nginx_proxy_header,
            "nginx_proxy_locations": nginx_proxy_locations,
            "nginx_proxy_slug": nginx_proxy_slug,
            "nginx_proxy_spelt": nginx_proxy_spelt,
        }
