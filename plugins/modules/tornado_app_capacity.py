#!/usr/bin/python
"""How many open connections an app can hold on a host, by each limit, and how many there are."""

DOCUMENTATION = r"""
---
module: tornado_app_capacity
short_description: How many open connections a host's app can hold
description:
  - Computes from settings and the host, whether the app is there yet or not. Changes nothing.
author: The Tornadoes authors (!UNKNOWN)
options:
  name: {type: str, required: true, description: "The app's name."}
  ports: {type: list, elements: int, required: true, description: "Its ports."}
  files: {type: int, required: true, description: "Files that an instance asks to be let open."}
  memory_max: {type: str, required: true, description: "Limit of an instance's memory, as V(512M), or empty."}
  memory: {type: int, required: true, description: "KiB that an open connection costs the app."}
  base: {type: int, required: true, description: "KiB that an instance takes without connections."}
"""

EXAMPLES = r"""
- name: Ask how many connections the app holds
  tornadoes.tornadoes.tornado_app_capacity:
    name: chat
    ports: [8000, 8001]
    files: 65536
    memory_max: 512M
    memory: 17
    base: 32768
"""

RETURN = r"""
limits:
  type: list
  elements: str
  returned: always
  description: For each limit C(name), C(holds) (connections) and C(how) that was computed; the lowest first.
used:
  type: int
  returned: always
  description: Connections that are open now, of all ports.
"""

import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.host import running

UNITS = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}  # KiB


def files(wanted):
    """How many files an instance may open: what its unit asks for, as far as the host has it."""
    # Every account may read this file; prlimit(1) needs root for a process of root's.
    found = re.search(r"Max open files +\S+ +(\S+)", Path("/proc/1/limits").read_text())[1]
    return min(wanted, int(found) if found.isdigit() else wanted)


def limits(ports, wanted, memory_max, memory, base):
    """Each limit as a dict, the lowest first."""
    may, found = files(wanted), []
    free = int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])

    def limit(name, holds, how):
        found.append({"name": name, "holds": max(0, int(holds)), "how": how})

    # The program itself needs some.
    limit("open files", ports * (may - 100), f"{ports} ports with {may:,} each")
    limit("memory", free / memory, f"{free // 1024:,} MiB available, {memory} KiB for each in the app")
    if memory_max:
        most = int(memory_max[:-1]) * UNITS[memory_max[-1]]
        how = f"{ports} ports with {memory_max} each, {base // 1024} MiB of it the program's own"
        limit("tornado_app_memory_max", ports * (most - base) / memory, how)
    return sorted(found, key=lambda one: one["holds"])


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "files": {"type": "int", "required": True},
            "memory_max": {"type": "str", "required": True},
            "memory": {"type": "int", "required": True},
            "base": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    found = [running(given["name"], port).get("load", {}).get("connections", 0) for port in given["ports"]]
    module.exit_json(
        changed=False,
        limits=limits(
            len(given["ports"]), given["files"], given["memory_max"], given["memory"], given["base"]
        ),
        used=sum(found),
    )


if __name__ == "__main__":
    main()
