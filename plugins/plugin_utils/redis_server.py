"""What redis_server runs with, and what the values of its variables may be. A password is in no sentence."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from functools import cached_property

from .redis_replication import PASSWORD, Group
from .values import address, filled, listed, port, quoted, twice

PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
]
RESERVED = ("default", "tornadoes", "tornadoes-replica")
SENTINEL_PORT = 26379
NAME = re.compile("[a-z0-9][a-z0-9_-]{0,31}")
KEY = re.compile(r"[!#-&(-\[\]-~]+")  # printable, neither space, quote nor backslash
COMMAND = re.compile(r"[+-]@?[a-z][a-z0-9_|.-]*")
MEMORY = re.compile("[1-9][0-9]*[KMGT]")
SHORTEST = 16  # characters of a password


def private(text):
    """Whether a text is an address that only the host itself or its own network can reach."""
    found = address(text)
    return found is not None and any(found in one for one in PRIVATE)


@dataclass(frozen=True)
class User:
    """One of redis_server_users. keys: patterns of its keys and channels; empty for its name and :*."""

    name: str
    password: str = field(repr=False)
    keys: list[str]
    commands: list[str]

    @classmethod
    def by(cls, options, entry):
        """What an entry of the list says. options: of the entries, with their defaults."""
        found = filled(options, entry)
        return cls(found["name"], str(found["password"]), found["keys"], found["commands"])

    def for_host(self):
        """What the host gets: the password's SHA-256 in its place."""
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        keys = self.keys or [f"{self.name}:*"]
        return {"name": self.name, "hash": digest, "keys": keys, "commands": self.commands}


def users(options, entries):
    """The Users that redis_server_users lists. options: of the role."""
    return [User.by(options["redis_server_users"]["options"], one) for one in entries]


@dataclass(frozen=True)
class Redis:
    """What the role's variables say. state: present or absent. memory_max: as written, 256M.

    replication_password: empty where each host is alone.
    """

    state: str
    addresses: list[str]
    port: int
    users: list[User]
    memory_max: str
    replication_password: str = field(repr=False)

    @classmethod
    def by(cls, options, variables):
        """What variables say, name to value. options: of the role."""
        given = {name.removeprefix("redis_server_"): value for name, value in variables.items()}
        return cls(**{**given, "users": users(options, given["users"])})


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        self.redis, self.run = Redis.by(run.options, variables), run

    def refusals(self):
        """A sentence for each invalid value."""
        if not port(self.redis.port):
            yield f"redis_server_port: {self.redis.port} is no TCP port. Allowed are 1 to 65535."
        yield from self.about_addresses(self.redis.addresses)
        if not MEMORY.fullmatch(self.redis.memory_max):
            yield (
                f"redis_server_memory_max: '{self.redis.memory_max}' is no amount. "
                "Write a number and K, M, G or T, as 256M."
            )
        yield from self.about_users(self.redis.users)
        if self.replicated:
            if len(self.redis.replication_password) < SHORTEST:
                yield f"{PASSWORD}: it is too short. Give at least {SHORTEST} characters."
            yield from self.group.refusals()
        elif any(self.group.same[PASSWORD].values()):
            # A host that goes waits for the others, and none leaves them by its own variables.
            yield from self.group.refusals()

    @property
    def replicated(self):
        """Whether the hosts of the group have one Redis."""
        return bool(self.redis.state == "present" and self.redis.replication_password)

    @cached_property
    def group(self):
        """The hosts that have one Redis."""
        return Group.by(self.run)

    def description(self):
        """Of several hosts with one Redis: the addresses of all and of this one, how many have to agree.

        Of one that goes: the others.
        """
        if self.redis.state == "absent":
            return {"stays": list(self.group.addresses)}
        return self.group.description() if self.replicated else {}

    def about_addresses(self, addresses):
        """Where Redis must listen."""
        if not addresses or twice(addresses):
            yield (
                f"redis_server_addresses: {listed(addresses) or 'an empty list'} is invalid. "
                "Give at least one address, and each of them once."
            )
        bad = [one for one in addresses if not private(one)]
        if bad:
            yield (
                f"redis_server_addresses: {listed(bad)} is no loopback or private address. Allowed are those in "
                "127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, ::1 and fc00::/7."
            )

    def about_users(self, users):
        """Who may connect."""
        names = [one.name for one in users]
        bad = [name for name in names if name in RESERVED or not NAME.fullmatch(name)]
        if bad:
            yield (
                f"redis_server_users: {quoted(bad)} is no valid name of a user. Use up to 32 lowercase letters, "
                "digits, - and _, but neither default (Redis's user for clients that give no name) nor tornadoes."
            )
        if twice(names):
            yield f"redis_server_users: a name is given twice ({listed(names)}). Each user has its own."
        short = [one.name for one in users if len(one.password) < SHORTEST]
        if short:
            yield (
                f"redis_server_users: the password of {listed(short)} is too short. Give at least "
                f"{SHORTEST} characters."
            )
        bad = [key for one in users for key in one.keys if not KEY.fullmatch(key)]
        bad += [word for one in users for word in one.commands if not COMMAND.fullmatch(word)]
        if bad:
            yield (
                f"redis_server_users: {quoted(bad)} is invalid. Give keys without spaces, quotes and backslashes "
                "(chat:*), and commands in lowercase behind + or - (+get, +@read)."
            )

    def questions(self):
        """What the host is asked, for the module C(look)."""
        addresses = [one for one in self.redis.addresses if private(one)]
        starts = ["redis-server.service"] * (self.redis.state == "present")
        sentinel = self.replicated or self.redis.state == "absent"
        return {
            "ports": self.listens(),
            "addresses": addresses,
            "packages": ["redis-server"] + ["redis-sentinel"] * sentinel,
            "starts": starts + ["redis-sentinel.service"] * self.replicated,
        }

    def answers(self, found):
        """A sentence for each value that the host can't have."""
        ours = re.compile(r"redis(-server|-sentinel)?(@.*)?\.service")
        bad = [
            f"{number} is listened on by {who}"
            for number, who in sorted(found["holders"].items())
            if not ours.fullmatch(who)
        ]
        if bad:
            yield (
                f"redis_server_port: {listed(bad)} on {self.run.host}. Give another port, or end what listens "
                "there first."
            )

    def listens(self):
        """The ports that it will listen on."""
        if self.redis.state == "absent" or not port(self.redis.port):
            return []
        return [int(self.redis.port)] + [SENTINEL_PORT] * self.replicated
