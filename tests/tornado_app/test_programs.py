"""Programs that nobody adapted, on the oldest and the newest Tornado: each is swapped under load."""

import os
import socket
import time

import pytest
import tornado
from port import ROOT, Port
from ports import free_port

PROGRAMS = ROOT / "tests/samples/programs"
ANY = ["tutorial.py", "bind_start.py", "add_sockets.py", "second_port.py", "subprocesses.py"]
ANY += ["own_sigterm.py", "debug.py", "annotated.py", "spawns.py", "-m packaged"]
ANY += ["forks.py", "forks_first.py", "own_tls.py", "asks_address.py"]
ANY += ["with_settings/server.py"]
CASES = [(main, version) for main in ANY for version in ("3.1.1", tornado.version)]
# asyncio.run is beyond a Tornado that has loops of its own.
CASES += [("asyncio_main.py", tornado.version)]


@pytest.fixture
def deploy(tmp_path, old_tornado):
    """Start a program on a Tornado, with a second release at hand; the Port."""
    made = []

    def start(main, version=tornado.version, **settings):
        port = Port(tmp_path, path=old_tornado if version == "3.1.1" else "")
        made.append(port)
        arguments = settings.pop("arguments", [])
        for name in ("one", "two"):
            port.add(name, PROGRAMS, main=main, health_path="/", arguments=arguments, **settings)
        port.point("one")
        port.start()
        return port

    yield start
    for port in made:
        port.stop()
        print(port.log.read_text()[-4000:])


@pytest.mark.parametrize(("main", "version"), CASES)
def test_a_program_is_swapped_without_a_lost_request(deploy, main, version):
    extra = [f"--admin_port={free_port()}"] if main == "second_port.py" else []
    port = deploy(main, version, arguments=extra)
    connection = port.open()

    def ask():
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read()

    good = (200, b"Hello, friendly user!")
    for release in ("two", "one"):
        assert ask() == good
        client = connection.sock
        port.swap(release)
        # The idle connection is handed to the new process, not closed. (While the old one
        # is still there, it may answer and ask to come again.)
        assert [ask() for _turn in range(20)] == [good] * 20
        assert connection.sock is client


def test_a_second_port_of_the_program_stays_open_as_well(deploy):
    second = free_port()
    port = deploy("second_port.py", arguments=[f"--admin_port={second}"])
    port.swap("two")
    with socket.create_connection(("127.0.0.1", second)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"Hello, friendly user!" in client.recv(4096)


@pytest.mark.parametrize("version", ["3.1.1", tornado.version])
def test_a_settings_file_named_by_an_argument_is_the_releases_own(deploy, version):
    port = deploy("with_settings/server.py", version, arguments=["--config=with_settings/evening.conf"])
    assert port.get("/") == "Good evening, friendly user!"
    (port.home / "releases/two/with_settings/evening.conf").write_text('greeting = "Good night"\n')
    port.swap("two")
    assert port.get("/") == "Good night, friendly user!"


@pytest.mark.parametrize("version", ["3.1.1", tornado.version])
def test_a_settings_file_that_names_another_port_is_refused_in_a_sentence(deploy, version):
    other = free_port()
    port = deploy(
        "with_settings/server.py",
        version,
        arguments=["--config=with_settings/evening.conf"],
        start_timeout=20,
    )
    (port.home / "releases/two/with_settings/evening.conf").write_text(f"port = {other}\n")
    answer = port.ask(do="swap", release="two")
    wanted = f"did not listen within 20 s (the program listens on {other}: tell it "
    assert answer["reason"] == wanted + "{port}, or name that in tornado_app_listens_on)"
    assert port.get("/") == "Good evening, friendly user!"


def test_what_a_program_has_started_ends_with_it(deploy):
    port = deploy("subprocesses.py")
    helper = int(port.get("/helper"))
    port.ask(do="swap", release="two")
    assert port.wait_for(lambda: not os.path.exists(f"/proc/{helper}"))
    assert int(port.get("/helper")) != helper


@pytest.mark.parametrize(
    ("main", "version"),
    [
        ("own_sigterm.py", "3.1.1"),
        ("own_sigterm.py", tornado.version),
        ("own_sigterm_asyncio.py", tornado.version),
    ],
)
def test_a_programs_own_sigterm_handler_is_heard(deploy, main, version):
    port = deploy(main, version)
    # An idle loop is the hard case: it has to be woken.
    time.sleep(1)
    port.ask(do="swap", release="two")
    assert port.wait_for(lambda: "goodbye" in port.log.read_text())
    assert port.wait_for(lambda: not port.ask(do="status")["draining"])
    assert not port.ask(do="status")["drains"][-1]["forced"]


@pytest.mark.parametrize("version", ["3.1.1", tornado.version])
@pytest.mark.parametrize(
    ("main", "said"), [("forks.py", "2"), ("forks_first.py", "a process for each processor")]
)
def test_a_program_that_forks_runs_as_one_process_and_says_so(deploy, main, said, version):
    port = deploy(main, version)
    assert port.processes() == [str(port.ask(do="status")["pid"])]
    text = f"forking ({said}) is ignored: one process a port, list more ports in tornado_app_ports"
    assert port.log.read_text().count(text) == 1


@pytest.mark.parametrize("version", ["3.1.1", tornado.version])
def test_tls_of_its_own_is_left_to_the_proxy_and_the_program_hears_of_it(deploy, version):
    port = deploy("own_tls.py", version)
    assert port.get("/protocol") == "https"
    assert port.log.read_text().count("TLS of its own (ssl_options) is ignored") == 1


def test_a_program_that_listens_on_a_unix_socket_is_told_so(deploy):
    port = deploy("tutorial.py")
    port.add("unix", PROGRAMS, main="unix_socket.py", start_timeout=4)
    reason = port.ask(do="swap", release="unix")["reason"]
    path = next(line for line in port.log.read_text().splitlines() if line.endswith("web.sock"))
    where = f"(the program listens on the Unix socket {path}: let it listen on {{port}})"
    assert reason == f"did not listen within 4 s {where}"


def test_a_program_that_opens_its_port_by_other_means_as_well_is_told_what_to_write(deploy):
    default = free_port()
    port = deploy("placeholder.py", arguments=[f"--default={default}"], listens_on=default)
    port.swap("two")
    assert port.get("/") == "Hello, friendly user!"
    port.add("told", PROGRAMS, main="placeholder.py")
    reason = port.ask(do="swap", release="told")["reason"]
    assert reason.startswith("opens a port that is taken without Tornado")
    assert reason.endswith("name its default one in tornado_app_listens_on")
    assert "OSError: [Errno 98] Address already in use" in port.log.read_text()


def test_autoreload_is_ignored_with_one_warning(deploy):
    port = deploy("debug.py")
    pid = port.ask(do="status")["pid"]
    (port.home / "releases/one/common.py").touch()
    time.sleep(1.5)
    assert port.ask(do="status")["pid"] == pid
    assert port.log.read_text().count("autoreload (debug=True) is ignored") == 1
