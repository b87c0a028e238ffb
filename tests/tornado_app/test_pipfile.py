"""What pip is told of a source with a Pipfile, which pipenv would install."""

import json

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import project

PIPFILE = """
[packages]
tornado = "~=6.4"
requests = {extras = ["socks"], version = "*", sys_platform = "== 'linux'"}
Humanize = "4.1"
pywin32 = {version = "*", sys_platform = "== 'win32'"}
lib = {git = "https://git.example.org/lib.git", ref = "v1"}
[dev-packages]
pytest = "*"
[requires]
python_version = "3.11"
"""
LOCK = {
    "_meta": {"hash": {"sha256": "0"}, "pipfile-spec": 6},
    "default": {
        "tornado": {"hashes": ["sha256:01", "sha256:00"], "version": "==6.4.2", "index": "pypi"},
        "requests": {"extras": ["socks"], "hashes": ["sha256:02"], "version": "==2.32"},
        "pysocks": {"hashes": ["sha256:03"], "version": "==1.7", "markers": "python_version < '4'"},
        "humanize": {"hashes": ["sha256:04"], "version": "==4"},
        "lib": {"git": "https://git.example.org/lib.git", "ref": "0123abc"},
        "pywin32": {"version": "*"},
        "e1839a8": {"editable": True, "path": "."},
    },
    "develop": {"pytest": {"hashes": ["sha256:05"], "version": "==8"}},
}


@pytest.fixture
def plan(tmp_path):
    """Write one or both, and ask for the plan of what is found."""

    def ask(*extras, pipfile=PIPFILE, lock=None, offline=False):
        for name, text in (("Pipfile", pipfile), ("Pipfile.lock", lock)):
            if text is not None:
                (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
        return project.plan(str(tmp_path), project.find(str(tmp_path)), extras, offline)

    return ask


def test_its_lock_is_held_to_with_its_digests(plan):
    found = plan(lock=LOCK)
    assert found.first == [
        "tornado==6.4.2 --hash=sha256:00 --hash=sha256:01",
        "requests[socks]==2.32 --hash=sha256:02",
        "pysocks==1.7 ; (python_version < '4') --hash=sha256:03",
        "humanize==4 --hash=sha256:04",
        "pywin32 ; (sys_platform == 'win32')",
    ]
    assert found.then == ["lib @ git+https://git.example.org/lib.git@0123abc", "./."]
    assert all(step[0] == "--no-deps" for step in found.steps())
    assert plan("develop", lock=LOCK).first[-1] == "pytest==8 --hash=sha256:05"
    assert plan(lock=LOCK, offline=True).first[0] == "tornado==6.4.2"


def test_without_a_lock_it_says_itself_what_is_needed(plan):
    found = plan("dev-packages")
    assert found.first == [
        *("tornado~=6.4", "requests[socks] ; (sys_platform == 'linux')", "Humanize==4.1"),
        *("pywin32 ; (sys_platform == 'win32')", "pytest"),
    ]
    assert found.steps()[1] == ["--requirement=.release/project.txt"]


def test_one_that_lists_nothing_leaves_tornado_to_the_role(plan):
    assert plan(pipfile="[packages]\n[requires]\npython_version = '3.11'\n") is None


@pytest.mark.parametrize(
    ("beside", "text", "taken"),
    [
        ("setup.py", "from setuptools import setup\nsetup()\n", "Pipfile"),
        ("pyproject.toml", "[tool.black]\n", "Pipfile"),
        ("pyproject.toml", "[project]\nname = 'chat'\nversion = '1'\n", "pyproject.toml"),
        ("pylock.toml", "", "pylock.toml"),
    ],
)
def test_what_a_project_of_today_says_goes_before(tmp_path, beside, text, taken):
    (tmp_path / "Pipfile").write_text(PIPFILE)
    (tmp_path / beside).write_text(text)
    assert project.find(str(tmp_path)) == taken


@pytest.mark.parametrize(
    ("extras", "files", "words"),
    [
        ([], {"pipfile": "[packages"}, "Pipfile can't be read"),
        ([], {"lock": "{"}, "Pipfile.lock can't be read"),
        ([], {"lock": "[]"}, "Pipfile.lock can't be read"),
        ([], {"pipfile": "packages = 1"}, "Pipfile is none that pipenv could install"),
        (
            [],
            {"pipfile": "[packages]\ntornado = 'six point four'"},
            "Pipfile is none that pipenv could install",
        ),
        (
            [],
            {"pipfile": PIPFILE.replace("Humanize", "bleach"), "lock": LOCK},
            "Pipfile.lock has no 'bleach'",
        ),
        ([], {"lock": {"default": {**LOCK["default"], "x": {"version": "==1"}}}}, "has no digest of x"),
        (["docs"], {"lock": LOCK}, "'docs' is no category of Pipfile.lock. Give some of: develop."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_not_be_installed_is_refused(plan, extras, files, words):
    with pytest.raises(Refusal) as caught:
        plan(*extras, **files)
    assert words in str(caught.value)
    assert str(caught.value).startswith(("tornado_app_requirements: ", "tornado_app_extras: "))
