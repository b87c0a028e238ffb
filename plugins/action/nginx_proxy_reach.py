"""Connect to nginx's ports from the controller: a visitor who can't is told by nobody else."""

import socket

from ansible.plugins.action import ActionBase

from ..plugin_utils.nginx_proxy import FIREWALLS

CONNECT_TIMEOUT = 3  # seconds


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


class ActionModule(ActionBase):
    """ports: those that nginx listens on. active: units of the host that are active."""

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
        return {**result, "changed": False, "warnings": warnings}

    def address(self):
        """Where visitors would come, as far as the connection says; "" where it goes by others."""
        if self._connection.transport != "ssh":
            return ""
        names = ("ssh_args", "ssh_common_args", "ssh_extra_args")
        arguments = " ".join(self._connection.get_option(name) or "" for name in names)
        return "" if "Proxy" in arguments or "-J" in arguments else self._connection.get_option("host")
