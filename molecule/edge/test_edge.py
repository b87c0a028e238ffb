"""What visitors notice of nginx when its configuration or a certificate changes: nothing."""

import json
import time

import pytest
import yaml

LEAVING = (
    "systemd-run --quiet --collect --unit=nginx-leaving --property=RuntimeDirectory=nginx-leaving sleep 30"
)
STAY = "systemctl stop nginx-leaving"
RENEW = "/usr/local/lib/nginx-proxy/certificates.pyz renew --force"
# What nginx answers before it looks into a location, and no client asks for.
INTERNAL = ("/.tornadoes/", "/inside/")
CACHE = 1.2  # seconds after which every worker has looked for the folder again
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends"
FOREIGN = "/etc/nginx/conf.d/foreign.conf"
MASTER = "systemctl show --property=MainPID --value nginx"


@pytest.fixture(scope="module")
def sites(scenario):
    """The sites of the inventory."""
    return yaml.safe_load((scenario / "group_vars/all.yml").read_text())["nginx_proxy_sites"]


def nothing_lost(*loads):
    for running in loads:
        assert running.lost() == []
        assert running.report["kinds"]["post"]["answered"] > 100
    assert loads[0].report["kinds"]["websocket"]["ws_closed_clean"] == 0


def answered_once(host, running):
    """What was sent again over HTTP/2, since nginx had said that it had not taken it."""
    visit = f"visit={running.process.pid}-[0-9]*"
    visits = host.check_output(f"grep --only-matching '{visit}' /var/log/nginx/access.log").split()
    assert len(visits) == len(set(visits)) == running.report["kinds"]["http2"]["answered"] > 100


def test_publishes_and_renewals_lose_nothing(far, host, long, playbook, sites):
    def publish(*more):
        words = json.dumps({"nginx_proxy_sites": [*sites, *more]})
        code, output = playbook("playbooks/publish.yml", "-e", words)
        assert code == 0, output

    one = {"names": ["new.example.test"], "upstreams": ["127.0.0.1:8000"]}
    with far("https") as tls, far("http") as plain:
        time.sleep(1)
        for _turn in range(7 if long else 1):
            publish(one)
            if long:
                publish({**one, "upstreams": ["127.0.0.1:8001"]})
            publish({**one, "state": "absent"})
        for _turn in range(50 if long else 3):
            host.check_output(RENEW)
        for _turn in range(2):
            host.check_output("systemctl reload nginx")
    nothing_lost(tls, plain)
    answered_once(host, tls)


@pytest.fixture(scope="module")
def closes(host):
    """Whether nginx closes idle connections at a reload, so that clients are told to come again first."""
    return "keepalive_min_timeout" not in host.check_output("nginx -T 2> /dev/null")


@pytest.fixture
def leaving(host):
    """Hold the time before a reload."""

    def hold():
        host.check_output(LEAVING)
        time.sleep(CACHE)

    yield hold
    host.run(STAY)


def answers(client):
    """What a visitor gets in every kind of location: status, body and whether the connection stays."""
    asked = [
        ("localhost", "/healthz"),
        ("localhost", "/a%2fb/%3Fc?d=%26&e"),
        ("localhost", "/static/GPL-3"),
        ("localhost", "/static/none"),
        ("localhost", "/static"),
        ("localhost", "/kept/none"),
        ("localhost", "/second/healthz"),
        ("localhost", "/second/a%2fb/%3Fc?d=%26&e"),
        ("localhost", "/second"),
        ("localhost", "/closed/x"),
        ("localhost", "//closed/x"),
        ("localhost", "/.tornadoes/maintenance.html"),
        ("localhost", "/.tornadoes/leaving"),
        ("old.example.test", "/a%20b?c"),
        ("secure.example.test", "/healthz"),
        ("secure.example.test", "/inside/x"),
        ("unknown.example.test", "/"),
    ]
    for scheme in ("http", "https"):
        for name, target in asked:
            if (scheme, name) == ("https", "unknown.example.test"):
                continue  # no handshake without a certificate
            connection = client.connect(scheme, name)
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            said = b""
            while b"\r\n\r\n" not in said:
                said += connection.recv(65536)
            connection.close()
            head = said.partition(b"\r\n\r\n")[0].decode().lower()
            stays = "\r\nconnection: keep-alive" in head
            passing = ("connection:", "date:", "expires:")
            lines = [line for line in head.split("\r\n") if not line.startswith(passing)]
            yield (scheme, name, target), lines, stays


def staying(found):
    """Who keeps the connection, of those whom nginx answers from a location."""
    return [one for one in found if one[2] and not one[0][2].startswith(INTERNAL)]


def test_who_is_sent_on_gets_what_everybody_gets(client, closes, leaving):
    before = list(answers(client))
    leaving()
    after = list(answers(client))
    assert [one[:2] for one in after] == [one[:2] for one in before]
    assert staying(after) == ([] if closes else staying(before))
    assert [one[0][2] for one in before if not one[2]] == ["//closed/x", "//closed/x"]


def test_a_closed_site_sends_its_clients_on_as_well(client, closes, host, leaving, playbook):
    assert playbook("playbooks/maintenance.yml", "-e", "nginx_proxy_maintenance=on")[0] == 0
    try:
        leaving()
        found = [one for one in answers(client) if one[0][:2] == ("https", "localhost")]
        assert [lines[0].split()[1] for _what, lines, _stays in found[:3]] == ["200", "503", "503"]
        stay = [what[2] for what, _lines, stays in found if stays]
        assert (stay == ["/.tornadoes/maintenance.html"]) == closes
    finally:
        assert playbook("playbooks/maintenance.yml", "-e", "nginx_proxy_maintenance=off")[0] == 0


def test_nobody_is_sent_on_for_longer_than_a_reload_takes(client, closes, eventually, host):
    there = host.file("/run/nginx-leaving")
    host.check_output("systemctl reload nginx")
    assert not there.exists
    # Whoever waits for it may be killed: the reload is systemd's, and goes on.
    host.run("timeout --signal KILL 1 systemctl reload nginx; true")
    assert there.exists == closes
    if not closes:
        return
    assert eventually(lambda: not there.exists, 20)
    # What holds the folder may be killed: it goes along.
    host.run("systemctl reload --no-block nginx")
    assert eventually(lambda: there.exists)
    host.check_output("systemctl kill --signal=KILL nginx-leaving")
    assert eventually(lambda: not there.exists, 5)
    assert eventually(lambda: host.service("nginx").is_running)
    assert client.ask("/healthz").status == 200


def test_a_configuration_that_nginx_refuses_sends_nobody_on(eventually, host):
    there = host.file("/run/nginx-leaving")
    assert eventually(lambda: not there.exists)
    host.check_output("echo nonsense > /etc/nginx/conf.d/broken.conf")
    try:
        assert host.run("systemctl reload nginx").rc == 1
        assert not there.exists
    finally:
        host.check_output("rm /etc/nginx/conf.d/broken.conf")


def test_debians_updates_and_restarts_lose_nothing(far, host, long):
    with far("https") as tls, far("http") as plain:
        time.sleep(1)
        if long:
            # The archive has the revision of the last point release beside that of the security team.
            table = host.check_output("apt-get update --quiet=2; apt-cache madison nginx")
            versions = [line.split("|")[1].strip() for line in table.splitlines()]
            assert len(set(versions)) > 1
            older = f"{INSTALL} --allow-downgrades nginx={versions[-1]} nginx-common={versions[-1]}"
            host.check_output(older)
            host.check_output(f"{INSTALL} nginx")
            host.check_output("systemctl restart nginx")
        host.check_output(f"{INSTALL} --reinstall nginx nginx-common")
        host.check_output(f"{INSTALL} libnginx-mod-http-geoip")
    nothing_lost(tls, plain)
    answered_once(host, tls)
    assert host.check_output("dpkg --audit") == ""
    assert host.service("nginx").is_running


def test_an_nginx_that_an_older_version_has_started_is_restarted_and_nobody_notices(far, host, playbook):
    host.check_output("rm /run/nginx-handover")
    former = host.check_output(MASTER)
    with far("https") as tls, far("http") as plain:
        time.sleep(1)
        code, output = playbook("playbooks/publish.yml")
        assert code == 0, output
        assert host.check_output(MASTER) != former
        code, output = playbook("playbooks/publish.yml")
        assert "changed=0" in output
    nothing_lost(tls, plain)


def test_a_killed_master_takes_nobody_with_it(far, eventually, host):
    former = host.check_output(MASTER)
    with far("https") as tls, far("http") as plain:
        time.sleep(1)
        host.check_output(f"kill -KILL {former}")
        assert eventually(lambda: host.check_output(MASTER) not in (former, "0"))
        assert eventually(lambda: host.service("nginx").is_running)
    nothing_lost(tls, plain)


def test_nobody_is_refused_while_all_of_nginx_is_killed(host):
    visits = "for _ in $(seq 200); do curl --silent --output /dev/null 127.0.0.1:32080; echo $?; done"
    said = host.check_output(f"(sleep 0.3; systemctl kill --signal=KILL nginx) & {visits}").split()
    assert len(said) == 200
    # Of who connects, one after the other: nobody but the one that was inside had no answer.
    assert [one for one in said if one != "0"] in ([], ["52"], ["56"])


@pytest.mark.long
def test_a_busy_host_that_is_late_restarts_nginx_without_a_loss(far, host):
    folder = "/run/systemd/system/nginx.service.d"
    late = "[Service]\nExecStop=\nExecStop=/bin/sleep 300\n"
    host.check_output(f"mkdir -p {folder}; printf '{late}' > {folder}/zz-late.conf; systemctl daemon-reload")
    try:
        with far("https") as tls, far("http") as plain:
            time.sleep(1)
            host.check_output("systemctl restart nginx")
    finally:
        host.check_output(f"rm -r {folder}; systemctl daemon-reload")
    nothing_lost(tls, plain)


@pytest.fixture
def foreign(host):
    """Put a file beside the role's own."""

    def put(text):
        host.check_output(f"printf %s '{text}' > {FOREIGN}")

    yield put
    host.check_output(f"rm --force {FOREIGN}")
    host.run("systemctl reload-or-restart nginx")


def test_who_serves_goes_on_where_a_new_nginx_does_not_start(client, eventually, far, foreign, host, long):
    # Debian's scripts take port 80 for a sign of life.
    foreign("server { listen 127.0.0.1:80; return 204; }")
    host.check_output("systemctl reload nginx")
    with far("https") as tls, far("http") as plain:
        time.sleep(1)
        foreign("server { listen 127.0.0.1:80; return 204; } gone_since_this_version on;")
        if long:
            host.check_output(f"{INSTALL} --reinstall nginx nginx-common")
            assert host.check_output("dpkg --audit") == ""
        assert host.run("systemctl restart nginx").rc == 1
        asked = "systemctl show --property=StatusText --value nginx"
        said = eventually(lambda: host.check_output(asked), 10)
        assert "its former processes serve on" in said
        assert 'unknown directive "gone_since_this_version"' in said
        assert client.ask("/healthz").status == 200
        # By itself.
        foreign("server { listen 127.0.0.1:80; return 204; }")
        assert eventually(lambda: host.service("nginx").is_running)
    nothing_lost(tls, plain)
    assert host.check_output("curl --silent --write-out %{http_code} 127.0.0.1:80") == "204"


def test_a_port_that_is_published_no_more_is_free_at_once(foreign, host):
    listening = "ss --no-header --listening --tcp --numeric 'sport = :81'"
    foreign("server { listen 127.0.0.1:81; return 204; }")
    host.check_output("systemctl reload nginx")
    assert host.check_output(listening)
    host.check_output("systemctl restart nginx")
    assert host.check_output(listening)
    foreign("")
    host.check_output("systemctl reload nginx")
    assert not host.check_output(listening)


@pytest.mark.long
def test_http_moves_to_another_port_and_back_and_https_loses_nothing(far, host, playbook):
    with far("https") as tls:
        time.sleep(1)
        for port, other in ((32081, 32080), (32080, 32081)):
            code, output = playbook("site.yml", "-e", f"nginx_proxy_http_port={port}")
            assert code == 0, output
            # What systemd has in store comes and goes as well.
            for verb in ("is-active", "restart"):
                host.check_output(f"systemctl {verb} nginx")
                listening = host.check_output("ss --no-header --listening --tcp --numeric")
                assert f":{port} " in listening
                assert f":{other} " not in listening
    nothing_lost(tls)


def test_who_stops_nginx_means_all_of_it(client, foreign, host):
    # Those that serve on without a master included.
    foreign("nonsense on;")
    assert host.run("systemctl restart nginx").rc == 1
    assert client.ask("/healthz").status == 200
    host.run("systemctl stop nginx")
    foreign("")
    try:
        assert host.run("pgrep nginx").rc == 1
        assert not host.check_output("ss --no-header --listening --tcp --numeric 'sport = :32080'")
    finally:
        host.check_output("systemctl start nginx")
    assert client.ask("/healthz").status == 200
