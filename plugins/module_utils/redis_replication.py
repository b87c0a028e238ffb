"""One Redis of several hosts: who is the master, who follows, how a master steps back. Standard library only.

Who is the master is no matter of configuration: Sentinel decides it while everything runs. The role makes
somebody the master only where no Sentinel knows one.
"""

import contextlib
import os
import time

from . import redis_sentinel
from .files import read
from .redis_client import TIMEOUT, Connection
from .redis_host import DATA, PASSWORD, SOCKET
from .refusal import Refusal

EMPTY = 1000  # bytes that a Redis without data has on disk, at most
STEP_BACK = 30  # seconds that a master has to be followed by another one
SILENCE = 120  # seconds without progress after which a Redis that reads its master's data is given up


def own():
    """A connection to the host's Redis."""
    return Connection(SOCKET, read(PASSWORD))


def stored():
    """Whether a Redis that does not run has left data."""
    folder = f"{DATA}/appendonlydir"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sum(os.path.getsize(f"{folder}/{name}") for name in names) > EMPTY


def standing():
    """Where the host's Redis stands: role, the master that it follows (address), whether it holds data.

    sentinel: address of the master by the host's Sentinel, empty without one, and its epoch.
    """
    known = redis_sentinel.master()
    found = {"role": "", "follows": "", "data": stored()}
    found |= {"sentinel": known.get("ip", ""), "epoch": int(known.get("config-epoch", 0))}
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
                found["data"] = bool(redis.information("keyspace"))
        except OSError:
            pass
        break
    return found


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
    """Offsets of those that follow a Redis and have all its data but the latest. about: what it says."""
    lines = [value for name, value in about.items() if name.startswith("slave") and "state=online" in value]
    return [int(dict(one.split("=", 1) for one in line.split(","))["offset"]) for line in lines]


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


def step_back(replication):
    """Let another host be the master before this one restarts, where there is one that can.

    Nothing is accepted from the moment at which all have the same, so nothing is lost. Sentinel alone
    would let this one accept until it hears that it is the master no longer.
    """
    address, about = replication["address"], about_replication()
    if redis_sentinel.master().get("ip") != address or about["role"] != "master" or not followers(about):
        return

    def level():
        found = about_replication()
        return set(followers(found)) == {int(found["master_repl_offset"])}

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
