"""A release's id is its content; what can't be a release is refused in one sentence."""

import base64
import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.action import tornado_app_pack as action
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import archive, git, requirements, tree
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import pack as packing
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import source as sources
from rendering import ROOT


@pytest.fixture
def source(tmp_path):
    """A program with a static file."""
    folder = tmp_path / "source"
    (folder / "static").mkdir(parents=True)
    (folder / "server.py").write_text("print('hello')\n")
    (folder / "static" / "style.css").write_text("body {}\n")
    return folder


@pytest.fixture
def pack(source, tmp_path):
    """Pack the source with some settings; the result and the names in the tar file."""
    count = iter(range(99))

    params = {
        "source": str(source),
        "version": "",
        "checksum": "",
        "runtime": str(ROOT / "roles/tornado_app/files/release"),
        "group": "tornado-chat",
        "settings": {"main": "server.py", "arguments": [], "environment": {}},
        "seal": "",
        "static": "static",
        "include": [],
        "requirements": "requirements.txt",
        "extras": [],
        "default_requirements": str(ROOT / "roles/tornado_app/files/release/requirements.txt"),
        "wheels": "",
        "python": "/usr/bin/python3 3.13",
    }

    def run(settings=None, **changed):
        scratch = tmp_path / f"scratch{next(count)}"
        scratch.mkdir()
        destination = str(scratch / "release.tar.gz")
        settings = {**params["settings"], **(settings or {})}
        given = {**params, **changed, "settings": settings, "destination": destination}
        result = packing.pack(given, str(scratch))
        with tarfile.open(destination) as packed:
            members = {member.name: member for member in packed}
        return {**result, "members": members, "path": destination}

    run.params = params
    return run


def test_the_same_content_is_the_same_release(pack, source):
    before = pack()
    os.utime(source / "server.py", (1, 1))
    assert pack()["id"] == before["id"]


@pytest.mark.parametrize(
    "settings",
    [
        {"arguments": ["--debug"]},
        {"environment": {"MOOD": "good"}},
        {"main": "-m server"},
    ],
    ids=str,
)
def test_every_setting_makes_another_release_in_the_same_environment(pack, settings):
    before, after = pack(), pack(settings)
    assert after["id"] != before["id"]
    assert after["venv"] == before["venv"]


def test_what_starts_is_looked_for_in_the_folder_that_it_starts_in(pack, source):
    (source / "app").mkdir()
    (source / "app/main.py").touch()
    for settings, words in (
        ({"main": "main.py"}, "tornado_app_main: 'main.py' is not in the source"),
        ({"main": "main.py", "folder": "web"}, "tornado_app_folder: 'web' is no folder of the source."),
    ):
        with pytest.raises(Refusal, match=words):
            pack(settings)
    found = pack({"main": "main.py", "folder": "app"})
    assert found["asked"] != pack({"main": "app/main.py"})["asked"]


def test_another_interpreter_makes_another_environment(pack):
    assert pack(python="/usr/bin/python3 3.11")["venv"] != pack()["venv"]


def test_the_source_is_known_apart_from_what_is_a_hosts_own(pack, source):
    one, two = pack(), pack({"arguments": ["--debug"]}, python="/usr/bin/python3 3.11")
    assert one["id"] != two["id"]
    assert [one[key] for key in ("app", "code", "asked")] == [two[key] for key in ("app", "code", "asked")]
    (source / "server.py").write_text("print('just saved')")
    assert pack()["asked"] == one["asked"]
    assert pack()["code"] != one["code"]
    assert pack(static="public")["asked"] != one["asked"]


def test_changed_code_keeps_the_environment_unless_it_is_installed_into_it(pack, source):
    before = pack()
    (source / "server.py").write_text("print('hi')\n")
    after = pack()
    assert (after["id"] != before["id"], after["venv"] == before["venv"]) == (True, True)
    (source / "requirements.txt").write_text("-e .\n")
    before = pack()
    (source / "server.py").write_text("print('hi again')\n")
    assert pack()["venv"] != before["venv"]


@pytest.mark.parametrize(
    "line",
    [
        "libs/mylib",
        "./libs/mylib",
        "-e libs/mylib",
        "--editable=libs/mylib",
        "libs/mylib[fast] ; python_version > '3'  # ours",
        "mylib @ file:libs/mylib",
        "libs/mylib/mylib-1-py3-none-any.whl",
        "--find-links libs/mylib\nmylib",
        "-f libs",
        "-c libs/mylib/constraints.txt",
    ],
)
def test_an_environment_is_made_anew_when_a_part_of_the_source_that_is_installed_changes(pack, source, line):
    library = source / "libs/mylib"
    library.mkdir(parents=True)
    (library / "setup.py").write_text("VERSION = 1\n")
    (library / "constraints.txt").write_text("tornado<6.5\n")
    (library / "mylib-1-py3-none-any.whl").write_text("one")
    (source / "requirements.txt").write_text(f"tornado\n{line}\n")
    first = pack()["venv"]
    (source / "server.py").write_text("print('other code')\n")
    assert pack()["venv"] == first
    for name in ("setup.py", "constraints.txt", "mylib-1-py3-none-any.whl"):
        (library / name).write_text("another\n")
    assert pack()["venv"] != first


def test_a_folder_that_is_called_as_a_package_is_not_meant(pack, source):
    (source / "tornado").mkdir()
    (source / "tornado/web.py").write_text("one\n")
    (source / "requirements.txt").write_text("tornado\n")
    first = pack()["venv"]
    (source / "tornado/web.py").write_text("two\n")
    assert pack()["venv"] == first


def test_requirements_count_with_the_files_that_they_include(pack, source):
    (source / "requirements.txt").write_text("-r base.txt\n")
    (source / "base.txt").write_text("tornado==6.5\n")
    before = pack()
    assert before["requirements"] == "requirements.txt"
    (source / "base.txt").write_text("tornado==6.6\n")
    assert pack()["venv"] != before["venv"]


@pytest.mark.parametrize(
    "name",
    ["server.txt", "/etc/passwd", "../outside.txt", "static", "", ".venv/r.txt", "a\0b", "a" * 5000],
)
def test_requirements_that_are_not_in_the_source_are_refused(pack, source, name):
    (source.parent / "outside.txt").write_text("tornado==6.5\n")
    (source / ".venv").mkdir()
    (source / ".venv/r.txt").touch()
    with pytest.raises(Refusal, match=r"^tornado_app_requirements: '.*' is no file in the source"):
        pack(requirements=name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_requirements_as_windows_writes_them_are_read(pack, source, encoding):
    (source / "more.txt").write_text("tornado==6.5\n")
    (source / "requirements.txt").write_bytes("-r more.txt\r\n".encode(encoding))
    before = pack()["venv"]
    (source / "more.txt").write_text("tornado==6.4\n")
    assert pack()["venv"] != before


def test_a_name_in_another_encoding_is_part_of_a_release(pack, source):
    name = os.fsencode(source / "static") + b"/\xfcber.css"
    with open(name, "w", encoding="ascii") as file:
        file.write("p {}\n")
    assert os.fsdecode(b"static/\xfcber.css") in pack()["members"]


def test_only_the_usual_requirements_may_be_missing(pack, source):
    assert pack()["requirements"] == ".release/requirements.txt"
    (source / "requirements").mkdir()
    (source / "requirements/server.txt").write_text("tornado==6.5\n")
    (source / "needs").symlink_to("requirements")
    for name in ("requirements/server.txt", "./requirements/server.txt", "needs/server.txt"):
        assert pack(requirements=name)["requirements"] == name
    (source / "requirements.txt").mkdir()
    with pytest.raises(Refusal, match=r"'requirements[.]txt' is no file in the source"):
        pack()


@pytest.mark.parametrize(
    "content", [b"tornado==6.5 # caf\xe9\n", b"-r a\0b\n", "tornado\n".encode("utf-16")[:-1]]
)
@pytest.mark.parametrize("name", ["requirements.txt", "more/base.txt"])
def test_requirements_that_are_no_text_are_refused(pack, source, name, content):
    (source / "more").mkdir()
    (source / "requirements.txt").write_text("-r more/base.txt\n")
    (source / name).write_bytes(content)
    with pytest.raises(Refusal) as caught:
        pack()
    assert str(caught.value) == (
        f"tornado_app_requirements: {name} can't be read (no text in UTF-8 or UTF-16)."
        " Give requirements as text, in files that you may read."
    )


def test_requirements_that_cannot_be_read_are_refused(pack, source, monkeypatch):
    (source / "requirements.txt").write_text("-r " + "a/" * 5000 + "b\n")
    assert pack()["requirements"] == "requirements.txt"

    def refuse(path, *words, **more):
        if str(path).endswith("source/requirements.txt") and words == ("rb",):
            raise PermissionError(13, "Permission denied")
        return open(path, *words, **more)

    monkeypatch.setattr(requirements, "open", refuse, raising=False)
    with pytest.raises(Refusal, match=r"requirements.txt can't be read \(Permission denied\)"):
        pack()


PROJECT = """
[project]
name = "chat"
dynamic = ["version"]
dependencies = ["tornado"]
[build-system]
requires = ["hatchling", "hatch-vcs"]
build-backend = "hatchling.build"
"""


def test_a_project_takes_the_place_of_requirements(pack, source):
    default = pack()
    (source / "pyproject.toml").write_text("[tool.ruff]\n")
    assert pack()["venv"] == default["venv"]
    (source / "pyproject.toml").write_text(PROJECT)
    found = pack()
    assert (found["requirements"], found["version"]) == ("pyproject.toml", "0")
    assert found["steps"] == [
        ["--requirement=.release/requirements.txt"],
        ["--no-deps", "--requirement=.release/project.txt"],
    ]
    assert {".release/requirements.txt", ".release/project.txt"} <= set(found["members"])
    (source / "requirements.txt").write_text("tornado==6.5\n")
    assert pack()["steps"] == [["--requirement=requirements.txt"]]
    before = pack(requirements="pyproject.toml")
    assert before["steps"] == found["steps"]
    # It is installed, so what it consists of counts.
    (source / "server.py").write_text("print('other code')\n")
    assert pack(requirements="pyproject.toml")["venv"] != before["venv"]


def test_the_version_that_a_build_is_told_makes_another_environment(pack, source):
    (source / "pyproject.toml").write_text(PROJECT)
    commit = committed(source)
    found = pack(version="v1")
    assert found["version"] == "1"
    assert pack(version=commit)["version"] == f"0+g{commit[:12]}"
    assert pack()["version"] == "1"
    in_git(source, "commit", "--quiet", "--allow-empty", "-m", "two")
    assert (pack()["version"].startswith("1.post1+g"), pack()["venv"] != found["venv"]) == (True, True)


def test_a_source_with_a_setup_py_alone_is_installed(pack, source):
    before = pack()
    (source / "setup.py").write_text("from distutils.core import setup\nsetup(install_requires=['redis'])\n")
    found = pack()
    assert found["requirements"] == "setup.py"
    assert [one[-1].rpartition("/")[2] for one in found["steps"]] == ["requirements.txt", "project.txt"]
    assert ("--no-deps" in found["steps"][1], found["venv"] != before["venv"]) == (False, True)
    (source / "requirements.txt").write_text("tornado\n")
    assert pack()["requirements"] == "requirements.txt"


def test_requirements_above_the_source_are_known_where_they_may_be_missed(pack, source):
    """They are not installed: what is above the source may be about anything. A refusal names them."""
    (source / "web").mkdir()
    (source / "server.py").rename(source / "web" / "server.py")
    (source / "requirements.txt").write_text("redis\n")
    folder = {"source": str(source / "web")}
    assert pack(**folder)["left_out_paths"] == []
    in_git(source, "init", "--quiet")
    found = pack(**folder)
    assert (found["left_out_paths"], found["left_out"]) == (["../requirements.txt"], "")
    (source / "web" / "requirements.txt").write_text("tornado\n")
    assert pack(**folder)["left_out_paths"] == []


@pytest.mark.parametrize("name", ["requirements.txt", "setup.py"])
def test_an_extra_of_what_is_no_project_is_refused(pack, source, name):
    (source / name).touch()
    assert refusal(pack, extras=["redis"]).startswith(
        "tornado_app_extras: redis is a part of a pyproject.toml, and"
    )


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock"])
def test_a_project_that_is_not_there_is_refused(pack, name):
    assert refusal(pack, requirements=name).startswith(
        f"tornado_app_requirements: '{name}' is no file in the source"
    )


def test_other_secrets_make_another_release_in_the_same_environment(pack):
    before, after = pack(seal="one"), pack(seal="two")
    assert (after["id"] != before["id"], after["venv"] == before["venv"]) == (True, True)


def test_no_other_account_reads_a_release_but_for_its_static_files(pack, source):
    (source / "server.py").chmod(0o777)
    (source / ".env").write_text("KEY=s3cret")
    (source / "web/dist/fonts").mkdir(parents=True)
    (source / "web/dist/fonts/a.woff").write_text("a")
    (source / "web/dist/style.css").write_text("b")
    (source / "web/dist/style.css").chmod(0o600)
    (source / "web/dist/.env").write_text("KEY=s3cret")
    members = pack(static="web/dist")["members"]
    modes = {name: oct(member.mode) for name, member in members.items()}
    assert (modes["server.py"], modes[".env"]) == ("0o750", "0o640")
    assert (modes["web"], modes["web/dist"], modes["web/dist/fonts"]) == ("0o751", "0o755", "0o755")
    assert (modes["web/dist/style.css"], modes["web/dist/fonts/a.woff"]) == ("0o644", "0o644")
    assert modes["web/dist/.env"] == "0o640"
    assert (modes[".release"], modes[".release/settings.json"]) == ("0o750", "0o640")
    assert modes["static/style.css"] == "0o640"
    assert {(member.uname, member.gname) for member in members.values()} == {("root", "tornado-chat")}


def test_an_empty_folder_is_part_of_a_release(pack, source):
    before = pack()["id"]
    (source / "data/uploads").mkdir(parents=True)
    (source / "__pycache__").mkdir()
    found = pack()
    assert found["members"]["data/uploads"].isdir()
    assert "__pycache__" not in found["members"]
    assert found["id"] != before


def test_version_control_and_caches_stay_behind(pack, source):
    for name in (".git", "__pycache__", ".venv"):
        (source / name).mkdir()
        (source / name / "file").touch()
    assert not [name for name in pack()["members"] if name.endswith("file")]


@pytest.mark.parametrize("name", ["venv", "env", "tools/py3"])
def test_an_environment_in_the_source_stays_behind_by_any_name(pack, source, name):
    before = pack()["id"]
    (source / name).mkdir(parents=True)
    (source / name / "pyvenv.cfg").touch()
    (source / name / "python").symlink_to("/usr/bin/python3")
    (source / "linked").symlink_to(source / name)
    found = pack()
    assert not [one for one in found["members"] if one.startswith((name, "linked"))]
    (source / "tools").is_dir() or (source / "tools").mkdir()
    assert found["left_out"] == ""
    if name != "tools/py3":
        (source / "tools").rmdir()
        assert pack()["id"] == before


def test_what_npm_has_brought_stays_behind_unless_pages_are_served_from_it(pack, source):
    for name in ("node_modules/left.js", "static/node_modules/right.js", "static/.git/old"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    found = pack()
    assert "static/node_modules/right.js" in found["members"]
    assert not {"node_modules", "node_modules/left.js", "static/.git"} & set(found["members"])
    assert "a build alone needs it: node_modules. List in tornado_app_include" in found["left_out"]
    assert "node_modules/left.js" in pack(include=["node_modules"])["members"]


def ignoring(source, *patterns):
    """Make a checkout of the source in which git ignores these."""
    in_git(source, "init", "--quiet")
    (source / ".gitignore").write_text("\n".join(patterns))


def test_of_settings_that_stay_behind_their_names_are_known_and_no_value(pack, source, tmp_path):
    secret = "S3CR3T"
    (source / ".env").write_text(
        f"# one\nexport COOKIE_SECRET={secret}\nDATABASE = '{secret}'\n{secret}\n{secret}==\n"
    )
    (source / "chat.ini").write_text(f"[database]\nhost: {secret}\n")
    (source / "big.env").write_text("A=1\n" * 20000)
    (tmp_path / "elsewhere").write_text("B=1\n")
    (source / "linked.env").symlink_to(tmp_path / "elsewhere")
    (source / "notes.txt").write_text("C=1\n")
    ignoring(source, "*.env", "*.ini", "notes.txt")
    found = pack()
    assert found["left_out_settings"] == {
        ".env": ["COOKIE_SECRET", "DATABASE"],
        "chat.ini": ["database", "host"],
    }
    assert secret not in str(found)


def test_what_git_ignores_stays_behind_and_is_named(pack, source):
    (source / "build/deep").mkdir(parents=True)
    (source / "locale/de").mkdir(parents=True)
    for name in (
        "build/deep/x.o",
        "config.py",
        "locale/de/chat.mo",
        "locale/de/chat.po",
        " lead.log",
        "kept.log",
    ):
        (source / name).touch()
    ignoring(source, "build/", "config.py", "*.mo", "*.log")
    in_git(source, "add", "--force", "kept.log")
    found = pack()
    files = {name for name, member in found["members"].items() if not name.startswith(".release")}
    assert files == {
        *("server.py", ".gitignore", "kept.log", "locale", "locale/de", "locale/de/chat.po"),
        *("static", "static/style.css"),
    }
    assert found["left_out_paths"] == [" lead.log", "build", "config.py", "locale/de/chat.mo"]
    assert found["left_out"] == (
        "Left out, as git ignores it or a build alone needs it: "
        " lead.log, build, config.py, locale/de/chat.mo."
        " List in tornado_app_include what the program needs of that."
    )
    assert found["left_out_settings"] == {}
    more = pack(include=["config.py", "locale/", "./build/deep"])
    assert {"config.py", "locale/de/chat.mo", "build/deep/x.o"} <= set(more["members"])
    assert more["id"] != found["id"]


def test_what_a_variable_names_is_packed_though_git_ignores_it(pack, source):
    (source / "static/dist").mkdir()
    for name in ("static/dist/app.js", "requirements.txt", "app.log"):
        (source / name).touch()
    ignoring(source, "dist/", "*.txt", "server.py", "*.log")
    found = pack()
    assert {"static/dist/app.js", "requirements.txt", "server.py"} <= set(found["members"])
    assert "app.log" not in found["members"]


@pytest.mark.parametrize("patterns", [["/source/", "*.css"], ["*"], []])
def test_a_folder_that_git_ignores_as_a_whole_is_packed_as_it_is(pack, source, patterns):
    # Tools that make folders ignore them from the inside.
    if not patterns:
        (source / ".gitignore").write_text("*")
    plain = pack()["id"]
    ignoring(source.parent, *patterns)
    found = pack()
    assert (found["id"], found["left_out"]) == (plain, "")


def test_a_folder_below_one_that_git_ignores_is_packed_as_it_is(pack, source):
    plain = pack()["id"]
    ignoring(source.parent.parent, f"/{source.parent.name}/")
    try:
        found = pack()
    finally:
        shutil.rmtree(source.parent.parent / ".git")
    assert (found["id"], found["left_out"]) == (plain, "")


def test_a_folder_inside_of_a_checkout_is_asked_about(pack, source):
    plain = pack()["id"]
    (source / "config.py").touch()
    ignoring(source.parent, "config.py")
    assert (pack()["id"], "config.py" in pack()["left_out"]) == (plain, True)


def test_what_a_submodule_ignores_stays_behind(pack, source):
    (source / "lib").mkdir()
    (source / "lib/secret.py").touch()
    ignoring(source / "lib", "secret.py")
    assert "lib/secret.py" not in pack()["members"]
    assert "lib/secret.py" in pack()["left_out"]


def test_git_runs_nothing_of_a_source_and_inherits_nothing(pack, source, tmp_path, monkeypatch):
    (source / "config.py").touch()
    ignoring(source, "config.py")
    in_git(source, "add", "server.py")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    in_git(source, "config", "core.fsmonitor", str(program))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert "config.py" not in pack()["members"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["ext::", "ssh"])
def test_a_repository_in_a_source_that_lacks_something_has_git_run_nothing_for_it(
    pack, source, tmp_path, kind
):
    # As somebody else's archive has it, unpacked into the source: .gitignore is to come from a server.
    lib = source / "lib"
    (lib / "sub").mkdir(parents=True)
    (lib / "sub/.gitignore").write_text("*.log\n")
    (lib / "sub/a.log").touch()
    committed(lib)
    in_git(lib, "update-index", "--skip-worktree", "sub/.gitignore")
    lost = in_git(lib, "rev-parse", ":sub/.gitignore")
    (lib / f".git/objects/{lost[:2]}/{lost[2:]}").unlink()
    (lib / "sub/.gitignore").unlink()
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    settings = {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{program}" if kind == "ext::" else "ssh://server.example.org/lib",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "core.sshCommand": str(program),
    }
    for name, value in settings.items():
        in_git(lib, "config", name, value)
    found = pack()
    assert not (tmp_path / "ran").exists()
    assert "lib/sub/a.log" in found["members"]


def test_a_source_that_git_can_not_be_asked_about_is_packed_as_it_is(pack, source, tmp_path, monkeypatch):
    (source / "config.py").touch()
    ignoring(source, "config.py")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = pack()
    assert "config.py" in found["members"]
    assert found["left_out"].startswith("Packed as it is: git can't say what it ignores there (")


@pytest.mark.parametrize("name", ["nothere", "../source", "/etc/passwd", "", ".git/config"])
def test_what_can_not_be_included_is_refused(pack, source, name):
    ignoring(source, "x")
    assert refusal(pack, include=[name]) == (
        f"tornado_app_include: '{name}' is no path in the source that a release can hold."
        " Give files and folders there, as config.py or locale."
    )


def test_an_archive_gives_the_same_release_as_its_folder(pack, source, tmp_path):
    archive = tmp_path / "chat.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "chat-1.0")
    checksum = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    assert pack(source=str(archive), checksum=checksum)["id"] == pack()["id"]
    with pytest.raises(Refusal, match=f"the archive has {checksum}, not sha256:00"):
        pack(source=str(archive), checksum="sha256:00")


def test_wheels_that_can_not_be_read_are_not_the_sources_fault(pack, tmp_path):
    (tmp_path / "wheels/folder").mkdir(parents=True)
    with pytest.raises(
        Refusal, match=r"^tornado_app_wheels: .*wheels/folder can.t be read \(Is a directory\)"
    ):
        pack(wheels=str(tmp_path / "wheels"))


def test_a_path_with_two_dots_is_shown_as_what_it_leads_to(pack, source):
    (source / "static/deeper").mkdir()
    assert pack(source=f"{source}/static/../static/..")["origin"] == str(source)


def test_a_truncated_archive_is_refused(pack, source, tmp_path):
    archive = tmp_path / "chat.tar.gz"
    (source / "large.bin").write_bytes(os.urandom(100_000))
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(source, "chat-1.0")
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(Refusal, match=r"chat.tar.gz can't be unpacked"):
        pack(source=str(archive))


def in_git(folder, *words):
    """What git prints in a folder."""
    own = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", folder, *own, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def committed(folder):
    """Make a repository of a folder, with all of it in one commit, v1; the commit."""
    in_git(folder, "init", "--quiet")
    in_git(folder, "add", ".")
    in_git(folder, "commit", "--quiet", "-m", "one")
    in_git(folder, "tag", "v1")
    return in_git(folder, "rev-parse", "HEAD")


def test_a_version_of_a_git_repository(pack, source):
    plain = pack()["id"]
    commit = committed(source)
    (source / "server.py").write_text("print('not committed')\n")
    assert pack(version="v1")["id"] == pack(version=commit)["id"] == plain
    assert commit in pack(version="v1")["origin"]
    for address in (f"file://{source}", f"{source}/.git"):
        assert pack(source=address, version="v1")["id"] == plain
    assert pack(version=commit[:9])["id"] == plain
    (source / "static/style.css").write_text("p {}")
    in_git(source, "commit", "--quiet", "--all", "-m", "two")
    in_git(source, "branch", "later")
    assert pack(version="later")["id"] != plain
    assert pack(version="later~1")["id"] == plain
    with pytest.raises(Refusal, match=r"^tornado_app_source: git can't fetch version 'v9'"):
        pack(version="v9")


def test_a_repository_whose_hook_runs_it_stays_as_it_is(pack, source, tmp_path, monkeypatch):
    plain = pack()["id"]
    committed(source)
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/hosts.yml").write_text("tornado_app: {}\n")
    committed(tmp_path / "ops")
    before = (in_git(tmp_path / "ops", "show-ref"), (tmp_path / "ops/.git/config").read_text())
    # As git leaves it to a hook in a worktree, to rebase --exec and to a push that was received.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "ops/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "ops"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "ops/.git/index"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(tmp_path / "ops/.git/objects"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.worktree={tmp_path}/ops'")
    assert pack(version="v1")["id"] == plain
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "QUARANTINE_PATH", "CONFIG_PARAMETERS"):
        monkeypatch.delenv(f"GIT_{name}")
    assert (in_git(tmp_path / "ops", "show-ref"), (tmp_path / "ops/.git/config").read_text()) == before
    assert not (tmp_path / "ops/.git/shallow").exists()


def test_what_a_repository_has_elsewhere_is_in_the_release(pack, source, tmp_path):
    theme = tmp_path / "theme"
    theme.mkdir()
    (theme / "dark.css").write_text("body {}\n")
    committed(theme)
    (source / ".gitattributes").write_text("tests export-ignore\n")
    (source / "tests").write_text("part of it all the same\n")
    in_git(source, "init", "--quiet")
    in_git(source, "submodule", "--quiet", "add", str(theme), "static/theme")
    committed(source)
    assert {"static/theme/dark.css", "tests"} <= set(pack(version="v1")["members"])
    in_git(source, "submodule", "--quiet", "deinit", "--all")
    said = refusal(pack)
    assert said.startswith(
        "tornado_app_source: the submodule static/theme is empty. Run git submodule update"
    )


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.mknod(path, stat.S_IFSOCK | 0o600)])
def test_what_a_process_of_the_machine_keeps_in_the_source_is_no_part_of_it(pack, source, make):
    """A supervisor's socket, an editor's pipe: a clone would not have it, and the deploy is to go on."""
    before = pack()
    make(source / "run.sock")
    (source / "last").symlink_to("run.sock")
    after = pack()
    assert ("run.sock" in after["members"], after["members"]["last"].issym()) == (False, True)
    os.remove(source / "last")
    assert pack()["id"] == before["id"]


def test_what_is_no_file_of_submodules_is_not_read(pack, source):
    os.mkfifo(source / ".gitmodules")
    assert ".gitmodules" not in pack()["members"]
    os.remove(source / ".gitmodules")
    (source / ".gitmodules").symlink_to("/dev/zero")
    assert ".gitmodules" in refusal(pack)


def test_a_pointer_in_the_place_of_a_large_file_is_refused(pack, source):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 99\n"
    (source / "model.bin").write_text(pointer)
    for given in ({}, {"version": committed(source)}):
        assert refusal(pack, **given).startswith("tornado_app_source: model.bin is a pointer of Git LFS")


@pytest.mark.parametrize(
    "source",
    [
        "github-deploy:team/chat.git",
        "org-1234@github.com:org/chat",
        "gitea@example.org:team/chat.git",
        "ssh://deploy@example.org:2222/chat",
        "https://example.org/team/chat",
        "git://example.org/chat",
        "file:///srv/git/chat",
    ],
)
def test_an_address_that_git_takes_is_taken_without_a_version(source):
    assert sources.is_git(source, "")
    assert sources.remote(source)


@pytest.mark.parametrize(
    "source", ["/srv/chat", "../chat", "chat", "./a:b", "https://example.org/chat.tar.gz?t=1"]
)
def test_a_path_and_an_archive_are_no_repositories(source):
    assert not sources.is_git(source, "")


def test_why_git_could_not_fetch_is_said(pack):
    said = refusal(pack, source="ssh://git@127.0.0.1:1/chat.git", version="v1")
    assert "Connection refused" in said
    assert "repository exists" not in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "No ED25519 host key is known for h.\nHost key verification failed.\nfatal: "
            "Could not read from remote repository.\n\nPlease make sure you have the correct access "
            "rights\nand the repository exists.\n",
            "No ED25519 host key is known for h; Host key verification failed",
        ),
        (
            "git@h: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n",
            "git@h: Permission denied (publickey)",
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://h/x/' not found\n",
            "Repository not found; repository 'https://h/x/' not found",
        ),
        ("", "no reason given"),
    ],
)
def test_git_s_advice_is_no_reason(text, why):
    assert git.reason(text) == why


def refusal(pack, **changed):
    """The sentence that a source is refused with."""
    with pytest.raises(Refusal) as caught:
        pack(**changed)
    return str(caught.value)


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ({"x": "/etc/passwd"}, "x leads out of the source (to /etc/passwd)"),
        ({"x": "../../etc/passwd"}, "x leads out of the source"),
        # By its words this one stays inside: p is three folders deep, where it leads is one.
        (
            {"a/b/p": "../..", "static/x": "../a/b/p/../../etc/passwd"},
            "a/b/p leads to a folder that holds it",
        ),
        (
            {"a/b/c/up": "../../../d", "d/e": "../static", "x": "a/b/c/up/e/../../../x"},
            "x leads out of the source",
        ),
        ({"x": "y", "y": "x"}, "x leads in a circle in the source"),
        ({"static/v1": ".", "static/v2": "."}, "static/v1 leads to a folder that holds it"),
        ({"static/v1": "../a", "a/v2": "../static"}, "static/v1/v2 leads to a folder that holds it"),
        ({"static/key": "../.release/secrets/key"}, "static/key leads to .release"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_link_that_leads_nowhere_good_is_refused_by_name(pack, source, links, words):
    for name, target in links.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).symlink_to(target)
    assert refusal(pack).startswith(f"tornado_app_source: the link {words}")


def test_links_to_links_that_make_folders_without_number_are_refused(pack, source, monkeypatch):
    monkeypatch.setattr(tree, "MOST_FILES", 1000)
    for level in range(20):
        (source / f"static/{level}").mkdir()
        for name in "ab":
            (source / f"static/{level}/{name}").symlink_to(f"../{level + 1}")
    (source / "static/20").mkdir()
    assert refusal(pack) == (
        "tornado_app_source: it holds more than 1000 folders. Leave out what is not the program's."
    )


def test_static_files_that_are_links_are_there_as_what_they_lead_to(pack, source):
    (source / "built").mkdir()
    (source / "built/app.js").write_text("one")
    (source / "static/app.js").symlink_to("../built/app.js")
    (source / "static/lib").symlink_to("../built")
    (source / "inside").symlink_to("built/app.js")
    (source / "static/later").symlink_to("../not/yet")
    members = pack()["members"]
    assert members["static/app.js"].isfile()
    assert members["static/lib/app.js"].isfile()
    assert members["static/lib/app.js"].mode == 0o644
    assert members["inside"].linkname == "built/app.js"
    assert members["static/later"].issym()
    members = pack(static="static/lib")["members"]
    assert members["static/lib/app.js"].isfile()


def test_what_a_terminal_would_obey_is_shown_and_not_sent(pack, source):
    (source / "\x1b[31mred\u202e").symlink_to("/etc")
    said = refusal(pack)
    assert said.isprintable()
    assert "\\x1b[31mred\\u202e" in said


def member(name, kind=tarfile.REGTYPE, link="", content=b""):
    """One member of a tar file that nobody's tool would make."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, io.BytesIO(content)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("/tmp/evil")], "a member that leads out of it: /tmp/evil"),
        ([member("a/../../evil")], "a member that leads out of it"),
        (
            [member("x", tarfile.SYMTYPE, "/tmp"), member("x/evil")],
            "a member in place of a link, or behind one",
        ),
        ([member("x/a"), member("x", tarfile.SYMTYPE, "/tmp")], "a link in place of a file or a folder: x"),
        ([member("x", tarfile.DIRTYPE), member("x")], "a file in place of a folder: x"),
        ([member("x"), member("x/y")], "a folder in place of a file: x"),
        ([member("x", tarfile.LNKTYPE, "../secret")], "a member that leads out of it: ../secret"),
        ([member("x", tarfile.LNKTYPE, "/etc/passwd")], "a member that leads out of it: /etc/passwd"),
        ([member("x", tarfile.LNKTYPE, "none")], "a hard link to what is not in it: x to none"),
        ([member("x", tarfile.FIFOTYPE)], "neither file, folder nor link: x"),
        ([member("x", tarfile.CHRTYPE)], "neither file, folder nor link: x"),
        ([member("x", content=b"12"), member("y", content=b"34")], "holds more than 0 GiB"),
        ([member(f"f{number}") for number in range(9)], "holds more than 8 files"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_writes_nothing_outside_and_nothing_endless(pack, tmp_path, monkeypatch, members, words):
    monkeypatch.setattr(archive, "MOST_FILES", 8)
    monkeypatch.setattr(archive, "MOST_BYTES", 3)
    (tmp_path / "secret").write_text("s3cret")
    with tarfile.open(tmp_path / "chat.tar.gz", "w:gz") as packed:
        for info, content in members:
            packed.addfile(info, content)
    before = set(os.listdir("/tmp"))
    said = refusal(pack, source=str(tmp_path / "chat.tar.gz"))
    assert said.startswith(f"tornado_app_source: {tmp_path}/chat.tar.gz ")
    assert words in said
    assert "evil" not in set(os.listdir("/tmp")) - before


def test_links_in_an_archive_are_held_to_the_same(pack, tmp_path):
    with tarfile.open(tmp_path / "chat.tar", "w") as packed:
        for info, content in (member("server.py"), member("x", tarfile.SYMTYPE, "../../../etc")):
            packed.addfile(info, content)
    assert "the link x leads out of the source" in refusal(pack, source=str(tmp_path / "chat.tar"))


def test_hard_links_and_links_of_an_archive_are_kept(pack, tmp_path):
    with tarfile.open(tmp_path / "chat.tar", "w") as packed:
        for info, content in (
            member("server.py", content=b"print()"),
            member("again.py", tarfile.LNKTYPE, "server.py"),
            member("link.py", tarfile.SYMTYPE, "server.py"),
            member("server.py", content=b"print(1)"),
        ):
            packed.addfile(info, content)
    members = pack(source=str(tmp_path / "chat.tar"))["members"]
    assert (members["again.py"].size, members["server.py"].size) == (7, 8)
    assert members["link.py"].linkname == "server.py"


def test_a_header_that_fills_the_memory_is_refused(pack, tmp_path):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    with gzip.open(tmp_path / "chat.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _megabyte in range(40):
            file.write(bytes(1 << 20))
    assert "has a header of more than 16 MiB" in refusal(pack, source=str(tmp_path / "chat.tar.gz"))


def zipped(path, **members):
    """A zip file; a member's value is its content, or content and mode."""
    with zipfile.ZipFile(path, "w") as packed:
        for name, value in members.items():
            content, mode = value if isinstance(value, tuple) else (value, 0o100644)
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            packed.writestr(info, content)
    return str(path)


def test_a_zip_file_is_held_to_the_same(pack, tmp_path, monkeypatch):
    path = tmp_path / "chat.zip"
    for members, words in (
        ({"../evil": ""}, "a member that leads out of it: ../evil"),
        ({"/tmp/evil": ""}, "a member that leads out of it"),
        ({"x": ("/tmp", 0o120777), "x/evil": ""}, "in place of a link, or behind one"),
        ({"x": ("y" * 5000, 0o120777)}, "a link of more than 4096 characters"),
        ({"x": ("", 0o010644)}, "neither file, folder nor link"),
    ):
        assert words in refusal(pack, source=zipped(path, **members))
    link = zipped(path, **{"server.py": "", "x": ("/etc/passwd", 0o120777)})
    assert "the link x leads out of the source" in refusal(pack, source=link)
    monkeypatch.setattr(archive, "MOST_BYTES", 5)
    assert "holds more than 0 GiB" in refusal(pack, source=zipped(path, **{"a": "123", "b": "456"}))


def test_a_large_file_is_not_read_into_memory(pack, source):
    with (source / "large.bin").open("wb") as file:
        file.truncate(300 << 20)
    tracemalloc.start()
    pack()
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 << 20


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("https://me:t0ken@example.org/chat.git", "https://example.org/chat.git"),
        ("https://t0ken@example.org/chat.git", "https://example.org/chat.git"),
        ("https://me:t0k@en@example.org/chat.git", "https://example.org/chat.git"),
        ("ssh://git:t0ken@example.org/chat.git", "ssh://git@example.org/chat.git"),
        ("git@example.org:chat.git", "git@example.org:chat.git"),
        ("https://example.org/chat.tar.gz?key=t0ken", "https://example.org/chat.tar.gz"),
    ],
)
def test_what_the_history_says_of_a_source_is_without_passwords(source, origin):
    assert sources.origin_of(source, "v1") == f"{origin} v1"


@pytest.mark.parametrize(
    ("given", "sent"),
    [("me:t0k%3Aen", b"me:t0k:en"), ("t0k%3Aen:", b"t0k:en:"), ("t0k%3Aen", None)],
)
def test_a_password_in_a_git_address_reaches_the_server_and_nobody_else(pack, given, sent):
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)]
            seen = any(b"t0k%3Aen" in line or b"t0k:en" in line for line in lines)
            asked.append((self.headers.get("Authorization"), seen))
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=git")
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://{given}@127.0.0.1:{server.server_port}/chat.git"
        said = refusal(pack, source=address, version="v1")
        server.shutdown()
    assert {"t0k", "en@", "me:"} & {word for word in ("t0k", "en@", "me:") if word in said} == set()
    if sent:
        assert f"Basic {base64.b64encode(sent).decode()}" in [words for words, _seen in asked]
    assert not any(seen for _words, seen in asked)


def test_a_password_of_a_repository_is_for_no_server_of_its_submodules(pack, source, tmp_path):
    asked = {"repository": [], "submodule": []}

    class Server(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words, name, **more):
            self.name = name
            super().__init__(*words, directory=tmp_path / "served", **more)

        def do_GET(self):
            asked[self.name].append(self.headers.get("Authorization"))
            if self.headers.get("Authorization"):
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=git")
            self.end_headers()

    with contextlib.ExitStack() as stack:
        ports = {}
        for name in asked:
            handler = functools.partial(Server, name=name)
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            ports[name] = server.server_port
        # Who may write the one repository may name any server as the other's.
        (source / ".gitmodules").write_text(
            f'[submodule "lib"]\npath = lib\nurl = http://127.0.0.1:{ports["submodule"]}/lib.git\n'
        )
        commit = committed(source)
        in_git(source, "update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
        in_git(source, "commit", "--quiet", "-m", "two")
        in_git(source, "tag", "v2")
        in_git(tmp_path, "clone", "--quiet", "--bare", str(source), "served/chat.git")
        in_git(tmp_path / "served/chat.git", "update-server-info")
        address = f"http://me:t0ken@127.0.0.1:{ports['repository']}/chat.git"
        said = refusal(pack, source=address, version="v2")
    assert "git can't fetch version" in said
    assert f"Basic {base64.b64encode(b'me:t0ken').decode()}" in asked["repository"]
    assert set(asked["submodule"]) == {None}


def readable(path):
    """Whether a process is still there."""
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("main", ["other.py", "bin/other serve", "python other.py"])
def test_a_main_that_is_not_there_is_refused(pack, main):
    with pytest.raises(Refusal, match=f"tornado_app_main: '{main}' is not in the source"):
        pack({"main": main})


def test_a_worker_and_a_timer_have_to_be_there_and_are_packed(pack, source):
    worker, timer = (
        {"name": "mail", "command": "tasks.py"},
        {"name": "x", "command": "-m y", "calendar": "daily"},
    )
    with pytest.raises(Refusal, match=r"tornado_app_workers: mail: 'tasks\.py' is not in the source"):
        pack({"workers": [worker], "timers": [timer]})
    (source / "tasks.py").touch()
    both = pack({"workers": [worker], "timers": [timer]})
    # They are part of the release.
    assert both["id"] not in (
        pack()["id"],
        pack({"workers": [{**worker, "count": 2}], "timers": [timer]})["id"],
    )


def test_what_has_no_port_needs_no_main(pack, source):
    (source / "server.py").unlink()
    with pytest.raises(Refusal, match="tornado_app_main"):
        pack()
    assert pack({"main": "", "workers": [{"name": "bot", "command": "-m bot"}]})["id"]


def test_a_download_without_checksum_is_refused(pack):
    with pytest.raises(Refusal, match="Give its checksum"):
        pack(source="https://example.org/chat.tar.gz")


def test_a_download_with_its_checksum_gives_the_same_release(pack, source, tmp_path):
    archive = tmp_path / "chat.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("server.py", "static/style.css"):
            packed.write(source / name, f"chat-1.0/{name}")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        arguments = {
            **{name: value for name, value in pack.params.items() if name != "seal"},
            "source": f"http://127.0.0.1:{server.server_port}/chat.zip",
            "checksum": "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest(),
        }
        module = ["--module-name", "tornadoes.tornadoes.tornado_app_pack"]
        command = ["ansible", "localhost", *module, "--args", json.dumps(arguments), "--one-line"]
        environment = {**os.environ, "ANSIBLE_CONFIG": "", "no_proxy": "127.0.0.1"}
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "collections")
        environment["ANSIBLE_LOCAL_TEMP"] = str(tmp_path)
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
    assert f'"id": "{pack(seal=action.seal({}))["id"]}"' in said.stdout, said.stdout + said.stderr
