"""A keeper on a port of its own, for each test."""

import shutil
import subprocess
import sys

import pytest
from port import ROOT, Port

OLD = ROOT / ".cache/tornado-3.1.1"


@pytest.fixture
def port(tmp_path):
    """A Port without a release; what it said is shown when the test fails."""
    made = Port(tmp_path)
    yield made
    made.stop()
    if made.log.exists():
        print(made.log.read_text()[-4000:])


@pytest.fixture(scope="session")
def old_tornado():
    """A folder with the tutorial's Tornado."""
    if not (OLD / "tornado").exists():
        shutil.rmtree(OLD, ignore_errors=True)
        words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        lock = ROOT / "requirements/tornado-3.1.1.txt"
        command = [sys.executable, "-m", "pip", *words, "--requirement", lock, "--target", OLD]
        subprocess.run(command, check=True)
    return OLD
