"""What a site does for its visitors, what it sends along, and whom it lets in."""

import base64
import contextlib
import gzip
import http.client
import json
import re
import ssl
import time
import zlib

import pytest
from client import password

GUARDED = "guarded.example.org"
GZIP = [("Accept-Encoding", "gzip")]
HSTS = "strict-transport-security"


@pytest.fixture
def seen(client):
    """How the app saw a request."""

    def ask(target="/", **more):
        return json.loads(client.ask(target, **more).body)

    return ask


@pytest.mark.parametrize(
    ("target", "status", "more"),
    [
        ("/", 200, {}),
        ("/static/style.css", 200, {}),
        ("/static/nowhere", 404, {}),
        ("/second", 308, {}),
        ("/second/", 200, {}),
        ("/second/", 413, {"method": "POST", "body": b"x" * 110_000}),
        ("/static", 405, {"method": "BREW"}),
        ("/static/style.css", 405, {"method": "POST", "body": b"x"}),
        ("/", 413, {"method": "POST", "body": b"x" * 110_000}),
        ("/" + "x" * 9000, 414, {}),
        ("/", 400, {"headers": [("X-Long", "x" * 9000)]}),
    ],
    ids=str,
)
def test_every_answer_of_a_site_carries_its_headers(client, target, status, more):
    answer = client.ask(target, **more)
    assert answer.status == status
    assert answer.headers[HSTS] == "max-age=63072000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize(
    ("line", "status"), [("Host: other.example.org\r\n", 421), ("", 400), ("Host: a b\r\n", 400)]
)
def test_what_is_for_no_site_has_them_tell_nothing_but_https(client, line, status):
    connection = client.connect("https", "localhost")
    connection.sendall(f"GET / HTTP/1.1\r\n{line}Connection: close\r\n\r\n".encode())
    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode().lower()
    assert text.startswith(f"http/1.1 {status} ")
    assert f"{HSTS}: max-age=63072000\r\n" in text
    assert "server: nginx\r\n" in text
    assert "nginx/" not in text


SPOILT = b"\x1b]0;spoilt\x07\x9b31m\xc2\x9b31m"


@pytest.mark.parametrize(
    "lines",
    [
        [b"GET /static/nowhere%0aspoilt%1b[31m HTTP/1.1"],
        [b"GET /static/nowhere%c2%9b31mspoilt HTTP/1.1"],
        [b"GET /static/nowhere" + SPOILT[-5:] + b"spoilt HTTP/1.1"],
        [b"GET /static/nowhere?" + SPOILT + b" HTTP/1.1"],
        [b"GET /static/nowhere HTTP/1.1", b"Referer: http://a/" + SPOILT],
        [b"GET /static/nowhere HTTP/1.1", b"Referer: ", b"Referer: http://a/" + SPOILT],
        [b"GET /admin HTTP/1.1", b"Authorization: Basic " + base64.b64encode(b"a\nspoilt" + SPOILT + b":b")],
        [b"GET /static/nowhere HTTP/1.1", b"User-Agent: " + SPOILT, b'X-Forwarded-For: "' + SPOILT],
        [b"GET /static/nowhere HTTP/1.1", b"Host: " + SPOILT],
    ],
    ids=str,
)
def test_no_visitor_writes_to_the_terminal_of_who_reads_the_logs(client, host, lines):
    marks = {log: host.file(log).size for log in ("/var/log/nginx/error.log", "/var/log/nginx/access.log")}
    connection = client.connect("https", GUARDED)
    own = b"" if any(line.startswith(b"Host:") for line in lines) else b"Host: " + GUARDED.encode() + b"\r\n"
    connection.sendall(b"\r\n".join(lines) + b"\r\n" + own + b"Connection: close\r\n\r\n")
    assert re.match(rb"HTTP/1.1 4", b"".join(iter(lambda: connection.recv(65536), b"")))
    for log, size in marks.items():
        written = base64.b64decode(host.check_output(f"tail --bytes=+{size + 1} {log} | base64"))
        assert not re.search(
            rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\xc2-\xf4\x80-\xbf])[\x80-\x9f]", written
        )
        assert not re.search(rb"^spoilt", written, re.MULTILINE)


def test_a_client_stays_with_one_process(seen):
    ports = {
        seen(host="sticky.example.org", headers=[("X-Forwarded-For", str(one))])["port"] for one in range(9)
    }
    assert len(ports) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["www.example.org", "any.old.example.org"])
def test_another_name_leads_to_the_sites_own(client, scheme, name):
    answer = client.ask("/a%2fb?c=d", scheme, host=name, method="POST", body=b"x")
    assert (answer.status, answer.headers["location"]) == (308, "https://localhost:26443/a%2fb?c=d")
    if scheme == "https":
        assert answer.headers[HSTS] == "max-age=63072000"


def test_another_server_keeps_its_port(host, playbook):
    """It had 80 before nginx was installed, whose package would have it as well."""
    assert host.service("other-server").is_running
    assert "bind()" not in host.check_output("journalctl --unit=nginx --output=cat")
    code, said = playbook("playbooks/publish.yml", "-e", "nginx_proxy_http_port=80")
    assert code
    assert "80 is listened on by other-server.service on" in " ".join(said.split())


def test_one_client_does_not_fill_the_disk_with_bodies(client, host):
    # Eighty who say that they bring as much as may be, and dribble.
    # The other spelling goes to the app, and says nothing.
    kinds = ["Content_Length: 1\r\nContent-Length: 100000", "Transfer-Encoding: chunked"]
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(80):
            slow.append(stack.enter_context(client.connect("https", "localhost")))
            head = (
                f"POST / HTTP/1.1\r\nHost: localhost\r\n{kinds[number % 2]}\r\n\r\n{'13880' * (number % 2)}"
            )
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                slow[-1].sendall(head.encode() + b"\r\n" * (number % 2) + b"y" * 60_000)
            slow[-1].settimeout(0.1)
        answered = []
        for one in slow:
            with contextlib.suppress(TimeoutError):
                answered.append(one.recv(12))
        # Their files have no names any more, so the workers tell what they are.
        found = host.check_output(
            "find /proc/*/fd -lname '/var/lib/nginx/body/*' -exec stat -L --format=%s {} +"
        )
        assert 32 * 30_000 < sum(map(int, found.split())) < 32 * 100_000
        assert len(answered) == len(slow) - 32
        assert set(answered) == {b"HTTP/1.1 429"}
        # It reads on, and sends what is small.
        assert client.ask("/").status == 200
        assert client.ask("/", method="POST", body=b"x" * 9_000).status == 200
    assert client.ask("/", method="POST", body=b"x" * 90_000).status == 200


def test_slow_readers_do_not_fill_the_disk(client, host):
    with contextlib.ExitStack() as stack:
        for _reader in range(4):
            connection = stack.enter_context(client.connect("https", "localhost"))
            connection.sendall(b"GET /?size=30000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        time.sleep(2)
        found = host.check_output(
            "find /proc/*/fd -lname '/var/lib/nginx/proxy/*' -exec stat -L --format=%s {} +"
        )
        assert 4 * 7_000_000 < sum(map(int, found.split())) < 4 * 9_000_000
        assert client.ask("/").status == 200


def test_a_site_chooses_its_headers(client):
    for target in ("/", "/static/style.css", "/static/nowhere"):
        headers = client.ask(target, host=GUARDED).headers
        assert headers["content-security-policy"] == "default-src 'self'; img-src *"
        assert headers["cross-origin-embedder-policy-report-only"] == "require-corp"
        assert headers[HSTS] == "max-age=63072000; includeSubDomains"
        assert headers["x-content-type-options"] == "nosniff"
        assert "x-frame-options" not in headers


def test_what_the_app_says_itself_comes_first_and_once(client):
    answer = client.ask("/?say=X-Frame-Options:DENY&say=Strict-Transport-Security:max-age=0")
    connection = client.connect("https", "localhost")
    connection.sendall(
        b"GET /?say=X-Frame-Options:DENY HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    text = b"".join(iter(lambda: connection.recv(65536), b"")).decode().lower()
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers[HSTS] == "max-age=63072000"
    assert text.count("x-frame-options") == 1
    assert text.count(HSTS) == 1


def test_text_is_compressed_for_who_can_read_it(client):
    answer = client.ask("/?size=5000&say=Content-Type:text/css", headers=GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(gzip.decompress(answer.body)) == 5000
    for plain in (
        client.ask("/?size=5000&say=Content-Type:text/css"),
        client.ask("/?size=5000&say=Content-Type:image/png", headers=GZIP),
        client.ask("/?size=500&say=Content-Type:text/css", headers=GZIP),
        client.ask("/?size=5000&say=Content-Type:text/css", headers=GZIP, host=GUARDED),
        client.ask("/static/big.css", headers=GZIP, host=GUARDED),
    ):
        assert "content-encoding" not in plain.headers


def pieces(client, target, headers):
    """The answer of a request in pieces, as they come, for a client that reads gzip or not."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = client.connect("https", "localhost")
    connection.request("GET", target, headers=dict(headers))
    answer = connection.getresponse()
    packed = zlib.decompressobj(31) if answer.getheader("Content-Encoding") == "gzip" else None
    assert bool(packed) == bool(headers)
    while data := answer.read1(65536):
        yield packed.decompress(data) if packed else data


@pytest.mark.parametrize("headers", [[], GZIP])
@pytest.mark.parametrize("path", ["/stream", "/kept/stream"])
def test_a_stream_arrives_as_the_app_says_it(client, path, headers):
    said = pieces(client, f"{path}?hold=it", headers)
    found = b""
    while b"first" not in found:
        found += next(said)
    client.ask("/?release=it")
    assert (found + b"".join(said)).split() == [b"first", b"second"]


@pytest.mark.parametrize("path", ["/", "/kept/large"])
def test_a_head_of_32_kb_passes(client, path):
    answer = client.ask(f"{path}?head=32000")
    assert answer.status == 200
    assert len(answer.headers["set-cookie"]) == len("large=") + 32000


def test_a_header_with_an_underscore_reaches_the_app(seen):
    assert seen(headers=[("api_key", "x")])["headers"]["Api_key"] == "x"


@pytest.mark.parametrize("path", ["/", "/kept/headers"])
def test_no_underscore_makes_another_spelling_of_what_nginx_says(seen, path):
    names = ["X_Forwarded_For", "X_Forwarded-For", "X-Forwarded_For", "x_real_ip", "X_Scheme", "X_Request_ID"]
    names += ["Transfer_Encoding", "Content_Length", "X_Original_URL"]
    found = seen(path, headers=[(name, "claimed") for name in names])
    assert "claimed" not in found["headers"].values()


@pytest.mark.parametrize("name", ["cat.txt", "2026/november/cat.txt"])
def test_what_a_visitor_uploads_is_served_to_visitors_and_shown_to_nobody_else(client, host, name):
    assert client.ask(f"/?save={name}", method="POST", body=b"a cat").status == 200
    assert client.ask(f"/media/{name}").body == b"a cat"
    assert client.ask("/media/").status == 403
    assert host.run(f"runuser -u nobody -- cat /var/lib/tornado-mirror/media/{name}").rc == 1


def test_an_upload_that_is_a_link_shows_no_files_of_others(client, host):
    client.ask("/?save=own.txt", method="POST", body=b"own")
    secret = host.check_output("echo /etc/nginx/tornadoes/*/users/*-0")
    assert host.run(f"runuser -u www-data -- cat {secret}").rc == 0
    linked = {"own": "own.txt", "hashes": secret, "host": "/etc/hostname", "folder": "/etc"}
    for name, path in linked.items():
        assert client.ask(f"/?link={name}&to={path}").status == 200
    assert client.ask("/media/own").body == b"own"
    assert {client.ask(f"/media/{one}").status for one in ("hashes", "host", "folder/hostname")} == {403}


def test_an_upload_folder_that_is_a_link_shows_no_files_of_others(client, host, eventually):
    # The folder is the program's as well: it can move it away. Here the program does so.
    client.ask("/?save=own.txt", method="POST", body=b"own")
    logs = "/var/log/nginx/access.log"
    assert host.run(f"runuser -u www-data -- test -r {logs}").rc == 0
    program = "runuser -u tornado-mirror -- env --chdir=/var/lib/tornado-mirror"
    host.check_output(f"{program} sh -c 'mv media moved && ln -s / media'")
    try:
        # nginx has seen by then that it is another one.
        assert eventually(lambda: client.ask("/media/own.txt").status != 200)
        found = {path: client.ask(f"/media{path}").status for path in (logs, "/etc/hostname", "/etc/passwd")}
        host.check_output(f"{program} ln -sfn moved media")
        assert eventually(lambda: client.ask("/media/own.txt").body == b"own")
    finally:
        host.check_output(f"{program} sh -c 'rm media && mv moved media'")
    assert set(found.values()) == {403}


def test_files_that_were_there_before_are_served_from_the_next_start_on(client, host, eventually):
    folder, mine = "/var/lib/tornado-mirror/media", "-o tornado-mirror -g tornado-mirror"
    host.check_output(f"install -d -m 700 {mine} {folder}/before")
    host.check_output(f"install -m 600 {mine} /etc/hostname {folder}/before/file")
    forget = f"import os; os.removexattr('{folder}', 'system.posix_acl_default')"
    host.check_output(f'python3 -c "{forget}"')
    assert client.ask("/media/before/file").status == 403
    host.check_output("systemctl reload tornado-mirror@8000")
    # Refusals stay for a second, as all that nginx knows of files.
    assert eventually(lambda: client.ask("/media/before/file").status == 200)


def test_a_file_that_was_compressed_beforehand_goes_first(client):
    assert b"that one" in gzip.decompress(client.ask("/static/big.css", headers=GZIP).body)
    assert b"this one" in client.ask("/static/big.css").body


@pytest.mark.parametrize(
    "target",
    [
        "/admin",
        "/admin/",
        "/admin/x",
        "/admin/a%2Fb",
        "/admin/second/x",
        "/static/private/note.txt",
        "/static/members.txt",
    ],
)
def test_nobody_passes_a_password_by(client, target):
    refused = client.ask(target, host=GUARDED)
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == 'Basic realm="Restricted"'
    assert refused.headers[HSTS]
    assert client.ask(target, host=GUARDED, headers=password("alice", "guess")).status == 401
    assert client.ask(target, host=GUARDED, headers=password("alice", "open sesame")).status == 200
    # A rule is its site's own.
    assert client.ask(target).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "//admin/x",
        "/x/../admin/x",
        "/admin/x/../../",
        "/%61dmin/x",
        "/admin%2fx",
        "/admin/%73econd/x",
        "/static/%6dembers.txt",
        "/static//members.txt",
    ],
)
def test_a_path_that_could_be_two_is_neither(client, target):
    for headers in ([], password("alice", "open sesame")):
        refused = client.ask(target, host=GUARDED, headers=headers)
        assert refused.status == 400
        assert refused.headers[HSTS]


@pytest.mark.parametrize("target", ["/office/x", "/office"])
def test_a_list_of_addresses_lets_in_no_others(client, target):
    assert client.ask(target, host=GUARDED).status == 403


def test_a_rule_is_for_its_path_alone(client):
    for target in ("/administrator", "/officer", "/static/style.css", "/healthz"):
        assert client.ask(target, host=GUARDED).status == 200


def test_the_hashes_of_passwords_are_read_by_nginx_alone(host):
    (path,) = {
        host.check_output(f"realpath {one}")
        for one in host.check_output("ls -d /etc/nginx/tornadoes/*/users/*-0").split()
    }
    file = host.file(path)
    assert (file.user, file.group, file.mode) == ("root", "www-data", 0o640)


def test_gixy_finds_nothing(gixy):
    assert gixy() == []


def test_a_snippet_has_its_place_in_the_site(client):
    assert client.ask("/robots.txt", host=GUARDED).body == b"User-agent: *"


def test_a_request_has_one_name_everywhere(client, host, seen, eventually):
    name = seen("/named", headers=[("X-Request-ID", "mine")])["headers"]["X-Request-Id"]
    assert len(name) == 32
    assert eventually(lambda: name in host.check_output("tail --lines=5 /var/log/nginx/access.log"))


def test_what_a_client_says_of_itself_is_not_believed(seen):
    claims = ("X-Real-IP", "X-Forwarded-For", "Forwarded", "X-Forwarded-Proto", "X-Scheme")
    said = seen("/", headers=[(name, "203.0.113.9") for name in claims] + [("X-XSRFToken", "kept")])
    assert "203.0.113.9" not in json.dumps(said)
    assert said["protocol"] == "https"
    assert said["headers"]["X-Xsrftoken"] == "kept"


def test_the_host_tells_how_many_connections_it_holds_and_has(client, host, playbook):
    with contextlib.ExitStack() as stack:
        for _visitor in range(20):
            stack.enter_context(client.connect("https", "localhost"))
        code, said = playbook("playbooks/capacity.yml")
    assert (code, "changed=0" in said) == (0, True)
    assert "nginx: 20 connections of clients are open" in said
    workers = len(host.check_output("pgrep --full 'nginx: worker process$'").splitlines())
    assert f"nginx_proxy_worker_connections ({workers} workers with 16,384 each" in said
