"""Packing by a real run of ansible-playbook: secrets are in no file of the controller, kept or left."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import yaml
from rendering import ROOT

ROLE = ROOT / "roles/tornado_app"
SECRET = "correct-horse-battery-staple"


class Run:
    """A run of ansible-playbook with all that it writes below one folder."""

    def __init__(self, folder, tasks):
        self.local, self.remote = folder / "local", folder / "remote"
        self.local.mkdir(exist_ok=True)
        play = folder / "play.yml"
        head = {"hosts": "localhost", "connection": "local", "gather_facts": False}
        play.write_text(yaml.safe_dump([{**head, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": "",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.local),
            "ANSIBLE_REMOTE_TEMP": str(self.remote),
            # Whatever Ansible writes down stays.
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        self.process = subprocess.Popen(
            [program, "-vvv", "-i", "localhost,", play],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self):
        """Wait for its end; what it printed."""
        output, _nothing = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, output
        return output

    def written(self):
        """All that is in its folders, archives opened."""
        for path in [*self.local.rglob("*"), *self.remote.rglob("*")]:
            if path.suffix == ".gz":
                with tarfile.open(path) as packed:
                    for member in packed:
                        yield packed.extractfile(member).read() if member.isfile() else b""
            elif path.is_file():
                yield path.read_bytes()


@pytest.fixture
def tasks(tmp_path):
    """Pack a small program, wait for a file, install the release with its secrets."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "server.py").write_text("print()\n")
    pack = {
        "source": str(source),
        "runtime": str(ROLE / "files/release"),
        "group": "root",
        "settings": {"main": "server.py", "secrets": {"cookie": SECRET}},
        "requirements": "requirements.txt",
        "default_requirements": str(ROLE / "files/release/requirements.txt"),
        "python": "/usr/bin/python3 3.13",
    }
    wait = ["timeout", "30", "sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"]
    return [
        {"tornadoes.tornadoes.tornado_app_pack": pack, "register": "packed", "no_log": True},
        {"ansible.builtin.stat": {"path": "{{ packed.path }}"}, "register": "there"},
        {"ansible.builtin.assert": {"that": ["there.stat.exists", "packed.refusal == ''"]}},
        {"ansible.builtin.command": {"argv": wait}},
        {
            "tornadoes.tornadoes.tornado_app_release": {
                "path": str(tmp_path / "release"),
                "group": "root",
                "archive": "{{ packed.path }}",
                "main": "server.py",
                "secrets": "of_the_app",
            },
            "vars": {"of_the_app": {"cookie": SECRET}},
        },
    ]


def within(seconds, question):
    """Ask until the answer is true; the last answer."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


@pytest.mark.skipif(os.getuid() != 0, reason="files are given to root")
def test_secrets_reach_the_host_and_no_file_of_the_controller(tmp_path, tasks):
    (tmp_path / "go").touch()
    run = Run(tmp_path, tasks)
    output = run.end()
    release = tmp_path / "release"
    assert (release / "server.py").stat().st_mode & 0o777 == 0o640
    secrets = release / ".release/secrets"
    assert (secrets / "cookie").read_text() == SECRET
    assert (secrets / "cookie").stat().st_mode & 0o777 == 0o640
    assert secrets.stat().st_mode & 0o777 == 0o750
    assert SECRET not in output
    found = list(run.written())
    assert found
    assert not [content for content in found if SECRET.encode() in content]


def test_what_a_killed_run_has_packed_goes_with_the_next(tmp_path, tasks):
    run = Run(tmp_path, tasks[:4])
    assert within(30, lambda: list(run.local.glob("tornado-app-*/release.tar.gz")))
    [left] = run.local.glob("tornado-app-*")
    assert left.stat().st_mode & 0o777 == 0o700
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.communicate()
    assert left.exists()
    (tmp_path / "go").touch()
    Run(tmp_path, tasks[:4]).end()
    assert not left.exists()


def test_what_nobody_has_foreseen_has_a_sentence_though_ansible_shows_nothing(tmp_path, tasks):
    pack = tasks[0]["tornadoes.tornadoes.tornado_app_pack"]
    # A value that the checks before a run don't let through.
    pack["settings"]["shared"] = 5
    seen = {"ansible.builtin.debug": {"var": "packed.refusal"}}
    said = " ".join(Run(tmp_path, [tasks[0], seen]).end().split())
    assert "be packed, by a fault of Tornadoes or of its machine (TypeError, in shared.py, line" in said


def test_nothing_is_kept_of_a_release_that_the_host_has(tmp_path, tasks):
    pack, *_others = tasks
    options = {**pack["tornadoes.tornadoes.tornado_app_pack"], "known": ["{{ packed.id }}"]}
    gone = {"ansible.builtin.assert": {"that": ["again.folder == ''", "again.id == packed.id"]}}
    again = {"tornadoes.tornadoes.tornado_app_pack": options, "register": "again", "no_log": True}
    run = Run(tmp_path, [pack, again, gone])
    run.end()
    assert len(list(run.local.glob("tornado-app-*"))) == 1
