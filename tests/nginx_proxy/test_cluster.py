"""A site that names its app: its upstreams follow from the inventory."""

import re

import pytest
from clustered import APPS, CHAT, FACTS, NAMES, card, facts, run, there
from published import files_of


def alone(sites, **variables):
    """The run on a host that is all there is."""
    groups = {"tornado_app": ["www1"], "nginx_proxy": ["www1"]}
    return run("www1", groups, {"nginx_proxy_sites": sites, **variables})


def said(found):
    """All that is said of the values."""
    return list(found.inputs.refusals())


PORTS = {"tornado_app_name": "chat", "tornado_app_ports": [8000, 8001]}


@pytest.mark.parametrize("apps", [PORTS, APPS, {**APPS, "tornado_app_name": "shop"}])
def test_on_one_host_an_app_is_its_ports_on_loopback(apps):
    explicit = {"names": NAMES, "upstreams": ["127.0.0.1:8000", "127.0.0.1:8001"]}
    by_name, by_ports = alone([CHAT], **apps), alone([explicit], **apps)
    assert said(by_name) == said(by_ports) == []
    assert files_of(by_name) == files_of(by_ports)


def test_an_app_that_lists_nothing_is_named_by_the_roles_defaults():
    servers = alone([{"names": NAMES, "app": "hello"}]).description()["upstreams"]
    assert servers == [f"127.0.0.1:{port}" for port in (8000, 8001, 8002, 8003)]


def test_paths_name_their_apps_as_well():
    site = {
        **CHAT,
        "paths": [{"path": "/shop/", "app": "shop"}, {"path": "/b/", "upstreams": ["10.0.0.9:1"]}],
    }
    found = alone([site], **APPS)
    assert said(found) == []
    [described] = found.description()["sites"]
    assert {one["path"]: one["servers"] for one in described["upstreams"]} == {
        "/": ["127.0.0.1:8000", "127.0.0.1:8001"],
        "/shop/": ["127.0.0.1:8100"],
        "/b/": ["10.0.0.9:1"],
    }


@pytest.mark.parametrize(
    ("site", "apps", "sentence"),
    [
        ({**CHAT, "app": "caht"}, APPS, "www.example.org: app 'caht' runs on no host. There are chat, shop."),
        (
            {**CHAT, "upstreams": ["127.0.0.1:8000"]},
            APPS,
            "www.example.org has app and upstreams for /. Give one of them",
        ),
        (
            {**CHAT, "paths": [{"path": "/api", "app": "api"}]},
            APPS,
            "www.example.org: app 'api' runs on no host.",
        ),
        (
            CHAT,
            {**PORTS, "tornado_app_ports": [], "tornado_app_workers": [{"name": "bot", "command": "bot.py"}]},
            "www.example.org: app 'chat' has no ports.",
        ),
        (
            CHAT,
            {**PORTS, "tornado_app_state": "absent"},
            "app 'chat' runs on no host. No host of tornado_app",
        ),
    ],
)
def test_an_app_that_can_t_be_published_is_refused(site, apps, sentence):
    [found] = said(alone([site], **apps))
    assert sentence in found


def test_ports_that_are_refused_elsewhere_are_not_refused_twice():
    assert said(alone([CHAT], **{**PORTS, "tornado_app_ports": "8000"})) == []


# Several hosts: what each is said to have, and what the facts of each have.


STATIC = [{"url": "/static/", "path": "/srv/chat/static"}, {"url": "/docs/", "path": "/srv/docs"}]


def block(text, head):
    """The lines of the block of nginx's language that begins with this line."""
    return text.split(f"{head} {{\n")[1].split("\n}\n")[0]


def servers(found, name="tornadoes_www.example.org"):
    """The lines by which a proxy uses the hosts of an app."""
    text = files_of(found)["sites/www.example.org.conf"]
    return [
        line.strip().partition(" # ")[0]
        for line in block(text, f"upstream {name}").split("\n")
        if " server " in line
    ]


def test_a_proxy_passes_over_hosts_that_fail_and_asks_them_once_more_when_all_have():
    assert said(there("web1")) == []
    assert servers(there("web1")) == [
        "server 10.0.0.1:8800 weight=1 max_fails=2 fail_timeout=10s;",
        "server 10.0.0.2:8800 weight=1 max_fails=2 fail_timeout=10s;",
        "server 10.0.0.1:8800 max_fails=0 backup;",
        "server 10.0.0.2:8800 max_fails=0 backup;",
    ]


def test_a_host_that_is_off_keeps_its_place_or_is_asked_for():
    off = {"ansible_facts": {}, "tornadoes_private_address": "10.0.0.2"}
    assert said(there("web1", app2=off)) == []
    assert servers(there("web1", app2=off)) == servers(there("web1"))
    [sentence] = said(there("web1", app2={"ansible_facts": {}}))
    assert sentence.startswith("tornadoes_private_address: app2 was not looked at in this run.")


def test_a_connection_to_another_host_is_not_kept():
    files = files_of(there("web1"))
    assert "keepalive" not in block(files["sites/www.example.org.conf"], "upstream tornadoes_www.example.org")
    # Else this host would wait a minute for each port that it had.
    assert "default close;" in files["nginx.conf"]
    assert "keepalive" in block(files_of(there("app1"))["snippets/inner.conf"], "upstream tornadoes_app_chat")


def test_a_host_that_is_drained_gets_nothing_and_a_heavy_one_more():
    found = there("web1", app1={"tornadoes_weight": 0}, app2={"tornadoes_weight": 3})
    assert servers(found)[0] == "server 10.0.0.2:8800 weight=3 max_fails=2 fail_timeout=10s;"
    assert "10.0.0.1" not in str(servers(found))
    assert said(found) == []


def test_a_backup_host_waits_until_no_other_can_be_reached():
    found = servers(there("web1", app1={"tornadoes_weight": "backup"}))
    assert found[0].endswith("fail_timeout=10s backup;")
    assert found[1].endswith("fail_timeout=10s;")
    # nginx refuses an upstream of backups alone, and any where clients stay with a server.
    alone = servers(there("web1", app1={"tornadoes_weight": "backup"}, app2={"tornadoes_weight": 0}))
    assert alone[0] == "server 10.0.0.1:8800 weight=1 max_fails=2 fail_timeout=10s;"
    sticky = servers(there("web1", {**CHAT, "sticky": "address"}, app1={"tornadoes_weight": "backup"}))
    assert sticky == ["server 10.0.0.2:8800 weight=1 max_fails=2 fail_timeout=10s;"]


def test_an_apps_host_answers_proxies_alone_and_on_its_private_address_alone():
    found = there("app1")
    assert said(found) == []
    files = files_of(found)
    text = "".join(files.values())
    assert [line.strip().split(";")[0] for line in text.split("\n") if " listen " in line] == [
        "listen 10.0.0.1:8800 default_server backlog=4096 so_keepalive=on",
        "listen 127.0.0.1:8800 default_server",
    ]
    asked = block(files["snippets/inner.conf"], "geo $realip_remote_addr $tornadoes_stranger")
    assert asked.split() == ["default", "1;", "10.0.0.11", '"";', "10.0.0.12", '"";', "127.0.0.1", '"";']
    assert found.inputs.questions()["ports"] == [8800]
    assert found.inputs.listens() == [8800]


def test_a_way_to_an_app_is_there_once_however_often_it_is_published():
    paths = [{"path": path, "app": "chat", "sticky": "address"} for path in ("/a/", "/b/")]
    site = {**CHAT, "paths": [*paths, {"path": "/shop/", "app": "shop"}]}
    text = files_of(there("app1", site))["snippets/inner.conf"]
    asked = block(text, "map $http_x_tornadoes_app $tornadoes_ports").split("\n")[1:]
    ways = [line.split('"')[1] for line in asked]
    assert ways == ["chat", "chat address", "shop", "chat files", "shop files"]
    assert text.count("upstream tornadoes_app_") == 3


def test_an_apps_host_that_is_switched_off_sends_proxies_elsewhere_first():
    lines = there("app1").description()["drop_in"].split("\n")
    assert "After=tornado-chat@8000.service tornado-chat@8001.service" in lines
    assert not [
        line for line in alone([CHAT], **APPS).description()["drop_in"].split("\n") if "tornado-" in line
    ]


def test_a_proxy_that_runs_the_app_too_asks_its_own_nginx_as_any_other():
    groups = {"tornado_app": ["web1", "web2"], "nginx_proxy": ["web1", "web2"]}
    found = there("web1", groups=groups)
    assert said(found) == []
    assert [one.split()[1] for one in servers(found)[:2]] == ["10.0.0.11:8800", "10.0.0.12:8800"]
    listens = [line for text in files_of(found).values() for line in text.split("\n") if " listen " in line]
    assert not any("127.0.0.1" in line for line in listens)
    assert any("listen 80 default_server" in line for line in listens)


def test_static_files_are_asked_for_where_the_app_is_and_nowhere_else():
    site = {**CHAT, "static": STATIC, "favicon": "/srv/chat/static/favicon.ico"}
    proxy, host = there("web1", site), there("app1", site)
    text = files_of(proxy)["sites/www.example.org.conf"]
    assert "proxy_pass http://tornadoes_www.example.org/.tornadoes/files/srv/chat/static/;" in text
    assert "alias /srv/docs/;" in text
    assert "/srv/chat/static" not in str(proxy.description()["named"])
    assert "/srv/chat/static/" in host.description()["named"]
    inner = files_of(host)["snippets/inner.conf"]
    assert "location ^~ /.tornadoes/files/srv/chat/static/ {" in inner
    assert "location = /.tornadoes/files/srv/chat/static/favicon.ico {" in inner
    assert "/srv/docs" not in inner
    # A proxy that runs the app has them itself.
    both = there("web1", site, groups={"tornado_app": ["web1", "app1"], "nginx_proxy": ["web1"]})
    assert "alias /srv/chat/static/;" in files_of(both)["sites/www.example.org.conf"]


def test_no_client_says_which_app_it_means():
    text = files_of(there("web1"))["snippets/proxy.conf"]
    for name in ("X_Tornadoes_App", "X-Tornadoes_App", "X_Tornadoes-App"):
        assert f'proxy_set_header {name} "";' in text
    assert "X-Tornadoes-App" not in files_of(alone([CHAT], **APPS))["snippets/proxy.conf"]


def test_an_app_on_other_hosts_with_ports_written_out_is_none_of_ours():
    site = {"names": NAMES, "upstreams": ["10.0.0.1:8000"]}
    assert files_of(there("app1", site)).keys() & {"snippets/inner.conf"} == set()
    assert "max_fails=0" in servers(there("web1", site))[0]


ASK = "Give each of these hosts the address by which proxies and app hosts reach each other"


@pytest.mark.parametrize(
    ("of_hosts", "sentence"),
    [
        (
            {"app1": facts(eth0=card("10.0.0.1"), docker0=card("172.17.0.1"))},
            f"tornadoes_private_address: app1 has several (10.0.0.1, 172.17.0.1). {ASK}",
        ),
        (
            {"app1": facts(eth0=card("198.51.100.1")), "app2": {"ansible_facts": FACTS}},
            "tornadoes_private_address: app1 has none that is private, app2 was not looked at in this run. "
            f"{ASK}",
        ),
        (
            {"app1": {"tornadoes_private_address": "198.51.100.1"}},
            f"tornadoes_private_address: '198.51.100.1' of app1 is no private address. {ASK}",
        ),
        (
            {"app1": {"tornadoes_private_address": "10.0.0.2"}},
            "tornadoes_private_address: 10.0.0.2 is that of app1, app2. Give each host its own.",
        ),
        (
            {"app1": {"tornadoes_private_address": "fd00::1"}},
            "tornadoes_private_address: 10.0.0.11, fd00::1, 10.0.0.2 are of IPv4 and IPv6.",
        ),
        (
            {"app1": {"tornadoes_weight": "much"}},
            "tornadoes_weight: 'much' of app1 is invalid. Give a number",
        ),
        (
            {"app1": {"tornadoes_weight": 0}, "app2": {"tornadoes_weight": 0}},
            "www.example.org: app 'chat' has no host that gets requests: tornadoes_weight is 0 on all.",
        ),
    ],
)
def test_hosts_that_can_t_find_each_other_are_refused(of_hosts, sentence):
    [found] = said(there("web1", **of_hosts))
    assert sentence in found


@pytest.mark.parametrize(
    ("known", "address"),
    [
        # A further address of an interface may be one that floats.
        (facts(eth0=card("10.0.0.1", "10.0.0.99")), "10.0.0.1"),
        (facts(eth0=card("198.51.100.1"), **{"eth1": card("fd00::1")}), "fd00::1"),
        (facts(eth0=card("192.168.7.1", "fd00::1")), "192.168.7.1"),
        ({"ansible_facts": FACTS, "ansible_host": "10.0.0.1"}, "10.0.0.1"),
        ({"tornadoes_private_address": "10.0.0.5"}, "10.0.0.5"),
    ],
)
def test_the_private_address_is_found_where_there_is_one(known, address):
    assert there("app1", app1=known).cluster.hosts["app1"].address == address


def test_hosts_that_have_nothing_to_do_with_each_other_need_no_address():
    groups = {"tornado_app": ["web1", "web2"], "nginx_proxy": ["web1"]}
    site = {"names": NAMES, "upstreams": ["127.0.0.1:8000"]}
    assert (
        said(there("web1", site, groups, web1={"ansible_facts": FACTS}, web2={"ansible_facts": FACTS})) == []
    )


def test_a_host_that_is_no_proxy_any_more_is_told_how_its_sites_go():
    found = {"holders": {}, "paths": {}, "settings": [], "unmanaged": [], "sites": ["www.example.org"]}
    [sentence] = there("app1").inputs.answers(found)
    assert sentence.startswith("nginx_proxy: app1 has www.example.org and is not in this group any more.")
    assert "[{names: ['www.example.org'], state: absent}] in host_vars/app1.yml." in sentence
    mine = {"nginx_proxy_sites": [{"names": NAMES, "state": "absent"}]}
    assert list(there("app1", app1=mine).inputs.answers(found)) == []
    assert list(there("web1").inputs.answers(found)) == []


# Certificates of a public CA, on several proxies.
SIGNED = {"names": ["www.example.org"], "tls": "acme", "upstreams": ["127.0.0.1:9000"]}


def test_a_question_of_the_ca_is_answered_by_whichever_proxy_it_comes_to():
    files = files_of(there("web1", SIGNED))
    asked = block(files["nginx.conf"], "    upstream tornadoes_challenged").split("\n    }")[0]
    assert asked.strip().startswith("server 10.0.0.12:80 max_fails=0;")
    assert "10.0.0.11" not in asked
    assert "location @challenged {" in files["snippets/acme.conf"]


BALANCED = {"nginx_proxy_proxy_protocol": True, "nginx_proxy_trusted_proxies": ["192.0.2.1"]}


@pytest.mark.parametrize("app", [{}, {"app": "chat", "upstreams": []}])
@pytest.mark.parametrize("balanced", [["web1"], ["web2"], ["web1", "web2"]])
def test_where_a_proxy_wants_the_proxy_protocol_the_question_comes_on_the_private_port(app, balanced):
    groups = {"tornado_app": ["web1", "app1"], "nginx_proxy": ["web1", "web2"]}
    found = there("web1", SIGNED | app, groups, **dict.fromkeys(balanced, BALANCED))
    assert said(found) == []
    files = files_of(found)
    asked = block(files["nginx.conf"], "    upstream tornadoes_challenged").split("\n    }")[0]
    assert asked.strip().startswith("server 10.0.0.12:8800 max_fails=0;")
    assert "proxy_set_header Host tornadoes-challenges;" in files["snippets/acme.conf"]
    assert "proxy_bind 10.0.0.11;" in files["snippets/acme.conf"]
    # The other one comes by the same way, and nobody else.
    assert "listen 10.0.0.11:8800;" in files["nginx.conf"]
    allowed = block(files["nginx.conf"], "    geo $realip_remote_addr $tornadoes_challenger").split("}")[0]
    assert re.findall(r"^ *([0-9.]+) 1;", allowed, re.MULTILINE) == ["10.0.0.12"]
    assert 8800 in found.inputs.questions()["ports"]


@pytest.mark.parametrize(
    "of_other",
    [
        {"nginx_proxy_sites": [{**SIGNED, "names": ["other.example.org"]}]},
        {"nginx_proxy_sites": [{**SIGNED, "tls": "private_ca"}]},
        {"nginx_proxy_sites": [{"names": ["www.example.org"], "state": "absent"}]},
        facts(eth0=card("198.51.100.8")),  # where it can't be reached in private
    ],
)
def test_a_proxy_that_can_t_know_the_answer_is_not_asked(of_other):
    found = there("web1", SIGNED, web2=of_other)
    assert said(found) == []
    assert "challenged" not in "".join(files_of(found).values())


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/data/media/", "/data/media/"),
        ("/data/media/2026/", "/data/media/"),
        ("/data/", "/data/"),
        ("/data/mediathek/", None),
        ("/srv/www/", None),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_where_an_app_may_write_besides_its_own_its_links_lead_to_its_own_files_alone(path, root, listed):
    sandbox = {"writable_paths": ["/data/media"]}
    entry = {"name": "chat", "ports": [8000], **({"sandbox": sandbox} if listed else {})}
    apps = {"tornado_app_apps": [entry]} if listed else {**PORTS, "tornado_app_sandbox": sandbox}
    site = {**CHAT, "static": [{"url": "/media/", "path": path}]}
    found = alone([site], **apps)
    assert said(found) == []
    text = files_of(found)["sites/www.example.org.conf"]
    assert re.findall("disable_symlinks (.*);", text) == [f"if_not_owner from={root}"] * bool(root)
