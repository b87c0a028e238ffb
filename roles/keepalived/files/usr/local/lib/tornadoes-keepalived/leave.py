# Managed by Ansible (role keepalived): a change here is undone by the next run.
"""Before keepalived ends: let nobody lose a request by the address's move to another host.

leave.py PORTS ADDRESS [ADDRESS ...]: nginx's ports, as 80,443, and the floating addresses. Where this host
has one of them, nginx tells its clients to come again on a new connection, for as long as before a reload;
then new connections are left without an answer for a moment, in which what is in flight ends. Who comes in
that moment asks again within a second, as TCP does, and reaches the host that has the address by then.
leave.py: that host has it. Standard library only.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time

TABLE = "tornadoes_leaving"
FOLDER = "/run/nginx-leaving"  # while it is there, nginx tells its clients (the role nginx_proxy)
LEAVING = 5  # seconds; nginx sees the folder within one
LAST = 2  # seconds for what is in flight at the end


def run(*words, text=None):
    """What a command says; nothing where it fails: an address moves all the same."""
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False).stdout


def is_here(address):
    """Whether this host has an address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
            one.bind((address, 0))
    except OSError:
        return False
    return True


def closed(ports, addresses):
    """What nft is told, so that nobody new comes in."""
    new = f"tcp dport {{ {ports} }} tcp flags & (syn | ack) == syn"
    rules = [f"{'ip6' if ':' in one else 'ip'} daddr {one} {new} drop" for one in addresses]
    chain = "\n".join(["type filter hook input priority -5;", *rules])
    return f"table inet {TABLE} {{\nchain input {{\n{chain}\n}}\n}}\n"


def in_flight(ports, addresses):
    """Whether connections to the addresses are open."""
    which = [word for port in ports.split(",") for word in ("or", "sport", "=", f":{port}")][1:]
    found = run("ss", "--no-header", "--numeric", "--tcp", "state", "established", "(", *which, ")")
    return any(f" {one}:" in found or f" [{one}]:" in found for one in addresses)


def leave(ports, addresses):
    """Until nobody would notice."""
    addresses = [one for one in addresses if is_here(one)]
    if not addresses:
        return
    # Not by systemd, as before a reload: it starts nothing any more while the host shuts down.
    os.makedirs(FOLDER, exist_ok=True)
    os.chmod(FOLDER, 0o755)  # for nginx's workers to see, whatever the unit's umask
    time.sleep(LEAVING)
    run("nft", "--file", "-", text=closed(ports, addresses))
    time.sleep(0.1)  # who came just before is seen by now
    end = time.monotonic() + LAST
    while in_flight(ports, addresses) and time.monotonic() < end:
        time.sleep(0.02)


def left():
    """The address is another host's: nothing of this is needed any more."""
    run("nft", "delete", "table", "inet", TABLE)
    with contextlib.suppress(OSError):
        os.rmdir(FOLDER)


if __name__ == "__main__":
    leave(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else left()
