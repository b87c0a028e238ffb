"""The program that issues, renews and watches over certificates, without a host."""

import contextlib
import dataclasses
import datetime
import http.server
import itertools
import json
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.program import packed, unpacked
from certificates import acme, paths, renewal
from certificates.authority import Authority
from certificates.description import Acme, Description, Site, Trouble
from certificates.due import due_acme, due_private, outdated
from certificates.renewal import issue, provide, renew
from certificates.sites import in_use, install
from certificates.status import failed, judged
from certificates.x509 import names_in, new_key, now, pem, span
from cryptography import x509
from rendering import ROOT

DAY = datetime.timedelta(days=1)
ACME = Acme("https://ca.test/dir")


@pytest.fixture(autouse=True)
def host(tmp_path, monkeypatch):
    """All paths of the program below a folder of its own."""
    for name in ("CERTIFICATES", "CA", "STATE", "CHALLENGES", "FAILURES"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    paths.STATE.mkdir()


@pytest.fixture
def authority():
    return Authority.create("Private CA of the tests")


def site(*names, tls="private_ca"):
    return Site(names[0], list(names), tls)


def wanted(*sites, acme=ACME):
    return Description("Private CA of the tests", 365, 443, acme, list(sites))


def give(authority, to, days=365, age=0, origin=None):
    """Give a site a certificate that is some days old."""
    key, begin = new_key("ecdsa"), now() - age * DAY
    chain = authority.sign(to.names, key, days, begin)
    install(to.folder, chain, pem(key), origin or {})
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
def test_a_certificate_is_renewed_by_its_share_of_life(authority, days, age, due):
    www = site("www.test")
    certificate = give(authority, www, days, age)
    assert bool(outdated(www, certificate)) is due


@pytest.mark.parametrize(
    ("days", "age", "told"),
    [
        (90, 60, ""),
        (90, 74, ""),
        (90, 76, "expires soon, on "),
        (90, 91, "has expired on "),
        (6, 5, "soon"),
        (90, -2, "valid only from "),
    ],
)
def test_trouble_is_told_at_half_of_what_is_left_for_a_renewal(authority, days, age, told):
    www = site("www.test", tls="provided")
    end = span(give(authority, www, days, age))[1]
    row = judged(www, ACME, {})
    assert bool(row["trouble"]) is bool(told)
    assert told in row["trouble"]
    assert row["until"] == f"{end:%Y-%m-%d %H:%M} UTC"


def test_one_that_was_made_while_the_date_was_ahead_is_replaced_once_it_is_right(authority, monkeypatch):
    www = site("www.test")
    give(authority, www, age=-400)
    assert due_private(www, authority, 365) == "it is not valid yet"
    # By a date at which its CA is not valid either, the new one would have expired for everybody else.
    monkeypatch.setattr("certificates.due.now", lambda: now() - 500 * DAY)
    assert due_private(www, authority, 365) == ""


def test_what_is_there_is_kept(capsys):
    www, other = site("www.test", "*.test", "192.0.2.1", "2001:db8::1"), site("b.test")
    for _turn in range(2):
        issue(wanted(www, other), dry=False)
    before = pair(www), pair(other), (paths.CA / "ca.crt").read_bytes()
    assert capsys.readouterr().out.count("Issued") == 2
    issue(wanted(www, other), dry=False)
    assert (pair(www), pair(other), (paths.CA / "ca.crt").read_bytes()) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("what", ["names", "key", "ca", "days", "missing"])
def test_what_does_not_fit_any_more_is_issued_anew(authority, what, capsys):
    www = site("www.test")
    issue(wanted(www), dry=False)
    changed = wanted(www)
    if what == "names":
        www.names.append("more.test")
    if what == "key":
        (www.folder / "privkey.pem").write_bytes(pem(new_key("ecdsa")))
    if what == "ca":
        Authority.create("Another")
    if what == "days":
        changed.ca_days = 90
    if what == "missing":
        (www.folder / "fullchain.pem").unlink()
    capsys.readouterr()
    before = {path: path.read_bytes() for path in www.folder.iterdir()}
    issue(changed, dry=True)
    assert capsys.readouterr().out.startswith("Would issue www.test by the private CA, since ")
    assert {path: path.read_bytes() for path in www.folder.iterdir()} == before
    issue(changed, dry=False)
    assert due_private(www, Authority.load(), changed.ca_days) == ""
    assert names_in(in_use(www)) == set(www.names)


def test_a_dry_run_leaves_nothing(tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    issue(wanted(site("www.test")), dry=True)
    provide("b.test", json.dumps({"certificate": "c", "key": "k"}), dry=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr().out.count("Would ") == 2


def test_a_ca_that_cant_be_read_is_not_replaced(authority):
    (paths.CA / "ca.crt").write_text("damaged")
    with pytest.raises(Trouble, match="a CA that can't be read"):
        issue(wanted(site("www.test")), dry=False)


def test_who_is_killed_leaves_a_pair(authority, monkeypatch):
    class Killed(Exception):
        pass

    www = site("www.test")
    give(authority, www)
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
                give(authority, www)
        # The one of before, or the new one; never a half of each.
        assert in_use(www) is not None


def test_keys_are_for_root_alone():
    os.umask(0)
    issue(wanted(site("www.test")), dry=False)
    os.umask(0o022)
    for path in (paths.CERTIFICATES / "www.test/privkey.pem", paths.CA / "private/ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_site_of_an_acme_server_begins_with_the_private_ca():
    www = site("www.test", tls="acme")
    issue(wanted(www), dry=False)
    assert Authority.load().signed(in_use(www))
    assert due_acme(www, ACME) == "it is from elsewhere"
    assert "has no certificate of https://ca.test/dir yet" in judged(www, ACME, {})["trouble"]


@pytest.mark.parametrize("key", ["directory", "key_type", "profile"])
def test_another_ca_or_kind_of_certificate_is_asked_for(authority, key):
    www = site("www.test", tls="acme")
    give(authority, www, origin=ACME.origin)
    assert due_acme(www, ACME) == ""
    assert due_acme(www, dataclasses.replace(ACME, **{key: "other"})) == "it is from elsewhere"
    # What the user brought meanwhile is not the CA's, whatever the folder says.
    chain, secret = pair(www)
    origin = (www.folder / "origin.json").read_text()
    give(authority, www)
    (www.folder / "origin.json").write_text(origin)
    assert due_acme(www, ACME) == "it is from elsewhere"
    provide("www.test", json.dumps({"certificate": chain.decode(), "key": secret.decode()}), False)
    assert due_acme(www, ACME) == "it is from elsewhere"


def test_one_name_that_fails_keeps_no_other_from_its_certificate(authority, monkeypatch, capsys):
    def obtain(one, _acme):
        if one.slug == "bad.test":
            raise Trouble("bad.test resolves to nothing")
        give(authority, one, origin=ACME.origin)

    monkeypatch.setattr(renewal, "obtain", obtain)
    monkeypatch.setattr(renewal, "serves", lambda *_words: True)
    sites = [site(name, tls="acme") for name in ("bad.test", "good.test")]
    renew(wanted(*sites), dry=False)
    assert failed() == {"bad.test": "bad.test resolves to nothing"}
    assert due_acme(sites[1], ACME) == ""
    # It is told until it has passed, and a dry run knows that something is left to do.
    renew(wanted(*sites), dry=True)
    assert "bad.test" in capsys.readouterr().out.splitlines()[-1]


def test_what_nginx_does_not_serve_yet_is_made_up_for(authority, monkeypatch):
    www, reloaded = site("www.test"), []
    issue(wanted(www), dry=False)
    monkeypatch.setattr(renewal, "serves", lambda *_words: bool(reloaded))
    monkeypatch.setattr(renewal, "reload", lambda sites, _port: reloaded.extend(sites))
    renew(wanted(www), dry=False)
    renew(wanted(www), dry=False)
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


def test_a_name_that_leads_here_passes(server, monkeypatch):
    resolving(monkeypatch, here=["127.0.0.1"], **{"127.0.0.1": ["127.0.0.1"]})
    server.answer = (200, lambda path: (paths.CHALLENGES / path[1:]).read_bytes())
    acme.probe("here", server.server_port)
    assert list((paths.CHALLENGES / acme.CHALLENGE_PATH).iterdir()) == []


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
def test_a_name_that_leads_elsewhere_is_told(server, monkeypatch, name, status, told):
    both = {one: [one] for one in ("127.0.0.1", "127.0.0.9")}
    resolving(monkeypatch, here=["127.0.0.1"], dead=["127.0.0.9"], two=["127.0.0.1", "127.0.0.9"], **both)
    files = lambda path: (paths.CHALLENGES / path[1:]).read_bytes()  # noqa: E731
    server.answer = (status, files if name == "two" else lambda _path: b"welcome")
    with pytest.raises(Trouble) as problem:
        acme.probe(name, server.server_port)
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
def test_certbots_reason_is_told_without_its_noise(output, told):
    assert acme.complaint(output).startswith(told)


@pytest.mark.parametrize(
    ("said", "asked", "well"),
    [
        (["an invalid anti-replay nonce", ""], 2, True),
        (["an invalid anti-replay nonce"] * 2, 2, False),
        (["too many certificates", ""], 1, False),
    ],
)
def test_a_refused_nonce_is_no_refusal(monkeypatch, said, asked, well):
    answers = iter(said)
    calls = []

    def run(command, _environment, _directory):
        calls.append(command)
        text = next(answers)
        return subprocess.CompletedProcess(command, int(bool(text)), text)

    monkeypatch.setattr(acme, "run", run)
    with contextlib.nullcontext() if well else pytest.raises(Trouble, match=said[-1] or "too many"):
        acme.certbot(ACME)
    assert len(calls) == asked


def test_a_packed_program_is_the_same_again_and_runs(tmp_path):
    rooms = {
        path.name: path.read_text() for path in (ROOT / "roles/nginx_proxy/files/certificates").glob("*.py")
    }
    content = packed("certificates", rooms)
    assert content == packed("certificates", dict(reversed(rooms.items())))
    assert content != packed("certificates", {**rooms, "paths.py": ""})
    assert unpacked(content)["certificates/paths.py"] == rooms["paths.py"]
    # What an older version has left, or a hand.
    assert unpacked(b"") == unpacked(b"#!/usr/bin/python3\nprint()\n") == {}
    (tmp_path / "program").write_bytes(content)
    done = subprocess.run(
        [sys.executable, tmp_path / "program", "--help"], capture_output=True, text=True, check=True
    )
    assert "renew    the same" in done.stdout
