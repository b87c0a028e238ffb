"""Visitors who mean no good: nginx answers them itself, or makes of it what any Tornado reads alike."""

import asyncio
import contextlib
import json
import re
import select
import socket
import ssl
import struct

import pytest

# Both ends of the range that programs may use: 6.6.1 and 3.1.1.
SITES = ["localhost", "old.example.org"]
CLAIM = "203.0.113.66"
POISON = b"GET /request/poison HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
FIVE = b"12345"
CHUNK = b"5\r\n12345\r\n0\r\n\r\n"


def get(*lines, start="GET /request/it HTTP/1.1", host="Host: SITE", body=b""):
    """A request, line by line; SITE becomes the name of the site."""
    text = "\r\n".join([start, *([host] if host else []), "Connection: close", *lines, "", ""])
    return text.encode("latin-1") + body


def post(*lines, body):
    return get(*lines, start="POST /request/it HTTP/1.1", body=body)


def chunked(body, *lines):
    return post("Transfer-Encoding: chunked", *lines, body=body)


# What nginx refuses, and with what.
REFUSED = {
    "a method in small letters": (400, get(start="get /request/it HTTP/1.1")),
    "a method with NUL": (400, get(start="G\0T /request/it HTTP/1.1")),
    "CONNECT": (400, get(start="CONNECT localhost:22 HTTP/1.1")),
    "TRACE": (405, get(start="TRACE /request/it HTTP/1.1")),
    "a version too high": (505, get(start="GET /request/it HTTP/9.9")),
    "another protocol": (400, get(start="GET /request/it HTTQ/1.1")),
    "HTTP/2 without its handshake": (400, get(start="PRI * HTTP/2.0")),
    "NUL in the path": (400, get(start="GET /request/it\0 HTTP/1.1")),
    "NUL in the path, encoded": (400, get(start="GET /request/it%00 HTTP/1.1")),
    "a space in the path": (400, get(start="GET /request/it y HTTP/1.1")),
    "a bad escape in the path": (400, get(start="GET /request/%zz HTTP/1.1")),
    "a path above the root": (400, get(start="GET /../request/it HTTP/1.1")),
    "a long path": (414, get(start=f"GET /request/{'x' * 9_000} HTTP/1.1")),
    "another host in the path": (421, get(start="GET https://evil.example/request/it HTTP/1.1")),
    "no host": (400, get(host=None)),
    "an empty host": (400, get(host="Host:")),
    "a host that is none": (400, get(host="Host: a/b@c")),
    "two hosts": (400, get("Host: evil.example")),
    "a host twice": (400, get("Host: SITE")),
    "a space in a name": (400, get("X y: z")),
    "a space behind a name": (400, get("X-Y : z")),
    "no name": (400, get(": z")),
    "NUL in a name": (400, get("X\0Y: z")),
    "NUL in a value": (400, get("X-Y: a\0b")),
    "CR in a value": (400, get("X-Y: a\rX-Z: b")),
    "a folded line": (400, get("X-Y: a", " folded")),
    "a folded first line": (400, get(host=" Host: SITE")),
    "a large header": (400, get(f"X-Y: {'y' * 9_000}")),
    "large headers": (400, get(*(f"X-{number}: {'y' * 7000}" for number in range(5)))),
    "many headers": (400, get(*(f"X-{number}: y" for number in range(1500)))),
    "length and chunks": (400, post("Content-Length: 5", "Transfer-Encoding: chunked", body=CHUNK)),
    "chunks and length": (400, post("Transfer-Encoding: chunked", "Content-Length: 5", body=CHUNK)),
    "two lengths": (400, post("Content-Length: 5", "Content-Length: 6", body=FIVE)),
    "a length twice": (400, post("Content-Length: 5", "Content-Length: 5", body=FIVE)),
    "chunks twice": (400, chunked(CHUNK, "Transfer-Encoding: chunked")),
    "chunks in HTTP/1.0": (
        400,
        get("Transfer-Encoding: chunked", start="POST /request/it HTTP/1.0", body=CHUNK),
    ),
    **{
        f"the length {value!r}": (400, post(f"Content-Length: {value}", body=FIVE))
        for value in ("", "+5", "-5", "0x5", "5, 5", "5 5", "5;", "9" * 20)
    },
    "a length beyond the limit": (413, post("Content-Length: 99999999999", body=FIVE)),
    **{
        f"the coding {value!r}": (501, post(f"Transfer-Encoding: {value}", body=CHUNK))
        for value in (
            "xchunked",
            "identity",
            "gzip, chunked",
            "chunked,",
            '"chunked"',
            "\x0bchunked",
            "\tchunked",
        )
    },
    "a space before the colon of the coding": (400, post("Transfer-Encoding : chunked", body=CHUNK)),
    "a folded coding": (400, post("Transfer-Encoding:", " chunked", body=CHUNK)),
    **{
        f"the chunk size {size!r}": (400, chunked(size + b"\r\n12345\r\n0\r\n\r\n"))
        for size in (b"", b"zz", b"0x5", b"-5", b"+5", b" 5", b"f" * 17)
    },
    "a chunk that is longer than it says": (400, chunked(b"5\r\n1234567\r\n0\r\n\r\n")),
    "garbage": (400, bytes(range(256)) * 4),
}

# What nginx takes, and hands on as one plain request. Where there is a body, the poison is in it.
LENGTH = f"Content-Length: {len(POISON)}"
SIZE = b"%x" % len(POISON)
TAKEN = {
    "a body of GET": get(LENGTH, body=POISON),
    "lines that end in LF": get().replace(b"\r\n", b"\n"),
    "empty lines first": b"\r\n" * 20 + get(),
    "a line without a colon": get("garbage"),
    "two names of the host": get(start="GET https://SITE/request/it HTTP/1.1", host="Host: evil.example"),
    "an upgrade to HTTP/2": get("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "a length that is for one hop": post(LENGTH, "Connection: Content-Length", body=POISON),
    "a coding with an underscore": post(LENGTH, "Transfer_Encoding: chunked", body=POISON),
    "a length with an underscore": chunked(SIZE + b"\r\n" + POISON + b"\r\n0\r\n\r\n", "Content_Length: 5"),
    "a coding in capitals": post(
        "TRANSFER-ENCODING: CHUNKED", body=SIZE + b"\r\n" + POISON + b"\r\n0\r\n\r\n"
    ),
    "an extension of a chunk": chunked(SIZE + b";a=b\r\n" + POISON + b"\r\n0\r\n\r\n"),
    "an extension that ends in LF": chunked(SIZE + b";\n" + POISON + b"\r\n0\r\n\r\n"),
    "chunks that end in LF": chunked(SIZE + b"\n" + POISON + b"\n0\n\n"),
    "a trailer": chunked(f"0\r\nX-Real-IP: {CLAIM}\r\nContent-Length: 5\r\n\r\n".encode()),
    "an expectation": post(LENGTH, "Expect: 200-maybe", body=POISON),
}


# Paths that nginx and the app would take for two. Where the app sees what a rule is about, nginx did not.
TWO_PATHS = [
    "/request/secret/x/../../",
    "/request/secret/%2e%2e/",
    "/request/secret/%2E%2e%2f",
    "/request/secret/.%2e/x",
    "/request/secret/..%2f..%2f..%2f",
    "/request/secret/..%5c..",
    "/request/secret\\..\\..\\x",
    "/request/secret/..",
    "/request/secret/%2e%2e?x",
    "/request/./it",
    "/request/it/.",
    "/request/x#/../secret",
    "/request/it#x",
    "/request/it?a#b",
    "https://SITE/request/secret/../it",
    "/request/\xfc@b",
    "/request/\xc3\xbc@b/x",
    "/request/secre\xf4",
    "/request/it%0aInjected",
    "/request/it%1b[31m",
    "/request/it%7f",
    "/request/it%c2%9b31m",
    "//request/secret",
    "/request//secret/x",
    "/request/%73ecret",
    "/request%2fsecret/x",
    "/request/secret%2fx",
    "/request/secret%2F",
    "/request/%c3%bc@b%2fx",
]
# What stays outside by its rule; and what is nobody's but the app's, which gets it as it was sent.
GUARDED = [
    "/request/secret",
    "/request/secret/",
    "/request/secret/x",
    "/request/secret?x",
    "/request/secret/a%2Fb",
]
GUARDED += ["/request/%C3%BC@b", "/request/%c3%bc%40b/x", "https://SITE/request/secret"]
ONE_PATH = [
    "/request/proxy/http%3A%2F%2Fexample.org%2Fa",
    "/request/a//b///c",
    "/request/.well-known/..a/b../...",
    "/request/%252e%252e/",
    "/request/%C3%9C/%E4%BD%A0%E5%A5%BD",
    "/request/a;b=c/..;/d",
    "/request/secrets",
    "/request/Secret",
    "/request/it?back=/../%2e%2e/%0a",
    "/request/it?q=\xc3\xbc",
    "/request/a%20b+c%25",
]


def answers(connection, data):
    """Send bytes as they are: all that comes back until nginx closes the connection."""
    found = b""
    # nginx may have answered and closed before it has all of it.
    with connection, contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            connection.sendall(data)
        while more := connection.recv(65536):
            found += more
    return found


def statuses(found):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", found)]


@pytest.fixture(scope="module")
def heard(host):
    """What the apps have logged since this was asked last; health checks are the keeper's."""
    journal = "journalctl --unit='tornado-plain*' --unit='tornado-old*' --output=cat"

    def ask():
        lines = host.check_output(f"journalctl --sync; {journal} --cursor-file=/run/test.cursor")
        return [line for line in lines.splitlines() if "/well" not in line and line != "-- No entries --"]

    ask()
    return ask


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_malformed_ends_at_nginx(client, heard, name):
    status, request = REFUSED[name]
    request = request.replace(b"SITE", b"localhost")
    found = answers(client.connect("https", "localhost"), request + POISON)
    assert statuses(found) == [status]
    assert b"Server: nginx\r\n" in found
    assert heard() == []


def test_the_oldest_http_ends_at_nginx(client, heard):
    # It names no host, and its answers have no status.
    assert b"421 Misdirected" in answers(client.connect("https", "localhost"), b"GET /request/it\r\n")
    assert statuses(answers(client.connect("https", "localhost"), b"GET / HTTP/1.0\r\n\r\n")) == [421]
    assert heard() == []


def test_the_other_ports_protocol_ends_at_nginx(client, heard):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    assert statuses(answers(client.connect("http", "localhost"), hello)) == [400]
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]), timeout=10)
    assert statuses(answers(plain, POISON)) == [400]
    assert heard() == []


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("name", TAKEN)
def test_what_is_forwarded_is_one_request(client, heard, eventually, name, site):
    request = TAKEN[name].replace(b"SITE", site.encode())
    found = answers(client.connect("https", site), request)
    assert statuses(found) == [200]
    assert CLAIM.encode() not in found
    assert b"Upgrade" not in found
    # On the same connection to the app, what the app might have kept of a body comes first.
    assert json.loads(client.ask("/request/next", host=site).body)["uri"] == "/request/next"
    lines = []
    assert eventually(lambda: lines.extend(heard()) or len(lines) >= 2)
    # Where two ports have answered, the journal may hear of the second one first.
    paths = sorted(re.findall("/request/[a-z]+", line) for line in lines)
    assert paths == [["/request/it"], ["/request/next"]], lines


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("path", TWO_PATHS)
def test_a_path_that_could_be_two_ends_at_nginx(client, heard, path, site):
    heard()
    request = get(start=f"GET {path} HTTP/1.1").replace(b"SITE", site.encode())
    assert statuses(answers(client.connect("https", site), request)) == [400]
    assert heard() == []


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("path", GUARDED)
def test_a_rule_is_for_its_path_as_browsers_spell_it(client, heard, path, site):
    heard()
    request = get(start=f"GET {path} HTTP/1.1").replace(b"SITE", site.encode())
    assert statuses(answers(client.connect("https", site), request)) == [403]
    assert heard() == []


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("path", ONE_PATH)
def test_any_other_path_reaches_the_app_byte_for_byte(client, path, site):
    request = get(start=f"GET {path} HTTP/1.1").replace(b"SITE", site.encode())
    found = answers(client.connect("https", site), request)
    assert statuses(found) == [200]
    assert json.loads(found.partition(b"\r\n\r\n")[2])["uri"] == path


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@pytest.mark.parametrize(
    "path",
    [
        b"/request/secret/x/../../",
        b"/request/secret/..%2f..%2f",
        b"//request/secret",
        b"/request/x#/../secret",
    ],
)
def test_a_path_that_could_be_two_ends_at_nginx_in_http2_too(client, heard, path):
    heard()
    head = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01\x09localhost"
    context = client.context()
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 5, 1, head))
        found = b""
        while b"</html>" not in found:
            found += connection.recv(65536)
    assert b"<h1>400 Bad Request</h1>" in found
    assert heard() == []


@pytest.mark.parametrize("site", SITES)
def test_nothing_that_a_client_claims_about_itself_reaches_the_app(client, site):
    names = [
        "Real-IP",
        "Scheme",
        *(f"Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Server")),
    ]
    names = [f"X-{name}" for name in [*names, "Request-ID"]] + ["Forwarded", "Proxy"]
    names += [
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Ssl",
        "X-Forwarded-Path",
        "X-Client-IP",
    ]
    names += [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-Host",
        "X-Host",
        "X-Script-Name",
        "Front-End-Https",
    ]
    names += [name.replace("-", "_") for name in names] + ["X-Real_IP", "x-real-ip"]
    claims = [(name, value) for name in names for value in (CLAIM, f"for={CLAIM}, {CLAIM}")]
    others = [("X-XSRFToken", "a"), ("X-CSRFToken", "b")]
    before = json.loads(client.ask("/request/it", host=site).body)
    after = json.loads(client.ask("/request/it", host=site, headers=[*claims, *others]).body)
    assert after["remote_ip"] == before["remote_ip"] != CLAIM
    assert (after["protocol"], after["host"]) == ("https", f"{site}:{client.ports['https']}")
    assert CLAIM not in str(after)
    more = {"X-Csrftoken", "X-Xsrftoken"}
    assert {name for name, _value in after["headers"]} == {name for name, _value in before["headers"]} | more


def test_who_opens_and_resets_streams_without_end_is_cut_off(client):
    context = client.context()
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]), timeout=10)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
    # GET and https from the static table; path and host are spelt out.
    head = b"\x82\x87\x04\x0b/request/it\x01\x09localhost"

    def ends_at():
        for stream in range(1, 40_001, 2):
            try:
                connection.sendall(frame(1, 5, stream, head) + frame(3, 0, stream, struct.pack(">I", 8)))
                if select.select([connection], [], [], 0)[0] and not connection.recv(65536):
                    return stream
            except ConnectionError:
                return stream
        return None

    with connection:
        assert ends_at() is not None
    assert json.loads(client.ask("/request/it").body)["uri"] == "/request/it"


SLOW = {
    "head": b"GET /request/slow HTTP/1.1\r\nHost: localhost\r\nX-Y: ",
    "body": b"POST /request/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
}


@pytest.mark.parametrize("part", SLOW)
def test_five_hundred_slow_clients_hold_up_nobody(client, part):
    async def dribble():
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", client.ports["https"], ssl=client.context(), server_hostname="localhost"
        )
        writer.write(SLOW[part])
        while True:
            try:
                writer.write(b"y")
                answer = await asyncio.wait_for(reader.read(), 1)
            except TimeoutError:
                continue
            except OSError:
                answer = b""
            writer.close()
            return answer

    async def all_of_them():
        slow = [asyncio.create_task(dribble()) for _client in range(500)]
        await asyncio.sleep(3)
        for _request in range(20):
            answer = await asyncio.to_thread(client.ask, "/request/it")
            assert json.loads(answer.body)["uri"] == "/request/it"
        assert not any(one.done() for one in slow)
        if part == "body":
            for one in slow:
                one.cancel()
            return {b""}
        # header_timeout: 10 s, however often a byte comes.
        return set(await asyncio.wait_for(asyncio.gather(*slow), 60))

    assert asyncio.run(all_of_them()) == {b""}


def test_a_body_that_stops_half_way_ends_at_nginx(client, heard, host):
    heard()
    # body_timeout, 3 s here, counts from one part to the next.
    with client.connect("https", "localhost") as connection:
        connection.sendall(SLOW["body"] + b"y")
        for _part in range(4):
            connection.settimeout(1.5)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.sendall(b"y")
        connection.settimeout(20)
        assert connection.recv(1) == b""
    assert heard() == []
    assert '"POST /request/slow HTTP/1.1" 408 ' in host.check_output("tail -n 3 /var/log/nginx/access.log")
