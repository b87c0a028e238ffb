"""What the values of the role redis_server may be. A password is in no sentence."""

import ipaddress
import re

from .values import address, filled, listed, port, quoted, twice

PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
]
RESERVED = ("default", "tornadoes")
NAME = re.compile("[a-z0-9][a-z0-9_-]{0,31}")
KEY = re.compile(r"[!#-&(-\[\]-~]+")  # printable, neither space, quote nor backslash
COMMAND = re.compile(r"[+-]@?[a-z][a-z0-9_|.-]*")
MEMORY = re.compile("[1-9][0-9]*[KMGT]")
SHORTEST = 16  # characters of a password


def private(text):
    """Whether a text is an address that only the host itself or its own network can reach."""
    found = address(text)
    return found is not None and any(found in one for one in PRIVATE)


class Inputs:
    """variables: name to value. run: what is known of the run, see the action C(inputs)."""

    def __init__(self, variables, run):
        self.variables, self.run = variables, run
        options = run.options["redis_server_users"]["options"]
        self.users = [filled(options, one) for one in variables["redis_server_users"]]
        self.present = variables["redis_server_state"] == "present"

    def refusals(self):
        """A sentence for each value that can't be meant."""
        number, memory = self.variables["redis_server_port"], self.variables["redis_server_memory_max"]
        if not port(number):
            yield f"redis_server_port: {number} is no TCP port. Allowed are 1 to 65535."
        yield from self.about_addresses(self.variables["redis_server_addresses"])
        if not MEMORY.fullmatch(memory):
            yield (
                f"redis_server_memory_max: '{memory}' is no amount. Write a number and K, M, G or T, as 256M."
            )
        yield from self.about_users()

    def about_addresses(self, addresses):
        """Where Redis shall listen."""
        if not addresses or twice(addresses):
            yield (
                f"redis_server_addresses: {listed(addresses) or 'an empty list'} won't do. "
                "Give at least one address, and each of them once."
            )
        bad = [one for one in addresses if not private(one)]
        if bad:
            yield (
                f"redis_server_addresses: {listed(bad)} is no loopback or private address. Allowed are those in "
                "127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, ::1 and fc00::/7."
            )

    def about_users(self):
        """Who may come in."""
        names = [one["name"] for one in self.users]
        bad = [name for name in names if name in RESERVED or not NAME.fullmatch(name)]
        if bad:
            yield (
                f"redis_server_users: {quoted(bad)} can't be the name of a user. Take up to 32 small letters, "
                "digits, - and _, but not default (Redis's word for who gives no name) nor tornadoes."
            )
        if twice(names):
            yield f"redis_server_users: a name is given twice ({listed(names)}). Each user has its own."
        short = [one["name"] for one in self.users if len(str(one["password"])) < SHORTEST]
        if short:
            yield (
                f"redis_server_users: the password of {listed(short)} is too short. Give at least "
                f"{SHORTEST} characters."
            )
        bad = [key for one in self.users for key in one["keys"] if not KEY.fullmatch(key)]
        bad += [word for one in self.users for word in one["commands"] if not COMMAND.fullmatch(word)]
        if bad:
            yield (
                f"redis_server_users: {quoted(bad)} won't do. Give keys without spaces, quotes and backslashes "
                "(chat:*), and commands in small letters behind + or - (+get, +@read)."
            )

    def questions(self):
        """What the host is asked, for the module C(look)."""
        addresses = [one for one in self.variables["redis_server_addresses"] if private(one)]
        return {"ports": self.listens(), "addresses": addresses, "packages": ["redis-server"]}

    def answers(self, found):
        """A sentence for each value that can't be had on the host."""
        ours = re.compile(r"redis(-server)?(@.*)?\.service")
        bad = [
            f"{number} is listened on by {who}"
            for number, who in sorted(found["holders"].items())
            if not ours.fullmatch(who)
        ]
        if bad:
            yield (
                f"redis_server_port: {listed(bad)} on {self.run.host}. Give another port, or end what listens "
                "there first."
            )

    def listens(self):
        """The ports that it will listen on."""
        number = self.variables["redis_server_port"]
        return [int(number)] if self.present and port(number) else []
