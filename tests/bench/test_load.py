"""The load client must be able to fail: otherwise its zero says nothing."""

import asyncio
import itertools
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from contextlib import closing, suppress

import load
import pytest
from ports import free_port
from visitor import ROOT, Program

LOAD = ROOT / "bench/load.py"
CHART = ROOT / "bench/chart.py"
SERVER = ROOT / "tests/samples/load/server.py"
NOTHING = ["--rate=0", "--new=0", "--slow-posts=0", "--download=0", "--websockets=0", "--polls=0"]
LITTLE = [
    "--rate=50",
    "--connections=4",
    "--slow-posts=2",
    "--slow-seconds=0.3",
    "--download-seconds=0.5",
    "--download-bytes=300000",
    "--websockets=5",
    "--polls=2",
    "--poll-seconds=0.5",
]
IDENTITY = {"release": "stub", "port": 1, "pid": 1}


def command(port, *words):
    return [sys.executable, str(LOAD), f"--url=http://127.0.0.1:{port}", *words]


@pytest.fixture
def server():
    """The program that the scenarios deploy, by hand."""
    with Program([sys.executable, str(SERVER), "--port={port}", "--logging=error"], None) as program:
        yield program


def against(serve, *words):
    """The report of a run against a stub: what serve(reader, writer) does with each connection.

    In this process: there are many of them, and a start of Python each would take the longest.
    """
    port = free_port()
    options = load.arguments(command(port, *NOTHING, *words)[2:])

    async def connection(reader, writer):
        # From Python 3.12 on, the server's end waits until all of them are closed.
        with closing(writer):
            await serve(reader, writer)

    async def run():
        async with await asyncio.start_server(connection, "127.0.0.1", port):
            return await load.measure(options, load.target_of(options))

    return json.loads(json.dumps(asyncio.run(run())))


async def request(reader):
    """The next request's head and body; EOFError after the last."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
    return head, (await reader.readexactly(int(length[0].partition(":")[2]))).decode() if length else ""


def answer(content, status="200 OK", *headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return (
        "\r\n".join(["HTTP/1.1 " + status, f"Content-Length: {len(body)}", *headers, "\r\n"]).encode() + body
    )


def answering(reply, after=None):
    """A stub that answers every request with reply(head, body); after: what to do after each."""

    async def serve(reader, writer):
        with suppress(EOFError, ConnectionError):
            while True:
                writer.write(reply(*await request(reader)))
                if after and await after(writer):
                    break
        writer.close()

    return serve


def echo(_head, body):
    return answer({**IDENTITY, "echo": body})


def only(report, kind):
    """What the report says of one kind; there was nothing of the others."""
    assert all(told["sent"] == 0 for name, told in report["kinds"].items() if name not in kind.split())
    return [report["kinds"][name] for name in kind.split()]


def test_a_server_that_does_all_right_has_nothing_failed(server):
    run = subprocess.run(
        command(server.port, *LITTLE, "--seconds=2"), capture_output=True, text=True, check=True
    )
    assert run.stderr == "started\n"
    report = json.loads(run.stdout)
    assert (report["failed"], report["wrong"], report["idle_closed"]) == (0, 0, 0)
    # HTTP/2 needs TLS: test_http2.py.
    kinds = {name: kind for name, kind in report["kinds"].items() if name != "http2"}
    assert all(kind["answered"] == kind["sent"] > 0 for kind in kinds.values())
    assert report["rate"] == pytest.approx(50, rel=0.1)
    (release,) = report["releases"].items()
    plain = sum(report["kinds"][kind]["answered"] for kind in ("get", "post", "new"))
    assert release[0] == (SERVER.parent / "version.txt").read_text().strip()
    assert release[1]["count"] == plain == sum(bucket["answered"] for bucket in report["timeline"])
    assert report["started"] <= release[1]["first_start"] <= release[1]["last_end"] <= report["ended"]


def test_a_server_that_dies_has_failed_whoever_was_waiting(server, tmp_path):
    file = tmp_path / "report.json"
    words = command(server.port, *LITTLE, "--slow-seconds=5", "--until-eof", "--grace=3", f"--report={file}")
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stderr.readline() == b"started\n"
    time.sleep(0.7)
    server.process.kill()
    killed = time.time()
    time.sleep(0.5)
    client.stdin.close()
    assert client.wait(60) == 0
    client.stderr.close()
    report = json.loads(file.read_text())
    kinds = report["kinds"]
    assert all(kinds[kind]["failed"] for kind in ("get", "post", "new", "slow", "websocket"))
    assert report["failed"] == sum(kind["failed"] for kind in kinds.values())
    assert report["failed"] == sum(bucket["failed"] for bucket in report["timeline"])
    assert kinds["slow"]["failures"][0]["reason"] == "closed without an answer"
    assert kinds["slow"]["failures"][0]["at"] == pytest.approx(killed, abs=0.3)
    assert "unclean: no close frame" in [failure["reason"] for failure in kinds["websocket"]["failures"]]
    assert kinds["get"]["failures"][-1]["reason"].startswith("ConnectionRefusedError")


def test_an_echo_of_something_else_is_wrong():
    report = against(
        answering(lambda head, body: answer({**IDENTITY, "echo": body[1:]})), "--rate=20", "--seconds=0.3"
    )
    get, post = only(report, "get post")
    assert (get["wrong"], get["failed"]) == (0, 0)
    assert post["wrong"] == post["sent"] == report["wrong"] > 0
    assert post["failures"][0]["reason"].startswith("wrong: sent 'letter ")


def test_another_status_is_failed():
    statuses = ["502 Bad Gateway", "503 Service Unavailable", "404 Not Found"]
    told = itertools.cycle(statuses)
    report = against(answering(lambda *_: answer(IDENTITY, next(told))), "--new=20", "--seconds=0.3")
    (new,) = only(report, "new")
    assert new["failed"] == new["sent"] > 2
    assert {failure["reason"] for failure in new["failures"]} == {
        f"status {status[:3]}" for status in statuses
    }


def test_a_connection_closed_while_idle_is_not_failed():
    async def close_soon(_writer):
        await asyncio.sleep(0.02)
        return True

    report = against(answering(echo, close_soon), "--rate=4", "--connections=1", "--seconds=1.4")
    get, post = only(report, "get post")
    assert (report["failed"], report["wrong"]) == (0, 0)
    assert get["idle_closed"] > 0
    assert post["idle_closed"] > 0
    assert report["idle_closed"] == get["idle_closed"] + post["idle_closed"]


def test_a_connection_closed_as_announced_is_neither():
    async def close(_writer):
        return True

    def last(_head, body):
        return answer({**IDENTITY, "echo": body}, "200 OK", "Connection: close")

    report = against(answering(last, close), "--rate=20", "--seconds=0.3")
    get, post = only(report, "get post")
    assert (report["failed"], report["idle_closed"]) == (0, 0)
    assert get["polite_closed"] + post["polite_closed"] == get["sent"] + post["sent"] > 0


def test_a_connection_closed_on_a_request_is_failed_and_not_tried_again():
    seen = []

    async def serve(reader, writer):
        with suppress(EOFError, ConnectionError):
            seen.append(await request(reader))
            writer.write(echo(*seen[-1]))
            seen.append(await request(reader))
        writer.close()

    report = against(serve, "--rate=20", "--connections=1", "--seconds=0.4")
    get, post = only(report, "get post")
    assert get["sent"] + post["sent"] == len(seen)
    assert get["failed"] + post["failed"] == len(seen) // 2
    assert all(failure["connection_reused"] for failure in get["failures"] + post["failures"])


def test_half_an_answer_is_failed():
    async def close(_writer):
        return True

    report = against(answering(lambda *_: answer(IDENTITY)[:-5], close), "--new=20", "--seconds=0.3")
    (new,) = only(report, "new")
    assert new["failed"] == new["sent"] > 0
    assert new["failures"][0]["reason"] == "closed in the middle of the answer"


def test_a_request_that_is_never_answered_is_failed_when_the_grace_is_over():
    async def serve(reader, _writer):
        await reader.read()

    report = against(serve, "--slow-posts=2", "--seconds=0.2", "--grace=0.2")
    (slow,) = only(report, "slow")
    assert (slow["sent"], slow["failed"]) == (2, 2)


def test_a_chunked_answer_is_an_answer():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def reply(_head, body):
        text = json.dumps({**IDENTITY, "echo": body}).encode()
        return chunked + b"5\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\n\r\n" % (text[:5], len(text) - 5, text[5:])

    report = against(answering(reply), "--rate=20", "--connections=1", "--seconds=0.4")
    assert report["kinds"]["post"]["answered"] > 0
    assert (report["failed"], report["wrong"]) == (0, 0)


@pytest.mark.parametrize(("headers", "outcome"), [(["Retry-After: 0"], "polite"), ([], "failed")])
def test_a_poll_may_be_asked_to_come_again(headers, outcome):
    report = against(
        answering(lambda *_: answer(b"", "503 Service Unavailable", *headers)), "--polls=5", "--seconds=0.3"
    )
    (poll,) = only(report, "poll")
    assert poll[outcome] == poll["sent"] > 0


@pytest.mark.parametrize(("change", "outcome"), [("byte", "wrong"), ("end", "failed"), ("", "answered")])
def test_a_download_is_compared_to_its_end(change, outcome):
    filler = bytes(range(251)) * 300
    sound = b"".join((b"%015x\n" % number + filler)[:65536] for number in range(2))[:100000]
    sent = {"byte": sound[:-1] + b"?", "end": sound[:-1], "": sound}[change]

    async def close(_writer):
        return True

    def reply(*_):
        return answer(sound)[: -len(sound)] + sent

    words = ["--download=1", "--download-bytes=100000", "--download-seconds=0.1", "--seconds=0.15"]
    (download,) = only(against(answering(reply, close), *words), "download")
    assert download[outcome] == download["sent"] > 0


@pytest.mark.parametrize(
    ("ending", "clean"),
    [
        (b"\x88\x02\x03\xe9", True),  # 1001, going away
        (b"\x88\x00", True),  # no code
        (b"\x88\x02\x03\xf3", False),  # 1011, internal error
        (b"", False),
    ],
)
def test_a_websocket_ends_by_a_close_frame_or_has_failed(ending, clean):
    handshake = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhzRbK+xOo=\r\n\r\n"
    )
    greeting = json.dumps(IDENTITY).encode()

    async def serve(reader, writer):
        with suppress(EOFError, ConnectionError):
            await request(reader)
            writer.write(handshake + bytes((0x81, len(greeting))) + greeting)
            await asyncio.sleep(0.1)
            writer.write(ending)
        writer.close()

    report = against(serve, "--websockets=1", "--seconds=0.8")
    websocket = report["kinds"]["websocket"]
    assert websocket["opened"] > 1
    assert {reconnect["release"] for reconnect in websocket["reconnects"]} == {"stub"}
    assert (websocket["ws_closed_clean"] > 0) is clean
    assert (websocket["failed"] == report["failed"] == 0) is clean


@pytest.mark.parametrize("url", ["http://192.0.2.1", "https://[2001:db8::1]", "http://127.0.0.1@192.0.2.1"])
def test_nobody_elses_host_gets_load(url):
    run = subprocess.run([sys.executable, LOAD, "--url", url], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "neither a loopback nor a private address" in run.stderr


def test_the_chart_shows_what_the_report_says(tmp_path):
    timeline = [{"t": 100 + n / 4, "answered": 75, "failed": n == 3, "max_ms": 4.0} for n in range(20)]
    report = {"failed": 1, "wrong": 0, "kinds": {"get": {"answered": 1500}}, "timeline": timeline}
    (tmp_path / "one.json").write_text(json.dumps({**report, "deploys": [[101, 102.5]]}))
    (tmp_path / "two.json").write_text(json.dumps({**report, "failed": 0}))
    words = [f"--panel=A & B={tmp_path}/one.json", f"--panel=two={tmp_path}/two.json"]
    subprocess.run([sys.executable, CHART, *words, "--output", tmp_path / "out.svg"], check=True)
    drawing = ElementTree.parse(tmp_path / "out.svg").getroot()
    texts = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("A & B: 1 failed, 1,500 answered") for text in texts)
    assert any(text.startswith("two: 0 failed, 1,500 answered") for text in texts)
    classes = [element.get("class") for element in drawing.iter()]
    assert classes.count("deploy") == 1
