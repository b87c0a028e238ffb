"""What a visitor from outside gets."""

import socket
import ssl

import pytest


def test_the_greeting_is_the_tutorials(client):
    assert client.ask("/").body == b"Hello, friendly user!"
    assert client.ask("/?greeting=Salutations").body == b"Salutations, friendly user!"
    answer = client.ask("/?greeting=%E4%BD%A0%E5%A5%BD%20%F0%9F%8C%AA")
    assert answer.body.decode() == "你好 🌪, friendly user!"
    assert "utf-8" in answer.headers["content-type"].lower()


def test_the_health_check_answers(client):
    assert client.ask("/healthz").status == 200


@pytest.mark.parametrize("target", ["/x?y=1", "/a%2fb%20c%3fd%26e?q=%41", "//evil.example/", "/", "/?"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_leads_to_the_very_same_place_on_https(client, target, method):
    port = client.ports["https"]
    answer = client.ask(target, scheme="http", method=method, body=b"x" if method == "POST" else None)
    assert answer.status == 308
    assert answer.headers["location"] == f"https://localhost:{port}{target}"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:443", ""])
def test_a_foreign_name_is_refused_and_never_echoed(client, host):
    for answer in (
        client.ask("/", scheme="http", host=host),
        client.ask("/", scheme="https", host=host, name="localhost"),
    ):
        assert answer.status in (400, 421)
        assert "location" not in answer.headers
        assert b"evil" not in answer.body


def test_a_foreign_name_gets_no_certificate(client):
    with pytest.raises((ssl.SSLError, OSError)):
        client.connect("https", "evil.example")


def test_the_certificate_is_good_for_the_names_and_no_others(client):
    assert client.ask("/", name="localhost").status == 200
    assert client.ask("/", host="127.0.0.1", name="127.0.0.1").status == 200
    other = ssl.create_default_context()
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]))
    with plain, pytest.raises(ssl.SSLCertVerificationError):
        other.wrap_socket(plain, server_hostname="localhost")


def test_old_tls_is_refused(client):
    context = client.context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]))
    with plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_http2_is_offered(client):
    context = client.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", client.ports["https"])) as plain:
        assert context.wrap_socket(plain, server_hostname="localhost").selected_alpn_protocol() == "h2"


def test_nothing_tells_what_runs_here(client):
    for answer in (client.ask("/"), client.ask("/nowhere"), client.ask("/static/nowhere")):
        assert answer.headers["server"] == "nginx"
        assert b"nginx/" not in answer.body


def test_gixy_finds_nothing(gixy):
    assert gixy() == []


def test_static_files_come_from_disk_and_are_kept_for_good_when_versioned(client):
    plain = client.ask("/static/favicon.ico")
    versioned = client.ask("/static/favicon.ico?v=abc123")
    assert plain.body == versioned.body
    assert plain.status == 200
    assert "max-age=315360000" in versioned.headers["cache-control"]
    assert "max-age=315360000" not in plain.headers.get("cache-control", "")
    again = client.ask("/static/favicon.ico", headers=[("If-None-Match", plain.headers["etag"])])
    assert again.status == 304


def test_static_files_come_without_the_app(client, host):
    host.check_output("systemctl stop 'tornado-hello@*.socket' 'tornado-hello@*.service'")
    try:
        assert client.ask("/static/favicon.ico").status == 200
        assert client.ask("/").status == 502
    finally:
        host.check_output("systemctl start tornado-hello.target")
    assert client.ask("/").status == 200


@pytest.mark.parametrize("target", ["/static../hello.py", "/static/../hello.py", "/static/%2e%2e/hello.py"])
def test_nothing_beside_the_static_files_is_given_away(client, target):
    answer = client.ask(target)
    assert answer.status in (400, 403, 404)
    assert b"tornado" not in answer.body


def test_the_favicon_is_found(client):
    answer = client.ask("/favicon.ico")
    assert answer.status == 200
    assert answer.body == client.ask("/static/favicon.ico").body


def test_hsts_is_off_where_a_browser_would_ask_https_of_all_localhost(client):
    assert "strict-transport-security" not in client.ask("/").headers


def test_all_instances_take_their_share(client, host):
    for _request in range(40):
        assert client.ask("/").status == 200
    for port in (8000, 8001, 8002, 8003):
        lines = host.check_output(f"journalctl --unit='tornado-hello*@{port}*' --lines=200 --output=cat")
        assert "200 GET / (" in lines


def test_a_worker_may_open_a_file_for_each_of_its_connections(host):
    most = host.check_output("prlimit --pid=1 --nofile --output=HARD --noheadings").strip()
    worker = host.check_output("pgrep --newest --full 'nginx: worker process$'")
    soft = host.check_output(f"grep 'Max open files' /proc/{worker}/limits").split()[3]
    # The host may have less than the two for each that are asked for.
    assert int(soft) == min(2 * 16384, int(most) if most.isdigit() else 2 * 16384)
