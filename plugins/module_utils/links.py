"""Where a link leads, without following it anywhere else. Standard library only."""

import os

HOPS = 40  # links on the way to one thing, as many as the kernel allows


class Astray(ValueError):
    """A link that leads nowhere good; the text says where."""


def resolve(root, path):
    """Where a path below a folder leads: a path below the same folder, none of it a link.

    Astray: it leaves the folder, or goes in a circle. What does not exist is taken as it is
    named, so whoever uses the answer still has to look.
    """
    ahead, behind, hops = path.split("/")[::-1], [], 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not behind:
                raise Astray("out of")
            behind.pop()
        elif part not in ("", "."):
            try:
                target = os.readlink(os.path.join(root, *behind, part))
            except OSError:  # no link, or not there
                behind.append(part)
                continue
            hops += 1
            if target.startswith("/"):
                raise Astray("out of")
            if hops > HOPS:
                raise Astray("in a circle in")
            ahead += target.split("/")[::-1]
    return "/".join(behind)
