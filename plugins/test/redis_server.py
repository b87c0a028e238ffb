"""Which addresses only the host itself or its own network can reach."""

import ipaddress

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


def redis_server_private(text):
    """Whether this is an address, written as Redis takes it, in one of the networks above."""
    # Python takes a number for an address, and anything at all behind a percent sign.
    if not isinstance(text, str) or "%" in text:
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in PRIVATE)


class TestModule:
    """Ansible finds the tests here."""

    def tests(self):
        """Name to function."""
        return {"redis_server_private": redis_server_private}
