"""Which paths of a site somebody may mean, and who is let in there."""

import re

from .nginx_proxy_locations import open_rules
from .nginx_proxy_values import NETWORKS, PATHS, STATIC, called, every
from .values import PATH, listed, network, quoted, twice

UNSEEN = re.compile(r"[*%?]|//|/\.\.?(?:/|\Z)")  # in no address that nginx compares with


def about_access(site):
    """Who may open a site."""
    if bad := open_rules(site):
        yield (
            f"nginx_proxy_sites: access: {listed(bad)} of {called(site)} admits everybody. Give it allow or "
            "users_file; neither is for a path below one that has a rule."
        )
    paths = [rule["path"].rstrip("/") for rule in site["access"]]
    if twice(paths):
        yield (
            f"nginx_proxy_sites: access: {called(site)} has two rules for one path ({listed(paths)}). Write "
            "one, with allow and users_file as needed."
        )


def about_apps(site):
    """What other apps a site has."""
    for one in site["paths"]:
        if one["path"] == "/":
            yield (
                f"nginx_proxy_sites: paths: / is all of {called(site)}. Give its app or upstreams as the site's own, "
                "beside paths."
            )
        if not one["upstreams"] and not one["app"]:
            yield (
                f"nginx_proxy_sites: paths: {one['path']} of {called(site)} has no app and no upstreams. Give one, or "
                "remove the path."
            )


def about_paths(sites):
    """Which addresses of a site are meant. nginx compares with the decoded path, and refuses other spellings."""
    rules = every(sites, "access")
    closed = [path for site in sites for path in site["maintenance"]["paths"]]
    given = [one["path"] for one in rules + every(sites, "paths")] + every(sites, "cache")
    mine = [one for one in given if one != "/"] + closed
    bad = [one for one in mine if not PATH.fullmatch(one)]
    if bad:
        yield f"nginx_proxy_sites: {quoted(bad)} can't be a path of access, cache, maintenance or paths. {PATHS}"
    urls = [one["url"] for one in every(sites, "static") if STATIC.fullmatch(one["url"])]
    if unseen := [one for one in mine + urls if one not in bad and UNSEEN.search(one)]:
        yield (
            f"nginx_proxy_sites: {quoted(unseen)} matches no address that nginx sees. Give a plain path, which is "
            "for all that is below as well: no *, no %, no query, and neither //, /./ nor /../ in it."
        )
    allowed = [one for rule in rules for one in rule.get("allow", [])]
    allowed += [one for site in sites for one in site["maintenance"]["allow"]]
    if bad := [one for one in allowed if not network(one)]:
        yield f"nginx_proxy_sites: allow: {quoted(bad)} is no network. {NETWORKS}"
