"""Whether a visitor could come, asked from the controller."""

import http.server
import socket
import threading

from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_reach import (
    NOBODY,
    at_once,
    first_pages,
    problem_of,
    status_of,
)


def test_a_port_that_answers_is_no_news_and_one_that_does_not_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert problem_of("127.0.0.1", port) == ""
    assert problem_of("127.0.0.1", port) == "connection refused"


def test_a_port_whose_packets_are_dropped_is_waited_for_so_long_and_no_longer():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Whoever comes now waits, as before a firewall that drops.
        with socket.create_connection(full.getsockname()):
            assert problem_of(*full.getsockname()) == "no answer within 3 s"


def test_an_alias_of_ssh_is_nobodys_address():
    assert problem_of("no-such-host.invalid", 80) == ""


def test_a_program_that_knows_its_own_names_alone_is_asked_by_the_sites_name():
    class Local(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.headers["Host"] == "localhost" else 403)
            self.end_headers()

        def log_message(self, *_words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Local) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert status_of(*server.server_address, "localhost", False, "/") == 200
        assert status_of(*server.server_address, "www.example.org", False, "/") == 403
        # Not what it speaks: no answer, and no end of the run.
        assert status_of(*server.server_address, "www.example.org", True, "/") == 0
        server.shutdown()


def test_a_port_behind_a_balancer_is_asked_as_a_balancer_asks():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        came = []

        def serve():
            connection = listener.accept()[0]
            with connection, connection.makefile("rb") as lines:
                came.extend([lines.readline(), lines.readline()])
                connection.sendall(b"HTTP/1.0 502 Bad Gateway\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert status_of(*listener.getsockname(), "www.example.org", False, "/", NOBODY) == 502
        thread.join()
    # nginx would close without a word, and an error of the first page be nobody's news.
    assert came == [b"PROXY UNKNOWN\r\n", b"GET / HTTP/1.1\r\n"]


def test_each_app_of_a_site_is_visited_by_the_sites_own_scheme():
    sites = [
        {"name": "www.example.org", "tls": "acme", "upstreams": [{"path": "/é/"}, {"path": "/"}]},
        {"name": "plain.example.org", "tls": "", "upstreams": [{"path": "/"}]},
        {"name": "files.example.org", "tls": "", "upstreams": []},
    ]
    assert first_pages(sites, [80, 443]) == [
        (443, "www.example.org", True, "/%C3%A9/"),
        (443, "www.example.org", True, "/"),
        (80, "plain.example.org", False, "/"),
    ]


def test_all_are_asked_before_one_has_answered():
    everybody = threading.Barrier(30)
    assert at_once(lambda number: everybody.wait(30) < 30 and number, [(one,) for one in range(30)]) == [
        *range(30)
    ]
    assert at_once(print, []) == []
