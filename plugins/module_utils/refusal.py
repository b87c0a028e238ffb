"""Why something is not done. Standard library only."""

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
