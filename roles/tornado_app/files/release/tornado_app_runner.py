"""Run an unmodified Tornado program on a socket that it did not open.

    tornado_app_runner.py PORT (SCRIPT | -m PACKAGE) [ARGUMENT ...]

The program believes that it listens on PORT as it always did. What it gets is
the socket that systemd holds on the loopback address, so that it is reachable
through the proxy alone, and so that a restart refuses no connection. Once its
IOLoop turns with that socket, systemd is told that the instance is ready.

Written for every Tornado from 3.1 on and every Python that runs one.
"""

import os
import runpy
import socket
import sys

LOOPBACK = "127.0.0.1"
FIRST_INHERITED_FD = 3  # sd_listen_fds(3): descriptors start here


def log(text):
    """One line into the journal, recognisable as ours."""
    sys.stderr.write("tornado_app: %s\n" % text)
    sys.stderr.flush()


def inherited_socket():
    """The listening socket that systemd passed to this process, or None."""
    passed_to = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "0")
    os.environ.pop("LISTEN_FDNAMES", None)
    if passed_to != str(os.getpid()) or count == "0":
        return None
    # fromfd duplicates the descriptor; the copy is not inherited by subprocesses.
    kept = socket.fromfd(FIRST_INHERITED_FD, socket.AF_INET, socket.SOCK_STREAM)
    os.close(FIRST_INHERITED_FD)
    kept.setblocking(False)
    return kept


def notify_systemd(state):
    """Send one sd_notify(3) message; silently nothing outside of systemd."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        channel.sendto(state.encode("utf-8"), address)
    finally:
        channel.close()


class Instance(object):
    """Where the runner takes hold of Tornado: who binds, and who is ready."""

    def __init__(self, port, kept):
        self.port = port
        self.kept = kept
        self.handed_out = []

    def install(self):
        """Put our functions where Tornado's own stood."""
        import tornado.autoreload
        import tornado.netutil
        import tornado.process
        import tornado.tcpserver

        self.real_bind_sockets = tornado.netutil.bind_sockets
        self.real_add_sockets = tornado.tcpserver.TCPServer.add_sockets
        tornado.netutil.bind_sockets = self.bind_sockets
        tornado.tcpserver.bind_sockets = self.bind_sockets
        instance = self
        tornado.tcpserver.TCPServer.add_sockets = lambda server, sockets: instance.add_sockets(
            server, sockets
        )
        # One process a port, started and watched by systemd: no forks, no reloader.
        tornado.process.fork_processes = lambda *ignored, **also_ignored: 0
        tornado.autoreload.start = lambda *ignored, **also_ignored: None

    def bind_sockets(self, port, address=None, *args, **kwargs):
        """The kept socket for our port; others on loopback unless the program says where."""
        if int(port) != self.port:
            log("the program opens port %s, this instance's own is %d" % (port, self.port))
            return self.real_bind_sockets(port, address or LOOPBACK, *args, **kwargs)
        if self.kept is None:
            return self.remember(self.real_bind_sockets(port, LOOPBACK))
        again = socket.fromfd(self.kept.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        again.setblocking(False)
        return self.remember([again])

    def remember(self, sockets):
        """Note what was handed out, to know it again in add_sockets."""
        self.handed_out.extend(sockets)
        return sockets

    def add_sockets(self, server, sockets):
        """Let the server accept, and say so as soon as the loop turns."""
        from tornado.ioloop import IOLoop

        sockets = list(sockets)
        self.real_add_sockets(server, sockets)
        if any(one is ours for one in sockets for ours in self.handed_out):
            loop = getattr(server, "io_loop", None) or IOLoop.current()
            loop.add_callback(self.ready)

    def ready(self):
        """Tell systemd; `systemctl status` shows the text."""
        release = os.environ.get("TORNADO_APP_RELEASE", "by hand")
        notify_systemd("READY=1\nSTATUS=Release %s on port %d" % (release, self.port))


def run_program(words):
    """Do what ``python SCRIPT ...`` or ``python -m PACKAGE ...`` would do."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    script = os.path.abspath(words[0])
    sys.argv = words
    sys.path[0] = os.path.dirname(script)
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    # In the real __main__, so that what the program pickles can be found again.
    module = sys.modules["__main__"]
    module.__dict__.clear()
    module.__dict__.update(__name__="__main__", __file__=script, __builtins__=__builtins__)
    exec(code, module.__dict__)


def main():
    """Run the program of this release until it ends."""
    port = int(sys.argv[1])
    instance = Instance(port, inherited_socket())
    instance.install()
    try:
        run_program(sys.argv[2:])
    finally:
        if not instance.handed_out:
            log("the program ended without listening on port %d" % port)


if __name__ == "__main__":
    # Once more, as a module: the name __main__ belongs to the program.
    import tornado_app_runner

    tornado_app_runner.main()
