"""Where a rollback goes, and what is bad, from the history alone."""

import subprocess

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.host import (
    bad,
    columns,
    confined,
    history,
    known_ports,
    previous,
    table,
)


def entries(text):
    """A history: letters are deploys, (letters) rollbacks, letters! refusals."""
    kinds = {"(": "rolled back", "!": "refused"}
    return [
        {"release": one.strip("()!"), "event": kinds.get(one[0], kinds.get(one[-1], "deployed"))}
        for one in text.split()
    ]


@pytest.mark.parametrize(
    ("history", "current", "kept", "target"),
    [
        ("a b c", "c", "abc", "b"),
        # A second rollback goes further back, not forth again.
        ("a b c (b)", "b", "abc", "a"),
        ("a b c (b) (a)", "a", "abc", ""),
        # A deploy after it counts as any other.
        ("a b c (b) d", "d", "abcd", "c"),
        # What was deployed again stands where it was deployed last.
        ("a b a", "a", "ab", "b"),
        # What is no longer on the host can't be gone back to.
        ("a b c", "c", "ac", "a"),
        ("a", "a", "a", ""),
        ("", "", "", ""),
        # What was refused is no way back, even if it ran once; deployed again it is.
        ("a b b! c", "c", "abc", "a"),
        ("a b b! b c", "c", "abc", "b"),
        ("a b c!", "b", "abc", "a"),
    ],
)
def test_a_rollback_goes_to_the_release_before(history, current, kept, target):
    assert previous(entries(history), current, list(kept)) == target


def test_a_refused_release_is_bad_until_it_is_deployed():
    assert bad(entries("a b!")) == ["b"]
    assert bad(entries("a b! b")) == []


def test_a_line_that_a_full_disk_cut_short_is_passed_over(tmp_path):
    (tmp_path / "releases.jsonl").write_text('{"release": "a", "event": "deployed"}\n{"release": "b", "ev')
    assert [entry["release"] for entry in history(str(tmp_path))] == ["a"]


def test_columns_are_straight():
    assert columns([("port", "state"), ("8000", "serving")]) == ["port  state", "8000  serving"]


@pytest.mark.parametrize(("words", "is_confined"), [(["setpriv", "--no-new-privs"], True), ([], False)])
def test_a_process_without_its_sandbox_is_known(words, is_confined):
    with subprocess.Popen([*words, "sh", "-c", "echo; read x"], stdin=-1, stdout=-1) as process:
        process.stdout.readline()
        assert confined(process.pid) == is_confined
        process.stdin.close()
    assert confined(0)


def test_a_port_without_its_sandbox_is_named():
    port = dict.fromkeys(("release", "state", "socket_outdated", "refused"), "")
    port |= dict.fromkeys(("pid", "since", "memory", "keeper_memory", "restarts"), 0)
    ports = {"8000": {"confined": False}, "8001": {"confined": True}}
    ports = {number: {**port, "load": {}, "draining": [], **one} for number, one in ports.items()}
    none = {"history": [], "releases": [], "bad": [], "workers": {}, "timers": {}, "replacing": "inactive"}
    none |= {"unstartable": ""}
    lines = table({"name": "chat", "current": "", "ports": ports, **none})
    named = [line for line in lines if "without its sandbox" in line]
    assert named == ["port 8000 runs without its sandbox (tornado_app_sandbox: enabled: false)"]


def test_a_port_that_only_another_unit_names_is_none_of_the_apps(monkeypatch):
    # What systemctl of Debian 12 printed; nginx's unit has After=tornado-noted@8001.service.
    said = (
        "tornado-noted@8000.service loaded    active   running noted on port 8000\n"
        "tornado-noted@8001.service not-found inactive dead    tornado-noted@8001.service\n"
        "tornado-noted@8002.service not-found active   running tornado-noted@8002.service\n"
    )
    monkeypatch.setattr(subprocess, "run", lambda *words, **more: subprocess.CompletedProcess(words, 0, said))
    assert known_ports("tornado-noted") == ["8000", "8002"]
