"""Workers and timers: what a release says of them, what their units say, what is told of their state."""

import configparser
import json
import subprocess
import sys
import time

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import host
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.jobs import unit_files
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import jobs
from rendering import ROOT

WORKER = {"name": "mail", "command": "python -m tasks 'a b' {instance}", "count": "2", "stop_timeout": 60}
TIMER = {"name": "cleanup", "command": "./bin/clean", "calendar": "Mon *-*-* 03:30:00"}
SETTINGS = jobs.settings(jobs.read([WORKER], [TIMER]))
# What no process of a unit has; each test says what its own has.
NOTHING = {
    "ActiveState": "inactive",
    "UnitFileState": "enabled",
    "MainPID": "0",
    "NRestarts": "0",
    "Environment": "",
    "InvocationID": "",
    "Result": "success",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "ExecMainStartTimestamp": "",
    "ExecMainExitTimestamp": "",
    "NeedDaemonReload": "no",
}


def sections(text):
    """A unit: section, setting, value; the last one of a setting counts."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return parser


@pytest.fixture(scope="module")
def units():
    """Name of a unit file to its content, for workers whose instances have ten seconds to stop."""
    files = unit_files("chat", SETTINGS, ["User=tornado-chat", "TimeoutStopSec=10"])
    return {path.rpartition("/")[2]: sections(text) for path, text in files.items()}


def test_a_release_says_what_is_started_and_every_default():
    assert SETTINGS == {
        "workers": [{**WORKER, "command": "-m tasks 'a b' '{instance}'", "count": 2}],
        "timers": [{**TIMER, "command": "bin/clean", "timeout": 3600}],
    }


def test_no_unit_can_be_another_apps(units):
    assert set(units) == {
        "tornado-chat_mail@.service",
        "tornado-chat_cleanup.service",
        "tornado-chat_cleanup.timer",
    }


def test_a_worker_finishes_its_job_in_its_own_time_and_comes_back(units):
    worker = units["tornado-chat_mail@.service"]
    assert worker["Service"]["KillMode"] == "mixed"
    assert worker["Service"]["TimeoutStopSec"] == "60"
    assert worker["Service"]["Restart"] == "always"
    assert worker["Unit"]["StartLimitIntervalSec"] == "0"
    assert worker["Unit"]["PartOf"] == worker["Install"]["WantedBy"] == "tornado-chat.target"


def test_both_are_in_the_sandbox_of_an_instance(units):
    for name in ("tornado-chat_mail@.service", "tornado-chat_cleanup.service"):
        assert units[name]["Service"]["User"] == "tornado-chat"
        # Nothing of the program runs as root.
        assert units[name]["Service"]["ExecStart"].startswith("/usr/bin/python3 ")


def test_a_job_ends_after_its_time_and_is_made_up_for(units):
    assert units["tornado-chat_cleanup.service"]["Service"]["TimeoutStartSec"] == "3600"
    timer = units["tornado-chat_cleanup.timer"]["Timer"]
    assert (timer["OnCalendar"], timer["Persistent"]) == ("Mon *-*-* 03:30:00", "true")
    endless = jobs.settings(jobs.read([], [{**TIMER, "timeout": 0}]))
    [service] = [text for path, text in unit_files("chat", endless, []).items() if path.endswith(".service")]
    assert sections(service)["Service"]["TimeoutStartSec"] == "infinity"


def test_a_process_is_known_by_the_unit_that_it_was_started_by(units):
    def digest(lines):
        [worker] = [
            text for path, text in unit_files("chat", SETTINGS, lines).items() if path.endswith("@.service")
        ]
        return sections(worker)["Service"]["Environment"]

    assert digest(["MemoryMax=1G"]) == digest(["MemoryMax=1G"]) != digest(["MemoryMax=2G"])


def launched(release, name, number):
    """What the launcher of a release executes for a worker or a timer."""
    words = "import json, launcher, sys; print(json.dumps(launcher.job(*json.loads(sys.argv[1]))))"
    given = json.dumps([str(release), SETTINGS, name, number])
    folder = ROOT / "roles/tornado_app/files/release"
    done = subprocess.run([sys.executable, "-c", words, given], cwd=folder, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_a_module_a_script_and_a_command_are_started_as_one_types_them(tmp_path):
    (tmp_path / ".release").mkdir()
    (tmp_path / ".release/venv").symlink_to(tmp_path / "venv")
    programs = f"{tmp_path}/venv/bin"
    assert launched(tmp_path, "mail", "2") == [f"{programs}/python", "-m", "tasks", "a b", "2"]
    assert launched(tmp_path, "cleanup", "1") == [f"{programs}/bin/clean"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/clean").touch()
    assert launched(tmp_path, "cleanup", "1") == [f"{programs}/python", "bin/clean"]


def troubles(replacing="inactive", **units):
    """What is said of some units, by their name without the app's, and of swaps after updates."""
    shown = {f"tornado-chat_{name}": {**NOTHING, **given} for name, given in units.items()}
    workers, timers = host.workers_and_timers("chat", shown)
    return list(
        host.troubles(
            {"name": "chat", "workers": workers, "timers": timers, "replacing": replacing, "unstartable": ""}
        )
    )


def at(seconds):
    """A moment so many seconds ago, as systemd writes it."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() - seconds))


def test_a_worker_that_does_not_run_or_has_just_come_back_is_named():
    active = {"ActiveState": "active", "ExecMainStartTimestamp": at(5)}
    assert troubles(**{"mail@1.service": active}) == []
    [sentence] = troubles(**{"mail@1.service": {**active, "NRestarts": "3"}})
    assert sentence.startswith("chat: the worker mail@1 has ended by itself (3 so far)")
    long_ago = {**active, "ExecMainStartTimestamp": at(500), "NRestarts": "3"}
    assert troubles(**{"mail@1.service": long_ago}) == []
    ended = {"ActiveState": "activating", "ExecMainCode": "2", "ExecMainStatus": "9", "Result": "signal"}
    [sentence] = troubles(**{"mail@1.service": ended})
    assert "does not run (activating; the last one was ended by SIGKILL)" in sentence


def test_a_job_that_has_failed_is_named_until_the_next_is_well():
    timer = {"ActiveState": "active"}
    done = {"ExecMainCode": "1", "ExecMainStartTimestamp": at(60), "ExecMainExitTimestamp": at(50)}
    assert troubles(**{"cleanup.timer": timer, "cleanup.service": done}) == []
    failed = {**done, "ActiveState": "failed", "ExecMainStatus": "3", "Result": "exit-code"}
    [sentence] = troubles(**{"cleanup.timer": timer, "cleanup.service": failed})
    assert sentence.startswith("chat: the last run of the timer cleanup ended with 3 (")
    [sentence] = troubles(**{"cleanup.timer": {}, "cleanup.service": done})
    assert "is inactive" in sentence


def test_a_job_that_runs_on_without_its_timer_is_not_forgotten():
    running = {**NOTHING, "ActiveState": "activating"}
    _workers, timers = host.workers_and_timers("chat", {"tornado-chat_cleanup.service": running})
    assert timers["cleanup"]["running"]
    assert timers["cleanup"]["state"] == host.REMOVED


def test_a_signal_without_a_name_keeps_nobody_from_the_next_release():
    ended = {**NOTHING, "Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "40"}
    assert host.how_it_ended(ended) == "was ended by signal 40"


def test_a_swap_after_an_update_that_failed_is_named():
    assert troubles() == []
    [sentence] = troubles(replacing="failed")
    assert sentence.endswith("could not be swapped; journalctl -u tornado-chat-libraries tells why.")
