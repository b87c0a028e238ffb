"""An address that two proxies share answers, whatever becomes of one of them."""

import http.client
import json
import socket
import ssl
import time

import pytest
from cryptography import x509
from floating import FOUR, PAGE, SIX, Visitors

# Seconds. On a quiet machine it is half a second for nginx and less than one for a host; where the
# machine has much to do, nobody may be called dead so soon.
SOON = 5


@pytest.mark.usefixtures("settled")
def test_the_address_answers_by_ipv4_and_by_ipv6():
    for address in (FOUR, SIX):
        connection = http.client.HTTPConnection(address, 80, timeout=5)
        connection.request("GET", PAGE, headers={"Host": "localhost"})
        assert connection.getresponse().status == 200


def served(host):
    """The certificate of the site with the public CA, from one of the proxies."""
    name, context = "www.floating.test", ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = host.check_output("hostname --all-ip-addresses").split()[0]
    with (
        socket.create_connection((address, 443), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def test_each_proxy_gets_certificates_whichever_of_them_the_ca_comes_to(pair, settled):
    for name in settled:
        before = served(pair.hosts[name])
        assert "Pebble" in before.issuer.rfc4514_string()
        pair.hosts[name].check_output("/usr/local/lib/nginx-proxy/certificates.pyz renew --force")
        after = served(pair.hosts[name])
        assert "Pebble" in after.issuer.rfc4514_string()
        assert after.serial_number != before.serial_number


@pytest.mark.usefixtures("settled")
def test_nobody_is_sent_from_proxy_to_proxy_for_what_none_of_them_knows():
    connection = http.client.HTTPConnection(FOUR, 80, timeout=5)
    connection.request("GET", "/.well-known/acme-challenge/unknown", headers={"Host": "www.floating.test"})
    assert connection.getresponse().status == 404


@pytest.mark.parametrize(
    ("end", "back"),
    [
        ("systemctl stop nginx", "systemctl start nginx"),
        (
            "systemctl mask --runtime nginx; pkill -KILL nginx",
            "systemctl unmask --runtime nginx; systemctl restart nginx",
        ),
        ("pkill -STOP nginx", "pkill -CONT nginx"),
    ],
    ids=["stopped", "killed", "hung"],
)
def test_an_nginx_that_is_gone_gives_the_address_to_the_other(pair, settled, end, back):
    holder, other = settled
    with Visitors() as visitors:
        pair.hosts[holder].run(end)
        try:
            assert pair.eventually(lambda: pair.holders() == [other], 10)
        finally:
            pair.hosts[holder].run(back)
    assert visitors.pause < SOON
    # What was open there, and who came in between.
    assert len(visitors.lost) < 8 + SOON * (20 + 8 / 0.15)
    # Nobody is moved again when it is back.
    assert pair.settle() == (other, holder)


def test_a_restart_of_nginx_and_a_killed_master_keep_the_address(pair, settled):
    holder, _other = settled
    for command in ("systemctl reload nginx", "pkill -KILL --oldest nginx"):
        pair.hosts[holder].run(command)
        time.sleep(2)
        assert pair.holders() == [holder]


def test_a_host_without_power_is_followed_by_the_other(pair, settled):
    holder, other = settled
    with Visitors() as visitors:
        pair.podman("kill", holder)
        assert pair.eventually(
            lambda: (
                "Entering MASTER"
                in pair.hosts[other].run("journalctl --unit=keepalived --since=-20s --output=cat").stdout
            ),
            10,
        )
    pair.podman("start", holder)
    assert visitors.pause < SOON
    assert pair.settle() == (other, holder)


@pytest.mark.parametrize("end", ["systemctl stop keepalived", "systemctl poweroff"])
def test_an_orderly_move_loses_nothing(pair, settled, end):
    holder, other = settled
    with Visitors() as visitors:
        pair.hosts[holder].run(f"systemd-run --on-active=1 --timer-property=AccuracySec=10ms {end}")
        time.sleep(12)
    if "poweroff" in end:
        pair.podman("wait", holder)
        pair.podman("start", holder)
    else:
        pair.hosts[holder].run("systemctl start keepalived")
    assert visitors.lost == []
    assert pair.settle() == (other, holder)


@pytest.mark.usefixtures("settled")
def test_hosts_that_do_not_hear_each_other_both_answer_and_agree_again(pair):
    deaf = "add table inet deaf; add chain inet deaf input { type filter hook input priority 0; }; "
    deaf += "add rule inet deaf input meta l4proto vrrp drop"
    for host in pair.hosts.values():
        host.run(f"nft '{deaf}'")
    try:
        assert pair.eventually(lambda: len(pair.holders()) == 2, 10)
        with Visitors() as visitors:
            time.sleep(3)
        assert visitors.lost == []
    finally:
        for host in pair.hosts.values():
            host.run("nft delete table inet deaf")
    assert pair.eventually(lambda: len(pair.holders()) == 1, 10)


def test_a_second_run_keeps_the_address_and_a_change_costs_nothing(pair, settled, playbook):
    holder, _other = settled
    with Visitors() as visitors:
        code, output = playbook("playbooks/float.yml", "-e", '{"keepalived_ports": [80, 8080]}')
    assert code == 0
    assert "changed=1" in output
    assert visitors.lost == []
    assert pair.holders() == [holder]
    code, output = playbook("playbooks/float.yml", "--check")
    assert code == 0
    assert "changed=1" in output
    code, output = playbook("playbooks/float.yml")
    assert (code, pair.holders()) == (0, [holder])


@pytest.mark.usefixtures("settled")
def test_a_configuration_that_one_proxy_refuses_is_put_in_place_on_none(pair, playbook):
    one, two = pair.hosts.values()
    # What the operator has written on one of them alone.
    one.check_output("echo 'limit_req_zone $uri zone=own:1m rate=1000r/s;' > /etc/nginx/conf.d/own.conf")
    one.check_output("systemctl reload nginx")
    there = "readlink /etc/nginx/nginx.conf; ls /etc/nginx /etc/nginx/tornadoes"
    before = [host.check_output(there) for host in (one, two)]
    static = {"static": [{"url": "/doc/", "path": "/usr/share/doc/"}]}
    plain = {"names": ["localhost"], "tls": "none", "snippet": "limit_req zone=own;", **static}
    sites = json.dumps(
        {"nginx_proxy_sites": [plain, {"names": ["www.floating.test"], "tls": "acme", **static}]}
    )
    publish = ["playbooks/publish.yml", "-e", sites]
    try:
        code, output = playbook(*publish)
        said = " ".join(output.split())
        assert code != 0
        assert 'zero size shared memory zone "own"' in said
        assert "stays as it is here too, since it was refused on tornadoes-floating-two" in said
        assert [host.check_output(there) for host in (one, two)] == before
    finally:
        one.check_output("rm /etc/nginx/conf.d/own.conf")
        assert playbook("playbooks/publish.yml")[0] == 0


def test_what_hosts_can_t_have_is_refused_before_anything_changes(pair, settled, playbook):
    holder, _other = settled
    before = pair.hosts[holder].check_output("cat /etc/keepalived/keepalived.conf")
    for given, sentence in (
        ('keepalived_addresses=["10.98.32.11/24"]', "10.98.32.11/24 is a host's own address"),
        ('keepalived_addresses=["10.77.0.9/24"]', "10.77.0.9/24 is in no network of tornadoes-floating-"),
        ("tornadoes_private_address=10.98.32.11", "10.98.32.11 is given to two hosts"),
    ):
        code, output = playbook(
            "site.yml", "-e", given if "=[" not in given else "{" + given.replace("=", ": ") + "}"
        )
        assert code != 0
        assert sentence in " ".join(output.split())
    assert pair.hosts[holder].check_output("cat /etc/keepalived/keepalived.conf") == before
    assert pair.holders() == [holder]


def test_what_is_absent_has_left_first(pair, settled, playbook):
    holder, other = settled
    with Visitors() as visitors:
        code, _output = playbook("playbooks/float.yml", "-l", holder, "-e", "keepalived_state=absent")
    assert code == 0
    assert visitors.lost == []
    assert pair.holders() == [other]
    host = pair.hosts[holder]
    assert host.run("ls -d /etc/keepalived/keepalived.conf /usr/local/lib/tornadoes-keepalived").stdout == ""
    assert (
        host.run("systemctl is-active tornadoes-keepalived-watch keepalived").stdout.split()
        == ["inactive"] * 2
    )
