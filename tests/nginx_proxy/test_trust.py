"""Whether a proxy trusts the certificates of the app hosts that it asks, and what it says if not."""

import contextlib
import datetime
import socket
import ssl
import threading

import pytest
from certificates import paths, trust
from certificates.authority import Authority
from certificates.x509 import new_key, now, pem

NAME = "app-host.tornadoes.internal"


@pytest.fixture
def authorities(tmp_path, monkeypatch):
    """Two CAs; nginx is told to trust the first one."""
    found = []
    for number in (1, 2):
        monkeypatch.setattr(paths, "CA", tmp_path / str(number))
        found.append(Authority.create(f"Private CA of app{number}"))
    (tmp_path / "trusted.pem").write_text(f"# app1\n{(tmp_path / '1/ca.crt').read_text()}")
    monkeypatch.setattr(trust, "CONFIGURATION", tmp_path / "nginx.conf")
    return found


@contextlib.contextmanager
def answering(tmp_path, authority=None, names=(NAME,), **more):
    """The address of somebody with a certificate of a CA; without one, of somebody who speaks no TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if authority:
        key = new_key("ecdsa")
        (tmp_path / "chain.pem").write_bytes(authority.sign(list(names), key, 9, **more) + pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "chain.pem")

    def answer():
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            with connection:
                if context:
                    context.wrap_socket(connection, server_side=True).close()
                else:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join()
    listener.close()


def said(address):
    """What is said of a host at an address."""
    return trust.distrusted({"app1": address}, NAME)


def test_a_host_with_a_certificate_of_its_ca_is_trusted(authorities, tmp_path):
    with answering(tmp_path, authorities[0]) as address:
        assert said(address) == []


def test_who_is_not_there_is_another_question(authorities):
    assert said("127.0.0.1:1") == []
    assert trust.distrusted({}, NAME) == []


@pytest.mark.parametrize(
    ("of", "names", "age", "why"),
    [
        (1, [NAME], 0, "self-signed certificate|unable to get local issuer certificate"),
        (0, [NAME], 30, "certificate has expired"),
        (0, ["www.example.org"], 0, "Hostname mismatch"),
        (None, [NAME], 0, "WRONG_VERSION_NUMBER|it speaks no TLS"),
    ],
)
def test_a_host_that_is_not_trusted_is_named_with_what_helps(authorities, tmp_path, of, names, age, why):
    authority = None if of is None else authorities[of]
    begin = now() - datetime.timedelta(days=age)
    with answering(tmp_path, authority, names, begin=begin) as address:
        [sentence] = said(address)
    assert sentence.startswith("app1: This proxy does not trust its certificate (")
    assert any(one in sentence for one in why.split("|"))
    assert sentence.endswith("), and sends it no requests. Run site.yml for both hosts.")


def test_a_proxy_that_knows_no_ca_trusts_nobody(authorities, tmp_path):
    (tmp_path / "trusted.pem").unlink()
    [sentence] = said("127.0.0.1:1")
    assert "no CA of an app host is known here" in sentence
