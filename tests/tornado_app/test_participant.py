"""Where the hosts of a release hear each other: at their private addresses alone, where they have some."""

import socket

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.participant import listening


def hears(address, port):
    """Whether somebody listens there."""
    try:
        socket.create_connection((address, port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_host_with_a_private_address_is_asked_there_alone():
    with listening("127.0.0.2", 0) as listener:
        port = listener.getsockname()[1]
        assert hears("127.0.0.2", port)
        assert not hears("127.0.0.1", port)


def test_a_host_without_one_is_asked_at_all_of_them():
    with listening("", 0) as listener:
        port = listener.getsockname()[1]
        assert hears("127.0.0.1", port)
        assert hears("127.0.0.2", port)


@pytest.mark.parametrize("address", ["198.51.100.7", "fd00:db8::7"])
def test_an_address_that_comes_late_at_a_boot_keeps_nothing_from_starting(address):
    if ":" in address and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listening(address, 0) as listener:
        assert listener.getsockname()[0] == address


def test_who_has_taken_the_port_since_keeps_no_host_half_way_between_two_releases():
    # As a program may do at a boot, when it has seen before where the host was asked.
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        with listening("127.0.0.1", port) as listener:
            assert hears("127.0.0.1", listener.getsockname()[1])
            assert listener.getsockname()[1] != port
