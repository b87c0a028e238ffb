"""What the unit templates say, rendered in milliseconds."""

import configparser
import re

import pytest
from rendering import render

UNITS = "etc/systemd/system/tornado-app"


def unit(kind, **given):
    """A rendered unit file: section, setting, value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(render("tornado_app", f"{UNITS}{kind}.j2", **given))
    return parser


def test_a_port_is_open_on_the_loopback_address_only():
    assert unit("@.socket")["Socket"]["ListenStream"] == "127.0.0.1:%i"


@pytest.mark.parametrize("kind", ["@.socket", "@.service"])
def test_no_unit_ever_gives_up(kind):
    assert unit(kind)["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_program_writes_where_it_may_and_nowhere_else():
    service = unit("-worker@.service", tornado_app_name="chat")["Service"]
    assert service["ProtectSystem"] == "strict"
    for kind in ("StateDirectory", "LogsDirectory", "User"):
        assert service[kind] == "tornado-chat"
    assert service["CacheDirectory"] == "tornado-chat tornadoes-tmp/chat"


def test_a_look_without_the_sandbox_keeps_account_folders_and_limits():
    closed = unit("-worker@.service", tornado_app_name="chat")["Service"]
    service = unit(
        "-worker@.service",
        tornado_app_name="chat",
        tornado_app_sandbox={"enabled": False, "groups": ["dialout"]},
    )["Service"]
    for setting in ("User", "UMask", "TasksMax", "StateDirectory", "BindPaths", "KillMode"):
        assert service[setting] == closed[setting]
    assert service["SupplementaryGroups"] == "dialout"
    for setting in ("ProtectSystem", "SystemCallFilter", "NoNewPrivileges", "PrivateUsers"):
        assert setting in closed
        assert setting not in service


def test_units_are_called_after_the_app():
    service = unit("@.service", tornado_app_name="chat")
    assert service["Unit"]["Requires"] == "tornado-chat@%i.socket"
    assert service["Install"]["WantedBy"] == "tornado-chat.target"
    assert unit(".target", tornado_app_name="chat")["Install"]["WantedBy"] == "multi-user.target"


def test_the_memory_of_a_process_is_limited_when_asked_for():
    assert unit("-worker@.service", tornado_app_memory_max="512M")["Service"]["MemoryMax"] == "512M"
    assert "MemoryMax" not in unit("-worker@.service")["Service"]


@pytest.mark.parametrize(
    ("name", "spared"),
    [
        ("tornado-chat-worker@8000-0123456789ab-7.service", True),
        # These lose nothing when they are restarted.
        ("tornado-chat@8000.service", False),
        ("tornado-chat_mail@1.service", False),
        ("tornado-chat-two-worker@8000-0123456789ab-7.service", False),
    ],
)
def test_needrestart_ends_no_process_under_its_keeper(name, spared):
    text = render("tornado_app", "etc/needrestart/conf.d/tornado-app.conf.j2", tornado_app_name="chat")
    [pattern] = re.findall(r"^\$nrconf{override_rc}->{qr\((.*)\)} = 0;$", text, re.MULTILINE)
    assert bool(re.search(pattern, name)) == spared


def test_who_does_not_want_swaps_after_updates_has_no_timer():
    kinds = ("-libraries.timer", "-libraries.service")
    assert all(unit(kind).sections() for kind in kinds)
    assert not any(unit(kind, tornado_app_replace_outdated=False).sections() for kind in kinds)


def test_a_shutdown_leaves_the_processes_to_their_keeper():
    worker = unit("-worker@.service")
    # systemd's own slice of instances is stopped first of all, with each process and the requests inside it.
    assert worker["Service"]["Slice"] == "system.slice"
    assert worker["Unit"]["DefaultDependencies"] == "no"
