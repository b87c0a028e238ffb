"""Be the first visitor, from the controller: what keeps the others out is told by nobody else."""

import contextlib
import http.client
import socket
import ssl

from ansible.plugins.action import ActionBase

from ..plugin_utils.nginx_proxy import FIREWALLS

CONNECT_TIMEOUT = 3  # seconds
ANSWER_TIMEOUT = 5  # seconds
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


def status_of(address, port, name, tls):
    """What a site answers for its first page, as a status; 0 where there is no answer in time."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_TIMEOUT)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.connect()
        if tls:
            # Whose certificate it is, the check of the certificates says.
            anybody = ssl.create_default_context()
            anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
            connection.sock = anybody.wrap_socket(connection.sock, server_hostname=name)
        connection.request("GET", "/", headers={"Host": name, "Connection": "close"})
        return connection.getresponse().status
    return 0


class ActionModule(ActionBase):
    """ports: those that nginx listens on, that of TLS last. active: units of the host that are active.
    sites: of each that is asked, C(name) and C(tls).
    """

    def run(self, tmp=None, task_vars=None):
        """Ansible calls this, in a process of its own for each task."""
        result = super().run(tmp, task_vars)
        address, warnings = self.address(), []
        for port in map(int, self._task.args["ports"]) if address else ():
            if problem := problem_of(address, port):
                there = [
                    one.removesuffix(".service") for one in FIREWALLS if one in self._task.args["active"]
                ]
                known = f" (it has {', '.join(there)})" if there else ""
                warnings.append(
                    f"No connection from here to {address}:{port}, where nginx listens: {problem}. "
                    f"Does a firewall of the host{known} or before it let TCP port {port} in?"
                )
        if not warnings and address:
            warnings = list(self.refused(address))
        return {**result, "changed": False, "warnings": warnings}

    def refused(self, address):
        """A sentence for each site that sends its visitors away."""
        for site in self._task.args["sites"]:
            tls = site["tls"] != "none"
            status = status_of(address, int(self._task.args["ports"][-1 if tls else 0]), site["name"], tls)
            said = f"{'https' if tls else 'http'}://{site['name']}/ answers {status}."
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
