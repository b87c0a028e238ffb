"""A connection to a Redis of this host, in its protocol (RESP2). Standard library only.

The hosts have no client library of Redis, and these few commands are no reason to install one.
"""

import socket

OWN = "tornadoes"  # the role's own user
TIMEOUT = 15  # seconds, for a Redis that is not busy reading its data


class Connection:
    """A connection to a Redis over its socket, as the role's own user.

    An error of Redis is an OSError here: it leaves as much to hope for as no connection at all.
    """

    def __init__(self, path, password):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        try:
            self.socket.connect(path)
            self.stream = self.socket.makefile("rb")
            self.ask("AUTH", OWN, password)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.stream.close()
        self.socket.close()

    def ask(self, *words):
        """Redis's answer to a command: a string, None, or a list of these."""
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
        self.socket.sendall(b"".join(parts))
        return self.answer()

    def answer(self):
        """The next answer on the wire."""
        line = self.stream.readline().decode("utf-8", "replace")
        kind, rest = line[:1], line[1:].rstrip("\r\n")
        if kind == "*":
            return [self.answer() for _one in range(int(rest))]
        if kind == "$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        if kind in ("+", ":"):
            return rest
        raise OSError(rest or "Redis closed the connection")

    def information(self, section):
        """What INFO says in a section, name to value."""
        lines = self.ask("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)
