"""What watches over a unit that builds or compiles something."""

import subprocess
import time

from ansible_collections.tornadoes.tornadoes.plugins.module_utils import unprivileged


def test_nobody_waits_for_a_build_that_has_ended(monkeypatch):
    monkeypatch.setattr(unprivileged, "WANTED_INTERVAL", 30)
    begun = time.monotonic()
    with subprocess.Popen(["sleep", "0.1"]) as process:
        unprivileged.watch(process, "x_build", lambda: True)
    assert time.monotonic() - begun < 15


def test_a_build_that_no_run_needs_any_more_is_stopped(monkeypatch):
    monkeypatch.setattr(unprivileged, "WANTED_INTERVAL", 0.01)
    with subprocess.Popen(["sleep", "60"]) as process:
        stopped = []
        monkeypatch.setattr(unprivileged, "stop", lambda unit: (stopped.append(unit), process.kill()))
        unprivileged.watch(process, "x_build", lambda: False)
    assert set(stopped) == {"x_build"}
