#!/usr/bin/python
"""How many open connections nginx can hold on a host, by each limit, and how many there are."""

DOCUMENTATION = r"""
---
module: nginx_proxy_capacity
short_description: How many open connections a host's nginx can hold
description:
  - Computes from settings and the host, whether nginx is there yet or not. Changes nothing.
author: The Tornadoes authors (!UNKNOWN)
options:
  workers: {type: str, required: true, description: "Number of worker processes, or V(auto)."}
  worker_connections: {type: int, required: true, description: "Connections per worker."}
  upstreams: {type: list, elements: str, required: true, description: "Servers of the app, each once."}
  ports: {type: list, elements: int, required: true, description: "TCP ports that clients come to."}
  memory: {type: int, required: true, description: "KiB that an open connection costs nginx and the kernel."}
"""

EXAMPLES = r"""
- name: Ask how many connections nginx holds
  tornadoes.tornadoes.nginx_proxy_capacity:
    workers: auto
    worker_connections: 16384
    upstreams: [127.0.0.1:8000, 127.0.0.1:8001]
    ports: [80, 443]
    memory: 60
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
  description: Connections of clients that are open now.
"""

import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

OPEN = "01"  # state of a line in /proc/net/tcp: established


def processors():
    """As nginx counts them for auto."""
    return len(os.sched_getaffinity(0))


def files(wanted):
    """How many files a worker may open: what the configuration asks for, as far as the host has it."""
    # Every user may read this file; prlimit needs root for a process of root.
    found = re.search(r"Max open files +\S+ +(\S+)", Path("/proc/1/limits").read_text())[1]
    return min(wanted, int(found) if found.isdigit() else wanted)


def available():
    """Memory that is free to use, in KiB."""
    return int(re.search(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[1])


def limits(workers, connections, upstreams, memory):
    """Each limit as a dict, the lowest first."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    may, free, found = files(2 * connections), available(), []

    def limit(name, holds, how):
        found.append({"name": name, "holds": int(holds), "how": how})

    limit(
        "nginx_proxy_worker_connections",
        workers * connections / 2,
        f"{workers} workers with {connections:,} each, two for a visitor",
    )
    # Some are nginx's own: logs, listening sockets, pipes.
    limit("open files", workers * (may - 50) / 2, f"{workers} workers with {may:,} each, two for a visitor")
    over_tcp = [server for server in upstreams if not server.startswith("unix:")]
    if len(over_tcp) == len(upstreams) and over_tcp:
        ports = high - low + 1
        limit(
            "ports", len(over_tcp) * ports, f"{len(over_tcp)} upstreams with {ports:,} each, {low} to {high}"
        )
    limit(
        "memory",
        free / memory,
        f"{free // 1024:,} MiB available, {memory} KiB for each in nginx and the kernel",
    )
    return sorted(found, key=lambda one: one["holds"])


def used(ports):
    """How many clients are connected."""
    count = 0
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):
            for line in Path(path).read_text().splitlines()[1:]:
                _number, local, _remote, state = line.split()[:4]
                count += state == OPEN and int(local.rpartition(":")[2], 16) in ports
    return count


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "workers": {"type": "str", "required": True},
            "worker_connections": {"type": "int", "required": True},
            "upstreams": {"type": "list", "elements": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "memory": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not re.fullmatch("auto|[1-9][0-9]{0,3}", given["workers"]):
        # site.yml says the same before anything else; this is asked by itself.
        module.fail_json(
            msg=f"nginx_proxy_worker_processes: '{given['workers']}' is invalid. Give a number, or auto."
        )
    workers = processors() if given["workers"] == "auto" else int(given["workers"])
    module.exit_json(
        changed=False,
        limits=limits(workers, given["worker_connections"], given["upstreams"], given["memory"]),
        used=used(set(given["ports"])),
    )


if __name__ == "__main__":
    main()
