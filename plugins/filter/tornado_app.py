"""Folders that the sandbox opens: whether somebody could put a link in their place."""

from pathlib import PurePosixPath


def above(path):
    """A path and all folders above it, from the top."""
    return [*reversed([str(one) for one in PurePosixPath(path).parents]), path]


def rows(said):
    """Path to kind, owner and mode, from the lines that stat wrote."""
    found = {}
    for line in said.splitlines():
        kind, owner, mode, path = line.split("|", 3)
        found[path] = (kind, int(owner), int(mode, 8))
    return found


def no_folders(paths, said):
    """Those of the paths that lead to no folder. What a link leads to is not asked here."""
    found = rows(said)
    return [path for path in paths if found.get(path, ("",))[0] not in ("directory", "symbolic link")]


def replaceable(paths, said):
    """Why somebody but root could replace a folder of these, each as half a sentence."""
    found, bad = rows(said), []
    for path in paths:
        for one in above(path):
            kind, owner, mode = found.get(one, ("", 0, 0))
            if kind == "symbolic link":
                bad.append(f"{path} has a link in it ({one})")
            elif one != path and (owner != 0 or mode & 0o022):
                bad.append(f"{path} lies below {one}, which others than root may write")
            else:
                continue
            break
    return bad


class FilterModule:
    """Ansible finds the filters here."""

    def filters(self):
        """Name to function."""
        return {
            "tornado_app_above": above,
            "tornado_app_no_folders": no_folders,
            "tornado_app_replaceable": replaceable,
        }
