"""Which answers of a program let it at the port, with and without a path that it must answer."""

from importlib import import_module

import pytest

ROLL = import_module("ansible_collections.tornadoes.tornadoes.plugins.module_utils.rollout")
# Answers each path as its arguments say (PATH=STATUS, also PATH=STATUS:TARGET); no other is known.
PROGRAM = """
import sys, time, tornado.ioloop, tornado.web
from tornado.options import define, options, parse_command_line
define("port", type=int)
define("paths", multiple=True)
define("later", default=0.0)
BEGUN = time.time()

class Handler(tornado.web.RequestHandler):
    def initialize(self, said):
        self.said = said
    def get(self):
        status, _, target = self.said.partition(":")
        if options.later and time.time() - BEGUN > options.later:
            status = "503"
        self.set_status(int(status))
        if target:
            self.set_header("Location", target)
        self.finish("said" if status == "200" else None)

parse_command_line()
rules = [(path.split("=", 1)[0], Handler, {"said": path.split("=", 1)[1]}) for path in options.paths]
tornado.web.Application(rules).listen(options.port)
tornado.ioloop.IOLoop.current().start()
"""
# A line of text each, and no HTTP.
LINES = r"""
import tornado.ioloop, tornado.tcpserver
from tornado.options import define, options, parse_command_line
define("port", type=int)

class Server(tornado.tcpserver.TCPServer):
    async def handle_stream(self, stream, address):
        await stream.read_until(b"\r\n\r\n")
        await stream.write(b"hello\n")
        stream.close()

parse_command_line()
Server().listen(options.port)
tornado.ioloop.IOLoop.current().start()
"""
BLOCKED = LINES.replace("tornado.ioloop.IOLoop.current().start()", "") + (
    "import time\n"
    "tornado.ioloop.IOLoop.current().call_later(0.2, time.sleep, 60)\n"
    "tornado.ioloop.IOLoop.current().start()\n"
)
WELL = {
    "a health path of its own": (None, "/healthz=200,/=500"),
    "a page": (None, "/=200"),
    "a page for those who have a login": (None, "/=302:/login"),
    "a page for nobody": (None, "/=403"),
    "no page at all": (None, "/other=200"),
    "a login before everything": (None, "/healthz=302:/login,/=302:/login"),
    "a path that is named": ("/ready", "/ready=200,/healthz=503,/=500"),
}
UNWELL = {
    "a health path that says no": (None, "/healthz=503,/=200", "/healthz answered 503, not 200"),
    "a page that fails": (None, "/=500", "/ answered 500, not below 500 (/healthz answered 404)"),
    "a named path that redirects": (
        "/ready",
        "/ready=302:/login?next=1,/healthz=200,/=200",
        "/ready answered 302 to /login?next=1, not 200",
    ),
    "a named path that is not there": ("/ready", "/healthz=200,/=200", "/ready answered 404, not 200"),
}


def swap(port, source, **settings):
    """What comes of swapping to a program, on a port that serves another one."""
    port.add("one", PROGRAM, health_path=None, arguments=["--paths=/=200"])
    port.add("two", source, start_timeout=4, **settings)
    port.point("one")
    port.start()
    return port.ask(do="swap", release="two")


@pytest.mark.parametrize("case", WELL)
def test_a_program_that_is_well_is_let_at_the_port(port, case):
    path, answers = WELL[case]
    assert swap(port, PROGRAM, health_path=path, arguments=[f"--paths={answers}"])["ok"]


@pytest.mark.parametrize("case", UNWELL)
def test_a_refusal_names_the_variable_the_answer_and_where_a_redirect_leads(port, case):
    path, answers, said = UNWELL[case]
    answer = swap(port, PROGRAM, health_path=path, arguments=[f"--paths={answers}"])
    assert answer["reason"] == f"is not well within 4 s (tornado_app_health_path: {said})"
    assert port.get("/") == "said"


def test_a_health_path_that_was_found_is_kept_to(port):
    arguments = ["--paths=/healthz=200,/=404", "--later=1"]
    answer = swap(port, PROGRAM, health_path=None, arguments=arguments, settle_time=10)
    said = "tornado_app_health_path: /healthz answered 503, not 200"
    assert answer["reason"] == f"was well at first, then not ({said})"


def test_a_program_that_cannot_be_asked_has_to_listen(port):
    answer = swap(port, LINES, health_path=None)
    assert "tornado_app_health_path: /healthz gave no HTTP answer" in answer["reason"]
    port.add("three", LINES, health_path="")
    assert port.ask(do="swap", release="three")["ok"]


def test_a_program_that_is_not_asked_has_to_turn_its_loop(port):
    answer = swap(port, BLOCKED, health_path="", settle_time=2)
    why = "was well at first, then not (tornado_app_health_path: its loop has not turned for 5 s)"
    assert answer["reason"] == why


@pytest.mark.parametrize("path", [None, "/healthz"])
def test_the_last_lines_of_a_refused_program_are_its_own(path):
    own = ["Traceback (most recent call last):", "[I 1 web:1] 200 GET /healthzone (::1) 1ms"]
    own += ["[E 1 web:1] Uncaught exception GET /healthz (127.0.0.1)"]
    asked = ["[W 1 web:1] 404 GET /healthz (127.0.0.1) 0.46ms", '127.0.0.1 - "GET /healthz HTTP/1.1" 404 -']
    root = ["[W 1 web:1] 302 GET / (127.0.0.1) 0.46ms"]
    assert ROLL.unasked([*asked, *own, *root], path) == [*own, *(root if path else [])]
