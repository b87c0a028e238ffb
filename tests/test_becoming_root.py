"""Who can't become root on a host is told what is missing, by the first task of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.becoming_root import sentence
from rendering import ROOT

GATHERS = ["site.yml", *(f"playbooks/{one}.yml" for one in ("deploy", "publish", "redis", "float"))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Missing sudo password", "jo needs a password for sudo there. Give it with --ask-become-pass (-K)"),
        ("sudo: a password is required", "jo needs a password for sudo there."),
        ("Incorrect sudo password", "sudo takes another password of jo there."),
        ("jo is not in the sudoers file.", "jo has no right to use sudo there."),
        ("Sorry, user jo may not run sudo on www1.", "jo has no right to use sudo there."),
        (
            "Sorry, user jo is not allowed to execute '/bin/sh' as root on www1.",
            "jo has no right to use sudo",
        ),
        ("/bin/sh: 1: sudo: not found", "there is no sudo. Install it as root"),
        ("bash: line 1: sudo: command not found", "there is no sudo."),
        ("sudo: sorry, you must have a tty to run sudo", "sudo wants a terminal there"),
        (
            "The module interpreter '/usr/bin/python2' was not found.\n/bin/sh: 1: python2: not found",
            "the Python that ansible_python_interpreter names is not there. Leave the variable out",
        ),
        ("/bin/sh: 1: /usr/bin/python3: not found", "there is no Python. Run apt-get install python3 there."),
    ],
)
def test_what_is_missing_is_said(text, says):
    assert sentence(text, "www1", "jo").startswith(f"www1: {says}")


def test_what_is_something_else_keeps_its_own_words():
    assert sentence("No space left on device", "www1", "jo") == ""


@pytest.mark.parametrize("playbook", GATHERS)
def test_the_first_sentence_of_a_run_names_it_and_not_a_module_of_ansibles(tmp_path, playbook):
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'jo is not in the sudoers file.' >&2\nexit 1\n")
    ssh.chmod(0o755)
    groups = ("tornado_app", "nginx_proxy", "redis_server", "keepalived")
    (tmp_path / "hosts.yml").write_text("".join(f"{one}: {{hosts: {{www1: }}}}\n" for one in groups))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.yml", playbook]
    words = ["-u", "jo", "-e", f"ansible_ssh_executable={ssh}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [*command, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "www1: jo has no right to use sudo there." in done.stdout + done.stderr
    assert "modules failed to execute" not in done.stdout + done.stderr
