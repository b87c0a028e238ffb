"""Releases to deploy: the sample program with another name in it, or with a fault."""

import re
import shutil
import time

import pytest
from conftest import ROOT

SOURCE = ROOT / ".cache/releases/source"


class App:
    """The app on four ports, as the operator deploys it."""

    def __init__(self, playbook, host):
        self.playbook, self.host = playbook, host
        self.count = 0

    def write(self, edit=lambda text: text):
        """Change the source on the controller: a new name, and an edit of server.py."""
        self.count += 1
        name = f"release-{int(time.time())}-{self.count}"
        shutil.copy(ROOT / "tests/samples/load/server.py", SOURCE)
        (SOURCE / "version.txt").write_text(name)
        server = SOURCE / "server.py"
        server.write_text(edit(server.read_text()))
        return name

    def deploy(self, *words, book="deploy"):
        """Run the playbook for the app: the exit code, and what it printed."""
        return self.playbook(f"playbooks/{book}.yml", "-e", "tornado_app_name=load", *words)

    def current(self):
        """Id of the current release."""
        return self.host.check_output("basename $(readlink /srv/load/current)")

    def releases(self):
        """Which release each port serves."""
        table = self.host.check_output("tornado-load-status")
        return dict(re.findall(r"^(\d+) +(\w+) +serving ", table, re.MULTILINE))


@pytest.fixture(scope="session")
def app(playbook, host):
    return App(playbook, host)


@pytest.fixture(scope="session")
def full(long):
    """Words for the load client: all kinds of clients, slow ones shorter where time is short."""
    return [] if long else ["--download-seconds", "4", "--poll-seconds", "4"]
