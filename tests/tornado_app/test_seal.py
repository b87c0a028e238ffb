"""What a build without rights has made becomes root's, or is refused. As an ordinary user: of oneself."""

import os
import subprocess
import sys

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.seal import seal
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.text import (
    logged,
    printable,
    without_passwords,
)


@pytest.fixture
def environment(tmp_path):
    """A virtual environment of the system's Python."""
    folder = tmp_path / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True)
    (folder / "module.py").write_text("x = 1\n")
    return folder


def sealed(folder):
    """Seal it as what the tests run as."""
    seal(str(folder), os.getgid(), os.getuid())


def test_an_environment_is_read_only_for_all(environment):
    (environment / "module.py").chmod(0o666)
    (environment / "private").mkdir(mode=0o700)
    (environment / "program").write_text("#!/bin/sh\n")
    (environment / "program").chmod(0o777)
    sealed(environment)
    for name, mode in (("module.py", 0o644), ("private", 0o755), ("program", 0o755), (".", 0o750)):
        assert (name, (environment / name).stat().st_mode & 0o7777) == (name, mode)
    subprocess.run([environment / "bin/python", "-c", "1"], check=True)


def test_a_link_changes_nothing_that_it_leads_to(environment, tmp_path):
    (tmp_path / "theirs").write_text("x")
    (tmp_path / "theirs").chmod(0o600)
    (environment / "inside").symlink_to("module.py")
    sealed(environment)
    (environment / "outside").symlink_to("../theirs")
    with pytest.raises(Refusal, match=r"a link that leads out of it: outside to ../theirs"):
        sealed(environment)
    assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link that leads out of it: x to /etc/passwd"),
        (lambda path: path.symlink_to("x"), "a link that leads in a circle in it: x to x"),
        (lambda path: path.symlink_to("y/../../.."), "a link that leads out of it"),
        (os.mkfifo, "neither file, folder nor link: x"),
        (lambda path: (path.write_text(""), path.chmod(0o4755)), "a file that runs as another account: x"),
        (lambda path: (path.write_text(""), path.chmod(0o2755)), "a file that runs as another account: x"),
        (lambda path: os.link(__file__, path), "a file that is elsewhere as well: x"),
    ],
    ids=["link", "circle", "parents", "fifo", "setuid", "setgid", "hard link"],
)
def test_what_no_environment_needs_is_refused_by_name(environment, make, words):
    try:
        make(environment / "x")
    except OSError:
        pytest.skip("not possible here")
    with pytest.raises(Refusal, match=words):
        sealed(environment)


def test_a_file_with_two_names_in_the_environment_is_fine(environment):
    os.link(environment / "module.py", environment / "again.py")
    sealed(environment)


def test_an_access_list_does_not_outlive_the_build(environment):
    path = environment / "module.py"
    try:
        os.setxattr(path, "user.note", b"x")
    except OSError:
        pytest.skip("no extended attributes here")
    sealed(environment)
    assert os.listxattr(path) == []


def test_text_of_others_says_what_it_is():
    assert printable("a\tb\x1b]0;x\x07\u202e\r") == r"a       b\x1b]0;x\x07\u202e\r"
    assert printable("Été ✓ 漢字") == "Été ✓ 漢字"
    assert logged("\x1b[1;35mOSError\x1b[0m: \x1b]0;x\x07") == r"OSError: \x1b]0;x\x07"
    said = "fatal: unable to access 'https://me:t0ken@example.org/x.git/' and redis://:t0ken@host/0"
    assert "t0ken" not in without_passwords(said)
    assert "https://example.org/x.git/" in without_passwords(said)
    assert without_passwords("mail me@example.org, see https://example.org/@me") == (
        "mail me@example.org, see https://example.org/@me"
    )


def test_python_is_the_systems(environment):
    # What the seal lets through besides: bin/python3 and its like.
    links = [path for path in (environment / "bin").iterdir() if path.is_symlink()]
    assert links, sys.version
    assert {os.path.realpath(path) for path in links} == {os.path.realpath("/usr/bin/python3")}
