"""TLS between proxies and the hosts of apps: who listens, who asks, whom a proxy trusts, while it changes."""

import datetime

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_configuration import unused
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.applied import look
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.nginx_proxy_private import (
    bundle,
    certificate,
    refusals,
    staged,
)
from clustered import CHAT, there
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from published import NOTHING, files_of

ALL = ("app1", "app2", "web1", "web2")
ON = {name: {"nginx_proxy_private_tls": True} for name in ALL}
CA = "-----BEGIN CERTIFICATE-----\nMIIB{}==\n-----END CERTIFICATE-----\n"
TOLD = {name: CA.format(name) for name in ("app1", "app2")}
PLAIN, TLS, BOTH = ({**NOTHING, "listens": list(ways)} for ways in (["plain"], ["tls"], ["plain", "tls"]))


@pytest.fixture(scope="module")
def authority():
    """The certificate of a CA."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Private CA of app1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=9))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def listens(found, has, step):
    """The ports at which an app's host can be reached from elsewhere, with whether by TLS."""
    text = files_of(found, has=has, step=step)["snippets/inner.conf"]
    lines = [line.split() for line in text.split("\n") if line.strip().startswith("listen 10.")]
    return {(int(words[1].rpartition(":")[2]), "ssl" in words) for words in lines}


@pytest.mark.parametrize(
    ("on", "has", "step", "ports"),
    [
        (False, NOTHING, "change", {(8800, False)}),
        (True, NOTHING, "change", {(8843, True)}),
        # From plain to TLS: who has not changed yet is let in until the last one has.
        (True, PLAIN, "open", {(8800, False), (8843, True)}),
        (True, BOTH, "change", {(8800, False), (8843, True)}),
        (True, BOTH, "close", {(8843, True)}),
        (True, TLS, "change", {(8843, True)}),
        # And back.
        (False, TLS, "open", {(8800, False), (8843, True)}),
        (False, BOTH, "change", {(8800, False), (8843, True)}),
        (False, BOTH, "close", {(8800, False)}),
    ],
)
def test_an_apps_host_lets_in_whoever_has_not_changed_yet(on, has, step, ports):
    assert listens(there("app1", **ON if on else {}), has, step) == ports


@pytest.mark.parametrize("has", [PLAIN, TLS, BOTH])
@pytest.mark.parametrize("step", ["open", "change", "close"])
def test_what_a_host_has_is_found_there_again(tmp_path, monkeypatch, has, step):
    files = files_of(there("app1", **ON), has=has, step=step)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(look, "NGINX", str(tmp_path))
    assert look.private()["listens"] == staged(there("app1", **ON).description(), has, step, {})["listens"]


def test_a_proxy_asks_by_tls_and_looks_at_the_certificate(tmp_path, monkeypatch):
    files = files_of(there("web1", **ON), told=TOLD)
    text = files["sites/www.example.org.conf"]
    assert "server 10.0.0.1:8843 weight=1" in text
    assert ":8800" not in text
    assert "proxy_pass http://" not in text
    for line in ("verify on", "name app-host.tornadoes.internal", "server_name on", "protocols TLSv1.3"):
        assert f"proxy_ssl_{line};" in files["snippets/proxy.conf"]
    assert files["trusted.pem"] == "".join(f"# {name}\n{text}" for name, text in TOLD.items())
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(look, "NGINX", str(tmp_path))
    assert look.private() == {"listens": [], "asks": "tls", "trusted": files["trusted.pem"]}
    plain = files_of(there("web1"))
    assert "trusted.pem" not in plain
    assert "proxy_ssl" not in "".join(plain.values())


def test_ports_on_the_proxy_itself_and_other_programs_get_plain_http():
    site = {**CHAT, "paths": [{"path": "/b/", "upstreams": ["10.0.0.9:1"]}]}
    text = files_of(there("web1", site, **ON), told=TOLD)["sites/www.example.org.conf"]
    assert "proxy_pass http://tornadoes_www.example.org_path0$request_uri;" in text
    assert "proxy_pass https://tornadoes_www.example.org$request_uri;" in text


def test_a_proxy_that_runs_the_app_too_changes_after_all_have_opened():
    groups = {"tornado_app": ["web1", "web2"], "nginx_proxy": ["web1", "web2"]}
    has = {"listens": ["plain"], "asks": "plain", "trusted": ""}
    found = there("web1", groups=groups, **ON)
    opened = files_of(found, has=has, step="open")
    assert "proxy_pass http://tornadoes_www" in opened["sites/www.example.org.conf"]
    assert "listen 10.0.0.11:8843 ssl" in opened["snippets/inner.conf"]
    changed = files_of(found, has=has, told={"web2": CA})
    assert "proxy_pass https://tornadoes_www" in changed["sites/www.example.org.conf"]


def test_a_host_that_is_not_in_the_run_keeps_its_place_in_the_bundle():
    nginx = there("web1", **ON).description()
    before = bundle(nginx, "", TOLD)
    assert bundle(nginx, before, {}) == before
    # It could not say, as with --check before its first run.
    assert bundle(nginx, before, {"app1": ""}) == before
    anew = bundle(nginx, before, {"app2": CA.format("anew")})
    assert TOLD["app1"] in anew
    assert TOLD["app2"] not in anew
    assert CA.format("anew") in anew
    # Who has left is trusted no more.
    gone = there("web1", app2={"tornadoes_weight": 0}, **{n: ON[n] for n in ("app1", "web1", "web2")})
    assert "app2" not in bundle(gone.description(), before, {})


def test_what_a_host_says_goes_to_others_as_one_certificate_and_nothing_else(authority):
    more = f"# app1\n{authority}# app2\n{authority}{{{{ lookup('file', '/etc/passwd') }}}}\n"
    assert certificate(authority) == certificate(more) == authority
    for one in ("", "# app2\n", CA, {"a": 1}, None):
        assert certificate(one) == ""


@pytest.mark.parametrize(
    ("on", "asks", "trusted", "present", "sentence"),
    [
        (True, "plain", "", ["web1"], "web1 would reach app1, app2 by TLS from now on"),
        (False, "tls", "", ["web1", "web2"], "web1 would reach app1, app2 by plain http from now on"),
        (True, "", "", ["web1"], "web1 knows the private CA of none of app1, app2"),
        (True, "plain", "", ["web1", "app2"], ""),
        (True, "tls", f"# app1\n{CA}", ["web1"], ""),
        (True, "tls", "", ["web1", "app1"], "web1 knows the private CA of none"),
        (False, "plain", "", ["web1"], ""),
        (False, "tls", "", ["web1", "app1"], ""),
    ],
)
def test_a_proxy_that_would_reach_nobody_stays_as_it_is(on, asks, trusted, present, sentence):
    nginx = there("web1", **ON if on else {}).description()
    has = {"listens": [], "asks": asks, "trusted": trusted}
    told = {name: CA for name in present if name.startswith("app")} if asks == "plain" else {}
    found = "".join(refusals(staged(nginx, has, "change", told), has, "web1", present, False))
    assert bool(found) == bool(sentence)
    assert found.startswith(f"nginx_proxy_private_tls: {sentence}" if sentence else "")


def test_hosts_of_two_minds_are_refused():
    [found] = there("web1", app1=ON["app1"]).inputs.refusals()
    assert found.startswith(
        "nginx_proxy_private_tls: is true on app1 and false on others. Give all hosts the same"
    )


@pytest.mark.parametrize("number", [443, 80, 8800, 0, 65536])
def test_a_port_that_is_taken_is_refused(number):
    [found] = there("web1", web1={"nginx_proxy_private_tls_port": number}).inputs.refusals()
    assert found.startswith(f"nginx_proxy_private_tls_port: {number} is invalid.")


def test_the_certificate_is_the_hosts_own_for_its_address_and_the_name_that_all_have():
    found = there("app1", **ON).description()
    [site] = found["certificates"]["sites"]
    assert site == {
        "slug": "tornadoes_private",
        "names": ["app-host.tornadoes.internal", "10.0.0.1"],
        "tls": "private_ca",
        "listens": "10.0.0.1:8843",
    }
    assert "/etc/nginx/certificates/tornadoes_private/fullchain.pem" in found["read_at_start"]
    assert found["certified"]
    assert not found["tls"]
    assert not there("app1").description()["certified"]
    assert there("web1", **ON).description()["certificates"]["trusts"] == {
        "app1": "10.0.0.1:8843",
        "app2": "10.0.0.2:8843",
    }
    assert there("app1", **ON).inputs.questions()["ports"] == [8800, 8843]
    assert "python3-cryptography" in there("app1", **ON).inputs.questions()["packages"]


def test_the_certificate_goes_with_its_port_and_not_before():
    folders = {path: [] for path in ("/etc/nginx/maintenance", "/var/lib/nginx", "/etc/nginx/drained")}
    folders["/etc/nginx/certificates"] = ["tornadoes_private"]
    for has, step, gone in ((BOTH, "change", False), (BOTH, "close", True)):
        nginx = staged(there("app1").description(), has, step, {})
        assert bool(list(unused(folders, nginx))) is gone


def test_no_site_of_a_host_is_meant_by_that_certificate():
    found = {"holders": {}, "paths": {}, "settings": [], "unmanaged": [], "sites": ["tornadoes_private"]}
    assert list(there("app1").inputs.answers(found)) == []
