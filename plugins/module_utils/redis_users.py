"""The file of Redis's users (its ACL): what it says, and what of it may be shown. Standard library only."""

import hashlib
import re

from .redis_client import OWN

OWN_COMMANDS = "+ping +info +acl|load +acl|getuser +config|get +config|set +client|kill"
OWN_REPLICATED = " +replicaof +client|pause +client|unpause"
# As whom hosts come to each other: Redis for data, Sentinel to say who is the master.
REPLICA = "tornadoes-replica"
REPLICA_COMMANDS = "+psync +replconf +ping +info +role +multi +exec +slaveof +config|rewrite +client|setname"
REPLICA_COMMANDS += " +client|kill +script|kill +subscribe +publish"


def known(text):
    """The hashes by which other hosts may come, in a file of users."""
    found = re.search(rf"^user {REPLICA} on (.*?) (?:resetchannels )?&", text, re.MULTILINE)
    return [one.lstrip("#") for one in found[1].split()] if found else []


def hashes(secret, former=()):
    """The words by which other hosts may come. former: hashes that some of them use still."""
    return " ".join(f"#{one}" for one in sorted({hashlib.sha256(secret.encode()).hexdigest(), *former}))


def rules(users, password, secret="", former=()):
    """The file of users: the disabled default one, those of the inventory, and the role's own.

    The last one's key is a digest of the lines before, so that a running Redis shows which
    users it has. secret: by which several hosts with one Redis know each other; former: see hashes().
    """
    # Off, so nobody is it. But as it Redis reads its own file, and drops from that what it may not do.
    lines = ["user default off resetpass ~* &* +@all"]
    for user in sorted(users, key=lambda user: user["name"]):
        keys = [f"~{key} &{key}" for key in user["keys"]]
        words = ["on", f"#{user['hash']}", "resetchannels", *keys, "-@all", *user["commands"]]
        lines.append(f"user {user['name']} {' '.join(words)}")
    if secret:
        lines.append(f"user {REPLICA} on {hashes(secret, former)} resetchannels &* -@all {REPLICA_COMMANDS}")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    own = hashlib.sha256(password.encode()).hexdigest()
    commands = OWN_COMMANDS + (OWN_REPLICATED if secret else "")
    lines.append(f"user {OWN} on #{own} resetchannels ~{digest} -@all {commands}")
    return "".join(f"{line}\n" for line in lines)


def digest_of(text):
    """The digest in a file of users; empty if there is none."""
    found = re.search(rf"^user {OWN} .* ~(\w+) ", text, re.MULTILINE)
    return found[1] if found else ""


def passwords(text):
    """All passwords and hashes in a file of users, as (user, word)."""
    lines = [line.split() for line in text.splitlines()]
    return {(words[1], word) for words in lines if len(words) > 1 for word in words[2:] if word[0] in "#><!"}


def changed(before, after):
    """Names of users that have changed, whose connections must be closed.

    All of them where both files are the same: then a killed run has written what Redis has yet to load.
    """
    old, new = ({line.split()[1]: line for line in text.splitlines()} for text in (before, after))
    return sorted({name for name in new if old.get(name) != new[name]} - {OWN} or {*new} - {OWN})


def redacted(text, other, name):
    """A file of users for --diff: no password, but whether the other file has the same for the user.

    name: what one is called that the other file does not have.
    """
    there = passwords(other)
    for user, word in passwords(text):
        hidden = "a password" if (user, word) in there else name
        text = re.sub(
            rf"^(user {re.escape(user)} .*?){re.escape(word)}(?!\S)", rf"\1({hidden})", text, flags=re.M
        )
    return text


def without_secret(text, other, name):
    """A configuration for --diff: without the password of replication. other, name: as in redacted()."""
    for line in [one for one in text.splitlines() if one.startswith("masterauth ")]:
        hidden = "a password" if line in other.splitlines() else name
        text = text.replace(line, f"masterauth ({hidden})")
    return text
