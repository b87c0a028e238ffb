"""How the actions of this collection do their work on a host."""

from ansible.errors import AnsibleError

from .command_line import COLLECTION


def call(action, module, words, task_vars):
    """What a module of this collection returns. One that has crashed says why in C(msg), as one that fails does."""
    done = action._execute_module(
        module_name=f"{COLLECTION}.{module}", module_args=words, task_vars=task_vars
    )
    if done.get("failed") and not done.get("msg"):
        crash = done.get("exception")
        done["msg"] = getattr(getattr(crash, "event", None), "msg", "") or str(crash or "no reason given")
    return done


def apply(action, work, words, task_vars):
    """What a module of this collection returns. One that apply.py has is part of what a run packs once."""
    return call(action, "apply", {"work": work, **words}, task_vars)


def look(action, questions, task_vars):
    """What the module C(look) answers. AnsibleError: the host can't be looked at, and why."""
    done = apply(action, "look", {"questions": questions}, task_vars)
    if done.get("failed"):
        raise AnsibleError(f"{task_vars['inventory_hostname']} can't be looked at: {done['msg']}")
    return done["answers"]
