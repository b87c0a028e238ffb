"""What releases of an app share: links in the code to files that the program may write. Standard library only."""

import os

from ..module_utils.refusal import Refusal
from .tree import RESERVED

FIRST = f"{RESERVED}/shared"  # what a source has in the place of a link, as first content


def link(path):
    """The path of an entry's link in a release: a folder's entry ends with a slash."""
    return path.rstrip("/")


def set_apart(tree, shared, root):
    """Let a tree's entries be links to the same paths below a folder; what it holds there is first content.

    shared: paths in the source, those of folders with a slash at the end. root: the folder, on the host.
    """
    for entry in shared:
        path = link(entry)
        above = [one for one in tree.found if path.startswith(f"{one}/")]
        if above:
            raise Refusal(
                f"tornado_app_shared: '{entry}' lies below {above[0]}, which is no folder in the source."
            )
        if path in tree.found and os.path.islink(tree.found[path]):
            raise Refusal(f"tornado_app_shared: '{entry}' is a link in the source. Share what it leads to.")
        if path in tree.found and path != entry:
            raise Refusal(f"tornado_app_shared: '{entry}' is a file in the source. Leave the slash out.")
        inside = [one for one in tree.found if f"{one}/".startswith(f"{path}/")]
        tree.found |= {f"{FIRST}/{one}": tree.found.pop(one) for one in inside}
        tree.empty = [f"{FIRST}/{one}" if f"{one}/".startswith(f"{path}/") else one for one in tree.empty]
        tree.links[path] = f"{root}/{path}"
