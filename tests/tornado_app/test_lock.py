"""The deploy lock, with real runs of ansible-playbook and a real flock. No host, no root."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ansible_collections.tornadoes.tornadoes.plugins.action.tornado_app_lock import FOUND
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.lockfile import held_by_a_stranger
from ansible_collections.tornadoes.tornadoes.plugins.modules import tornado_app_status
from port import ROOT

HANGS = 180  # seconds after which a run counts as one that hangs, on a machine that has much else to do

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - tornadoes.tornadoes.tornado_app_lock: {name: hello, folder: "%(folder)s"}
    - ansible.builtin.command: {argv: [touch, "%(folder)s/%(name)s"]}
    - ansible.builtin.command: {argv: [timeout, 180, sh, -c, "until [ -e %(during)s ]; do sleep 0.1; done"]}
    - tornadoes.tornadoes.tornado_app_lock: {name: hello, folder: "%(folder)s", state: %(state)s}
    - ansible.builtin.command: {argv: [timeout, 180, sh, -c, "until [ -e %(after)s ]; do sleep 0.1; done"]}
"""


class Runs:
    """Runs of ansible-playbook that want the lock in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = folder / "tornado-hello.lock"
        self.go = folder / "go"
        self.started = []

    def start(self, name, *words, tasks=PLAY, during="/", after="/", state="released"):
        """Begin a run that holds the lock until a path is there, then goes on until another is."""
        play = self.folder / f"{name}.yml"
        values = {"during": during, "after": after, "state": state}
        play.write_text(tasks % {"folder": self.folder, "name": name, **values})
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
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
        return within(HANGS, (self.folder / name).exists)

    def is_free(self):
        """Whether nobody holds the lock."""
        with self.lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

    def processes(self):
        """What runs with this lock or this run's play in its command line."""
        lines = [command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        return [line for line in lines if str(self.folder) in line and "python" in line]


def command_line(path):
    """A process's command line; empty, if it has ended."""
    try:
        return path.read_text().replace("\0", " ")
    except OSError:
        return ""


def within(seconds, question):
    """Ask until the answer is true; the last answer."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


@pytest.fixture
def runs(tmp_path):
    """Runs; however they end, nothing of them is left."""
    made = Runs(tmp_path)
    yield made
    made.go.touch()
    for run in made.started:
        run.kill()
        run.communicate()
    assert within(HANGS, lambda: not made.processes()), made.processes()


def test_the_second_of_two_runs_is_told_who_has_the_lock(runs):
    first = runs.start("first", during=runs.go)
    assert runs.has_it("first")
    content = json.loads(runs.lock.read_text())
    assert content["who"].endswith(f" (pid {first.pid})")
    assert [line for line in runs.processes() if content["token"] in line]
    second = runs.start("second")
    output, _nothing = second.communicate(timeout=HANGS)
    assert second.returncode == 2
    assert (
        f"hello: another run is changing this app on localhost: {content['who']},"
        f" since {content['since']}. Try again when it has ended."
    ) in output
    assert not (runs.folder / "second").exists()
    # The one that was refused took nothing away.
    assert not runs.is_free()
    runs.go.touch()
    assert first.wait(HANGS) == 0


def test_a_killed_run_leaves_no_lock(runs):
    first = runs.start("first", during=runs.go)
    assert runs.has_it("first")
    assert not runs.is_free()
    # Not waited for: even as a zombie it is dead.
    os.kill(first.pid, signal.SIGKILL)
    assert within(HANGS, runs.is_free)


def test_only_a_living_run_holds_the_lock(runs):
    # A dead one's words are in nobody's way.
    runs.lock.write_text(json.dumps({"who": "x", "since": "y", "token": "z", "held": True}) + "\n")
    first = runs.start("first", state="held")
    assert first.wait(HANGS) == 0
    assert runs.has_it("first")
    # It has ended and has given nothing back.
    assert within(HANGS, runs.is_free)


def test_the_lock_is_given_back_before_the_run_ends(runs):
    first = runs.start("first", after=runs.go)
    assert runs.has_it("first")
    assert within(HANGS, runs.is_free)
    assert first.poll() is None
    runs.go.touch()
    output, _nothing = first.communicate(timeout=HANGS)
    assert first.returncode == 0, output
    # Those of the commands; the lock is no change.
    assert "changed=3 " in output


def test_a_step_of_a_killed_run_is_waited_for(runs):
    step = runs.folder / "tornado-hello.step"
    with subprocess.Popen(["flock", step, "sleep", "4"]) as sleeping:
        ends = time.monotonic() + 4
        assert within(HANGS, step.exists)
        run = runs.start("first", during=runs.go)
        assert runs.has_it("first")
        assert time.monotonic() > ends - 0.2
        sleeping.wait()
    # It is there for the run's own steps.
    subprocess.run(["flock", "--nonblock", step, "true"], check=True)
    runs.go.touch()
    assert run.wait(HANGS) == 0


def test_a_lock_that_nobody_can_take_is_a_sentence(runs):
    runs.lock.mkdir()
    output, _nothing = runs.start("first").communicate(timeout=HANGS)
    assert f"hello: no answer about {runs.lock} on localhost: IsADirectoryError" in output


def test_a_dry_run_takes_no_lock(runs):
    assert runs.start("first", "--check").wait(HANGS) == 0
    assert not runs.lock.exists()


def test_a_lock_is_for_nobody_else_to_open(runs):
    for kind in ("lock", "step"):
        (runs.folder / f"tornado-hello.{kind}").touch(mode=0o644)
    first = runs.start("first", during=runs.go)
    assert runs.has_it("first")
    for kind in ("lock", "step"):
        assert (runs.folder / f"tornado-hello.{kind}").stat().st_mode & 0o777 == 0o600
    runs.go.touch()
    assert first.wait(HANGS) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="another account is needed")
@pytest.mark.parametrize("kind", ["lock", "step"])
def test_who_opened_a_lock_that_all_could_read_blocks_nobody(runs, kind):
    path = runs.folder / f"tornado-hello.{kind}"
    path.touch(mode=0o644)
    with path.open() as opened:
        # Another account that holds on, as "flock FILE sleep" does.
        program = "import fcntl, os, time; fcntl.flock(0, 2); print(flush=True); time.sleep(60)"
        words = ["/usr/bin/python3", "-c", program]
        holding = subprocess.Popen(words, stdin=opened, stdout=subprocess.PIPE, user=65534)
    try:
        holding.stdout.readline()
        if not held_by_a_stranger(os.stat(path)):
            pytest.skip("this file system's locks are listed under another number")
        first = runs.start("first")
        output, _nothing = first.communicate(timeout=HANGS)
        assert first.returncode == 0, output
    finally:
        holding.kill()
        holding.communicate()


@pytest.mark.parametrize("kind", ["lock", "step"])
def test_a_link_in_place_of_a_lock_is_refused(runs, kind):
    (runs.folder / "theirs").write_text("precious")
    (runs.folder / f"tornado-hello.{kind}").symlink_to("theirs")
    run = runs.start("first")
    output, _nothing = run.communicate(timeout=HANGS)
    assert run.returncode == 2
    assert "no answer about" in output
    assert (runs.folder / "theirs").read_text() == "precious"


def test_all_that_a_status_has_comes_with_the_lock():
    assert {*FOUND, "table", "troubles"} == {"name", *yaml.safe_load(tornado_app_status.RETURN)}


# A host that answers all that it is asked with what Ansible would obey in a result.
LIAR = """#!/bin/sh
cat > /dev/null
echo '%s'
"""
ASKS = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_shell_executable: "%(folder)s/liar"}
  tasks:
    - tornadoes.tornadoes.tornado_app_lock: {name: hello, folder: "%(folder)s", status: true}
      register: found
    - ansible.builtin.debug: {msg: "It runs {{ found.current }}, says {{ found.keys() | join(' ') }}."}
    - ansible.builtin.debug: {msg: "Obeyed {{ obeyed | default('nobody') }}."}
"""


def test_a_host_that_answers_gives_the_run_no_orders(runs):
    # Else one host chooses the variables of any, by which the controller starts ssh.
    orders = {
        "add_host": {"host_name": "localhost", "groups": [], "host_vars": {"obeyed": "it"}},
        "ansible_facts": {"obeyed": "it"},
        "_ansible_verbose_always": True,
    }
    liar = runs.folder / "liar"
    liar.write_text(LIAR % json.dumps({**dict.fromkeys(FOUND), "current": "0123456789ab", **orders}))
    liar.chmod(0o755)
    output, _nothing = runs.start("asks", "--check", tasks=ASKS).communicate(timeout=HANGS)
    assert "It runs 0123456789ab" in output
    assert "Obeyed nobody." in output
    assert "add_host" not in output
    assert "ansible_facts" not in output
