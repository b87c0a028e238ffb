"""What nginx keeps for the app, for whom, and for how long."""

import contextlib
import json
import re
import socket
import struct
import threading
import time

import pytest

MARKED = "say=Cache-Control:max-age=60"


@pytest.fixture
def ask(client):
    """ask(TARGET, ...): the body, in which the id of the request that reached the app stands."""

    def body(target, **more):
        answer = client.ask(target, **more)
        assert answer.status == 200
        return answer.body

    return body


@pytest.fixture
def page(request):
    """The address of a page that no other test asks for."""
    return f"/kept/{re.sub('[^a-z0-9]', '-', request.node.name)}-{time.time()}"


def test_what_the_app_marks_is_asked_for_once(ask, page):
    assert ask(f"{page}?{MARKED}") == ask(f"{page}?{MARKED}")


@pytest.mark.parametrize(
    "word", ["", "say=Cache-Control:private", "say=Cache-Control:no-store", f"{MARKED}&say=Set-Cookie:a%3Db"]
)
def test_what_it_does_not_mark_is_not_kept(ask, page, word):
    assert ask(f"{page}?{word}") != ask(f"{page}?{word}")


def test_elsewhere_nothing_is_kept(ask, page):
    for target in (page.replace("/kept/", "/other/"), page.replace("/kept/", "/keptnot/")):
        assert ask(f"{target}?{MARKED}") != ask(f"{target}?{MARKED}")


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_who_has_signed_in_neither_leaves_nor_gets_a_kept_answer(ask, page, header):
    target, me = f"{page}?{MARKED}", [(header, "mine alone")]
    mine = ask(target, headers=me)
    kept = ask(target)
    assert b"mine alone" in mine
    assert b"mine alone" not in kept
    assert ask(target, headers=me) != kept
    assert ask(target) == kept


def test_a_cookie_is_one_whatever_its_value(ask, page):
    zero = [("Cookie", "0")]
    assert ask(f"{page}?{MARKED}", headers=zero) != ask(f"{page}?{MARKED}", headers=zero)


FORM = b"name=evil"
PARTS = {
    "a body": ([b"Content-Length: 9"], FORM),
    "a body of 0": ([b"Content-Length: 1"], b"0"),
    "chunks": ([b"Transfer-Encoding: chunked"], b"9\r\n" + FORM + b"\r\n0\r\n\r\n"),
    "a large body": ([b"Content-Length: 50000"], b"x" * 50_000),
    "a type of no body": ([b"Content-Type: application/x-www-form-urlencoded"], b""),
    "another method": ([b"X-HTTP-Method-Override: DELETE"], b""),
    "another method, of 0": ([b"X-HTTP-Method: 0"], b""),
    "another method, second": ([b"X-Method-Override:", b"X-Method-Override: PUT"], b""),
    "a key": ([b"X-Api-Key: mine"], b""),
    "a token": ([b"X-XSRFToken: mine"], b""),
    "two cookies": ([b"Cookie:", b"Cookie: a=b"], b""),
    "a language": ([b"Accept-Language: tlh"], b""),
    "two languages": ([b"Accept-Language: ", b"Accept-Language: tlh"], b""),
    "a form of answer": ([b"Accept: application/json"], b""),
    "two forms of answer": ([b"Accept: text/html", b"Accept: application/json"], b""),
    "a coding": ([b"Accept-Encoding: br"], b""),
    "another site": ([b"Origin: https://evil.example"], b""),
    "a script": ([b"X-Requested-With: XMLHttpRequest"], b""),
    "a part of a page": ([b"HX-Request: true"], b""),
    "what would be two values": ([b"Accept: a|b", b"Accept-Language: c"], b""),
    "a part of an answer": ([b"Range: bytes=0-3"], b""),
    "a condition": ([b'If-None-Match: "a"', b"If-Range: x"], b""),
    "another host": ([b"X-Forwarded-Host: evil.example", b"X-Host: evil.example"], b""),
    "another path": ([b"X-Original-URL: /evil", b"X-Forwarded-Prefix: /evil"], b""),
    "another scheme": ([b"X-Forwarded-Proto: http", b"X-Forwarded-Ssl: off", b"Front-End-Https: off"], b""),
}
SEEN = (
    "Accept",
    "Content",
    "X-Http",
    "X-Method",
    "X-Api",
    "X-Xsrf",
    "Cookie",
    "Origin",
    "X-Requested",
    "Hx-",
    "Range",
    "If-",
)


@pytest.mark.parametrize("name", PARTS)
def test_nobody_decides_what_others_get(client, page, name):
    target = f"{page}?{MARKED}"
    lines, body = PARTS[name]
    head = [f"GET {target} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close", *lines, b"", b""]
    with client.connect("https", "localhost") as connection:
        connection.sendall(b"\r\n".join(head) + body)
        first = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"HTTP/1.1 200 " in first
    answer = client.ask(target)
    said = json.loads(answer.body)
    assert answer.status == 200
    assert said["body"] == 0
    assert [name for name in said["headers"] if name.startswith(SEEN)] == []
    assert "evil" not in str(said)
    # It is kept, and stays what it is.
    assert client.ask(target).body == answer.body


def test_nobody_decides_over_http2_either(client, page):
    # A body whose length nobody says, which no header tells of.
    def frame(kind, flags, payload=b""):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, kind != 4) + payload

    path = f"{page}?{MARKED}".encode()
    head = b"\x82\x87\x04" + bytes([len(path)]) + path + b"\x01\x09localhost"
    context = client.context()
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", client.ports["https"]), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0) + frame(1, 4, head) + frame(0, 1, FORM)
        )
        connection.settimeout(2)
        found = b""
        with contextlib.suppress(TimeoutError):
            while b'"body"' not in found:
                found += connection.recv(65536)
    assert b'"body": 9' in found
    assert json.loads(client.ask(path.decode()).body)["body"] == 0


def test_a_question_for_the_head_leaves_the_whole_answer(ask, client, page):
    target = f"{page}?{MARKED}"
    assert client.ask(target, method="HEAD").status == 200
    assert len(ask(target)) > 100


def test_what_failed_for_one_is_not_kept_for_others(client, page):
    for status, kept in ((400, False), (403, False), (500, False), (404, True), (301, True)):
        target = f"{page}{status}?{MARKED}&status={status}"
        answers = [client.ask(target) for _time in range(2)]
        assert [one.status for one in answers] == [status] * 2
        assert (answers[0].body == answers[1].body) is kept, status


# Answers that end above 10 MB, or do not say where: of the last two nginx has a length that is none.
ENDLESS = [
    f"{MARKED}&size=10000000",
    f"{MARKED}&hold=endless",
    "nonsense=HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent_Length: 5\n\nit",
    "nonsense=HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 5\nTransfer_Encoding: \n"
    "Transfer-Encoding: chunked\n\n2\nit\n0\n\n",
]


@pytest.mark.parametrize("query", ENDLESS, ids=["large", "in pieces", "until it closes", "of two lengths"])
def test_an_answer_that_may_have_no_end_does_not_fill_the_disk(client, host, page, query, eventually):
    with client.connect("https", "localhost") as connection:
        target = f"{page}?{query}".replace(" ", "%20").replace("\n", "%0d%0a")
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        if "hold" in query:
            assert eventually(lambda: client.ask("/?release=endless").status == 200)
        assert connection.recv(4) == b"HTTP"
        while connection.recv(65536):
            pass
    assert client.ask(f"{page}?{MARKED}&size=9999999").status == 200
    found = host.check_output(
        f"grep --recursive --text --only-matching 'KEY: .*{page}?.*' /var/lib/nginx/cache"
    )
    assert [line.rpartition("&")[2] for line in found.splitlines()] == ["size=9999999"]


def test_addresses_do_not_share_an_answer(ask, page):
    answers = [ask(f"{page}?{MARKED}"), ask(f"{page}?{MARKED}&more"), ask(f"{page}x?{MARKED}")]
    assert len(set(answers)) == 3


def test_what_an_answer_depends_on_is_looked_at(ask, page):
    target = f"{page}?{MARKED}&say=Vary:Accept-Language"
    english, chinese = ([("Accept-Language", one)] for one in ("en", "zh"))
    assert ask(target, headers=english) == ask(target, headers=english)
    assert ask(target, headers=english) != ask(target, headers=chinese)


def test_many_who_ask_at_once_cost_the_app_one_request(ask, page):
    found = []
    visitors = [
        threading.Thread(target=lambda: found.append(ask(f"{page}?{MARKED}&wait=1")))
        for _visitor in range(20)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(found) == 20
    assert len(set(found)) == 1


def test_when_its_time_is_up_nobody_waits_for_the_next_one(ask, page, eventually):
    target = f"{page}?say=Cache-Control:max-age=1&wait=1"
    first = ask(target)
    time.sleep(2.5)
    # The old one, though the app would need a second.
    assert ask(target) == first
    assert eventually(lambda: ask(target) != first)


def test_the_old_one_serves_while_the_app_is_away(ask, page, host):
    target = f"{page}?say=Cache-Control:max-age=1"
    first = ask(target)
    host.check_output("systemctl stop tornado-mirror.target 'tornado-mirror@*'")
    try:
        time.sleep(2.5)
        assert [ask(target), ask(target)] == [first, first]
    finally:
        host.check_output("systemctl start tornado-mirror.target")


def test_what_is_purged_is_asked_for_anew_and_nothing_else(ask, page, client, playbook):
    here = f"https://localhost:{client.ports['https']}"
    targets = [f"{page}?{MARKED}", f"{page}/below?{MARKED}", f"{page}/below?{MARKED}&say=Vary:Accept"]
    # The same page for an app that takes a part of the path as an argument.
    targets.append(f"{page}/%62elow?{MARKED}")
    before = [ask(target) for target in targets]
    assert playbook("playbooks/purge.yml", "-e", f"nginx_proxy_purge={here}{targets[0]}")[0] == 0
    after = [ask(target) for target in targets]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True, True]
    code, said = playbook("playbooks/purge.yml", "-e", f"nginx_proxy_purge={here}{page}/*")
    assert (code, "changed=1" in said) == (0, True)
    again = [ask(target) for target in targets]
    assert [one == other for one, other in zip(after, again, strict=True)] == [True, False, False, False]
    code, said = playbook("playbooks/purge.yml", "-e", "nginx_proxy_purge=everything")
    assert code != 0
    assert "nginx_proxy_purge: 'everything' is invalid." in said
