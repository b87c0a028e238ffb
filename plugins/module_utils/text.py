"""What others wrote (programs, sources, addresses), fit to be shown. Standard library only."""

import re

ADDRESS = re.compile(r"(?i)\b((?:https?|ftps?)://)[^/\s'\"]*@")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PASSWORD = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s'\":@]*):[^/\s'\"]*@")


def printable(text):
    """One line without anything that a terminal obeys: escapes, control and direction characters.

    They are written as Python writes them, so that nothing is hidden.
    """
    text = text.expandtabs()
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def logged(line):
    """One line of a program's log as it is shown: many write theirs in colours, terminal or not."""
    return printable(COLOUR.sub("", line))


def without_passwords(text):
    """Text without the names and passwords of web addresses, and the passwords of others."""
    return PASSWORD.sub(r"\1@", ADDRESS.sub(r"\1", text))
