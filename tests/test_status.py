"""The table of what all hosts run."""

from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.status import (
    answers,
    of_apps,
    of_proxy,
    of_redis,
    table,
)

PORT = {"release": "a1", "state": "serving", "since": 1764288000.0}


def status(release="a1", python="3.13", **more):
    """What a host says of an app."""
    ports = {port: {**PORT, "release": release} for port in ("8000", "8001")}
    empty = {"workers": {}, "timers": {}, "troubles": [], "table": ["as the host has it"]}
    return {"name": "chat", "current": release, "python": python, "ports": ports, **empty, **more}


def words(lines):
    """The words of each line."""
    return [line.split() for line in lines]


def proxy(behind=None, **drained):
    """What a proxy says of who is drained, and who behind."""
    return {"drained": drained, "behind": behind or {}}


def test_each_port_of_each_host_has_a_row():
    lines = words(table({"app1": [status()], "app2": [status()]}, {"web1": proxy()}))
    assert lines[0] == ["host", "app", "port", "release", "state", "since", "note"]
    assert lines[1] == ["app1", "chat", "8000", "a1", "serving", "2025-11-28", "00:00:00Z"]
    assert [(line[0], line[2]) for line in lines[1:]] == [
        (host, port) for host in ("app1", "app2") for port in ("8000", "8001")
    ]


def test_who_can_t_be_reached_has_a_row_and_hides_nobody():
    lines = words(table({"app1": None, "app2": [status()]}, {"web1": None}))
    assert ["app1", "-", "-", "-", "unreachable", "-"] in lines
    assert ["web1", "-", "-", "-", "unreachable", "-"] in lines
    assert len(lines) == 5


def test_a_host_with_another_release_than_most_is_marked():
    hosts = {"app1": [status("b2")], "app2": [status("a1")], "app3": [status("a1")]}
    lines = table(hosts, {})
    assert [line.split()[0] for line in lines if line.endswith(" differs")] == ["app1", "app1"]
    assert lines[-1] == "app1 runs another release of chat than app2, app3"


def test_another_python_makes_another_id_which_is_no_other_release():
    lines = table({"app1": [status("b2", python="3.11")], "app2": [status("a1")]}, {})
    assert "differs" not in str(lines)


def test_a_host_that_has_missed_a_release_is_told_from_one_that_is_drained():
    late = proxy({"app2": {"chat": "then", "shop": "now"}}, app2="now")
    lines = table(
        {"app1": [status()], "app2": None}, {"web1": late, "web2": proxy({"app2": {"chat": "now"}})}
    )
    assert [line.split()[0] for line in lines if line.endswith(" drained,behind")] == ["app2"]
    assert lines[-2:] == [
        f"app2 has missed a release of {app}, and is asked last since {since}, until a run brings it along"
        for app, since in (("chat", "now"), ("shop", "now at web1 alone"))
    ]


def test_a_drained_host_is_marked_though_it_is_dead():
    lines = table({"app1": [status()], "app2": None}, {"web1": proxy(app2="2026-11-27 12:00:00Z")})
    assert [line.split()[0] for line in lines if line.endswith(" drained")] == ["app2"]
    assert lines[-1].startswith("app2 is drained since 2026-11-27 12:00:00Z, until playbooks/undrain.yml")


def test_a_host_that_is_not_drained_everywhere_is_told():
    lines = table({"app1": [status()], "app2": None}, {"web1": proxy(app2="now"), "web2": proxy()})
    assert "app2 is drained since now at web1 alone, until" in lines[-1]
    # Who can't be asked may know it as well.
    assert "alone" not in str(table({"app1": [], "app2": None}, {"web1": proxy(app2="now"), "web2": None}))


def standing(role, **more):
    """What a host says of its Redis, one of three."""
    found = {"role": role, "address": "10.0.0.1", "linked": True, "sentinel": "10.0.0.1"}
    return of_redis({"standing": {**found, "sees": ["10.0.0.1", "10.0.0.2"], **more}})


def test_each_redis_has_a_row_that_says_who_is_the_master():
    redis = {
        "r1": standing("master"),
        "r2": standing("slave", address="10.0.0.2"),
        "r3": standing("slave", address="10.0.0.3", linked=False),
        "r4": None,
        "r5": of_redis({"failed": True, "msg": "no Python there"}),
        "r6": of_redis({"standing": {}}),
    }
    lines = words(table({}, {}, redis))
    assert lines[1:5] == [
        ["r1", "redis", "-", "-", "master", "-", "seen-by-3-of-3"],
        ["r2", "redis", "-", "-", "replica", "-", "seen-by-3-of-3"],
        ["r3", "redis", "-", "-", "behind", "-", "seen-by-0-of-3"],
        ["r4", "-", "-", "-", "unreachable", "-"],
    ]
    assert [" ".join(line) for line in lines[-2:]] == [
        "r5: no Python there",
        "r6: what it says of its Redis can't be read",
    ]
    # One of the hosts has the app.
    assert "master" in str(table({"r1": [status()]}, {"r1": {"drained": {}, "behind": {}}}, redis))


def test_workers_timers_and_their_troubles_are_in_it():
    worker = {"mail@1": {"release": "a1", "state": "failed", "since": 0}}
    timer = {"nightly": {"running": False, "ended": "exit 1", "state": "active", "release": "", "last": 0}}
    more = {"workers": worker, "timers": timer, "troubles": ["chat: the worker mail@1 is failed."]}
    lines = table({"app1": [status(**more)], "app2": [status()]}, {})
    assert ["app1", "chat", "mail@1", "a1", "failed", "-"] in words(lines)
    assert ["app1", "chat", "nightly", "-", "exit", "1", "-"] in words(lines)
    assert lines[-1] == "app1: chat: the worker mail@1 is failed."


def test_a_single_host_tells_all_that_it_knows():
    assert table({"app1": [status(), status()]}, {"app1": {}}) == ["as the host has it"] * 2


def test_what_came_of_a_loop_is_read_as_ansible_has_it():
    assert answers({"results": [{"name": "chat"}]}) == [{"name": "chat"}]
    assert answers({"results": [{"unreachable": True}], "unreachable": True}) is None
    assert answers({"unreachable": True}) is None


def test_a_host_that_fails_or_answers_nonsense_hides_no_other():
    failed = {"failed": True, "results": [{"failed": True, "msg": "no Python there"}]}
    assert of_apps(failed) == "no Python there"
    nonsense = [
        {"name": "chat"},
        {**status(), "ports": [1]},
        {**status(), "troubles": [[]]},
        {**status(), "python": {}},
    ]
    nonsense += [{**status(), "ports": {"8000": {**PORT, "since": 1e300}}}, {**status(), "table": 5}]
    for one in nonsense:
        said = of_apps({"results": [one]})
        assert said == "what it says of its apps can't be read"
        lines = table({"app1": said, "app2": [status()]}, {"web1": of_proxy({"drained": [], "behind": {}})})
        assert [line.split()[0] for line in lines] == [
            "host",
            "web1",
            "app1",
            "app2",
            "app2",
            "web1:",
            "app1:",
        ]
    good = {"results": [status()]}
    assert of_apps(good) == good["results"]
    assert of_proxy(proxy(app2="now")) == proxy(app2="now")
