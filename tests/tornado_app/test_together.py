"""Which hosts a release comes to, and what the controller makes of what they answer."""

import pytest
from ansible import constants
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.together import (
    PREPARED,
    SWITCHED,
    Together,
    hosts_of,
    patience,
)

WELL = {"app": "chat", "prepared": True, "addresses": [["192.0.2.1", 4711]]}


def variables(left=("one", "two"), **hosts):
    """Variables of a task on the host "one"; hosts: what else each host has."""
    known = {name: {"tornado_app_name": "chat", **hosts.get(name, {})} for name in ("one", "two")}
    for each in known.values():
        each.setdefault("ansible_facts", {"hostname": "any"})
    names = {"ansible_play_hosts_all": ["one", "two"], "ansible_play_hosts": list(left)}
    names["ansible_play_batch"] = list(left)
    return {"inventory_hostname": "one", "hostvars": known, **names}


@pytest.mark.parametrize(
    ("other", "hosts"),
    [
        ({}, ["one", "two"]),
        ({"tornado_app_name": "wiki"}, ["one"]),
        ({"tornado_app_state": "absent"}, ["one"]),
        ({"tornado_app_apps": [{"name": "wiki"}, {"name": "chat"}]}, ["one", "two"]),
        ({"tornado_app_apps": [{"name": "chat", "state": "absent"}]}, ["one"]),
    ],
)
def test_a_release_comes_to_the_hosts_that_have_the_app(other, hosts):
    assert hosts_of("chat", variables(two=other)) == hosts


def test_a_play_that_goes_host_by_host_does_so():
    assert hosts_of("chat", {**variables(), "ansible_play_batch": ["one"]}) == ["one"]


def test_hosts_that_are_asked_one_after_the_other_wait_longer(monkeypatch):
    monkeypatch.setattr(constants, "DEFAULT_FORKS", 5)
    assert [patience(hosts)["switched"] for hosts in (5, 6, 20)] == [45, 90, 180]


def together(**words):
    return Together("chat", "0123456789ab", variables(**words))


def test_all_switch_when_all_have_proven_it():
    assert together(one={PREPARED: WELL}, two={PREPARED: WELL}).all_well(PREPARED)


@pytest.mark.parametrize(
    "two",
    [
        {PREPARED: {**WELL, "failed": True, "reason": "port 8000 is not well"}},
        {PREPARED: {"app": "wiki", "prepared": True}},
        {},
    ],
)
def test_none_switches_when_one_has_not_proven_it(two):
    assert not together(one={PREPARED: WELL}, two=two).all_well(PREPARED)


def test_none_keeps_it_when_one_is_lost_in_the_middle():
    has = {PREPARED: WELL, SWITCHED: {"app": "chat"}}
    assert not together(left=["one"], one=has, two=has).all_well(SWITCHED)
    assert together(one=has, two=has).all_well(SWITCHED)


def test_a_host_that_runs_the_release_already_has_no_say():
    assert together(
        one={PREPARED: WELL, SWITCHED: {"app": "chat"}}, two={PREPARED: {"app": "chat"}}
    ).all_well(SWITCHED)


def test_who_refuses_is_named_with_its_reason():
    two = {PREPARED: {**WELL, "failed": True, "bad": True, "reason": "port 8000 is not well"}}
    found = together(one={PREPARED: WELL}, two=two)
    assert found.sentence(PREPARED, "nor was any touched") == (
        "chat: release 0123456789ab was not taken on any host, nor was any touched."
        " two: port 8000 is not well."
    )
    assert found.to_blame(PREPARED) == "port 8000 is not well (on two)"


@pytest.mark.parametrize("said", ["\x1b]0;mine\x07" + "x" * 10**6, {"a": ["x" * 10**6]}, None])
def test_what_a_host_gives_as_its_reason_fills_no_history_of_the_others(said):
    two = {PREPARED: {"app": "chat", "failed": True, "bad": True, "reason": said}}
    found = together(one={PREPARED: WELL}, two=two)
    for sentence in (found.to_blame(PREPARED), found.sentence(PREPARED, "nor was any touched")):
        assert len(sentence) < 5000
        assert sentence.isprintable()


SAID = [
    # With these, one host would end the others' participants in the middle, again and again,
    [1, 2],
    [[], 4711],
    # keep them waiting for a name server,
    ["slow.example.org", 4711],
    # or say what is no port.
    ["192.0.2.2", 0],
    ["192.0.2.2", "4711;"],
    ["192.0.2.2"],
    "no pair",
]


@pytest.mark.parametrize("said", [*([one] for one in SAID), "192.0.2.2", {"a": 1}, 5, None])
def test_what_a_host_says_of_itself_stops_no_other(said):
    found = together(one={PREPARED: WELL}, two={PREPARED: {**WELL, "addresses": said}})
    assert found.addresses() == []


def test_a_host_has_no_more_others_asked_than_itself():
    said = [["192.0.2.2", port] for port in range(1, 2000)]
    found = together(one={PREPARED: WELL}, two={PREPARED: {**WELL, "addresses": said}})
    assert found.addresses() == said[:2]
