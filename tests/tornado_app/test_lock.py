"""The deploy lock, with real runs of ansible-playbook and a real flock. No host, no root."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from port import ROOT

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - tornado_app_lock: {name: hello, folder: "%(folder)s"}
    - ansible.builtin.command: {argv: [touch, "%(folder)s/%(name)s"]}
    - ansible.builtin.command: {argv: [sleep, "%(seconds)s"]}
    - tornado_app_lock: {name: hello, folder: "%(folder)s", state: released}
    - ansible.builtin.command: {argv: [sleep, "%(after)s"]}
"""


class Runs:
    """Runs of ansible-playbook that want the lock in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, name, *words, seconds=0, after=0):
        """Begin a run that holds the lock for some seconds, then goes on for some more."""
        play = self.folder / f"{name}.yml"
        play.write_text(PLAY % {"folder": self.folder, "name": name, "seconds": seconds, "after": after})
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ACTION_PLUGINS": str(ROOT / "roles/tornado_app/action_plugins"),
            "ANSIBLE_LIBRARY": str(ROOT / "roles/tornado_app/library"),
            "ANSIBLE_NOCOLOR": "1",
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [program, "-i", "localhost,", play, *words]
        run = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.started.append(run)
        return run

    def has_it(self, name):
        """Wait until a run has the lock."""
        return within(20, (self.folder / name).exists)

    def is_free(self):
        """Whether nobody holds the lock."""
        with (self.folder / "tornado-hello.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True


def within(seconds, question):
    """Ask until the answer is true; the last answer."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


@pytest.fixture
def runs(tmp_path):
    made = Runs(tmp_path)
    yield made
    for run in made.started:
        run.kill()
        run.wait()


def test_the_second_of_two_runs_is_told_who_has_the_lock(runs):
    first = runs.start("first", seconds=8)
    assert runs.has_it("first")
    second = runs.start("second")
    output, _nothing = second.communicate(timeout=20)
    assert second.returncode == 2
    assert "hello: another run is changing this app on localhost:" in output
    assert f"(pid {first.pid}), since 20" in output
    assert not (runs.folder / "second").exists()


def test_a_killed_run_leaves_no_lock(runs):
    first = runs.start("first", seconds=60)
    assert runs.has_it("first")
    assert not runs.is_free()
    # Not waited for: even as a zombie it is dead.
    os.kill(first.pid, signal.SIGKILL)
    assert within(5, runs.is_free)


def test_the_lock_is_given_back_before_the_run_ends(runs):
    first = runs.start("first", seconds=0, after=20)
    assert runs.has_it("first")
    assert within(10, runs.is_free)
    assert first.poll() is None


def test_a_step_of_a_killed_run_is_waited_for(runs):
    step = runs.folder / "tornado-hello.step"
    with subprocess.Popen(["flock", step, "sleep", "4"]) as sleeping:
        begun = time.monotonic()
        assert within(5, step.exists)
        second = runs.start("second")
        assert runs.has_it("second")
        assert time.monotonic() - begun > 3.5
        sleeping.wait()
    assert second.wait(20) == 0


def test_a_dry_run_takes_no_lock(runs):
    run = runs.start("first", "--check")
    output, _nothing = run.communicate(timeout=20)
    assert run.returncode == 0, output
    assert not (runs.folder / "tornado-hello.lock").exists()
