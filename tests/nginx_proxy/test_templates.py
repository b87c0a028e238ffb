"""What the role writes into nginx's configuration, for each kind of site.

The description is made of the role's inputs, and rendered, as in a run; only what a host would
answer is given here.
"""

import json
import re

import pytest
from analysis import problems
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_configuration import (
    configuration,
    host_of,
)
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.nginx_proxy_locations import (
    locations,
    spelt,
)
from certificates.description import Description
from rendering import ROOT, role_variables, trusted

ACME = "https://acme-v02.api.letsencrypt.org/directory"
BOOKWORM, TRIXIE = "nginx/1.22.1 OpenSSL 3.0.17", "nginx/1.26.3 OpenSSL 3.5.4"


def described(*sites, debian="13", **settings):
    """What the host shall have by these inputs."""
    given = trusted({"nginx_proxy_sites": list(sites), **settings})
    facts = {"distribution": "Debian", "distribution_major_version": debian}
    host = {"inventory_hostname": "www1", "ansible_facts": facts}
    run = Run(ROOT / "roles/nginx_proxy", DataLoader(), {**role_variables("nginx_proxy", **given), **host})
    return run.description()


def render(*sites, build=TRIXIE, ipv6=True, **settings):
    """Path to content of everything that the role would store."""
    description = described(*sites, **settings)
    found = {"build": build, "paths": {"/proc/net/if_inet6": {"kind": "file" * ipv6}}}
    files, _users = configuration(description, host_of(found, description["debian"]), None)
    for path, text in files.items():
        assert not re.search(r"{{|{%|{#|#jinja2", text), f"{path} was not rendered"
        assert text.count("{") == text.count("}"), path
        assert text.endswith("\n"), path
    return files


def site(**keys):
    """A site with what every site needs."""
    return {"names": ["www.example.org"], "upstreams": ["127.0.0.1:8000", "127.0.0.1:8001"], **keys}


def page(**arguments):
    """The file of one site, with its keys among the arguments."""
    settings = {key: arguments.pop(key) for key in [*arguments] if key in ("build", "ipv6") or "nginx" in key}
    files = render(site(**arguments), **settings)
    return next(text for path, text in files.items() if path.startswith("sites/"))


def servers(text):
    """The server blocks of a file."""
    return re.findall(r"^ *server \{\n(.*?)^ *\}\n(?=\n|\Z| *server| *include)", text, re.S | re.M)


def test_what_the_tutorial_has_is_there():
    files = render(site())
    for line in (
        "user www-data;",
        "worker_processes auto;",
        "worker_connections 16384;",
        "worker_rlimit_nofile 32768;",
        "use epoll;",
        "error_log /var/log/nginx/error.log;",
        "pid /run/nginx.pid;",
        "default_type application/octet-stream;",
    ):
        assert line in files["nginx.conf"]
    for line in (
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Scheme $scheme;",
    ):
        assert line in files["snippets/proxy.conf"]
    assert "proxy_redirect off;" in files["sites/www.example.org.conf"]


def test_what_the_tutorial_gets_wrong_is_not():
    everything = "\n".join(render(site(static=[{"url": "/static/", "path": "/srv/static"}])).values())
    for words in ("$http_host", "proxy_pass_header", "rewrite", "ssl on", "non_idempotent"):
        assert words not in everything
    # In a location "if" does what nobody expects; in a server it returns.
    assert "        if (" not in everything


@pytest.mark.parametrize("build", [BOOKWORM, TRIXIE])
@pytest.mark.parametrize("names", [["www.example.org", "*.example.org"], ["www.example.org", "192.0.2.1"]])
def test_gixy_finds_nothing(tmp_path, build, names):
    sites = [
        site(names=names, static=[{"url": "/static/", "path": "/srv/static"}], favicon="/srv/favicon.ico"),
        site(
            names=["both.example.org"],
            redirect=False,
            sticky="address",
            hsts="none",
            redirects=["old.example.org"],
            access=[{"path": "/", "allow": ["10.0.0.0/8"]}],
            cache=["/api/kept"],
            paths=[
                {"path": "/api/", "upstreams": ["127.0.0.1:8100"], "strip_prefix": True},
                {"path": "/é", "upstreams": ["unix:/run/a.sock"], "strip_prefix": True},
                {"path": "/more", "upstreams": ["127.0.0.1:8100"]},
            ],
        ),
        site(
            names=["plain.example.org"], tls="none", upstreams=[], static=[{"url": "/a/", "path": "/srv/a"}]
        ),
    ]
    for path, text in render(*sites, build=build).items():
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        ours = text.replace("@release@", str(tmp_path))
        target.write_text(re.sub(r"^ *include /etc/nginx/.*\n", "", ours, flags=re.M))
    assert problems(tmp_path / "nginx.conf") == []


def test_includes_stay_inside_the_release_or_are_debians():
    included = re.findall(r"include ([^;]+);", "\n".join(render(site()).values()))
    debians = {
        f"/etc/nginx/{name}"
        for name in ("mime.types", "modules-enabled/*.conf", "conf.d/*.conf", "sites-enabled/*")
    }
    assert {path for path in included if not path.startswith("@release@/")} == debians


def test_no_client_can_spoof_a_header():
    text = render(site())["snippets/proxy.conf"]
    for header in ("X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "Forwarded", "Proxy"):
        assert f'proxy_set_header {header} "";' in text
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text
    assert "proxy_set_header Host $host$tornadoes_port;" in text


def test_no_other_spelling_of_a_header_speaks_for_a_balancer():
    balanced = {"nginx_proxy_trusted_proxies": ["192.0.2.1"]}
    assert "underscores_in_headers on;" in render(site(), build=BOOKWORM)["nginx.conf"]
    assert "underscores_in_headers on;" in render(site(), build=TRIXIE, **balanced)["nginx.conf"]
    assert "underscores_in_headers off;" in render(site(), build=BOOKWORM, **balanced)["nginx.conf"]


@pytest.mark.parametrize("tls", ["private_ca", "acme", "none"])
def test_a_redirect_is_of_the_site_with_its_certificate(tls):
    entry = {"tls": tls, "redirects": ["example.org", "old.example.org"]}
    text = page(**entry)
    found = next(one for one in servers(text) if "server_name example.org old.example.org;" in one)
    scheme = "http" if tls == "none" else "https"
    assert f"return 308 {scheme}://www.example.org$request_uri;" in found
    assert ("ssl_certificate /etc/nginx/certificates/www.example.org/" in found) == (tls != "none")
    assert ("acme.conf" in found) == (tls == "acme")
    told = described(site(**entry))["certificates"]["sites"]
    assert [one["names"] for one in told] == [["www.example.org", *entry["redirects"]]] * (tls != "none")


def test_only_websocket_is_upgraded():
    assert "~*^websocket$ websocket;" in render(site())["nginx.conf"]
    assert "proxy_set_header Upgrade $tornadoes_upgrade;" in render(site())["snippets/proxy.conf"]


def test_upstreams_are_never_marked_down():
    text = page()
    assert "least_conn;" in text
    assert "server 127.0.0.1:8001 max_fails=0;" in text
    assert "keepalive 256;" in text


@pytest.mark.parametrize(("port", "shown"), [(443, ""), (8443, ":8443")])
def test_the_redirect_keeps_path_and_method(port, shown):
    redirect, _ = servers(page(nginx_proxy_https_port=port))
    assert f"return 308 https://$host{shown}$request_uri;" in redirect
    assert "proxy_pass" not in redirect


def test_without_redirect_both_ports_serve_and_hsts_is_silent():
    (only,) = servers(page(redirect=False))
    assert "listen 80;" in only
    assert "listen 443 ssl;" in only
    assert "Strict-Transport-Security" not in only


def test_a_site_without_tls():
    (only,) = servers(page(tls="none"))
    assert "listen 80;" in only
    for words in ("443", "ssl", "tls.conf", "Strict-Transport-Security", "308"):
        assert words not in only


@pytest.mark.parametrize(
    ("hsts", "header"),
    [("none", None), ("host", '"max-age=63072000"'), ("subdomains", '"max-age=63072000; includeSubDomains"')],
)
def test_hsts(hsts, header):
    redirect, served = servers(page(hsts=hsts))
    assert "Strict-Transport-Security" not in redirect
    assert re.findall(r"Strict-Transport-Security (.*) always;", served) == ([header] if header else [])


def test_static_files_come_from_disk():
    text = page(static=[{"url": "/static/", "path": "/srv/a"}, {"url": "/more/", "path": "/srv/b/"}])
    assert re.search(r"location \^~ /static/ \{[^}]*alias /srv/a/;\s+expires \$tornadoes_expires;", text)
    assert re.search(r"location \^~ /more/ \{[^}]*alias /srv/b/;", text)


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/srv/chat/static/", False),
        ("/srv/www/", False),
        ("/var/lib/tornado-chat/media/", True),
        # A link of the release leads to where the program writes.
        ("/srv/chat/current/uploads/", True),
        ("/srv/chat/releases/0123456789ab/uploads/", True),
    ],
)
def test_a_link_of_a_programs_own_leads_nginx_to_its_own_files_alone(path, closed):
    text = page(static=[{"url": "/media/", "path": path}])
    assert (f"disable_symlinks if_not_owner from={path};" in text) == closed


def test_a_versioned_url_is_kept_for_good():
    assert re.search(
        r'map \$arg_v \$tornadoes_expires \{\s+default max;\s+"" -1;', render(site())["nginx.conf"]
    )


def test_favicon():
    assert "favicon" not in page()
    assert re.search(r"location = /favicon.ico \{\s+alias /srv/f.ico;", page(favicon="/srv/f.ico"))


def test_limits():
    text = page(timeout=7, max_body_size="3m")
    assert "proxy_read_timeout 7s;" in text
    assert "client_max_body_size 3m;" in text


def test_a_site_of_static_files_only():
    text = page(upstreams=[], static=[{"url": "/static/", "path": "/srv/a"}])
    assert "upstream tornadoes" not in text
    assert "proxy_pass" not in text
    assert "return 404;" in text


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
        name = re.search("proxy_pass http://([^/;]+)", block)
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
    assert "proxy_pass http://tornadoes_www.example.org_path0;" in found["^~ /api/"]


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
        rule = r"\s+allow 10.0.0.0/8;.*\s+deny all;\s+alias "
        assert re.search(rf"location {match} \{{{rule}{alias};", text)


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


@pytest.mark.parametrize(
    ("build", "http2", "group", "tickets"),
    [(BOOKWORM, "listen 443 ssl http2;", False, True), (TRIXIE, "http2 on;", True, False)],
)
def test_tls_is_what_the_installed_nginx_understands(build, http2, group, tickets):
    files = render(site(), build=build)
    assert http2 in files["sites/www.example.org.conf"] + files["snippets/tls.conf"]
    assert ("ssl_ecdh_curve ?X25519MLKEM768:" in files["snippets/tls.conf"]) is group
    assert ("ssl_session_tickets off;" in files["snippets/tls.conf"]) is tickets
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in files["snippets/tls.conf"]


def test_modern_is_tls_13_alone():
    text = render(site(), nginx_proxy_tls_profile="modern")["snippets/tls.conf"]
    assert "ssl_protocols TLSv1.3;" in text
    for words in ("ssl_ciphers", "ssl_session_cache", "TLSv1.2"):
        assert words not in text


def test_a_ca_is_answered_on_http_and_not_redirected():
    redirect, served = servers(page(tls="acme"))
    assert "include @release@/snippets/acme.conf;" in redirect
    assert "acme.conf" not in served
    assert "location / {\n        return 308" in redirect
    (both,) = servers(page(tls="acme", redirect=False))
    assert "include @release@/snippets/acme.conf;" in both
    answer = render(site(tls="acme"))["snippets/acme.conf"]
    assert "location ^~ /.well-known/acme-challenge/ {\n    root /var/lib/nginx-proxy/challenges;" in answer


def test_a_site_without_a_public_ca_answers_none():
    assert "acme.conf" not in "\n".join([*render(site()), *render(site()).values()])


@pytest.mark.parametrize(("release", "http2"), [("12", "ssl http2 "), ("13", "ssl default")])
def test_a_bare_host_is_judged_by_its_release(release, http2):
    assert f"listen 443 {http2}" in render(site(), build="", debian=release)["nginx.conf"]


@pytest.mark.parametrize("ipv6", [True, False])
def test_ipv6_only_where_the_host_has_it(ipv6):
    files = render(site(), ipv6=ipv6)
    for path in ("nginx.conf", "sites/www.example.org.conf"):
        assert ("listen [::]:443" in files[path]) is ipv6


def test_unknown_names_get_no_answer():
    http, https = servers(render(site())["nginx.conf"])
    assert "listen 80 default_server backlog=4096;" in http
    assert "return 421;" in http
    assert "ssl_reject_handshake on;" in https
    assert "return 421;" in https


def test_a_site_with_an_address_serves_clients_that_name_none():
    _, https = servers(render(site(), site(names=["a.test", "::1"]))["nginx.conf"])
    assert "ssl_certificate /etc/nginx/certificates/a.test/fullchain.pem;" in https
    assert "ssl_reject_handshake" not in https


@pytest.mark.parametrize("sites", [[], [site(tls="none")], [site(state="absent")]])
def test_no_https_where_no_site_has_tls(sites):
    assert "443 ssl" not in "\n".join(render(*sites).values())


@pytest.mark.parametrize(
    ("name", "file", "server_name"),
    [
        ("*.example.org", "_.example.org", "*.example.org"),
        ("2001:db8::1", "2001_db8__1", "[2001:db8::1]"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ],
)
def test_names_of_files(name, file, server_name):
    text = render(site(names=[name]))[f"sites/{file}.conf"]
    assert f"server_name {server_name};" in text
    assert f"proxy_pass http://tornadoes_{file};" in text
    assert f"/etc/nginx/certificates/{file}/privkey.pem;" in text


def test_an_absent_site_leaves_nothing():
    assert [
        path for path in render(site(), site(names=["gone.test"], state="absent")) if "gone" in path
    ] == []


def test_what_the_host_is_asked_for_is_what_the_sites_name():
    found = described(
        site(
            upstreams=["127.0.0.1:8000", "[::1]:8001", "app.test:80", "unix:/run/a.sock"],
            favicon="/srv/f.ico",
        ),
        site(names=["b.test"], tls="none", static=[{"url": "/static/", "path": "/srv/a"}]),
    )
    assert found["upstreams"] == ["127.0.0.1:8000", "[::1]:8001", "127.0.0.1:8001"]
    assert found["named"] == ["/srv/f.ico", "/run/a.sock", "/srv/a"]
    folder = "/etc/nginx/certificates/www.example.org"
    assert found["read_at_start"] == [f"{folder}/fullchain.pem", f"{folder}/privkey.pem"]


@pytest.mark.parametrize(("profile", "days"), [("intermediate", 365), ("modern", 90)])
def test_what_the_certificates_program_is_told(profile, days):
    brought = {"tls": "provided", "certificate": "b.pem", "certificate_key": "b.key"}
    sites = [site(tls="acme"), site(names=["b.test"], **brought), site(names=["c.test"], tls="none")]
    found = described(*sites, nginx_proxy_tls_profile=profile, nginx_proxy_https_port=8443)
    told = Description.read(json.dumps(found["certificates"]))
    assert (told.ca_name, told.ca_days, told.https_port) == ("Private CA of www1", days, 8443)
    assert (told.acme.directory, told.acme.challenge_port) == (ACME, 80)
    assert [(one.slug, one.tls) for one in told.sites] == [
        ("www.example.org", "acme"),
        ("b.test", "provided"),
    ]
    assert found["provided"] == {"b.test": {"certificate": "b.pem", "key": "b.key"}}
