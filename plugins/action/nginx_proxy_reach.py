"""Be the first visitor, from the controller: what keeps the others out is told by nobody else."""

import contextlib
import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from ansible.plugins.action import ActionBase

from ..plugin_utils.nginx_proxy import FIREWALLS

CONNECT_TIMEOUT = 3  # seconds
ANSWER_TIMEOUT = 5  # seconds
NOBODY = b"PROXY UNKNOWN\r\n"  # of the PROXY protocol: a balancer itself, who speaks for no client
SENT_AWAY = (400, 403, 421)  # as to a name or an origin that a program does not take for its own


def problem_of(address, port):
    """Why there is no connection; "" where there is one, or no such name here."""
    try:
        socket.create_connection((address, port), CONNECT_TIMEOUT).close()
    except TimeoutError:
        return f"no answer within {CONNECT_TIMEOUT} s"
    except socket.gaierror:  # an alias of ssh's configuration
        return ""
    except OSError as problem:
        return (problem.strerror or str(problem)).lower()
    return ""


def status_of(address, port, name, tls, path, before=b""):
    """What a site answers for a page, as a status; 0 where there is no answer in time. before: sent ahead."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_TIMEOUT)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.connect()
        connection.sock.sendall(before)
        if tls:
            # Whose certificate it is, the check of the certificates says. No CAs, which take a while to read.
            anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
            connection.sock = anybody.wrap_socket(connection.sock, server_hostname=name)
        connection.request("GET", path, headers={"Host": name, "Connection": "close"})
        return connection.getresponse().status
    return 0


def first_pages(sites, ports):
    """Of each site and its paths, for status_of: port, name, whether by TLS, path."""
    found = []
    for site in sites:
        tls = bool(site["tls"])
        port = ports[-1 if tls else 0]
        found += [(port, site["name"], tls, quote(one["path"])) for one in site["upstreams"]]
    return found


def at_once(question, several):
    """The answers to a question that is asked with several arguments, all at the same time."""
    with ThreadPoolExecutor(max_workers=len(several) or 1) as pool:
        return list(pool.map(lambda one: question(*one), several))


class ActionModule(ActionBase):
    """ports: those that nginx listens on, that of TLS last. active: units of the host that are active.
    sites: of each that is asked, C(name), C(tls) and C(upstreams). proxy_protocol: whether the
    ports want it.
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        address, ports = self.address(), [int(one) for one in self._task.args["ports"]]
        warnings = list(self.closed(address, ports) if address else ())
        if address and not warnings:
            warnings = list(self.refused(address, ports))
        elif self._task.args["proxy_protocol"]:
            # Who has to come in is the balancer, and nobody else should.
            warnings = []
        return {**result, "changed": False, "warnings": warnings}

    def closed(self, address, ports):
        """A sentence for each port that lets nobody in."""
        there = [one.removesuffix(".service") for one in FIREWALLS if one in self._task.args["active"]]
        known = f" (it has {', '.join(there)})" if there else ""
        for port, problem in zip(ports, at_once(problem_of, [(address, one) for one in ports]), strict=True):
            if problem:
                yield (
                    f"No connection from here to {address}:{port}, where nginx listens: {problem}. "
                    f"Does a firewall of the host{known} or before it let TCP port {port} in?"
                )

    def refused(self, address, ports):
        """A sentence for each first page that is none."""
        pages = first_pages(self._task.args["sites"], ports)
        before = NOBODY if self._task.args["proxy_protocol"] else b""
        statuses = at_once(status_of, [(address, *page, before) for page in pages])
        for (_port, name, tls, path), status in zip(pages, statuses, strict=True):
            said = f"{'https' if tls else 'http'}://{name}{path} answers {status}."
            if status in SENT_AWAY:
                yield f"{said} If the program does so to names that it does not know, tell it this one."
            elif status >= 500:
                yield said

    def address(self):
        """Where visitors would come, as far as the connection says; "" where it goes by others."""
        if self._connection.transport != "ssh":
            return ""
        names = ("ssh_args", "ssh_common_args", "ssh_extra_args")
        arguments = " ".join(self._connection.get_option(name) or "" for name in names)
        return "" if "Proxy" in arguments or "-J" in arguments else self._connection.get_option("host")
