"""What changes a running site, and what must not. Last, since it changes the host."""

import base64
import contextlib
import json
import re
import shutil
import threading
import time

import pytest
import yaml
from client import password

GUARDED = "guarded.example.org"
PUBLISH = "playbooks/publish.yml"


def workers(host):
    """The processes of nginx; the one that reads the cache at its start ends by itself after a minute."""
    return host.check_output("pgrep --full --list-full 'nginx: (master|worker)'")


def changed(scenario, **keys):
    """The scenario's sites as an extra variable, the first one changed."""
    sites = yaml.safe_load((scenario / "group_vars/all.yml").read_text())["nginx_proxy_sites"]
    return json.dumps({"nginx_proxy_sites": [{**sites[0], **keys}, *sites[1:]]})


def test_maintenance_closes_the_sites_with_a_page_and_opens_them_again(client, host, playbook):
    before = workers(host)
    closing = ("playbooks/maintenance.yml", "-e", "nginx_proxy_maintenance=on")
    assert playbook(*closing)[0] == 0
    assert "changed=0" in playbook(*closing)[1]
    for target in ("/", "/static/style.css", "/second/x", "/second"):
        answer = client.ask(target)
        assert answer.status == 503
        assert b"closed for maintenance" in answer.body
        assert answer.headers["retry-after"] == "300"
        assert answer.headers["strict-transport-security"]
    # The health check is answered, at the path that the site has for it.
    assert client.ask("/healthz").status == client.ask("/alive", host=GUARDED).status == 200
    assert client.ask("/healthz", host=GUARDED).status == 503
    assert client.ask("/", scheme="http").status == 308
    # And at no other that nginx would take for it.
    for target in ("/x/../healthz", "/x/..%2fhealthz", "/x#/../healthz"):
        assert client.ask(target).status == 400
    others = ("//healthz", "/%68ealthz", "/HEALTHZ", "/healthz/", "/healthz/x", "/healthz%3f")
    for target in (*others, "/.TORNADOES/maintenance.html", "/.well-known/acme-challenge/x"):
        assert client.ask(target).status == 503
    assert client.ask("/healthz?deep").status == 200
    opening = ("playbooks/maintenance.yml", "-e", "nginx_proxy_maintenance=off")
    assert playbook(*opening, "-e", "nginx_proxy_maintenance_site=localhost")[0] == 0
    assert client.ask("/").status == 200
    assert "retry-after" not in client.ask("/").headers
    assert client.ask("/", host=GUARDED).status == 503
    assert playbook(*opening)[0] == 0
    assert client.ask("/", host=GUARDED).status == 200
    assert workers(host) == before


def test_a_site_that_is_none_is_not_closed(playbook):
    words = ("-e", "nginx_proxy_maintenance=on", "-e", "nginx_proxy_maintenance_site=other")
    code, output = playbook("playbooks/maintenance.yml", *words)
    assert code != 0
    assert "nginx_proxy_maintenance_site: 'other' is no site of tornadoes-sites." in " ".join(output.split())


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"snippet": "expires soon;\nnonsense on;\n"},
            '"expires" directive invalid value in sites/localhost.snippet:1 (expires soon;), from'
            " nginx_proxy_sites.snippet.",
        ),
        (
            {"snippet": "location / {\n"},
            'unexpected end of file, expecting "}" in sites/localhost.snippet:2, from'
            " nginx_proxy_sites.snippet.",
        ),
        (
            {"upstreams": ["nowhere.invalid:1"]},
            "(server nowhere.invalid:1 max_fails=0;), from nginx_proxy_sites.upstreams.",
        ),
    ],
    ids=["snippet", "torn", "upstream"],
)
def test_what_nginx_refuses_is_named_with_its_variable(client, host, playbook, scenario, keys, sentence):
    before = workers(host)
    code, output = playbook(PUBLISH, "-e", changed(scenario, **keys))
    assert code != 0
    assert sentence in " ".join(output.split())
    assert "The old configuration stays in use." in " ".join(output.split())
    assert workers(host) == before
    assert client.ask("/").status == 200


def test_a_reboot_after_a_refusal_comes_up_with_the_old_configuration(client, host, podman, eventually):
    host.check_output("/usr/sbin/nginx -t")
    podman("restart")
    assert eventually(lambda: client.ask("/").status == 200, seconds=60)


@pytest.mark.parametrize("day", [pytest.param("+1 day", marks=pytest.mark.long), "-1 day"])
def test_a_clock_that_was_set_makes_no_run_reload_nginx(host, playbook, day):
    # The host's clock is this machine's as well: the files' times move instead, the other way.
    touch = f"-exec touch --no-dereference --date='{day}' {{}} +"
    host.check_output(
        f"find -L /etc/nginx /etc/systemd/system/nginx.service.d {touch}; systemctl daemon-reload"
    )
    host.check_output(f"find /etc/nginx {touch}; touch --date='{day}' /run/nginx.pid")
    before = workers(host)
    assert "changed=0" in playbook(PUBLISH)[1]
    assert workers(host) == before


def test_what_a_killed_run_has_not_let_nginx_read_is_read_whatever_the_clock_says(host, playbook):
    host.check_output("touch --date='-10 years' /etc/nginx/certificates/localhost/unread")
    before = workers(host)
    assert "changed=1" in playbook(PUBLISH)[1]
    assert workers(host) != before
    assert "changed=0" in playbook(PUBLISH)[1]
    host.check_output("touch /etc/nginx/unread")
    assert "changed=1" in playbook(PUBLISH)[1]
    assert "changed=0" in playbook(PUBLISH)[1]


def test_a_hand_edit_and_a_foreign_file_are_named(client, host, playbook):
    edited = host.check_output("realpath /etc/nginx/nginx.conf").replace("nginx.conf", "sites/localhost.conf")
    host.check_output(f"sed -i 's/client_max_body_size .*/client_max_body_size 7m;/' {edited}")
    host.check_output("touch $(dirname $(realpath /etc/nginx/nginx.conf))/sites/mine.conf")
    host.check_output(f"touch --date='-1 day' {edited}")
    host.check_output("printf 'map $uri $mine { default 1; }\n' > /etc/nginx/conf.d/mine.conf")
    code, output = playbook(PUBLISH)
    said = " ".join(output.split())
    assert code == 0
    assert f"Edited by hand, and undone: {edited}, {edited.replace('localhost', 'mine')}" in said
    assert "part of what nginx serves: /etc/nginx/conf.d/mine.conf" in said
    assert "7m" not in host.file(edited).content_string
    assert client.ask("/").status == 200


def test_a_first_page_that_is_an_error_is_named(playbook, scenario):
    code, output = playbook(PUBLISH, "-e", changed(scenario, upstreams=["127.0.0.1:9"]))
    assert code == 0
    assert "https://localhost/ answers 502." in output
    assert output.count(" answers ") == 1


def test_new_users_come_in_without_a_word_of_their_hashes(client, playbook, scenario, tmp_path):
    users = tmp_path / "users"
    users.write_text((scenario / "users").read_text().replace("alice", "bob"))
    sites = json.loads(changed(scenario))
    [guarded] = [site for site in sites["nginx_proxy_sites"] if site["names"] == [GUARDED]]
    guarded["access"] = [{"path": "/admin", "users_file": str(users)}]
    code, output = playbook(PUBLISH, "--diff", "-vv", "-e", json.dumps(sites))
    assert code == 0
    assert "$6$" not in output
    assert client.ask("/admin", host=GUARDED, headers=password("bob", "open sesame")).status == 200
    assert client.ask("/admin", host=GUARDED, headers=password("alice", "open sesame")).status == 401


def test_no_page_misses_its_static_files_around_a_deploy(client, playbook, scenario, tmp_path):
    source = tmp_path / "mirror"
    shutil.copytree(scenario / "../../tests/samples/mirror", source)
    (source / "static/assets/app.1a2b.js").rename(source / "static/assets/app.3c4d.js")
    (source / "static/style.css").write_text("new")
    seen, missed, over = [], [], threading.Event()

    def visit():
        while not over.is_set():
            name = client.ask("/asset").body.decode()
            answer = client.ask(f"/static/assets/{name}")
            if answer.status != 200:
                missed.append((name, answer.status))
            seen.append(name)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        assert playbook("playbooks/deploy.yml", "-e", f"tornado_app_source={source}")[0] == 0
    finally:
        over.set()
        visitor.join()
    assert missed == []
    assert set(seen) == {"app.1a2b.js", "app.3c4d.js"}
    # The page of before still stands in somebody's browser.
    assert client.ask("/static/assets/app.1a2b.js").status == 200
    assert client.ask("/static/style.css").body == b"new"
    assert playbook("playbooks/rollback.yml")[0] == 0
    assert client.ask("/static/style.css").body != b"new"
    assert client.ask("/static/assets/app.3c4d.js").status == 200


def test_a_balancer_is_believed_where_it_is_listed(client, host, playbook, eventually):
    neighbour = json.loads(client.ask("/").body)["address"]
    settings = {
        "nginx_proxy_trusted_proxies": [neighbour],
        "nginx_proxy_access_log": "json",
        "nginx_proxy_limits": {"connections": 4, "requests": 5},
    }
    assert playbook(PUBLISH, "-e", json.dumps(settings))[0] == 0
    claims = [
        ("X-Forwarded-For", "198.51.100.1, 203.0.113.9"),
        ("X-Forwarded-Proto", "http"),
        ("X-Request-ID", "given-1"),
    ]
    said = json.loads(client.ask("/balanced", headers=claims, host="localhost:444", name="localhost").body)
    # The last one that is not a listed proxy.
    assert said["address"] == "203.0.113.9"
    assert said["protocol"] == "http"
    assert said["host"] == "localhost:444"
    assert said["headers"]["X-Request-Id"] == "given-1"

    def logged():
        lines = host.check_output("cat /var/log/nginx/access.log").splitlines()
        return [
            one
            for one in map(json.loads, [line for line in lines if line[0] == "{"])
            if one["uri"] == "/balanced"
        ]

    (line,) = eventually(logged)
    assert (line["request_id"], line["address"], line["status"]) == ("given-1", "203.0.113.9", 200)
    assert line["seconds"] >= 0


def test_lines_of_the_log_are_json_whatever_was_sent(client, host):
    size = host.file("/var/log/nginx/access.log").size
    every = bytes(number for number in range(1, 256) if number not in b"\r\n")
    good = "ü你😀".encode()
    requests = [
        [b"GET /json?bytes=" + every[33:].replace(b"#", b"") + b" HTTP/1.1", b"Host: localhost"],
        [b"GET /json?good=" + good + b" HTTP/1.1", b"Host: localhost", b"User-Agent: " + good],
        *(
            [b"GET /json HTTP/1.1", b"Host: localhost", name + b": " + every]
            for name in (b"Referer", b"User-Agent")
        ),
        [b"GET /json HTTP/1.1", b"Host: localhost", b"Authorization: Basic " + base64.b64encode(b"\n\xff:x")],
        [b"GET /json HTTP/1.1", b"Host: \xff\xfe"],
        [b"GET /json HTTP/1.1", b"Host: localhost", b'User-Agent: ","agent":"\x1b\xed\xa0\x80'],
        [b"\xff\xfe /json HTTP/1.1", b"Host: localhost"],
        [b"GET /json\xc0\xae HTTP/1.1", b"Host: localhost"],
        [b"GET /json HTTP/1.1", b"Host: localhost", b"X-Request-ID: \xff", b"X-Forwarded-For: \xff"],
        # nginx takes it for no HTTP, and gives it a status of its own.
        [b"GET /json?nonsense=HTTP/1.1%2099%20x HTTP/1.1", b"Host: localhost"],
    ]
    for lines in requests:
        with client.connect("https", "localhost") as connection:
            connection.sendall(b"\r\n".join(lines) + b"\r\nConnection: close\r\n\r\n")
            assert connection.recv(9) == b"HTTP/1.1 "
            time.sleep(0.3)  # five in a second are let in
    written = base64.b64decode(
        host.check_output(f"tail --bytes=+{size + 1} /var/log/nginx/access.log | base64")
    )
    lines = [json.loads(line) for line in written.decode("utf-8").splitlines()]
    assert len(lines) == len(requests)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", written.decode())
    assert (lines[1]["agent"], lines[1]["uri"]) == (good.decode(), f"/json?good={good.decode()}")
    assert lines[-1]["status"] == 9
    assert {one["agent"] for one in lines} == {"", good.decode(), "(not UTF-8)"}


def statuses(client, addresses, lines):
    """What a request that never ends is answered from each address at the same time; None while it waits."""
    found = []
    with contextlib.ExitStack() as stack:
        for address in addresses:
            connection = stack.enter_context(client.connect("https", "localhost"))
            head = ["POST / HTTP/1.1", "Host: localhost", f"X-Forwarded-For: {address}", *lines, "", ""]
            connection.sendall("\r\n".join(head).encode())
            connection.settimeout(0.3)
            try:
                found.append(int(connection.recv(12)[9:]))
            except TimeoutError:
                found.append(None)
    return found


@pytest.mark.parametrize(
    ("addresses", "clients"),
    [
        (["203.0.113.{}"], 7),
        (["::ffff:203.0.113.{}"], 7),
        (["2001:db8:0:1::{}"], 1),
        (["2001:db8:0:2:{}::"], 1),
        (["2001:db8:0:3:ffff:ffff:ffff:{}"], 1),
        (["2001:0db8:0000:0004:0:0:0:{}"], 1),
        (["2001:db8:0:5{}::1"], 7),
        (["64:ff9b::203.0.113.{}"], 1),
        (["2001:db8::a:a:{}"], 1),
    ],
)
def test_a_network_of_ipv6_is_one_client(client, addresses, clients):
    sources = [address.format(number) for address in addresses for number in range(1, 8)]
    answered = statuses(client, sources, ["Content-Length: 9"])
    # Four connections are let in from each.
    assert answered == [None] * (7 if clients == 7 else 4) + [429] * (0 if clients == 7 else 3)


def test_a_client_that_asks_too_often_is_told_so(client):
    flood = [client.ask("/", headers=[("X-Forwarded-For", "203.0.113.50")]).status for _request in range(25)]
    assert {200, 429} == set(flood)
    # Its neighbours are not asked to pay.
    assert client.ask("/", headers=[("X-Forwarded-For", "203.0.113.51")]).status == 200


def test_a_client_with_too_many_connections_is_told_so(client):
    open_requests = []
    for _connection in range(6):
        connection = client.connect("https", "localhost")
        head = (
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.60\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head.encode())
        open_requests.append(connection)
        time.sleep(0.05)
    answer = open_requests[-1].recv(100)
    for connection in open_requests:
        connection.close()
    assert answer.startswith(b"HTTP/1.1 429 ")


def test_the_log_is_turned_and_written_on(client, host, eventually):
    host.check_output("logrotate --force /etc/logrotate.d/nginx")
    client.ask("/after-the-turn", headers=[("X-Forwarded-For", "203.0.113.70")])
    assert eventually(lambda: "/after-the-turn" in host.check_output("cat /var/log/nginx/access.log"))


def test_a_second_run_changes_and_reloads_nothing(host, playbook):
    assert playbook(PUBLISH)[0] == 0
    before = workers(host)
    code, output = playbook(PUBLISH)
    assert code == 0
    assert "changed=0" in output
    assert workers(host) == before
