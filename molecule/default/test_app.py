"""What the app's user would lose if an instance were not what it should be."""

import pytest

PORTS = (8000, 8001, 8002, 8003)


def pid(host, port):
    """Main process of a port: its keeper."""
    return host.check_output(f"systemctl show --property=MainPID --value tornado-hello@{port}.service")


@pytest.mark.parametrize("port", PORTS)
def test_each_port_is_a_service_that_starts_at_boot(host, port):
    for kind in ("service", "socket"):
        unit = host.service(f"tornado-hello@{port}.{kind}")
        assert unit.is_running
        assert unit.is_enabled
    assert host.check_output(f"curl --silent http://127.0.0.1:{port}/") == "Hello, friendly user!"


def test_the_target_stands_for_all_of_them(host):
    assert host.service("tornado-hello.target").is_enabled
    wanted = host.check_output("systemctl list-dependencies --plain tornado-hello.target")
    assert all(f"tornado-hello@{port}.service" in wanted for port in PORTS)


def test_nobody_but_the_proxy_reaches_an_instance(host):
    # hello.py calls plain listen(port), which would be all addresses.
    for port in PORTS:
        assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
    addresses = host.check_output("ss --listening --tcp --numeric --no-header").split()
    assert not [one for one in addresses if one.startswith(("0.0.0.0:80", "*:80", "[::]:80"))]


def test_the_app_can_not_change_its_own_code(host):
    writable = "cd / && runuser --user tornado-hello -- find /srv/hello/ -writable ! -type l"
    assert host.check_output(writable) == ""
    assert host.file("/srv/hello/current/hello.py").user == "root"
    assert host.user("tornado-hello").shell == "/usr/sbin/nologin"


def test_the_app_runs_on_the_current_tornado_in_its_own_environment(host):
    venv = host.check_output("realpath /srv/hello/current/.release/venv")
    assert host.check_output(f"{venv}/bin/python -c 'import tornado; print(tornado.version)'") == "6.6.1"
    child = host.check_output("systemctl show --property=MainPID --value 'tornado-hello-worker@8000-*'")
    command = host.check_output(f"tr '\\0' ' ' < /proc/{child}/cmdline")
    assert command.startswith(f"{venv}/bin/python /srv/hello/releases/")


def test_what_the_app_says_is_in_the_journal(host):
    host.check_output("curl --silent http://127.0.0.1:8000/no-such-page")
    lines = "journalctl --unit='tornado-hello*@8000*' --lines=20 --output=cat"
    assert "404 GET /no-such-page" in host.check_output(lines)


def test_an_instance_that_dies_again_and_again_always_comes_back(host, eventually):
    # The sixth death within ten seconds is where systemd gives up by default.
    for _death in range(7):
        before = pid(host, 8003)
        host.check_output("systemctl kill --signal=KILL tornado-hello@8003.service")
        assert eventually(lambda before=before: pid(host, 8003) not in ("0", before))
    assert host.check_output("curl --silent --max-time 10 http://127.0.0.1:8003/healthz") == "ok"
