#!/usr/bin/python
"""Install what stays from release to release: keeper, unit templates, the status command."""

DOCUMENTATION = r"""
---
module: tornado_app_units
short_description: Install the keeper and the units of an app
description:
  - The keeper is a folder named by its content, and C(/srv/NAME/keeper) a link to it that is
    renamed into place, so that a killed run leaves the old one or the new one, whole.
  - Restarts nothing. A keeper knows what it was made of, so that M(tornado_app_status) tells which ports
    run an older keeper or unit; clocks have no part in it.
  - systemd reads the units again if it has yet to.
options:
  name: {type: str, required: true, description: "The app's name."}
  keeper: {type: dict, required: true, description: "Name of a file of the keeper to its content."}
  files:
    type: dict
    required: true
    description: "Path of a unit or another file to its content, where C(@made_of@) becomes a digest of all."
  command: {type: str, required: true, description: "Content of the command tornado-NAME-status."}
"""

import contextlib
import glob
import hashlib
import json
import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import UNITS, known_ports, show

MARK = "@made_of@"  # in a unit: what a keeper says of itself, so that an older one is known by it


def read(path):
    """A file's content; "" where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


def mode_of(path):
    """Permissions of a file; 0 where there is none."""
    return os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0


def write(path, content, mode):
    """Write a file, as root's, in one step; on disk before it has its name."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(f"{path}.new", mode)
    os.replace(f"{path}.new", path)


class Keeper:
    """The keeper's folder. files: name to content. home: /srv/NAME."""

    def __init__(self, home, files):
        name = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]
        self.files, self.all, self.link = files, f"{home}/keepers", f"{home}/keeper"
        self.folder = f"{self.all}/{name}"

    def here(self):
        """What is there now, name to content."""
        return {os.path.basename(path): read(path) for path in glob.glob(f"{self.link}/*.py")}

    def due(self):
        """Whether the link has to move, or what it leads to was changed by hand."""
        return os.path.realpath(self.link) != self.folder or self.here() != self.files

    def install(self):
        """Write the folder under another name, give it its own, then move the link."""
        partial = f"{self.folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial, mode=0o755)
        for name, content in self.files.items():
            write(f"{partial}/{name}", content, 0o644)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.rename(partial, self.folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.link}.new")
        os.symlink(f"keepers/{os.path.basename(self.folder)}", f"{self.link}.new")
        os.replace(f"{self.link}.new", self.link)

    def forget_others(self):
        """Remove older keepers; one that still runs has read all that it needs."""
        for path in glob.glob(f"{self.all}/*"):
            if path != self.folder:
                shutil.rmtree(path)


def made_of(keeper, files):
    """12 hexadecimal digits for all that a running keeper and its processes are made of."""
    units = {path: text for path, text in files.items() if path.endswith("@.service")}
    return hashlib.sha256(json.dumps([keeper, units], sort_keys=True).encode()).hexdigest()[:12]


def units_of(name):
    """The units that systemd knows of the app's ports."""
    ports = known_ports(f"tornado-{name}")
    return [f"tornado-{name}@{port}.{kind}" for port in ports for kind in ("service", "socket")]


def difference(path, before, after):
    """What Ansible shows for --diff."""
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "keeper": {"type": "dict", "required": True},
            "files": {"type": "dict", "required": True},
            "command": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    os.umask(0o022)
    keeper = Keeper(f"/srv/{name}", module.params["keeper"])
    digest = made_of(module.params["keeper"], module.params["files"])
    files = {path: (text.replace(MARK, digest), 0o644) for path, text in module.params["files"].items()}
    files[f"/usr/local/bin/tornado-{name}-status"] = (module.params["command"], 0o755)
    due = {path: one for path, one in files.items() if (read(path), mode_of(path)) != one}

    before, diff = keeper.here(), []
    if keeper.due():
        diff = [
            difference(f"{keeper.link}/{one}", before.get(one, ""), keeper.files.get(one, ""))
            for one in sorted({*before, *keeper.files})
            if before.get(one) != keeper.files.get(one)
        ]
    diff += [difference(path, read(path), text) for path, (text, _mode) in due.items()]
    result = {"changed": bool(keeper.due() or due), "diff": diff}
    if not module.check_mode:
        if keeper.due():
            keeper.install()
        keeper.forget_others()
        for path, (text, mode) in due.items():
            write(path, text, mode)
        changed = any(path.startswith(UNITS) for path in due)
        if changed or any(one["NeedDaemonReload"] == "yes" for one in show(units_of(name)).values()):
            code, _output, complaint = module.run_command(["systemctl", "daemon-reload"])
            if code:
                module.fail_json(msg=f"systemd did not read the units of {name}: {complaint.strip()}")
            result["changed"] = True
    module.exit_json(**result)


if __name__ == "__main__":
    main()
