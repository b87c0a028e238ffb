"""Days on which something is wrong, and an inventory that changes. Last, since it changes the host."""

import re
import time

import pytest

UNIT = "nginx-proxy-certificates.service"
UPSTREAMS = {"upstreams": ["127.0.0.1:8000"]}


def processes(host):
    """nginx with its workers: a reload makes new ones."""
    return host.check_output("pgrep --full --list-name nginx:")


def folders(host):
    """Sites that have a certificate on the host."""
    return set(host.check_output("ls --almost-all /etc/nginx/certificates").split())


def asked(host):
    """How often the ACME server was asked for a certificate."""
    host.run("journalctl --sync")
    return host.check_output("journalctl --unit='pebble@*' --output=cat").count("/order-plz")


def test_a_second_run_changes_nothing_and_reloads_nothing(host, playbook):
    before = processes(host)
    code, output = playbook("site.yml")
    assert code == 0
    assert "changed=0" in output
    assert processes(host) == before


@pytest.fixture(scope="module")
def without_ca(host, publish, wanted):
    """A run that adds a site on a day when the CA is down."""
    host.check_output("systemctl stop pebble@long")
    return publish(*wanted.values(), {"names": ["late.example.test"], "tls": "acme", **UPSTREAMS})


def test_a_site_serves_before_its_certificate_arrives(without_ca, client):
    assert client.ask("/healthz", host="late.example.test").status == 200


def test_while_the_ca_is_down_the_others_serve_what_they_have(without_ca, client, served):
    assert client.ask("/healthz", host="private.example.test").status == 200
    assert "Pebble" in served("www.example.test").issuer.rfc4514_string()


def test_while_the_ca_is_down_the_run_fails_at_its_end_and_says_why(without_ca):
    code, output = without_ca
    assert code != 0
    assert "late.example.test: https://localhost:14000/dir gave no certificate: " in output
    assert "It serves the one that it has, from CN=Private CA of tornadoes-tls, until 20" in output
    prune, failure = output.index("PLAY [Remove unused ports and apps]"), output.index("FAILED!")
    assert prune < failure < output.index("PLAY RECAP")
    assert output.count("FAILED!") == 1


def test_while_the_ca_is_down_the_host_shows_it(without_ca, host):
    assert host.run(f"systemctl is-failed {UNIT}").stdout.strip() == "failed"
    status = host.run("nginx-proxy-status")
    assert status.rc == 1
    assert status.stderr.startswith("late.example.test: ")


def test_the_timer_brings_what_the_ca_could_not(without_ca, host, public, timer, eventually):
    # This CA forgets its accounts when it stops, other than those of the world.
    host.check_output("systemctl start pebble@long; rm -r /var/lib/nginx-proxy/certbot/accounts")
    assert eventually(lambda: host.run("curl --insecure https://localhost:14000/dir").rc == 0)
    code, said = timer()
    assert (code, "Issued late.example.test by https://localhost:14000/dir" in said) == (0, True)
    assert public().ask("/healthz", host="late.example.test").status == 200
    assert host.run("nginx-proxy-status").rc == 0


def test_a_short_life_is_renewed_at_its_half(without_ca, host, served, timer):
    # For a while, the CA whose certificates live for 40 seconds.
    host.check_output("sed --in-place s/:14000/:14001/ /etc/nginx/certificates.json")
    assert timer()[0] == 0
    first = served("www.example.test")
    life = (first.not_valid_after_utc - first.not_valid_before_utc).total_seconds()
    assert 39 <= life <= 40
    timer()
    assert served("www.example.test") == first
    time.sleep(life / 2)
    timer()
    assert served("www.example.test").serial_number != first.serial_number
    host.check_output("sed --in-place s/:14001/:14000/ /etc/nginx/certificates.json")
    assert timer()[0] == 0


@pytest.fixture(scope="module")
def astray(host, publish, wanted):
    """A run with two sites whose names lead elsewhere, and TLS 1.3 alone; how often the CA was asked."""
    before = asked(host)
    sites = [
        wanted["private.example.test"],
        wanted["brought.example.test"],
        {"names": ["elsewhere.example.test"], "tls": "acme", **UPSTREAMS},
        {"names": ["www.example.test", "nowhere.example.test"], "tls": "acme", **UPSTREAMS},
        {"names": ["late.example.test"], "tls": "none", **UPSTREAMS},
    ]
    code, output = publish(*sites, nginx_proxy_tls_profile="modern")
    return code, output, asked(host) - before


def test_a_name_that_leads_elsewhere_is_told_and_the_ca_not_asked(astray):
    code, output, times = astray
    assert code != 0
    told = "leads to 192.0.2.1, where nothing answers on port 25080"
    assert f"elsewhere.example.test: elsewhere.example.test {told}" in output
    assert "www.example.test: nowhere.example.test resolves to nothing." in output
    assert times == 0


def test_a_site_with_a_new_name_that_leads_nowhere_serves_what_it_had(astray, served):
    assert "Pebble" in served("www.example.test").issuer.rfc4514_string()


def test_a_site_that_left_the_ca_left_its_files(astray, host):
    assert "late.example.test" not in folders(host)


def test_mozillas_modern_is_what_a_site_has(astray, judge):
    code, said = judge("private.example.test", "modern")
    assert (code, "OK - Compliant" in said) == (0, True)


EXPIRED = """
import datetime, sys
sys.path.insert(0, '/usr/local/lib/nginx-proxy/certificates.pyz')
from certificates import authority, paths, sites, x509
folder = paths.CERTIFICATES / 'brought.example.test'
begin = x509.now() - datetime.timedelta(days=30)
key = x509.new_key('ecdsa')
chain = authority.Authority.load().sign(['brought.example.test'], key, 29, begin)
sites.install(folder, chain, x509.pem(key), {})
"""


@pytest.mark.parametrize("book", ["status", "check"])
def test_an_expired_certificate_of_the_user_is_told_with_name_and_date(host, playbook, book):
    host.check_output(f'python3 -c "{EXPIRED}"')
    yesterday = host.check_output("date --utc --date=yesterday +%Y-%m-%d")
    code, output = playbook(f"playbooks/{book}.yml")
    assert code != 0
    said = " ".join(output.split())
    assert re.search(
        rf"brought\.example\.test: Its certificate has expired on {yesterday} \d\d:\d\d UTC\.", said
    )


def test_without_a_site_with_tls_nothing_is_left_but_the_private_ca(host, publish):
    gone = (folders(host) | {"late.example.test"}) - {"www.example.test"}
    gone = [{"names": [name], "state": "absent"} for name in gone]
    code, _output = publish({"names": ["www.example.test"], "tls": "none", **UPSTREAMS}, *gone)
    assert code == 0
    assert folders(host) == set()
    assert host.check_output("find / -xdev -path /proc -prune -o -name '*nginx-proxy*' -print") == ""
    assert not host.file("/etc/nginx/certificates.json").exists
    assert host.check_output("systemctl list-units --all --plain --no-legend '*nginx-proxy*'") == ""
    assert host.file("/etc/nginx/private-ca/ca.crt").exists
