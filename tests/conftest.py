"""Where the fast tests find the collection, and the oldest Tornado."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / ".cache/tornado-3.1.1"

sys.path[:0] = [str(ROOT / path) for path in ("tests", "tests/tornado_app", "tests/app", "bench")]
try:
    from ansible.plugins.loader import init_plugin_loader
except ImportError:  # a host of the scenario "programs"
    sys.path.insert(0, str(ROOT / "collections"))
else:
    init_plugin_loader([str(ROOT / "collections")])


@pytest.fixture(scope="session")
def old_tornado():
    """A folder with the tutorial's Tornado."""
    OLD.parent.mkdir(exist_ok=True)
    # Several processes run the tests; the first one makes it.
    with open(f"{OLD}.lock", "w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not (OLD / "tornado").exists():
            shutil.rmtree(OLD, ignore_errors=True)
            words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
            requirements = ROOT / "requirements/tornado/3.1.1.txt"
            command = [sys.executable, "-m", "pip", *words, "--requirement", requirements, "--target", OLD]
            subprocess.run(command, check=True)
    return OLD
