"""One Redis of several hosts: who is the master, who follows, how a master steps back. Standard library only.

Who is the master is no matter of configuration: Sentinel decides it while everything runs. The role makes
somebody the master only where no Sentinel knows one.
"""

import contextlib
import grp
import hashlib
import os
import time

from . import redis_sentinel
from .files import read, write
from .redis_client import TIMEOUT, Connection
from .redis_configuration import directives
from .redis_host import CONFIGURATION, DATA, PASSWORD, SOCKET, UNIT, USERS
from .redis_users import hashes, known
from .refusal import Refusal
from .systemd import properties, run

EMPTY = 1000  # bytes that a Redis without data has on disk, at most
STEP_BACK = 30  # seconds that a master has to be followed by another one
SILENCE = 120  # seconds without progress after which a Redis that reads its master's data is given up


def own():
    """A connection to the host's Redis."""
    return Connection(SOCKET, read(PASSWORD))


def stored():
    """Whether a Redis that does not run has left data, or one that is not this role's."""
    folder = f"{DATA}/appendonlydir"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    size = sum(os.path.getsize(f"{folder}/{name}") for name in names)
    return size > EMPTY or os.path.exists(f"{DATA}/dump.rdb")


def standing():
    """Where the host's Redis stands: role, the master that it follows (address), whether it holds data.

    address: by which the others reach it. linked: whether it has all of its master's data. followers: their
    addresses. sentinel: address of the master by the host's Sentinel, empty without one, its epoch, and which
    Redises it sees and misses. secret: a digest of that by which it comes to the others.
    """
    told = redis_sentinel.master()
    sees, misses = redis_sentinel.seen()
    own_address, secret = (word_of(name) for name in ("replica-announce-ip", "masterauth"))
    found = {"role": "", "follows": "", "data": stored(), "address": own_address, "linked": False}
    found |= {"sentinel": told.get("ip", ""), "epoch": int(told.get("config-epoch", 0))}
    found |= {"sees": sees, "misses": misses, "followers": [], "secret": shortened(secret)}
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            with own() as redis:
                if redis.information("persistence")["loading"] == "1":
                    deadline = time.monotonic() + TIMEOUT
                    time.sleep(0.2)
                    continue
                about = redis.information("replication")
                found |= {"role": about["role"], "follows": about.get("master_host", "")}
                found["linked"] = about.get("master_link_status") == "up"
                found["followers"] = followers(about)
                found["data"] = bool(redis.information("keyspace"))
        except OSError:
            pass
        break
    return found


def word_of(name):
    """What the configuration in place says of a name; empty if nothing."""
    return directives(read(CONFIGURATION)).get(name, "")


def shortened(secret):
    """A digest of a secret, by which hosts are compared; empty of none. Too slow to guess it from."""
    return secret and hashlib.scrypt(secret.encode(), salt=b"tornadoes replica", n=2**14, r=8, p=1).hex()[:12]


def introduce(secret):
    """Let the others come by this secret as well as by that of before, to Redis and to Sentinel."""
    for path, unit in ((USERS, UNIT), (redis_sentinel.USERS, redis_sentinel.UNIT)):
        text = read(path)
        were = known(text)
        several = hashes(secret, were)
        if were and hashes(secret) not in (f"#{one}" for one in were):
            text = text.replace(" ".join(f"#{one}" for one in were), several)
            write(path, text, 0o640, grp.getgrnam("redis").gr_gid)
        if unit == UNIT:
            with own() as redis:
                redis.ask("ACL", "LOAD")
        else:
            run("systemctl", "restart", unit)


def must_follow(replication):
    """The address that the host's Redis has to be told to follow; empty if there is nothing to tell.

    What a Sentinel of the host knows counts more than what the run began with.
    """
    found = standing()
    master = found["sentinel"] or replication["master"]
    return master if master != replication["address"] and found["role"] != "slave" else ""


def follow(replication, port):
    """Let the host's Redis follow the master, and wait until it has all of its data.

    A master that does not answer is Sentinel's matter.
    """
    if master := must_follow(replication):
        with own() as redis:
            redis.ask("REPLICAOF", master, str(port))
    deadline, last = time.monotonic() + (SILENCE if replication["reached"] else 5), ""
    while time.monotonic() < deadline:
        about = about_replication()
        if about["role"] == "master" or about["master_link_status"] == "up":
            return
        read_by_now = about.get("master_sync_read_bytes", "")
        if read_by_now != last:
            deadline, last = time.monotonic() + SILENCE, read_by_now
        time.sleep(0.1)
    if replication["reached"]:
        raise Refusal(f"it has not read the data of its master, {about['master_host']}, in {SILENCE} s")


def followers(about):
    """Address to offset of those that follow a Redis, and have all but the latest. about: what it says."""
    lines = [value for name, value in about.items() if name.startswith("slave") and "state=online" in value]
    found = [dict(one.split("=", 1) for one in line.split(",")) for line in lines]
    return {one["ip"]: int(one["offset"]) for one in found}


def until(question, seconds):
    """Whether a question is answered with yes within so many seconds. No answer is none."""
    deadline, answer = time.monotonic() + seconds, False
    while not answer and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            answer = question()
        time.sleep(0.1)
    return answer


def about_replication():
    """What the host's Redis says of it, name to value."""
    with own() as redis:
        return redis.information("replication")


def step_back():
    """Let another host be the master before this one ends, where one can; whether it was needed.

    Nothing is accepted from the moment at which all have the same, so nothing is lost. Sentinel alone
    would let this one accept until it hears that it is the master no longer.
    """
    address, about = word_of("replica-announce-ip"), about_replication()
    if redis_sentinel.master().get("ip") != address or about["role"] != "master" or not followers(about):
        return False

    def level():
        found = about_replication()
        return set(followers(found).values()) == {int(found["master_repl_offset"])}

    def told():
        return redis_sentinel.asked("SENTINEL", "FAILOVER", redis_sentinel.NAME)

    def left():
        # Sentinel ends its connections then.
        if redis_sentinel.master().get("ip") == address:
            return False
        found = about_replication()
        return found["role"] == "slave" or found["connected_slaves"] == "0"

    with own() as redis:
        redis.ask("CLIENT", "PAUSE", str(1000 * STEP_BACK), "WRITE")
    if not (until(level, 5) and until(told, 5) and until(left, STEP_BACK - 12)):
        with contextlib.suppress(OSError), own() as redis:
            redis.ask("CLIENT", "UNPAUSE")
        raise Refusal("no other host has become the master in its place")
    return True


def leave(stays):
    """End the host's Redis for good, after another one is the master; whether it ran.

    stays: names of the hosts that go on.
    """
    if not os.path.exists(redis_sentinel.DROP_IN):
        return False
    states = {one: properties(one, "ActiveState") for one in (redis_sentinel.UNIT, UNIT)}
    runs = [unit for unit, state in states.items() if state.get("ActiveState") == "active"]
    if UNIT in runs:
        if step_back():
            # In which the Sentinels tell each other.
            time.sleep(3)
        still = redis_sentinel.master().get("ip", "") in ("", word_of("replica-announce-ip"))
        if stays and still and about_replication()["role"] == "master":
            raise Refusal(
                f"redis_server_state: this Redis is the master, and {', '.join(stays)} can't be that in its "
                "place. Bring them back first"
            )
    # Sentinel first, or it would look for another master.
    for unit in runs:
        run("systemctl", "disable", "--now", unit)
    return bool(runs)
