"""When a host is well, and what its reboot is felt by."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.wellness import troubles
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.reboot import differing, felt

GROUPS = {"tornado_app": ["app1", "app2"], "nginx_proxy": ["web1", "web2"]}


def host(system="running", failed=(), active=("nginx",), state="serving", release="a1", **more):
    """What a host says of itself."""
    ports = {port: [state, release] for port in ("8000", "8001")}
    app = {"name": "chat", "python": "3.13", "current": "a1", "unstartable": "", "ports": ports}
    app |= {"workers": {}, **more}
    return {
        "system": system,
        "failed_units": list(failed),
        "active": list(active),
        "apps": [app],
        "redis": {},
    }


@pytest.mark.parametrize("now", [host(), host(system="degraded"), host(active=("nginx", "redis-server"))])
def test_a_host_that_is_as_before_is_well(now):
    assert list(troubles(now, host())) == []
    assert list(troubles(now, {})) == []


@pytest.mark.parametrize(
    ("now", "sentences"),
    [
        (host(system="starting"), ["its system is starting"]),
        (host(system="degraded", failed=["backup.service"]), ["backup.service failed"]),
        (host(active=()), ["nginx does not run"]),
        (host(state="failing"), ["chat is failing on port 8000", "chat is failing on port 8001"]),
        (
            host(current="b2", release="b2"),
            ["chat has release b2, and had a1"],
        ),
        (host(workers={"mail@1": "failed"}), ["chat's worker mail@1 is failed"]),
        (
            host(unstartable="needs python3.11, which is gone"),
            ["chat's release a1 needs python3.11, which is gone: site.yml makes it anew"],
        ),
        ({**host(), "apps": []}, ["chat is gone"]),
    ],
)
def test_what_ran_before_a_reboot_has_to_run_after_it(now, sentences):
    assert list(troubles(now, host())) == sentences


def test_a_port_with_another_release_than_the_current_one_is_not_well():
    first = next(troubles(host(release="b2"), {}))
    assert first == "chat runs release b2 on port 8000, and a1 is the current one"


REPLICA = {"role": "slave", "address": "10.0.0.1", "sentinel": "10.0.0.2", "linked": True, "misses": []}


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        ({}, None),
        ({"role": "master", "sentinel": "10.0.0.1", "linked": False}, None),
        ({"role": ""}, "its Redis does not answer"),
        ({"sentinel": ""}, "its Sentinel does not answer"),
        # Back from its reboot, and what it lacks of the data would be lost with the others.
        ({"linked": False}, "its Redis does not follow the master, 10.0.0.2"),
        ({"misses": ["10.0.0.3"]}, "its Sentinel misses the Redis at 10.0.0.3"),
    ],
)
def test_the_next_host_reboots_once_this_one_s_redis_has_all_data(now, sentence):
    found = {**host(), "redis": {**REPLICA, **now}}
    assert list(troubles(found, host())) == ([sentence] if sentence else [])


def test_what_had_failed_before_hinders_nobody():
    broken = host(system="degraded", failed=["backup.service"])
    assert list(troubles(broken, {})) == []
    assert list(troubles(broken, broken)) == []


def test_hosts_that_run_different_releases_are_brought_together_first():
    apps = {name: host(current=release)["apps"] for name, release in (("app1", "a1"), ("app2", "a1"))}
    assert differing(apps) == []
    apps["app3"] = host(current="b2")["apps"]
    [sentence] = differing(apps)
    assert sentence.startswith("app3 runs another release of chat than app1, app2.")


def said(name, *proxies, groups=GROUPS, redis=None):
    """What is said of a host's reboot."""
    return list(felt(groups, name, proxies, {"redis": redis or {}}))


def test_who_has_somebody_to_take_over_is_not_missed():
    proxy = {"sends": True, "open": 0, "kept": {}}
    assert said("app1", proxy, proxy) == []
    assert said("app1", {**proxy, "open": 2}, {**proxy, "open": 1}) == [
        "3 connections to its apps are open still, as WebSockets are, and end."
    ]


def test_who_has_nobody_is():
    alone = {"tornado_app": ["www"], "nginx_proxy": ["www"], "redis_server": ["www"]}
    assert said("www", {"sends": False, "open": 0, "kept": {}}, groups=alone) == [
        "Its apps answer nobody meanwhile.",
        "Who comes to this proxy gets no answer meanwhile.",
        "Programs reach no Redis here meanwhile.",
    ]
    [kept] = said("app1", {"sends": True, "open": 0, "kept": {"app1": ["b.example"]}})
    assert kept == "Nobody answers for b.example meanwhile: no other host has the app."
    # One of several that are one.
    assert said("www", groups={"redis_server": ["www"]}, redis={"role": "slave"}) == []
    shared = {**GROUPS, "keepalived": ["web1", "web2"]}
    assert said("web1", groups=shared)[0].startswith("Another proxy gets its addresses.")
