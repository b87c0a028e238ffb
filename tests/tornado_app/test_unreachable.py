"""A run goes on without as many hosts as may be missing. One that has failed is none of them.

Proxies ask those that it has left behind last, until a release comes there.
"""

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run
from ansible_collections.tornadoes.tornadoes.plugins.action.tornado_app_behind import said, unasked
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.behind import (
    MARKED,
    along,
    behind,
    concerned,
)
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.together import (
    PREPARED,
    SWITCHED,
    Together,
)
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


def with_proxies(*words, sites=("chat",), **more):
    """The hosts of such a run's release, and what the role nginx_proxy knows of them on the first one."""
    found = variables(*words, **more)
    sites = [{"names": [f"{app}.example.org"], "app": app} for app in sites]
    found["hostvars"]["web"] = trusted({"nginx_proxy_sites": sites}) | {"inventory_hostname": "web"}
    found["groups"] = {**found["groups"], "nginx_proxy": ["web"]}
    given = {**role_variables("nginx_proxy"), **found}
    return Together("chat", "0123456789ab", found), Run(ROOT / "roles/nginx_proxy", DataLoader(), given)


def test_who_is_away_is_asked_last_by_the_proxies_that_send_it_visitors():
    hosts, run = with_proxies(["one"])
    assert behind(hosts, "web", run) == ["two", "three"]
    hosts, run = with_proxies(["one"], sites=["wiki"])
    assert behind(hosts, "web", run) == []
    hosts, run = with_proxies(["one"], two={"tornadoes_weight": 0})
    assert behind(hosts, "web", run) == ["three"]
    hosts, run = with_proxies(HOSTS)
    assert behind(hosts, "web", run) == []
    # It was there when the run began: what has become of it, the transaction says.
    hosts, run = with_proxies(["one"], two={"__tornado_app_before": {"current": ""}})
    assert behind(hosts, "web", run) == ["three"]


NOTED, UNNOTED = (
    {"__tornadoes_inputs": {"roles": {"nginx_proxy": {"folders": {"/etc/nginx/drained": names}}}}}
    for names in (["two@chat"], ["two"])
)


@pytest.mark.parametrize(
    ("left", "web", "found"),
    [
        (["one"], UNNOTED, {"late": ["web"], "after": ["web"]}),
        (HOSTS, UNNOTED, {"late": [], "after": []}),
        (HOSTS, NOTED, {"late": [], "after": ["web"]}),
        # A run that has not looked asks.
        (HOSTS, {}, {"late": [], "after": ["web"]}),
    ],
)
def test_only_proxies_that_have_to_hear_of_a_release_are_asked(left, web, found):
    hosts, run = with_proxies(left)
    hosts.variables["hostvars"]["web"] |= web
    assert concerned(hosts, run) == found
    hosts, run = with_proxies(left, sites=["wiki"])
    assert concerned(hosts, run) == {"late": [], "after": []}


def marked(host, **more):
    """What the first task has registered on a host, of the one proxy."""
    return {host: {MARKED: {"results": [{"__tornado_app_proxy": "web", "added": ["three"]}]}, **more}}


SWITCHED_WELL = {PREPARED: WELL, SWITCHED: {"app": "chat"}}


@pytest.mark.parametrize(
    ("two", "found"),
    [
        (SWITCHED_WELL, ["one", "two"]),
        # It ran the release already, or was alone.
        ({PREPARED: {"app": "chat"}}, ["one", "two"]),
        # The release has come to none, so that nobody is behind with it: not who was noted in this run.
        ({PREPARED: {"app": "chat", "failed": True}}, ["three"]),
        ({PREPARED: WELL, SWITCHED: {"app": "chat", "refusal": "no"}}, ["three"]),
        ({PREPARED: WELL, SWITCHED: {"unreachable": True}}, ["three"]),
        ({PREPARED: {"app": "wiki"}}, ["three"]),
        ({}, ["three"]),
    ],
)
def test_who_has_come_along_is_asked_as_before(two, found):
    hosts, run = with_proxies(["one", "two"], **marked("one", **SWITCHED_WELL), two=two)
    assert along(hosts, "web", run) == found


def test_who_fails_after_the_release_is_not_asked_sooner_and_nobody_else_later():
    known = {"__tornado_app_before": {"current": ""}, **SWITCHED_WELL}
    hosts, run = with_proxies(["one"], **marked("one", **SWITCHED_WELL), two=known)
    assert along(hosts, "web", run) == ["one"]


@pytest.mark.parametrize(
    ("notes", "found"), [([], []), (["two"], []), (["two@wiki"], []), (["two@chat"], ["one", "two"])]
)
def test_a_proxy_that_has_no_such_note_as_site_yml_has_seen_is_not_asked_again(notes, found):
    hosts, run = with_proxies(["one", "two"], **marked("one", **SWITCHED_WELL), two=SWITCHED_WELL)
    seen = {"nginx_proxy": {"folders": {"/etc/nginx/drained": notes}}}
    hosts.variables["hostvars"]["web"]["__tornadoes_inputs"] = {"roles": seen}
    assert along(hosts, "web", run) == found


def test_a_proxy_of_other_apps_is_not_asked_for_nothing():
    hosts, run = with_proxies(
        ["one", "two"], sites=["wiki"], **marked("one", **SWITCHED_WELL), two=SWITCHED_WELL
    )
    assert along(hosts, "web", run) == []


def test_a_proxy_that_is_not_told_is_named():
    assert "web can't be reached. Once it is back, it sends visitors to two, until" in unasked(
        "chat", "web", ["two"]
    )
    assert "web can't be reached. Once it is back, it asks a host" in unasked("chat", "web", [])
    assert len(list(said("chat", "web", {"added": ["two"], "ended": ["three"]}))) == 2
    assert list(said("chat", "web", {"added": [], "ended": []})) == []
