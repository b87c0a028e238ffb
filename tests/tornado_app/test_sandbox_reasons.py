"""What a user is told whose program could not do something in its sandbox: the variable that lets it."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.sandbox_reasons import (
    OVERLAP,
    STAY,
    TELL,
    UNKNOWN,
    remedy,
)


@pytest.mark.parametrize(
    ("line", "variable"),
    [
        (
            "OSError: [Errno 30] Read-only file system: 'uploads'",
            "uploads beside the code, list it in tornado_app_shared",
        ),
        (
            "OSError: [Errno 30] Read-only file system: '/srv/chat/releases/0123456789ab/data/app.log'",
            "To write data/app.log beside the code, list it in tornado_app_shared",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/srv/chat/current/app.db'",
            "write app.db beside the code",
        ),
        ("sqlite3.OperationalError: unable to open database file", "list its file in tornado_app_shared"),
        (
            "peewee.OperationalError: attempt to write a readonly database",
            "list its file in tornado_app_shared",
        ),
        (
            "OSError: [Errno 30] Read-only file system: '/data/x'",
            "/data/x, list its folder in tornado_app_sandbox.writable",
        ),
        ("serial: [Errno 13] Permission denied: '/dev/ttyUSB0'", "list it in tornado_app_sandbox.devices"),
        ("OSError: /x.so: failed to map segment from shared object", "executable_memory lets it compile"),
        ("LLVM ERROR: Unable to allocate section memory!", "executable_memory lets it compile"),
        (
            "ImportError: x.so: cannot enable executable stack as shared object requires",
            "executable_memory lets",
        ),
        ("mmap: cannot change protection with mprotect", "executable_memory lets"),
        ("mmap with PROT_EXEC failed", "executable_memory lets"),
        ("MemoryError: Cannot allocate write+execute memory for ffi.callback()", "executable_memory lets"),
        ("out of executable memory", "executable_memory lets"),
        ("RuntimeError: couldn't allocate the JIT's stack", "executable_memory lets"),
        ("error while attempting to bind on address ('0.0.0.0', 8080): [errno 98]", OVERLAP),
        ("server.py: error: unrecognized arguments: --port=8000", TELL),
        ("tornado.options.Error: Unrecognized command line option: 'port'", TELL),
        ("Error: No such option: --port", TELL),
        ("ValueError: invalid literal for int() with base 10: '--port=8000'", TELL),
        ("port 8000 exited with status 0 before it answered", STAY),
        ("OSError: [Errno 98] Address already in use", OVERLAP),
        ("zmq.error.ZMQError: Address already in use (addr='tcp://127.0.0.1:5555')", OVERLAP),
        ("io_uring_setup: Operation not permitted", UNKNOWN),
        ("PermissionError: [Errno 1] Vorgang nicht zulässig", UNKNOWN),
        ("socket: Address family not supported by protocol", UNKNOWN),
        ("OSError: [Errno 97] Adressfamilie", UNKNOWN),
        ("PermissionError: [Errno 13] Permission denied: '/sys/class/gpio/export'", UNKNOWN),
        ("OSError: [Errno 30] Read-only file system: '/proc/sys/vm/swappiness'", UNKNOWN),
        ("port 8000 was ended by SIGSYS before it answered", UNKNOWN),
    ],
)
def test_the_variable_that_lets_a_program_do_it_is_named(line, variable):
    assert variable in remedy("chat", ["Traceback (most recent call last):", line])


@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'chat'",
        # Its own folder: whatever is wrong there, no variable opens it.
        "PermissionError: [Errno 13] Permission denied: '/var/lib/tornado-chat/x'",
        "PermissionError: [Errno 13] Permission denied: '/var/log/tornado-chat/x'",
        "PermissionError: [Errno 13] Permission denied: '/tmp/x'",
        "PermissionError: [Errno 13] Permission denied: '/var/tmp/x'",
    ],
)
def test_nothing_is_said_of_what_is_not_the_sandboxs(line):
    assert remedy("chat", [line]) == ""


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ModuleNotFoundError: No module named 'config'", "config.py"),
        ("ModuleNotFoundError: No module named 'chat._version'", "src/chat/_version.py"),
        ("ModuleNotFoundError: No module named 'made.by.build'", "made"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'locale/de.mo'", "locale/de.mo"),
        ("FileNotFoundError: No such file or directory: '/srv/chat/releases/0123456789ab/./.env'", ".env"),
        (
            "FileNotFoundError: No such file or directory: '/srv/chat/current/node_modules/y.js'",
            "node_modules",
        ),
    ],
)
def test_what_was_left_out_of_the_release_is_named_where_it_is_missing(line, name):
    others = ["notes.txt", "fig.py", "e"]
    said = f" {name} was left out of the release, list it in tornado_app_include."
    assert remedy("chat", ["Traceback", line], [*others, name]) == said
    assert "left out" not in remedy("chat", ["Traceback", line], ["notes.txt", "fig.py", "e"])


@pytest.mark.parametrize(
    "line",
    [
        "KeyError: 'COOKIE_SECRET'",
        "RuntimeError: COOKIE_SECRET is not set",
        "decouple.UndefinedValueError: COOKIE_SECRET not found. Declare it as envvar.",
        'environs.exceptions.EnvError: Environment variable "COOKIE_SECRET" not set',
        "cookie_secret",  # pydantic: a line of its own, and "Field required" below it
    ],
)
def test_a_setting_of_a_file_that_was_left_out_is_named_where_it_is_missing(line):
    """load_dotenv says nothing of a .env that is not there: the program misses what it says."""
    settings = {"local.ini": ["debug"], ".env": ["DEBUG", "COOKIE_SECRET"]}
    lines = ["Traceback (most recent call last):", line, "  Field required [type=missing]"]
    said = remedy("chat", lines, settings, settings)
    assert said.startswith(
        " COOKIE_SECRET is set in .env, which was left out of the release: give it in tornado_app_"
    )
    assert remedy("chat", lines) == ""
    assert remedy("chat", ["DEBUG:root:begins", "ValueError: 7"], settings, settings) == ""


def test_a_section_that_was_left_out_is_named_where_it_is_missing():
    lines = ["configparser.NoSectionError: No section: 'database'"]
    assert " database is set in chat.ini, which" in remedy(
        "chat", lines, (), {"chat.ini": ["database", "host"]}
    )


def test_a_env_that_no_source_has_is_said_to_be_variables():
    line = "FileNotFoundError: [Errno 2] No such file or directory: '%s'"
    assert remedy("chat", [line % ".env"]).startswith(
        " The source has no .env: give what it says in tornado_app_environment"
    )
    assert remedy("chat", [line % "/srv/chat/current/.env"]).startswith(" The source has no .env: ")
    assert remedy("chat", [line % "rooms.txt"]) == remedy("chat", [line % "/opt/.env"]) == ""


def test_the_last_words_count():
    lines = ["Read-only file system: 'a'", "Read-only file system: 'b'", "exiting"]
    assert "To write b beside" in remedy("chat", lines)
    assert remedy("chat", []) == ""
