"""A release's id is its content; what can't be a release is refused in one sentence."""

import functools
import hashlib
import http.server
import json
import os
import subprocess
import tarfile
import threading
import zipfile

import pytest
import tornado_app_pack
from rendering import ROOT


class Module:
    """What the code under test needs of AnsibleModule."""

    def __init__(self, **params):
        self.params = params


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
        "settings": {"main": "server.py", "arguments": [], "environment": {}, "secrets": {}},
        "requirements": "requirements.txt",
        "default_requirements": str(ROOT / "roles/tornado_app/files/release/requirements.txt"),
        "wheels": "",
        "python": "/usr/bin/python3 3.13",
    }

    def run(settings=None, **changed):
        scratch = tmp_path / f"scratch{next(count)}"
        scratch.mkdir()
        destination = str(scratch / "release.tar.gz")
        settings = {**params["settings"], **(settings or {})}
        module = Module(**{**params, **changed, "settings": settings, "destination": destination})
        result = tornado_app_pack.pack(module, str(scratch))
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
        {"secrets": {"key": "s3cret"}},
        {"main": "-m server"},
    ],
    ids=str,
)
def test_every_setting_makes_another_release_in_the_same_environment(pack, settings):
    before, after = pack(), pack(settings)
    assert after["id"] != before["id"]
    assert after["venv"] == before["venv"]


def test_another_interpreter_makes_another_environment(pack):
    assert pack(python="/usr/bin/python3 3.11")["venv"] != pack()["venv"]


def test_changed_code_keeps_the_environment_unless_it_is_installed_into_it(pack, source):
    before = pack()
    (source / "server.py").write_text("print('hi')\n")
    after = pack()
    assert (after["id"] != before["id"], after["venv"] == before["venv"]) == (True, True)
    (source / "requirements.txt").write_text("-e .\n")
    before = pack()
    (source / "server.py").write_text("print('hi again')\n")
    assert pack()["venv"] != before["venv"]


def test_requirements_count_with_the_files_that_they_include(pack, source):
    (source / "requirements.txt").write_text("-r base.txt\n")
    (source / "base.txt").write_text("tornado==6.5\n")
    before = pack()
    assert before["requirements"] == "requirements.txt"
    (source / "base.txt").write_text("tornado==6.6\n")
    assert pack()["venv"] != before["venv"]


def test_modes_and_owners_are_normalised(pack, source):
    (source / "server.py").chmod(0o777)
    (source / "static" / "style.css").chmod(0o600)
    members = pack()["members"]
    assert members["server.py"].mode == 0o755
    assert members["static/style.css"].mode == 0o644
    assert members["static"].mode == 0o755
    assert members["server.py"].uname == "root"


def test_secrets_are_for_the_app_alone_and_only_in_their_file(pack):
    packed = pack({"secrets": {"cookie": "s3cret"}})
    secret = packed["members"][".release/secrets/cookie"]
    folder = packed["members"][".release/secrets"]
    assert (secret.mode, secret.gname) == (0o640, "tornado-chat")
    assert (folder.mode, folder.gname) == (0o750, "tornado-chat")
    with tarfile.open(packed["path"]) as tar:
        settings = json.load(tar.extractfile(".release/settings.json"))
    assert settings == {"main": "server.py", "arguments": [], "environment": {}}


def test_version_control_and_caches_stay_behind(pack, source):
    for name in (".git", "__pycache__", ".venv"):
        (source / name).mkdir()
        (source / name / "file").touch()
    assert not [name for name in pack()["members"] if name.endswith("file")]


def test_an_archive_gives_the_same_release_as_its_folder(pack, source, tmp_path):
    archive = tmp_path / "chat.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "chat-1.0")
    checksum = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    assert pack(source=str(archive), checksum=checksum)["id"] == pack()["id"]
    with pytest.raises(tornado_app_pack.Refusal, match=f"the archive has {checksum}, not sha256:00"):
        pack(source=str(archive), checksum="sha256:00")


def test_a_truncated_archive_is_refused(pack, source, tmp_path):
    archive = tmp_path / "chat.tar.gz"
    (source / "large.bin").write_bytes(os.urandom(100_000))
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(source, "chat-1.0")
    archive.write_bytes(archive.read_bytes()[:50_000])
    with pytest.raises(tornado_app_pack.Refusal, match=r"chat.tar.gz can't be unpacked"):
        pack(source=str(archive))


def test_a_version_of_a_git_repository(pack, source):
    def git(*words):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = ["git", "-C", source, *identity, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    plain = pack()["id"]
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    (source / "server.py").write_text("print('not committed')\n")
    assert pack(version="v1")["id"] == pack(version=commit)["id"] == plain
    assert commit in pack(version="v1")["origin"]
    with pytest.raises(tornado_app_pack.Refusal, match=r"^tornado_app_source: git can't fetch version 'v9'"):
        pack(version="v9")


def test_a_link_out_of_the_source_is_refused(pack, source):
    (source / "inside").symlink_to("server.py")
    pack()
    (source / "outside").symlink_to("/etc/passwd")
    with pytest.raises(tornado_app_pack.Refusal, match="the link outside leads out of the source"):
        pack()


@pytest.mark.parametrize("main", ["other.py", "-m other"])
def test_a_main_that_is_not_there_is_refused(pack, main):
    with pytest.raises(tornado_app_pack.Refusal, match=f"tornado_app_main: '{main}' is not in the source"):
        pack({"main": main})


def test_a_download_without_checksum_is_refused(pack):
    with pytest.raises(tornado_app_pack.Refusal, match="Give its checksum"):
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
            **pack.params,
            "source": f"http://127.0.0.1:{server.server_port}/chat.zip",
            "checksum": "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest(),
            "destination": str(tmp_path / "release.tar.gz"),
        }
        library = ["--module-path", ROOT / "roles/tornado_app/library", "--module-name", "tornado_app_pack"]
        command = ["ansible", "localhost", *library, "--args", json.dumps(arguments), "--one-line"]
        environment = {**os.environ, "ANSIBLE_CONFIG": "", "no_proxy": "127.0.0.1"}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        server.shutdown()
    assert f'"id": "{pack()["id"]}"' in said.stdout, said.stdout + said.stderr
