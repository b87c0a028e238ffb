"""What visitors keep when a release is bad: the one before, whatever is wrong."""

import os
import re

import pytest

PORTS = ("8000", "8001", "8002", "8003")
START = "tornado.ioloop.IOLoop.instance().start()"
DIES = "import os, threading\nthreading.Timer(2, os._exit, [7]).start()\n"
EATS = "import tornado.ioloop\nhoard = [b'x' * 2**20 * 10 for _turn in range(100)]\n"
# It is well until it may accept: by then two ports have taken over, and have to be turned back.
SHY = f"""if options.port == 8002:
        tornado.tcpserver.add_accept_handler = lambda *_words: os._exit(9)
    {START}"""


def instead(old, new):
    """An edit of the program: new text in place of old."""

    def edit(text):
        assert old in text
        return text.replace(old, new)

    return edit


# What is wrong with the program, and what the play says of it.
BAD = {
    "a syntax error": (lambda text: "def (:\n" + text, "exited with status 1 before it answered"),
    "a missing import": (lambda text: "import nowhere\n" + text, "No module named 'nowhere'"),
    "an exit at once": (lambda _text: "raise SystemExit(3)\n", "exited with status 3 before it answered"),
    "no port": (lambda _text: "import time\ntime.sleep(60)\n", "port 8000 did not listen within 8 s"),
    "another port": (
        instead("(options.port, ", "(options.port + 500, "),
        "(the program listens on 8500: tell it",
    ),
    "an error": (instead('self.write("ok")', "self.set_status(500)"), "/healthz answered 500, not 200"),
    "a health that hangs": (instead('self.write("ok")', "time.sleep(60)"), "/healthz gave no answer"),
    "a death soon after": (lambda text: DIES + text, "exited with status 7 before it was let at the port"),
    "a hunger for memory": (lambda text: EATS + text, "was ended by SIGKILL"),
    "an end on the third port, after all": (
        lambda text: instead(START, SHY)("import tornado.tcpserver\n" + text),
        "port 8002 exited with status 9 before it was let at the port",
    ),
}
# The keeper's own tests refuse the others in each run.
SOME = ["a hunger for memory", "an end on the third port, after all"]


@pytest.mark.parametrize("kind", BAD if os.environ.get("TORNADOES_LONG") else SOME)
def test_a_bad_release_harms_nobody(app, host, load, kind):
    edit, reason = BAD[kind]
    before, served = app.current(), app.releases()
    assert set(served) == set(PORTS)
    with load("--download", "0", "--polls", "0") as running:
        app.write(edit)
        # Long enough for a death after two seconds.
        code, output = app.deploy("-e", "tornado_app_settle_time=3")
        app.write_back()
    assert code == 2
    assert reason in output
    assert f"was not taken (release {before} goes on)" in output
    assert running.lost() == []
    assert app.current() == before
    assert app.releases() == served
    assert re.search(r"\w+ +\S+ +\S+ +bad ", host.check_output("tornado-load-status"))
