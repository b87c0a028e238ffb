"""What tornado_app_main, a worker or a timer starts, as words of a command line. Standard library only."""

import os
import re
import shlex

from ..module_utils.refusal import Refusal

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
PROGRAM = re.compile(r"(?!(?:.*/)?\.\.?(?:/|\Z))[A-Za-z0-9_.][A-Za-z0-9_.+/-]*")
SHELL = {"&&", "||", "|", ";", "&", "<", ">", ">>", "2>&1"}  # that no shell reads here
PYTHON = ("python", "python3")  # which it starts anyway: people type it all the same


def split(command):
    """The words of a command; none where its quotes don't close."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def for_a_shell(command):
    """Whether a command was written for a shell: it has what only that would understand."""
    words = split(command)
    return words[:1] == ["cd"] or "=" in "".join(words[:1]) or bool(SHELL & set(words[1:]))


def command(main):
    """The words that start a release: a program or -m and a module, and its arguments. None that can't be meant."""
    words = [] if for_a_shell(main) else split(main)
    if words[:1] and words[0] in PYTHON:
        words = words[2:] if words[1:2] == ["-u"] else words[1:]  # its output is unbuffered anyway
    if words[:1] == ["-m"]:
        return words if words[1:] and MODULE.fullmatch(words[1]) else []
    words[:1] = [one.removeprefix("./") for one in words[:1]]
    return words if words and PROGRAM.fullmatch(words[0]) else []


def check(folder, label, given):
    """Refuse a script that is not in the source. What else it may be is seen where its environment is.

    label: what stands before the command in a sentence.
    """
    first = command(given)[0]
    if ("/" in first or first.endswith(".py")) and not os.path.isfile(os.path.join(folder, first)):
        raise Refusal(
            f"{label}: '{given}' is not in the source (no {first}). Give a script of it,"
            " -m and a module, or a command that the requirements install."
        )
