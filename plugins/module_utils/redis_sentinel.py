"""A host's Sentinel: what it reads and whom it takes for the master. Standard library only.

Sentinel writes what it learns into its own configuration. What the role says there is compared by a
digest, which stands as a key in the line of the role's user, as for Redis itself (redis_users.py).
"""

import grp
import hashlib
import os
import pwd
import time

from .files import read, remove, write
from .redis_client import OWN, TIMEOUT, Connection
from .redis_host import PASSWORD
from .redis_users import REPLICA, hashes, known
from .refusal import Refusal
from .systemd import confine, outdated, properties, run

UNIT = "redis-sentinel"
FOLDER = "/var/lib/redis-sentinel"
CONFIGURATION = f"{FOLDER}/tornadoes.conf"
USERS = "/etc/redis/tornadoes.sentinel.acl"
DROP_IN = "/etc/systemd/system/redis-sentinel.service.d/tornadoes.conf"
SOCKET = "/run/sentinel/redis-sentinel.sock"
PORT = 26379
NAME = "tornadoes"  # what all hosts together are called
# Long enough that what Sentinel knows of the others' data when it chooses is of after the master's end: it
# takes no answer that is older than 5 s then.
DOWN_AFTER = 5000
FAILOVER_TIMEOUT = 6000
# What a client needs to find the master.
CLIENT = "+ping +sentinel|masters +sentinel|master +sentinel|get-master-addr-by-name +sentinel|replicas"
CLIENT += " +sentinel|slaves +sentinel|sentinels +subscribe +client|setname"
OWN_COMMANDS = "+ping +acl|getuser +sentinel|master +sentinel|replicas +sentinel|failover"
PEER = "+ping +info +role +hello +publish +subscribe +client +sentinel"
# Lines that Sentinel has learned.
LEARNED = ("myid", "config-epoch", "leader-epoch", "current-epoch", "known-replica", "known-sentinel")


def configuration(replication, addresses, port, master, before=""):
    """What Sentinel reads first.

    replication: address, quorum, group (all addresses), secret. port: Redis's. master: its address.
    before: the file as Sentinel has left it, whose knowledge of the group's hosts stays.
    """
    address, secret, group = (replication[name] for name in ("address", "secret", "group"))
    words = [line.split() for line in before.splitlines() if line.startswith("sentinel ")]
    monitored = next((line[3] for line in words if line[1] == "monitor"), master)
    master = monitored if monitored in group else master
    learned = [line for line in words if line[1] in LEARNED]
    learned = [line for line in learned if not line[1].startswith("known-") or line[3] in group]
    return "\n".join(
        [
            "# Sentinel's own, which it writes itself.",
            f"bind {' '.join(addresses)}",
            f"port {PORT}",
            f"unixsocket {SOCKET}",
            "unixsocketperm 700",
            f"dir {FOLDER}",
            'logfile ""',
            "pidfile /run/sentinel/redis-sentinel.pid",
            f"aclfile {USERS}",
            f"sentinel announce-ip {address}",
            f"sentinel sentinel-user {REPLICA}",
            f"sentinel sentinel-pass {secret}",
            f"sentinel monitor {NAME} {master} {port} {replication['quorum']}",
            f"sentinel auth-user {NAME} {REPLICA}",
            f"sentinel auth-pass {NAME} {secret}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}",
            f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT}",
            *(" ".join(line) for line in learned),
            "",
        ]
    )


def users(names, secret, password, digest, former=()):
    """The file of Sentinel's users. names: name to hash of those who may ask for the master.

    former: as in hashes().
    """
    own = hashlib.sha256(password.encode()).hexdigest()
    lines = ["user default off resetpass resetkeys resetchannels -@all"]
    lines += [f"user {name} on #{names[name]} &* -@all {CLIENT}" for name in sorted(names)]
    lines.append(f"user {REPLICA} on {hashes(secret, former)} &* -@all {PEER}")
    lines.append(f"user {OWN} on #{own} resetchannels ~{digest} -@all {OWN_COMMANDS}")
    return "".join(f"{line}\n" for line in lines)


def asked(*words):
    """What the host's Sentinel answers; None if there is none that lets us in."""
    try:
        with Connection(SOCKET, read(PASSWORD)) as sentinel:
            return sentinel.ask(*words)
    except OSError:
        return None


def master():
    """What the host's Sentinel knows of the master, name to value; empty if there is none."""
    found = asked("SENTINEL", "MASTER", NAME) or []
    return dict(zip(found[::2], found[1::2], strict=True))


def seen():
    """Addresses of the Redises that the host's Sentinel reaches, and of those that it misses."""
    several = [asked("SENTINEL", "MASTER", NAME) or [], *(asked("SENTINEL", "REPLICAS", NAME) or [])]
    found = [dict(zip(one[::2], one[1::2], strict=True)) for one in several if one]
    missed = {one["ip"] for one in found if {"s_down", "disconnected"} & set(one["flags"].split(","))}
    return sorted({one["ip"] for one in found} - missed), sorted(missed)


def digest():
    """The digest of what Sentinel runs with; empty if it does not run."""
    found = asked("ACL", "GETUSER", OWN) or []
    return dict(zip(found[::2], found[1::2], strict=True)).get("keys", "").lstrip("~")


def install(replication, addresses, port, names, drop_in, rekey, check):
    """Let Sentinel run with this; whether something has changed.

    rekey: whether the others may come by the secret of before as well. check: whether it only would.
    """
    now = properties(UNIT, "ActiveState", "UnitFileState")
    runs = now.get("ActiveState") not in ("inactive", "failed", None)
    if runs and not os.path.exists(DROP_IN):
        raise Refusal("a Sentinel that is not this role's runs on the host. Stop it, if nobody needs it")
    password = read(PASSWORD)
    # Whoever is the master now is none of it.
    text = configuration(replication, addresses, port, "", "") + str(sorted(replication["group"]))
    former = known(read(USERS)) if rekey else ()
    told = users(names, replication["secret"], password, text, former)
    wanted = hashlib.sha256(told.encode()).hexdigest()[:12]
    late = read(DROP_IN) != drop_in or outdated(UNIT, DROP_IN)
    if not late and digest() == wanted and now.get("UnitFileState") == "enabled":
        return False
    if check:
        return True
    confine(UNIT, DROP_IN, drop_in)
    # It would write its configuration once more.
    run("systemctl", "stop", UNIT)
    account, group = pwd.getpwnam("redis").pw_uid, grp.getgrnam("redis").gr_gid
    os.makedirs(FOLDER, exist_ok=True)
    os.chmod(FOLDER, 0o700)
    os.chown(FOLDER, account, group)
    write(USERS, users(names, replication["secret"], password, wanted, former), 0o640, group)
    text = configuration(replication, addresses, port, replication["master"], read(CONFIGURATION))
    write(CONFIGURATION, text, 0o600, group)
    os.chown(CONFIGURATION, account, group)
    run("systemctl", "enable", UNIT)
    run("systemctl", "--no-block", "start", UNIT)
    deadline = time.monotonic() + TIMEOUT
    while digest() != wanted:
        if time.monotonic() > deadline:
            _code, log = run("journalctl", f"--unit={UNIT}", "--lines=5", "--output=cat", "--no-pager")
            raise Refusal(f"Sentinel does not run: {' '.join(log.split())[-300:] or 'it says nothing'}")
        time.sleep(0.05)
    return True


def uninstall():
    """Let there be no trace of Sentinel but its package."""
    run("systemctl", "disable", "--now", UNIT)
    for path in (CONFIGURATION, USERS):
        remove(path)
    confine(UNIT, DROP_IN, "")
