"""A program that works against its keeper. What it can't do as another account is asked on a host."""

import socket

import pytest
from port import ROOT

PROGRAM = ROOT / "tests/samples/load"
HEAD = """
import array, json, os, resource, signal, socket, struct, subprocess, sys, threading, time
import tornado.ioloop, tornado.web
from tornado.options import define, options, parse_command_line
define("port", type=int)
class Health(tornado.web.RequestHandler):
    def get(self):
        self.write("ok")
def channel():
    for fd in range(3, 64):
        try:
            one = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        if one.family == socket.AF_UNIX and one.type & 0xF == socket.SOCK_SEQPACKET:
            return one
def attack(_ignored=None):
    %s
"""
SERVE = """
parse_command_line()
tornado.web.Application([("/healthz", Health), ("/", Health)]).listen(options.port)
tornado.ioloop.IOLoop.current().call_later(%s, attack)
tornado.ioloop.IOLoop.current().start()
"""
WORDS = {
    "no JSON": "channel().send(b'{')",
    "no object": "channel().send(b'[]')",
    "no name": "channel().send(b'{}')",
    "a name that is none": """channel().send(b'{"is": 7}')""",
    "a deep one": "channel().send(b'[' * 60000)",
    "a long one": "channel().send(b' ' * 100000)",
    "a load that is none": """channel().send(b'{"is": "alive", "load": {"requests": "many"}}')""",
    "a load of its own": """channel().send(b'{"is": "alive", "load": {"more": 1}}')""",
    "a load below nothing": """channel().send(b'{"is": "alive", "load": {"requests": -1}}')""",
    "a descriptor that nobody has asked for": """socket.send_fds(channel(), [b'{"is": "alive"}'], [0])""",
    "a connection that takes an hour to close": """
    heard = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(heard.getsockname())
    globals()["far"] = heard.accept()[0]
    near.setblocking(False)
    try:
        while True:
            near.send(b"x" * 65536)
    except BlockingIOError:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    keeper = struct.unpack("3i", channel().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    os.kill(keeper, signal.SIGSTOP)  # so that it is the last who closes it
    socket.send_fds(channel(), [b'{"is": "alive"}'], [near.fileno()])
    os.close(near.detach())
    os.kill(keeper, signal.SIGCONT)
    """,
    "a port that is none": """channel().send(b'{"is": "wants", "address": "127.0.0.1", "port": -1}')""",
    "an address that is a path": """channel().send(b'{"is": "wants", "address": "../x", "port": 8}')""",
    "a reason that is none": """channel().send(b'{"is": "refused", "reason": {}}')""",
}


@pytest.fixture
def serving(port):
    """A port that serves a good release."""
    port.add("one", PROGRAM)
    port.point("one")
    port.start()
    return port


@pytest.mark.parametrize("words", WORDS)
def test_who_says_what_no_runner_says_is_ended_and_the_port_goes_on(serving, words):
    (serving.units / "an-old-kernel").touch()  # one of them signals its keeper, which runs as it does here
    serving.add("wild", HEAD % WORDS[words] + SERVE % 0.1, settle_time=2)
    keeper, pid = serving.keeper.pid, serving.ask(do="status")["pid"]
    answer = serving.ask(do="swap", release="wild")
    assert not answer["ok"]
    assert answer["bad"]
    assert "says what no runner says" in answer["reason"]
    assert serving.keeper.poll() is None
    assert (serving.keeper.pid, serving.ask(do="status")["pid"]) == (keeper, pid)


def test_who_says_that_it_accepts_before_it_may_is_not_let_at_the_port(serving):
    early = """channel().send(b'{"is": "accepting"}')\n    os._exit(3)"""
    serving.add("early", HEAD % early + SERVE % 0.1, settle_time=2)
    answer = serving.ask(do="swap", release="early")
    assert answer["reason"] == "exited with status 3 before it was let at the port"
    assert serving.ask(do="status")["release"] == "one"


def test_endless_words_and_passed_sockets_do_not_stop_the_next_release(serving):
    # Its limit keeps room for the descriptors of the tests beside it, which have its account.
    flood = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
    one, passed = channel(), [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 200))]
    one.setblocking(True)
    def go():
        while True:
            try:
                one.sendmsg([b'{"is": "alive"}'], passed)
            except OSError:
                pass
    threading.Thread(target=go, daemon=True).start()
    """
    serving.add("wild", HEAD % flood + SERVE % 0.5, settle_time=0)
    assert serving.ask(do="swap", release="wild")["ok"]
    serving.add("two", PROGRAM)
    assert serving.ask(do="swap", release="two")["ok"]
    assert serving.ask(do="status")["release"] == "two"


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP", "SIGTERM"])
def test_who_ends_each_new_process_is_replaced_all_the_same(serving, number):
    """It finds them by what they run: here they have no other account than the test."""
    hunt = f"""
    def go():
        while True:
            found = subprocess.run(
                ["pgrep", "--full", "releases/two/.*tornado_app_runner.py %d " % options.port],
                capture_output=True, text=True).stdout.split()
            for pid in found:
                try:
                    os.kill(int(pid), signal.{number})
                except OSError:
                    pass
            time.sleep(0.05)
    threading.Thread(target=go, daemon=True).start()
    """
    (serving.units / "an-old-kernel").touch()
    serving.add("hunter", HEAD % hunt + SERVE % 0, settle_time=0, drain_timeout=30)
    assert serving.ask(do="swap", release="hunter")["ok"]
    # One that is stopped is found when its time is over.
    serving.add("two", PROGRAM, start_timeout=6)
    assert serving.ask(do="swap", release="two")["ok"]
    assert serving.ask(do="status")["release"] == "two"
    assert "by another process of its account" in serving.log.read_text()


def test_a_process_that_ends_itself_costs_nobody_else(serving):
    serving.add("short", HEAD % "os.abort()" + SERVE % 0, settle_time=2)
    pid = serving.ask(do="status")["pid"]
    assert "was ended by SIGABRT" in serving.ask(do="swap", release="short")["reason"]
    assert serving.ask(do="status")["pid"] == pid


def test_a_socket_that_the_program_has_shut_is_open_for_the_next(serving):
    shut = """
    for fd in range(3, 64):
        try:
            one = socket.socket(fileno=os.dup(fd))
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and one.family == socket.AF_INET:
                one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    """
    serving.add("shuts", HEAD % shut + SERVE % 0.3, settle_time=0)
    assert serving.ask(do="swap", release="shuts")["ok"]
    serving.add("two", PROGRAM)
    assert serving.ask(do="swap", release="two")["ok"]
    # Whom the process before had taken in already, it answers.
    assert serving.wait_for(lambda: '"release"' in str(serving.get()))


def test_a_socket_that_the_program_has_made_a_connection_ends_no_keeper(serving):
    connect = """
    for fd in range(3, 64):
        try:
            one = socket.socket(fileno=os.dup(fd))
            if one.family == socket.AF_INET and one.getsockname()[1] == options.port:
                one.shutdown(socket.SHUT_RDWR)
                one.setblocking(True)
                one.connect(other.getsockname())
        except OSError:
            pass
    """
    head = HEAD.replace("def channel", 'other = socket.create_server(("127.0.0.1", 0))\ndef channel')
    serving.add("connects", head % connect + SERVE % 0.3, settle_time=0)
    assert serving.ask(do="swap", release="connects")["ok"]
    assert serving.wait_for(lambda: serving.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0)
    serving.add("two", PROGRAM)
    assert serving.ask(do="swap", release="two")["ok"]
    assert serving.keeper.poll() is None
    serving.restart()
    assert serving.ask(do="status")["release"] in ("one", "two")


def test_a_port_that_nobody_has_found_well_since_a_swap_says_so(serving):
    serving.add("two", PROGRAM)
    assert not serving.ask(do="status")["unheard"]
    assert serving.ask(do="swap", release="two")["ok"]
    assert serving.wait_for(lambda: serving.ask(do="status")["unheard"])
    # To be looked at is not enough: what was found may be wrong, and the run over.
    assert serving.ask(do="socket")["ok"]
    assert serving.ask(do="status")["unheard"]
    assert serving.ask(do="heard")["ok"]
    assert not serving.ask(do="status")["unheard"]
