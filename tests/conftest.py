"""Where the fast tests find the code of the roles, and the oldest Tornado."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / ".cache/tornado-3.1.1"

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/tornado_app"), str(ROOT / "tests/app")]
for folder in ROOT.glob("roles/*/library"):
    sys.path.insert(0, str(folder))
for folder in ROOT.glob("roles/*/module_utils"):
    sys.path.insert(0, str(folder))
# Under the name by which Ansible gives them to modules.
for name in (
    "tornado_app_text",
    "tornado_app_links",
    "tornado_app_archive",
    "tornado_app_lockfile",
    "tornado_app_seal",
    "tornado_app_unprivileged",
    "tornado_app_host",
    "tornado_app_socket",
    "tornado_app_static",
):
    sys.modules[f"ansible.module_utils.{name}"] = __import__(name)


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
