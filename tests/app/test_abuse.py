"""Bad input has an answer that is known beforehand, and costs the others nothing."""

import json
import os
import socket
import struct
import time
import urllib.parse

import pytest
from clients.websocket import CLOSE, TEXT
from visitor import READERS, Frames

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("", 400, "There is no text in this message."),
        ("text=&key=12345678", 400, "There is no text in this message."),
        ("text=%20%0A&key=12345678", 400, "There is no text in this message."),
        ("text=a", 400, "A message has a key of 8 to 64 characters."),
        ("text=a&key=short", 400, "A message has a key of 8 to 64 characters."),
        (f"text=a&key={'k' * 65}", 400, "A message has a key of 8 to 64 characters."),
        (f"text={'a' * 1001}&key=12345678", 413, "This message is too long."),
        (f"text={urllib.parse.quote('你' * 1001)}&key=12345678", 413, "This message is too long."),
        (f"text={'a' * 900_000}&key=12345678", 413, "This message is too long."),
        ("text=%FF%FE&key=12345678", 400, None),
        ("text=a&key=%FF%FE%FD%FC%FB%FA%F9%F8", 400, None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_message_that_is_none_is_refused_in_a_sentence(app, body, status, sentence):
    reader = READERS["ws"](app)
    found, _headers, answer = app.ask("/messages", "POST", FORM, body)
    assert found == status
    if sentence:
        assert json.loads(answer) == {"refused": sentence}
    assert reader.quiet()
    assert app.say("the longest " + "你" * 988)[0] == 201


def test_who_floods_is_slowed_down_and_nobody_else(app):
    found = [app.say(str(number), address="192.0.2.66")[0] for number in range(40)]
    assert found[:20] == [201] * 20
    assert 429 in found
    assert app.say("from elsewhere", address="192.0.2.7")[0] == 201
    time.sleep(1)
    assert app.say("again", address="192.0.2.66")[0] == 201


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(app, method):
    for target in ("/", "/live", "/messages", "/events"):
        assert app.ask(target, method)[0] == 405


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/messages?after=%FF", 400),
        ("/events?after=%FF", 400),
        ("/live/", 404),
        ("/static/../hello.py", 403),
        ("/templates/live.html", 404),
    ],
)
def test_nothing_else_is_there(app, target, status):
    assert app.ask(target)[0] == status


def test_a_websocket_that_sends_too_much_at_once_is_closed(app):
    other = Frames(app)
    large = Frames(app)
    assert large.echo(b"x" * 60_000) == (TEXT, b"x" * 60_000)
    large.write(TEXT, b"x" * 70_000)
    assert large.ends() in (1009, None)  # 3.x sends no code
    assert other.echo(b"well") == (TEXT, b"well")


def test_a_websocket_that_is_no_utf8_is_closed(app):
    other, broken = Frames(app), Frames(app)
    broken.write(TEXT, b"\xff\xfe")
    assert broken.ends() in (1007, None)
    assert other.echo(b"well") == (TEXT, b"well")


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x83\x80abcd", b"\xc1\x80abcd"])
def test_a_websocket_that_breaks_the_protocol_is_closed(app, data):
    other, broken = Frames(app), Frames(app)
    broken.socket.sendall(data)
    broken.socket.settimeout(10)
    broken.ends()
    assert other.echo(b"well") == (TEXT, b"well")


def test_a_websocket_that_floods_is_closed(app):
    other, flood = Frames(app), Frames(app)
    try:
        for _frame in range(2000):
            flood.write(TEXT, b"x")
    except OSError:
        pass
    assert flood.ends() in (1008, None)
    assert other.echo(b"well") == (TEXT, b"well")


def test_who_reads_nothing_costs_the_others_nothing(start):
    app = start()
    reader = READERS["ws"](app)

    def say_much():
        # 12 bytes each, as JSON writes them.
        texts = [f"{number} " + "🌪" * 990 for number in range(900)]
        for number, text in enumerate(texts):
            assert app.say(text, address=f"198.51.100.{number % 250}")[0] == 201
        assert reader.texts(900, 30) == texts
        return memory(app)

    # Once without them: what the room keeps is there, and PyPy has compiled what it will.
    before = say_much()
    # 20 of them, and more for each than a socket's buffers hold: beside 4 MB each in the kernel
    # more than 100 MB if it were piled up.
    deaf = [Frames(app, f"/ws?after={reader.after}") for _client in range(20)]
    # Nor those who ask for all that was ever said.
    deaf += [Frames(app, "/ws?after=") for _client in range(20)]
    assert say_much() - before < 30
    assert deaf[0].read()[0] == TEXT


def memory(app):
    """MB that the process has in memory."""
    with open(f"/proc/{app.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_half_open_connections_are_cleared_away(start):
    app = start("--silence=2")
    gone = Frames(app, "/ws?after=")
    gone.write(CLOSE, b"\x03\xe8")
    reader = READERS["ws"](app)
    # It would go on answering nothing for ever.
    mute = Frames(app, "/ws?after=")
    assert next(found for found in iter(reader.next, None) if found["here"]["connected"] == 2)
    assert mute.ends() in (1001, None)
    time.sleep(0.1)


def test_a_crowd_that_vanishes_leaves_no_word_in_the_log(start):
    app = start()
    for _turn in range(3):
        crowd = [Frames(app, "/ws?after=") for _one in range(100)]
        # What is written meets a connection that has been cut.
        for number, one in enumerate(crowd):
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.write(TEXT, b"x")
            one.socket.close()
            if number % 25 == 0:
                assert app.say(f"to who is left {number}")[0] == 201
    assert app.ask("/healthz")[0] == 200
    app.end()
    assert "Traceback" not in app.said()
