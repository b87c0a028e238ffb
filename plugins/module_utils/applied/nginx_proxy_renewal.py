"""Install what issues, renews and watches over certificates, and let it issue what nginx starts with."""

import json
import os
import shutil

from ..files import differences, link, mode_of, read, read_bytes, remove, write
from ..program import packed, unpacked

SPEC = {
    "description": {"type": "dict", "default": {}},
    "provided": {"type": "dict", "default": {}, "no_log": True},
    "fetch_to": {"type": "str", "default": ""},
    "run": {"type": "bool", "default": True},
    "program": {"type": "dict", "default": {}},
    "units": {"type": "dict", "default": {}},
}

LIBRARY = "/usr/local/lib/nginx-proxy"
PROGRAM = f"{LIBRARY}/certificates.pyz"
FORMER_PROGRAM = f"{LIBRARY}/certificates.py"
COMMAND = "/usr/local/sbin/nginx-proxy-status"
DESCRIPTION = "/etc/nginx/certificates.json"
STATE = "/var/lib/nginx-proxy"
ACME_ACCOUNT = f"{STATE}/certbot"
CA = "/etc/nginx/private-ca/ca.crt"
UNITS = "/etc/systemd/system"
TIMER, SERVICE = "nginx-proxy-certificates.timer", "nginx-proxy-certificates.service"
STAMP = f"/var/lib/systemd/timers/stamp-{TIMER}"


def install(module, files, program):
    """Let these files, the program, and the command that leads to it be there. Whether something was amiss.

    files: path to text. program: content.
    """
    pending = {path: text for path, text in files.items() if (read(path), mode_of(path)) != (text, 0o644)}
    former = unpacked(read_bytes(PROGRAM))
    shown = {f"{PROGRAM}/{name}": text for name, text in former.items()}
    after = {f"{PROGRAM}/{name}": text for name, text in unpacked(program).items()}
    diff = differences({**shown, **{path: read(path) for path in pending}}, {**after, **pending})
    if (read_bytes(PROGRAM), mode_of(PROGRAM)) != (program, 0o755):
        pending = {PROGRAM: program, **pending}
    unlinked = not os.path.islink(COMMAND) or os.readlink(COMMAND) != PROGRAM
    acme = any(site["tls"] == "acme" for site in module.params["description"]["sites"])
    unused = [path for path in (FORMER_PROGRAM, *[ACME_ACCOUNT] * (not acme)) if os.path.lexists(path)]
    if not module.check_mode:
        for path, content in pending.items():
            write(path, content, 0o755 if path == PROGRAM else 0o644)
        if unlinked:
            link(COMMAND, PROGRAM)
        let_systemd_read(module, any(path.startswith(UNITS) for path in pending))
        clear(unused)
    return bool(pending or unlinked or unused), diff


def let_systemd_read(module, changed):
    """Let systemd read the units, if it has yet to."""
    words = ["systemctl", "show", "--property=NeedDaemonReload", "--value", *module.params["units"]]
    _code, said, _complaint = module.run_command(words, check_rc=True)
    if changed or "yes" in said.split():
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)


def clear(paths):
    """Let there be nothing at these paths."""
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            remove(path)


def lines(module, content, *words, data):
    """What the program says it has done or would do. A dry run takes the program's content along."""
    command = [PROGRAM]
    if module.check_mode:
        path = f"{module.tmpdir}/{os.path.basename(PROGRAM)}"
        write(path, content, 0o600)
        command = ["/usr/bin/python3", path, "--dry-run"]
    code, said, complaint = module.run_command([*command, "--description=-", *words], data=data)
    if code:
        module.fail_json(msg=complaint.strip() or f"{PROGRAM} ended with {code} and without a word.")
    return said.splitlines()


def uninstall(module):
    """Let there be nothing but the private CA. Whether there was."""
    paths = [COMMAND, *(f"{UNITS}/{name}" for name in (TIMER, SERVICE)), DESCRIPTION, STATE, LIBRARY, STAMP]
    there = [path for path in paths if os.path.lexists(path)]
    if there and not module.check_mode:
        if os.path.exists(f"{UNITS}/{TIMER}"):
            module.run_command(["systemctl", "disable", "--now", TIMER], check_rc=True)
        module.run_command(["systemctl", "reset-failed", SERVICE])  # most often there is nothing to reset
        clear(there)
    return bool(there)


def main(module):
    """The modules of this name, and apply, call this."""
    os.umask(0o022)
    description = module.params["description"]
    if not description:
        module.exit_json(changed=uninstall(module), issued=[], due=[], ca=read(CA), status={})
    program = packed("certificates", module.params["program"])
    text = json.dumps(description, indent=4, sort_keys=True) + "\n"
    units = {f"{UNITS}/{name}": unit for name, unit in module.params["units"].items()}
    changed, diff = install(module, {DESCRIPTION: text, **units}, program)
    issued, due, provided, status = [], [], [], {}
    if module.params["run"]:
        for slug, pair in module.params["provided"].items():
            provided += lines(module, program, "provide", slug, data=json.dumps(pair))
        *issued, status = lines(module, program, "issue", "--report", data=text)
        # A CA that others run can't be asked before nginx runs.
        if any(site["tls"] == "acme" for site in description["sites"]):
            words = () if module.check_mode else ("--dry-run",)
            due = [line for line in lines(module, program, "renew", *words, data=text) if line not in issued]
        status = json.loads(status)
    changed = bool(changed or issued or provided or (due and module.check_mode))
    module.exit_json(changed=changed, diff=diff, issued=issued, due=due, ca=read(CA), status=status)
