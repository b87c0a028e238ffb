"""How the actions of this collection do their work on a host."""

from .command_line import COLLECTION


def apply(action, work, words, task_vars):
    """What a module of this collection returns. One that apply.py has is part of what a run packs once."""
    words = {"work": work, **words}
    return action._execute_module(f"{COLLECTION}.apply", module_args=words, task_vars=task_vars)
