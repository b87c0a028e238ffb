"""Who says nothing at all. After the browser, in whose time part of the waiting goes; before a deploy."""

import time

from clients.websocket import CLOSE, PING


def test_a_silent_websocket_has_five_minutes(mute, long):
    opened, socket = mute
    # Pinged before nginx would give it up, and there still.
    assert socket.read()[0] == PING
    assert time.monotonic() - opened > 20
    if long:
        opcode, _content = socket.read()
        while opcode == PING:
            opcode, _content = socket.read()
        assert opcode == CLOSE
        assert 300 <= time.monotonic() - opened < 330
