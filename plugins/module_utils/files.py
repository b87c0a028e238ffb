"""Files of a host that others rely on: read, written and linked as a whole. Standard library only."""

import contextlib
import os


def read(path):
    """The text of a file; empty where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


def read_bytes(path):
    """The content of a file; empty where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return b""


def mode_of(path):
    """Permissions of a file; 0 where there is none."""
    return os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0


def write(path, content, mode, group=-1):
    """A file as a whole or none, on disk before it has its name; its folders too, if they are missing.

    content: text or bytes. mode: its permissions. group: id of its group; that of who writes it.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.partial", "wb") as file:
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), -1, group)
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def remove(path):
    """Let there be no file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def link(path, target):
    """Let a path be a link to a target, in one step."""
    remove(f"{path}.partial")
    os.symlink(target, f"{path}.partial")
    os.replace(f"{path}.partial", path)


def differences(before, after):
    """What Ansible shows for --diff, a file at a time. before, after: path to text."""
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": before.get(path, ""),
            "after": after.get(path, ""),
        }
        for path in sorted({*before, *after})
        if before.get(path, "") != after.get(path, "")
    ]
