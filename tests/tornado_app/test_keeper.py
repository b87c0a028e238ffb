"""The keeper with real processes: who serves, who is refused, who takes over. No systemd."""

import array
import errno
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import pytest
from port import FILES, ROOT
from rendering import evaluate

PROGRAM = ROOT / "tests/samples/load"
HEAD = """
import os, sys, time, tornado.ioloop, tornado.web
from tornado.options import define, options, parse_command_line
define("port", type=int)
class Health(tornado.web.RequestHandler):
    def get(self):
        %s
"""
SERVE = """
parse_command_line()
tornado.web.Application([("/healthz", Health)]).listen(options.port)
tornado.ioloop.IOLoop.instance().start()
"""
BAD = {
    "a syntax error": ("def (:\n", "exited with status 1 before it answered"),
    "a missing import": ("import nowhere\n", "exited with status 1 before it answered"),
    "an exit at once": ("raise SystemExit(3)\n", "exited with status 3 before it answered"),
    "sys.exit(-1)": ("raise SystemExit(-1)\n", "exited with status 255 before it answered"),
    "a status of systemd's": ("raise SystemExit(203)\n", "exited with status 203 before it answered"),
    "no port": (
        "import time\ntime.sleep(60)\n",
        "did not listen within 5 s (tornado_app_start_timeout is how long it may take)",
    ),
    "another port": (
        HEAD % "pass" + SERVE.replace("options.port", "options.port + 1"),
        "did not listen within 5 s (the program listens on {next}: tell it {{port}}, or name that in "
        "tornado_app_listens_on)",
    ),
    "an error": (
        HEAD % "self.set_status(500)" + SERVE,
        "is not well within 5 s (tornado_app_health_path: /healthz answered 500, not 200)",
    ),
    "a health that hangs": (
        HEAD % "time.sleep(60)" + SERVE,
        "is not well within 5 s (tornado_app_health_path: /healthz gave no answer)",
    ),
    "a death soon after": (
        HEAD % "self.write('ok')"
        + SERVE.replace("parse_", "import threading\nparse_").replace(
            "tornado.ioloop.IOLoop", "threading.Timer(0.6, os._exit, [4]).start()\ntornado.ioloop.IOLoop"
        ),
        "exited with status 4 before it was let at the port",
    ),
    "a change of mind": (
        HEAD % "self.set_status(200 if time.time() - BEGUN < 0.6 else 503)" + "BEGUN = time.time()\n" + SERVE,
        "was well at first, then not (tornado_app_health_path: /healthz answered 503, not 200)",
    ),
    "a death under the question": (
        HEAD % "self.write('ok') if time.time() - BEGUN < 0.6 else os._exit(4)"
        + "BEGUN = time.time()\n"
        + SERVE,
        "exited with status 4 before it was let at the port",
    ),
    # As uvicorn does it: it logs what is wrong, and exits.
    "another server": (
        "import asyncio, os, sys\n"
        "async def serve(port):\n"
        "    try:\n"
        "        await asyncio.start_server(print, '127.0.0.1', port)\n"
        "    except OSError:\n"
        "        os._exit(1)\n"
        "    await asyncio.sleep(60)\n"
        "port = int(sys.argv[1].split('=')[1])\n"
        "asyncio.run(serve(port))\n",
        "exited with status 1 before it answered (it has opened port {port} without Tornado, whose servers",
    ),
    "another server elsewhere": (
        "import http.server\nhttp.server.HTTPServer(('127.0.0.1', {next}), None).serve_forever()\n",
        "did not listen within 5 s (it has opened port {next} without Tornado, whose servers",
    ),
    "Python's own server": (
        "import http.server, sys\n"
        "http.server.HTTPServer(('', int(sys.argv[1].split('=')[1])), None).serve_forever()\n",
        "opens a port that is taken without Tornado, whose servers alone can be run: if it looks",
    ),
    "a server that nobody sees opening": (
        "import sys\nsys.modules['uvicorn'] = sys\nsys.exit(1)\n",
        "exited with status 1 before it answered (it has opened a server of uvicorn's without Tornado,",
    ),
    "no such release": (None, "can't be started"),
}


@pytest.fixture
def serving(port):
    """A port that serves the release "one"."""
    port.add("one", PROGRAM)
    port.point("one")
    port.start()
    return port


def test_a_new_release_takes_over_and_the_old_one_ends(serving):
    serving.add("two", PROGRAM)
    old = serving.ask(do="status")["pid"]
    assert serving.ask(do="swap", release="two")["ok"]
    assert serving.ask(do="status")["release"] == "two"
    assert serving.wait_for(lambda: not os.path.exists(f"/proc/{old}"))


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_release_is_refused_and_the_old_one_goes_on(serving, kind):
    source, reason = BAD[kind]
    if source:
        source = source.replace("{next}", str(serving.number + 1))
        serving.add("bad", source, start_timeout=5, settle_time=1)
    before = serving.ask(do="status")["pid"]
    answer = serving.ask(do="swap", release="bad")
    assert not answer["ok"]
    assert reason.format(port=serving.number, next=serving.number + 1) in answer["reason"]
    assert serving.ask(do="status")["pid"] == before
    assert '"release"' in serving.get()


@pytest.mark.parametrize("main", ["server.py", "-m server"])
def test_a_traceback_begins_with_the_programs_own_lines(serving, main):
    serving.add("bad", "import nowhere\n", main=main)
    assert not serving.ask(do="swap", release="bad")["ok"]
    trace = serving.log.read_text().partition("Traceback")[2].partition("ModuleNotFoundError")[0]
    assert trace.count("File ") == 1
    assert 'server.py", line 1' in trace


def test_a_swap_whose_client_hangs_up_is_called_off(serving):
    serving.add("two", PROGRAM)
    with serving.connect() as channel:
        prepared = serving.tell(channel, do="swap", release="two", hold=True)
        assert prepared["ok"]
    assert serving.wait_for(lambda: not os.path.exists(f"/proc/{prepared['pid']}"))
    assert serving.ask(do="status")["release"] == "one"


def test_a_new_process_gets_no_request_before_it_may_take_over(serving):
    serving.add("two", PROGRAM)
    old = serving.ask(do="status")["pid"]
    with serving.connect() as channel:
        assert serving.tell(channel, do="swap", release="two", hold=True)["ok"]
        # Longer than it has to stay well: it could, but nobody has said that it may.
        time.sleep(1)
        assert all(f'"pid": {old}' in serving.get() for _request in range(100))
        new = serving.tell(channel, do="commit")["pid"]
    # Until the old one has heard of it, both accept.
    assert serving.wait_for(lambda: not serving.ask(do="status")["draining"])
    assert all(f'"pid": {new}' in serving.get() for _request in range(20))


def test_a_second_swap_at_the_same_time_is_refused(serving):
    serving.add("two", PROGRAM)
    with serving.connect() as channel:
        serving.tell(channel, do="swap", release="two", hold=True)
        assert serving.run("reload") == 1
        said = f"Refused: port {serving.number} has another swap under way."
        assert serving.wait_for(lambda: said in serving.log.read_text())
        assert serving.ask(do="swap", release="two")["reason"] == "has another swap under way"
        assert serving.tell(channel, do="commit")["ok"]


def test_a_port_is_opened_when_whoever_has_just_closed_it_has_let_go(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        command = ["/usr/bin/python3", "-SEs", FILES / "keeper/keeper.py", "free", str(port)]
        with subprocess.Popen(command) as waits:
            time.sleep(0.5)
            assert waits.poll() is None
            held.close()
            assert waits.wait(60) == 0
    # Who keeps it is systemd's to name.
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert subprocess.run([*command[:-1], str(port)], timeout=120, check=False).returncode == 0


def test_a_keeper_that_is_slow_to_answer_costs_no_release(tmp_path):
    """The keeper is the test: on a busy host the real one has had its process wait for ten seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(tmp_path / "8000.workers"))
        door.listen()
        door.settimeout(20)
        command = ["/usr/bin/python3", FILES / "keeper/worker.py", tmp_path, "8000-one-1"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as worker:
            channel, _address = door.accept()
            time.sleep(11)
            release = json.dumps({"release": str(tmp_path)}).encode()
            socket.send_fds(channel, [release], [door.fileno()])
            # It has gone on to the release, which is none.
            assert b"launcher.py" in worker.stderr.read()


def test_a_process_comes_again_that_could_not_be_given_the_port(tmp_path, monkeypatch):
    """The kernel has room for so many descriptors on their way, of all processes of an account."""
    monkeypatch.syspath_prepend(str(FILES / "keeper"))
    monkeypatch.delitem(sys.modules, "ports", raising=False)  # the tests have one of that name
    module = importlib.import_module("keeper")
    met = []
    child = types.SimpleNamespace(state=module.State.STARTING, pidfd=-1, killed=False, unit="u", release="/r")
    child.attach = lambda channel, pid, unit: met.append((channel, pid))
    keeper = module.Keeper.__new__(module.Keeper)
    keeper.children, keeper.watch = lambda: [child], lambda child: None
    keeper.workers, keeper.listener = module.listening(str(tmp_path / "8000.workers"), 0o600), socket.socket()
    monkeypatch.setattr(module.systemd, "show", lambda _unit: {"MainPID": str(os.getpid())})
    full = [OSError(errno.ETOOMANYREFS, "Too many references: cannot splice")]

    def send_fds(*words, send=socket.send_fds):
        if full:
            raise full.pop()
        return send(*words)

    monkeypatch.setattr(module.socket, "send_fds", send_fds)
    for answer in (b"", b'{"release": "/r"}'):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as worker:
            worker.connect(str(tmp_path / "8000.workers"))
            keeper.accept_workers()
            data, handed, _flags, _address = socket.recv_fds(worker, 4096, 1)
            assert (data, len(handed)) == (answer, bool(answer))
    assert len(met) == 1


def test_a_swap_on_a_host_without_room_for_descriptors_drains_the_old_process(serving):
    """The keeper's limit counts what all processes of its account have in flight; root may exceed it."""
    serving.keeper.terminate()
    serving.keeper.wait()
    serving.wrapper = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    serving.start()
    serving.add("two", PROGRAM)
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with serving.connect() as channel, ends[0], ends[1]:
        assert serving.tell(channel, do="swap", release="two", hold=True)["ok"]
        resource.prlimit(serving.keeper.pid, resource.RLIMIT_NOFILE, (64, 64))
        ends[0].sendmsg([b"full"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 100))])
        new = serving.tell(channel, do="commit")["pid"]
        assert serving.wait_for(lambda: not serving.ask(do="status")["draining"])
        assert not serving.ask(do="status")["drains"][-1]["forced"]
        assert f'"pid": {new}' in serving.get()


def test_a_killed_process_is_replaced(serving):
    for _time in range(3):
        # 0 for the moment in which the keeper has not heard yet that the new one serves.
        pid = serving.wait_for(lambda: serving.ask(do="status")["pid"])
        assert pid  # a signal to 0 goes to the tests themselves
        os.kill(pid, signal.SIGKILL)
        assert '"release"' in serving.get()
    assert serving.ask(do="status")["restarts"] == 3


@pytest.mark.parametrize("how", ["stopped", "blocked"])
def test_a_process_whose_loop_does_not_turn_is_replaced(serving, how):
    # The others have no watchdog: where the kernel does not count who waits for a processor, a
    # machine that is busy for 2 s would end their process.
    serving.add("watched", PROGRAM, watchdog=2)
    serving.swap("watched")
    pid = serving.ask(do="status")["pid"]
    assert pid
    if how == "stopped":
        os.kill(pid, signal.SIGSTOP)
    else:
        threading.Thread(target=lambda: serving.post("/block"), daemon=True).start()
    # The limit is 2 s, and up to 4 more in which somebody waited for a processor: here, anybody in
    # the cgroup that the tests run in.
    assert serving.wait_for(lambda: serving.ask(do="status")["pid"] not in (0, pid), seconds=20)
    assert "has not answered within 2 s (tornado_app_watchdog): killing it" in serving.log.read_text()
    if how == "blocked":
        # Where it stood: who reads the journal knows which line of the program to look at.
        assert 'server.py", line ' in serving.log.read_text()


@pytest.fixture
def silent(monkeypatch):
    """Make a process that never answers, by its watchdog; it, and a function that says how long it waited.

    The clocks are the test's own: a host that is too busy for its load can't be had to order.
    """
    monkeypatch.syspath_prepend(str(FILES / "keeper"))
    module = importlib.import_module("child")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made = []

    def wait(seconds):
        monkeypatch.setattr(module.systemd, "waited", lambda _cgroup: seconds)

    def make(watchdog):
        wait(100.0)
        settings = {"watchdog": watchdog, "health_path": None}
        made.append(
            module.Child(8000, "/srv/x/releases/one", settings, "tornado-x-worker@8000-one-1.service")
        )
        made[0].attach(near, os.getpid(), {"ControlGroup": "/tornado-x-worker"})
        return made[0], wait

    yield make
    made[0].close()
    far.close()


def test_a_process_that_only_waits_for_a_processor_is_let_live(silent):
    one, wait = silent(8)
    begun = one.answered
    assert not one.ping(begun + 2)
    assert not one.ping(begun + 7)
    assert one.ping(begun + 9)
    # Of those seven seconds, three without a processor.
    wait(103.0)
    assert not one.ping(begun + 9)
    assert one.ping(begun + 12)
    # And if it never gets one, at last it is killed all the same.
    wait(200.0)
    assert not one.ping(begun + 23)
    assert one.ping(begun + 25)


def test_a_new_process_that_only_waits_for_a_processor_is_refused_no_sooner(silent):
    one, wait = silent(0)
    one.settings["start_timeout"] = 8
    wait(3.0)
    one.prove(one.begun + 10)
    assert one.reason == ""
    wait(1.0)
    one.prove(one.begun + 10)
    assert "did not listen within 8 s" in one.reason
    one.reason = ""
    # And if it never gets one, at last it is refused all the same.
    wait(100.0)
    one.prove(one.begun + 23)
    assert one.reason == ""
    one.prove(one.begun + 25)
    assert one.reason


def test_a_program_may_block_for_a_minute_unless_it_is_told_otherwise(silent):
    limit = evaluate("tornado_app", "tornado_app_watchdog")
    one, _wait = silent(limit)
    begun = one.answered
    assert not one.ping(begun + 2)
    assert not one.ping(begun + 60)
    assert one.ping(begun + limit)


def test_a_killed_keeper_leaves_its_process_serving(serving):
    pid = serving.ask(do="status")["pid"]
    assert pid
    serving.keeper.kill()
    serving.keeper.wait()
    assert '"release"' in serving.get()
    serving.start()
    assert serving.ask(do="status")["pid"] == pid
    # And the next keeper is a full one: it notices the end of a process it did not start.
    os.kill(pid, signal.SIGKILL)
    assert '"release"' in serving.get()


def test_the_next_keeper_ends_what_the_one_before_had_begun(serving):
    serving.add("hangs", "import time\ntime.sleep(60)\n")
    running = serving.processes()
    with serving.connect() as channel:
        channel.send(b'{"do": "swap", "release": "hangs"}')
        assert serving.wait_for(lambda: len(serving.processes()) == len(running) + 1)
        time.sleep(0.5)
        serving.keeper.kill()
        serving.keeper.wait()
    serving.start()
    assert serving.wait_for(lambda: serving.processes() == running)
    assert '"release"' in serving.get()


def test_a_process_that_systemd_has_lost_answers_who_is_there(serving):
    # As where a keeper was killed just after its process was let at the port.
    pid = serving.ask(do="status")["pid"]
    answers = []
    poll = threading.Thread(target=lambda: answers.append(serving.get("/poll?seconds=2")))
    poll.start()
    time.sleep(0.5)
    while serving.stored:
        serving.stored.popitem()[1].close()
    serving.keeper.kill()
    serving.keeper.wait()
    serving.start()
    assert serving.ask(do="status")["pid"] not in (0, pid)
    poll.join(15)
    assert f'"pid": {pid}' in answers[0]
    assert serving.wait_for(lambda: not serving.ask(do="status")["draining"])
    assert str(pid) not in serving.processes()


@pytest.mark.parametrize("word", ["retire", ""])
def test_a_restart_swaps_the_process_without_a_gap(serving, word):
    serving.add("patient", PROGRAM, drain_timeout=30)
    serving.swap("patient")
    pid = serving.ask(do="status")["pid"]
    polls = []
    poll = threading.Thread(target=lambda: polls.append(serving.get("/poll?seconds=25", timeout=40)))
    poll.start()
    with Hammer(serving) as hammer:
        # systemd leaves the word out where it stops a service in the middle of a reload.
        serving.restart(word)
        status = serving.ask(do="status")
        # The new one does not wait for what the old one has in flight.
        assert polls == []
    assert status["pid"] not in (0, pid)
    poll.join(40)
    assert f'"pid": {pid}' in polls[0]
    assert hammer.failures == []
    assert hammer.answers > 20


def test_swaps_lose_no_request_on_a_kept_connection(serving):
    serving.add("two", PROGRAM)
    with Hammer(serving) as hammer:
        for release in ("two", "one", "two"):
            assert serving.ask(do="swap", release=release)["ok"]
            time.sleep(0.3)
    assert hammer.failures == []
    # Handed from process to process, or at worst asked politely to come again.
    assert hammer.connections <= 4


def test_a_stop_ends_all_processes(serving):
    pid = serving.ask(do="status")["pid"]
    serving.stop()
    assert serving.keeper.returncode == 0
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("unit", ["service", "socket"])
def test_a_stop_that_systemd_has_not_announced_answers_who_is_there(serving, unit):
    # As in the middle of a reload, where it leaves ExecStop= out.
    (serving.units / ".jobs").write_text(f"7 tornado-app@{serving.number}.{unit} stop running\n")
    pid = serving.ask(do="status")["pid"]
    answers = []
    poll = threading.Thread(target=lambda: answers.append(serving.get("/poll?seconds=2")))
    poll.start()
    time.sleep(0.5)
    serving.keeper.terminate()
    serving.keeper.wait(60)
    # After it, the process would be killed.
    assert not os.path.exists(f"/proc/{pid}")
    poll.join(15)
    assert '"release"' in answers[0]


def test_a_port_that_is_closed_refuses_who_comes_and_answers_who_is_there(serving):
    answers = []
    poll = threading.Thread(target=lambda: answers.append(serving.get("/poll?seconds=2")))
    poll.start()
    time.sleep(0.5)
    assert serving.ask(do="close")["ok"]
    serving.keeper.terminate()
    assert serving.wait_for(lambda: serving.post("/") is None, seconds=1.5)
    assert answers == []
    poll.join(15)
    assert '"release"' in answers[0]
    serving.keeper.wait(60)
    # systemd takes a socket that does not listen for one that has failed.
    assert serving.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    # And where it is not closed after all, the next keeper serves on it.
    serving.start()
    assert all('"release"' in serving.get() for _request in range(20))


def test_a_port_without_a_release_waits_for_one(port):
    port.start()
    assert port.ask(do="status")["state"] == "waiting"
    port.add("one", PROGRAM)
    assert port.ask(do="swap", release="one")["ok"]


def test_a_port_whose_release_never_starts_takes_another(port):
    port.add("broken", "raise SystemExit(1)\n")
    port.add("one", PROGRAM)
    port.point("broken")
    port.start()
    assert port.ask(do="status")["state"] == "failing"
    assert port.ask(do="swap", release="one")["ok"]
    status = port.ask(do="status")
    assert (status["state"], status["refused"]) == ("serving", "")


class Hammer:
    """Asks without a pause on one keep-alive connection, half of it POST, and never again."""

    def __init__(self, port):
        self.port, self.going = port, True
        self.answers, self.connections, self.failures = 0, 0, []

    def run(self):
        connection = None
        while self.going:
            connection = connection or self.port.open()
            self.connections += connection.sock is None
            body = f"x{self.answers}"
            try:
                connection.request(*(("POST", "/", body) if self.answers % 2 else ("GET", "/")))
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status != 200 or (self.answers % 2 and body not in text):
                    self.failures.append((answer.status, text))
            except OSError as problem:
                self.failures.append(repr(problem))
                connection = None
            self.answers += 1

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_problem):
        time.sleep(0.2)
        self.going = False
        self.thread.join(20)


def test_a_program_that_looks_whether_its_port_is_free_is_one_of_tornados(serving):
    look = "import socket, sys\nport = int(sys.argv[1].split('=')[1])\n"
    look += "try:\n    socket.socket().bind(('127.0.0.1', port))\nexcept OSError:\n    pass\n"
    program = look + HEAD % "self.write('ok')" + SERVE
    serving.add("two", program)
    assert serving.ask(do="swap", release="two")["ok"]
    broken = program.replace("IOLoop.instance().start()", "IOLoop.instance(); raise SystemExit(5)")
    serving.add("bad", look + broken)
    assert serving.ask(do="swap", release="bad")["reason"] == "exited with status 5 before it answered"
