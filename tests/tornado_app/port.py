"""One port of an app without a host: the real keeper, real processes, no systemd."""

import contextlib
import fcntl
import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "roles/tornado_app/files"
SETTINGS = {
    "main": "server.py",
    "arguments": [],
    "environment": {},
    "uploads": [],
    "health_path": "/healthz",
    "start_timeout": 30,
    "settle_time": 0.3,
    "drain_timeout": 4,
    "watchdog": 0,
}


class Port:
    """A keeper on a port of its own below a folder.

    python: the interpreter that the releases run on. path: a folder with their Tornado.
    """

    def __init__(self, folder, python=sys.executable, path=""):
        self.home = folder / "app"
        self.runtime = folder / "run" / "tornado-app"
        self.units = folder / "units"
        self.runtime.mkdir(parents=True)
        self.units.mkdir()
        shutil.copytree(FILES / "keeper", self.home / "keeper")
        self.venv = folder / "venv"
        (self.venv / "bin").mkdir(parents=True)
        path, python = shlex.quote(str(path)), shlex.quote(str(python))
        (self.venv / "bin/python").write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {python} "$@"\n')
        (self.venv / "bin/python").chmod(0o755)
        self.number = free_port()
        # By its number, as systemd does: else a socket that is shut listens elsewhere again.
        self.listener = socket.create_server(("127.0.0.1", self.number), backlog=1024)
        self.log = folder / "log"
        self.keeper = None
        self.wrapper = []  # what the keeper is started by, before its own command
        self.stored = {}  # what systemd keeps over a restart: name -> socket

    def add(self, name, source, **settings):
        """Put a release below the home: source is the text of server.py, or a folder."""
        release = self.home / "releases" / name
        if isinstance(source, str):
            release.mkdir(parents=True)
            (release / "server.py").write_text(source)
        else:
            shutil.copytree(source, release)
        own = release / ".release"
        shutil.copytree(FILES / "release", own)
        (own / "venv").symlink_to(self.venv)
        (own / "settings.json").write_text(json.dumps({**SETTINGS, **settings}))

    def point(self, name):
        """Let "current" name a release."""
        link = self.home / "new"
        link.symlink_to(f"releases/{name}")
        link.replace(self.home / "current")

    def start(self):
        """Start the keeper as systemd does, and wait until it says READY."""
        address = self.runtime / "notify"
        address.unlink(missing_ok=True)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(address))
        names, sockets = ["http"], [self.listener]
        for name, stored in self.stored.items():
            names.append(name)
            sockets.append(stored)
        # The shell gives its own pid, and the descriptors from 3 on, to the keeper.
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for one in sockets]
        moves = " ".join(f"{3 + number}<&{fd} {fd}<&-" for number, fd in enumerate(high))
        keeper = f"/usr/bin/python3 -SEs {self.home}/keeper/keeper.py serve {self.number}"
        environment = {
            **os.environ,
            "LISTEN_FDS": str(len(names)),
            "LISTEN_FDNAMES": ":".join(names),
            "NOTIFY_SOCKET": str(address),
            "RUNTIME_DIRECTORY": str(self.runtime),
            # A stand-in for systemctl goes first.
            "PATH": f"{Path(__file__).parent}:{os.environ['PATH']}",
            "PORT_UNITS": str(self.units),
            "PORT_WORKER": str(self.home / "keeper/worker.py"),
            "PORT_RUNTIME": str(self.runtime),
            "PORT_LOG": str(self.log),
        }
        with self.log.open("ab") as log:
            self.keeper = subprocess.Popen(
                ["/bin/bash", "-c", f"exec {moves}; LISTEN_PID=$$ exec {shlex.join(self.wrapper)} {keeper}"],
                pass_fds=high,
                env=environment,
                stderr=log,
                stdout=log,
            )
        for fd in high:
            os.close(fd)
        ready = threading.Event()
        threading.Thread(target=self.be_systemd, args=(notify, ready), daemon=True).start()
        assert ready.wait(120), self.log.read_text()

    def be_systemd(self, notify, ready):
        """Hear what the keeper says, and store what it wants stored."""
        while True:
            data, descriptors, _flags, _address = socket.recv_fds(notify, 4096, 8)
            words = dict(line.split("=", 1) for line in data.decode().splitlines())
            if "READY" in words:
                ready.set()
            if "FDSTORE" in words:
                self.stored[words["FDNAME"]] = socket.socket(fileno=descriptors[0])
            if "FDSTOREREMOVE" in words and words["FDNAME"] in self.stored:
                self.stored.pop(words["FDNAME"]).close()

    def restart(self, word="retire"):
        """What `systemctl restart` does: the keeper hears of it, ends, and another starts."""
        if word:
            self.ask(do=word)
        self.keeper.terminate()
        self.keeper.wait(60)
        self.start()

    def run(self, verb):
        """The exit code of one of the keeper's commands, as systemd runs them."""
        command = ["/usr/bin/python3", self.home / "keeper/keeper.py", verb, str(self.number)]
        return subprocess.run(command, env={"RUNTIME_DIRECTORY": str(self.runtime)}, check=False).returncode

    def processes(self):
        """Pids of the processes of the releases."""
        pattern = f"{self.home}/releases/.*tornado_app_runner.py {self.number} "
        return subprocess.run(["pgrep", "--full", pattern], capture_output=True, text=True).stdout.split()

    def ask(self, **message):
        """One command to the keeper, on a connection of its own; the answer."""
        with self.connect() as channel:
            return self.tell(channel, **message)

    def swap(self, release):
        """Swap, and wait for the process before to end: until it has heard of it, both accept."""
        assert self.ask(do="swap", release=release)["ok"]
        assert self.wait_for(lambda: not self.ask(do="status")["draining"])

    def connect(self):
        """A connection to the keeper."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(30)
        channel.connect(str(self.runtime / f"{self.number}.sock"))
        return channel

    def tell(self, channel, **message):
        """One command on a connection that stays; the answer."""
        channel.send(json.dumps(message).encode())
        return json.loads(channel.recv(65536))

    def get(self, path="/", timeout=10):
        """The body of an answer on a new connection; an error's status as a number."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.number}{path}", timeout=timeout) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code

    def open(self):
        """A client's connection, opened by its first request."""
        return http.client.HTTPConnection("127.0.0.1", self.number, timeout=10)

    def post(self, path, body=""):
        """The status of a POST's answer; None if there was none."""
        connection = self.open()
        try:
            connection.request("POST", path, body)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def wait_for(self, question, seconds=10):
        """Ask again until the answer is true; the last answer."""
        end = time.monotonic() + seconds
        while not (answer := question()) and time.monotonic() < end:
            time.sleep(0.05)
        return answer

    def stop(self):
        """End the keeper and, should it have failed to, what it has started."""
        if self.keeper and self.keeper.poll() is None:
            with contextlib.suppress(OSError):
                self.ask(do="stop")
            self.keeper.terminate()
            try:
                self.keeper.wait(15)
            except subprocess.TimeoutExpired:
                self.keeper.kill()
        for stored in self.stored.values():
            stored.close()
        self.listener.close()
