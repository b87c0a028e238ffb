"""An inventory of several hosts, and what a run of nginx_proxy on one of them knows."""

from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from rendering import ROOT, role_variables, trusted

NAMES = ["www.example.org"]
CHAT = {"names": NAMES, "app": "chat"}
FACTS = {"distribution": "Debian", "distribution_major_version": "13"}
APPS = {"tornado_app_apps": [{"name": "chat", "ports": [8000, "8001"]}, {"name": "shop", "ports": [8100]}]}


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


def card(*addresses, **more):
    """The facts of one interface."""
    four = [one for one in addresses if ":" not in one]
    six = [{"address": one, "scope": "global"} for one in addresses if ":" in one]
    first = (
        {"ipv4": {"address": four[0]}, "ipv4_secondaries": [{"address": one} for one in four[1:]]}
        if four
        else {}
    )
    return {**first, **({"ipv6": [{"address": "fe80::1", "scope": "link"}, *six]}), **more}


def facts(**cards):
    """The facts of a host with these interfaces."""
    lo = card("127.0.0.1", "::1")
    return {"ansible_facts": {**FACTS, "interfaces": ["lo", *cards], "lo": lo, **cards}}


HOSTS = {f"app{number}": facts(eth0=card(f"10.0.0.{number}")) for number in (1, 2)}
HOSTS |= {
    f"web{number}": facts(eth0=card("198.51.100.7"), eth1=card(f"10.0.0.1{number}")) for number in (1, 2)
}
GROUPS = {"tornado_app": ["app1", "app2"], "nginx_proxy": ["web1", "web2"]}


def there(host, site=CHAT, groups=GROUPS, **of_hosts):
    """The run on one of several hosts. of_hosts: what a host has besides its facts."""
    everywhere = {"nginx_proxy_sites": [site], **APPS}
    given = {name: {**known, **of_hosts.get(name, {})} for name, known in HOSTS.items()}
    return run(host, groups, everywhere, **given)
