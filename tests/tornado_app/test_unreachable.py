"""A run goes on without as many hosts as may be missing. One that has failed is none of them."""

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.together import PREPARED, Together
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.unreachable import (
    left_behind,
    refusals,
    unreachable,
)
from rendering import ROOT, role_variables, trusted

HOSTS = ["one", "two", "three"]
WELL = {"app": "chat", "prepared": True, "addresses": []}


def variables(left, everywhere=(), **of_hosts):
    """Variables of a task on the host "one", when these hosts are left. everywhere: variables of all."""
    known = {
        name: trusted({"tornado_app_name": "chat", **dict(everywhere), **of_hosts.get(name, {})})
        | {"inventory_hostname": name}
        for name in HOSTS
    }
    for name in left:
        known[name].setdefault("ansible_facts", {"distribution": "Debian"})
    magic = {"ansible_play_hosts_all": HOSTS, "ansible_play_hosts": left, "ansible_play_batch": left}
    return {**known["one"], "groups": {"tornado_app": HOSTS}, "hostvars": known, **magic}


def run(*words, **more):
    """What is known of such a run of the role."""
    return Run(
        ROOT / "roles/tornado_app",
        DataLoader(),
        {**role_variables("tornado_app"), **variables(*words, **more)},
    )


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({}, True),
        ({"__tornado_app_before": {"unreachable": True}}, True),
        # With facts of an earlier run, from Ansible's cache.
        ({"ansible_facts": {"distribution": "Debian"}, "__tornadoes_inputs": {"unreachable": True}}, True),
        ({"ansible_facts": {"distribution": "Debian"}}, False),
        ({"__tornado_app_inputs": {"failed": True, "msg": "no such variable"}}, False),
        ({"__tornadoes_inputs": {"roles": {}}, "__tornado_app_before": {"failed": True}}, False),
        # Half-way: what has become of it since its lock was taken, nobody knows.
        ({"__tornado_app_before": {"current": "0123456789ab"}}, False),
    ],
)
def test_a_host_that_has_said_anything_is_not_taken_for_one_that_is_away(known, missing):
    assert unreachable(variables(["one", "three"], two=known)) == ["two"] * missing


def test_too_many_are_refused_by_name_and_told_what_to_do():
    [said] = refusals(run(["one"], {"tornado_app_max_unreachable": 1}), HOSTS)
    assert said == (
        "tornado_app_max_unreachable: two, three can't be reached, and 1 of chat's hosts may be so. Try again"
        " later, leave out what is gone (--limit '!two,!three'), or give 2: the others go on then, and the"
        " next run brings the rest along."
    )


def test_by_default_every_host_has_to_be_there():
    assert len(list(refusals(run(["one", "two"]), HOSTS))) == 1
    assert list(refusals(run(HOSTS), HOSTS)) == []


def test_as_many_as_may_be_are_left_behind_and_named():
    found = run(["one"], {"tornado_app_max_unreachable": 2})
    assert list(refusals(found, HOSTS)) == []
    assert left_behind(found, HOSTS) == (
        "Not reached in this run: chat is as it was on two, three. Run it again once that is mended."
    )
    assert left_behind(run(HOSTS), HOSTS) == ""


@pytest.mark.parametrize(
    ("two", "named"),
    [
        ({"tornado_app_name": "wiki"}, ["wiki"]),
        ({"tornado_app_state": "absent"}, []),
        (
            {
                "tornado_app_name": "",
                "tornado_app_apps": [{"name": "wiki", "max_unreachable": 1}, {"name": "shop"}],
            },
            ["shop"],
        ),
    ],
)
def test_only_hosts_that_are_to_have_an_app_count_for_it(two, named):
    said = list(refusals(run(["one", "three"], two=two), HOSTS))
    assert [one.split(" of ")[1].split("'")[0] for one in said] == named


def test_a_run_about_one_app_asks_for_the_hosts_of_that_one():
    apps = {"tornado_app_apps": [{"name": "chat"}]}
    two = {"tornado_app_apps": [{"name": "wiki"}]}
    chosen = {"tornado_app_name": "chat"}
    assert list(refusals(run(["one", "three"], {**apps, **chosen}, two=two), HOSTS)) == []


def test_the_transaction_is_among_those_that_are_there():
    has = {PREPARED: WELL}
    found = Together("chat", "0123456789ab", variables(["one", "two"], one=has, two=has))
    assert found.hosts == ["one", "two"]
    assert found.lost() == []
    assert found.all_well(PREPARED)


def test_a_host_that_is_lost_in_the_middle_still_stops_it():
    has = {PREPARED: WELL, "__tornado_app_before": {"current": ""}}
    found = Together("chat", "0123456789ab", variables(["one", "two"], one=has, two=has, three=has))
    assert found.lost() == ["three"]
    assert not found.all_well(PREPARED)
