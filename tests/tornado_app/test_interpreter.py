"""Which Pythons of a host are taken: root's, new enough, complete, and where a sandbox shows them."""

import os
import sys

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.interpreter import (
    SYSTEM,
    Unusable,
    asked,
    examine,
    steps,
)


def test_debians_own_would_be_taken():
    found = examine(SYSTEM)
    if "ensurepip" in found["why"]:
        pytest.skip("no python3-venv here")
    version = ".".join(map(str, asked(SYSTEM)["version"]))
    assert found["id"].startswith(f"{SYSTEM} {os.path.realpath(SYSTEM)} {version} ")
    assert os.path.isfile(f"{found['stdlib']}/os.py")
    assert found["tag"] in (name.split(".")[-2] for name in os.listdir(f"{found['stdlib']}/__pycache__"))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/usr/no/such/python", "is not there"),
        ("/etc/passwd", "can't be run by other accounts than root (Permission denied)"),
        ("/usr/bin/true", "is no Python 3.9 or later"),
        ("/usr/bin/cat", "is no Python 3.9 or later, it says: /usr/bin/cat: invalid option -- 'I'"),
        ("/root", "leads below /root, which the sandbox of a program or of its build hides"),
    ],
)
def test_what_is_not_taken_says_why(path, why):
    assert examine(path) == {"why": why}


def test_one_that_somebody_else_could_replace_is_not_taken(tmp_path):
    copy = tmp_path / "python3"
    copy.symlink_to(SYSTEM)
    found = examine(str(copy))["why"]
    assert found.startswith(("could be replaced, since others than root may write /", "leads below /"))


def test_an_older_one_is_not_taken(monkeypatch):
    monkeypatch.setattr(sys.modules[examine.__module__], "LEAST", (4, 0))
    version = ".".join(map(str, asked(SYSTEM)["version"]))
    assert examine(SYSTEM)["why"] == f"is Python {version}, and it takes 4.0 or later"


def test_all_that_a_path_leads_through_is_looked_at(tmp_path):
    (tmp_path / "3.13.1/bin").mkdir(parents=True)
    (tmp_path / "3.13.1/bin/python3.13").touch()
    (tmp_path / "3.13.1/bin/python").symlink_to("python3.13")
    (tmp_path / "3.13").symlink_to(tmp_path / "3.13.1")
    (tmp_path / "python").symlink_to("3.13/bin/../bin/python")
    found = [one for one in steps(f"{tmp_path}/python") if one.startswith(f"{tmp_path}/")]
    # Absolute links begin again at the top.
    assert list(dict.fromkeys(os.path.relpath(one, tmp_path) for one in found)) == [
        "python",
        "3.13",
        "3.13.1",
        "3.13.1/bin",
        "3.13.1/bin/python",
        "3.13.1/bin/python3.13",
    ]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(Unusable, match="circle"):
        list(steps(f"{tmp_path}/circle"))
