"""A release over several hosts, as the controller sees it: which hosts, how each stands, what follows."""

import contextlib
import hashlib
import os
import secrets
import time
from urllib.parse import quote

from ansible import constants, context
from ansible.errors import AnsibleError

from ..module_utils.text import printable
from ..module_utils.transaction import verdict
from .unreachable import unreachable
from .values import address, port

PREPARED, SWITCHED = "__tornado_app_rolled", "__tornado_app_switched"  # what the tasks register
CONFIRM_TIMEOUT = 45  # seconds from a host's switch to the word, where all hosts are asked at once
SETTLED_TIMEOUT = 600  # seconds that hosts ask, and tell, each other
MOST_ADDRESSES = 2  # of a host: one of IPv4, one of IPv6
MOST_SAID = 4000  # characters of a host's reason, which goes into the history of the others


def apps_of(variables):
    """Names of the apps that a host has by its variables, as the role's defaults have them."""
    listed = variables.get("tornado_app_apps") or [{}]
    default = variables.get("tornado_app_name") or "hello"
    state = variables.get("tornado_app_state") or "present"
    return [one.get("name", default) for one in listed if one.get("state", state) == "present"]


def has(app, variables):
    """Whether a host has the app. One that can't be reached may have it by facts that it has not given."""
    try:
        return app in apps_of(variables)
    except AnsibleError:
        return True


def hosts_of(app, variables):
    """The hosts of the play that have the app, whatever has become of them since."""
    own, known = variables["inventory_hostname"], variables["hostvars"]
    every, batch = variables["ansible_play_hosts_all"], variables["ansible_play_batch"]
    if set(variables["ansible_play_hosts"]) - set(batch):
        every = batch  # a play with "serial": what is not in the batch comes before it, or after it
    return [one for one in every if one == own or has(app, known[one])]


def patience(hosts, batches=1, canary=0):
    """Seconds in each phase until a host acts by itself, where so many hosts switch in so many batches.

    Where the run has ended, or the connection of its lock has, a host does not wait for that.
    """
    turns = -(-hosts // context.CLIARGS.get("forks", constants.DEFAULT_FORKS))
    settled = dict.fromkeys(("returned", "confirmed"), SETTLED_TIMEOUT)
    switched = CONFIRM_TIMEOUT * max(turns, batches) + canary
    return {**settled, "prepared": SETTLED_TIMEOUT + switched, "switched": switched}


def batches_of(hosts, serial, canary):
    """The hosts in the order in which they switch: lists of those that do so at once.

    serial: a number, or percent of the hosts. canary: whether the first one goes alone.
    """
    size = -(-len(hosts) * int(serial[:-1]) // 100) if serial.endswith("%") else int(serial)
    first, rest = (hosts[:1], hosts[1:]) if canary else ([], hosts)
    following = [rest[start : start + size] for start in range(0, len(rest), size)]
    return [one for one in (first, *following) if one]


def heard_at(found):
    """Where a host says that others hear it. Addresses that they may ask at once, and no more of what it may say."""
    said = found.get("addresses")
    pairs = [one for one in said if isinstance(one, list) and len(one) == 2] if isinstance(said, list) else []
    return [[where, number] for where, number in pairs if address(where) and port(number)][:MOST_ADDRESSES]


def reason_of(found, otherwise):
    """Why a host does not go along, as it says: so much of it, and nothing that a terminal obeys."""
    said = found.get("reason") or found.get("refusal") or found.get("msg") or otherwise
    return "\n".join(map(printable, str(said)[:MOST_SAID].splitlines()))


class Turns:
    """What tasks that run at the same time know of each other: whether a host has switched well.

    name: what is switched. The notes are in the run's own folder, and go with it.
    """

    def __init__(self, name):
        self.folder, self.name = constants.DEFAULT_LOCAL_TMP, name

    def path(self, host):
        """The note about a host."""
        return os.path.join(self.folder, quote(f"{self.name} {host}", safe=""))

    def note(self, host, well):
        """Say how a host has come off, as a whole."""
        with open(f"{self.path(host)}.partial", "w", encoding="ascii") as file:
            file.write("yes" if well else "")
        os.replace(file.name, self.path(host))

    def wait(self, hosts, seconds):
        """Wait for some hosts; those that have not switched well, or not within so many seconds."""
        end, waiting, bad = time.monotonic() + seconds, list(hosts), []
        while waiting and not bad:
            for host in list(waiting):
                with contextlib.suppress(FileNotFoundError), open(self.path(host), encoding="ascii") as file:
                    waiting.remove(host)
                    bad += [] if file.read() else [host]
            if waiting and time.monotonic() > end:
                return [*bad, *waiting]
            time.sleep(0.1)
        return bad


def word_of(app, event):
    """The run's word for an app: a secret that all tasks of the run derive from the same file."""
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, "word")
    try:
        with open(path, "x", opener=lambda *words: os.open(*words, mode=0o600)) as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    with open(path, encoding="ascii") as file:
        return hashlib.sha256(f"{file.read()} {app} {event}".encode()).hexdigest()[:32]


class Together:
    """The hosts of one app in a run. variables: those of a task."""

    def __init__(self, app, release, variables):
        self.app, self.release, self.variables = app, release, variables
        self.host = variables["inventory_hostname"]
        # Those that could not be reached at the start are not waited for: whether that may be was asked then.
        missing = unreachable(variables)
        self.every = hosts_of(app, variables)
        self.hosts = [one for one in self.every if one not in missing]

    def lost(self):
        """Hosts that have failed, or can't be reached any more."""
        return [one for one in self.hosts if one not in self.variables["ansible_play_hosts"]]

    def about_lost(self, what):
        """A sentence on these, and what of this app has not been done for them; "" where all are there."""
        lost = self.lost()
        if not lost:
            return ""
        return (
            f"{self.app}: {what} on this host, since all get it or none. These have failed, or can't be reached:"
            f" {', '.join(lost)}. To leave them out: --limit '!{lost[0]}'."
        )

    def found(self, host, name):
        """What a host's task has registered for this app; {} where it did not come so far."""
        found = self.variables["hostvars"][host].get(name) or {}
        return found if found.get("app") == self.app else {}

    def refusals(self, name):
        """Host to why it does not go along, in words; none if all do."""
        found = {}
        for host in self.hosts:
            before, one = self.found(host, PREPARED), self.found(host, name)
            if before and not before.get("failed") and not before.get("prepared"):
                continue  # it runs the release already
            if one.get("failed") or one.get("refusal"):
                found[host] = reason_of(one, "it failed")
            elif host in self.lost() or not one:
                found[host] = "it failed before, or can't be reached"
        return found

    def all_well(self, name):
        """Whether all hosts go along."""
        refusals = self.refusals(name)
        return verdict({host: host not in refusals for host in self.hosts})

    def taken(self):
        """Whether they have, by what they said when they switched. What comes after that takes nothing back."""
        for host in self.hosts:
            one = self.found(host, PREPARED)
            one = self.found(host, SWITCHED) if one.get("prepared") else one
            if not one or one.get("failed") or one.get("refusal"):
                return False
        return True

    def batches(self, serial, canary):
        """The hosts that switch, in their order."""
        due = [one for one in self.hosts if self.found(one, PREPARED).get("prepared")]
        return batches_of(due, serial, canary)

    def addresses(self):
        """Where the other hosts of the release hear this one."""
        others = [one for one in self.hosts if one != self.host]
        return [pair for one in others for pair in heard_at(self.found(one, PREPARED))]

    def to_blame(self, name):
        """Half a sentence for the history where the release itself was refused by another host; else ""."""
        for host in self.hosts:
            one = self.found(host, name)
            if host != self.host and one.get("bad"):
                return f"{reason_of(one, 'it failed')} (on {host})"
        return ""

    def sentence(self, name, where):
        """Why nothing has come of it, and where this host stands."""
        why = "; ".join(f"{host}: {reason}" for host, reason in self.refusals(name).items())
        return f"{self.app}: release {self.release} was not taken on any host, {where}. {why}."
