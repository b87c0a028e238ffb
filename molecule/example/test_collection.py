"""The same site from a project that has the built collection, and nothing else of ours."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OWN = """
- name: Publish the site
  hosts: nginx_proxy
  become: true
  roles:
    - tornadoes.tornadoes.nginx_proxy
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder of one's own, with the collection installed from its archive."""
    folder = tmp_path_factory.mktemp("project")
    run(ROOT, "ansible-galaxy", "collection", "build", "--output-path", folder)
    [archive] = folder.glob("*.tar.gz")
    run(folder, "ansible-galaxy", "collection", "install", "--offline", "-p", folder / "collections", archive)
    (folder / "own.yml").write_text(OWN)
    return folder


def run(folder, program, *words):
    """What a program of Ansible prints, with Ansible's own defaults and the folder's collections."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [BIN / program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def inventories():
    """The example's inventory, and how the test host is reached."""
    places = ("inventory/example", "molecule/example/hosts.yml", "molecule/shared/inventory")
    return [word for place in places for word in ("-i", ROOT / place)]


@pytest.mark.parametrize("playbook", ["tornadoes.tornadoes.site", "own.yml"])
def test_the_installed_collection_finds_the_site_as_the_checkout_left_it(project, playbook):
    said = run(project, "ansible-playbook", *inventories(), playbook)
    assert re.search(r"^www\.example\.org +: ok=[1-9]\d* +changed=0 +unreachable=0 +failed=0 ", said, re.M)


def test_who_publishes_a_site_that_nobody_can_reach_is_told_so(project):
    # The example's host has its ports for itself: as if a firewall had dropped what comes from here.
    said = " ".join(run(project, "ansible-playbook", *inventories(), "own.yml").split())
    assert "No connection from here to 127.0.0.1:80, where nginx listens: connection refused." in said


def test_its_modules_and_roles_are_documented(project):
    modules = run(project, "ansible-doc", "--list", "tornadoes.tornadoes")
    assert "tornadoes.tornadoes.tornado_app_roll" in modules
    roles = run(project, "ansible-doc", "--type", "role", "--list", "tornadoes.tornadoes")
    assert {"tornadoes.tornadoes.nginx_proxy:", "tornadoes.tornadoes.tornado_app:"} <= set(roles.split())


def test_it_holds_what_a_user_needs_and_no_more(project):
    installed = project / "collections/ansible_collections/tornadoes/tornadoes"
    there = {one.name for one in installed.iterdir()}
    assert {"README.md", "LICENSE", "plugins", "roles", "playbooks", "inventory"} <= there
    assert not there & {"tests", "molecule", "bench", "collections", ".cache", ".venv", "requirements"}
