"""Why something is not done. Standard library only."""

import os
import traceback

from .text import printable, without_passwords


class Refusal(Exception):
    """What can't or must not be done; the text says why, in a sentence or in half of one.

    log: the last lines of the program at fault. pid: its process, or 0. bad: whether a release is to blame.
    """

    def __init__(self, text, log=(), pid=0, bad=False):
        super().__init__(text)
        self.log, self.pid, self.bad = list(log), pid, bad

    def __str__(self):
        """As a terminal may show it: names in a source are anybody's."""
        return printable(without_passwords(super().__str__()))


def unforeseen(problem):
    """Half a sentence for an exception that nobody has thought of: where it was, without its text.

    Where Ansible hides what a task says, it would be hidden as well; and its text may hold a secret.
    """
    last = traceback.extract_tb(problem.__traceback__)[-1]
    what = [type(problem).__name__, *filter(None, [getattr(problem, "strerror", "")])]
    return (
        f"by a fault of Tornadoes or of its machine ({': '.join(what)}, in {os.path.basename(last.filename)},"
        f" line {last.lineno}). Please report this, if the machine has room and its files can be read."
    )
