"""Later runs: other users, other values, values that can't work, killed runs, and the end."""

import hashlib
import json

import pytest
import yaml

CHAT = {"name": "chat", "password": "of-the-chat-sesame"}
REPORTS = {"name": "reports", "password": "of-the-reports-sesame", "commands": ["+@read"]}
# The role's own user, as root on the host can be.
OWN = (
    "REDISCLI_AUTH=$(cat /etc/redis/tornadoes.password) "
    "redis-cli -s /run/redis/redis-server.sock --user tornadoes"
)

REFUSED = {
    "a port that is none": (
        {"redis_server_port": 70000},
        "redis_server_port: 70000 is no TCP port. Allowed are 1 to 65535.",
    ),
    "all addresses": (
        {"redis_server_addresses": ["127.0.0.1", "0.0.0.0"]},
        "redis_server_addresses: 0.0.0.0 is no loopback or private address. Allowed are those in",
    ),
    "addresses of the world": (
        {"redis_server_addresses": ["192.0.2.1", "172.32.0.1", "2001:db8::1", "::", "169.254.1.1"]},
        "redis_server_addresses: 192.0.2.1, 172.32.0.1, 2001:db8::1, ::, 169.254.1.1 is no loopback",
    ),
    "names": (
        {"redis_server_addresses": ["localhost", "*", "-127.0.0.1"]},
        "redis_server_addresses: localhost, *, -127.0.0.1 is no loopback or private address.",
    ),
    "an address that would break out of the configuration": (
        {"redis_server_addresses": ["fd00::1%a\nport 1"]},
        "is no loopback or private address.",
    ),
    "nowhere": ({"redis_server_addresses": []}, "redis_server_addresses: an empty list is invalid. Give at"),
    "an amount that is none": (
        {"redis_server_memory_max": "much"},
        "redis_server_memory_max: 'much' is no amount. Write a number and K, M, G or T, as 256M.",
    ),
    "two users of one name": (
        {"redis_server_users": [CHAT, CHAT]},
        "redis_server_users: a name is given twice (chat, chat). Each user has its own.",
    ),
    "Redis's user for everybody": (
        {"redis_server_users": [{**CHAT, "name": "default"}]},
        "redis_server_users: 'default' is no valid name of a user. Use up to 32 lowercase letters",
    ),
    "a name that would break out of the file of users": (
        {"redis_server_users": [{**CHAT, "name": "chat on nopass"}]},
        "redis_server_users: 'chat on nopass' is no valid name of a user.",
    ),
    "the role's own user": (
        {"redis_server_users": [{**CHAT, "name": "tornadoes"}]},
        "redis_server_users: 'tornadoes' is no valid name of a user.",
    ),
    "a short password": (
        {"redis_server_users": [{**CHAT, "password": "of-the-chat-ses"}]},
        "redis_server_users: the password of chat is too short. Give at least 16 characters.",
    ),
    "a key that would break out": (
        {"redis_server_users": [{**CHAT, "keys": ["chat:* +@all"]}]},
        "redis_server_users: 'chat:* +@all' is invalid. Give keys without spaces, quotes and",
    ),
    "a password among the commands": (
        {"redis_server_users": [{**CHAT, "commands": ["nopass"]}]},
        "redis_server_users: 'nopass' is invalid.",
    ),
    "a misspelt variable": (
        {"redis_server_address": "127.0.0.1"},
        "redis_server_address: no such variable. Is it redis_server_addresses?",
    ),
    "a misspelt key": (
        {"redis_server_users": [{**CHAT, "key": "chat:*"}]},
        "redis_server_users[0].key: no such key. Is it keys?",
    ),
    "a state that is none": (
        {"redis_server_state": "gone"},
        "redis_server_state: 'gone' is none of the choices. There are present, absent.",
    ),
    "a password that is no text": (
        {"redis_server_users": [{**CHAT, "password": [CHAT["password"]]}]},
        "redis_server_users[0].password: a list is no text. Give one line of it.",
    ),
}


@pytest.fixture(scope="module")
def refusals(playbook, container, tmp_path_factory):
    """What validation says to each case. All at once: as many names for the one host."""
    _name, variables = container
    hosts = {
        f"case{number}": {**variables, **given} for number, (given, _said) in enumerate(REFUSED.values())
    }
    inventory = tmp_path_factory.mktemp("refusals") / "hosts.yml"
    groups = {"test_hosts": {"hosts": hosts}, "redis_server": {"hosts": dict.fromkeys(hosts)}}
    inventory.write_text(yaml.safe_dump(groups))
    _code, output = playbook("playbooks/validate.yml", "--forks=8", inventory=[inventory])
    assert "of-the-chat" not in output
    # As YAML has them between apostrophes.
    output = output.replace("''", "'")
    return {part.split("]")[0]: " ".join(part.split()) for part in output.split("fatal: [")[1:]}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_sentence_before_anything_changes(refusals, case):
    number = list(REFUSED).index(case)
    assert REFUSED[case][1] in refusals[f"case{number}"].split("PLAY RECAP")[0]


def test_inventories_without_redis_hear_nothing_of_it(playbook, tmp_path):
    (tmp_path / "hosts.yml").write_text("tornado_app: {hosts: {a.example.org: }}\n")
    code, output = playbook("site.yml", "--list-hosts", inventory=[tmp_path / "hosts.yml"])
    assert code == 0
    assert "ignoring: redis_server" not in output


def redis(playbook, *words, **variables):
    """Run Redis's play with these variables; the exit code, all that it printed, and that in one line."""
    code, output = playbook("playbooks/redis.yml", "--diff", "-e", json.dumps(variables), *words)
    return code, output, " ".join(output.split())


def test_users_change_without_a_restart(playbook, ask, pid, host, eventually):
    before = pid()
    reader = "redis-cli --user chat xread block 100000 streams chat:none '$'"
    host.check_output(f"REDISCLI_AUTH={CHAT['password']} nohup {reader} > /tmp/reader 2>&1 &")
    reads = "pgrep --full 'xread block [1]00000'"
    assert eventually(lambda: host.run(reads).rc == 0)
    users = [
        {"name": "chat", "password": "of-the-chat-second"},
        {**REPORTS, "keys": ["chat:public:*"]},
        {"name": "newcomer", "password": "of-the-newcomer-sesame"},
    ]
    code, output, said = redis(playbook, "-vvv", redis_server_users=users)
    assert code == 0
    assert "Redis got new users, without a restart." in said
    assert "+user chat on (a new password) resetchannels ~chat:* &chat:*" in output
    for secret in [CHAT["password"], *(user["password"] for user in users)]:
        assert secret not in output
        assert hashlib.sha256(secret.encode()).hexdigest() not in output
    assert pid() == before
    # A client with the old password is disconnected.
    assert eventually(lambda: host.run(reads).rc == 1)
    assert "WRONGPASS" in ask("ping")
    assert ask("ping", password="of-the-chat-second") == "PONG"
    assert ask("set", "newcomer:a", "b", user="newcomer", password="of-the-newcomer-sesame") == "OK"
    assert "NOPERM" in ask("get", "reports:a", user="reports")
    code, _output, said = redis(playbook)
    assert code == 0
    assert pid() == before
    assert "WRONGPASS" in ask("ping", user="newcomer", password="of-the-newcomer-sesame")
    assert ask("ping") == "PONG"


def test_memory_changes_without_a_restart(playbook, pid, host):
    before = pid()
    code, _output, said = redis(playbook, redis_server_memory_max="20M")
    assert code == 0
    assert "Redis got a new limit of memory, without a restart." in said
    assert pid() == before
    assert str(20 * 2**20) in host.check_output(f"{OWN} config get maxmemory")
    host.check_output(f"{OWN} config set maxmemory 0")
    # What was changed by hand in the running one is undone, as is what a killed run left.
    host.check_output("sed --in-place s/^user.reports/user\\ other/ /etc/redis/tornadoes.acl")
    host.check_output("touch /etc/redis/tornadoes.conf.next /etc/redis/tornadoes.acl.next")
    host.check_output(f"{OWN} acl load")
    code, _output, said = redis(playbook)
    assert code == 0
    assert "a new limit of memory, without a restart" in said
    assert pid() == before
    assert str(16 * 2**20) in host.check_output(f"{OWN} config get maxmemory")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"redis_server_memory_max": "20000000T"},
            "Redis takes maxmemory 21990232555520000000 for 18446744073709551615, "
            "from redis_server_memory_max. Everything stays as it was.",
        ),
        (
            {"redis_server_memory_max": "300K"},
            "redis_server_memory_max: Redis holds",
        ),
        (
            {"redis_server_users": [{**CHAT, "commands": ["+@nosuch"]}]},
            "Unknown command or category name in ACL, from redis_server_users. Everything stays as it was.",
        ),
        (
            {"redis_server_addresses": ["127.0.0.1", "10.77.0.2"]},
            "redis_server_addresses: 10.77.0.2 is no address of this host. Everything stays as it was.",
        ),
        (
            {"redis_server_port": 22},
            "redis_server_port: 22 is listened on by ssh.service on tornadoes-redis. Give another port",
        ),
    ],
)
def test_a_value_that_redis_refuses_changes_nothing(playbook, ask, pid, host, variables, sentence):
    state = "sha256sum /etc/redis/tornadoes.*; cat /etc/systemd/system/redis-server.service.d/*"
    before, process = host.check_output(state), pid()
    code, _output, said = redis(playbook, **variables)
    assert code != 0
    assert sentence in said
    assert (host.check_output(state), pid()) == (before, process)
    assert ask("ping") == "PONG"


def test_a_redis_that_can_not_run_is_turned_back(playbook, ask, host):
    kept = ask("xadd", "chat:kept", "*", "text", "before")
    # Only root may have a port below 1024, and Redis is not root.
    code, _output, said = redis(playbook, redis_server_port=81)
    assert code != 0
    assert "Redis does not run with the new configuration: " in said
    assert "Permission denied" in said
    assert ask("xrange", "chat:kept", kept, kept).splitlines()[0] == kept
    assert "port 6379" in host.file("/etc/redis/tornadoes.conf").content_string
    assert "changed=0" in redis(playbook)[2]


def test_another_port_is_a_restart(playbook, ask, pid):
    kept, before = ask("xadd", "chat:kept", "*", "text", "before"), pid()
    code, _output, said = redis(playbook, redis_server_port=6380, redis_server_addresses=["10.77.0.1"])
    assert code == 0
    assert "Redis got a restart." in said
    assert pid() != before
    assert ask("xrange", "chat:kept", kept, kept, at="10.77.0.1", port=6380).splitlines()[0] == kept
    assert "refused" in ask("ping", port=6379)
    assert redis(playbook)[0] == 0
    assert ask("ping") == "PONG"


# What the host has when the module is killed: a Redis on trial with the staged files, new users without
# the configuration they came with, or both and a Redis that has applied neither.
MOMENTS = {
    "on trial": "test -S /run/tornadoes-redis-trial/socket",
    "half in place": "grep --quiet newcomer /etc/redis/tornadoes.acl",
    "in place": "grep --quiet 'port 6380' /etc/redis/tornadoes.conf",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_is_finished_by_the_next(playbook, ask, host, kill_module, moment):
    kept = ask("xadd", "chat:kept", "*", "text", "before")
    kill_module(MOMENTS[moment])
    newcomer = {"name": "newcomer", "password": "of-the-newcomer-sesame"}
    wanted = {"redis_server_users": [CHAT, newcomer], "redis_server_port": 6380}
    assert redis(playbook, **wanted)[0] != 0
    if moment == "on trial":
        assert ask("ping") == "PONG"
        # The next one has other values, and must not mistake that trial for its own.
        wanted["redis_server_memory_max"] = "17M"
    # On a busy machine the kill may come so late that nothing is left to do.
    late = moment != "on trial" and ask("ping", port=6380) == "PONG"
    code, _output, said = redis(playbook, **wanted)
    assert code == 0
    assert late or "Redis got a restart." in said
    assert ask("xrange", "chat:kept", kept, kept, port=6380).splitlines()[0] == kept
    assert ask("ping", user="newcomer", password=newcomer["password"], port=6380) == "PONG"
    assert "changed=0" in redis(playbook, **wanted)[2]
    assert host.run("ls /etc/redis/*.next /etc/redis/*.partial").stdout == ""
    assert host.run("systemctl is-active tornadoes-redis-trial").stdout.strip() == "inactive"
    assert redis(playbook)[0] == 0


def test_absent_takes_all_but_the_data_and_leaves_others_alone(playbook, ask, host):
    kept = ask("xadd", "chat:kept", "*", "text", "before")
    code, _output, said = redis(playbook, redis_server_state="absent")
    assert code == 0
    assert "Its data stays in /var/lib/redis" in said
    assert host.run("ls -d /etc/redis/tornadoes* /etc/systemd/system/redis-server.service*").stdout == ""
    status = host.run("dpkg-query --show --showformat='${db:Status-Status}' redis-server").stdout
    assert status == "config-files"
    assert host.run("pgrep redis-server").stdout == ""

    # Debian's own, as somebody installs it by hand.
    install = "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes redis-server"
    host.check_output(install)
    assert host.check_output("redis-cli ping") == "PONG"
    code, _output, said = redis(playbook)
    assert code != 0
    assert "a Redis that is not this role's runs on the host. Stop it, if nobody needs it." in said
    assert "changed=0" in redis(playbook, redis_server_state="absent")[2]
    assert host.check_output("redis-cli ping") == "PONG"

    # And back again, to what it had.
    host.check_output("systemctl stop redis-server")
    assert redis(playbook)[0] == 0
    assert ask("xrange", "chat:kept", kept, kept).splitlines()[0] == kept
