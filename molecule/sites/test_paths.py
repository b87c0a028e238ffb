"""Several apps under one name: which of them gets a request, and what it makes of its address."""

import json
import time
from urllib.parse import quote

import pytest

HOME, SECOND, WHOLE = 8000, 8001, 8002


@pytest.fixture
def seen(client):
    """How the app saw a request that has reached it."""
    return lambda target, **more: json.loads(client.ask(target, **more).body)


@pytest.mark.parametrize(
    ("target", "port", "path"),
    [
        ("/", HOME, "/"),
        ("/secondary", HOME, "/secondary"),
        ("/second.json", HOME, "/second.json"),
        ("/SECOND/x", HOME, "/SECOND/x"),
        ("/second/", SECOND, "/"),
        ("/second/?a=%2F", SECOND, "/"),
        ("/second/a%2Fb/c%20d", SECOND, "/a%2Fb/c%20d"),
        ("/second//x", SECOND, "//x"),
        ("/second/second/x", SECOND, "/second/x"),
        ("/second/whole", WHOLE, "/second/whole"),
        ("/second/whole/a%2Fb", WHOLE, "/second/whole/a%2Fb"),
        ("/second/wholes", SECOND, "/wholes"),
    ],
)
def test_the_longest_path_counts(seen, target, port, path):
    # What a visitor says of it is told to no app, however it is spelt.
    claims = [("X-Forwarded-Prefix", "/evil"), ("X_Forwarded_Prefix", "/evil")]
    said = seen(target, headers=claims)
    assert (said["port"], said["path"]) == (port, path)
    prefixes = {value for name, value in said["headers"].items() if "prefix" in name.lower()}
    assert prefixes == ({"/second"} if port == SECOND else set())


OF_TWO = ["/second%2Fx", "/%73econd/x", "//second/x", "/second//whole/x", "/second/../x", "/x/..%2fsecond/x"]


@pytest.mark.parametrize("target", OF_TWO)
def test_a_path_that_could_be_of_two_apps_is_of_none(client, target):
    assert client.ask(target).status == 400


def test_a_visitor_without_the_slash_is_sent_to_where_links_fit(client):
    answer = client.ask("/second?a=%2F&b", method="POST", body=b"x")
    assert (answer.status, answer.headers["location"]) == (308, "/second/?a=%2F&b")


@pytest.mark.parametrize("path", ["/second/", "/second/kept/"])
@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("/login", "/second/login"),
        ("/", "/second/"),
        ("/secondary", "/second/secondary"),
        ("/second/login", "/second/login"),
        ("/second", "/second"),
        ("x/y", "x/y"),
        ("//other.example/x", "//other.example/x"),
        ("https://other.example/x", "https://other.example/x"),
        ("https://localhost:26443/x", "https://localhost:26443/second/x"),
        ("https://localhost:26443/second/x", "https://localhost:26443/second/x"),
    ],
)
def test_an_app_that_does_not_see_its_prefix_sends_visitors_below_it(client, path, said, sent):
    query = f"status=302&say=Location:{quote(said)}&say=Set-Cookie:{quote(f'a=b; Path={said}')}"
    answer = client.ask(f"{path}{time.time()}?{query}")
    # A path stays one: by which address visitors come to a balancer before it, nginx does not know.
    assert answer.headers["location"] == sent
    if said.startswith("/") and said != "/" and "//" not in said:
        assert answer.headers["set-cookie"] == f"a=b; Path={sent}"


def test_an_app_that_sees_all_of_its_path_is_taken_at_its_word(client):
    assert client.ask("/second/whole?status=302&say=Location:/login").headers["location"] == "/login"


def test_all_else_is_as_for_the_sites_own_app(client, seen):
    said = seen("/second/", headers=[("Upgrade", "websocket"), ("X-Forwarded-For", "203.0.113.9")])
    assert (said["headers"]["Upgrade"], said["headers"]["Connection"]) == ("websocket", "upgrade")
    assert (said["protocol"], said["host"]) == ("https", "localhost:26443")
    assert "203.0.113.9" not in json.dumps(said)
    target = f"/second/kept/{time.time()}?say=Cache-Control:max-age=60"
    assert client.ask(target).body == client.ask(target).body
    assert client.ask("/office/x", host="guarded.example.org").status == 403
