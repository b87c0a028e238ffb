"""A site that names its app: its upstreams follow from the inventory."""

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from published import files_of
from rendering import ROOT, role_variables, trusted

NAMES = ["www.example.org"]
CHAT = {"names": NAMES, "app": "chat"}
FACTS = {"distribution": "Debian", "distribution_major_version": "13"}


def run(host, groups, everywhere, **of_hosts):
    """What is known of a run of nginx_proxy on a host. everywhere: variables of all; of_hosts: of one."""
    known = {
        name: trusted({"ansible_facts": FACTS, **everywhere, **of_hosts.get(name, {})})
        | {"inventory_hostname": name}
        for name in {one for hosts in groups.values() for one in hosts}
    }
    magic = {"groups": groups, "hostvars": known}
    variables = {**role_variables("nginx_proxy"), **known[host], **magic}
    found = Run(ROOT / "roles/nginx_proxy", DataLoader(), variables)
    found.types()
    return found


def alone(sites, **variables):
    """The run on a host that is all there is."""
    groups = {"tornado_app": ["www1"], "nginx_proxy": ["www1"]}
    return run("www1", groups, {"nginx_proxy_sites": sites, **variables})


def said(found):
    """All that is said of the values."""
    return list(found.inputs.refusals())


PORTS = {"tornado_app_name": "chat", "tornado_app_ports": [8000, 8001]}
APPS = {"tornado_app_apps": [{"name": "chat", "ports": [8000, "8001"]}, {"name": "shop", "ports": [8100]}]}


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
