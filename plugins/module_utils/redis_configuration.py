"""The text of Redis's configuration, and what Redis says about it. Standard library only."""

import re

MARK = "  #= "  # at the end of a line, before the variable that it is made of


def separated(text):
    """The text without the variables at its lines' ends, and those by the rest of their lines."""
    lines = [line.partition(MARK) for line in text.split("\n")]
    return "\n".join(line for line, _mark, _variable in lines), {
        line: variable for line, mark, variable in lines if mark
    }


def directives(text):
    """Name to value of what a configuration says, as CONFIG GET gives it."""
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: "" if value == '""' else value for name, value in lines}


def megabytes(amount):
    """Bytes, for people."""
    return f"{amount / 2**20:.1f} MB"


def complaint(output, variables):
    """What Redis complains of, as a part of a sentence, with the variable behind it.

    variables: by line of the configuration.
    """
    found = re.search(r"at line \d+\n>>> '(.*)'\n(.*)", output)
    if found:
        return f"{found[2]} ({found[1]})" + behind(variables.get(found[1]))
    found = re.search(r"ACL errors: \S+?:\d+: (.*?)(?:\.? WARNING.*)?$", output, re.MULTILINE)
    if found:
        return found[1] + behind("redis_server_users")
    warnings = re.findall(r" # .*?(Could not create.*)", output) or re.findall(r" # (?!WARNING)(.*)", output)
    return warnings[-1] if warnings else " ".join(output.split())[-300:] or "it says nothing"


def behind(variable):
    """The end of a sentence that names the variable, if there is one."""
    return f", from {variable}" if variable else ""
