"""The union of static files: a page finds what it names, whichever release it is of."""

import os
import shutil

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import static
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.activation import Activation
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.port import Port
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.static import gather, missing


@pytest.fixture
def home(tmp_path):
    """An app with two releases; "new" was installed last."""
    for age, (release, files) in enumerate(
        {
            "old": {"app.1.js": "one", "style.css": "old", "x": "file", "y/z": "folder"},
            "new": {"app.2.js": "two", "style.css": "new", "x/deep": "folder", "y": "file"},
        }.items()
    ):
        for path, text in files.items():
            file = tmp_path / "releases" / release / "static" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        os.utime(tmp_path / "releases" / release, (age, age))
    return tmp_path


def content(home):
    """Path to text of the union."""
    union = home / "static"
    return {str(one.relative_to(union)): one.read_text() for one in union.rglob("*") if one.is_file()}


def test_files_of_both_releases_are_there_and_the_named_one_is_right(home):
    gather(home, "static", "old")
    assert content(home) == {
        "app.1.js": "one",
        "app.2.js": "two",
        "style.css": "old",
        "x": "file",
        "y/z": "folder",
    }
    gather(home, "static", "new")
    assert content(home) == {
        "app.1.js": "one",
        "app.2.js": "two",
        "style.css": "new",
        "x/deep": "folder",
        "y": "file",
    }


def test_a_second_time_nothing_is_touched(home):
    gather(home, "static", "new")
    inode = os.stat(home / "static/style.css").st_ino
    assert missing(home, "static", "new") == {}
    assert inode == os.stat(home / "releases/new/static/style.css").st_ino


def test_a_release_that_is_removed_leaves_nothing_owed(home):
    file = home / "releases/third/static/style.css"
    file.parent.mkdir(parents=True)
    file.write_text("third")
    (home / "releases/third/static/only.js").write_text("third")
    (home / "releases/new/static/style.css").unlink()
    gather(home, "static", "new")
    shutil.rmtree(home / "releases/third")
    assert missing(home, "static", "new") == {}


def test_what_no_release_has_goes(home):
    gather(home, "static", "new")
    for path in (home / "releases/old/static").rglob("*.js"):
        path.unlink()
    (home / "static/app.9.js.partial").write_text("of a killed run")
    gather(home, "static", "new")
    assert set(content(home)) == {"app.2.js", "style.css", "x/deep", "y"}


def test_a_release_without_static_files_is_fine(home):
    (home / "releases/none").mkdir()
    (home / "releases/half.partial/static").mkdir(parents=True)
    (home / "releases/half.partial/static/h").write_text("half")
    gather(home, "static", "none")
    assert "h" not in content(home)
    assert "app.2.js" in content(home)


def test_a_linked_folder_is_followed(home):
    (home / "releases/new/built").mkdir()
    (home / "releases/new/built/app.3.js").write_text("three")
    (home / "releases/new/web").symlink_to("built")
    gather(home, "web", "new")
    assert content(home) == {"app.3.js": "three"}


def linked(home, **links):
    """Links in the release "new", as one that was packed before links were resolved can have."""
    for name, target in links.items():
        path = home / "releases/new" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)


def test_links_in_a_circle_end(home):
    linked(
        home, **{"static/v1": ".", "static/v2": ".", "static/z": "../other/back", "other/back": "../static/z"}
    )
    gather(home, "static", "new")
    assert "style.css" in content(home)
    assert "v1/style.css" not in content(home)


def test_links_that_make_folders_without_number_are_refused_and_block_no_other(home, monkeypatch):
    for level in range(40):
        linked(home, **{f"static/{level}/{name}": f"../{level + 1}" for name in "ab"})
    (home / "releases/new/static/40").mkdir()
    monkeypatch.setattr(static, "MOST", 500)
    with pytest.raises(OSError, match="new has more than 500 static files or folders"):
        gather(home, "static", "new")
    gather(home, "static", "old")
    assert content(home)["style.css"] == "old"


def test_nothing_outside_of_a_release_gets_into_the_union(home):
    (home / "secret").write_text("s3cret")
    (home / "releases/new/.release/secrets").mkdir(parents=True)
    (home / "releases/new/.release/secrets/key").write_text("s3cret")
    (home / "releases/new/p").mkdir()
    linked(
        home,
        **{
            "static/a": "/etc/passwd",
            "static/b": "../../../secret",
            "static/c": "../.release/secrets/key",
            "static/d": "../.release/secrets",
            "q": "p/../..",
            "static/e": "../q/secret",
        },
    )
    gather(home, "static", "new")
    assert "s3cret" not in content(home).values()
    assert not {"a", "b", "c", "d/key", "e"} & set(content(home))


def test_hidden_files_are_for_no_visitor(home):
    static = home / "releases/new/static"
    for name in (".env", ".git/config", ".well-known/security.txt"):
        (static / name).parent.mkdir(exist_ok=True)
        (static / name).write_text(name)
    gather(home, "static", "new")
    assert ".well-known/security.txt" in content(home)
    assert not {".env", ".git/config"} & set(content(home))


def test_a_refused_release_is_in_no_union(home):
    gather(home, "static", "old", without=["new"])
    assert set(content(home)) == {"app.1.js", "style.css", "x", "y/z"}
    assert missing(home, "static", "old", without=["new"]) == {}
    # It may be deployed after all.
    gather(home, "static", "new", without=["new"])
    assert content(home)["style.css"] == "new"


def test_a_name_may_be_as_long_as_names_can_be_and_end_as_it_likes(home):
    longest = "a" * 252 + ".js"
    for name in (longest, "app.2.js.partial"):
        (home / "releases/new/static" / name).write_text(name[-8:])
    gather(home, "static", "new")
    assert content(home)[longest] == "aaaaa.js"
    assert content(home)["app.2.js.partial"] == ".partial"
    assert content(home)["app.2.js"] == "two"
    assert missing(home, "static", "new") == {}
    assert sorted(os.listdir(home)) == ["releases", "static"]


@pytest.fixture
def unlinkable(monkeypatch):
    """The end of the path of a file that can't be linked."""
    link, ends = os.link, []

    def refuse(real, there, **words):
        if ends and str(real).endswith(ends[0]):
            raise OSError(31, "Too many links")
        link(real, there, **words)

    monkeypatch.setattr(os, "link", refuse)
    return ends


def test_a_file_of_another_release_that_cannot_be_linked_stops_no_deploy(home, unlinkable):
    unlinkable.append("new/static/app.2.js")
    gather(home, "static", "old")
    assert set(content(home)) == {"app.1.js", "style.css", "x", "y/z"}


def test_a_file_on_its_way_is_left_by_no_run(home, monkeypatch):
    gather(home, "static", "old")
    (home / "static.partial").write_text("of a killed run")
    gather(home, "static", "old")
    assert not (home / "static.partial").exists()

    def refuse(_from, _to):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        gather(home, "static", "new")
    assert not (home / "static.partial").exists()


def test_a_release_whose_folder_cannot_be_read_stops_no_other(home, monkeypatch):
    listdir = os.listdir

    def refuse(path):
        if str(path).endswith("new/static"):
            raise OSError(5, "Input/output error")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    gather(home, "static", "old")
    assert set(content(home)) == {"app.1.js", "style.css", "x", "y/z"}


def test_a_release_that_cannot_be_linked_is_bad_and_leaves_nothing(home, unlinkable):
    gather(home, "static", "old", without=["new"])
    unlinkable.append("new/static/style.css")
    activation = Activation.__new__(Activation)
    activation.home, activation.static, activation.release = home, "static", "new"
    activation.before, activation.ports = {"bad": []}, [Port("x", 8000, timeout=1)]
    with pytest.raises(Refusal, match="the static files can't be linked") as refusal:
        activation.gather_static()
    assert refusal.value.bad
    # As turn_back does, while a file of the release before can't be linked either.
    unlinkable[:] = ["old/static/y/z"]
    with pytest.raises(OSError, match="Too many links"):
        gather(home, "static", "old", without=["new"])
    assert set(content(home)) == {"app.1.js", "style.css", "x"}
