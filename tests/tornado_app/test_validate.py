"""What the role says of a source before anything changes, as a whole run prints it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rendering import ROOT, load

SECRET = "S3CR3T"


@pytest.fixture
def said(tmp_path):
    """Run the checks of local sources; all that Ansible printed."""

    def run(**variables):
        tasks = [one for one in load("roles/tornado_app/tasks/validate_app.yml") if "source" in one["name"]]
        role = ROOT / "roles/tornado_app"
        files = [str(role / part / "main.yml") for part in ("defaults", "vars")]
        play = {"hosts": "localhost", "gather_facts": False, "vars_files": files, "tasks": tasks}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        command = [Path(sys.executable).parent / "ansible-playbook", "-v", "-c", "local", "-i", "localhost,"]
        command += ["-e", json.dumps(variables), tmp_path / "play.yml"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    ("address", "known"),
    [
        (f"http://bob:{SECRET}@127.0.0.1/chat.tar.gz", True),
        (f"ssh://bob:{SECRET}@127.0.0.1/chat.git", True),
        (f"ftp://bob:{SECRET}@127.0.0.1/chat.tar.gz", False),
    ],
)
def test_the_password_in_an_address_is_in_no_line(said, tmp_path, address, known):
    output = said(tornado_app_source=address, tornado_app_wheels=str(tmp_path))
    assert SECRET not in output
    assert ("127.0.0.1/chat.tar.gz does not exist on the controller" in output) != known


def test_what_is_not_there_is_named(said, tmp_path):
    output = said(tornado_app_source="/no/such/source", tornado_app_wheels="/no/such/wheels")
    assert "/no/such/source, /no/such/wheels does not exist on the controller" in " ".join(output.split())
    assert "does not exist on" not in said(tornado_app_source=str(tmp_path), tornado_app_wheels="")
