"""What a process says of its connections while it serves."""

import sys

import pytest
from visitor import ROOT

sys.path.insert(0, str(ROOT / "roles/tornado_app/files/release"))
import tornado_app_connections


class Stream:
    """As much of one as is counted: open, and nothing asked."""

    def __init__(self):
        self.tornado_app_connection = self
        self._request_headers = self._read_buffer_size = None
        self.stream = self

    def closed(self):
        return False

    def writing(self):
        return False

    def reading(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Moments: each look at the processor's clock costs the process that much."""

    class Clock:
        now, spent, cost = 1000.0, 10.0, 0.0

        def process_time(self):
            self.spent += self.cost
            return self.spent

    one = Clock()
    monkeypatch.setattr(tornado_app_connections.time, "monotonic", lambda: one.now)
    monkeypatch.setattr(tornado_app_connections.time, "process_time", one.process_time)
    return one


def test_counting_thousands_for_the_status_takes_no_time_from_their_requests(clock):
    connections, streams = tornado_app_connections.Connections(8000), [Stream(), Stream()]
    connections.streams.add(streams[0])
    clock.cost = 0.025
    assert connections.load()["connections"] == 1
    connections.streams.add(streams[1])
    clock.now += 4.9
    assert connections.load()["connections"] == 1
    clock.now += 0.2
    assert connections.load()["connections"] == 2


def test_a_few_are_counted_as_they_are(clock):
    connections, streams = tornado_app_connections.Connections(8000), []
    clock.cost = 0.000_01
    for number in range(1, 4):
        streams.append(Stream())
        connections.streams.add(streams[-1])
        clock.now += 0.01
        assert connections.load() == {"requests": 0, "connections": number, "websockets": 0}
