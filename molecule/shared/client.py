"""A visitor from outside, who follows no redirect, retries nothing and keeps no cache."""

import base64
import http.client
import socket
import ssl
from dataclasses import dataclass, field

from visitor import Frames, Visited


@dataclass
class Answer:
    """What came back: status, headers (lower case; the last of a name counts), body."""

    status: int
    headers: dict = field(repr=False)
    body: bytes


def password(name, secret):
    """The headers of a visitor who gives a name and a password."""
    return [("Authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode())]


class Client:
    """Asks one test host, published on 127.0.0.1.

    http, https: TCP ports. authority: path of the CA's certificate in PEM, or None for
    the system's own. timeout: seconds for each step.
    """

    def __init__(self, http, https, authority, timeout=10):
        self.ports = {"http": http, "https": https}
        self.authority, self.timeout = authority, timeout

    def context(self):
        """A TLS context that trusts that authority alone."""
        return ssl.create_default_context(cafile=self.authority)

    def connect(self, scheme, name):
        """An open connection; over TLS, one whose certificate is good for the name."""
        connection = socket.create_connection(("127.0.0.1", self.ports[scheme]), self.timeout)
        if scheme == "https":
            return self.context().wrap_socket(connection, server_hostname=name)
        return connection

    def ask(self, target, scheme="https", host="localhost", method="GET", headers=(), body=None, name=None):
        """Send one request, the target byte for byte; the Answer.

        host: the Host header, sent as it is. name: the name for TLS (default: host without
        its port).
        """
        name = name or host.rsplit(":", 1)[0]
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = self.connect(scheme, name)
        connection._validate_path = lambda target: None
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for key, value in [("Host", host), ("Connection", "close"), *headers]:
            connection.putheader(key, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = Answer(
            answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        )
        connection.close()
        return found

    def echo(self, path, messages, host="localhost", headers=()):
        """Open a WebSocket over TLS, send the messages, return what came back."""
        socket = Frames(Site(self, host), path, headers)
        return [socket.echo(message.encode())[1].decode() for message in messages]


class Site(Visited):
    """One site of the host, through nginx and TLS."""

    def __init__(self, client, name="localhost"):
        self.client, self.name = client, name
        self.authority = f"{name}:{client.ports['https']}"

    def connect(self):
        return self.client.connect("https", self.name)
