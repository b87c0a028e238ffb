"""What a host has of Redis, what it runs with, and what is pending. Standard library only.

Redis itself is asked, over its socket on the host: each directive by CONFIG GET, and the users by a
digest that stands as a key in the line of a user of the role's own.
"""

import os
from dataclasses import dataclass

from .files import read
from .redis_client import OWN, Connection
from .redis_configuration import directives
from .redis_users import digest_of
from .systemd import properties, seconds

CONFIGURATION = "/etc/redis/tornadoes.conf"
USERS = "/etc/redis/tornadoes.acl"
# Of the role's own user. It reads no key; root alone knows it.
PASSWORD = "/etc/redis/tornadoes.password"
DROP_IN = "/etc/systemd/system/redis-server.service.d/tornadoes.conf"
DATA = "/var/lib/redis"
UNIT = "redis-server"
SOCKET = "/run/redis/redis-server.sock"
# What a running Redis applies without a restart, and the step that does it.
LIVE = {"maxmemory": "set", "masterauth": "secret", "min-replicas-to-write": "copies"}


@dataclass(frozen=True)
class Wanted:
    """What Redis must run with: directives, name to value, and the digest of its users."""

    directives: dict
    digest: str

    @classmethod
    def by(cls, files):
        """What the files say, path to content."""
        return cls(directives(files[CONFIGURATION]), digest_of(files[USERS]))


@dataclass(frozen=True)
class Running:
    """What a Redis runs with. memory: bytes in use. loading: whether it is still reading its data."""

    directives: dict
    digest: str
    memory: int
    loading: bool


@dataclass(frozen=True)
class Unit:
    """What systemd knows of Redis.

    since: when its process (pid) was started, in seconds since 1970. restarts: how often systemd has
    started it again by itself. enabled: whether it starts at boot.
    """

    runs: bool
    pid: str
    restarts: str
    since: float
    enabled: bool


def unit():
    """The Unit as it is now."""
    names = ("ActiveState", "MainPID", "NRestarts", "ExecMainStartTimestamp", "UnitFileState")
    found = properties(UNIT, *names)
    return Unit(
        runs=found.get("ActiveState") not in ("inactive", "failed", None),
        pid=found.get("MainPID", "0"),
        restarts=found.get("NRestarts", "0"),
        since=seconds(found.get("ExecMainStartTimestamp", "")),
        enabled=found.get("UnitFileState") == "enabled",
    )


def running(names, path=SOCKET, password=None):
    """The Running of a Redis, by default the host's own; None if there is none that lets us in.

    names: of the directives that are asked for. path: of its socket.
    """
    try:
        with Connection(path, read(PASSWORD) if password is None else password) as redis:
            values = redis.ask("CONFIG", "GET", *names)
            user = redis.ask("ACL", "GETUSER", OWN)
            return Running(
                directives=dict(zip(values[::2], values[1::2], strict=True)),
                digest=dict(zip(user[::2], user[1::2], strict=True))["keys"].lstrip("~"),
                memory=int(redis.information("memory")["used_memory"]),
                loading=redis.information("persistence")["loading"] == "1",
            )
    except OSError:
        return None


def pending(wanted, found, now):
    """What it takes until Redis runs with what is wanted: a list of start, restart, load, and of LIVE.

    found: its Running, or None. now: its Unit.
    """
    if not now.runs:
        return ["start"]
    late = os.path.exists(DROP_IN) and os.stat(DROP_IN).st_mtime > now.since
    if found is None or late:
        return ["restart"]
    differs = {name for name, value in wanted.directives.items() if found.directives.get(name) != value}
    if differs - set(LIVE):
        return ["restart"]
    return sorted(LIVE[name] for name in differs) + ["load"] * (found.digest != wanted.digest)
