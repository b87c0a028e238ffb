"""Why a task could not become root on a host, and what helps: Ansible names its module, or its words alone."""

import re

PASSWORD = "Give it with --ask-become-pass (-K)"
# What is said, by Ansible or on the host, and the end of a sentence. {how} is sudo, as a rule.
SAYINGS = {
    r"Missing \S+ password|a password is required": (
        f"{{user}} needs a password for {{how}} there. {PASSWORD}, or log in by -u NAME as root, or as a user who "
        "needs none."
    ),
    r"Incorrect \S+ password|incorrect password attempt": (
        f"{{how}} takes another password of {{user}} there. {PASSWORD}: it is {{user}}'s own."
    ),
    r"not in the sudoers file|may not run sudo|is not allowed to (?:run sudo|execute)": (
        "{user} has no right to use {how} there. Give {user} that right, or log in by -u NAME as root, or as a user "
        "who has it."
    ),
    r"(?:sudo|doas|su): (?:command )?not found": (
        "there is no {how}. Install it as root, or log in as root (-u root)."
    ),
    "must have a tty": "{how} wants a terminal there, which a run has not. Take requiretty out of its sudoers.",
    r"module interpreter '(?!/usr/bin/python3')\S+' was not found": (
        "the Python that ansible_python_interpreter names is not there. Leave the variable out, or name one that is."
    ),
    r"python3?: (?:command )?not found": "there is no Python. Run apt-get install python3 there.",
}


def sentence(text, host, user, how="sudo"):
    """What is wrong, by what was said; "" where it is something else. user: who has logged in, "" if not known."""
    for saying, end in SAYINGS.items():
        if re.search(saying, text):
            return f"{host}: " + end.format(user=user or "the user", how=how)
    return ""
