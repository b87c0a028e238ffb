"""Which path of a site is whose: an app's, a rule's, a folder's of static files."""

import re

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.nginx_proxy_locations import (
    locations,
    spelt,
)
from published import DETOUR, described, page, render, site

NOTHING = {"favicon": "", "static": [], "access": [], "cache": [], "paths": [], "sticky": "none"}


def places(**keys):
    """Match of each location to the number of its rule, or None."""
    asked = site(**{**NOTHING, **keys})
    paths = [rule["path"] for rule in asked["access"]]
    return {one.match: paths.index(one.rule.path) if one.rule else None for one in locations(asked)}


def test_the_rule_with_the_longest_path_counts():
    static = [{"url": "/static/", "path": "/srv/a"}]
    assert places() == {"/": None}
    for path, number in (("/", 0), ("/favicon.ico", 0)):
        found = places(access=[{"path": path}], static=static, favicon="/f")
        assert (found["= /favicon.ico"], found["^~ /static/"]) == (number, 0 if path == "/" else None)
    assert places(access=[{"path": "/a/b/"}, {"path": "/a"}]) == {
        "= /a/b": 0,
        "^~ /a/b/": 0,
        "= /a": 1,
        "^~ /a/": 1,
        "/": None,
    }
    rules = [{"path": "/static"}, {"path": "/static/x"}, {"path": "/stat"}]
    assert places(access=rules, static=static) == {
        "^~ /static/": 0,
        "= /static": 0,
        "^~ /static/x/": 1,
        "= /static/x": 1,
        "= /stat": 2,
        "^~ /stat/": 2,
        "/": None,
    }


def test_answers_are_kept_below_their_paths_alone():
    cache = ["/news", "/news/intern"]
    found = locations(site(**{**NOTHING, "access": [{"path": "/news/intern"}], "cache": cache}))
    assert {one.match: one.cached for one in found} == {
        "= /news/intern": True,
        "^~ /news/intern/": True,
        "= /news": True,
        "^~ /news/": True,
        "/": False,
    }


def app(path, port=8100, **keys):
    """An entry of a site's paths."""
    return {"path": path, "upstreams": [f"127.0.0.1:{port}"], **keys}


def blocks(text):
    """Match of each location of a site to what stands in it."""
    return dict(re.findall(r"^    location ([^{]+) \{\n(.*?)^    \}\n", text, re.S | re.M))


@pytest.mark.parametrize("turn", [1, -1])
def test_the_app_with_the_longest_path_gets_a_request(turn):
    paths = [app("/api", 1), app("/api/v2/", 2), app("/static/live", 3)][::turn]
    static = [{"url": "/static/", "path": "/srv/a"}, {"url": "/api/static/", "path": "/srv/b"}]
    text = page(paths=paths, static=static, access=[{"path": "/api/v2/x", "allow": ["10.0.0.0/8"]}])
    ports = dict(re.findall(r"^upstream (\S+) \{.*?server 127.0.0.1:(\d+) ", text, re.S | re.M))
    found = {}
    for match, block in blocks(text).items():
        name = re.search(r"proxy_pass http://([^/;$]+)", block)
        found[match] = ports[name[1]] if name else re.search("alias ([^;]+)", block)[1]
    found.pop("= /.tornadoes/maintenance.html")
    assert found == {
        **{"= /api": "1", "^~ /api/": "1", "= /api/v2": "2", "^~ /api/v2/": "2"},
        **{"= /api/v2/x": "2", "^~ /api/v2/x/": "2", "= /static/live": "3", "^~ /static/live/": "3"},
        **{"^~ /static/": "/srv/a/", "^~ /api/static/": "/srv/b/", "/": "8000"},
    }


@pytest.mark.parametrize("turn", [1, -1])
def test_an_app_gets_what_is_behind_the_longest_path(turn):
    text = page(paths=[app(path, strip_prefix=True) for path in ("/api", "/api/v2", "/é")][::turn])
    likes = [one.replace("?<", "?P<") for one in re.findall('"~(.*)" .*_found; #=', text)]
    for address, rest in (("/api/x", "x"), ("/api/v2/x", "x"), ("/api/v2", "v2"), ("/%c3%A9/", "")):
        assert next(found[1] for one in likes if (found := re.match(one, address))) == rest


def test_each_app_of_a_site_has_servers_of_its_own():
    paths = [app("/a", 8000), app("/b", 8000, sticky="none")]
    sites = [site(sticky="address", paths=paths), site(names=["b.test"], paths=paths, upstreams=[])]
    text = "\n".join(render(*sites).values())
    groups = dict(re.findall(r"^upstream (\S+) \{\n(.*?)^\}", text, re.S | re.M))
    assert len(groups) == len(re.findall("^upstream ", text, re.M)) == 5
    assert [name for name, lines in groups.items() if "hash $tornadoes_client" in lines] == [
        "tornadoes_www.example.org_path0",
        "tornadoes_www.example.org",
    ]
    for lines in groups.values():
        assert "max_fails=0;" in lines
        assert "keepalive 256;" in lines


def test_a_site_of_paths_alone_has_nothing_else():
    found = blocks(page(upstreams=[], paths=[app("/api")]))
    assert "return 404;" in found["/"]
    assert "proxy_pass http://tornadoes_www.example.org_path0$request_uri;" in found["^~ /api/"]


def test_a_rule_of_a_site_is_one_of_its_paths():
    rules = [{"path": "/", "allow": ["10.0.0.0/8"]}, {"path": "/api/in", "users_file": "/users"}]
    paths = [app("/api", strip_prefix=True), app("/b")]
    places = described(site(access=rules, paths=paths))["sites"][0]["locations"]
    found = {one["match"]: one["rule"]["path"] for one in places if not one["slash"]}
    assert found == {
        **{"= /api/in": "/api/in", "^~ /api/in/": "/api/in"},
        **dict.fromkeys(("^~ /api/", "= /b", "^~ /b/", "/"), "/"),
    }


def test_the_host_is_asked_for_the_servers_of_all_apps():
    paths = [app("/a", 1), {"path": "/b", "upstreams": ["unix:/run/b.sock", "127.0.0.1:2"]}]
    found = described(site(paths=paths))
    assert set(found["upstreams"]) == {f"127.0.0.1:{port}" for port in (1, 2, 8000, 8001)}
    assert found["named"] == ["/run/b.sock"]


def test_files_under_a_rule_still_come_from_disk():
    text = page(
        static=[{"url": "/static/", "path": "/srv/a"}],
        access=[{"path": "/static/x", "allow": ["10.0.0.0/8"]}],
    )
    for match, alias in (("\\^~ /static/x/", "/srv/a/x/"), ("= /static/x", "/srv/a/x")):
        rule = rf"{DETOUR}allow 10.0.0.0/8;.*\s+deny all;\s+alias "
        assert re.search(rf"location {match} {rule}{alias};", text)


@pytest.mark.parametrize(
    ("path", "taken", "other"),
    [
        ("/a-b/", ["/a-b"], ["/a%2Db", "/A-b", "/a.b"]),
        ("/é", ["/%C3%A9", "/%c3%a9"], ["/%E9", "/e"]),
        ("/a@b", ["/a@b", "/a%40b"], ["/a%b"]),
        ("/a.b", ["/a.b"], ["/axb", "/a%2eb"]),
    ],
)
def test_how_a_path_may_be_spelt(path, taken, other):
    like = re.compile(spelt(path))
    assert [one for one in taken + other if like.fullmatch(one)] == taken
