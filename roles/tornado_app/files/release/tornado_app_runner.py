"""Run an unmodified Tornado program on a socket that it did not open.

    tornado_app_runner.py PORT (SCRIPT | COMMAND | -m MODULE) [ARGUMENT ...]

A script is the release's, a command its environment's. The program believes that it listens on
PORT, or on the one that TORNADO_APP_LISTENS_ON names, as it always did. What it gets is the socket
that systemd holds on the loopback address. It accepts nothing until its keeper says so:
the keeper asks for its health first, on a connection of their own. Told to drain, it
finishes what it has and ends.

The keeper's words, one JSON object a packet, on the descriptor that TORNADO_APP_KEEPER
names: probe (with a connection), accept, adopt (with a socket that connections come
over), drain, ping, who, retire, take (with a socket).

Written for every Tornado from 3.1 on, and for Python 3.9 and later.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import json
import os
import select
import socket
import struct
import sys
import traceback
from collections.abc import Iterable
from typing import Any, Optional

Message = dict[str, Any]  # one packet, from JSON; empty at the end of the channel
Handed = Optional[socket.socket]  # what came with it
Packet = tuple[Message, Handed]

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1  # prctl(2)
PORT_TIMEOUT = 10.0  # seconds that the keeper may take to answer for a further port


def log(text: str) -> None:
    """One line into the journal, recognisable as ours."""
    sys.stderr.write("tornado_app: %s\n" % text)
    sys.stderr.flush()


class Channel(object):
    """The runner's end of the channel to the keeper. Without a keeper, all messages go nowhere."""

    def __init__(self, control: socket.socket | None = None) -> None:
        self.control: Any = control
        self.waiting: list[Packet] = []  # messages that came while another was waited for
        if control:
            control.setblocking(False)

    def say(self, **message: Any) -> None:
        if self.control:
            try:
                self.control.send(json.dumps(message).encode("utf-8"))
            except OSError:
                pass  # the end of the channel is read as well

    def give(self, handed: socket.socket, **message: Any) -> None:
        """Say something and hand over a socket."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", handed.fileno()))]
        self.control.sendmsg([json.dumps(message).encode("utf-8")], rights)

    def read(self) -> Packet | None:
        """The next message, with a socket or None; None if there is none, {} at the end."""
        if self.waiting:
            return self.waiting.pop(0)
        try:
            data, rights, _flags, _address = self.control.recvmsg(4096, socket.CMSG_SPACE(4))
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return {}, None
        handed = None
        for _level, _kind, content in rights:
            handed = socket.socket(fileno=struct.unpack("i", content[:4])[0])
            handed.setblocking(False)
        return (json.loads(data.decode("utf-8")) if data else {}), handed

    def request_port(self, address: str, port: int) -> socket.socket:
        """A further port: the keeper has it from an earlier process, or it is opened here."""
        self.say(**{"is": "wants", "address": address, "port": port, "opens": True})
        others: list[Packet] = []
        while select.select([self.control], [], [], PORT_TIMEOUT)[0]:
            message, handed = self.read() or ({}, None)
            if message.get("do") == "take":
                self.waiting = others + self.waiting
                if message.get("open"):
                    handed = socket.create_server(
                        (address, port),
                        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                        backlog=1024,
                    )
                    self.give(handed, **{"is": "opened", "address": address, "port": port})
                if handed is None:
                    raise OSError(message["errno"], "%s: port %d" % (message["error"], port))
                return handed
            if not message:
                break
            others.append((message, handed))
        raise OSError(errno.ETIMEDOUT, "the keeper did not open port %d" % port)


class Instance(object):
    """Where the runner takes hold of Tornado: binding, accepting, health checks.

    asked: a port that the program asks for instead, or 0. listener: the listening socket, or None when
    started by hand. Servers, streams and loops are Tornado's own, of whatever version.
    """

    def __init__(self, port: int, asked: int, listener: socket.socket | None, keeper: Channel) -> None:
        self.port, self.asked, self.listener, self.keeper = port, asked, listener, keeper
        self.lent: list[socket.socket] = []  # sockets that the program got from us
        self.waiting: list[tuple[Any, list[socket.socket]]] = []  # servers that must not accept yet
        self.servers: list[Any] = []  # servers on lent sockets, the one on our port first
        self.incoming: list[socket.socket] = []  # where idle connections come from
        self.loop: Any = None
        self.accepting = self.draining = self.retiring = False
        self.foreign = ""  # what the program has opened without Tornado

    def install(self) -> None:
        """Put our functions where Tornado's own stood."""
        import tornado.autoreload
        import tornado.netutil
        import tornado.process
        import tornado.tcpserver
        import tornado_app_foreign
        import tornado_app_streams
        from tornado_app_connections import Connections

        self.connections = Connections(self.port)
        self.connections.install()
        tornado_app_streams.install()
        tornado_app_foreign.install(lambda port: self.opens("port %s" % port if port else ""))
        self.real_bind_sockets = tornado.netutil.bind_sockets
        self.real_bind_unix_socket = tornado.netutil.bind_unix_socket
        self.real_add_sockets = tornado.tcpserver.TCPServer.add_sockets
        tornado.netutil.bind_sockets = self.bind_sockets
        tornado.tcpserver.bind_sockets = self.bind_sockets
        tornado.netutil.bind_unix_socket = self.bind_unix_socket
        instance = self
        tornado.tcpserver.TCPServer.add_sockets = lambda server, sockets: instance.add_sockets(
            server, sockets
        )
        tornado.process.fork_processes = self.ignore_forks
        tornado.autoreload.start = self.ignore_autoreload

    def ignore_forks(self, number: int | None = None, *args: Any, **kwargs: Any) -> int:
        """One process a port, started and watched from outside: this one goes on as the first of them."""
        import tornado.process

        many = "%d" % number if number else "a process for each processor"
        log("forking (%s) is ignored: one process a port, list more ports in tornado_app_ports" % many)
        tornado.process._task_id = 0
        return 0

    warned = False

    def ignore_autoreload(self, *args: Any, **kwargs: Any) -> None:
        """Deployed code changes by a deploy alone."""
        if not self.warned:
            self.warned = True
            log("autoreload (debug=True) is ignored: a new release comes by a deploy")

    # The port.

    def bind_sockets(
        self, port: int | str, address: str | None = None, *args: Any, **kwargs: Any
    ) -> list[socket.socket]:
        """The inherited socket for our port; others from the keeper, on loopback unless named."""
        number = int(port)
        if number in (self.port, self.asked or self.port) and self.listener is not None:
            lent = socket.socket(fileno=os.dup(self.listener.fileno()))
        elif number == 0 or self.keeper.control is None:
            real: list[socket.socket] = self.real_bind_sockets(port, address or LOOPBACK, *args, **kwargs)
            return real
        else:
            log("the program opens port %d beside its own, %d" % (number, self.port))
            lent = self.keeper.request_port(
                LOOPBACK if address in (None, "", "localhost") else address, number
            )
        lent.setblocking(False)
        if self.foreign:
            # It has only looked.
            self.keeper.say(**{"is": "foreign", "reason": ""})
        self.lent.append(lent)
        return [lent]

    def opens(self, what: str) -> None:
        """Say what was opened by no server of Tornado's, as long as none of those has a port."""
        if what and not self.lent and what != self.foreign:
            self.foreign = what
            self.keeper.say(**{"is": "foreign", "reason": what})

    def bind_unix_socket(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Tornado's own; where the program listens nowhere else, its refusal names it."""
        self.keeper.say(**{"is": "bound", "reason": os.fsdecode(path)})
        return self.real_bind_unix_socket(path, *args, **kwargs)

    def add_sockets(self, server: Any, sockets: Iterable[socket.socket]) -> None:
        """Let servers accept later; without a keeper, at once."""
        from tornado.ioloop import IOLoop

        sockets = list(sockets)
        ours = [one for one in sockets if any(one is lent for lent in self.lent)]
        if not ours:
            self.real_add_sockets(server, sockets)
            return
        self.servers.append(server)
        has_port = any(one.getsockname()[1] == self.port for one in ours)
        if has_port and getattr(server, "ssl_options", None) is not None:
            leave_out_tls(server)
        if self.accepting:
            self.real_add_sockets(server, sockets)
        else:
            self.waiting.append((server, sockets))
            # Tornado's own, where programs look for the address that they have got.
            for one in sockets:
                server._sockets[one.fileno()] = one
                getattr(server, "_handlers", {})[one.fileno()] = lambda: None
        if has_port and self.loop is None:
            self.servers.insert(0, self.servers.pop())
            self.loop = getattr(server, "io_loop", None) or IOLoop.current()
            self.loop.add_handler(self.keeper.control.fileno(), self.hear, self.loop.READ)
            # Said by the loop itself: it turns.
            self.loop.add_callback(lambda: self.say("listening"))

    # The keeper.

    def say(self, what: str, **more: Any) -> None:
        self.keeper.say(**dict(more, load=self.connections.load(), **{"is": what}))

    def hear(self, *_fd_and_events: Any) -> None:
        """Do what the keeper asks."""
        while True:
            packet = self.keeper.read()
            if packet is None:
                return
            message, handed = packet
            if not message:
                self.loop.remove_handler(self.keeper.control.fileno())
                self.orphaned()
                return
            getattr(self, "do_" + message["do"])(message, handed)

    def orphaned(self) -> None:
        """The keeper is gone, and no other has come."""
        if not self.accepting:
            os._exit(1)
        if not self.draining:
            self.do_drain({"seconds": float(os.environ.get("TORNADO_APP_DRAIN_TIMEOUT", "30"))}, None)

    def do_ping(self, _message: Message, _handed: Handed) -> None:
        self.say("alive")

    def do_who(self, _message: Message, _handed: Handed) -> None:
        """A new keeper asks."""
        self.say("known", draining=self.draining, retiring=self.retiring)
        self.retiring = False

    def do_retire(self, _message: Message, _handed: Handed) -> None:
        """The keeper ends for a restart, which asks for a new process."""
        self.retiring = True

    def do_probe(self, _message: Message, handed: socket.socket) -> None:
        """A health check: served as if it had come by the port, TLS left out."""
        from tornado.iostream import IOStream

        coroutine = self.servers[0].handle_stream(IOStream(handed), ("127.0.0.1", 0))
        if coroutine is not None:
            from tornado.gen import convert_yielded  # 4.1 and later

            self.loop.add_future(convert_yielded(coroutine), lambda future: future.result())

    def do_accept(self, _message: Message, _handed: Handed) -> None:
        # From here on it goes on without its keeper, until the next one comes, and is no longer
        # the first to go where memory runs out.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("0")
        except OSError:
            pass
        self.accepting = True
        for server, sockets in self.waiting:
            self.real_add_sockets(server, sockets)
        self.waiting = []
        self.say("accepting")

    def do_adopt(self, _message: Message, handed: socket.socket) -> None:
        """Idle connections come from the process before."""
        self.incoming.append(handed)
        self.loop.add_handler(handed.fileno(), lambda *_fd_and_events: self.take_in(handed), self.loop.READ)

    def take_in(self, handed: socket.socket) -> None:
        """Serve what has come over a socket from the process before; forget it at its end."""
        from tornado_app_connections import adopt

        if not adopt(self.servers[0], handed):
            self.incoming.remove(handed)
            self.loop.remove_handler(handed.fileno())
            handed.close()

    def do_drain(self, message: Message, handed: Handed) -> None:
        """Stop accepting, finish what is in flight, end."""
        if self.draining:
            return
        self.draining = True
        for channel in list(self.incoming):
            # The process before asks its clients to reconnect from now on; connections that
            # are on their way are still taken in.
            channel.shutdown(socket.SHUT_RD)
            self.take_in(channel)
        for server in self.servers:
            if message.get("close"):
                close_port(server)
            server.stop()
        self.connections.drain(message["seconds"], handed, self.drained)

    def drained(self) -> None:
        from tornado_app_connections import end_program

        self.say("drained")
        end_program()


def leave_out_tls(server: Any) -> None:
    """Let a server speak plainly to the proxy, and let its handlers hear what they would by TLS."""
    log("TLS of its own (ssl_options) is ignored: the proxy has it, and speaks plain HTTP to the program")
    server.ssl_options = None
    if getattr(server, "protocol", "") is None:
        server.protocol = "https"


def close_port(server: Any) -> None:
    """Accept who waits, then refuse connections: for every process that has the socket."""
    for listener in list(getattr(server, "_sockets", {}).values()):
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                break
            connection.setblocking(False)
            server._handle_connection(connection, address)
        listener.shutdown(socket.SHUT_RDWR)


def inherited() -> list[socket.socket]:
    """What the keeper passed to this process: its channel and the listening socket, or nothing."""
    found = []
    for number in os.environ.pop("TORNADO_APP_KEEPER", "").split():
        # The duplicate is not inherited by what the program starts.
        found.append(socket.socket(fileno=os.dup(int(number))))
        os.close(int(number))
    return found


def main() -> None:
    """Run the program of this release until it ends."""
    import tornado_app_foreign
    import tornado_app_program
    import tornado_app_uploads

    # Where it stood, into the journal: when the keeper has to end it (SIGABRT), or a C module crashes.
    faulthandler.enable()
    control, listener = inherited() or (None, None)
    asked = int(os.environ.pop("TORNADO_APP_LISTENS_ON", "0"))
    instance = Instance(int(sys.argv[1]), asked, listener, Channel(control))
    instance.install()
    tornado_app_program.install()
    tornado_app_uploads.install()
    try:
        tornado_app_program.run(sys.argv[2:])
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE or instance.accepting:
            raise
        traceback.print_exc()
        # Its default port is free for a server that only says "starting" before Tornado's does more.
        reason = "opens a port that is taken without Tornado, whose servers alone can be run: if it looks"
        reason += " whether one is free, give it no {port} and name its default one in tornado_app_listens_on"
        instance.keeper.say(**{"is": "refused", "reason": reason})
        sys.exit(1)
    finally:
        if control and not instance.lent:
            instance.opens(tornado_app_foreign.known())
            log("the program ended without listening on port %d" % instance.port)


if __name__ == "__main__":
    # Once more, as a module: the name __main__ belongs to the program.
    import tornado_app_runner

    tornado_app_runner.main()
