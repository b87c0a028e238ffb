#!/usr/bin/python3
"""Keep one port of an app served, whatever happens to the processes behind it.

    keeper.py serve PORT    the main process of tornado-<app>@PORT.service
    keeper.py reload PORT   ExecReload: one swap to the release that "current" names
    keeper.py stop PORT     ExecStop: tell a restart from a stop
    keeper.py sweep PORT    ExecStopPost: after a stop, end what is left of the program
    keeper.py free PORT     ExecStartPre of the socket: wait until nobody has the port any more

systemd holds the listening socket. The keeper starts the app's process with it, starts
the next one beside it, lets that one accept once it has proven itself, and drains the
first. It imports nothing of the app. Its channels to the processes are stored with
systemd, so that another keeper takes over where this one is killed or replaced.

The program is not its friend. Each process runs in a unit of its own, under the app's account,
which can neither signal this one nor write where it reads; what it says is checked. This one is
root without any capability, who may ask systemd for such units and little else.

What it can be asked stands in commands.py.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any

import systemd
from child import EXIT_TIMEOUT, Child, State, overlaps, settings_of
from commands import Client, Ending, Request, due, free, listening, peer, reload, stop, sweep
from ports import Ports
from systemd import Manager, inherited, interrupting_close, restore
from words import InvalidMessage, Message

BUSY_INTERVAL = 0.02  # seconds between two turns while something is under way
IDLE_INTERVAL = 1.0  # seconds between two turns otherwise
RETRY_INTERVAL = 1.0  # seconds before a process is started again that ended soon after its start
ACCEPT_TIMEOUT = 5.0  # seconds that a proven process may take to accept
MAX_CONNECTIONS = 512  # from workers in one turn
MAX_RESTARTS = 5  # of a new process that others of its account have ended
ERROR, WARNING, NOTICE = 3, 4, 5  # sd-daemon(3): priorities of the journal


def log(priority: int, text: str) -> None:
    """One line into the journal."""
    print(f"<{priority}>{text}", file=sys.stderr, flush=True)


class Swap:
    """The way of one new process to the port.

    client: who asked, or None for the keeper itself. hold: wait for the client's commit.
    restarts: how often it was started again, without any other process of the program on the port.
    old: the process before, where the two can't run at once; it is drained first, and clients wait
    in the socket's queue.
    """

    def __init__(
        self,
        child: Child,
        client: Client | None = None,
        hold: bool = False,
        old: Child | None = None,
    ) -> None:
        self.child, self.client, self.hold, self.old = child, client, hold, old
        self.accept_watch: systemd.Stopwatch | None = None  # since it was let at the port
        self.seconds: float | None = None  # from its start to its first good answer
        self.restarts = 0
        self.start_at: float | None = None  # once nothing else of the program is on the port
        self.closed_at: float | None = None  # when the process before was told to drain

    @property
    def has_port(self) -> bool:
        """Whether the port is kept for this one, and none is started in place of one that has ended."""
        return bool(self.restarts or self.closed_at)


class Keeper:
    """All that is known of one port.

    home: /srv/<app>. runtime: the folder of its sockets. listener: the port's listening socket.
    """

    def __init__(self, home: str, runtime: str, port: int, listener: socket.socket, manager: Manager) -> None:
        self.home, self.port, self.listener, self.manager = home, port, listener, manager
        self.units = f"{os.path.basename(runtime)}-worker"  # prefix of the processes' units
        # Root alone may give commands; the app's group reaches where its processes connect.
        self.commands = listening(os.path.join(runtime, f"{port}.sock"), 0o600)
        self.workers = listening(os.path.join(runtime, f"{port}.workers"), 0o660)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.commands, selectors.EVENT_READ)
        self.selector.register(self.workers, selectors.EVENT_READ)
        self.clients: list[Client] = []
        self.serving: Child | None = None
        self.release = ""  # id that the port last served
        self.swap: Swap | None = None  # what a client has asked for
        self.recovery: Swap | None = None  # a process in place of one that has ended
        self.retry_at = 0.0
        self.draining: list[Child] = []
        self.terminating: list[Child] = []  # refused and killed, not ended yet
        self.ended: list[Child] = []  # until nothing is left of what they have started
        self.drains: list[dict[str, Any]] = []  # how the last ones went, for the status
        self.unheard = False  # a drain has ended since the port's socket was last checked
        self.ports = Ports(manager)
        self.restarts = 0
        self.refused = ""
        self.made_of = os.environ.get("TORNADO_APP_MADE_OF", "")  # as systemd had read its unit
        self.ready = self.stop_asked = self.stopping = False
        self.ending: Ending | None = None  # what the next SIGTERM is about, once that is announced
        self.deaf = False  # whether the port's socket hears nobody any more
        self.late_lines: list[tuple[float, str]] = []  # (when, text): after systemd's own lines
        self.wake, self.waker = socket.socketpair()
        for one in (self.wake, self.waker):
            one.setblocking(False)
        self.selector.register(self.wake, selectors.EVENT_READ)

    # Start, end, and every turn in between.

    def adopt(self, stored: list[tuple[str, socket.socket]]) -> None:
        """Take over what an earlier keeper left with systemd, by name."""
        found = []
        for name, channel in stored:
            kind, _dash, rest = name.partition("-")
            if kind == "port":
                self.ports.sockets[name] = channel
                continue
            try:
                pid, number, release = rest.split("-")
                unit = f"{self.units}@{self.port}-{release}-{number}.service"
                found.append(Child.adopt(self.port, self.path(release), int(pid), unit, channel))
            except (OSError, ValueError):
                self.manager.forget(name)
        known = {child.unit for child in found}
        self.end_others(set(systemd.loaded(f"{self.units}@{self.port}-*")) - known)
        # One that drains will say so; of several that serve, the youngest goes on.
        for child in sorted(found, key=lambda child: child.number):
            self.watch(child)
            if self.serving:
                self.drain(self.serving, child)
            self.serving, self.release = child, os.path.basename(child.release)
        if self.serving:
            log(NOTICE, f"Took over process {self.serving.pid} of release {self.release}.")

    def end_others(self, units: set[str]) -> None:
        """End what the keeper before had begun and not finished; who answers somebody may drain."""
        for unit in units:
            try:
                release = unit.partition("@")[2].split("-")[1]
                child = Child.find(self.port, self.path(release), unit)
            except (OSError, ValueError):
                systemd.end([unit])
                continue
            self.watch(child)
            self.draining.append(child)

    def run(self) -> None:
        """Serve until systemd says that it is enough."""
        begun = time.monotonic()
        fed = 0.0
        while not (self.stopping and not self.children() and not self.ended):
            now = time.monotonic()
            with interrupting_close():
                self.turn(now)
            unknown = self.serving and self.serving.unknown and now - begun < ACCEPT_TIMEOUT
            if not self.ready and not self.recovery and not unknown:
                self.ready = True
                self.manager.tell("READY=1")
                self.report_status()
            if self.manager.watchdog and now - fed >= self.manager.watchdog / 2:
                fed = now
                self.manager.tell("WATCHDOG=1")
            under_way = self.swap or self.recovery or self.draining or self.ended
            busy = under_way or self.late_lines or not self.ready
            watchdog = self.serving.settings["watchdog"] if self.serving else 0
            limits = [IDLE_INTERVAL, self.manager.watchdog / 2, watchdog / 16]
            idle = min(limit for limit in limits if limit)
            self.selector.select(BUSY_INTERVAL if busy or self.stopping or not self.serving else idle)
            with contextlib.suppress(BlockingIOError):
                self.wake.recv(64)
        if self.deaf:
            # The port is shut, and systemd would call a socket failed that does not listen. It
            # listens once more, but deaf since commands.stop(): else who connects would be lost.
            with contextlib.suppress(OSError):
                self.listener.listen(1)
        # What is still queued in them would hold up the end of this process.
        with interrupting_close():
            channels = [child.control for child in self.children() if child.control]
            for one in (self.workers, *channels, *self.ports.sockets.values()):
                one.close()

    def turn(self, now: float) -> None:
        """Read all that has come, then do what is due."""
        self.serve_clients()
        self.accept_workers()
        for child in self.children():
            try:
                for message, brought in child.messages():
                    self.on_message(child, message, brought)
            except InvalidMessage:
                child.reason = "says what no runner says"
                self.expel(child)
        if self.stop_asked and not self.stopping:
            self.stop()
        self.reap(now)
        for swap in (self.recovery, self.swap):
            if swap:
                self.advance(swap, now)
        reserved = self.swap and self.swap.has_port
        if not (self.serving or self.recovery or self.stopping or reserved) and now >= self.retry_at:
            self.recover(now)
        for child in self.draining:
            child.ping(now)  # for its load in the status; its time is limited anyway
        if self.serving and self.serving.ping(now):
            limit = self.serving.settings["watchdog"]
            why = f"has not answered within {limit} s (tornado_app_watchdog)"
            log(ERROR, f"Process {self.serving.pid} {why}: killing it.")
            self.serving.abort(now)
        while self.late_lines and now >= self.late_lines[0][0]:
            log(ERROR, self.late_lines.pop(0)[1])

    def ask_to_stop(self, *_signal: object) -> None:
        """SIGTERM, between any two lines: the next turn does the rest."""
        self.stop_asked = True

    def stop(self) -> None:
        """Drain and end. Where another keeper follows, leave the process to it."""
        self.stopping = True
        self.deaf = self.ending is Ending.CLOSE
        if self.ending is None:
            self.ending = self.why()
        for swap in (self.swap, self.recovery):
            if swap:
                self.discard(swap)
                self.answer(swap.client, ok=False, bad=False, reason="is being stopped", pid=0)
        if self.serving and self.ending is Ending.RESTART:
            self.serving.send({"do": "retire"})
            self.serving, self.draining, self.terminating, self.ended = None, [], [], []
        elif self.serving:
            timeout = self.serving.settings["drain_timeout"] + 3 * EXIT_TIMEOUT
            self.manager.tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(timeout * 1e6)}")
            self.drain(self.serving, None, close=self.ending is Ending.CLOSE)
            self.serving = None

    def why(self) -> Ending:
        """What a SIGTERM is about that nobody has announced: as for a stop in the middle of a reload."""
        with contextlib.suppress(OSError):
            return due(self.units.removesuffix("-worker"), self.port)
        # Where none follows after all, the process drains by itself as soon as systemd closes its channel.
        return Ending.RESTART

    # Processes.

    def path(self, release: str) -> str:
        """A release's folder."""
        return os.path.join(self.home, "releases", release)

    def current(self) -> str:
        """The release that "current" names, or ""."""
        try:
            return os.path.basename(os.readlink(os.path.join(self.home, "current")))
        except OSError:
            return ""

    def children(self) -> list[Child]:
        """All processes that have not ended."""
        swaps = [swap.child for swap in (self.swap, self.recovery) if swap and swap.child.unit]
        return [*([self.serving] if self.serving else []), *swaps, *self.draining, *self.terminating]

    def watch(self, child: Child) -> None:
        """Wake up when it says something, or ends."""
        if child.control:
            self.selector.register(child.control, selectors.EVENT_READ)
        self.selector.register(child.pidfd, selectors.EVENT_READ)

    def start(self, release: str, client: Client | None = None, hold: bool = False) -> Swap:
        """A new process of a release on its way to the port: the Swap, or OSError, ValueError.

        One that can't run beside those that are there is not started yet, and has no unit.
        """
        path = self.path(release)
        there = [one.settings for one in (*self.children(), *self.ended)]
        if there and not overlaps(settings := settings_of(path), *there):
            return Swap(Child(self.port, path, settings, ""), client, hold)
        return Swap(Child.start(self.port, path, self.units), client, hold)

    def accept_workers(self) -> None:
        """Accept the processes that this keeper has started, and no others."""
        awaited: dict[str, tuple[Child, dict[str, str]]] | None = None
        for _one in range(MAX_CONNECTIONS):
            try:
                channel, _address = self.workers.accept()
            except BlockingIOError:
                return
            if awaited is None:
                # Once for all of them: systemd takes longer to answer than they to connect again.
                awaited = {}
                for child in self.children():
                    if child.state == State.STARTING and child.pidfd < 0 and not child.killed:
                        unit = systemd.show(child.unit)
                        awaited[unit.get("MainPID", "")] = (child, unit)
            with contextlib.suppress(OSError):
                pid = peer(channel)
                # By the kernel and by systemd: no other process can be that one.
                if str(pid) not in awaited:
                    channel.close()
                    continue
                child, unit = awaited.pop(str(pid))
                # Sent first: where the kernel has no room for a descriptor in flight, it connects again.
                words = json.dumps({"release": child.release}).encode()
                socket.send_fds(channel, [words], [self.listener.fileno()])
                child.attach(channel, pid, unit)
                self.watch(child)

    def expel(self, child: Child) -> None:
        """Kill a process whose messages are invalid; what it was for goes on without it."""
        release = os.path.basename(child.release)
        log(ERROR, f"Process {child.pid} of release {release} {child.reason}: killing it.")
        if child.control:
            self.selector.unregister(child.control)
            child.control.close()
            child.control = None
        child.kill()

    def on_message(self, child: Child, message: Message, brought: socket.socket | None) -> None:
        """React to one message of a runner."""
        if message["is"] == "wants":
            self.ports.grant(child, message)
            return
        if message["is"] == "opened":
            self.ports.store(message, brought)
            return
        child.hear(message)
        if message["is"] != "known" or not child.unknown:
            return
        child.unknown = False
        now = time.monotonic()
        if message.get("draining") and child is self.serving:
            self.serving = None
            self.draining.append(child)
            child.state, child.drain_begun = State.DRAINING, now
            child.deadline = now + child.settings["drain_timeout"] + EXIT_TIMEOUT
        elif message.get("retiring") and not self.recovery:
            self.recover(now)

    def recover(self, now: float) -> None:
        """Start a process where none serves, or where a restart asks for another."""
        proven = "" if self.serving else self.release
        release = proven if proven and os.path.isdir(self.path(proven)) else self.current()
        self.retry_at = now + RETRY_INTERVAL
        if not release:
            return
        try:
            self.recovery = self.start(release)
            if not self.serving:
                self.recovery.child.settings["settle_time"] = 0
        except (OSError, ValueError) as problem:
            self.refuse(None, release, f"can't be started ({problem})")

    def reap(self, now: float) -> None:
        """Notice which processes have ended, and kill those whose time is up."""
        for child in self.children():
            if child.state != State.ENDED and child.has_ended(now):
                self.on_exit(child, now)
            elif child.deadline and now > child.deadline:
                child.deadline, child.forced = now + EXIT_TIMEOUT, True
                child.kill()
        for child in list(self.ended):
            if child.is_gone(now):
                systemd.forget(child.unit)
                self.ended.remove(child)

    def on_exit(self, child: Child, now: float) -> None:
        """Forget a process that has ended, and decide what follows."""
        if child.control:
            self.selector.unregister(child.control)
        if child.pidfd >= 0:
            self.selector.unregister(child.pidfd)
        child.close()
        self.ended.append(child)
        self.manager.forget(child.name)
        if child in self.terminating:
            self.terminating.remove(child)
        elif child in self.draining:
            self.draining.remove(child)
            self.unheard = True
            self.ports.close(self.children())
            seconds = round(now - child.drain_begun, 1)
            self.drains = [*self.drains[-9:], {"pid": child.pid, "seconds": seconds, "forced": child.forced}]
        elif child is self.serving:
            self.serving = None
            self.restarts += 1
            if child.meddled_with():
                for one in self.draining:
                    one.kill()  # one of these did it, if any
            self.retry_at = now if now - child.begun > RETRY_INTERVAL * 5 else now + RETRY_INTERVAL
            log(
                ERROR,
                f"Process {child.pid} of release {self.release} {child.how_it_ended()}: starting another.",
            )

    def drain(self, child: Child, successor: Child | None, close: bool = False) -> None:
        """Let a process finish what it has in flight, and end."""
        child.drain(time.monotonic(), successor, close)
        self.draining.append(child)

    # Swaps.

    def advance(self, swap: Swap, now: float) -> None:
        """Bring a new process one step nearer to the port."""
        child = swap.child
        if swap.start_at is not None:
            self.start_alone(swap, now)
            return
        if not child.unit:
            if not swap.hold:
                self.make_room(swap, now)
            return
        if child.state == State.ENDED:
            if child.meddled_with() and swap is self.swap and swap.restarts < MAX_RESTARTS:
                self.kill_others(swap, now)
                return
            when = "before it was let at the port" if swap.seconds is not None else "before it answered"
            self.fail(swap, child.reason or f"{child.how_it_ended()} {when}{child.without_tornado()}")
            return
        child.prove(now)
        if child.reason and child.is_stopped() and swap is self.swap:
            if not child.killed:
                child.kill()  # looked at again when it has ended
        elif child.reason:
            self.fail(swap, child.reason)
        elif child.state == State.SERVING:
            self.take_over(swap, now)
        elif swap.accept_watch is not None:
            if swap.accept_watch.over(now, ACCEPT_TIMEOUT):
                self.fail(swap, f"did not accept within {ACCEPT_TIMEOUT:.0f} s")
        elif child.state == State.PROVEN:
            if swap.seconds is None:
                swap.seconds = round(now - child.begun, 1)
                if swap.hold:
                    self.answer(swap.client, ok=True, pid=child.pid, seconds=swap.seconds)
            if not swap.hold and child.settled(now):
                swap.accept_watch = systemd.Stopwatch(child.cgroup, now)
                child.told_to_accept = True
                child.send({"do": "accept"})

    def kill_others(self, swap: Swap, now: float) -> None:
        """Kill the program's other processes on the port: one of them does not let a new one live.

        What is in flight in them is lost. A process that kills each new release could never be replaced.
        """
        release = os.path.basename(swap.child.release)
        log(
            ERROR,
            f"Process {swap.child.pid} of release {release} {swap.child.how_it_ended()} by another process"
            " of its account: ending the others on this port.",
        )
        for child in [*([self.serving] if self.serving else []), *self.draining]:
            child.kill()
        swap.accept_watch = None
        swap.restarts += 1
        swap.start_at = now + RETRY_INTERVAL

    def make_room(self, swap: Swap, now: float) -> None:
        """Drain the process that serves, before the one that can't run beside it is started."""
        swap.old, swap.closed_at, swap.start_at = self.serving, now, now
        if self.recovery and self.recovery is not swap:
            self.discard(self.recovery)
        if self.serving:
            self.drain(self.serving, None)
            self.serving = None

    def start_alone(self, swap: Swap, now: float) -> None:
        """Start the new process, once nothing else of the program is left on the port."""
        remains = self.draining or self.terminating or self.ended
        if self.serving or remains or (swap.start_at or 0) > now:
            return
        swap.start_at = None
        try:
            swap.child = Child.start(self.port, swap.child.release, self.units)
        except (OSError, ValueError) as problem:
            self.fail(swap, f"can't be started ({problem})")
            return
        if swap.closed_at:
            swap.child.settings["settle_time"] = 0  # who waits for it waits no longer than it takes

    def take_over(self, swap: Swap, now: float) -> None:
        """The new process accepts: drain the old one."""
        child, old = swap.child, self.serving or swap.old
        before = os.path.basename(old.release) if old else ""
        self.serving, self.release = child, os.path.basename(child.release)
        self.refused = ""
        if child.control:
            self.manager.store(child.name, child.control.fileno())
        if old and old is not swap.old:
            self.drain(old, child)
        # The old program may have changed the socket.
        restore(self.listener)
        self.forget(swap)
        if self.recovery:
            self.discard(self.recovery)  # the swap was faster
        closed = round(now - swap.closed_at, 1) if swap.closed_at else 0.0
        waited = f" Clients waited {closed} s." if swap.closed_at else ""
        log(
            NOTICE,
            f"Release {self.release} serves, process {child.pid}, ready after {swap.seconds} s.{waited}",
        )
        self.report_status()
        self.answer(
            swap.client,
            ok=True,
            old=before,
            old_pid=old.pid if old else 0,
            pid=child.pid,
            seconds=swap.seconds,
            closed=closed,
        )

    def fail(self, swap: Swap, reason: str) -> None:
        """Refuse a new process, by its own fault; the one that serves goes on."""
        self.discard(swap)
        self.refuse(swap.client, os.path.basename(swap.child.release), reason, swap.child.pid)

    def discard(self, swap: Swap) -> None:
        """Forget a swap and end its process: drained, if it may have accepted already."""
        self.forget(swap)
        if swap.child.state == State.ENDED or not swap.child.unit:
            return
        if swap.accept_watch is not None:
            self.drain(swap.child, self.serving)
        else:
            swap.child.kill()
            self.terminating.append(swap.child)

    def refuse(self, client: Client | None, release: str, reason: str, pid: int = 0) -> None:
        """Report why a release is refused: to the journal, to systemd, to the client."""
        self.refused = f"release {release} {reason}"
        what = "goes on" if self.serving else "is started again"
        goes_on = f" Release {self.release} {what}." if self.release else ""
        text = f"Refused: release {release} on port {self.port} {reason}.{goes_on}"
        if client and client.by_hand:
            client.last_words = text
        else:
            log(ERROR, text)
        self.report_status()
        # Without a process of it, it was not the release that failed.
        self.answer(client, ok=False, bad=pid > 0, reason=reason, pid=pid)

    def forget(self, swap: Swap) -> None:
        """Forget a swap that is over."""
        if swap is self.swap:
            self.swap = None
        if swap is self.recovery:
            self.recovery = None
            self.retry_at = time.monotonic() + RETRY_INTERVAL

    def report_status(self) -> None:
        """The line that `systemctl status` shows."""
        text = f"Release {self.release} on port {self.port}" if self.serving else "No release serves"
        self.manager.tell(f"STATUS={text}{'; refused: ' + self.refused if self.refused else ''}")

    # Clients.

    def serve_clients(self) -> None:
        """Accept new clients, and do what all of them ask."""
        while True:
            try:
                channel, _address = self.commands.accept()
            except BlockingIOError:
                break
            self.clients.append(Client(channel))
            self.selector.register(channel, selectors.EVENT_READ)
        for client in list(self.clients):
            for request in client.requests():
                if request is None:
                    self.hang_up(client)
                else:
                    # Only what this class has a method for.
                    verb = getattr(self, f"do_{request.get('do')}", self.do_nothing)
                    verb(client, request)

    def hang_up(self, client: Client) -> None:
        """A client is gone: what it has not committed is called off."""
        self.selector.unregister(client.channel)
        client.channel.close()
        self.clients.remove(client)
        if self.swap and self.swap.client is client and self.swap.accept_watch is None:
            self.discard(self.swap)
        if client.last_words:
            self.late_lines.append((time.monotonic() + 0.3, client.last_words))

    def do_status(self, client: Client, _request: Request) -> None:
        self.answer(client, ok=True, **self.status())

    def do_socket(self, client: Client, _request: Request) -> None:
        client.send({"ok": True}, self.listener)

    def do_heard(self, client: Client, _request: Request) -> None:
        self.unheard = False
        self.answer(client, ok=True)

    def do_stop(self, client: Client, request: Request) -> None:
        self.ending = Ending(request["do"])
        client.send({"ok": True}, self.listener)

    do_retire = do_close = do_stop

    def do_commit(self, client: Client, request: Request) -> None:
        if self.swap and self.swap.client is client:
            self.swap.hold = False
        else:
            self.do_nothing(client, request)

    def do_swap(self, client: Client, request: Request) -> None:
        client.by_hand = bool(request.get("by_hand"))
        release = request.get("release") or self.current()
        if self.swap or self.stopping:
            reason = "is being stopped" if self.stopping else "has another swap under way"
            client.last_words = f"Refused: port {self.port} {reason}." if client.by_hand else ""
            self.answer(client, ok=False, bad=False, reason=reason, pid=0)
            return
        try:
            self.swap = self.start(release, client, bool(request.get("hold")))
            if self.swap.hold and not self.swap.child.unit:
                # Nothing of it can be proven yet: the process before serves until the commit.
                self.answer(client, ok=True, pid=0, seconds=0.0)
        except (OSError, ValueError) as problem:
            self.refuse(client, release, f"can't be started ({problem})")

    def do_nothing(self, client: Client, _request: Request) -> None:
        """A commit without a swap, or a verb that nobody knows."""
        self.answer(client, ok=False, bad=False, reason="has no such swap", pid=0)

    def answer(self, client: Client | None, **answer: Any) -> None:
        """Answer a client, unless it has hung up."""
        if client in self.clients:
            client.send(answer)

    def status(self) -> dict[str, Any]:
        """What the port runs. Times in seconds; "since" is a Unix time."""
        now = time.monotonic()
        child = self.serving
        return {
            "release": self.release if child else "",
            "state": "serving" if child else "failing" if self.refused else "waiting",
            "pid": child.pid if child else 0,
            "since": round(time.time() - (now - child.since)) if child else 0,
            "load": child.load if child else {},
            "restarts": self.restarts,
            "refused": self.refused,
            # What an ended process has started may outlive it for a moment.
            "draining": [
                {"pid": one.pid, "release": os.path.basename(one.release), "load": one.load}
                for one in [*self.draining, *(one for one in self.ended if one.drain_begun)]
            ],
            "drains": self.drains,
            "unheard": self.unheard,
            "made_of": self.made_of,
        }


def serve(home: str, port: int, runtime: str) -> None:
    """Be the main process of the service."""
    manager = Manager()
    passed = inherited()
    stored = [(name, one) for name, one in passed if name.startswith(("child-", "port-"))]
    [listener] = [one for name, one in passed if not name.startswith(("child-", "port-"))]
    restore(listener)
    keeper = Keeper(home, runtime, port, listener, manager)
    # A signal wakes the loop, which is where all else happens.
    signal.set_wakeup_fd(keeper.waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, keeper.ask_to_stop)
    signal.signal(signal.SIGALRM, lambda *_signal: None)  # of interrupting_close()
    with interrupting_close():
        keeper.adopt(stored)
    keeper.run()


def main() -> int:
    """systemd calls this."""
    verb, port = sys.argv[1], int(sys.argv[2])
    if verb == "free":
        return free(port)
    home = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
    runtime = os.environ["RUNTIME_DIRECTORY"]
    if verb == "serve":
        serve(home, port, runtime)
        return 0
    if verb == "reload":
        return reload(port, runtime)
    return {"stop": stop, "sweep": sweep}[verb](os.path.basename(runtime), port, runtime)


if __name__ == "__main__":
    sys.exit(main())
