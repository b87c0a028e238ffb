"""How others speak to a keeper, and what systemd has them say.

They connect to /run/tornado-<app>/PORT.sock, in a folder of root's, and see that it is the
service's main process that listens there. One JSON object a packet:

    {"do": "status"}                               what the port runs
    {"do": "swap", "release": ID, "hold": true}    prepare a process; answered when proven
    {"do": "commit"}                               let it take over; answered when done
    {"do": "swap", "release": ID}                  both at once
    {"do": "socket"}                               the port's socket comes with the answer
    {"do": "heard"}                                it was looked at since the last drain, and is well
    {"do": "stop"}                                 a stop follows; answered with the port's socket
    {"do": "retire"}                               a restart follows
    {"do": "close"}                                a stop follows, of the socket as well

Every answer has "ok". Where that is false, "reason" completes a sentence that begins with
the port, "bad" says whether the release is to blame, and "pid" is its process or 0. A swap
whose client hangs up before the commit is called off.
"""

import array
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import systemd

Request = dict[str, Any]  # one packet of a client, from JSON

SO_ATTACH_FILTER = 26  # socket(7); no name in Python
ANSWER_TIMEOUT = 5.0  # seconds that a keeper may take to hear of a stop
FREE_TIMEOUT = 2.0  # seconds that a child of systemd may hold a port that it has closed


class Ending(StrEnum):
    """What a SIGTERM is about, by the word that announces it."""

    RESTART = "retire"  # the process goes on until the next keeper asks it for another one
    STOP = "stop"  # the process drains
    CLOSE = "close"  # so it does, and the port's socket goes too


def listening(path: str, mode: int) -> socket.socket:
    """A socket of packets that others connect to; a dead keeper's leftover makes room."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.setblocking(False)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener.bind(path)
    os.chmod(path, mode)
    listener.listen(4096)
    return listener


def peer(channel: socket.socket) -> int:
    """The process at the other end: who has connected, or who listens there."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


class Client:
    """One connection to the command socket."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.channel.setblocking(False)
        self.by_hand = False
        self.last_words = ""

    def requests(self) -> Iterator[Request | None]:
        """What it has asked since; None at its end."""
        while True:
            try:
                data = self.channel.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                yield None
                return
            try:
                request = json.loads(data)
            except ValueError:
                request = {}
            yield request if isinstance(request, dict) else {}

    def send(self, answer: dict[str, Any], handed: socket.socket | None = None) -> None:
        """Tell it something, with a socket or without."""
        # One that has hung up is noticed at the next look.
        with contextlib.suppress(OSError):
            socket.send_fds(self.channel, [json.dumps(answer).encode()], [handed.fileno()] if handed else [])


def reload(port: int, runtime: str) -> int:
    """One swap to the current release; the exit code for systemctl."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.connect(os.path.join(runtime, f"{port}.sock"))
        # Where a stop comes in the middle, systemd ends this process: that is no failure of the service.
        signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(0))
        channel.send(json.dumps({"do": "swap", "by_hand": True}).encode())
        answer = json.loads(channel.recv(65536) or b'{"ok": false}')
    # The keeper writes the reason, after systemd's own lines.
    return 0 if answer["ok"] else 1


def jobs() -> dict[str, str]:
    """What systemd is about to do: unit to job."""
    lines = systemd.systemctl("list-jobs", "--plain", "--no-legend").splitlines()
    return {line.split()[1]: line.split()[2] for line in lines if len(line.split()) > 2}


def due(app: str, port: int) -> Ending:
    """What systemd stops a port for. OSError: it gives no answer."""
    found = jobs()
    if found.get(f"{app}@{port}.socket") in ("stop", "restart"):
        return Ending.CLOSE
    return Ending.STOP if found.get(f"{app}@{port}.service") == "stop" else Ending.RESTART


def stop(app: str, port: int, runtime: str) -> int:
    """Before SIGTERM: tell the keeper what it is about."""
    # A systemd or a keeper that is too busy to answer: the keeper asks again.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        ending = due(app, port)
        channel.settimeout(ANSWER_TIMEOUT)
        channel.connect(os.path.join(runtime, f"{port}.sock"))
        channel.send(json.dumps({"do": ending}).encode())
        _answer, handed, _flags, _address = socket.recv_fds(channel, 4096, 1)
        if ending is Ending.CLOSE and handed:
            deafen(socket.socket(fileno=handed[0]))
    return 0


def sweep(app: str, port: int, _runtime: str) -> int:
    """After a stop: end what a keeper has left that could not end it itself."""
    with contextlib.suppress(OSError):
        if due(app, port) is not Ending.RESTART:
            systemd.end(systemd.loaded(f"{app}-worker@{port}-*"))
    return 0


def free(port: int) -> int:
    """Before the port's socket is opened: wait until nobody has it any more, for a moment."""
    end = time.monotonic() + FREE_TIMEOUT
    while time.monotonic() < end:
        with socket.socket() as test:
            test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                test.bind(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.01)
    return 0


def deafen(listener: socket.socket) -> None:
    """Let the kernel drop all that comes to a listening socket from now on. Needs root.

    Who connects hears nothing, asks again after a second (TCP's own first try), and by then
    is refused: nobody is left in the queue of a socket that is about to be closed.
    """
    nothing = array.array("B", struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
    program = struct.pack("HP", 1, nothing.buffer_info()[0])  # struct sock_fprog: one instruction
    with contextlib.suppress(OSError):  # a kernel that forbids it leaves some milliseconds open
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
