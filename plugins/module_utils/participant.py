"""One host in a release over several hosts: it does what transaction.py decides. Standard library only.

A service of its own for as long as the release is not settled, and some minutes longer to tell the other
hosts. Nobody has to be there for it to turn back: it goes by its own clock, and by whether the run that
wants the release still holds the app's lock. What it has to know after its death, or the host's,
is in /srv/<app>/transaction, its program too.

    /srv/<app>/transaction/order.json    what is asked for; written by the module tornado_app_roll
                           phase.json    how far it is, from when it has switched
                           program.zip   this file, and what it imports
                           control       a socket where the module tells it what to do

Other hosts ask on a TCP port of any number, at the private address where the inventory has one; the answer is
the word, or nothing. It is a secret only until it is said, so that nobody has to prove who asks.
"""

import contextlib
import errno
import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .files import read, remove, write
from .host import UNITS, look
from .lockfile import holder, open_lock
from .refusal import Refusal
from .rollout import Rollout
from .transaction import Act, Phase, Standing, digest_of

LOOK_INTERVAL = 0.5  # seconds between two looks at clock and lock
ASK_INTERVAL = 2.0  # seconds between two questions to the others
ASK_TIMEOUT = 1.0  # seconds for an answer of one of them
START_TIMEOUT = 30  # seconds until the service hears
# Options of linux/in.h and linux/in6.h that Python has no names for.
IP_FREEBIND, IPV6_FREEBIND = (socket.IPPROTO_IP, 15), (socket.IPPROTO_IPV6, 78)
UNIT = """\
# Managed by Ansible (role tornado_app); gone as soon as the release is settled.
[Unit]
Description=A release of Tornado app {app} over several hosts
After=network-online.target tornado-{app}.target
ConditionPathExists={folder}/program.zip

[Service]
Type=exec
ExecStart=/usr/bin/python3 -BI -c "import sys; sys.path.insert(0, '{folder}/program.zip'); \
    from {package}.participant import main; main()" {app}
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def folder_of(app):
    """Where all of it is."""
    return f"/srv/{app}/transaction"


def unit_of(app):
    """The service."""
    return f"tornadoes-transaction-{app}.service"


# What the module calls.


def begin(app, order):
    """Start a participant, as of this module's own files. OSError: it does not start."""
    folder, unit = folder_of(app), unit_of(app)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    shutil.copy(__loader__.archive, f"{folder}/program.zip")
    write(f"{folder}/order.json", json.dumps(order), 0o600)
    text = UNIT.format(app=app, folder=folder, package=__name__.rpartition(".")[0])
    write(f"{UNITS}/{unit}", text, 0o644)
    for words in (["daemon-reload"], ["enable", "--quiet", "--now", unit]):
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{unit} does not start: {done.stderr.strip()}")


def tell(app, **message):
    """One message to the participant; its answer. OSError, ValueError: there is none."""
    end = time.monotonic() + START_TIMEOUT
    with socket.socket(socket.AF_UNIX) as channel:
        while True:
            try:
                channel.connect(f"{folder_of(app)}/control")
                break
            except OSError:
                if message["do"] != "prepare" or time.monotonic() > end:
                    raise
                time.sleep(0.1)
        channel.sendall(json.dumps(message).encode() + b"\n")
        with channel.makefile(encoding="utf-8") as answer:
            return json.loads(answer.read())


def end(app):
    """Let there be none of an earlier run; it turns back what it has not heard the word for."""
    if os.path.exists(folder_of(app)) or os.path.exists(f"{UNITS}/{unit_of(app)}"):
        with contextlib.suppress(OSError, ValueError):
            tell(app, do="end")
        # It may be about to remove what the next one writes.
        subprocess.run(["systemctl", "stop", unit_of(app)], capture_output=True, check=False)
        forget(app)


def forget(app):
    """Remove all that a participant has on the disk."""
    unit = unit_of(app)
    subprocess.run(["systemctl", "disable", "--quiet", unit], capture_output=True, check=False)
    remove(f"{UNITS}/{unit}")
    shutil.rmtree(folder_of(app), ignore_errors=True)
    subprocess.run(["systemctl", "daemon-reload"], capture_output=True, check=False)


# Between hosts.


def answer(listener, participant):
    """Say the word to whoever asks, once it is known."""
    while True:
        with contextlib.suppress(OSError):
            channel, _address = listener.accept()
            with channel:
                channel.settimeout(ASK_TIMEOUT)
                channel.sendall(participant.standing.word.encode())


def ask(address):
    """What another host knows of the word."""
    with contextlib.suppress(OSError, ValueError), socket.create_connection(address, ASK_TIMEOUT) as channel:
        channel.settimeout(ASK_TIMEOUT)
        return channel.recv(64).decode("ascii")
    return ""


def listening(address, port):
    """A socket on which other hosts ask: of one address, which may come later than this, or of all ("").

    After a reboot a program may have the port by now, which is above 1023: then it is another one, where
    nobody asks. The host itself goes on asking the others.
    """
    six = ":" in address or (not address and socket.has_dualstack_ipv6())
    found = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if six:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(address))
    found.setsockopt(*(IPV6_FREEBIND if six else IP_FREEBIND), 1)
    try:
        found.bind((address, port))
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        found.bind((address, 0))
    found.listen()
    return found


def own_addresses():
    """What other hosts may reach this one by: where it would send to them from."""
    found = []
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.connect((somewhere, 9))  # sends nothing
            found.append(channel.getsockname()[0])
    return found


# The service.


class Participant:
    """What one host does in a release.

    order.json has: params and before of the Rollout, digest, patience, the host's private address or "", and
    the token of the run's lock.
    """

    def __init__(self, app):
        self.app, self.folder = app, folder_of(app)
        with open(f"{self.folder}/order.json", encoding="utf-8") as file:
            self.order = json.load(file)
        self.peers = []
        self.step = None  # the lock that a next run waits for
        self.asked = 0.0
        self.rollout = Rollout(self.order["params"], self.order["before"])
        self.rollout.open()
        self.proven = False
        now, known = time.monotonic(), read(f"{self.folder}/phase.json")
        self.standing = Standing(self.order["digest"], self.order["patience"], now)
        self.revived = bool(known)
        known = json.loads(known or "{}")
        if known:
            self.peers = known["peers"]
            self.standing.phase, self.standing.word = Phase(known["phase"]), known["word"]
            # Workers and timers of the release may run.
            self.rollout.jobs.begun = True
        self.listener = listening(self.order["address"], known.get("port", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=answer, args=(self.listener, self), daemon=True).start()

    def write_down(self):
        """Remember it over a death, from before the first port switches."""
        phase, word = self.standing.phase, self.standing.word
        known = {"phase": phase, "word": word, "peers": self.peers, "port": self.port}
        write(f"{self.folder}/phase.json", json.dumps(known), 0o600)

    def hold_step(self, wait):
        """Keep the next run from beginning; whether it is kept."""
        if self.step is None:
            file = open_lock(f"/run/tornado-{self.app}.step")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                file.close()
                return False
            self.step = file
        return True

    def leave_step(self):
        """Let the next run begin."""
        if self.step is not None:
            self.step.close()
            self.step = None

    def run_at_work(self):
        """The token of the run that has the app's lock; "" where none has it."""
        try:
            return json.loads(holder(f"/run/tornado-{self.app}.lock") or '{"token": ""}')["token"]
        except (OSError, ValueError):  # just being written
            return self.order["token"]

    def abandoned(self):
        """Whether the run that has asked for the release has ended."""
        return bool(self.order["token"]) and self.run_at_work() != self.order["token"]

    # What to do, and how it went.

    def do(self, act):
        """Do what has been decided; what the module returns."""
        try:
            if act is Act.SWITCH:
                self.write_down()
                self.rollout.switch()
                self.rollout.activation.hang_up()
            elif act in (Act.TURN_BACK, Act.CALL_OFF):
                self.rollout.turn_back()
            elif act is Act.FORWARD:
                self.forward()
            if act in (Act.KEEP, Act.FORWARD):
                self.rollout.record()
        except Refusal as problem:
            return self.refused(problem)
        return {}

    def forward(self):
        """Switch again, since another host knows that the release is for good."""
        self.rollout = Rollout(self.order["params"], look(self.app))
        self.rollout.prepare()
        self.rollout.switch()

    def refused(self, problem):
        """A port, or a worker, does not take the release."""
        self.standing.back(time.monotonic())
        return self.rollout.refuse(problem)

    # What the controller says.

    def do_prepare(self, _message):
        """Prove the release on all ports."""
        try:
            self.rollout.prepare()
        except Refusal as problem:
            return self.refused(problem)
        self.proven = True
        self.standing.enter(Phase.PREPARED, time.monotonic())
        addresses = [self.order["address"]] if self.order["address"] else own_addresses()
        return {"addresses": [[address, self.port] for address in addresses]}

    def do_switch(self, message):
        """Let it take over."""
        self.peers = message["peers"]
        act = self.standing.switch(time.monotonic()) if self.proven else None
        if not act:
            return {"failed": True, "msg": f"{self.app}: this host has called the release off by itself."}
        found = self.do(act)
        self.standing.enter(self.standing.phase, time.monotonic())
        return found

    def do_watch(self, _message):
        """Whether it still runs the release well, as the controller asks while the others wait."""
        now = look(self.app)
        for port in self.rollout.activation.swapped:
            one = now["ports"][str(port["port"])]
            if one["release"] != self.order["params"]["release"] or one["pid"] != port["pid"]:
                return {"failed": True, "msg": f"port {port['port']} has not stayed well"}
        for key, one in now["workers"].items():
            if one["state"] != "active":
                return {"failed": True, "msg": f"the worker {key} {one['ended']}"}
        return {}

    def do_confirm(self, message):
        """It is for good."""
        act = self.standing.hear(message["word"], time.monotonic())
        if self.standing.phase is not Phase.CONFIRMED:
            return {"failed": True, "msg": f"{self.app}: this host has not switched to the release."}
        self.write_down()
        found = self.do(act)
        return found if found.get("failed") else self.rollout.finish()

    def do_back(self, message):
        """It is off. reason: why, where a release is to blame that another host has refused."""
        act = self.standing.back(time.monotonic())
        if act:
            self.do(act)
        if message.get("reason"):
            activation = self.rollout.activation
            activation.record(event="refused", reason=message["reason"], **self.rollout.origin())
        return {"turned_back": act is Act.TURN_BACK}

    def do_end(self, _message):
        """Another run begins."""
        return self.do_back({})

    # Its turns.

    def word_of_others(self):
        """The word, if one of the other hosts knows it; else ""."""
        self.asked = time.monotonic()
        with ThreadPoolExecutor(max(len(self.peers), 1)) as pool:
            said = list(pool.map(ask, map(tuple, self.peers)))
        return next((word for word in said if digest_of(word) == self.order["digest"]), "")

    def ask_others(self, now):
        """Ask each other host for the word; what there is to do, or None."""
        if not self.standing.asks or now - self.asked < ASK_INTERVAL:
            return None
        return self.standing.hear(self.word_of_others(), now)

    def turn(self):
        """What is due by the clock, the lock, and the others."""
        if self.standing.phase is Phase.RETURNED:
            if self.run_at_work() not in ("", self.order["token"]):
                self.standing.back(time.monotonic())  # another run has the app now
                return
            if not self.hold_step(wait=False):
                return  # something else changes it just now
        act = self.ask_others(time.monotonic())
        act = act or self.standing.look(time.monotonic(), self.abandoned(), self.word_of_others)
        if act:
            why = "The run has not said it" if self.standing.word else "No word of the run"
            print(f"{why}: {act}.", file=sys.stderr, flush=True)
            if self.standing.word:
                self.write_down()
            self.do(act)
            # A death before this does it again.
            self.write_down()
        if self.standing.phase in (Phase.RETURNED, Phase.CONFIRMED):
            self.leave_step()

    def run(self):
        """Serve until it is settled."""
        control = socket.socket(socket.AF_UNIX)
        remove(f"{self.folder}/control")
        control.bind(f"{self.folder}/control")
        control.listen()
        self.hold_step(wait=True)
        if self.revived:
            act = self.standing.revive(time.monotonic(), self.word_of_others)
            if act:
                print(f"There again after a death: {act}.", file=sys.stderr, flush=True)
                self.do(act)
                self.write_down()
        while self.standing.phase is not Phase.ENDED:
            if select.select([control], [], [], LOOK_INTERVAL)[0]:
                channel, _address = control.accept()
                with channel, channel.makefile(encoding="utf-8") as lines:
                    message = json.loads(lines.readline())
                    found = getattr(self, f"do_{message['do']}")(message)
                    with contextlib.suppress(OSError):
                        channel.sendall(json.dumps(found).encode())
                continue
            self.turn()
        forget(self.app)


def main():
    """systemd calls this."""
    os.umask(0o022)
    Participant(sys.argv[1]).run()
