"""A port's socket that the program before has spoilt is known by it."""

import socket

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.port_socket import BACKLOG, spoiled

SPOILT = {
    "deaf": lambda one: one.shutdown(socket.SHUT_RDWR),
    "slow": lambda one: one.setsockopt(socket.SOL_SOCKET, 47, 1),  # SO_MAX_PACING_RATE
    "small": lambda one: one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1),
    "impatient": lambda one: one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1),
    "closed in the middle": lambda one: one.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    ),
}


@pytest.fixture
def listener():
    """A socket as systemd makes it."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as one:
        one.setblocking(False)
        yield one


def test_a_port_that_nobody_spoilt_is_not_opened_anew(listener):
    assert spoiled(listener) == []
    with socket.create_connection(listener.getsockname()):
        assert spoiled(listener) == []
    # An old program's own listen() may be shorter: that is mended in place.
    listener.listen(1)
    assert spoiled(listener) == []


def test_a_program_that_sets_what_it_likes_costs_no_new_socket_at_each_deploy(listener):
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 400000)
    assert spoiled(listener) == []


@pytest.mark.parametrize("how", SPOILT)
def test_a_socket_that_serves_the_next_release_worse_is_known(listener, how):
    SPOILT[how](listener)
    assert spoiled(listener) != []
