"""Who may connect, what for, and what is still there afterwards."""

import hashlib

import pytest

PASSWORDS = ["of-the-chat-sesame", "of-the-reports-sesame"]


def test_nobody_connects_without_name_and_password(ask):
    assert "NOAUTH" in ask("ping", user="", password="")
    assert "WRONGPASS" in ask("ping", password="of-the-reports-sesame")
    assert "WRONGPASS" in ask("ping", user="default", password="")
    assert "WRONGPASS" in ask("ping", user="default", password="of-the-chat-sesame")
    assert ask("ping") == "PONG"


def test_redis_listens_where_it_is_told_and_nowhere_else(host):
    lines = host.check_output("ss --listening --tcp --numeric --processes | grep redis-server").splitlines()
    assert {line.split()[3] for line in lines} == {"127.0.0.1:6379", "10.77.0.1:6379"}


def test_processes_hear_each_other(ask, host):
    first = ask("xadd", "chat:room", "*", "text", "before")
    reader = (
        "REDISCLI_AUTH=of-the-chat-sesame timeout 20 redis-cli -h 10.77.0.1 --user chat "
        "xread block 10000 streams chat:room '$'"
    )
    # From the moment that Redis knows of the reader on, it misses nothing.
    heard = host.check_output(
        f"({reader} > /tmp/heard 2>&1) & sleep 1; "
        "REDISCLI_AUTH=of-the-chat-sesame redis-cli --user chat xadd chat:room '*' text after; "
        "wait; cat /tmp/heard"
    )
    assert heard.splitlines()[-1] == "after"
    assert ask("xrange", "chat:room", first, first).splitlines() == [first, "text", "before"]


def test_a_user_has_its_own_keys_alone(ask):
    assert "NOPERM" in ask("xadd", "reports:daily", "*", "a", "b")
    assert "NOPERM" in ask("get", "other")
    assert "NOPERM" in ask("xread", "streams", "reports:daily", "0")
    assert "NOPERM" in ask("xadd", "chat:public:news", "*", "a", "b", user="reports")
    ask("xadd", "chat:public:news", "*", "a", "b")
    assert ask("xlen", "chat:public:news", user="reports") == "1"
    assert "NOPERM" in ask("xlen", "chat:room", user="reports")


@pytest.mark.parametrize(
    "command",
    [
        "config get *",
        "config set maxmemory 0",
        "flushall",
        "flushdb",
        "keys *",
        "scan 0",
        "randomkey",
        "shutdown nosave",
        "debug sleep 0",
        "acl list",
        "client list",
        "client kill type normal",
        "eval return(1) 0",
        "function list",
        "module list",
        "monitor",
        "replicaof 127.0.0.1 1",
        "save",
        "bgrewriteaof",
        "swapdb 0 1",
        "migrate 127.0.0.1 1 chat:room 0 1",
        "subscribe chat:room",
    ],
)
def test_a_user_can_harm_nobody_else(ask, command):
    assert ask(*command.split()).startswith(("NOPERM", "ERR DEBUG command not allowed"))


def test_what_was_accepted_survives_a_kill(ask, host, pid, eventually):
    before, ids = pid(), []
    for number in range(5):
        ids.append(ask("xadd", "chat:kept", "*", "number", str(number)))
    host.check_output("systemctl kill --signal=KILL redis-server")
    assert eventually(lambda: pid() not in ("0", before) and ask("ping") == "PONG")
    assert [word for word in ask("xrange", "chat:kept", "-", "+").splitlines() if "-" in word] == ids


def test_a_transaction_that_was_accepted_survives_a_kill(ask, host, pid, eventually):
    before = pid()
    words = "MULTI\\nSET chat:one 1\\nSET chat:two 2\\nEXEC\\n"
    said = host.check_output(
        f"printf '{words}' | REDISCLI_AUTH=of-the-chat-sesame redis-cli --user chat --no-auth-warning"
    )
    assert said.split().count("OK") == 3
    host.check_output("systemctl kill --signal=KILL redis-server")
    assert eventually(lambda: pid() not in ("0", before) and ask("ping") == "PONG")
    assert (ask("get", "chat:one"), ask("get", "chat:two")) == ("1", "2")


def test_a_full_redis_refuses_and_drops_nothing(ask, host):
    first = ask("xadd", "chat:first", "*", "text", "kept")
    fill = (
        "export REDISCLI_AUTH=of-the-chat-sesame; head --bytes=1000000 /dev/zero | tr '\\0' x > /tmp/x; "
        "for one in $(seq 20); do redis-cli --user chat -x xadd chat:full '*' text < /tmp/x; done; rm /tmp/x"
    )
    said = host.check_output(fill).splitlines()
    accepted = [line for line in said if "-" in line and "OOM" not in line]
    assert any(line.startswith("OOM") for line in said)
    assert len(accepted) > 5
    assert ask("xlen", "chat:full") == str(len(accepted))
    assert ask("xrange", "chat:first", "-", "+").splitlines()[0] == first
    assert ask("del", "chat:full") == "1"
    assert "-" in ask("xadd", "chat:first", "*", "text", "again")


def test_an_address_may_come_late(ask, host, pid, eventually):
    before = pid()
    host.check_output("ip address delete 10.77.0.1/32 dev lo; systemctl restart --no-block redis-server")
    assert eventually(lambda: int(host.check_output("systemctl show redis-server -P NRestarts")) > 1)
    host.check_output("ip address add 10.77.0.1/32 dev lo")
    assert eventually(lambda: pid() not in ("0", before) and ask("ping", at="10.77.0.1") == "PONG")


def test_redis_is_confined_and_never_given_up(host):
    wanted = {
        "User": "redis",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "Restart": "always",
        "StartLimitIntervalUSec": "0",
        "ReadWritePaths": "-/var/lib/redis -/run/redis",
        "UnitFileState": "enabled",
    }
    said = host.check_output(f"systemctl show redis-server --property={','.join(wanted)}")
    assert dict(line.split("=", 1) for line in said.splitlines()) == wanted


def test_debians_own_configuration_is_as_dpkg_knows_it(host):
    assert host.run("dpkg --verify redis-server").stdout == ""


def test_secrets_are_nowhere(host):
    hashes = [hashlib.sha256(password.encode()).hexdigest() for password in PASSWORDS]
    own = host.check_output("cat /etc/redis/tornadoes.password")
    # Looked for by means of a file, since a command line with the secret would be found as well.
    secrets = "/dev/shm/secrets"
    host.check_output(f"umask 77; printf '%s\\n' {' '.join([*PASSWORDS, *hashes, own])} > {secrets}")
    places = "/etc /var /run /tmp /home /root /srv /usr/local --exclude-dir=journal"
    found = host.run(
        f"grep --recursive --files-with-matches --fixed-strings --file={secrets} {places}"
    ).stdout
    assert sorted(found.split()) == ["/etc/redis/tornadoes.acl", "/etc/redis/tornadoes.password"]
    assert not any(word in host.file("/etc/redis/tornadoes.acl").content_string for word in [*PASSWORDS, own])
    assert host.run(f"journalctl --no-pager | grep --fixed-strings --file={secrets}").stdout == ""
    assert host.run(f"ps axww --format args | grep --fixed-strings --file={secrets}").stdout == ""
    host.check_output(f"rm {secrets}")
    modes = host.check_output("stat --format='%n %U:%G %a' /etc/redis/tornadoes.*").splitlines()
    assert modes == [
        "/etc/redis/tornadoes.acl root:redis 640",
        "/etc/redis/tornadoes.conf root:redis 640",
        "/etc/redis/tornadoes.password root:root 600",
    ]
