#!/usr/bin/python
"""Ask a host what it runs of one app. Everything is derived, nothing remembered."""

DOCUMENTATION = r"""
---
module: tornado_app_status
short_description: What a host has and runs of one app
description:
  - Asks the file system and systemd. Changes nothing.
options:
  name: {type: str, required: true, description: "The app's name."}
"""

RETURN = r"""
python: {type: str, description: "The system interpreter, with its version."}
current: {type: str, description: "Id of the release that C(current) names, or empty."}
releases: {type: list, description: "Complete releases, newest first: C(id), and C(venv) that it needs."}
venvs: {type: list, description: "Ids of the complete environments."}
half_built: {type: list, description: "Paths of what a killed run left of other releases."}
recorded: {type: str, description: "Id of the release that the history ends with, or empty."}
previous: {type: str, description: "Id of the release that a rollback would go to, or empty."}
units: {type: bool, description: "Whether the app's unit files are there."}
reload_owed: {type: bool, description: "Whether systemd has yet to read a changed unit file."}
ports:
  type: dict
  description: >-
    For each port with a unit: C(service) and C(socket) (systemd's ActiveState), C(enabled),
    C(release) (of the running process), C(since), C(restarts), and C(outdated)
    (the unit file is younger than the process).
"""

import datetime
import glob
import json
import os
import re
import subprocess

from ansible.module_utils.basic import AnsibleModule

UNITS = "/etc/systemd/system"
PROPERTIES = (
    "Id,ActiveState,MainPID,NeedDaemonReload,NRestarts,FragmentPath,ActiveEnterTimestamp,UnitFileState"
)


def show(units):
    """systemd's properties of some units: {unit: {property: value}}."""
    if not units:
        return {}
    words = ["systemctl", "show", "--timestamp=us+utc", f"--property={PROPERTIES}", *units]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def known_ports(unit):
    """Ports that have a unit which is loaded, or enabled for the next boot."""
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", f"{unit}@*"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    names += [os.path.basename(path) for path in glob.glob(f"{UNITS}/*.wants/{unit}@*")]
    ports = {re.sub(r".*@(\d+)\..*", r"\1", name) for name in names}
    return sorted((port for port in ports if port.isdigit()), key=int)


def running_release(pid):
    """The release that a process was started from, by its own environment."""
    try:
        with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
            variables = dict(one.split("=", 1) for one in file.read().split("\0") if "=" in one)
    except OSError:
        return ""
    return variables.get("TORNADO_APP_RELEASE", "")


def seconds(timestamp):
    """A timestamp of systemd in seconds since 1970; 0 where it is empty."""
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC", timestamp)
    if not found:
        return 0.0
    moment = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def outdated(properties):
    """Whether an active unit was started before its file was last written."""
    if properties["ActiveState"] != "active" or not os.path.exists(properties["FragmentPath"]):
        return False
    written = os.stat(properties["FragmentPath"]).st_mtime
    return written > seconds(properties["ActiveEnterTimestamp"])


def describe(service, socket):
    """What is known of one port."""
    return {
        "service": service["ActiveState"],
        "socket": socket["ActiveState"],
        "enabled": service["UnitFileState"] == socket["UnitFileState"] == "enabled",
        "release": running_release(service["MainPID"]),
        "since": service["ActiveEnterTimestamp"],
        "restarts": int(service["NRestarts"] or 0),
        "outdated": outdated(service),
        "socket_outdated": outdated(socket),
    }


def history(home):
    """The lines of releases.jsonl: each release that became the current one, oldest first."""
    path = f"{home}/releases.jsonl"
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def previous(entries, current, releases):
    """The release that was deployed before the current one and is still here, or ''.

    Rollbacks don't count: a second one goes further back, not forth again.
    """
    deployed = [entry["release"] for entry in entries if not entry["rollback"]]
    if current in deployed:
        deployed = deployed[: len(deployed) - 1 - deployed[::-1].index(current)]
    found = [one for one in deployed if one != current and one in releases]
    return found[-1] if found else ""


def system_python():
    """The interpreter that environments are built with, as far as they depend on it."""
    words = ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return f"{words[0]} {version}"


def complete_releases(home, venvs):
    """The releases that have all they need, the youngest first."""
    found = []
    paths = glob.glob(f"{home}/releases/" + "[0-9a-f]" * 12)
    for path in sorted(paths, key=os.path.getmtime, reverse=True):
        link = f"{path}/.release/venv"
        venv = os.path.basename(os.readlink(link)) if os.path.islink(link) else ""
        if venv in venvs:
            found.append({"id": os.path.basename(path), "venv": venv})
    return found


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True
    )
    home, unit = f"/srv/{module.params['name']}", f"tornado-{module.params['name']}"
    ports = known_ports(unit)
    units = show([f"{unit}@{port}.{kind}" for port in ports for kind in ("service", "socket")])
    link = f"{home}/current"
    current = os.path.basename(os.readlink(link)) if os.path.islink(link) else ""
    folders = glob.glob(f"{home}/venvs/*")
    venvs = [os.path.basename(path) for path in folders if os.path.exists(f"{path}/.complete")]
    releases, entries = complete_releases(home, venvs), history(home)
    module.exit_json(
        changed=False,
        python=system_python(),
        current=current,
        releases=releases,
        recorded=entries[-1]["release"] if entries else "",
        previous=previous(entries, current, [one["id"] for one in releases]),
        venvs=venvs,
        half_built=glob.glob(f"{home}/releases/*.partial")
        + [path for path in folders if os.path.basename(path) not in venvs],
        units=os.path.exists(f"{UNITS}/{unit}@.service"),
        reload_owed=any(one["NeedDaemonReload"] == "yes" for one in units.values()),
        ports={
            port: describe(units[f"{unit}@{port}.service"], units[f"{unit}@{port}.socket"]) for port in ports
        },
    )


if __name__ == "__main__":
    main()
