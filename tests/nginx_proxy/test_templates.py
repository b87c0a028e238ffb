"""What the role writes into nginx's configuration, for each kind of site."""

import json
import re

import pytest
from analysis import problems
from certificates.description import Description
from published import BOOKWORM, DETOUR, FORKY, TRIXIE, described, page, render, servers, site

ACME = "https://acme-v02.api.letsencrypt.org/directory"


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
    files = render(site(static=[{"url": "/static/", "path": "/srv/static"}]))
    # What every location has to do before a reload is done once, in two files.
    everything = "\n".join(
        files[path] for path in {*files} - {"snippets/detour.conf", "snippets/leaving.conf"}
    )
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


BALANCED = {"nginx_proxy_trusted_proxies": ["192.0.2.1"], "nginx_proxy_proxy_protocol": True}


@pytest.mark.parametrize("build", [BOOKWORM, TRIXIE])
@pytest.mark.parametrize(("ipv6", "public"), [(True, ["", "[::]:"]), (False, [""])])
def test_every_public_port_wants_the_proxy_protocol_and_loopback_does_not(build, ipv6, public):
    sites = [site(redirects=["old.example.org"]), site(names=["both.example.org"], redirect=False)]
    files = render(*sites, build=build, ipv6=ipv6, **BALANCED)
    found = [
        re.findall(r"^ *listen (\S*?)(?:80|443)(?!\d)(.*);$", one, re.MULTILINE)
        for path, text in files.items()
        for one in servers(text)
        if path == "nginx.conf" or path.startswith("sites/")
    ]
    own = ["127.0.0.1:", "[::1]:"][: len(public)]
    assert len(found) == 6
    for server in found:
        assert {address for address, _options in server} == {*public, *own}
        for address, options in server:
            assert options.endswith(" proxy_protocol") == (address in public)
            # Else nginx would bind it besides, and could not start over a port that it has already.
            assert "backlog" not in options or address in public


def test_a_balancer_that_only_passes_connections_on_speaks_for_no_header():
    files = render(site(cache=["/kept"]), build=BOOKWORM, **BALANCED)
    assert "real_ip_header proxy_protocol;" in files["snippets/clients.conf"]
    everything = "".join(files.values())
    for header in ("x_forwarded_for", "x_forwarded_proto", "x_request_id"):
        assert f"$http_{header}" not in everything
    assert "real_ip_header X-Forwarded-For" not in everything
    # No such name is asked for, so none has to be kept away.
    assert "underscores_in_headers on;" in files["nginx.conf"]


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
    ("path", "root"),
    [
        ("/srv/chat/static/", None),
        ("/srv/www/", None),
        # The program can let the folder that is served be a link.
        ("/var/lib/tornado-chat/media/", "/var/lib/tornado-chat/"),
        ("/var/lib/tornado-chat/", "/var/lib/tornado-chat/"),
        ("/var/cache/tornadoes-tmp/chat/media/", "/var/cache/tornadoes-tmp/"),
        # A link of the release leads to where the program writes.
        ("/srv/chat/current/uploads/", "/srv/chat/"),
        ("/srv/chat/releases/0123456789ab/uploads/", "/srv/chat/"),
    ],
)
def test_a_link_of_a_programs_own_leads_nginx_to_its_own_files_alone(path, root):
    found = re.findall("disable_symlinks (.*);", page(static=[{"url": "/media/", "path": path}]))
    assert found == [f"if_not_owner from={root}"] * bool(root)
    found = re.findall("disable_symlinks (.*);", page(favicon=f"{path}x.ico"))
    assert found == [f"if_not_owner from={root}"] * bool(root)


def test_a_versioned_url_is_kept_for_good():
    assert re.search(
        r'map \$arg_v \$tornadoes_expires \{\s+default max;\s+"" -1;', render(site())["nginx.conf"]
    )


def test_favicon():
    assert "favicon" not in page()
    text = page(favicon="/srv/f.ico")
    assert re.search(rf"location = /favicon.ico {DETOUR}alias /srv/f.ico;", text)


def test_before_a_reload_every_location_sends_its_clients_on():
    one = site(
        tls="acme",
        redirects=["old.example.org"],
        static=[{"url": "/static/", "path": "/srv/static"}],
        favicon="/srv/f.ico",
        cache=["/news"],
        access=[{"path": "/static/x", "allow": ["10.0.0.0/8"]}],
        paths=[{"path": "/api/", "upstreams": ["127.0.0.1:8100"], "strip_prefix": True}],
    )
    files = render(one, site(names=["files.example.org"], upstreams=[]))
    text = "\n".join(files.values()) + "\n"
    there = re.findall(r"^ *location .*\{\n.*", text, re.M)
    assert len(there) > 15
    assert [one for one in there if "/snippets/detour.conf;" not in one] == [
        "location = /.tornadoes/leaving {\n    internal;"
    ]
    for path in files:
        for server in servers(files[path]):
            assert "include @release@/snippets/leaving.conf;" in server


def test_an_nginx_that_keeps_idle_connections_through_a_reload_sends_nobody_on():
    assert "keepalive_min_timeout" not in "\n".join(render(site()).values())
    files = render(site(), build=FORKY)
    assert "keepalive_min_timeout 10s;" in files["nginx.conf"]
    assert "rewrite" not in "\n".join(files.values())


def test_limits():
    text = page(timeout=7, max_body_size="3m")
    assert "proxy_read_timeout 7s;" in text
    assert "client_max_body_size 3m;" in text


def test_a_site_of_static_files_only():
    text = page(upstreams=[], static=[{"url": "/static/", "path": "/srv/a"}])
    assert "upstream tornadoes" not in text
    assert "proxy_pass" not in text
    assert "return 404;" in text


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
    assert re.search(f"location / {DETOUR}return 308", redirect)
    (both,) = servers(page(tls="acme", redirect=False))
    assert "include @release@/snippets/acme.conf;" in both
    answer = render(site(tls="acme"))["snippets/acme.conf"]
    assert "root /var/lib/nginx-proxy/challenges;" in answer


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
    assert f"proxy_pass http://tornadoes_{file}$request_uri;" in text
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
