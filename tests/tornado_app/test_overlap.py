"""Programs that can't be there twice at once: the real keeper with real processes, no systemd."""

import os
import threading
import time

import pytest

# It holds a lock as long as it lives, and ends where somebody else has it.
PROGRAM = """
import fcntl, os, sys, tornado.ioloop, tornado.web
from tornado.options import define, options, parse_command_line
define("port", type=int)
lock = open({lock!r}, "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(7)
class Main(tornado.web.RequestHandler):
    def get(self):
        self.write("{name} %d" % os.getpid())
parse_command_line()
tornado.web.Application([("/healthz", Main), ("/", Main)]).listen(options.port)
tornado.ioloop.IOLoop.instance().start()
"""


@pytest.fixture
def alone(port):
    """A port that serves the release "one", which can't be there twice."""
    add(port, "one")
    port.point("one")
    port.start()
    return port


def add(port, name, text=PROGRAM, **settings):
    """Put a release of the program below the port's home."""
    source = text.replace("{lock!r}", repr(str(port.home / "lock"))).replace("{name}", name)
    port.add(name, source, **{"overlap": False, **settings})


class Visitors:
    """Somebody who comes anew all the time, with the answers, in order."""

    def __init__(self, port):
        self.port, self.answers, self.over = port, [], False
        self.thread = threading.Thread(target=self.go)

    def go(self):
        while not self.over:
            try:
                self.answers.append(str(self.port.get(timeout=30)).split()[0])
            except OSError as problem:
                self.answers.append(repr(problem))
            time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_problem):
        self.over = True
        self.thread.join(60)


def test_a_release_waits_for_the_end_of_the_one_before_and_visitors_wait_with_it(alone):
    add(alone, "two")
    with Visitors(alone) as visitors:
        time.sleep(0.5)
        answer = alone.ask(do="swap", release="two")
        time.sleep(0.5)
    assert answer["ok"]
    assert (answer["old"], answer["closed"] > 0) == ("one", True)
    # No refused connection, no lost request.
    assert set(visitors.answers) == {"one", "two"}
    assert sorted(visitors.answers) == visitors.answers
    assert alone.ask(do="status")["restarts"] == 0


def test_what_serves_goes_on_until_the_swap_is_committed(alone):
    add(alone, "two")
    before = alone.ask(do="status")["pid"]
    with alone.connect() as channel:
        assert alone.tell(channel, do="swap", release="two", hold=True) == {
            "ok": True,
            "pid": 0,
            "seconds": 0.0,
        }
        time.sleep(0.5)
        assert alone.ask(do="status")["pid"] == before
    # Nobody has committed it.
    assert alone.wait_for(lambda: alone.ask(do="swap", release="two").get("ok"))


def test_a_refused_release_is_followed_by_the_one_before(alone):
    add(alone, "bad", "raise SystemExit(3)\n")
    with Visitors(alone) as visitors:
        answer = alone.ask(do="swap", release="bad")
        assert (answer["ok"], answer["reason"]) == (False, "exited with status 3 before it answered")
        assert alone.wait_for(lambda: alone.ask(do="status")["release"] == "one")
        time.sleep(0.5)
    assert set(visitors.answers) == {"one"}
    assert "Release one is started again." in alone.log.read_text()


def test_a_release_that_may_overlap_follows_one_that_may_not(alone):
    add(alone, "free", PROGRAM, overlap=True)
    assert alone.ask(do="swap", release="free")["closed"] > 0
    # And the way back.
    assert alone.ask(do="swap", release="one")["closed"] > 0


@pytest.mark.parametrize("word", ["retire", ""])
def test_a_restart_brings_a_new_process_after_the_old_one(alone, word):
    before = alone.ask(do="status")["pid"]
    with Visitors(alone) as visitors:
        alone.restart(word)
        assert alone.wait_for(lambda: alone.ask(do="status")["pid"] not in (0, before), seconds=20)
    assert set(visitors.answers) == {"one"}
    assert "status 7" not in alone.log.read_text()


def test_a_killed_process_is_replaced_when_nothing_is_left_of_it(alone):
    before = alone.ask(do="status")["pid"]
    os.kill(before, 9)
    assert alone.get(timeout=30).startswith("one ")
    assert "status 7" not in alone.log.read_text()


def test_a_keeper_that_is_killed_between_the_two_brings_back_the_one_before(alone):
    add(alone, "two", PROGRAM.replace("define(", "import time; time.sleep(4)\ndefine(", 1))
    with alone.connect() as channel:
        channel.send(b'{"do": "swap", "release": "two"}')
        assert alone.wait_for(lambda: not alone.ask(do="status")["pid"])
        alone.keeper.kill()
        alone.keeper.wait()
    alone.start()
    assert alone.get(timeout=30).startswith("one ")
    assert alone.ask(do="status")["release"] == "one"
    assert "status 7" not in alone.log.read_text()
