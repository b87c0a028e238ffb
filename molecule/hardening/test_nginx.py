"""What nginx can do on the host and what not: its own sandbox, in which it does all it has to."""

import socket
import time

import pytest

FOREIGN = "/etc/nginx/conf.d/foreign.conf"


@pytest.fixture
def processes(host):
    """Pids of nginx, the master first."""
    return lambda: host.check_output("cat /run/nginx.pid; pgrep --parent $(cat /run/nginx.pid)").split()


# Before all others: this nginx is the one that the installation of the package started.
def test_nginx_runs_in_its_sandbox_from_its_first_start_on(host, processes):
    assert host.check_output("systemctl show nginx --property=NRestarts --value") == "0"
    for pid in processes():
        status = host.file(f"/proc/{pid}/status").content_string
        assert "NoNewPrivs:\t1\n" in status
        assert "Seccomp:\t2\n" in status


def test_systemd_finds_little_to_say_about_nginx(host):
    # systemd-analyze's exposure level, 0 to 10, lower is better; Debian's own unit has 9.6.
    done = host.run("systemd-analyze security --no-pager --threshold=25 nginx.service")
    print(done.stdout)
    assert done.rc == 0


def test_even_its_master_writes_nowhere_else(host, processes):
    master = processes()[0]

    def writes(folder):
        return host.run(f"nsenter --target {master} --mount touch {folder}/x").rc == 0

    for folder in (
        "/etc",
        "/etc/nginx",
        "/usr",
        "/srv",
        "/srv/plain",
        host.user("root").home,
        "/home",
        "/var/lib",
    ):
        assert not writes(folder), folder
    for folder in ("/run", "/var/lib/nginx", "/var/log/nginx"):
        assert writes(folder), folder


def test_nothing_of_the_host_is_missing_to_it(client, host):
    assert client.ask("/home/page").body == b"from /home"
    assert client.ask("/home/nowhere").status == 404
    assert "/home/nowhere" in host.file("/var/log/nginx/error.log").content_string
    # A body this large goes through a file below /var/lib/nginx.
    assert client.ask("/try", method="POST", body=b"x" * 1_000_000).status == 405
    listen = "--unit=test --collect --socket-property=ListenStream=/run/test.sock"
    host.check_output(f"systemd-run --quiet {listen} /usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:8000")
    try:
        assert client.ask("/healthz", host="socket.example.org").body == b"ok"
    finally:
        host.check_output("systemctl stop test.socket test.service; rm /run/test.sock")


def test_gixy_finds_nothing(gixy):
    assert gixy() == []


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_nginx_comes_out_of_it_well(client, host, eventually, processes, how):
    before = processes()
    host.check_output(f"systemctl {how} nginx")
    assert eventually(lambda: len(processes()) == len(before) and not set(processes()[1:]) & set(before))
    assert (processes()[0] == before[0]) == (how == "reload")
    assert client.ask("/healthz").status == 200


def test_a_killed_master_costs_nobody_what_is_under_way(client, host, eventually, processes):
    before = processes()
    refused = []
    with client.connect("https", "localhost") as half:
        half.sendall(b"POST /request/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n")
        host.check_output(f"nohup sh -c 'sleep 1; kill -KILL {before[0]}' > /dev/null 2>&1 &")
        end = time.monotonic() + 4
        sent, last = 0, 0
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", client.ports["http"]), timeout=5).close()
                assert client.ask("/healthz").status == 200
            except OSError:
                refused.append(time.monotonic())
            # It has 3 s from one part of its body to the next.
            if sent < 80 and time.monotonic() - last > 0.2:
                half.sendall(b"1")
                sent, last = sent + 1, time.monotonic()
        half.sendall(b"1" * (90 - sent))
        assert half.recv(12) == b"HTTP/1.1 200"
    print(len(refused), "refused within", refused[-1] - refused[0] if refused else 0)
    # 0.05 to 0.25 s where the machine has nothing else to do.
    assert not refused or refused[-1] - refused[0] < 1.2
    assert eventually(lambda: len(processes()) == len(before) and not set(processes()) & set(before))
    # Nobody is left of the old ones, and whoever stops nginx stops all of it.
    assert eventually(lambda: not set(host.check_output("pgrep nginx").split()) & set(before))
    host.check_output("kill -STOP $(cat /run/nginx.pid); systemctl stop nginx")
    try:
        assert host.run("pgrep nginx").rc == 1
    finally:
        host.check_output("systemctl start nginx")
    assert client.ask("/healthz").status == 200


def test_a_configuration_that_does_not_start_leaves_the_workers_of_a_killed_master_at_work(
    client, host, eventually
):
    host.check_output(f"echo nonsense > {FOREIGN}; kill -KILL $(cat /run/nginx.pid); sleep 3")
    try:
        assert client.ask("/healthz").status == 200
    finally:
        host.check_output(f"rm {FOREIGN}")
    assert eventually(lambda: host.run("systemctl is-active nginx").stdout == "active\n")
    assert eventually(lambda: client.ask("/healthz").status == 200)


def test_a_file_beside_the_role_s_is_loaded_and_a_broken_one_is_named(client, host, playbook):
    other = "curl --silent --output /dev/null --write-out %{http_code} http://127.0.0.1:9876/"
    try:
        host.check_output(f"echo 'server {{ listen 127.0.0.1:9876; return 204; }}' > {FOREIGN}")
        assert "changed=1" in playbook("playbooks/publish.yml")[1]
        assert host.run(other).stdout == "204"
        assert "changed=0" in playbook("playbooks/publish.yml")[1]
        host.check_output(f"echo nonsense >> {FOREIGN}")
        code, output = playbook("playbooks/publish.yml")
        assert code != 0
        assert FOREIGN in output
        assert host.run(other).stdout == "204"
    finally:
        host.check_output(f"rm {FOREIGN}")
    assert playbook("playbooks/publish.yml")[0] == 0
    assert host.run(other).stdout == "000"
    assert client.ask("/healthz").status == 200


def test_its_logs_are_rotated(client, host, eventually):
    # What logrotate does with them.
    log = "/var/log/nginx/access.log"
    host.check_output(f"mv {log} {log}.1; install --owner=www-data --group=adm --mode=640 /dev/null {log}")
    host.check_output("invoke-rc.d nginx rotate")

    def logged():
        client.ask("/healthz?rotated")
        return "/healthz?rotated" in host.file(log).content_string

    assert eventually(logged)


def test_a_sandbox_that_forbids_what_nginx_does_is_refused_and_put_back(client, host, playbook, processes):
    # A host of before there was a sandbox, on which somebody's own file writes where none may.
    drop_in = "/etc/systemd/system/nginx.service.d/tornadoes.conf"
    host.check_output(f"printf '[Service]\\nRestart=on-failure\\n' > {drop_in}; systemctl daemon-reload")
    before = host.file(drop_in).content_string
    host.check_output(f"echo 'access_log /srv/foreign.log;' > {FOREIGN}; systemctl restart nginx")
    try:
        code, output = playbook("playbooks/publish.yml")
        assert code != 0
        assert 'nginx refuses the new configuration: open() "/srv/foreign.log" failed' in output
        assert "ReadWritePaths=" in output
        # The old one is good for a reboot, which is what a restart shows.
        assert host.file(drop_in).content_string == before
        host.check_output("systemctl restart nginx")
        assert client.ask("/healthz").status == 200
    finally:
        host.check_output(f"rm {FOREIGN}")
    code, output = playbook("playbooks/publish.yml")
    assert code == 0
    assert all("Seccomp:\t2\n" in host.file(f"/proc/{pid}/status").content_string for pid in processes())
    assert client.ask("/healthz").status == 200
