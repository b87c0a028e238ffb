"""Further sockets of a program, beside its port: opened by its first process, kept for the next ones."""

import contextlib
import errno
import socket

from child import Child
from systemd import Manager
from words import Message

MOST = 16  # of one program; systemd stores 64 descriptors


def name_of(message: Message) -> str:
    """What systemd stores a socket by."""
    return f"port-{message['port']}-{message['address'].replace(':', '_')}"


class Ports:
    """The sockets by name. manager: where they are stored over a restart of the keeper."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.kept: dict[str, socket.socket] = {}

    def lend(self, child: Child, message: Message) -> None:
        """Give a process the socket that it asks for, or let it open one."""
        name = name_of(message)
        if message["port"] not in child.others:
            child.others.append(message["port"])
        if name in self.kept:
            child.send({"do": "take"}, self.kept[name])
        elif not message.get("opens"):
            why = "its release is too old for this keeper, deploy it again"
            child.send({"do": "take", "error": why, "errno": errno.EPERM})
        elif len(self.kept) >= MOST:
            child.send({"do": "take", "error": f"more than {MOST} ports", "errno": errno.EMFILE})
        else:
            child.send({"do": "take", "open": True})

    def keep(self, message: Message, brought: socket.socket | None) -> None:
        """Keep what a process has opened, if it is that: a listening socket of that port."""
        name = name_of(message)
        if brought is None or name in self.kept or len(self.kept) >= MOST:
            return
        with contextlib.suppress(OSError):
            listens = brought.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and brought.getsockname()[1] == message["port"]:
                self.kept[name] = brought
                self.manager.keep(name, brought.fileno())

    def close(self, children: list[Child]) -> None:
        """Close those that no process asks for any more."""
        if any(child.adopted for child in children):
            return  # what an earlier keeper has lent is not known
        used = {port for child in children for port in child.others}
        for name in [name for name in self.kept if int(name.split("-")[1]) not in used]:
            self.manager.forget(name)
            self.kept.pop(name).close()
