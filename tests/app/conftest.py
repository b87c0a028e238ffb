"""The reference app as a process, on the Tornados that are asked for.

TORNADOES_APP_PYTHONS: names and interpreters, as "3.1.1=/path/python 6.6.1=/path/python".
Without it: the Tornado of this environment, and the oldest one.
"""

import contextlib
import os
import sys

import pytest
from visitor import ROOT, Program

PYTHONS = dict(one.split("=") for one in os.environ.get("TORNADOES_APP_PYTHONS", "").split())


@pytest.fixture(scope="session", params=list(PYTHONS) or ["current", "3.1.1"])
def tornado(request):
    """How to start a program on that Tornado: the interpreter, and what it needs in its environment."""
    if PYTHONS:
        return PYTHONS[request.param], {}
    if request.param == "current":
        return sys.executable, {}
    return sys.executable, {"PYTHONPATH": str(request.getfixturevalue("old_tornado"))}


@pytest.fixture(scope="session")
def begin(tornado):
    """How to make a Program of the app: begin(ARGUMENT, ...)."""
    python, more = tornado
    command = [python, str(ROOT / "app/hello.py"), "--port={port}"]
    return lambda *words: Program([*command, *words], {**os.environ, **more})


@pytest.fixture
def start(begin):
    """Start an app of one's own, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *words: stack.enter_context(begin(*words))


@pytest.fixture(scope="session")
def app(begin):
    """The app as it comes, one for all tests that can share it."""
    with begin() as running:
        yield running
