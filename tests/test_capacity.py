"""How many connections a host holds, as the roles compute it before anybody comes."""

import socket
from pathlib import Path

from ansible_collections.tornadoes.tornadoes.plugins.modules import nginx_proxy_capacity, tornado_app_capacity

TWO = ["127.0.0.1:8000", "127.0.0.1:8001"]


def names(limits):
    """The limits in their order, the lowest first."""
    return [one["name"] for one in limits]


def test_few_connections_a_worker_are_the_first_limit_of_nginx():
    found = nginx_proxy_capacity.limits(2, 500, TWO, 60)
    assert found[0]["name"] == "nginx_proxy_worker_connections"
    assert found[0]["holds"] == 500  # two workers, two connections for a visitor


def test_more_than_a_process_may_open_does_not_count():
    found = nginx_proxy_capacity.limits(2, 2**29, TWO, 60)
    [files] = [one["holds"] for one in found if one["name"] == "open files"]
    assert files < 2**29


def test_few_upstreams_end_at_their_ports():
    [ports] = [one for one in nginx_proxy_capacity.limits(2, 500, TWO, 60) if one["name"] == "ports"]
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert ports["holds"] == 2 * (high - low + 1)
    # A socket in the file system has no ports.
    assert "ports" not in names(nginx_proxy_capacity.limits(2, 500, [*TWO, "unix:/run/app.sock"], 60))


def test_heavy_connections_end_at_the_memory():
    assert nginx_proxy_capacity.limits(2, 500, TWO, 2**40)[0]["name"] == "memory"
    assert tornado_app_capacity.limits(4, 65536, "", 2**40, 32768)[0]["name"] == "memory"


def test_a_limit_of_memory_counts_what_the_program_itself_takes():
    found = tornado_app_capacity.limits(4, 65536, "64M", 16, 32768)
    assert found[0]["name"] == "tornado_app_memory_max"
    assert found[0]["holds"] == 4 * 32768 // 16
    assert tornado_app_capacity.limits(4, 65536, "16M", 16, 32768)[0]["holds"] == 0


def test_who_is_connected_counts_and_who_listens_does_not():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert nginx_proxy_capacity.used({port}) == 0
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert nginx_proxy_capacity.used({port}) == 1
