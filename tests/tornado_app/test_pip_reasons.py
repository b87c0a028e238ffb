"""What a user is told whose requirements can't be installed: the reason, and the missing package."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.pip_reasons import remedy, why

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
UNKNOWN = """
ERROR: Could not find a version that satisfies the requirement tornadoo (from versions: none)
ERROR: No matching distribution found for tornadoo
"""


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
        (PSYCOPG2, ": pg_config executable not found.", " List libpq-dev in tornado_app_packages."),
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
        ("Killed", ".", ""),
    ],
)
def test_the_first_error_is_the_reason_and_a_missing_package_is_named(text, reason, what):
    lines = text.strip().splitlines()
    assert why(lines) == reason
    assert remedy(lines) == what
