"""What a user is told whose requirements can't be installed: the reason, and the missing package."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import pip_reasons
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.pip_reasons import no_tornado, remedy, why

PSYCOPG2 = """
Collecting psycopg2 (from -r requirements.txt (line 2))
  Preparing metadata (setup.py): started
  Preparing metadata (setup.py): finished with status 'error'
  error: subprocess-exited-with-error
  x python setup.py egg_info did not run successfully.
  │ exit code: 1
  ╰─> [23 lines of output]
      running egg_info
      Error: pg_config executable not found.
      pg_config is required to build psycopg2 from source.
  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed
"""
UVLOOP = """
      building 'uvloop.loop' extension
      error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory
  ERROR: Failed building wheel for uvloop
ERROR: Failed to build installable wheels for some pyproject.toml based projects (uvloop)
"""
HEADERS = """
      src/one.c:5:10: fatal error: Python.h: No such file or directory
      compilation terminated.
      error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1
"""
TORNADO = """
Collecting certifi==2024.8.30 (from -r requirements.txt (line 1))
  Downloading certifi-2024.8.30-py3-none-any.whl (167 kB)
Collecting tornado==5.1.1 (from -r requirements.txt (line 2))
  Downloading tornado-5.1.1.tar.gz (516 kB)
  Getting requirements to build wheel: started
  Getting requirements to build wheel: finished with status 'error'
  error: subprocess-exited-with-error
  x Getting requirements to build wheel did not run successfully.
  │ exit code: 1
  ╰─> [4 lines of output]
      Traceback (most recent call last):
        File "<string>", line 146, in <module>
      ImportError: Tornado requires an up-to-date SSL module.
      [end of output]
error: subprocess-exited-with-error
"""
VISDOM = """
Collecting tornado==6.6.1
Building wheel for visdom (pyproject.toml): started
  Building wheel for visdom (pyproject.toml): finished with status 'error'
  error: subprocess-exited-with-error
      ModuleNotFoundError: No module named 'pkg_resources'
ERROR: Failed building wheel for visdom
"""
SETUP = """
Processing /srv/chat/venvs/0123456789ab/source (from -r .release/project.txt (line 1))
  Getting requirements to build wheel: finished with status 'error'
  error: subprocess-exited-with-error
      ModuleNotFoundError: No module named 'pkg_resources'
"""
GIT = """
Collecting lib (from -r requirements.txt (line 2))
  Running command git clone --filter=blob:none --quiet 'ssh://****@git.example.org/team/lib.git' /srv/chat
  fatal: Could not read from remote repository.
  error: subprocess-exited-with-error
  x git clone --filter=blob:none --quiet did not run successfully.
"""
UNKNOWN = """
ERROR: Could not find a version that satisfies the requirement tornadoo (from versions: none)
ERROR: No matching distribution found for tornadoo
"""


@pytest.fixture(autouse=True)
def compiler(monkeypatch):
    """A host that compiles."""
    monkeypatch.setattr(pip_reasons, "COMPILING", {"build-essential": "/", "python3-dev": "/"})


def test_what_a_first_package_is_no_use_without_is_named_with_it(monkeypatch):
    """Otherwise one would hear of the compiler a deploy later, and of the headers after another one."""
    monkeypatch.setattr(pip_reasons, "COMPILING", {"build-essential": "/no/cc", "python3-dev": "/no/*.h"})
    found = remedy(PSYCOPG2.splitlines())
    assert found == " List libpq-dev, build-essential, python3-dev in tornado_app_packages."
    assert remedy(["find command 'git'"]) == " List git in tornado_app_packages."


BROKEN = """
WARNING: Retrying (Retry(total=0)) after connection broken by '%s': /simple/tornado/
ERROR: Could not find a version that satisfies the requirement tornado==6.6.1 (from versions: none)
ERROR: No matching distribution found for tornado==6.6.1
"""


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("[Errno -3] Temporary failure in name resolution", "can't resolve the name of its index."),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid",
            "has a date at which its index's certificate is invalid.",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer",
            "does not know who has signed its index's certificate.",
        ),
        ("[Errno 111] Connection refused", "can't reach its index."),
        ("Connection to pypi.org timed out. (connect timeout=15)", "can't reach its index."),
    ],
)
def test_an_index_that_has_not_answered_is_told_from_a_version_that_there_is_not(broken, what):
    lines = (BROKEN % broken).strip().splitlines()
    assert remedy(lines).startswith(f" The host {what} Mend that, or give tornado_app_index another one")
    # One that has answered at last.
    assert remedy(lines[:1]) == remedy(lines[1:]) == ""


@pytest.mark.parametrize(
    ("text", "reason", "what"),
    [
        (
            PSYCOPG2,
            ": psycopg2 can't be built: pg_config executable not found.",
            " List libpq-dev in tornado_app_packages.",
        ),
        (
            TORNADO,
            ": tornado==5.1.1 can't be built: ImportError: Tornado requires an up-to-date SSL module.",
            " It may be too old for this Python: take a newer one, or see tornado_app_python.",
        ),
        (
            VISDOM,
            ": visdom can't be built: ModuleNotFoundError: No module named 'pkg_resources'.",
            "",
        ),
        (
            SETUP,
            ": the source can't be built: ModuleNotFoundError: No module named 'pkg_resources'.",
            " List in a requirements.txt what it needs, if it can do without its build: that goes before.",
        ),
        (
            TORNADO.replace("tornado==5.1.1", "enum34==1.1.10"),
            ": enum34==1.1.10 can't be built: ImportError: Tornado requires an up-to-date SSL module.",
            " Take it out of the requirements: Python has that itself.",
        ),
        (
            VISDOM.replace("for visdom (", "for enum ("),
            ": enum can't be built: ModuleNotFoundError: No module named 'pkg_resources'.",
            " Take it out of the requirements: Python has that itself.",
        ),
        (
            TORNADO.replace("Tornado requires an up-to-date SSL module.", "No working compiler found"),
            ": tornado==5.1.1 can't be built: ImportError: No working compiler found.",
            " List build-essential in tornado_app_packages.",
        ),
        (
            TORNADO.replace("==5.1.1", "<6"),
            ": tornado<6 can't be built: ImportError: Tornado requires an up-to-date SSL module.",
            " It may be too old for this Python: take a newer one, or see tornado_app_python.",
        ),
        (
            GIT,
            ": Could not read from remote repository.",
            " A build has no ssh keys: give that package in tornado_app_wheels or tornado_app_index, or as a"
            " folder of the source.",
        ),
        (
            UVLOOP,
            ": command 'x86_64-linux-gnu-gcc' failed: No such file or directory.",
            " List build-essential in tornado_app_packages.",
        ),
        (HEADERS, ": Python.h: No such file or directory.", " List python3-dev in tornado_app_packages."),
        (
            UNKNOWN,
            ": Could not find a version that satisfies the requirement tornadoo (from versions: none).",
            "",
        ),
        (
            UNKNOWN.replace("tornadoo", "pywin32==306"),
            ": Could not find a version that satisfies the requirement pywin32==306 (from versions: none).",
            " That is for Windows or macOS alone: take it out, or write ; sys_platform == 'win32' (or"
            " 'darwin') behind it.",
        ),
        ("Killed", ".", ""),
    ],
)
def test_the_first_error_is_the_reason_and_a_missing_package_is_named(text, reason, what):
    lines = text.strip().splitlines()
    assert why(lines) == reason
    assert remedy(lines) == what


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "ERROR: No matching distribution found for pkg-resources==0.0.0",
            " Take that line out: some pip freeze writes it,",
        ),
        ("ERROR: No matching distribution found for pkg_resources==0.0.0", " Take that line out: "),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 2] No such file or directory:"
            " '/home/conda/feedstock_root/build_artifacts/tornado_1/work'",
            " That line is conda's own: write such lists with pip list --format=freeze.",
        ),
        ("ERROR: ... no such path: '/croot/tornado_1690848263220/work'", " That line is conda's own: "),
        ("ERROR: Invalid requirement: 'tornado=6.4=py311h1_0': Expected end", " That line is conda's own: "),
        ("ERROR: Invalid requirement: '_libgcc_mutex=0.1=main': Expected", " That line is conda's own: "),
        # pip itself says what is wrong with this one.
        ("ERROR: Invalid requirement: 'tornado = 6.5': Expected end or semicolon", ""),
    ],
)
def test_a_line_that_another_tool_has_written_is_told_from_a_slip(line, words):
    found = remedy(["Collecting pip", line])
    assert (found.startswith(words), bool(found)) == (True, bool(words))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("AttributeError: module 'collections' has no attribute 'MutableMapping'", " List one that it can, "),
        ("ModuleNotFoundError: No module named 'tornado'", " List it, "),
        ("ModuleNotFoundError: No module named 'backports'", " List one that it can, "),
    ],
)
def test_who_lists_a_tornado_too_old_for_the_host_is_told_which_to_take(line, words):
    said = no_tornado("requirements.txt", "/usr/bin/python3", ["Successfully installed", line])
    assert f"can import ({line}).{words}as tornado>=6.4: docs/tornado.md says which runs" in said
