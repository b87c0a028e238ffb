"""A balancer before nginx that passes connections on as TCP, and says by the PROXY protocol who came."""

import json

import pytest
import yaml

INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends haproxy"
RENEW = "/usr/local/lib/nginx-proxy/certificates.pyz renew"
# Of nginx, instead of the published ones: these the balancer takes.
PORTS = {"http": 33080, "https": 33443}
FORGED = [("X-Forwarded-For", "198.51.100.1"), ("X-Real-IP", "198.51.100.1"), ("X-Forwarded-Proto", "ftp")]
CLAIM = "PROXY TCP4 203.0.113.9 192.0.2.1 4444 8443\r\n"
ASK = """
import contextlib, socket, sys
family, where, said = sys.argv[1:]
host, _colon, port = where.rpartition(":")
with socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET) as one:
    one.settimeout(5)
    one.connect(where if family == "unix" else (host, int(port)))
    one.sendall(said.encode())
    with contextlib.suppress(ConnectionResetError):
        print(one.makefile().read())
"""


@pytest.fixture(scope="module")
def ask(host):
    """What a socket of the host answers."""
    return lambda where, said, family="inet": host.check_output(
        "python3 -c %s %s %s %s", ASK, family, where, said
    )


@pytest.fixture(scope="module")
def address(host):
    """The host's own: from it a balancer on the host comes to nginx, by that very address."""
    return host.check_output("hostname --all-ip-addresses").split()[0]


@pytest.fixture(scope="module")
def run(address, playbook):
    """Run site.yml, with these variables besides: what the recap says of changes."""

    def site(**more):
        settings = {
            "nginx_proxy_http_port": PORTS["http"],
            "nginx_proxy_https_port": PORTS["https"],
            "nginx_proxy_proxy_protocol": True,
            "nginx_proxy_trusted_proxies": [address],
        }
        code, output = playbook("site.yml", "-e", json.dumps(settings | more))
        assert code == 0, output
        # Of ports that are for the balancer alone.
        assert "No connection from here" not in output
        return output.rpartition("changed=")[2].split()[0]

    return site


@pytest.fixture(scope="module", autouse=True)
def balancer(address, ask, container, eventually, host, run, scenario):
    """That of the documentation, before one proxy that is there and one that is not."""
    text = (scenario / "haproxy.cfg").read_text().replace("www.example.org", "localhost")
    for port, (_scheme, inner), public in zip(
        (80, 443), PORTS.items(), container[1]["test_host_ports"], strict=True
    ):
        text = text.replace(f"bind :{port}\n", f"bind :{public}\n")
        text = text.replace(f"10.0.0.11:{port} ", f"{address}:{inner} ").replace(
            f"10.0.0.12:{port} ", f"{address}:9 "
        )
    # Debian's package starts it at once.
    host.check_output(f"{INSTALL}; systemctl stop haproxy")
    run()
    control = "/run/haproxy/control.sock"
    host.check_output(
        "printf %s %s > /etc/haproxy/haproxy.cfg", "%s", f"global\n    stats socket {control}\n{text}"
    )
    host.check_output("systemctl start haproxy")

    def states():
        lines = [one.split(",") for one in ask(control, "show stat\n", "unix").splitlines()]
        return [one[17] for one in lines if one[0] == "https" and one[1].startswith("www")]

    # By the path of health, which is asked as visitors ask.
    assert eventually(lambda: states() == ["UP", "DOWN"], 15), states()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_app_hears_who_came_from_the_balancer_and_not_from_the_client(client, host, scheme):
    gateway = host.check_output("ip route show default").split()[2]
    port = client.ports[scheme]
    answer = client.ask("/client", scheme=scheme, host=f"localhost:{port}", headers=FORGED)
    said = json.loads(answer.body)
    assert (said["address"], said["told"], said["scheme"]) == (gateway, [gateway], scheme)
    # As the browser has it, or it would be told that its WebSocket is of another site.
    assert said["host"] == f"localhost:{port}"


REQUEST = "GET /client HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"


def test_who_is_no_balancer_may_speak_like_one_and_is_not_believed(ask):
    said = json.loads(ask(f"127.0.0.2:{PORTS['http']}", CLAIM + REQUEST).partition("\n\n")[2])
    assert (said["address"], said["host"]) == ("127.0.0.1", f"localhost:{PORTS['http']}")


def test_who_comes_past_the_balancer_hears_nothing_and_the_host_itself_comes_as_ever(address, ask, host):
    for port in PORTS.values():
        assert ask(f"{address}:{port}", REQUEST) == ""
    said = json.loads(ask(f"127.0.0.1:{PORTS['http']}", REQUEST).partition("\n\n")[2])
    assert said["address"] == "127.0.0.1"
    # Which certificates nginx serves, or the timer would reload it each night and call it a failure.
    host.check_output(RENEW)
    assert host.run("nginx-proxy-status").rc == 0


def test_a_run_under_load_loses_nothing_and_a_second_one_changes_nothing(far, run, scenario):
    sites = yaml.safe_load((scenario / "group_vars/all.yml").read_text())["nginx_proxy_sites"]
    more = [*sites, {"names": ["new.example.test"], "upstreams": ["127.0.0.1:8000"]}]
    with far("https") as running:
        assert run(nginx_proxy_sites=more) != "0"
    assert running.lost() == []
    assert running.report["kinds"]["websocket"]["ws_closed_clean"] == 0
    assert running.report["kinds"]["post"]["answered"] > 100
    assert run(nginx_proxy_sites=more) == "0"
