"""Which addresses several proxies share: what is refused, and what each host gets for it."""

import re

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.keepalived import CONFIGURATION
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.names import Names
from rendering import ROOT, role_variables, trusted

BOTH = ["203.0.113.10/24", "2001:db8::10/64"]
HOSTS = {"p1": "10.0.0.1", "p2": "10.0.0.2", "p3": "10.0.0.3"}
CARDS = [
    {"name": "lo", "addresses": ["127.0.0.1/8", "::1/128"]},
    {"name": "eth0", "addresses": ["203.0.113.5/24", "2001:db8::5/64"]},
    {"name": "eth1", "addresses": ["10.0.0.1/24", "fd00::1/64"]},
]


def inputs(host="p1", hosts=HOSTS, proxies=None, addresses=BOTH, **given):
    """The role's inputs on a host of these. hosts: name to private address, None for none."""
    known = {
        name: trusted(
            {
                "inventory_hostname": name,
                "keepalived_addresses": addresses,
                **({"tornadoes_private_address": where} if where else {}),
                **given,
            }
        )
        for name, where in hosts.items()
    }
    groups = {"keepalived": list(hosts), "nginx_proxy": list(hosts) if proxies is None else proxies}
    groups["tornado_app"] = ["p1"]
    variables = {**role_variables("keepalived"), **known[host], "groups": groups, "hostvars": known}
    run = Run(ROOT / "roles/keepalived", DataLoader(), variables)
    run.types()
    assert run.refused == {}
    return run.inputs


def said(host="p1", cards=CARDS, before="", **given):
    """All that is said of the values, and of a host with these interfaces."""
    found = inputs(host, **given)
    return [
        *found.refusals(),
        *found.answers({"cards": cards, "texts": {CONFIGURATION: before}, "missing": []}),
    ]


def files(host, **given):
    """Path to content of what a host gets, whose private address is eth1's."""
    found = inputs(host, **given)
    card = {"name": "eth1", "addresses": [f"{found.source}/24"]}
    assert (
        list(found.answers({"cards": [*CARDS[:2], card], "texts": {CONFIGURATION: ""}, "missing": []})) == []
    )
    return found.description()["files"]


def configuration(host, **given):
    """The lines of keepalived's configuration, without what stands around them."""
    return [line.strip() for line in files(host, **given)[CONFIGURATION].splitlines()]


def test_good_addresses_are_taken():
    assert said() == []
    assert said(addresses=["10.0.0.100/24"]) == []
    assert said(addresses=["203.0.113.10/32"]) == []


@pytest.mark.parametrize(
    "bad",
    [
        *("203.0.113.10", "203.0.113.300/24", "203.0.113.10/33", "www.example.org/24", "", "127.0.0.1/8"),
        *("203.0.113.0/24", "203.0.113.255/24", "224.0.0.18/24", "2001:db8::/64", "fe80::1%eth0/64"),
        *("203.0.113.10/255.255.255.0", "203.0.113.10/24 dev eth0\n}"),
    ],
)
def test_what_no_host_can_have_is_refused(bad):
    [sentence] = said(addresses=[*BOTH, bad])
    assert sentence.startswith(f"keepalived_addresses: '{bad}' is no address that a host can have. Write it")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"addresses": []}, "keepalived_addresses: an empty list is invalid."),
        (
            {"addresses": [*BOTH, BOTH[0]]},
            "keepalived_addresses: 203.0.113.10/24, 2001:db8::10/64, 203.0.113.10/24 is",
        ),
        ({"keepalived_ports": [80, 80]}, "keepalived_ports: 80, 80 is invalid."),
        ({"keepalived_ports": [0]}, "keepalived_ports: 0 is invalid."),
        ({"hosts": {"p1": "10.0.0.1"}}, "keepalived_addresses: 1 host is in the group keepalived."),
        (
            {"proxies": ["p1", "p3"]},
            "keepalived_addresses: p2 is in the group keepalived and not in nginx_proxy",
        ),
        ({"hosts": {"p1": "10.0.0.1", "p2": None}}, "tornadoes_private_address: p2 has none that"),
        ({"hosts": {"p1": "10.0.0.1", "p2": "p2.example"}}, "tornadoes_private_address: p2 has none that"),
        (
            {"hosts": {"p1": "10.0.0.1", "p2": "10.0.0.1"}},
            "tornadoes_private_address: 10.0.0.1 is given to two hosts.",
        ),
        ({"addresses": ["10.0.0.2/24"]}, "keepalived_addresses: 10.0.0.2/24 is a host's own address"),
        ({"addresses": ["203.0.113.5/24"]}, "keepalived_addresses: 203.0.113.5/24 is p1's own address"),
        (
            {"addresses": [BOTH[1]]},
            "keepalived_addresses: 2001:db8::10/64 can't move, since none of it is of IPv4",
        ),
        (
            {"hosts": {"p1": "10.0.0.9", "p2": "10.0.0.2"}},
            "tornadoes_private_address: 10.0.0.9 is no address of p1.",
        ),
        (
            {"hosts": {"p1": "10.0.0.1", "p2": "10.9.0.2"}},
            "tornadoes_private_address: p2 (10.9.0.2) is in no network",
        ),
        ({"addresses": ["198.51.100.1/24"]}, "keepalived_addresses: 198.51.100.1/24 is in no network of p1"),
        (
            {"before": "vrrp_instance mine {}"},
            "keepalived_addresses: p1 has a /etc/keepalived/keepalived.conf that",
        ),
    ],
)
def test_what_can_t_be_meant_is_refused_in_one_sentence(given, sentence):
    [found] = said(**given)
    assert found.startswith(sentence)


def test_an_address_that_keepalived_has_put_there_is_no_host_s_own():
    before = files("p1")[CONFIGURATION]
    cards = [*CARDS, {"name": "eth0", "addresses": BOTH}]
    assert said(cards=cards, before=before) == []
    assert len(said(cards=cards, before="")) == 1


def test_a_host_that_gives_its_addresses_up_is_asked_for_none():
    assert said(addresses=[], hosts={"p1": None}, keepalived_state="absent") == []


def test_all_hosts_agree_on_the_router_and_differ_in_their_priority():
    found = [configuration(host) for host in HOSTS]
    routers = {line for one in found for line in one if line.startswith("virtual_router_id")}
    assert len(routers) == 1
    priorities = [line for one in found for line in one if line.startswith("priority")]
    assert priorities == ["priority 250", "priority 240", "priority 230"]


def test_a_host_hears_of_all_others_and_of_nobody_else():
    found = configuration("p2")
    assert "unicast_src_ip 10.0.0.2" in found
    block = found[found.index("unicast_peer {") + 1 :]
    assert block[: block.index("}")] == ["10.0.0.1", "10.0.0.3"]
    assert "vrrp_check_unicast_src" in found


def test_addresses_of_both_kinds_move_together_on_the_interface_of_their_network():
    found = configuration("p1")
    assert found.count("state BACKUP") == 1
    assert found[found.index("virtual_ipaddress {") + 1] == "203.0.113.10/24 dev eth0"
    assert found[found.index("virtual_ipaddress_excluded {") + 1] == "2001:db8::10/64 dev eth0"
    assert "interface eth1" in found
    assert "nopreempt" in found


def test_spread_addresses_have_a_host_each_and_a_name_s_two_stay_together():
    addresses = [f"203.0.113.{last}/24" for last in (10, 11)] + [f"2001:db8::{last}/64" for last in (10, 11)]
    given = {"addresses": addresses, "keepalived_spread": True}
    for host, first in (("p1", 250), ("p2", 240), ("p3", 230)):
        found = configuration(host, **given)
        assert found[[line.startswith("priority") for line in found].index(True)] == f"priority {first}"
        assert "nopreempt" not in found
    starts = [number for number, line in enumerate(found) if line.startswith("virtual_ipaddress")]
    assert [found[one + 1].split("/")[0] for one in starts] == [
        *("203.0.113.10", "2001:db8::10", "203.0.113.11", "2001:db8::11")
    ]
    assert len({line for line in found if line.startswith("virtual_router_id")}) == 2


def test_at_a_shutdown_the_address_goes_before_the_apps_of_the_host():
    for host, apps in (("p1", " tornado-chat.target"), ("p2", " ")):
        found = "\n".join(files(host, tornado_app_name="chat").values())
        assert f"After=nginx.service redis-server.service tornadoes-keepalived-watch.service{apps}\n" in found


def test_no_word_in_a_file_is_left_unfilled():
    for path, text in files("p1").items():
        assert not re.search("@(port|addresses|peers|apps)", text), path
    assert "watch.py /run/tornadoes-keepalived/nginx 80 10.0.0.2 10.0.0.3" in "".join(files("p1").values())
    assert "leave.py 80,443 203.0.113.10 2001:db8::10" in "".join(files("p1").values())


def test_a_variable_of_the_command_line_is_looked_at_for_a_role_of_one_word():
    """Otherwise no -e at all could be given where proxies share addresses."""
    options = {"keepalived_spread": {"type": "bool"}}
    names = Names("keepalived", options, {}, {"spread": True, "other": 1}, {"spread", "other"}, {})
    assert (names.forgotten("spread"), names.forgotten("other")) == ("keepalived_spread", None)
