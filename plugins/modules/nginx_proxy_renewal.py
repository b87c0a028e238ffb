#!/usr/bin/python
"""Install what issues, renews and watches over certificates, in one step."""

DOCUMENTATION = r"""
---
module: nginx_proxy_renewal
short_description: Install the program that issues certificates, with its units and its description
description:
  - Starts nothing. systemd reads the units if it has yet to, a run that was killed before that included.
options:
  files: {type: dict, required: true, description: "Path to content; what ends in C(.py) is a program."}
  command: {type: str, required: true, description: "Path of a link to the program."}
  absent: {type: list, elements: str, default: [], description: "Folders that nobody needs any more."}
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule


def mode_of(path):
    """The permissions that a file shall have."""
    return 0o755 if path.endswith(".py") else 0o644


def there(path):
    """Content and permissions of a file; nothing of either where there is none."""
    if not os.path.isfile(path):
        return "", 0
    with open(path, encoding="utf-8") as file:
        return file.read(), os.stat(path).st_mode & 0o7777


def write(path, content):
    """A file as a whole, or none."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.partial", "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode_of(path))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def link(path, target):
    """A link, put in place in one step."""
    if os.path.lexists(f"{path}.partial"):
        os.unlink(f"{path}.partial")
    os.symlink(target, f"{path}.partial")
    os.replace(f"{path}.partial", path)


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "command": {"type": "str", "required": True},
            "absent": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    files, command = module.params["files"], module.params["command"]
    program = next(path for path in files if path.endswith(".py"))
    due = {path: text for path, text in files.items() if there(path) != (text, mode_of(path))}
    unlinked = not os.path.islink(command) or os.readlink(command) != program
    gone = [path for path in module.params["absent"] if os.path.lexists(path)]
    diff = [
        {"before_header": path, "after_header": path, "before": there(path)[0], "after": text}
        for path, text in due.items()
    ]
    if not module.check_mode:
        for path, text in due.items():
            write(path, text)
        if unlinked:
            link(command, program)
        for path in gone:
            shutil.rmtree(path)
        units = [os.path.basename(path) for path in files if path.startswith("/etc/systemd/system/")]
        words = ["systemctl", "show", "--property=NeedDaemonReload", "--value", *units]
        _code, unread, _complaint = module.run_command(words, check_rc=True)
        if "yes" in unread.split() or set(due) & {path for path in files if "/systemd/" in path}:
            module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    module.exit_json(changed=bool(due or unlinked or gone), diff=diff)


if __name__ == "__main__":
    main()
