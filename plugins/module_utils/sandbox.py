"""The sandbox of an app's instances, for commands, workers and timers. Standard library only."""

import subprocess

# Settings of the process rather than of its sandbox.
PROCESS = ("Type=", "ExecStart=", "Restart=", "KillMode=")


def sandbox(unit):
    """The settings of an app's instances as lines of a unit, an operator's drop-ins among them."""
    words = ["systemctl", "cat", "--no-pager", f"{unit}-worker@.service"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    section, found = "", []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line.strip()
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";", *PROCESS)):
            found.append(line.strip())
    return found
