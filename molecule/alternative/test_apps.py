"""Two programs of others on one host, each with all its settings."""

import json

import pytest
from client import Client
from conftest import ROOT

MADE = ROOT / ".cache" / "alternative"


@pytest.fixture(scope="module")
def www(container):
    """A visitor who trusts the CA of the certificate that the user provided."""
    http, https = container[1]["test_host_ports"]
    return Client(http, https, str(MADE / "ca.pem"))


def setting(www):
    """What the deployment told the program."""
    return json.loads(www.ask("/setting", host="www.example.test").body)


def test_the_tutorials_program_runs_on_the_tutorials_tornado(host, client):
    answer = client.ask("/?greeting=%C3%89t%C3%A9", scheme="http", host="plain.example.org")
    assert answer.body.decode() == "Été, friendly user!"
    command = "/srv/hello/current/.release/venv/bin/python -c 'import tornado; print(tornado.version)'"
    assert host.check_output(command) == "3.1.1"


def test_the_program_gets_its_arguments_environment_and_secrets(www):
    found = setting(www)
    assert found["colour"] == "teal"
    assert found["mood"] == "calm; 100% $HOME 'quoted'"
    assert found["secret_lengths"] == {"cookie_secret": len("correct-horse-battery-staple")}
    assert found["tornado"] == "6.6.1"
    assert found["uid"] != 0


def test_secrets_show_nowhere(host):
    secret = "correct-horse"
    assert host.run(f"ps axeww | grep -v grep | grep {secret}").rc == 1
    assert host.run(f"journalctl --no-pager | grep -v grep | grep {secret}").rc == 1
    secrets = "/srv/probe/current/.release/secrets/cookie_secret"
    assert (
        host.run(f"cd / && runuser --user tornado-probe -- cat {secrets}").stdout
        == secret + "-battery-staple"
    )
    for path in (secrets, "/srv/probe/current/.release/settings.json"):
        for other in ("tornado-hello", "nobody", "admin"):
            assert host.run(f"cd / && runuser --user {other} -- cat {path}").rc == 1


def test_the_program_writes_where_it_may_and_nowhere_else(www, host):
    def write(path):
        return www.ask(f"/write?path={path}", host="www.example.test", method="POST", body=b"").body

    for path in ("/var/lib/tornado-probe/x", "/var/cache/tornado-probe/x", "/var/log/tornado-probe/x"):
        assert write(path) == b"written"
        assert host.file(path).exists
    for path in ("/srv/probe/current/x", "/var/lib/x", "/etc/x", "/usr/x", "/var/lib/tornado-hello/x"):
        assert write(path).startswith(b"refused")


def test_the_packages_it_needs_are_there(host):
    assert host.package("tree").is_installed


def test_files_are_readable_whatever_the_users_umask_was(host):
    assert host.file("/srv/probe/current/static/style.css").mode == 0o644
    assert host.file("/srv/probe/current/static").mode == 0o755
    assert host.check_output("find /srv/probe/releases ! -user root") == ""


def test_the_app_sees_who_asked_and_how_not_what_the_client_claims(www):
    claims = {
        "X-Real-IP": "6.6.6.6",
        "X-Forwarded-For": "6.6.6.6",
        "X-Scheme": "gopher",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "Forwarded": "for=6.6.6.6",
        "Proxy": "evil.example",
        "X-XSRFToken": "passes",
    }
    plain = json.loads(www.ask("/request", host="www.example.test").body)
    spoofed = json.loads(www.ask("/request", host="www.example.test", headers=claims.items()).body)
    assert spoofed["remote_ip"] == plain["remote_ip"]
    assert spoofed["protocol"] == "https"
    seen = {name.lower(): value for name, value in spoofed["headers"]}
    assert seen["x-real-ip"] == seen["x-forwarded-for"] == plain["remote_ip"]
    assert seen["x-scheme"] == seen["x-forwarded-proto"] == "https"
    assert not {"x-forwarded-host", "x-forwarded-port", "forwarded", "proxy"} & set(seen)
    assert seen["x-xsrftoken"] == "passes"
    assert "6.6.6.6" not in json.dumps(spoofed)


def test_the_app_gets_the_request_as_it_was_sent(www):
    target = "/request/a%2fb%20c//d?e=%41&f"
    found = json.loads(www.ask(target, host="www.example.test", method="PUT", body=b"\0body").body)
    assert (found["method"], found["uri"], found["body"]) == ("PUT", target, "\0body")


def test_a_websocket_echoes_through_nginx_on_a_port_of_its_own(www):
    # Tornado compares Origin to Host: without the port in Host it would answer 403.
    host = "www.example.test"
    origin = [("Origin", f"https://{host}:{www.ports['https']}")]
    assert www.echo("/ws", ["one", "zwei ✓"], host=host, headers=origin) == ["one", "zwei ✓"]


def test_connections_to_the_app_are_kept(www, host):
    for _request in range(20):
        www.ask("/request", host="www.example.test")
    connections = host.check_output(
        "ss --no-header --tcp state established '( sport = 9201 or sport = 9202 )'"
    )
    assert 0 < len(connections.splitlines()) <= 8


def test_one_of_two_instances_stopped_is_not_noticed(www, host):
    host.check_output("systemctl stop tornado-probe@9202.socket tornado-probe@9202.service")
    try:
        assert {www.ask("/request", host="www.example.test").status for _request in range(20)} == {200}
    finally:
        host.check_output("systemctl start tornado-probe@9202.service")


@pytest.mark.parametrize("name", ["www.example.test", "shop.example.test"])
def test_a_site_has_several_names_and_wildcards(www, name):
    assert www.ask("/request", host=name).status == 200
    port = www.ports["https"]
    redirect = www.ask("/a?b", scheme="http", host=name)
    assert redirect.headers["location"] == f"https://{name}:{port}/a?b"


def test_hsts_is_on_every_answer_when_asked_for(www):
    for target in ("/request", "/assets/style.css", "/assets/none", "/nowhere"):
        headers = www.ask(target, host="www.example.test").headers
        assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


def test_a_body_larger_than_the_site_takes_is_refused(www):
    size = 100 * 1024
    assert www.ask("/request", host="www.example.test", method="POST", body=b"x" * size).status == 200
    assert www.ask("/request", host="www.example.test", method="POST", body=b"x" * (size + 1)).status == 413


def test_a_site_may_do_without_tls_and_without_the_redirect(client):
    assert client.ask("/", scheme="http", host="plain.example.org").status == 200
    for scheme in ("http", "https"):
        found = json.loads(client.ask("/request", scheme=scheme, host="both.example.org").body)
        assert found["protocol"] == scheme


def test_gixy_finds_nothing(gixy):
    assert gixy() == []


def test_nginx_runs_as_it_was_told(host):
    workers = host.check_output("ps -C nginx -o user=,args=").splitlines()
    assert sum("worker process" in line and line.startswith("www-data") for line in workers) == 1


def test_thousands_who_come_back_at_once_can_wait(host):
    most = int(host.check_output("sysctl --values net.core.somaxconn"))
    for line in host.check_output(
        "ss -Hltn '( sport = :19080 or sport = :19443 or sport = :9101 )'"
    ).splitlines():
        _state, _waiting, room, *_rest = line.split()
        assert int(room) == min(4096, most)
