"""The units that listen on some ports of a host."""

import contextlib
import functools
import ipaddress
import os
import re
import subprocess

LISTEN, OPEN = "0A", "01"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
FREE_PORTS = (
    "/proc/sys/net/ipv4/ip_local_port_range"  # the kernel chooses among these where a program asks for any
)


def placed(text):
    """Address and port, as a file of /proc/net has them."""
    digits, port = text.split(":")
    # Four bytes at a time, each four the other way round.
    turned = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    address = ipaddress.ip_address(turned)
    return getattr(address, "ipv4_mapped", None) or address, int(port, 16)


def sockets(table, state):
    """Each socket in a file of /proc/net that is in a state: its own place, the other one, its inode."""
    try:
        with open(table) as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:  # no IPv6 here
        return
    for row in rows:
        if row[3] == state:
            yield placed(row[1]), placed(row[2]), row[9]


def listeners(table):
    """Address, port and inode of each listening socket in a file of /proc/net."""
    for (address, port), _other, inode in sockets(table, LISTEN):
        yield address, port, inode


def connections(places):
    """How many connections are open from this host to some pairs of address and port."""
    wanted = {(ipaddress.ip_address(address), int(port)) for address, port in places}
    return sum(other in wanted for table in TABLES for _own, other, _inode in sockets(table, OPEN))


def opened(pid):
    """Inodes of the sockets that a process has open; none if it has ended. Files may close meanwhile."""
    found = set()
    with contextlib.suppress(OSError):
        for one in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                link = os.readlink(f"/proc/{pid}/fd/{one}")
                found.add(link.removeprefix("socket:[").rstrip("]"))
    return found


def owners(inodes):
    """Inode to the processes that have it open, PID 1 last: it has what its units listen on."""
    found = {}
    for pid in sorted((one for one in os.listdir("/proc") if one.isdigit()), key=int, reverse=True):
        for inode in opened(pid) & set(inodes):
            found.setdefault(inode, []).append(pid)
    return found


def unit_of(pid):
    """The unit that a process is in."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            # The second version's line first: where a host has both, systemd goes by that.
            lines = sorted(file.read().splitlines(), key=lambda line: not line.startswith("0::"))
        names = re.findall(r"[^/\n]+\.(?:service|scope)$", "\n".join(lines), re.MULTILINE)
        with open(f"/proc/{pid}/comm") as file:
            return names[0] if names else file.read().strip()
    except OSError:
        return "another process"


@functools.cache
def socket_units():
    """Port to the socket unit that listens there, as it was when first asked."""
    words = ["systemctl", "list-sockets", "--plain", "--no-legend"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    rows = [line.split() for line in said.splitlines()]
    return {row[0].rpartition(":")[2]: row[1] for row in rows if len(row) > 1 and ":" in row[0]}


def holders(ports, addresses=()):
    """Port, as text, to the name of who listens there.

    addresses: those that are meant, besides listeners on all of them; none is any.
    """
    wanted = [ipaddress.ip_address(one) for one in addresses]
    inodes = {
        inode: str(port)
        for table in TABLES
        for address, port, inode in listeners(table)
        if port in ports and (not wanted or address.is_unspecified or address in wanted)
    }
    units = socket_units() if inodes else {}
    pids = owners(inodes) if inodes else {}
    found = {}
    for inode, port in inodes.items():
        pid = pids.get(inode, ["0"])[0]
        name = units.get(port) or unit_of(pid)
        # A program chooses its own name.
        found[port] = re.sub(r"[^\w.@:-]", "?", name)
    return found


def chosen(units):
    """The ports that processes of units, by the start of their names, listen on by their own choice."""
    with open(FREE_PORTS) as file:
        lowest, highest = map(int, file.read().split())
    inodes = {
        inode: port
        for table in TABLES
        for _address, port, inode in listeners(table)
        if not lowest <= port <= highest
    }
    pids = owners(inodes)
    return {
        port
        for inode, port in inodes.items()
        if any(unit_of(pid).startswith(units) for pid in pids.get(inode, []))
    }
