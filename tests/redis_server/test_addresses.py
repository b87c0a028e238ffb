"""Which addresses Redis may listen on."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.redis_server import private

ALLOWED = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.5",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "fc00::1",
]
REFUSED = [
    "0.0.0.0",
    "::",
    "*",
    "localhost",
    "redis.example.org",
    "192.0.2.1",
    "172.32.0.1",
    "100.128.0.1",
    "169.254.1.1",
    "2001:db8::1",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "10.0.0.0/8",
    "-127.0.0.1",
    "010.0.0.1",
    "",
    "10.0.0.1 0.0.0.0",
    "10.0.0.1\nport 1",
    "fd00::1%a\nport 1",
    167772161,
]


@pytest.mark.parametrize("address", ALLOWED)
def test_loopback_and_private_ones_are_taken(address):
    assert private(address)


@pytest.mark.parametrize("address", REFUSED)
def test_all_others_are_refused(address):
    assert not private(address)
