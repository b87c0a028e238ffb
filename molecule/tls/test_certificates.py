"""What there is after the first run, and what its renewal costs a visitor."""

import datetime
import itertools
import re
import time

from conftest import ROOT
from cryptography import x509

PROGRAM = "/usr/local/lib/nginx-proxy/certificates.pyz"
UNIT = "nginx-proxy-certificates.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CALM = ("--download", "0", "--polls", "0")


def test_a_visitor_of_every_name_trusts_the_public_certificate(public):
    visitor = public()
    for name in ("www.example.test", "example.test"):
        assert visitor.ask("/healthz", host=name).status == 200


def test_the_other_providers_serve_their_own(client, served):
    assert client.ask("/healthz", host="private.example.test").status == 200
    brought = (ROOT / ".cache/tls/brought.pem").read_bytes()
    assert served("brought.example.test") == x509.load_pem_x509_certificate(brought)


def test_http_leads_to_https_but_for_what_the_ca_asks_for(client):
    assert client.ask("/x", scheme="http", host="example.test").status == 308
    challenge = "/.well-known/acme-challenge/nothing"
    assert client.ask(challenge, scheme="http", host="example.test").status == 404
    # A site that needs no CA leaves that path to its app.
    assert client.ask(challenge, scheme="http", host="private.example.test").status == 308


def test_the_private_cas_certificates_say_no_more_than_they_shall(served, container):
    text = (ROOT / f".cache/{container[0]}-ca.crt").read_bytes()
    authority, site = x509.load_pem_x509_certificate(text), served("private.example.test")
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.path_length) == (True, 0)
    assert 3649 <= (authority.not_valid_after_utc - authority.not_valid_before_utc).days <= 3650
    assert 364 <= (site.not_valid_after_utc - site.not_valid_before_utc).days <= 365
    names = site.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert (names.critical, names.value.get_values_for_type(x509.DNSName)) == (True, ["private.example.test"])
    assert not list(site.subject)
    site.verify_directly_issued_by(authority)


def test_keys_are_for_root_alone_and_told_to_nobody(host):
    for path in host.check_output("find /etc/nginx /var/lib/nginx-proxy -name '*key*' -type f").split():
        assert (path, host.file(path).user, host.file(path).mode & 0o077) == (path, "root", 0)
    for path in (PROGRAM, "/usr/local/lib/nginx-proxy", UNIT_FILE):
        assert (host.file(path).user, host.file(path).mode & 0o022) == ("root", 0)
    for path in ("/etc/nginx/certificates", "/etc/nginx/private-ca/private", "/var/lib/nginx-proxy/certbot"):
        assert (host.file(path).user, host.file(path).mode) == ("root", 0o700)
    assert host.run("journalctl --no-pager | grep 'PRIVATE KEY' | grep -v grep").rc == 1
    assert host.run("grep --recursive 'PRIVATE KEY' /var/lib/nginx-proxy/certbot/logs").rc == 1


def test_the_program_is_one_file_and_the_one_of_a_former_version_is_gone(host):
    assert host.check_output("ls /usr/local/lib/nginx-proxy") == "certificates.pyz"
    assert host.check_output("readlink /usr/local/sbin/nginx-proxy-status") == PROGRAM


def test_the_timer_comes_twice_a_day_and_makes_up_for_what_it_missed(host):
    assert host.service("nginx-proxy-certificates.timer").is_enabled
    unit = host.check_output("systemctl cat nginx-proxy-certificates.timer")
    assert "Persistent=true" in unit
    assert "RandomizedDelaySec=" in unit
    [calendar] = re.findall("OnCalendar=(.*)", unit)
    times = host.check_output(f"systemd-analyze calendar --iterations=4 '{calendar}' | grep UTC")
    hours = [int(found) for found in re.findall(r" (\d\d):00:00", times)]
    assert len(set(hours)) >= 2


def test_systemd_finds_little_to_say_about_the_one_that_renews(host):
    done = host.run(f"systemd-analyze security --no-pager --threshold=22 {UNIT}")
    print(done.stdout)
    assert done.rc == 0


def test_debians_own_renewal_finds_nothing_to_do(host):
    assert "No renewals were attempted" in host.check_output("certbot renew 2>&1")


def test_nothing_is_renewed_before_it_is_time(timer, served):
    before = served("www.example.test"), served("private.example.test")
    assert timer()[0] == 0
    assert (served("www.example.test"), served("private.example.test")) == before


def test_a_renewal_loses_nothing_but_what_a_bare_reload_does(host, load, served, capsys):
    before = {name: served(name).serial_number for name in ("example.test", "private.example.test")}
    spans = {}
    with load(*CALM, host="private.example.test") as running:
        for number in range(3):
            spans[f"bare reload {number}"] = time.time()
            host.check_output("systemctl reload nginx")
            time.sleep(1)
        spans["renewal"] = time.time()
        host.check_output(f"{PROGRAM} renew --force")
        # At once: the program ends when nginx serves the new ones.
        assert all(served(name).serial_number != serial for name, serial in before.items())
        time.sleep(1)
        spans["the end"] = time.time()
    lost = [one for found in running.report["kinds"].values() for one in found["failures"]]
    with capsys.disabled():
        for (name, begun), (_next, ended) in itertools.pairwise(spans.items()):
            print(f"\n{name}: {sum(begun <= one['at'] <= ended for one in lost)} lost", end=" ")
    assert running.lost() == []
    assert running.report["kinds"]["get"]["answered"] > 100


def test_the_private_cas_certificates_are_renewed_by_the_same_timer(host, client, served, timer):
    # Nine days are a short life, and five of them are over.
    aged = (
        f"import datetime, sys; sys.path.insert(0, '{PROGRAM}')\n"
        "from certificates import authority, paths, x509\n"
        "folder = paths.CERTIFICATES / 'private.example.test'\n"
        "key = x509.read_key(folder / 'privkey.pem')\n"
        "begin = x509.now() - datetime.timedelta(days=5)\n"
        "signed = authority.Authority.load().sign(['private.example.test'], key, 9, begin)\n"
        "(folder / 'fullchain.pem').write_bytes(signed)\n"
    )
    host.check_output(f'python3 -c "{aged}"')
    old = served("private.example.test")
    code, said = timer()
    assert (code, "Issued private.example.test by the private CA, since it is time." in said) == (0, True)
    assert client.ask("/healthz", host="private.example.test").status == 200
    new = served("private.example.test")
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=360)


def test_the_host_says_what_each_site_has(host):
    told = host.check_output("nginx-proxy-status")
    for name, kind in (("www", "acme"), ("private", "private_ca"), ("brought", "provided")):
        assert re.search(rf"^{name}\.example\.test +{kind} +20\d\d-\d\d-\d\d \d\d:\d\d UTC ", told, re.M)
