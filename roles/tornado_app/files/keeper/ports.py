"""Further sockets of a program, beside its port: opened by its first process, handed to the next ones."""

import contextlib
import errno
import socket

from child import Child
from systemd import Manager
from words import Message

MAX_SOCKETS = 16  # further ones of a program; systemd stores 64 descriptors


def name_of(message: Message) -> str:
    """The name by which systemd stores a socket."""
    return f"port-{message['port']}-{message['address'].replace(':', '_')}"


class Ports:
    """The sockets by name. manager: where they are stored over a restart of the keeper."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.sockets: dict[str, socket.socket] = {}

    def grant(self, child: Child, message: Message) -> None:
        """Give a process the socket that it asks for, or let it open one."""
        name = name_of(message)
        if message["port"] not in child.others:
            child.others.append(message["port"])
        if name in self.sockets:
            if not child.send({"do": "take"}, self.sockets[name]):
                why = "the kernel has no room for another descriptor in flight"
                child.send({"do": "take", "error": why, "errno": errno.ETOOMANYREFS})
        elif not message.get("opens"):
            why = "its release is too old for this keeper, deploy it again"
            child.send({"do": "take", "error": why, "errno": errno.EPERM})
        elif len(self.sockets) >= MAX_SOCKETS:
            child.send({"do": "take", "error": f"more than {MAX_SOCKETS} ports", "errno": errno.EMFILE})
        else:
            child.send({"do": "take", "open": True})

    def store(self, message: Message, brought: socket.socket | None) -> None:
        """Store what a process has opened, if that is a listening socket of that port."""
        name = name_of(message)
        if brought is None or name in self.sockets or len(self.sockets) >= MAX_SOCKETS:
            return
        with contextlib.suppress(OSError):
            listens = brought.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and brought.getsockname()[1] == message["port"]:
                self.sockets[name] = brought
                self.manager.store(name, brought.fileno())

    def close(self, children: list[Child]) -> None:
        """Close those that no process has asked for."""
        if any(child.adopted for child in children):
            return  # what an earlier keeper has handed out is not known
        used = {port for child in children for port in child.others}
        for name in [name for name in self.sockets if int(name.split("-")[1]) not in used]:
            self.manager.forget(name)
            self.sockets.pop(name).close()
