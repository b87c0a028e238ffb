"""What a user is told whose program misses a module or a file: where the source has it, or what brings it."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import (
    module_reasons,
    rollout,
    sandbox_reasons,
)

LINE = "ModuleNotFoundError: No module named 'redis'"


@pytest.fixture
def said(tmp_path):
    """What is said of a release with these files."""

    def ask(*files, line=LINE, left_out=()):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return sandbox_reasons.remedy("chat", ["Traceback", line], left_out, release=str(tmp_path))

    return ask


@pytest.mark.parametrize(
    ("path", "place", "folder"),
    [
        ("redis/tornado/__init__.py", "", ""),  # a folder with that name alone is none of its packages
        ("redis/client.py", "redis", "."),
        ("redis.py", "redis", "."),
        ("src/redis/__init__.py", "src/redis", "src"),
        ("lib/redis.py", "lib/redis", "lib"),
    ],
)
def test_a_module_of_the_source_is_found_where_the_program_does_not_look(said, path, place, folder):
    """As where an example of a library is started, or a folder src is for the developer's own machine."""
    found = said(path, "requirements.txt")
    sentence = (
        f" The source has {place}, where Python does not look: if that is meant, set PYTHONPATH: {folder}"
        " in tornado_app_environment."
    )
    assert found == (sentence if place else "")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], ""),
        (["Pipfile", "environment.yml"], ""),
        (["setup.py", "requirements/dev.txt"], ""),
        (["pyproject.toml", "requirements/dev.txt"], " The source has requirements/dev.txt: name"),
        (
            ["requirements/base.txt", "requirements/prod.txt", "environment.yml"],
            " The source has requirements/base.txt, requirements/prod.txt: name what is to be installed in"
            " tornado_app_requirements.",
        ),
        (["my-requirements.txt"], " The source has my-requirements.txt: name"),
        (["server/requirements.txt"], " The source has server/requirements.txt: name"),
        (
            ["environment.yml"],
            " What environment.yml says is not installed: write it into a requirements.txt.",
        ),
        (["requirements.in"], " What requirements.in says is not installed: "),
    ],
)
def test_a_file_that_says_what_is_needed_and_was_passed_over_is_named(said, files, sentence):
    found = said(*files)
    assert (found.startswith(sentence), bool(found)) == (True, bool(sentence))


def test_a_project_is_told_from_settings_of_tools(said, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.black]\nline-length = 99\n")
    assert said("requirements/prod.txt").startswith(" The source has requirements/prod.txt: name")
    (tmp_path / "pyproject.toml").write_text("[build-system]\n[project]\nname = 'chat'\n")
    assert said() == ""


def test_requirements_above_the_source_are_named(said):
    assert said(left_out=["notes.txt", "../../requirements.txt"]) == (
        " ../../requirements.txt lies above the source, so nothing of it is installed: give that folder as"
        " tornado_app_source, and the paths in it."
    )


def test_what_was_python_s_own_is_named_as_it_is_to_be_had(said):
    assert said("requirements.txt", line="ModuleNotFoundError: No module named 'pkg_resources'") == (
        " pkg_resources is no part of Python any more: list setuptools<82 in the requirements."
    )
    assert " list setuptools in" in said(line="ModuleNotFoundError: No module named 'distutils'")


def test_a_file_beside_the_program_names_the_folder_to_start_in(said, tmp_path):
    """As where one types cd app first, and python server.py then."""
    line = "FileNotFoundError: [Errno 2] No such file or directory: '%s'"
    sentence = " The source has src/app/conf/x.json: tornado_app_folder: src/app lets it start there."
    assert said("src/app/conf/x.json", line=line % "conf/x.json") == sentence
    assert said(line=line % f"{tmp_path}/conf/x.json") == sentence
    assert said(line=line % "/conf/x.json") == said(line=line % "../x.json") == ""


def test_where_a_program_writes_is_no_folder_to_start_in(said, tmp_path, tmp_path_factory):
    """What releases share is a link: whoever has taken a program over could name a folder of its own so."""
    written = tmp_path_factory.mktemp("uploads")
    written.joinpath("app/lost").mkdir(parents=True)
    written.joinpath("app/lost/__init__.py").touch()
    written.joinpath("app/x.json").touch()
    tmp_path.joinpath("uploads").symlink_to(written)
    tmp_path.joinpath("near").symlink_to(written / "app")
    assert said(line="FileNotFoundError: [Errno 2] No such file or directory: 'x.json'") == ""
    assert "near" not in said("requirements.txt", line="ModuleNotFoundError: No module named 'lost'")


@pytest.mark.parametrize("name", ["imp", "cgi", "telnetlib", "asyncore"])
def test_what_python_has_dropped_is_named_as_it_is_to_be_had(said, name):
    """As on the way from Debian 12 to 13, or with a program of some years ago."""
    found = said("requirements.txt", line=f"ModuleNotFoundError: No module named '{name}'")
    assert found.startswith(f" {name} is no part of Python any more: list ")


@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'urllib2'",
        "ModuleNotFoundError: No module named 'cStringIO'",
        "ImportError: cannot import name 'unquote' from 'urllib' (/usr/lib/python3.13/urllib/__init__.py)",
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?",
        "SyntaxError: multiple exception types must be parenthesized",
        "NameError: name 'unicode' is not defined",
        "AttributeError: 'dict' object has no attribute 'iteritems'",
    ],
)
def test_a_program_for_python_2_is_told_from_one_that_misses_something(said, line):
    sentence = " That is Python 2: docs/carry-forward.md says how such a program goes on."
    assert said("requirements.txt", line=line) == sentence
    # A module of the program's own may be called so.
    assert "Python 2" not in said("lib/urllib2.py", line="ModuleNotFoundError: No module named 'urllib2'")


def test_nothing_is_said_of_a_module_that_the_program_looks_for_and_can_do_without(said):
    assert said("environment.yml", line="INFO: no redis") == ""


def test_a_refusal_looks_into_the_release_that_was_refused(monkeypatch):
    monkeypatch.setattr(module_reasons, "remedy", lambda line, release, left_out: f" {release}: {line}.")
    found = rollout.refused("chat", "0123456789ab", {"current": ""}, "port 8000 exited", [LINE])
    assert found["msg"].endswith(f"port 8000 exited. /srv/chat/releases/0123456789ab: {LINE}.")
