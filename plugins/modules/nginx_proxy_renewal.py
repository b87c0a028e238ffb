#!/usr/bin/python
"""Install what issues, renews and watches over certificates, and let it issue what nginx starts with."""

DOCUMENTATION = r"""
---
module: nginx_proxy_renewal
short_description: Install the program that issues certificates, and let the private CA sign
description:
  - Installs the program, with its units and its description. systemd reads the units if it has yet to, a
    run that was killed before that included.
  - Runs it once, for what the private CA has to sign. A dry run takes the program along, since the host
    may have another version or none.
author: The Tornadoes authors (!UNKNOWN)
options:
  files: {type: dict, required: true, description: "Path to content; what ends in C(.py) is a program."}
  description: {type: str, required: true, description: "Which of the files describes the certificates."}
  command: {type: str, required: true, description: "Path of a link to the program."}
  absent: {type: list, elements: str, default: [], description: "Folders that nobody needs any more."}
  ask: {type: bool, default: true, description: "Whether the program runs: it needs its Debian packages."}
"""

EXAMPLES = r"""
- name: Install the renewal program
  tornadoes.tornadoes.nginx_proxy_renewal:
    files: "{{ files }}"
    description: /etc/nginx/certificates.json
    command: /usr/local/sbin/nginx-proxy-status
"""

RETURN = r"""
issued:
  type: list
  elements: str
  returned: always
  description: A line for each certificate that the private CA has signed, or would.
ca:
  type: str
  returned: always
  description: The certificate of the private CA in PEM; empty where there is none.
due:
  type: list
  elements: str
  returned: always
  description: A line for each certificate that a CA has to be asked for, or would have to be.
"""

import json
import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import differences, link, mode_of, read, write

CA = "/etc/nginx/private-ca/ca.crt"


def wanted_mode(path):
    """The permissions that a file shall have."""
    return 0o755 if path.endswith(".py") else 0o644


def lines(module, program, *words):
    """What the program says it has done or would do."""
    files, dry = module.params["files"], module.check_mode
    command = ["/usr/bin/python3", "-c", files[program]] if dry else [program]
    words = ["--description=-", *["--dry-run"] * dry, *words]
    code, said, complaint = module.run_command([*command, *words], data=files[module.params["description"]])
    if code:
        module.fail_json(msg=complaint.strip() or f"{program} ended with {code} and without a word.")
    return said.splitlines()


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True},
            "description": {"type": "str", "required": True},
            "command": {"type": "str", "required": True},
            "absent": {"type": "list", "elements": "str", "default": []},
            "ask": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    files, command = module.params["files"], module.params["command"]
    program = next(path for path in files if path.endswith(".py"))
    due = {
        path: text for path, text in files.items() if (read(path), mode_of(path)) != (text, wanted_mode(path))
    }
    unlinked = not os.path.islink(command) or os.readlink(command) != program
    gone = [path for path in module.params["absent"] if os.path.lexists(path)]
    diff = differences({path: read(path) for path in due}, due)
    if not module.check_mode:
        for path, text in due.items():
            write(path, text, wanted_mode(path))
        if unlinked:
            link(command, program)
        for path in gone:
            shutil.rmtree(path)
        units = [os.path.basename(path) for path in files if path.startswith("/etc/systemd/system/")]
        words = ["systemctl", "show", "--property=NeedDaemonReload", "--value", *units]
        _code, unread, _complaint = module.run_command(words, check_rc=True)
        if "yes" in unread.split() or set(due) & {path for path in files if "/systemd/" in path}:
            module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    issued, renewals = [], []
    if module.params["ask"]:
        issued = lines(module, program, "issue")
        # A CA that others run can't be asked before nginx runs.
        if any(site["tls"] == "acme" for site in json.loads(files[module.params["description"]])["sites"]):
            renewals = [line for line in lines(module, program, "renew", "--dry-run") if line not in issued]
    changed = bool(due or unlinked or gone or issued or (renewals and module.check_mode))
    module.exit_json(changed=changed, diff=diff, issued=issued, due=renewals, ca=read(CA))


if __name__ == "__main__":
    main()
