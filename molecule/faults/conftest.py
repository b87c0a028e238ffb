"""Runs of a deploy that are killed where it hurts."""

import os
import signal
import subprocess

import pytest
from conftest import ROOT


class Deploy:
    """The deploy of a new release, from the outside: what it prints, and its end."""

    def __init__(self, scenario, *words):
        inventories = [scenario / "hosts.yml", ROOT / "molecule/shared/inventory"]
        command = ["ansible-playbook", *[f"--inventory={one}" for one in inventories]]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        self.process = subprocess.Popen(
            [*command, "playbooks/deploy.yml", *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen = ""

    def until(self, text):
        """Read on until a line has the text; whether one had."""
        for line in self.process.stdout:
            self.seen += line
            if text in line:
                return True
        return False

    def kill(self):
        """SIGKILL, to ansible-playbook alone, as the kernel or an impatient person does it."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def end(self):
        """Wait for the end: the exit code, and all that it printed."""
        output, _nothing = self.process.communicate(timeout=200)
        return self.process.returncode, self.seen + output


@pytest.fixture
def deploy(scenario):
    """Start a deploy, without waiting for it; whatever still runs at the end is ended."""
    started = []

    def start(*words):
        started.append(Deploy(scenario, *words))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
def runner(host):
    """Pid of the process on a port; empty in the moment between one and the next."""

    def find(port):
        return host.run(f"pgrep --full --newest 'tornado_app_runner.py {port} '").stdout.strip()

    return find
