"""Whoever speaks HTTP/2 loses what another server would lose, and sends again only what may be."""

import asyncio
import json
import ssl
import subprocess
import sys
from contextlib import closing

import h2.config
import h2.connection
import h2.errors
import h2.events
import load
import pytest
from certificates import paths
from certificates.authority import Authority
from certificates.x509 import new_key, pem
from hyperframe.frame import GoAwayFrame
from ports import free_port
from visitor import ROOT

OTHERS = ["--rate=0", "--new=0", "--slow-posts=0", "--download=0", "--websockets=0", "--polls=0"]
FEW = ["--http2=50", "--http2-connections=2", "--http2-streams=3", "--seconds=0.6", "--grace=0.5"]
ONE_BY_ONE = ["--http2=50", "--http2-connections=1", "--http2-streams=1", "--seconds=0.4", "--grace=0.5"]


class Served:
    """One connection of a stub. do(served, request) does something with each whole request."""

    def __init__(self, reader, writer, do):
        self.reader, self.writer, self.do = reader, writer, do
        self.done = 0  # requests
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.protocol = h2.connection.H2Connection(config)
        self.protocol.initiate_connection()

    async def run(self):
        waiting = {}
        data = b""
        while not self.writer.is_closing():
            for event in self.protocol.receive_data(data):
                number = getattr(event, "stream_id", None)
                if isinstance(event, h2.events.RequestReceived):
                    waiting[number] = Request(number, dict(event.headers))
                elif isinstance(event, h2.events.DataReceived):
                    waiting[number].body += event.data
                    self.protocol.acknowledge_received_data(event.flow_controlled_length, number)
                elif isinstance(event, h2.events.StreamEnded):
                    self.done += 1
                    self.do(self, waiting.pop(number))
            self.writer.write(self.protocol.data_to_send())
            if not (data := await self.reader.read(65536)):
                break

    def answer(self, request, status="200", echo=None):
        told = request.body.decode() if echo is None else echo
        body = json.dumps({"release": "stub", "port": 1, "pid": 1, "echo": told}).encode()
        self.protocol.send_headers(request.number, [(":status", status)])
        while body:
            piece, body = body[:16000], body[16000:]
            self.protocol.send_data(request.number, piece, end_stream=not body)
        self.writer.write(self.protocol.data_to_send())

    def goaway(self, last, error=0):
        """Take nothing after that stream. h2 itself would end all others, too."""
        self.writer.write(self.protocol.data_to_send())
        self.writer.write(GoAwayFrame(last_stream_id=last, error_code=error).serialize())


class Request:
    def __init__(self, number, head):
        self.number, self.body = number, b""
        self.method, self.path = head[":method"], head[":path"]
        self.visit = self.path.partition("visit=")[2]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with ca.crt, and with what a server called localhost shows."""
    folder = tmp_path_factory.mktemp("ca")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "CA", folder)
        key = new_key("ecdsa")
        certificate = Authority.create("stub").sign(["localhost"], key, 2)
    (folder / "server.pem").write_bytes(pem(key) + certificate)
    return folder


@pytest.fixture
def against(authority):
    """The report of the kind http2 of a run against a stub, nothing else having been asked."""

    def measure(do, *words, protocol="h2"):
        port = free_port()
        url, trust = f"--url=https://127.0.0.1:{port}", f"--authority={authority}/ca.crt"
        options = load.arguments([url, "--host=localhost", trust, *OTHERS, *words])
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(authority / "server.pem")
        tls.set_alpn_protocols([protocol])

        async def connection(reader, writer):
            with closing(writer):
                await Served(reader, writer, do).run()

        async def run():
            async with await asyncio.start_server(connection, "127.0.0.1", port, ssl=tls):
                return await load.measure(options, load.target_of(options))

        report = json.loads(json.dumps(asyncio.run(run())))
        assert all(told["sent"] == 0 for kind, told in report["kinds"].items() if kind != "http2")
        return report["kinds"]["http2"]

    return measure


def test_a_server_that_does_all_right_has_nothing_failed(against):
    seen = []

    def do(served, request):
        seen.append(request)
        served.answer(request)

    found = against(do, *FEW)
    assert found["answered"] == found["sent"] == len(seen) > 10
    assert {one.method for one in seen} == {"GET", "POST"}
    assert max(len(one.body) for one in seen) > 65535  # It came in pieces.
    assert len({one.visit for one in seen}) == len(seen)
    assert (found["failed"], found["wrong"], found["sent_on"], found["idle_closed"]) == (0, 0, 0, 0)


def test_requests_share_a_connection(against):
    held, together = [], []

    def do(served, request):
        held.append(request)
        if len(held) == 3:
            together.append({one.number for one in held})
            while held:
                served.answer(held.pop())

    found = against(do, *FEW, "--http2-connections=1")
    assert found["answered"] > 1
    assert all(len(one) == 3 for one in together)


def test_what_the_server_has_not_taken_is_sent_again_and_done_once(against):
    seen, done = [], []

    def do(served, request):
        seen.append(request.visit)
        if served.done < 4:
            done.append(request.visit)
            served.answer(request)
        elif served.done == 4:
            served.goaway(request.number - 2)

    found = against(do, *FEW)
    assert found["answered"] == found["sent"] == len(done) == len(set(done))
    assert found["failed"] == 0
    # The server may have said goodbye before it read the last of them.
    assert found["sent_on"] >= len(seen) - len(done) > 2
    assert found["polite_closed"] > 1


def test_what_the_server_has_taken_is_answered_after_it_has_said_goodbye(against):
    def do(served, request):
        served.goaway(request.number)
        served.answer(request)

    found = against(do, *ONE_BY_ONE)
    assert found["answered"] == found["sent"] > 1
    assert (found["failed"], found["sent_on"]) == (0, 0)
    assert found["polite_closed"] == found["sent"] - 1


def cut(served, _request):
    served.writer.close()


def cut_after_a_goodbye(served, request):
    served.goaway(request.number)
    served.writer.close()


def cut_in_the_answer(served, request):
    served.protocol.send_headers(request.number, [(":status", "200")])
    served.writer.write(served.protocol.data_to_send())
    served.writer.close()


def give_up(served, request):
    served.goaway(0, error=h2.errors.ErrorCodes.INTERNAL_ERROR)


def reset(served, request):
    served.protocol.reset_stream(request.number, h2.errors.ErrorCodes.INTERNAL_ERROR)


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (cut, "closed without an answer"),
        (cut_after_a_goodbye, "closed without an answer"),
        (cut_in_the_answer, "closed in the middle of the answer"),
        (give_up, "not HTTP/2: GOAWAY <ErrorCodes.INTERNAL_ERROR: 2>"),
        (reset, "reset: <ErrorCodes.INTERNAL_ERROR: 2>"),
        (lambda served, request: served.answer(request, "502"), "status 502"),
    ],
)
def test_what_may_have_been_done_is_failed_and_not_sent_again(against, ending, why):
    seen = []

    def do(served, request):
        seen.append(request.visit)
        ending(served, request)

    found = against(do, *ONE_BY_ONE)
    assert found["failed"] == found["sent"] == len(seen) == len(set(seen)) > 1
    assert found["sent_on"] == 0
    assert {failure["reason"] for failure in found["failures"]} == {why}
    assert {failure["method"] for failure in found["failures"]} == {"GET", "POST"}


def test_what_is_never_answered_is_failed_when_the_grace_is_over(against):
    found = against(lambda *_: None, *FEW)
    assert found["sent"] == found["failed"] == 6


def test_an_echo_of_something_else_is_wrong(against):
    found = against(lambda served, request: served.answer(request, echo="x"), *ONE_BY_ONE)
    assert found["wrong"] > 2
    assert found["wrong"] + found["answered"] == found["sent"]


def test_a_server_without_http2_has_failed(against):
    found = against(lambda *_: None, *ONE_BY_ONE, protocol="http/1.1")
    assert found["failed"] == found["sent"] > 2
    assert {failure["reason"] for failure in found["failures"]} == {"no HTTP/2"}


def test_http2_is_for_tls_alone():
    words = ["--url=http://127.0.0.1:1", "--http2=1"]
    run = subprocess.run([sys.executable, ROOT / "bench/load.py", *words], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "load.py: --http2 needs TLS, and --url http://127.0.0.1:1 has none.\n"
