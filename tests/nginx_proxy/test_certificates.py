"""The program that issues, renews and watches over certificates, without a host."""

import contextlib
import datetime
import http.server
import importlib.util
import itertools
import json
import os
import socket
import stat
import subprocess
import threading

import pytest
from cryptography import x509
from rendering import ROOT

PATH = ROOT / "roles/nginx_proxy/files/usr/local/lib/nginx-proxy/certificates.py"
DAY = datetime.timedelta(days=1)
ACME = {
    "directory": "https://ca.test/dir",
    "key_type": "ecdsa",
    "profile": "",
    "probe": True,
    "challenge_port": 80,
}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The program, with all its paths below a folder of its own."""
    spec = importlib.util.spec_from_file_location("certificates", PATH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "certificates", module)
    spec.loader.exec_module(module)
    for name in ("CERTIFICATES", "CA", "STATE", "CHALLENGES", "FAILURES"):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
    module.STATE.mkdir()
    return module


@pytest.fixture
def authority(program):
    return program.Authority.create("Private CA of the tests")


def site(program, *names, tls="private_ca"):
    return program.Site(names[0], list(names), tls)


def wanted(program, *sites, acme=ACME):
    return program.Description("Private CA of the tests", 365, 443, acme, list(sites))


def give(program, authority, to, days=365, age=0, origin=None):
    """Give a site a certificate that is some days old."""
    key, begin = program.new_key("ecdsa"), program.now() - age * DAY
    chain = authority.sign(to.names, key, days, begin)
    program.install(to.folder, chain, program.pem(key), origin or {})
    return x509.load_pem_x509_certificate(chain)


def pair(to):
    return [(to.folder / name).read_bytes() for name in ("fullchain.pem", "privkey.pem")]


@pytest.mark.parametrize(
    ("days", "age", "due"),
    [
        (365, 0, False),
        (365, 243, False),
        (365, 244, True),
        (90, 59, False),
        (90, 61, True),
        (45, 29, False),
        (45, 31, True),
        # Below ten days it is the half.
        (6, 2.9, False),
        (6, 3.1, True),
    ],
)
def test_a_certificate_is_renewed_by_its_share_of_life(program, authority, days, age, due):
    www = site(program, "www.test")
    certificate = give(program, authority, www, days, age)
    assert bool(program.outdated(www, certificate)) is due


@pytest.mark.parametrize(
    ("days", "age", "told"),
    [(90, 60, ""), (90, 74, ""), (90, 76, "expires soon, on "), (90, 91, "has expired on "), (6, 5, "soon")],
)
def test_trouble_is_told_at_half_of_what_is_left_for_a_renewal(program, authority, days, age, told):
    www = site(program, "www.test", tls="provided")
    end = program.span(give(program, authority, www, days, age))[1]
    row = program.judged(www, ACME, {})
    assert bool(row["trouble"]) is bool(told)
    assert told in row["trouble"]
    assert row["until"] == f"{end:%Y-%m-%d %H:%M} UTC"


def test_what_is_there_is_kept(program, capsys):
    www, other = site(program, "www.test", "*.test", "192.0.2.1", "2001:db8::1"), site(program, "b.test")
    for _turn in range(2):
        program.issue(wanted(program, www, other), dry=False)
    before = pair(www), pair(other), (program.CA / "ca.crt").read_bytes()
    assert capsys.readouterr().out.count("Issued") == 2
    program.issue(wanted(program, www, other), dry=False)
    assert (pair(www), pair(other), (program.CA / "ca.crt").read_bytes()) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("what", ["names", "key", "ca", "days", "missing"])
def test_what_does_not_fit_any_more_is_issued_anew(program, authority, what, capsys):
    www = site(program, "www.test")
    program.issue(wanted(program, www), dry=False)
    now = wanted(program, www)
    if what == "names":
        www.names.append("more.test")
    if what == "key":
        (www.folder / "privkey.pem").write_bytes(program.pem(program.new_key("ecdsa")))
    if what == "ca":
        program.Authority.create("Another")
    if what == "days":
        now.ca_days = 90
    if what == "missing":
        (www.folder / "fullchain.pem").unlink()
    capsys.readouterr()
    before = {path: path.read_bytes() for path in www.folder.iterdir()}
    program.issue(now, dry=True)
    assert capsys.readouterr().out.startswith("Would issue www.test by the private CA, since ")
    assert {path: path.read_bytes() for path in www.folder.iterdir()} == before
    program.issue(now, dry=False)
    assert program.due_private(www, program.Authority.load(), now.ca_days) == ""
    assert program.names_in(program.in_use(www)) == set(www.names)


def test_a_dry_run_leaves_nothing(program, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    program.issue(wanted(program, site(program, "www.test")), dry=True)
    program.provide("b.test", json.dumps({"certificate": "c", "key": "k"}), dry=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr().out.count("Would ") == 2


def test_a_ca_that_cant_be_read_is_not_replaced(program, authority):
    (program.CA / "ca.crt").write_text("damaged")
    with pytest.raises(program.Trouble, match="a CA that can't be read"):
        program.issue(wanted(program, site(program, "www.test")), dry=False)


def test_who_is_killed_leaves_a_pair(program, authority, monkeypatch):
    class Killed(Exception):
        pass

    www = site(program, "www.test")
    give(program, authority, www)
    calls = ("mkdir", "open", "fsync", "replace", "fchmod")
    for name, when in itertools.product(calls, range(12)):
        real, count = getattr(os, name), itertools.count()

        def kill(*words, _real=real, _count=count, _when=when, **more):
            if next(_count) == _when:
                raise Killed
            return _real(*words, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, kill)
            with contextlib.suppress(Killed):
                give(program, authority, www)
        # The one of before, or the new one; never a half of each.
        assert program.in_use(www) is not None


def test_keys_are_for_root_alone(program):
    os.umask(0)
    program.issue(wanted(program, site(program, "www.test")), dry=False)
    os.umask(0o022)
    for path in (program.CERTIFICATES / "www.test/privkey.pem", program.CA / "private/ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_site_of_an_acme_server_begins_with_the_private_ca(program):
    www = site(program, "www.test", tls="acme")
    program.issue(wanted(program, www), dry=False)
    assert program.Authority.load().signed(program.in_use(www))
    assert program.due_acme(www, ACME) == "it is from elsewhere"
    assert "has no certificate of https://ca.test/dir yet" in program.judged(www, ACME, {})["trouble"]


@pytest.mark.parametrize("key", ["directory", "key_type", "profile"])
def test_another_ca_or_kind_of_certificate_is_asked_for(program, authority, key):
    www = site(program, "www.test", tls="acme")
    give(program, authority, www, origin=program.acme_origin(ACME))
    assert program.due_acme(www, ACME) == ""
    assert program.due_acme(www, {**ACME, key: "other"}) == "it is from elsewhere"
    # What the user brought meanwhile is not the CA's, whatever the folder says.
    chain, secret = pair(www)
    origin = (www.folder / "origin.json").read_text()
    give(program, authority, www)
    (www.folder / "origin.json").write_text(origin)
    assert program.due_acme(www, ACME) == "it is from elsewhere"
    program.provide("www.test", json.dumps({"certificate": chain.decode(), "key": secret.decode()}), False)
    assert program.due_acme(www, ACME) == "it is from elsewhere"


def test_one_name_that_fails_keeps_no_other_from_its_certificate(program, authority, monkeypatch, capsys):
    def obtain(one, _acme):
        if one.slug == "bad.test":
            raise program.Trouble("bad.test resolves to nothing")
        give(program, authority, one, origin=program.acme_origin(ACME))

    monkeypatch.setattr(program, "obtain", obtain)
    monkeypatch.setattr(program, "serves", lambda *_words: True)
    sites = [site(program, name, tls="acme") for name in ("bad.test", "good.test")]
    program.renew(wanted(program, *sites), dry=False)
    assert program.failed() == {"bad.test": "bad.test resolves to nothing"}
    assert program.due_acme(sites[1], ACME) == ""
    # It is told until it has passed, and a dry run knows that something is left to do.
    program.renew(wanted(program, *sites), dry=True)
    assert "bad.test" in capsys.readouterr().out.splitlines()[-1]


def test_what_nginx_does_not_serve_yet_is_made_up_for(program, authority, monkeypatch):
    www, reloaded = site(program, "www.test"), []
    program.issue(wanted(program, www), dry=False)
    monkeypatch.setattr(program, "serves", lambda *_words: bool(reloaded))
    monkeypatch.setattr(program, "reload", lambda sites, _port: reloaded.extend(sites))
    program.renew(wanted(program, www), dry=False)
    program.renew(wanted(program, www), dry=False)
    assert reloaded == [www]


@pytest.fixture
def server():
    """A web server that answers what it is told to: ``server.answer = (status, function of path)``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = self.server.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body(self.path))

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def resolving(monkeypatch, **names):
    """Let names resolve to these addresses, and no others."""

    def resolve(name, port, *_words, **_more):
        if name not in names:
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in names[name]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_a_name_that_leads_here_passes(program, server, monkeypatch):
    resolving(monkeypatch, here=["127.0.0.1"], **{"127.0.0.1": ["127.0.0.1"]})
    server.answer = (200, lambda path: (program.CHALLENGES / path[1:]).read_bytes())
    program.probe("here", server.server_port)
    assert list((program.CHALLENGES / program.CHALLENGE_PATH).iterdir()) == []


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("nowhere", 200, "nowhere resolves to nothing. Make a DNS record that leads to this host"),
        ("here", 200, "here leads to 127.0.0.1, where port {port} is another server's (it answers 200)"),
        ("here", 301, "here leads to 127.0.0.1, where port {port} is another server's (it answers 301)"),
        ("dead", 200, "dead leads to 127.0.0.9, where nothing answers on port {port} ("),
        ("two", 200, "two leads to 127.0.0.9, where nothing answers on port {port} ("),
    ],
)
def test_a_name_that_leads_elsewhere_is_told(program, server, monkeypatch, name, status, told):
    both = {one: [one] for one in ("127.0.0.1", "127.0.0.9")}
    resolving(monkeypatch, here=["127.0.0.1"], dead=["127.0.0.9"], two=["127.0.0.1", "127.0.0.9"], **both)
    files = lambda path: (program.CHALLENGES / path[1:]).read_bytes()  # noqa: E731
    server.answer = (status, files if name == "two" else lambda _path: b"welcome")
    with pytest.raises(program.Trouble) as problem:
        program.probe(name, server.server_port)
    assert str(problem.value).startswith(told.format(port=server.server_port))


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("Saving debug log to /x\n\nToo many requests\nAsk for help or ...\n", "Too many requests"),
        (
            " Domain: a\n Type: dns\n Detail: no\nHint: x\nSome challenges have failed.\n",
            "Domain: a Detail: no",
        ),
        ("", "certbot does not say why"),
    ],
)
def test_certbots_reason_is_told_without_its_noise(program, output, told):
    assert program.complaint(output).startswith(told)


@pytest.mark.parametrize(
    ("said", "asked", "well"),
    [
        (["an invalid anti-replay nonce", ""], 2, True),
        (["an invalid anti-replay nonce"] * 2, 2, False),
        (["too many certificates", ""], 1, False),
    ],
)
def test_a_refused_nonce_is_no_refusal(program, monkeypatch, said, asked, well):
    answers = iter(said)
    calls = []

    def run(command, _environment, _directory):
        calls.append(command)
        text = next(answers)
        return subprocess.CompletedProcess(command, int(bool(text)), text)

    monkeypatch.setattr(program, "run", run)
    acme = {"directory": "https://ca.example/dir", "mail": "", "profile": "", "ca_bundle": ""}
    with contextlib.nullcontext() if well else pytest.raises(program.Trouble, match=said[-1] or "too many"):
        program.certbot(acme)
    assert len(calls) == asked
