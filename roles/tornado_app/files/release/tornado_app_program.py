"""Be the program: a script, a module or a command of the environment, within this process."""

from __future__ import annotations

import os
import runpy
import sys
from types import TracebackType
from typing import Any, Optional

COMMANDS = os.path.dirname(sys.executable)  # where the environment's are
# Whose lines lie between the interpreter and the program.
BETWEEN = ("tornado_app_runner.py", "tornado_app_program.py", "<frozen runpy>", "runpy.py")


def run(words: list[str]) -> None:
    """Do what a shell would that has the environment's programs in its PATH, within this process."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    script = os.path.abspath(words[0])
    if not os.path.isfile(script):
        script = os.path.join(COMMANDS, words[0])
        words = [script, *words[1:]]
    sys.argv = words
    sys.path[0] = os.path.dirname(script)
    with open(script, "rb") as file:
        # This file's own "from __future__" is not the program's.
        code = compile(file.read(), script, "exec", dont_inherit=True)
    # In the real __main__, so that what the program pickles can be found again.
    module = sys.modules["__main__"]
    module.__dict__.clear()
    module.__dict__.update(__name__="__main__", __file__=script, __builtins__=__builtins__)
    # As of any script; multiprocessing asks for the spec.
    module.__dict__.update(__spec__=None, __package__=None, __doc__=None, __cached__=None)
    exec(code, module.__dict__)


def stay(real: Any) -> Any:
    """In place of os.execv or os.execve: a command of the environment goes on in this process.

    As ``jupyter server`` becomes jupyter-server. Another process would not have the runner.
    """
    process = os.getpid()

    def become(path: Any, words: Any, *environment: Any) -> None:
        path = os.fsdecode(path)
        # What the program has forked becomes what it will.
        if os.getpid() != process or os.path.dirname(path) != COMMANDS or not is_python(path):
            real(path, words, *environment)
        for one in environment:
            os.environ.clear()
            os.environ.update(one)
        run([path, *words[1:]])
        sys.exit(0)

    return become


def is_python(path: str) -> bool:
    """Whether a command is a script for Python."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!" and b"python" in file.read(512)
    except OSError:
        return False


def own_lines(kind: type[BaseException], problem: BaseException, trace: Optional[TracebackType]) -> None:
    """A traceback that begins where the program does, as if Python alone had started it."""
    while trace and os.path.basename(trace.tb_frame.f_code.co_filename) in BETWEEN:
        trace = trace.tb_next
    sys.__excepthook__(kind, problem.with_traceback(trace), trace)


def install() -> None:
    """Put our functions where the interpreter's own stood."""
    os.execv, os.execve = stay(os.execv), stay(os.execve)
    sys.excepthook = own_lines
