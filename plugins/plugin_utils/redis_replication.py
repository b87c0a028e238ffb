"""One Redis of several hosts: who they are, and which of them is the master."""

import hashlib
from dataclasses import dataclass, field

from ..module_utils.redis_replication import shortened
from ..module_utils.refusal import Refusal
from .values import address, listed

PASSWORD = "redis_server_replication_password"
LEAST, MOST = 3, 7
# What has to be the same on all hosts.
SAME = ("redis_server_users", "redis_server_port", PASSWORD, "redis_server_memory_max")


def secret_of(password):
    """By what hosts know each other: no host has the password itself."""
    return hashlib.sha256(f"tornadoes-replica {password}".encode()).hexdigest()


def outer(addresses):
    """Those of a host's addresses by which others can reach it."""
    found = [address(one) for one in addresses]
    return [str(one) for one in found if one is not None and not one.is_loopback]


@dataclass
class Group:
    """The hosts that have one Redis: host to its addresses. host: the one that this is said for."""

    host: str
    addresses: dict
    same: dict  # name of a variable to host to value
    debians: dict = field(default_factory=dict)  # host to its Debian's number, 0 where nobody has asked it

    @classmethod
    def by(cls, run):
        """What the inventory says. run: of the role redis_server, on one of them, or on one that goes."""
        runs = {name: run.on(name, "redis_server") for name in run.group("redis_server") or [run.host]}
        runs = {name: one for name, one in runs.items() if one.decent("redis_server_state") == "present"}
        return cls(
            run.host if run.host in runs else next(iter(runs), ""),
            {name: outer(one.decent("redis_server_addresses")) for name, one in runs.items()},
            {variable: {name: one.decent(variable) for name, one in runs.items()} for variable in SAME},
            {name: one.debian for name, one in runs.items()},
        )

    def refusals(self):
        """A sentence for each reason why these can't have one Redis."""
        names = list(self.addresses)
        if len(names) % 2 == 0 or not LEAST <= len(names) <= MOST:
            yield (
                f"{PASSWORD}: the group redis_server has {len(names)} hosts ({listed(names)}). Allowed are 3, 5 or 7, "
                "of which more than half have to agree on the next master; without this password each is alone."
            )
        bad = [name for name, found in self.addresses.items() if len(found) != 1]
        if bad:
            yield (
                f"redis_server_addresses: {listed(bad)} has {len(self.addresses[bad[0]])} besides loopback. With "
                f"{PASSWORD} a host has exactly one by which the others reach it, as [127.0.0.1, 10.0.0.5]."
            )
        places = [found[0] for found in self.addresses.values() if len(found) == 1]
        for again in sorted({one for one in places if places.count(one) > 1}):
            whose = [name for name, found in self.addresses.items() if again in found]
            yield f"redis_server_addresses: {again} is that of {listed(whose)}. Give each host its own."
        for variable in self.same:
            yield from self.differing(variable)
        if len(there := set(filter(None, self.debians.values()))) > 1:
            whose = listed([name for name, debian in self.debians.items() if debian == max(there)])
            yield (
                f"{PASSWORD}: Debian {max(there)} on {whose} has a newer Redis than the others, which could not read what "
                "it sends them. Give all hosts that have one Redis the same Debian."
            )

    def differing(self, variable):
        """A sentence where other hosts have another value of a variable."""
        values = self.same[variable]
        if other := [name for name in values if values[name] != values[self.host]]:
            yield (
                f"{variable}: that of {listed(other)} is not that of {self.host}. Give all hosts that have one "
                "Redis the same, in group_vars/redis_server.yml."
            )

    def description(self):
        """What tasks need to know."""
        places = {name: found[0] for name, found in self.addresses.items()}
        return {"hosts": places, "address": places[self.host], "quorum": len(places) // 2 + 1}


def rekeyed(standings, password, absent):
    """Whether some of the hosts have another password of replication yet, and get this one. See master_of()."""
    mine = shortened(secret_of(password))
    rekey = any(one["secret"] not in ("", mine) for one in standings.values())
    if rekey and absent:
        raise Refusal(
            f"{PASSWORD}: it is a new one, and {listed(absent)} is not reached by this run. The others would not let it in "
            "any more. Try again with all hosts, or keep the former until then."
        )
    return rekey


def master_of(hosts, standings, absent=()):
    """Address of the master, and whether no Sentinel knows one yet.

    hosts: host to address, of all. standings: host to what it says, of those that the run has reached.
    absent: the others. Where no Sentinel knows a master, it is the one with data, else the first host.
    """
    newest = max(standings.values(), key=lambda one: (bool(one["sentinel"]), one["epoch"]))
    gone = {*newest["sees"], newest["sentinel"]} - {"", *hosts.values()}
    if gone:
        raise Refusal(
            f"{PASSWORD}: a Redis at {listed(sorted(gone))} belongs to these, and no host of the group redis_server has the "
            "address. Keep its host there, and give it redis_server_state: absent for a run."
        )
    full = {
        name: one
        for name, one in standings.items()
        if one["data"] and not (one["role"] == "slave" and one["follows"] in hosts.values())
    }
    if newest["sentinel"]:
        master = newest["sentinel"]
        # One that has just come back may be no replica yet. It has a Sentinel, which sees to that.
        strange = [name for name, one in full.items() if hosts[name] != master and not one["sentinel"]]
        if strange:
            raise Refusal(
                f"{PASSWORD}: the Redis of {listed(strange)} has data of its own, which would be lost: "
                f"{master} is the master. Move what is in /var/lib/redis there away, if nobody needs it."
            )
        return master, False
    if absent:
        raise Refusal(
            f"{PASSWORD}: {listed(absent)} is not reached by this run, and no Sentinel knows the master yet. Who has data "
            "is asked of all hosts once. Try again with all of them."
        )
    if len(full) > 1:
        raise Refusal(
            f"{PASSWORD}: {listed(full)} each have data of their own, and only one's would stay. Move "
            "what is in /var/lib/redis away on the others, with Redis stopped, if nobody needs it."
        )
    followed = [one["follows"] for one in standings.values() if one["role"] == "slave"]
    followed = [one for one in followed if one in hosts.values()]
    if full:
        return hosts[next(iter(full))], True
    return followed[0] if followed else next(iter(hosts.values())), True
