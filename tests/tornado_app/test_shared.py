"""What a program writes beside its code: links in each release, filled once, kept for all."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.pack import pack
from port import FILES

# Counts visits in a database beside the code, as a tutorial does.
PROGRAM = """
import os, sqlite3, sys, tornado.ioloop, tornado.web
database = sqlite3.connect("data/app.db", timeout=10)
database.execute("pragma journal_mode=wal")
database.execute("create table if not exists visits (release text)")
class Main(tornado.web.RequestHandler):
    def get(self):
        with database:
            database.execute("insert into visits values (?)", [os.environ["TORNADO_APP_RELEASE"]])
        self.write(str(database.execute("select count(*) from visits").fetchone()[0]))
class Health(tornado.web.RequestHandler):
    def get(self):
        self.write("ok")
tornado.web.Application([("/", Main), ("/healthz", Health)]).listen(int(sys.argv[-1].split("=")[1]))
tornado.ioloop.IOLoop.current().start()
"""


@pytest.fixture
def source(tmp_path):
    """A program with a database, two folders to write to, and more."""
    folder = tmp_path / "source"
    for path, text in {
        "server.py": "print('hello')\n",
        "data/app.db": "first",
        "data/schema.sql": "create",
        "uploads/a/one.txt": "1",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "thumbs").mkdir()
    return folder


@pytest.fixture
def packed(source, tmp_path):
    """Pack the source with what is shared; the id, and the members of the tar file by name."""

    def run(*shared):
        given = {
            **dict.fromkeys(("version", "checksum", "seal", "wheels"), ""),
            "source": str(source),
            "runtime": str(FILES / "release"),
            "group": "tornado-chat",
            "settings": {"main": "server.py", "shared": list(shared)},
            "static": "static",
            "include": ["data/app.db", "uploads", "thumbs"],
            "extras": [],
            "requirements": "requirements.txt",
            "default_requirements": str(FILES / "release/requirements.txt"),
            "python": "/usr/bin/python3 3.13",
            "destination": str(tmp_path / "release.tar.gz"),
        }
        result = pack(given, str(tmp_path / "scratch"))
        with tarfile.open(given["destination"]) as tar:
            return result["id"], {member.name: member for member in tar}

    return run


def test_what_is_shared_is_a_link_of_root_s_and_the_source_s_is_first_content(packed):
    _id, members = packed("data/app.db", "uploads/", "thumbs", "new/deep/log/", "later.json")
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    links.pop(".release/venv")
    names = ("data/app.db", "uploads", "thumbs", "new/deep/log", "later.json")
    assert links == {name: f"/var/lib/tornado-chat/{name}" for name in names}
    assert {members[name].uname for name in links} == {"root"}
    assert members["new/deep"].isdir()
    assert members["data/schema.sql"].isreg()
    for name in ("data/app.db", "uploads/a/one.txt"):
        assert members[f".release/shared/{name}"].isreg()
    assert members[".release/shared/thumbs"].isdir()
    # Nothing is written through a link while the release is unpacked.
    assert not any(name.startswith(f"{link}/") for name in members for link in links)


def test_another_list_is_another_release(packed):
    assert len({packed()[0], packed("data/app.db")[0], packed("uploads/")[0], packed("uploads")[0]}) == 4


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("data/app.db/", "'data/app.db/' is a file in the source. Leave the slash out."),
        ("data/app.db/x", "'data/app.db/x' lies below data/app.db, which is no folder in the source."),
        ("there/x", "'there/x' lies below there, which is no folder in the source."),
        ("there", "'there' is a link in the source. Share what it leads to."),
    ],
)
def test_what_can_t_be_a_link_is_refused(packed, source, entry, why):
    (source / "there").symlink_to("data")
    with pytest.raises(Refusal) as refused:
        packed(entry)
    assert why in str(refused.value)


def share(port, name, state, first=""):
    """Put a release of the program into a port's home that shares its database and a folder."""
    port.add(name, PROGRAM, shared=["data/app.db", "uploads/"])
    release = port.home / "releases" / name
    (release / "data").mkdir()
    (release / "data/app.db").symlink_to(state / "data/app.db")
    (release / "uploads").symlink_to(state / "uploads")
    if first:
        (release / ".release/shared/data").mkdir(parents=True)
        shutil.copy(first, release / ".release/shared/data/app.db")
    return release


def test_a_database_goes_on_over_releases_under_requests(port, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    begun = tmp_path / "begun.db"
    with sqlite3.connect(begun) as database:
        database.execute("create table visits (release text)")
        database.execute("insert into visits values ('of the source')")
    releases = [share(port, name, state, begun) for name in ("one", "two")]
    port.point("one")
    port.start()
    assert port.get() == "2"
    inode = (state / "data/app.db").stat().st_ino
    answers, over = [], threading.Event()

    def visit():
        while not over.is_set():
            answers.append(int(port.get()))

    visitor = threading.Thread(target=visit)
    visitor.start()
    port.swap("two")
    assert port.wait_for(lambda: len(answers) > 20)
    port.swap("one")  # a rollback
    over.set()
    visitor.join()
    # Each visit counted, none forgotten: what the source brought came once.
    assert answers == list(range(3, len(answers) + 3))
    assert (state / "data/app.db").stat().st_ino == inode
    assert sorted(os.listdir(state / "data")) == ["app.db", "app.db-shm", "app.db-wal"]
    assert (state / "uploads").is_dir()
    for release in releases:
        assert os.listdir(release / "data") == ["app.db"]
        assert (release / "data/app.db").is_symlink()


def test_first_content_that_can_t_be_copied_refuses_the_release(port, tmp_path):
    state = tmp_path / "state"
    state.write_text("no folder")
    port.add("good", PROGRAM.replace("data/app.db", ":memory:"))
    port.point("good")
    port.start()
    share(port, "bad", state)
    answer = port.ask(do="swap", release="bad")
    assert not answer["ok"]
    assert "tornado_app_shared: what releases share can't be made" in port.log.read_text()
    assert port.get() == "1"


def test_many_instances_fill_a_folder_at_once(tmp_path):
    release, state = tmp_path / "releases/one", tmp_path / "state"
    (release / ".release/shared/uploads").mkdir(parents=True)
    for number in range(200):
        (release / f".release/shared/uploads/{number}").write_text("x" * 1000)
    (release / "uploads").symlink_to(state / "uploads")
    words = "import launcher, os, sys; launcher.fill(sys.argv[1], ['uploads/']);"
    words += "sys.exit(len(os.listdir(sys.argv[2])) != 200)"
    command = [sys.executable, "-B", "-c", words, release, state / "uploads"]
    started = [subprocess.Popen(command, cwd=FILES / "release") for _one in range(6)]
    assert {one.wait(30) for one in started} == {0}
    assert os.listdir(state) == ["uploads"]
