"""The app that load is put on, as an operator deploys it: its source, its runs, its state."""

import json
import re
import shutil
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/samples/load/server.py"


class App:
    """The app "load" of a scenario.

    scenario: name; prepare_load.yml has put the source below .cache. playbook, host: the fixtures.
    """

    def __init__(self, scenario, playbook, host):
        self.source = ROOT / ".cache" / scenario / "source"
        self.playbook, self.host = playbook, host
        self.count = 0

    def write(self, edit=lambda text: text):
        """Change the source on the controller: a new name, which is returned, and an edit of server.py."""
        self.before = {path: path.read_text() for path in self.source.iterdir() if path.is_file()}
        self.count += 1
        name = f"release-{int(time.time())}-{self.count}"
        shutil.copy(PROGRAM, self.source)
        (self.source / "version.txt").write_text(name)
        server = self.source / "server.py"
        server.write_text(edit(server.read_text()))
        return name

    def write_back(self):
        """Undo the last write: the source is what it was."""
        for path, text in self.before.items():
            path.write_text(text)

    def deploy(self, *words, book="deploy"):
        """Run the playbook for the app: the exit code, and what it printed."""
        book = book if book == "site" else f"playbooks/{book}"
        return self.playbook(f"{book}.yml", "-e", "tornado_app_name=load", *words)

    def status(self):
        """What the host says of the app."""
        return json.loads(self.host.check_output("tornado-load-status --json"))

    def current(self):
        """Id of the current release."""
        return self.host.check_output("basename $(readlink /srv/load/current)")

    def releases(self):
        """Which release each port serves, as the host's own table tells it."""
        table = self.host.run("tornado-load-status").stdout
        return dict(re.findall(r"^(\d+) +(\w+) +serving ", table, re.MULTILINE))
