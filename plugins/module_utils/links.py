"""Where a link leads, without following it anywhere else. Standard library only."""

import os

from .refusal import Refusal

HOPS = 40  # links on the way to one thing, as many as the kernel allows


def resolve(root, path):
    """Where a path below a folder leads: a path below the same folder, none of it a link.

    Refusal: it leaves the folder, or goes in a circle. What does not exist is taken as it is
    named, so the caller still has to check.
    """
    ahead, behind, hops = path.split("/")[::-1], [], 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not behind:
                raise Refusal("out of")
            behind.pop()
        elif part not in ("", "."):
            try:
                target = os.readlink(os.path.join(root, *behind, part))
            except OSError:  # no link, or not there
                behind.append(part)
                continue
            hops += 1
            if target.startswith("/"):
                raise Refusal("out of")
            if hops > HOPS:
                raise Refusal("in a circle in")
            ahead += target.split("/")[::-1]
    return "/".join(behind)
