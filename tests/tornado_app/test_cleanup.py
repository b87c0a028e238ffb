"""What goes when a release was activated, and what stays for a rollback."""

from importlib import import_module

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from clustered import there
from rendering import ROOT, role_variables

PLUGINS = "ansible_collections.tornadoes.tornadoes.plugins"
CLEANUP = import_module(f"{PLUGINS}.module_utils.cleanup")
UNITS = import_module(f"{PLUGINS}.plugin_utils.units")


def status(*ids, current, previous="", bad=(), ports=(), workers=(), timers=()):
    """What a host has: releases, the youngest first, each with an environment of its own name in capitals."""
    return {
        "current": current,
        "previous": previous,
        "bad": list(bad),
        "releases": [{"id": one, "venv": one.upper()} for one in ids],
        "venvs": [one.upper() for one in ids],
        "half_built": [],
        "ports": dict(enumerate(ports)),
        "workers": {one: {"release": one} for one in workers},
        "timers": {one: {"release": one} for one in timers},
    }


def port(release, *draining):
    """What a host says of a port."""
    return {"release": release, "draining": [{"release": one} for one in draining]}


@pytest.mark.parametrize(
    ("now", "keep", "gone"),
    [
        (status("d", "c", "b", "a", current="d", previous="c"), 3, ["a"]),
        (status("d", "c", "b", "a", current="d", previous="c"), 9, []),
        # The current one and the one before, however old and few.
        (status("d", "c", "b", "a", current="b", previous="a"), 1, ["d", "c"]),
        # Good ones before bad ones.
        (status("d", "c", "b", "a", current="c", previous="b", bad=["d"]), 3, ["d"]),
        # What still answers, or finishes its requests.
        (status("d", "c", "b", "a", current="d", ports=[port("d", "a"), port("b")]), 1, ["c"]),
        (status("d", "c", "b", "a", current="d", workers=["a"], timers=["b"]), 1, ["c"]),
    ],
)
def test_what_is_needed_stays(now, keep, gone):
    releases, venvs = CLEANUP.needless(now, keep)
    assert releases == gone
    assert venvs == [one.upper() for one in gone]


def test_an_environment_stays_for_the_releases_that_share_it():
    now = status("c", "b", "a", current="c", previous="b")
    now["releases"][0]["venv"] = "A"
    assert CLEANUP.needless(now, 2) == (["a"], ["C"])


def test_half_built_is_removed(tmp_path):
    for folder in ("releases/a", "releases/b", "releases/c.partial", "venvs/A", "venvs/B"):
        (tmp_path / folder).mkdir(parents=True)
    now = {**status("b", "a", current="b"), "half_built": [f"{tmp_path}/releases/c.partial"]}
    lines = CLEANUP.clean(str(tmp_path), now, 1)
    assert len(lines) == 3
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["B", "b"]


def test_every_file_of_an_app_is_rendered():
    variables = {**role_variables("tornado_app"), "tornado_app_name": "chat"}
    found = UNITS.units(Templar(DataLoader(), variables), "tornado-chat", [6379])
    assert set(found["files"]) >= {
        "/etc/systemd/system/tornado-chat@.service",
        "/etc/systemd/system/tornado-chat-worker@.service",
        "/etc/systemd/system/tornado-chat@.socket",
        "/etc/systemd/system/tornado-chat.target",
        "/etc/tmpfiles.d/tornado-chat.conf",
    }
    for path, text in found["files"].items():
        assert text.startswith("# Managed by"), path
        assert text.endswith("\n"), path
        assert "{{" not in text, path
        # An indented block leaves no spaces of its own.
        assert not any(line.strip() == "" and line for line in text.split("\n")), path
    worker = found["files"]["/etc/systemd/system/tornado-chat-worker@.service"]
    assert "\nSocketBindDeny=tcp:6379\n" in worker
    assert "@ports" not in "".join(found["files"].values())
    assert "keeper.py" in found["keeper"]
    assert found["command"] == (ROOT / "plugins/module_utils/host.py").read_text()


@pytest.mark.parametrize(
    ("host", "ports"), [("app1", [6380, 8800]), ("app2", [8800]), ("web1", [8080, 8443])]
)
def test_a_program_is_kept_from_the_ports_that_nginx_and_redis_have_on_its_host(host, ports):
    groups = {"tornado_app": ["app1", "app2"], "nginx_proxy": ["web1", "web2"], "redis_server": ["app1"]}
    said = {"redis_server_port": 6380, "nginx_proxy_http_port": 8080, "nginx_proxy_https_port": "8443"}
    assert UNITS.ports_of_others(there(host, groups=groups, **{host: said})) == ports
