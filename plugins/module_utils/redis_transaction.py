"""New configuration and users of a host's Redis: checked, tried, put in place, and taken back.

Standard library only.
"""

import contextlib
import errno
import grp
import os
import socket
import subprocess
import time

from .files import read, remove, write
from .redis_client import TIMEOUT, Connection
from .redis_configuration import behind, complaint, megabytes
from .redis_host import (
    CONFIGURATION,
    DATA,
    DROP_IN,
    LIVE,
    PASSWORD,
    SOCKET,
    UNIT,
    USERS,
    Wanted,
    pending,
    running,
    unit,
)
from .redis_replication import step_back
from .redis_users import changed
from .refusal import Refusal
from .systemd import confine, run

TRIAL = "tornadoes-redis-trial"


def check(wanted, found, now):
    """Refuse what this host can't have, before anything changes. found: Running or None. now: Unit."""
    check_owner(now)
    check_addresses(wanted.directives, found, now)
    limit = int(wanted.directives["maxmemory"])
    if found and found.memory >= limit:
        raise Refusal(
            f"redis_server_memory_max: Redis holds {megabytes(found.memory)} by now, and would accept "
            f"nothing more with {megabytes(limit)}"
        )


def check_owner(now):
    """Refuse to take over a Redis that the role has not configured, or to start without the data it left."""
    if now.runs and not os.path.exists(DROP_IN):
        raise Refusal("a Redis that is not this role's runs on the host. Stop it, if nobody needs it")
    if os.path.exists(f"{DATA}/dump.rdb") and not os.path.exists(f"{DATA}/appendonlydir"):
        raise Refusal(
            f"{DATA}/dump.rdb was left by a Redis that is not this role's, which would start without it. "
            "Move it away, if nobody needs it"
        )


def check_addresses(wanted, found, now):
    """Refuse addresses that this host does not have, and those where another program listens."""
    held = found.directives if found else {}
    for address in wanted["bind"].split():
        ours = held.get("port") == wanted["port"] and address in held.get("bind", "").split()
        if ours or (now.runs and not found):
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, int(wanted["port"])))
                listener.listen()
        except OSError as problem:
            reason = {
                errno.EADDRNOTAVAIL: f"redis_server_addresses: {address} is no address of this host",
                errno.EADDRINUSE: f"redis_server_port: another program has {wanted['port']} at {address}",
            }.get(problem.errno, f"{address}: {problem.strerror}")
            raise Refusal(reason) from problem


def try_staged(wanted, password, variables):
    """Start a Redis on the staged files, as its user: it has to let us in, and to mean what we mean.

    It has no network, a folder of its own that goes with it, and half a minute.
    variables: by line of the configuration.
    """
    folder = f"/run/{TRIAL}"
    run("systemctl", "stop", TRIAL)  # a killed run's
    own = {"port": "0", "dir": folder, "unixsocket": f"{folder}/socket", "pidfile": f"{folder}/pid"}
    own["aclfile"] = f"{USERS}.next"
    properties = ["User=redis", f"RuntimeDirectory={TRIAL}", "RuntimeDirectoryMode=0700", "RuntimeMaxSec=30"]
    properties += ["PrivateNetwork=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "TimeoutStopSec=5"]
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={TRIAL}"]
    words += [f"--property={one}" for one in properties]
    words += ["/usr/bin/redis-server", f"{CONFIGURATION}.next"]
    words += [word for name, value in own.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline, found = time.monotonic() + TIMEOUT, None
    while found is None and process.poll() is None and time.monotonic() < deadline:
        found = running(wanted.directives, own["unixsocket"], password)
        time.sleep(0.05)
    run("systemctl", "stop", TRIAL)
    output = process.communicate()[0]
    if found is None:
        raise Refusal(f"Redis refuses the new configuration: {complaint(output, variables)}")
    by_name = {line.split()[0]: variable for line, variable in variables.items()}
    for name, value in wanted.directives.items():
        meant = found.directives.get(name)
        if name not in own and meant != value:
            raise Refusal(f"Redis takes {name} {value} for {meant}" + behind(by_name.get(name)))
    limit = int(wanted.directives["maxmemory"])
    if found.memory >= limit:
        raise Refusal(
            f"redis_server_memory_max: a Redis without data takes {megabytes(found.memory)}, "
            f"and {megabytes(limit)} is all that it would get"
        )


def place(files):
    """Put configuration and users in place, where they differ; an empty one is none."""
    group = grp.getgrnam("redis").gr_gid
    for path in (USERS, CONFIGURATION):
        if not files[path]:
            remove(path)
        elif read(path) != files[path]:
            write(path, files[path], 0o640, group)


def apply(steps, wanted, users, replication=None):
    """Let the Redis of the host take what lies in place.

    replication: of several hosts with one Redis. users: those whose connections are closed when users change.
    Redis 8 would leave them open.
    """
    for step in steps:
        if step in ("start", "restart"):
            if step == "restart" and replication:
                with contextlib.suppress(OSError):  # none that lets us in
                    step_back()
            # Not waited for: a Redis that can't start is tried again for ever.
            run("systemctl", "--no-block", step, UNIT)
            continue
        with Connection(SOCKET, read(PASSWORD)) as redis:
            for name in [one for one in LIVE if LIVE[one] == step]:
                redis.ask("CONFIG", "SET", name, wanted.directives[name])
            if step == "load":
                redis.ask("ACL", "LOAD")
        if step == "load":
            # Redis 7 has closed this one, as all others.
            with Connection(SOCKET, read(PASSWORD)) as redis:
                for name in users:
                    redis.ask("CLIENT", "KILL", "USER", name)


def apply_and_wait(wanted, users, replication=None):
    """Do what is pending and wait until Redis runs with it; refuse what it does not run with.

    replication: see apply().
    """
    before, moment = unit(), f"@{int(time.time())}"
    steps = pending(wanted, running(wanted.directives), before)
    try:
        apply(steps, wanted, users, replication)
    except OSError as problem:
        raise Refusal(f"Redis does not take the new configuration: {problem}") from problem
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        now, found = unit(), running(wanted.directives)
        new = now.pid not in ("0", before.pid) or not {"start", "restart"} & set(steps)
        if found and found.loading:
            deadline = time.monotonic() + TIMEOUT
        elif new and not pending(wanted, found, now):
            return
        elif now.restarts not in ("0", before.restarts):
            break  # it has ended by itself, and will again
        time.sleep(0.05)
    _code, log = run("journalctl", f"--unit={UNIT}", f"--since={moment}", "--output=cat", "--no-pager")
    raise Refusal(f"Redis does not run with the new configuration: {complaint(log, {})}")


def swap(files, was, password, variables, replication=None):
    """Try the new files, put them in place and let Redis take them, or leave everything as it was.

    files, was: path to content, of CONFIGURATION, USERS and DROP_IN. password: of the role's own
    user. variables: by line of the configuration. replication: see apply().
    """
    group = grp.getgrnam("redis").gr_gid
    # First, since what is in place has to be asked with it.
    if read(PASSWORD) != password:
        write(PASSWORD, password, 0o600, 0)
    wanted, users = Wanted.by(files), changed(was[USERS], files[USERS])
    try:
        for path in (CONFIGURATION, USERS):
            write(f"{path}.next", files[path], 0o640, group)
        try_staged(wanted, password, variables)
    finally:
        for path in (CONFIGURATION, USERS):
            remove(f"{path}.next")
    confine(UNIT, DROP_IN, files[DROP_IN])
    try:
        place(files)
        apply_and_wait(wanted, users, replication)
    except Refusal:
        confine(UNIT, DROP_IN, was[DROP_IN])
        place(was)
        if not was[CONFIGURATION]:
            run("systemctl", "stop", UNIT)
        else:
            with contextlib.suppress(Refusal):
                apply_and_wait(Wanted.by(was), users)
        raise
