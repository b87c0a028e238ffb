"""What is said in one place is heard in all others, once and in order, whatever the transport."""

import http.client
import json
import re
import select
import signal
import socket
import threading
import time

import pytest
from clients.websocket import BINARY, PING, PONG, TEXT
from visitor import READERS, Frames

PAGES = pytest.mark.parametrize("transport", READERS)


@PAGES
def test_a_message_reaches_everybody_at_once(app, transport):
    readers = [READERS[transport](app) for _reader in range(5)]
    status, answer = app.say("你好 <b>🌪</b>")
    assert status == 201
    for reader in readers:
        while not (found := reader.next())["messages"]:
            assert found["here"]["port"] == app.port
        [message] = found["messages"]
        assert (message["text"], message["id"]) == ("你好 <b>🌪</b>", answer["id"])


@PAGES
def test_who_comes_back_gets_what_was_missed_and_nothing_twice(app, transport):
    reader = READERS[transport](app)
    app.say("one")
    assert reader.texts(1) == ["one"]
    seen = reader.after
    app.say("two")
    app.say("three")
    assert READERS[transport](app, seen).texts(2) == ["two", "three"]
    late = READERS[transport](app, reader.after if reader.texts(2) else "")
    assert late.quiet()
    app.say("four")
    assert late.texts(1) == ["four"]


@PAGES
def test_many_messages_come_in_order_and_once(app, transport):
    readers = [READERS[transport](app) for _reader in range(10)]
    texts = [str(number) for number in range(60)]
    for text in texts:
        assert app.say(text)[0] == 201
    for reader in readers:
        assert reader.texts(60) == texts
    time.sleep(0.5)
    for reader in readers:
        assert reader.quiet(0)


@PAGES
def test_a_page_that_missed_too_much_is_told_so(start, transport):
    app = start()
    app.say("what is left")
    for cursor in ("1-1", "nonsense", "1-1-1", "-"):
        found = READERS[transport](app, cursor).next()
        assert found["reset"] is True
        assert [one["text"] for one in found["messages"]] == ["what is left"]
    found = READERS[transport](app, "").next()
    assert "reset" not in found
    assert [one["text"] for one in found["messages"]] == ["what is left"]


def test_a_poll_that_does_not_want_to_wait_need_not(app):
    begin = time.monotonic()
    answer = json.loads(app.ask(f"/messages?after={app.now()}&wait=0")[2])
    assert answer["messages"] == []
    assert time.monotonic() - begin < 5


def test_a_message_that_is_sent_again_is_the_same_one(app):
    reader = READERS["ws"](app)
    answers = [app.say("once", key="the very same") for _time in range(3)]
    assert answers == [(201, answers[0][1])] * 3
    assert reader.texts(1) == ["once"]
    assert reader.quiet()


def test_all_see_how_many_are_here(start):
    app = start()
    first = READERS["ws"](app)
    others = [READERS[transport](app) for transport in ("ws", "events")]
    assert next(found for found in iter(first.next, None) if found["here"]["connected"] == 3)
    others[0].frames.socket.shutdown(socket.SHUT_RDWR)
    assert next(found for found in iter(first.next, None) if found["here"]["connected"] == 2)


@pytest.mark.parametrize("path", ["/ws", "/ws?after=9999999999999-0"])
def test_a_websocket_echoes(app, path):
    one = Frames(app, path)
    if "?" in path:
        assert "here" in json.loads(one.read()[1])
    assert one.echo("你好".encode()) == (TEXT, "你好".encode())
    assert one.echo(bytes(range(256)), BINARY) == (BINARY, bytes(range(256)))
    assert one.echo(b"") == (TEXT, b"")


def test_a_silent_peer_is_dropped_and_not_sooner(start):
    app = start("--silence=3")
    begin = time.monotonic()  # or its time would have begun a moment before
    mute, polite = Frames(app), Frames(app)
    while time.monotonic() < begin + 2.5:
        if select.select([polite.socket], [], [], 0.1)[0]:
            opcode, content = polite.read()
            assert opcode == PING
            polite.write(PONG, content)
    # The other one has not answered a ping; it is there still, and gone when its time is up.
    pings = 0
    mute.socket.settimeout(20)
    while mute.read()[0] == PING:
        pings += 1
    assert pings > 1
    assert 3 <= time.monotonic() - begin < 10
    assert polite.echo(b"still there")[1] == b"still there"


def test_those_who_came_together_are_not_asked_together(start):
    app = start("--silence=60")
    crowd = [Frames(app) for _one in range(100)]
    sockets = [one.socket for one in crowd]
    # Silent for five seconds, and looked at within two; then a twentieth of them each tenth of one.
    assert select.select(sockets, [], [], 5 + 2 + 3)[0]
    time.sleep(0.2)
    assert len(select.select(sockets, [], [], 0)[0]) < len(crowd) / 2
    # And all of them in the end.
    for one in crowd:
        one.socket.settimeout(10)
        assert one.read()[0] == PING


def test_who_stays_is_asked_for_though_a_crowd_has_left(start):
    app = start("--silence=30")
    crowd = [Frames(app) for _one in range(600)]  # fewer than 1024 files
    quiet = Frames(app)
    time.sleep(1.2)
    for one in crowd:
        one.socket.close()
    # Silent for a twelfth of it, and looked at within two rounds of a thirtieth.
    quiet.socket.settimeout(2.5 + 2 + 1)
    assert quiet.read()[0] == PING


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "http://127.0.0.1"])
def test_pages_of_other_sites_open_no_websocket_and_write_nothing(app, origin):
    assert Frames(app, headers=[("Origin", origin)]).status == 403
    status, answer = app.say("from elsewhere", Origin=origin)
    assert status == 403
    assert "own page" in answer["refused"]
    own = f"http://127.0.0.1:{app.port}"
    assert Frames(app, headers=[("Origin", own)]).status == 101
    assert app.say("from here", Origin=own)[0] == 201


def test_the_page_has_all_it_needs_of_this_site_alone(app):
    status, headers, body = app.ask("/live")
    page = body.decode()
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    named = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(named) == 3
    for target in named:
        assert target.startswith("/static/")
        assert app.ask(target)[0] == 200
    assert not re.search(r"<style|style=|<script>|onclick", page)


def test_the_page_speaks_english_and_chinese(app):
    for asked, language, word in [
        ("en-GB,en;q=0.9", "en-US", "Send"),
        ("zh-CN,zh;q=0.9", "zh", "发送"),
        ("zh-TW", "zh", "发送"),
        ("fi", "en-US", "Send"),
    ]:
        _status, headers, body = app.ask("/live", headers={"Accept-Language": asked})
        assert f'<html lang="{language}">' in body.decode()
        assert f">{word}</button>" in body.decode()
        assert headers["Vary"] == "Accept-Language"
    assert "太长" in app.say("x" * 2000, **{"Accept-Language": "zh"})[1]["refused"]


def test_no_word_of_the_page_lacks_a_translation(app):
    english = set(re.findall(r"[>\"]([A-Z][^<>\"{}]{3,})[<\"]", app.ask("/live")[2].decode()))
    chinese = app.ask("/live", headers={"Accept-Language": "zh"})[2].decode()
    names = {"WebSocket", "Server-Sent Events"}
    assert {text for text in english if text in chinese} <= names


def test_an_end_is_polite(start):
    app = start()
    readers = {name: READERS[name](app) for name in READERS}
    for reader in readers.values():
        reader.next()
    time.sleep(1)
    begin = time.monotonic()
    assert app.end() == 0
    assert time.monotonic() - begin < 5
    for reader in readers.values():
        assert reader.ended.wait(60)
    assert readers["events"].problems == []
    assert readers["ws"].code in (1001, None)  # 3.x sends none


def test_it_is_not_ready_while_it_ends(start):
    app = start()
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    connection.request("GET", "/readyz")
    assert connection.getresponse().read() == b"ready\n"
    keeps = Frames(app)  # a WebSocket that does not answer holds the end up
    app.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (503, b"draining\n")
    keeps.socket.close()


def test_what_blocks_holds_up_its_own_port_and_a_thread_does_not(start):
    app, other = start("--lessons=true"), start("--lessons=true")
    for lesson, blocked in (("wait", False), ("block", True)):
        asked = threading.Thread(target=app.ask, args=(f"/{lesson}?seconds=3",))
        asked.start()
        time.sleep(0.5)
        assert json.loads(other.ask("/where")[2]) == {"port": other.port}
        assert asked.is_alive()
        assert json.loads(app.ask("/where")[2]) == {"port": app.port}
        asked.join(0.5)
        assert asked.is_alive() != blocked
        asked.join()


def test_nobody_blocks_it_for_long(start):
    app = start("--lessons=true")
    for seconds in ("-1", "6", "nan", "inf", "1e9", "x"):
        assert app.ask(f"/block?seconds={seconds}")[0] == 400


def test_nobody_blocks_it_who_was_not_asked_to(app):
    for lesson in ("block", "wait", "where"):
        assert app.ask(f"/{lesson}")[0] == 404
    assert b"lesson" not in app.ask("/live")[2]
