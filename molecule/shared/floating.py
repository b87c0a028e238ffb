"""Two hosts that share an address, and who visits it meanwhile."""

import http.client
import os
import subprocess
import threading
import time
from itertools import pairwise

FOUR, SIX = "10.98.32.100", "fd98:32::100"
PAGE = "/doc/netbase/copyright"


class Visitors:
    """Clients of the address as a context: some on a connection each, and a new one every so often.

    Nobody tries again. lost: when and why, of each request that was not answered. pause: the longest time
    without an answer, in seconds.
    """

    def __init__(self, kept=8, interval=0.05):
        self.kept, self.interval = kept, interval
        self.answers, self.lost, self.done = [], [], threading.Event()

    def connect(self):
        connection = http.client.HTTPConnection(FOUR, timeout=5)
        connection.connect()
        return connection

    def ask(self, connection=None):
        """One request, by default on a new connection; the connection, where it can be kept."""
        begun = time.monotonic()
        try:
            connection = connection or self.connect()
            connection.request("GET", PAGE, headers={"Host": "localhost"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise OSError(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as problem:
            self.lost.append((round(begun - self.begun, 2), repr(problem)))
            return None
        self.answers.append(time.monotonic())
        return None if answer.will_close else connection

    def come_again(self):
        connection = None
        while not self.done.is_set():
            connection = self.ask(connection)
            time.sleep(0.15)

    def come_anew(self):
        while not self.done.wait(self.interval):
            thread = threading.Thread(target=self.ask)
            thread.start()
            self.threads.append(thread)

    def __enter__(self):
        self.begun = time.monotonic()
        self.threads = [threading.Thread(target=self.come_again) for _one in range(self.kept)]
        self.threads.append(threading.Thread(target=self.come_anew))
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *problem):
        time.sleep(0 if problem[0] else 2)
        self.done.set()
        for thread in list(self.threads):
            thread.join()
        for thread in self.threads:
            thread.join()
        moments = sorted(self.answers)
        self.pause = round(max(b - a for a, b in pairwise(moments)), 2)
        # To be read in the log: a machine that has much to do makes any pause longer.
        print(
            f"{len(moments)} answered, {len(self.lost)} lost, pause {self.pause} s", *self.lost[:5], sep="\n"
        )


class Pair:
    """Both hosts. fleet: as the fixture has it."""

    def __init__(self, fleet, eventually):
        self.hosts = {name: host for name, _variables, host in fleet}
        self.eventually = eventually

    def holders(self):
        """Names of the hosts that have the address."""
        found = []
        for name, host in self.hosts.items():
            said = host.run("ip -brief address show dev eth0").stdout
            assert (f" {FOUR}/" in said) == (f" {SIX}/" in said) or not said
            found += [name] * (f" {FOUR}/" in said)
        return found

    def says(self, host, command):
        """Whether a command succeeds on a host; not where nobody answers."""
        try:
            return host.run(command).rc == 0
        except RuntimeError:  # testinfra's word for it
            return False

    def settle(self):
        """Wait until both are well and one has the address; its name, and the other's."""
        well = "systemctl is-active nginx keepalived && grep --line-regexp 0 /run/tornadoes-keepalived/nginx"
        for host in self.hosts.values():
            assert self.eventually(lambda host=host: self.says(host, well), 60)
        assert self.eventually(lambda: len(self.holders()) == 1)
        [holder] = self.holders()
        [other] = set(self.hosts) - {holder}
        return holder, other

    def podman(self, verb, name):
        """Do something to a host from outside."""
        sudo = [] if os.getuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "podman", verb, name], check=True, capture_output=True)
