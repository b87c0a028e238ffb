#!/usr/bin/python
"""Swap Redis's configuration and users as a whole, or not at all.

What Redis runs with is asked of Redis itself, over its socket on the host: each
directive by CONFIG GET, and the users by a digest that stands as a key in the
line of a user of the role's own. So a killed run is finished by the next one,
and a run that finds everything in place changes and restarts nothing.
"""

DOCUMENTATION = r"""
---
module: redis_server_configuration
short_description: Swap Redis's configuration and users as a whole, or not at all
description:
  - Writes the configuration and the users beside those in use, starts a Redis on them that nobody can
    reach and that has no data, puts them in place, and lets the Redis of the host take them.
    If any step fails, the old ones are back.
  - Redis restarts only for what it can't take over while it runs.
author: The Tornadoes authors (!UNKNOWN)
options:
  configuration:
    type: str
    required: true
    description: >-
      Content of C(/etc/redis/tornadoes.conf). C(#= VARIABLE) at the end of a line is taken off; when Redis
      refuses the line, the variable is named.
  drop_in:
    type: str
    required: true
    description: Content of C(/etc/systemd/system/redis-server.service.d/tornadoes.conf).
  users:
    type: list
    elements: dict
    required: true
    description: Who may come in.
    suboptions:
      name: {type: str, required: true, description: "What the client calls itself."}
      hash:
        type: str
        required: true
        description: SHA-256 of the password, in hexadecimal digits. No difference of it is shown.
      keys:
        type: list
        elements: str
        required: true
        description: Patterns of the user's keys and channels.
      commands: {type: list, elements: str, required: true, description: "What it may do, in Redis's words."}
"""

EXAMPLES = r"""
- name: Swap the configuration
  tornadoes.tornadoes.redis_server_configuration:
    configuration: "{{ lookup('template', 'tornadoes.conf.j2') }}"
    drop_in: "{{ lookup('template', 'drop-in.conf.j2') }}"
    users:
      - {name: chat, hash: "{{ password | hash('sha256') }}", keys: ['chat:*'], commands: ['+@read']}
"""

RETURN = r"""
did:
  type: str
  returned: always
  description: What Redis got, or would get in check mode, besides files; empty if nothing.
"""

import contextlib
import errno
import grp
import os
import re
import secrets
import socket
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files import differences, read, remove, write
from ..module_utils.redis_client import OWN, PATIENCE, Connection
from ..module_utils.redis_users import changed, digest_of, redacted, rules
from ..module_utils.systemd import confine, outdated, properties, run, seconds

CONFIGURATION = "/etc/redis/tornadoes.conf"
USERS = "/etc/redis/tornadoes.acl"
# Of the role's own user. It reads no key; root alone knows it.
PASSWORD = "/etc/redis/tornadoes.password"
DROP_IN = "/etc/systemd/system/redis-server.service.d/tornadoes.conf"
DATA = "/var/lib/redis"
UNIT = "redis-server"
SOCKET = "/run/redis/redis-server.sock"
TRIAL = "tornadoes-redis-trial"
ORIGIN = re.compile(r"  #= (\S+)$", re.MULTILINE)
# What a running Redis takes over.
LIVE = {"maxmemory"}
# Behind "Redis got".
TOLD = {
    "start": "its start",
    "restart": "a restart",
    "set": "a new limit of memory, without a restart",
    "load": "new users, without a restart",
    "enable": "its place among what starts at boot",
}


class Refused(Exception):
    """The new configuration can't be used; the text says why."""


def separated(text):
    """The text without the variables at its lines' ends, and those by the rest of their lines."""
    found = {line: ORIGIN.search(line) for line in text.splitlines()}
    return ORIGIN.sub("", text), {line[: end.start()]: end[1] for line, end in found.items() if end}


def directives(text):
    """Name to value of what a configuration says, as CONFIG GET gives it."""
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: "" if value == '""' else value for name, value in lines}


def unit():
    """What systemd knows of Redis: whether it runs, its process and since when (seconds since 1970).

    Also how often it was started again by itself, and whether it starts at boot.
    """
    names = ("ActiveState", "MainPID", "NRestarts", "ExecMainStartTimestamp", "UnitFileState")
    found = properties(UNIT, *names)
    return {
        "runs": found.get("ActiveState") not in ("inactive", "failed", None),
        "pid": found.get("MainPID", "0"),
        "restarts": found.get("NRestarts", "0"),
        "since": seconds(found.get("ExecMainStartTimestamp", "")),
        "enabled": found.get("UnitFileState") == "enabled",
    }


def running(names, path=SOCKET, password=None):
    """What a Redis runs with, by default the host's own; None if there is none that lets us in.

    names: of the directives that are asked for. path: of its socket.
    """
    try:
        with Connection(path, read(PASSWORD) if password is None else password) as redis:
            values = redis.ask("CONFIG", "GET", *names)
            user = redis.ask("ACL", "GETUSER", OWN)
            found = dict(zip(user[::2], user[1::2], strict=True))
            return {
                "directives": dict(zip(values[::2], values[1::2], strict=True)),
                "digest": found["keys"].lstrip("~"),
                "memory": int(redis.information("memory")["used_memory"]),
                "loading": redis.information("persistence")["loading"] == "1",
            }
    except OSError:
        return None


def owed(found, wanted, digest, now):
    """What it takes until Redis runs with what is wanted: a list of start, restart, set and load.

    found: what it runs with, see running(). now: what systemd knows, see unit().
    """
    if not now["runs"]:
        return ["start"]
    late = os.path.exists(DROP_IN) and os.stat(DROP_IN).st_mtime > now["since"]
    if found is None or late:
        return ["restart"]
    differs = {name for name, value in wanted.items() if found["directives"].get(name) != value}
    if differs - LIVE:
        return ["restart"]
    return ["set"] * bool(differs) + ["load"] * (found["digest"] != digest)


def take(steps, wanted, stale):
    """Let the Redis of the host take what lies in place.

    stale: users whose connections are closed when users change. Redis 8 would leave them open.
    """
    for step in steps:
        if step in ("start", "restart"):
            # Not waited for: a Redis that can't start is tried again for ever.
            run("systemctl", "--no-block", step, UNIT)
            continue
        with Connection(SOCKET, read(PASSWORD)) as redis:
            if step == "set":
                redis.ask("CONFIG", "SET", *(word for name in LIVE for word in (name, wanted[name])))
            else:
                redis.ask("ACL", "LOAD")
        if step == "load":
            # Redis 7 has closed this one, as all others.
            with Connection(SOCKET, read(PASSWORD)) as redis:
                for name in stale:
                    redis.ask("CLIENT", "KILL", "USER", name)


def settle(steps, wanted, digest, stale):
    """Let Redis take it and wait until it runs with it; refuse what it does not run with."""
    before, moment = unit(), f"@{int(time.time())}"
    try:
        take(steps, wanted, stale)
    except OSError as problem:
        raise Refused(f"Redis does not take the new configuration: {problem}") from problem
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        now, found = unit(), running(wanted)
        new = now["pid"] not in ("0", before["pid"]) or not {"start", "restart"} & set(steps)
        if found and found["loading"]:
            deadline = time.monotonic() + PATIENCE
        elif new and not owed(found, wanted, digest, now):
            return
        elif now["restarts"] not in ("0", before["restarts"]):
            break  # it has ended by itself, and will again
        time.sleep(0.05)
    _code, log = run("journalctl", f"--unit={UNIT}", f"--since={moment}", "--output=cat", "--no-pager")
    raise Refused(f"Redis does not run with the new configuration: {explained(log, {})}")


def explained(output, origins):
    """What Redis complains of, as a part of a sentence, with the variable behind it.

    origins: variable by line of the configuration.
    """
    found = re.search(r"at line \d+\n>>> '(.*)'\n(.*)", output)
    if found:
        origin = origins.get(found[1])
        return f"{found[2]} ({found[1]})" + f", from {origin}" * bool(origin)
    found = re.search(r"ACL errors: \S+?:\d+: (.*?)(?:\.? WARNING.*)?$", output, re.MULTILINE)
    if found:
        return f"{found[1]}, from redis_server_users"
    warnings = re.findall(r" # .*?(Could not create.*)", output) or re.findall(r" # (?!WARNING)(.*)", output)
    return warnings[-1] if warnings else " ".join(output.split())[-300:] or "it says nothing"


def trial(password, origins, wanted):
    """Start a Redis on the staged files, as its user: it has to let us in, and to mean what we mean.

    It has no network, a folder of its own that goes with it, and half a minute.
    wanted: the directives, name to value.
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
    deadline, found = time.monotonic() + PATIENCE, None
    while found is None and process.poll() is None and time.monotonic() < deadline:
        found = running(wanted, own["unixsocket"], password)
        time.sleep(0.05)
    run("systemctl", "stop", TRIAL)
    output = process.communicate()[0]
    if found is None:
        raise Refused(f"Redis refuses the new configuration: {explained(output, origins)}")
    variables = {line.split()[0]: variable for line, variable in origins.items()}
    for name, value in wanted.items():
        meant = found["directives"].get(name)
        if name not in own and meant != value:
            origin = variables.get(name)
            raise Refused(f"Redis takes {name} {value} for {meant}" + f", from {origin}" * bool(origin))
    if found["memory"] >= int(wanted["maxmemory"]):
        raise Refused(
            f"redis_server_memory_max: a Redis without data takes {shown(found['memory'])}, "
            f"and {shown(int(wanted['maxmemory']))} is all that it would get"
        )


def shown(amount):
    """Bytes, for people."""
    return f"{amount / 2**20:.1f} MB"


def check_addresses(wanted, found, runs):
    """Refuse addresses that this host does not have, and those where another program listens.

    found: what our Redis runs with, or None. runs: whether it runs at all.
    """
    held = found["directives"] if found else {}
    for address in wanted["bind"].split():
        ours = held.get("port") == wanted["port"] and address in held.get("bind", "").split()
        if ours or (runs and not found):
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
            raise Refused(reason) from problem


def check_owner(now):
    """Refuse to take over a Redis of somebody else, and to start without the data that it left."""
    if now["runs"] and not os.path.exists(DROP_IN):
        raise Refused("a Redis that is not this role's runs on the host. Stop it, if nobody needs it")
    if os.path.exists(f"{DATA}/dump.rdb") and not os.path.exists(f"{DATA}/appendonlydir"):
        raise Refused(
            f"{DATA}/dump.rdb was left by a Redis that is not this role's, which would start without it. "
            "Move it away, if nobody needs it"
        )


def place(configuration, users):
    """Put both files in place, if they differ."""
    group = grp.getgrnam("redis").gr_gid
    for path, text in ((USERS, users), (CONFIGURATION, configuration)):
        if not text:
            remove(path)
        elif read(path) != text:
            write(path, text, 0o640, group)


def swap(wanted, files, was, password, origins):
    """Try the new files, put them in place and let Redis take them, or leave everything as it was.

    wanted: the directives, name to value. files, was: path to content, of CONFIGURATION,
    USERS and DROP_IN. password: of the role's own user.
    """
    group = grp.getgrnam("redis").gr_gid
    # First, since what is in place has to be asked with it.
    if read(PASSWORD) != password:
        write(PASSWORD, password, 0o600, 0)
    digest, stale = digest_of(files[USERS]), changed(was[USERS], files[USERS])
    try:
        for path in (CONFIGURATION, USERS):
            write(f"{path}.next", files[path], 0o640, group)
        trial(password, origins, wanted)
    finally:
        for path in (CONFIGURATION, USERS):
            remove(f"{path}.next")
    confine(UNIT, DROP_IN, files[DROP_IN])
    try:
        place(files[CONFIGURATION], files[USERS])
        settle(owed(running(wanted), wanted, digest, unit()), wanted, digest, stale)
    except Refused:
        confine(UNIT, DROP_IN, was[DROP_IN])
        place(was[CONFIGURATION], was[USERS])
        if not was[CONFIGURATION]:
            run("systemctl", "stop", UNIT)
        else:
            old = directives(was[CONFIGURATION])
            with contextlib.suppress(Refused):
                before = digest_of(was[USERS])
                settle(owed(running(old), old, before, unit()), old, before, stale)
        raise


def main():
    """Ansible calls this."""
    module = AnsibleModule(
        argument_spec={
            "configuration": {"type": "str", "required": True},
            "drop_in": {"type": "str", "required": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "hash": {"type": "str", "required": True, "no_log": True},
                    "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
                    "commands": {"type": "list", "elements": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    configuration, origins = separated(module.params["configuration"])
    wanted = directives(configuration)
    password = read(PASSWORD) or secrets.token_hex(32)
    files = {
        DROP_IN: module.params["drop_in"],
        CONFIGURATION: configuration,
        USERS: rules(module.params["users"], password),
    }
    was = {path: read(path) for path in files}
    now, found = unit(), running(wanted)
    steps = owed(found, wanted, digest_of(files[USERS]), now)
    if was[DROP_IN] not in ("", files[DROP_IN]) and now["runs"]:
        steps = ["restart"]
    if not now["enabled"]:
        steps.append("enable")
    before = {**was, USERS: redacted(was[USERS], files[USERS], "the old password")}
    after = {**files, USERS: redacted(files[USERS], was[USERS], "a new password")}
    result = {
        "changed": bool(was != files or steps or outdated(UNIT, DROP_IN) or not os.path.exists(PASSWORD)),
        "did": ", and ".join(TOLD[step] for step in steps),
        "diff": differences(before, after),
    }
    try:
        check_owner(now)
        check_addresses(wanted, found, now["runs"])
        if found and found["memory"] >= int(wanted["maxmemory"]):
            raise Refused(
                f"redis_server_memory_max: Redis holds {shown(found['memory'])} by now, and would accept "
                f"nothing more with {shown(int(wanted['maxmemory']))}"
            )
        if result["changed"] and not module.check_mode:
            swap(wanted, files, was, password, origins)
            if "enable" in steps:
                run("systemctl", "enable", UNIT)
    except Refused as error:
        module.fail_json(msg=f"{error}. Everything stays as it was.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
