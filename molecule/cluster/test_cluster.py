"""What visitors, proxies and strangers see of an app that runs on other hosts than its proxy."""

import json
import re
import shutil
import threading
import time

import pytest
from client import Client
from containers import Restarts, podman
from visitor import ROOT
from visitors import Visitors
from visits import Visits

PROXY, ONE, TWO = (f"tornadoes-cluster-{name}" for name in ("proxy", "one", "two"))
INNER, INNER_TLS = 8800, 8843
TLS, PLAIN = (["-e", json.dumps({"nginx_proxy_private_tls": wanted})] for wanted in (True, False))


@pytest.fixture(scope="module")
def hosts(fleet):
    """Name to host."""
    return {name: host for name, _variables, host in fleet}


@pytest.fixture(scope="module")
def client(fleet):
    """A visitor of the proxy."""
    [ports] = [variables["test_host_ports"] for name, variables, _host in fleet if name == PROXY]
    return Client(*ports, str(ROOT / f".cache/{PROXY}-ca.crt"))


def asked(client, target="/", **more):
    """What the program says of a request."""
    return json.loads(client.ask(target, **more).body)


def test_both_hosts_answer_and_know_their_visitor(client):
    found = [asked(client, "/a%2fb?c=%26") for _turn in range(20)]
    assert {one["host"] for one in found} == {ONE, TWO}
    assert {(one["asked"], one["scheme"], one["uri"]) for one in found} == {
        (f"localhost:{client.ports['https']}", "https", "/a%2fb?c=%26")
    }
    # Not the proxy's: the network's gateway, from where this visitor comes.
    assert {one["address"] for one in found} == {"10.98.33.1"}
    assert not any("Tornadoes" in name for name in found[0]["headers"])


@pytest.mark.parametrize("name", ["X-Tornadoes-App", "X_Tornadoes_App", "X-Tornadoes_App"])
def test_no_visitor_says_which_app_is_meant(client, name):
    assert asked(client, headers=[(name, "noted files")])["uri"] == "/"


def test_static_files_come_from_the_apps_hosts(client):
    for _turn in range(4):
        answer = client.ask("/static/file.txt?v=1")
        assert (answer.status, answer.body) == (200, b"a static file\n")
        assert "max-age=315360000" in answer.headers["cache-control"]
    assert client.ask("/static/none.txt").status == 404
    # A way that is the proxies' own.
    assert client.ask("/.tornadoes/files/srv/noted/static/file.txt").status == 404


def test_what_is_said_of_the_site_is_seen_to_at_the_proxy(client):
    assert client.ask("/closed/x").status == 403
    found = [asked(client, "/inner/x?y") for _turn in range(8)]
    assert {one["uri"] for one in found} == {"/x?y"}
    # sticky: one port of one host.
    assert len({(one["host"], one["port"]) for one in found}) == 1


def test_websockets_pieces_and_large_bodies_pass(client):
    assert client.echo("/echo", ["one", "two"]) == ["one", "two"]
    body = b"x" * 5_000_000
    answer = client.ask("/do", method="POST", body=body)
    assert json.loads(answer.body)["size"] == len(body)
    connection = client.connect("https", "localhost")
    since = time.monotonic()
    connection.sendall(b"GET /pieces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    said = b""
    while b"data: 1" not in said:
        said += connection.recv(65536)
    assert time.monotonic() - since < 0.9
    connection.close()


def test_an_answer_of_the_program_is_no_failure_of_its_host(client):
    assert [client.ask("/gone").status for _turn in range(8)] == [502] * 8
    assert {asked(client)["host"] for _turn in range(10)} == {ONE, TWO}


def test_nobody_but_the_proxy_comes_in(hosts):
    ask = f"curl --silent --max-time 5 --output /dev/null --write-out %{{http_code}} http://10.98.33.21:{INNER}/"
    assert hosts[TWO].check_output(ask) == "403"
    assert hosts[PROXY].check_output(f"{ask} --header 'X-Tornadoes-App: noted'") == "200"
    assert listening(hosts) == {INNER}


# All packets of some seconds, as they come in and go out.
LISTEN = """
import socket, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
wire.settimeout(0.2)
end, packets = time.monotonic() + 4, []
while time.monotonic() < end:
    try:
        packets.append(wire.recv(65536))
    except TimeoutError:
        pass
between = [one for one in packets if one[9] == 6 and bytes([10, 98, 33, 11]) in (one[12:16], one[16:20])]
print(len(between), sum(b"a secret" in one for one in between))
"""


def overheard(client, hosts):
    """How many packets pass between proxy and host while visitors say a secret, and how many tell it."""
    said = []
    ear = threading.Thread(
        target=lambda: said.append(hosts[TWO].check_output(f"python3 -c '{LISTEN}'").split())
    )
    ear.start()
    time.sleep(1)
    while ear.is_alive():
        assert client.ask("/do", method="POST", body=b"a secret").status == 200
    [(packets, telling)] = said
    return int(packets), int(telling)


def listening(hosts):
    """The ports at which nginx on the hosts of the app can be reached from elsewhere."""
    found = set()
    for name in (ONE, TWO):
        lines = hosts[name].check_output("ss --no-header --listening --tcp --numeric --processes")
        # Another one is there for a while after a release over several hosts.
        found |= {line.split()[3] for line in lines.splitlines() if '"nginx"' in line}
    return {int(one.rpartition(":")[2]) for one in found if not one.startswith("127.0.0.1:")}


def switched(client, hosts, playbook, *words):
    """Change the way between proxy and hosts while visitors come, and see that none of them notices."""
    before = lines_done(hosts, ONE, TWO)
    with Visitors(client.ports["https"], client.authority) as visitors:
        code, output = playbook(*words)
        assert code == 0, output
        time.sleep(2)
    print(visitors.asked, visitors.slowest)
    assert visitors.lost == []
    did = [one for one in lines_done(hosts, ONE, TWO) if one not in before]
    assert len(did) == len(set(did))
    assert set(visitors.sent) <= set(did)


def test_from_plain_to_tls_no_request_is_lost_and_nothing_can_be_read(client, hosts, playbook):
    packets, telling = overheard(client, hosts)
    # Else nothing that is not heard below says anything.
    assert packets > telling > 0
    switched(client, hosts, playbook, "site.yml", *TLS)
    packets, telling = overheard(client, hosts)
    assert packets > 20
    assert telling == 0
    assert listening(hosts) == {INNER_TLS}
    assert {asked(client)["host"] for _turn in range(20)} == {ONE, TWO}
    test_static_files_come_from_the_apps_hosts(client)
    test_what_is_said_of_the_site_is_seen_to_at_the_proxy(client)
    test_websockets_pieces_and_large_bodies_pass(client)
    ask = f"curl --silent --insecure --output /dev/null --write-out %{{http_code}} https://10.98.33.21:{INNER_TLS}/"
    assert hosts[TWO].check_output(ask) == "403"


def test_a_host_that_the_proxy_does_not_trust_gets_nothing_and_is_named(client, hosts, playbook, eventually):
    # Somebody else's, as the proxy sees it: no certificate of the CA that it knows.
    issue = "/usr/local/lib/nginx-proxy/certificates.pyz issue"
    hosts[TWO].check_output(f"rm -r /etc/nginx/private-ca && {issue} && systemctl reload nginx")
    before = len(lines_done(hosts, TWO))
    with Visitors(client.ports["https"], client.authority) as visitors:
        # As check.yml and the end of site.yml ask.
        status = hosts[PROXY].run("nginx-proxy-status")
        assert status.rc == 1
        assert f"{TWO}: This proxy does not trust its certificate" in status.stderr
        assert "Run site.yml for both hosts." in status.stderr
        time.sleep(3)
    assert visitors.lost == []
    assert len(lines_done(hosts, TWO)) == before
    assert {asked(client)["host"] for _turn in range(20)} == {ONE}
    code, output = playbook("playbooks/publish.yml", *TLS)
    assert code == 0, output
    assert hosts[PROXY].check_output("nginx-proxy-status")
    assert eventually(lambda: {asked(client)["host"] for _turn in range(8)} == {ONE, TWO}, seconds=20)


def lines_done(hosts, *names):
    """The ids of all that the program did, on some hosts."""
    ask = "cat /var/lib/tornado-noted/done-*"
    return [line for name in names for line in hosts[name].run(ask).stdout.split() if len(line) == 32]


def test_a_host_is_drained_and_undrained_and_no_request_is_lost(client, hosts, playbook, eventually):
    with Visitors(client.ports["https"], client.authority) as visitors:
        code, output = playbook("playbooks/drain.yml", "-e", f"nginx_proxy_drain={TWO}")
        assert code == 0, output
        before = len(lines_done(hosts, TWO))
        time.sleep(3)
        assert len(lines_done(hosts, TWO)) == before > 0
        code, output = playbook("playbooks/drain.yml", "-e", f"nginx_proxy_drain={ONE}")
        assert code != 0
        assert f"{ONE} is the last host that gets requests for localhost" in " ".join(output.split())
        code, output = playbook("site.yml", *TLS)
        assert code == 0, output
        assert f"{TWO} is drained since" in output
        assert set(re.findall(r"changed=(\d+)", output)) == {"0"}
        assert len(lines_done(hosts, TWO)) == before
        code, output = playbook("playbooks/undrain.yml", "-e", f"nginx_proxy_undrain={TWO}")
        assert code == 0, output
        assert eventually(lambda: len(lines_done(hosts, TWO)) > before)
    print(visitors.asked, visitors.slowest)
    assert visitors.lost == []
    did = lines_done(hosts, ONE, TWO)
    assert len(did) == len(set(did))
    assert set(visitors.sent) <= set(did)


def test_a_dead_host_is_drained_and_the_status_tells_both(client, hosts, playbook, eventually):
    podman("kill", TWO)
    try:
        code, output = playbook("playbooks/drain.yml", "-e", f"nginx_proxy_drain={TWO}")
        assert code == 0, output
        code, output = playbook("playbooks/status.yml")
        assert code != 0
        assert re.search(rf"{TWO} .*unreachable .*drained$", output, re.MULTILINE)
        assert re.search(rf"{ONE} +noted +8000 +\w+ +serving ", output)
    finally:
        podman("start", TWO)
    # A reboot of the proxy changes nothing about it.
    podman("restart", PROXY)
    assert eventually(lambda: {asked(client)["host"] for _turn in range(8)} == {ONE}, seconds=90)
    assert playbook("playbooks/undrain.yml", "-e", f"nginx_proxy_undrain={TWO}")[0] == 0
    assert eventually(lambda: {asked(client)["host"] for _turn in range(8)} == {ONE, TWO}, seconds=90)


def test_no_visitor_gets_an_older_answer_when_a_host_is_back_that_has_missed_a_release(
    client, hosts, playbook, scenario, tmp_path, eventually
):
    folder = shutil.copytree(scenario / "app", tmp_path / "app")
    program = folder / "server.py"
    program.write_text(program.read_text().replace('"host":', '"release": "later", "host":'))
    deploy = ["playbooks/deploy.yml", "-e", f"tornado_app_source={folder}"]
    there = f"https://10.98.33.22:{INNER_TLS}/"
    ask = f"curl --silent --fail --insecure --header 'X-Tornadoes-App: noted' {there}"
    podman("stop", TWO)
    try:
        with Visits(client, {"localhost": "/"}) as visits:
            code, output = playbook(*deploy, "-e", "tornado_app_max_unreachable=1")
            assert code == 4, output
            assert f"{PROXY} asks {TWO} for noted only where no" in " ".join(output.split())
            podman("start", TWO)
            assert eventually(lambda: hosts[PROXY].run(ask).rc == 0, seconds=90)
            assert "later" not in hosts[PROXY].check_output(ask)
            time.sleep(4)
            assert hosts[PROXY].file(f"/etc/nginx/drained/{TWO}@noted").exists
    finally:
        podman("start", TWO)
    # An old answer is better than none.
    hosts[ONE].check_output("systemctl stop nginx")
    old = asked(client)
    hosts[ONE].check_output("systemctl start nginx")
    assert (old["host"], "release" in old) == (TWO, False)
    with Visits(client, {"localhost": "/"}) as later:
        code, output = playbook(*deploy)
    assert code == 0, output
    assert {asked(client)["host"] for _turn in range(8)} == {ONE, TWO}
    heard = [(status, '"release": "later"' in body) for status, body in visits.heard["localhost"]]
    assert set(heard[heard.index((200, True)) :]) == {(200, True)}
    assert {(status, '"release": "later"' in body) for status, body in later.heard["localhost"]} == {
        (200, True)
    }


def test_hosts_reboot_one_after_the_other_and_no_request_is_lost(client, hosts, playbook):
    with Restarts(ONE, TWO) as restarts, Visitors(client.ports["https"], client.authority) as visitors:
        code, output = playbook("playbooks/reboot.yml", "-l", "tornado_app", timeout=600)
        assert code == 0, output
        time.sleep(5)
    assert restarts.seen == [ONE, TWO]
    print(visitors.asked, visitors.slowest)
    assert visitors.lost == []
    did = lines_done(hosts, ONE, TWO)
    assert len(did) == len(set(did))
    assert set(visitors.sent) <= set(did)
    assert {asked(client)["host"] for _turn in range(20)} == {ONE, TWO}


def test_a_host_that_does_not_come_back_well_stops_the_others_reboots(client, hosts, playbook):
    # Its next boot has an app that can't start.
    hosts[ONE].check_output("mv /srv/noted/current/server.py /srv/noted/current/away.py")
    try:
        with Restarts(ONE, TWO) as restarts, Visitors(client.ports["https"], client.authority) as visitors:
            words = ["-l", "tornado_app", "-e", "__tornadoes_wait=20"]
            code, output = playbook("playbooks/reboot.yml", *words, timeout=600)
        said = " ".join(output.split())
        assert code != 0
        assert f"{ONE} has not come back well: noted is failing on port 8000" in said
        assert restarts.seen == [ONE]
        assert visitors.lost == []
        # Nobody is left then.
        code, output = playbook("playbooks/reboot.yml", "-l", TWO)
        assert code != 0
        assert f"{TWO} is the last host that gets requests for localhost" in " ".join(output.split())
    finally:
        hosts[ONE].check_output("mv /srv/noted/current/away.py /srv/noted/current/server.py")
        hosts[ONE].run("systemctl restart tornado-noted@8000 tornado-noted@8001")
    assert playbook("playbooks/undrain.yml", "-e", f"nginx_proxy_undrain={ONE}")[0] == 0


def test_from_tls_to_plain_no_request_is_lost(client, hosts, playbook):
    switched(client, hosts, playbook, "playbooks/publish.yml", *PLAIN)
    assert listening(hosts) == {INNER}
    assert not hosts[ONE].file("/etc/nginx/certificates/tornadoes_private").exists


# What is done to a host, and what makes it well again: by ssh, or by podman where the host can't.
HANG = "pkill --signal {0} --exact nginx; pkill --signal {0} --uid tornado-noted"
CUT = "ip route {} blackhole 10.98.33.11"
FAULTS = {
    "hang": (HANG.format("STOP"), HANG.format("CONT")),
    "cut off": (CUT.format("add"), CUT.format("del")),
    "switched off": ("systemctl poweroff", None),
    "power cut": (None, None),
}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(one, marks=[pytest.mark.long] * (one in ("hang", "cut off"))) for one in FAULTS],
)
def test_a_host_that_goes_costs_what_was_inside_it_and_nothing_is_done_twice(
    client, hosts, eventually, fault
):
    harm, mend = FAULTS[fault]
    with Visitors(client.ports["https"], client.authority) as visitors:
        time.sleep(3)
        begun = time.monotonic() - visitors.begun
        if harm:
            hosts[TWO].run(harm)
        else:
            podman("kill", TWO)
        done = time.monotonic() - visitors.begun
        time.sleep(12)
        # What hangs is answered late, and was not lost.
        if mend:
            hosts[TWO].run(mend)
    if not mend:
        podman("start", TWO)
    assert eventually(lambda: {asked(client)["host"] for _turn in range(8)} == {ONE, TWO}, seconds=90)
    print(visitors.asked, visitors.lost, visitors.slowest)
    assert visitors.asked > 1000
    assert len(visitors.lost) <= (8 if fault == "power cut" else 2)
    assert [one for one in visitors.lost if not begun - 1 <= one[0] <= done + 4] == []
    did = lines_done(hosts, ONE, TWO)
    assert len(did) == len(set(did))
    assert len(set(visitors.sent) - set(did)) <= len(visitors.lost)
