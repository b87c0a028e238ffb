"""What pip is told of a project, by its pyproject.toml and its lock file."""

import subprocess

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import project
from packaging.requirements import Requirement

PYPROJECT = """
[project]
name = "Chat"
version = "1.0"
dependencies = ["tornado>=6.5", "requests[socks]; sys_platform == 'linux'"]
[project.optional-dependencies]
redis = ["redis>=5", "chat[fast]"]
fast = ["hiredis"]
[dependency-groups]
dev = ["pytest"]
web = [{include-group = "dev"}, "bleach"]
"""
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
UV = """
version = 1
[[package]]
name = "chat"
source = { editable = "." }
dependencies = [
    { name = "tornado" },
    { name = "requests", extra = ["socks"], marker = "sys_platform == 'linux'" },
]
[package.optional-dependencies]
redis = [{ name = "redis" }]
[package.dev-dependencies]
dev = [{ name = "ours" }, { name = "theirs" }]
[[package]]
name = "tornado"
version = "6.6.1"
source = { registry = "https://index.example.org/simple" }
sdist = { url = "https://index.example.org/t.tar.gz", hash = "sha256:00" }
wheels = [{ url = "https://index.example.org/t.whl", hash = "sha256:01" }]
[[package]]
name = "requests"
version = "2.32"
source = { registry = "https://index.example.org/simple" }
dependencies = [{ name = "idna" }, { name = "idna", marker = "os_name == 'nt'" }]
wheels = [{ url = "https://index.example.org/r.whl", hash = "sha256:02" }]
[package.optional-dependencies]
socks = [{ name = "pysocks", version = "1.7", marker = "python_version < '4'" }]
[[package]]
name = "pysocks"
version = "1.6"
source = { registry = "https://index.example.org/simple" }
wheels = [{ url = "https://index.example.org/p.whl", hash = "sha256:03" }]
[[package]]
name = "pysocks"
version = "1.7"
source = { registry = "https://index.example.org/simple" }
wheels = [{ url = "https://index.example.org/p7.whl", hash = "sha256:04" }]
[[package]]
name = "idna"
version = "3"
source = { registry = "https://index.example.org/simple" }
dependencies = [{ name = "requests" }]
wheels = [{ url = "https://index.example.org/i.whl", hash = "sha256:05" }]
[[package]]
name = "redis"
version = "5"
source = { url = "https://index.example.org/redis.whl" }
wheels = [{ url = "https://index.example.org/redis.whl", hash = "sha256:06" }]
[[package]]
name = "ours"
version = "1"
source = { editable = "libs/ours" }
[[package]]
name = "theirs"
version = "1"
source = { git = "https://git.example.org/theirs?rev=main#0123abc" }
"""
POETRY = """
[tool.poetry]
name = "chat"
version = "1.0"
[tool.poetry.dependencies]
python = "^3.11"
tornado = "^6.5"
redis = {version = "^5", optional = true, extras = ["hiredis"]}
[tool.poetry.extras]
fast = ["redis"]
[tool.poetry.group.web.dependencies]
bleach = "*"
"""


def poetry_lock(extra="", groups=True):
    """A poetry.lock, as 2.1 writes it or as 1.x did."""
    packages = {
        "tornado": ("main", ""),
        "redis": ("main", "extra == 'fast'"),
        "hiredis": ("main", "extra == 'fast'"),
        "bleach": ("web", ""),
        "pytest": ("dev", ""),
    }
    text = ""
    for name, (group, markers) in packages.items():
        text += (
            f'[[package]]\nname = "{name}"\nversion = "1"\nfiles = [{{file = "x", hash = "sha256:{name}"}}]\n'
        )
        if groups:
            text += f'groups = ["{group}"]\nmarkers = "{markers}"\n'
        if name == "redis":
            text += '[package.extras]\nhiredis = ["hiredis (>=3,<4)"]\n[package.dependencies]\n'
            text += 'colorama = {version = "*", markers = "os_name == \'nt\'"}\n'
    return text + extra


@pytest.fixture
def plan(tmp_path):
    """Write files, and ask for the plan."""

    def ask(*extras, name="pyproject.toml", offline=False, **files):
        for file, text in files.items():
            path = tmp_path / {"pyproject": "pyproject.toml", "pylock": "pylock.toml"}.get(
                file, f"{file}.lock"
            )
            path.write_text(text)
        return project.plan(str(tmp_path), name, extras, offline)

    return ask


def test_a_project_of_scripts_has_its_needs_installed_alone(plan):
    found = plan("redis", "web", pyproject=PYPROJECT)
    assert found.first == [
        *("tornado>=6.5", "requests[socks]; sys_platform == 'linux'"),
        *("redis>=5", "bleach", "hiredis", "pytest"),
    ]
    assert found.steps() == [["--requirement=.release/requirements.txt"]]


def test_a_package_is_installed_after_them(plan, tmp_path):
    found = plan(pyproject=PYPROJECT + BUILD)
    assert found.then == ["./"]
    assert found.steps()[1] == ["--no-deps", "--requirement=.release/project.txt"]
    assert plan(pyproject=PYPROJECT + BUILD + "[tool.uv]\npackage = false\n").then == []
    (tmp_path / "src").mkdir()
    assert plan(pyproject=PYPROJECT).then == ["./"]


def test_what_only_its_build_can_say_is_asked_of_the_build(plan):
    found = plan("fast", pyproject=POETRY + BUILD)
    assert (found.then, found.steps()) == (["./[fast]"], [["--requirement=.release/project.txt"]])
    dynamic = '[project]\nname = "chat"\ndynamic = ["version", "dependencies"]\n'
    found = plan(pyproject=dynamic + BUILD)
    assert (found.steps(), found.versioned) == ([["--requirement=.release/project.txt"]], True)


@pytest.mark.parametrize("beside", ["", "[tool.black]\n", BUILD])
def test_a_setup_py_is_asked_for_what_it_needs(tmp_path, beside):
    """As before pyproject.toml: its modules would be missed, and the command that it brings."""
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup(install_requires=['redis'])\n")
    if beside:
        (tmp_path / "pyproject.toml").write_text(beside)
    assert project.find(str(tmp_path)) == "setup.py"
    found = project.plan(str(tmp_path), "setup.py", ["fast"], False)
    assert (found.first, found.then, found.complete, found.versioned) == (None, ["./[fast]"], False, True)
    (tmp_path / "setup.py").write_text("print('make the tables')\n")
    assert project.find(str(tmp_path)) == ("pyproject.toml" if beside else "")


@pytest.mark.parametrize("text", [PYPROJECT, POETRY])
def test_a_setup_py_beside_a_project_of_today_is_left_alone(tmp_path, text):
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (tmp_path / "pyproject.toml").write_text(text)
    assert project.find(str(tmp_path)) == "pyproject.toml"


@pytest.mark.parametrize(
    "text", ["[tool.ruff]\nline-length = 99\n", '[project]\nname = "chat"\nversion = "1"\n' + BUILD]
)
def test_a_project_without_needs_leaves_tornado_to_the_role(plan, tmp_path, text):
    assert plan(pyproject=text) is None
    if BUILD in text:
        (tmp_path / "src").mkdir()
        assert (plan(pyproject=text).first, plan(pyproject=text).then) == (None, ["./"])


def test_uv_lock_is_held_to_with_its_digests(plan):
    found = plan(pyproject=PYPROJECT + BUILD, uv=UV)
    assert found.first == [
        "tornado==6.6.1 --hash=sha256:00 --hash=sha256:01",
        "requests==2.32 ; (sys_platform == 'linux') --hash=sha256:02",
        "pysocks==1.7 ; (python_version < '4') and (sys_platform == 'linux') --hash=sha256:04",
        "idna==3 ; (sys_platform == 'linux') --hash=sha256:05",
    ]
    assert found.then == ["./"]
    assert found.steps() == [
        ["--no-deps", "--requirement=.release/requirements.txt"],
        ["--no-deps", "--requirement=.release/project.txt"],
    ]
    assert plan(pyproject=PYPROJECT, uv=UV, offline=True).first[0] == "tornado==6.6.1"


@pytest.mark.parametrize(("extras", "version"), [([], "3"), (["new"], "3"), (["old"], "2")])
def test_extras_that_exclude_each_other_have_a_version_each(plan, extras, version):
    pyproject = """
        [project]
        name = "Chat"
        version = "1"
        dependencies = ["jinja2"]
        [project.optional-dependencies]
        old = ["markupsafe==2"]
        new = ["markupsafe==3"]
    """
    # As uv writes them: which extra of which package, with the length of its name.
    uv = """
        [[package]]
        name = "chat"
        source = { virtual = "." }
        dependencies = [{ name = "jinja2" }]
        [package.optional-dependencies]
        old = [{ name = "markupsafe", version = "2" }]
        new = [{ name = "markupsafe", version = "3" }]
        [[package]]
        name = "jinja2"
        version = "3"
        source = { registry = "https://index.example.org/simple" }
        wheels = [{ hash = "sha256:00" }]
        dependencies = [
            { name = "markupsafe", version = "2", marker = "extra == 'extra-4-chat-old'" },
            { name = "markupsafe", version = "3", marker = "extra != 'extra-4-chat-old'" },
        ]
        [[package]]
        name = "markupsafe"
        version = "2"
        source = { registry = "https://index.example.org/simple" }
        wheels = [{ hash = "sha256:02" }]
        [[package]]
        name = "markupsafe"
        version = "3"
        source = { registry = "https://index.example.org/simple" }
        wheels = [{ hash = "sha256:03" }]
    """
    needs = [line.partition(" --hash=")[0] for line in plan(*extras, pyproject=pyproject, uv=uv).first]
    markers = {str(need): not need.marker or need.marker.evaluate() for need in map(Requirement, needs)}
    there = {text.partition(";")[0].strip() for text, needed in markers.items() if needed}
    assert there == {"jinja2==3", f"markupsafe=={version}"}


def test_what_uv_lock_has_from_elsewhere_comes_with_the_project(plan):
    found = plan("redis", "dev", pyproject=PYPROJECT, uv=UV)
    assert found.first[-1] == "redis @ https://index.example.org/redis.whl --hash=sha256:06"
    assert found.then == ["./libs/ours", "theirs @ git+https://git.example.org/theirs@0123abc"]


@pytest.mark.parametrize("groups", [True, False])
def test_poetry_lock_is_held_to_old_or_new(plan, groups):
    lock = poetry_lock(groups=groups)
    names = lambda found: {line.split("==")[0] for line in found.first if "python_version < '0'" not in line}  # noqa: E731
    assert names(plan(pyproject=POETRY + BUILD, poetry=lock)) == {"tornado"}
    found = plan("fast", "web", pyproject=POETRY + BUILD, poetry=lock)
    assert names(found) >= {"tornado", "redis", "bleach"}
    assert "tornado==1 --hash=sha256:tornado" in found.first
    assert found.then == ["./"]


def test_pylock_needs_no_project(plan):
    lock = """
lock-version = "1.0"
[[packages]]
name = "tornado"
version = "6.6.1"
wheels = [{ name = "t.whl", hashes = { sha256 = "01" } }]
[[packages]]
name = "pytest"
version = "8"
marker = "'dev' in dependency_groups and os_name == 'posix'"
sdist = { name = "p.tar.gz", hashes = { sha256 = "02" } }
"""
    found = plan(name="pylock.toml", pylock=lock)
    assert found.first == [
        "tornado==6.6.1 --hash=sha256:01",
        "pytest==8 ; (python_version < '0' and os_name == 'posix') --hash=sha256:02",
    ]
    assert (
        "python_version >= '0'"
        in plan(
            "dev",
            pyproject=PYPROJECT,
            pylock=lock.replace('"tornado"', '"Tornado"') + lock.replace("tornado", "requests"),
        ).first[1]
    )


@pytest.mark.parametrize(
    ("extras", "files", "words"),
    [
        ([], {"pyproject": "[project"}, "pyproject.toml can't be read"),
        ([], {"pyproject": "project = 1"}, "pyproject.toml is no project that pip could install"),
        ([], {"pyproject": "[project]\nname='x'\ndependencies = [1]"}, "pyproject.toml is no project"),
        ([], {"pyproject": "[project]\nname='x'\ndependencies = ['a b']"}, "pyproject.toml is no project"),
        ([], {"pyproject": "[project]\nname='x'\ndynamic = ['dependencies']"}, "is not said in [project]"),
        ([], {"pyproject": PYPROJECT, "uv": "version"}, "uv.lock can't be read"),
        ([], {"pyproject": PYPROJECT, "uv": UV.replace("tornado", "cyclone")}, "uv.lock has no 'tornado'"),
        (
            [],
            {"pyproject": PYPROJECT, "uv": UV.replace(', hash = "sha256:02"', "")},
            "has no digest of requests",
        ),
        (
            ["web2"],
            {"pyproject": PYPROJECT},
            "'web2' is neither an extra nor a group of pyproject.toml. Give some of: dev, fast, redis, web.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_not_be_installed_is_refused(plan, extras, files, words):
    with pytest.raises(Refusal) as caught:
        plan(*extras, **files)
    assert words in str(caught.value)
    assert str(caught.value).startswith(("tornado_app_requirements: ", "tornado_app_extras: "))


def test_ways_without_number_through_a_lock_are_refused(plan):
    text = UV
    for level in range(40):
        edges = ", ".join(
            f'{{ name = "p{level + 1}", marker = "os_name == \'{level}{way}\'" }}' for way in "ab"
        )
        text += f'[[package]]\nname = "p{level}"\nversion = "1"\nsource = {{ registry = "x" }}\n'
        text += f"dependencies = [{edges}]\n"
    with pytest.raises(Refusal, match="more ways from one package to another"):
        plan(
            pyproject=PYPROJECT,
            uv=text.replace('{ name = "tornado" }', '{ name = "tornado" }, { name = "p0" }'),
        )


def test_a_build_is_told_the_version_that_git_knows(tmp_path):
    def run(*words):
        own = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", tmp_path, *own, *words], check=True, capture_output=True)

    assert project.version(str(tmp_path), "v1.2") == "1.2"
    assert project.version(str(tmp_path), "main") == "0"
    run("init")
    run("commit", "--allow-empty", "-m", "one")
    assert project.version(str(tmp_path), "").startswith("0+g")
    run("tag", "release-1.4rc1")
    assert project.version(str(tmp_path), "") == "1.4rc1"
    run("commit", "--allow-empty", "-m", "two")
    assert project.version(str(tmp_path), "main").startswith("1.4.post1+g")
