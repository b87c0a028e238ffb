"""What becomes of the role's variables and files, as far as it needs no host."""

import hashlib
import re
from dataclasses import replace

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import redis_configuration as configuration
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import redis_host
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import redis_users as users
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import redis_server
from rendering import load, render

CHAT = {"name": "chat", "hash": "a" * 64, "keys": ["chat:*"], "commands": ["+@read"]}
PASSWORD = "of the role's own user"


def rendered(**given):
    """The configuration that the role writes, the variables at its lines' ends included."""
    return render("redis_server", "etc/redis/tornadoes.conf.j2", **given)


def test_a_configuration_is_read_as_redis_says_it():
    text, variables = configuration.separated(rendered(redis_server_memory_max="1M"))
    assert "#=" not in text
    found = configuration.directives(text)
    assert found["bind"] == "127.0.0.1"
    assert found["maxmemory"] == "1048576"
    assert found["save"] == found["logfile"] == ""
    assert variables["maxmemory 1048576"] == "redis_server_memory_max"


def test_nothing_that_was_accepted_is_dropped():
    found = configuration.directives(rendered())
    assert (found["appendonly"], found["maxmemory-policy"]) == ("yes", "noeviction")


def test_no_client_gets_in_without_a_password():
    lines = users.rules([CHAT], PASSWORD).splitlines()
    # Not less than all, or a transaction is gone once Redis reads its file again.
    assert lines[0] == "user default off resetpass ~* &* +@all"
    assert lines[1] == f"user chat on #{'a' * 64} resetchannels ~chat:* &chat:* -@all +@read"
    assert lines[2].startswith(f"user tornadoes on #{hashlib.sha256(PASSWORD.encode()).hexdigest()} ")
    assert "nopass" not in " ".join(lines)
    assert PASSWORD not in " ".join(lines)


def test_the_digest_tells_users_apart():
    text = users.rules([CHAT], PASSWORD)
    digest = users.digest_of(text)
    assert re.fullmatch("[0-9a-f]{12}", digest)
    other = users.rules([{**CHAT, "hash": "b" * 64}], PASSWORD)
    assert users.digest_of(other) != digest
    assert users.digest_of("") == ""


def test_the_order_of_users_makes_no_difference():
    some = [CHAT, {**CHAT, "name": "another"}]
    assert users.rules(some, PASSWORD) == users.rules(some[::-1], PASSWORD)


def test_users_that_changed_must_reconnect():
    same = {**CHAT, "name": "same"}
    old = users.rules([CHAT, same], PASSWORD)
    new = users.rules([{**CHAT, "hash": "b" * 64}, same, {**CHAT, "name": "new"}], PASSWORD)
    assert users.changed(old, new) == ["chat", "new"]
    assert users.changed("", new) == users.changed(new, new) == ["chat", "default", "new", "same"]


def test_a_difference_shows_no_hash_but_that_it_is_another():
    old = users.rules([CHAT, {**CHAT, "name": "same"}], PASSWORD)
    new = users.rules([{**CHAT, "hash": "b" * 64}, {**CHAT, "name": "same"}], PASSWORD)
    before = users.redacted(old, new, "the old password")
    after = users.redacted(new, old, "a new password")
    assert not re.search("[0-9a-f]{64}", before + after)
    assert "user chat on (the old password) " in before
    assert "user chat on (a new password) " in after
    assert "user same on (a password) " in before
    assert "user same on (a password) " in after


def test_a_password_that_somebody_wrote_by_hand_is_not_shown():
    text = "user chat on >of-the-chat-sesame ~* +@all\n"
    assert users.redacted(text, "", "the old password") == "user chat on (the old password) ~* +@all\n"


WANTED = {"port": "6379", "maxmemory": "1"}
RUNS = redis_host.Unit(runs=True, pid="1", restarts="0", since=2e9, enabled=True)


@pytest.mark.parametrize(
    ("directives", "digest", "now", "steps"),
    [
        (WANTED, "a", RUNS, []),
        (WANTED, "b", RUNS, ["load"]),
        ({**WANTED, "maxmemory": "2"}, "a", RUNS, ["set"]),
        ({**WANTED, "maxmemory": "2"}, "b", RUNS, ["set", "load"]),
        ({**WANTED, "port": "1", "maxmemory": "2"}, "b", RUNS, ["restart"]),
        ({"maxmemory": "1"}, "a", RUNS, ["restart"]),
        (None, "", RUNS, ["restart"]),
        (None, "", replace(RUNS, runs=False), ["start"]),
        # Since before its drop-in was written.
        (WANTED, "a", replace(RUNS, since=1e9), ["restart"]),
    ],
)
def test_redis_restarts_only_for_what_it_can_not_apply(monkeypatch, tmp_path, directives, digest, now, steps):
    monkeypatch.setattr(redis_host, "DROP_IN", str(tmp_path / "drop-in"))
    (tmp_path / "drop-in").write_text("")
    found = directives and redis_host.Running(directives, digest, memory=0, loading=False)
    assert redis_host.pending(redis_host.Wanted(WANTED, "a"), found, now) == steps


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n"
            ">>> 'port 99999'\nargument must be between 0 and 65535 inclusive\n",
            "argument must be between 0 and 65535 inclusive (port 99999), from redis_server_port",
        ),
        (
            "1:M 01 Jan 2026 00:00:00.000 # Aborting Redis startup because of ACL errors: /etc/x.acl:2: "
            "Error in applying operation '+@x': Unknown command or category name in ACL. WARNING: ACL "
            "errors detected, no change to the previously active ACL rules was performed\n",
            "Error in applying operation '+@x': Unknown command or category name in ACL, "
            "from redis_server_users",
        ),
        (
            "1:M 01 Jan 2026 00:00:00.000 # WARNING Memory overcommit must be enabled!\n"
            "1:M 01 Jan 2026 00:00:00.000 # Warning: Could not create server TCP listening socket "
            "127.0.0.1:81: bind: Permission denied\n1:M 01 Jan 2026 # Failed listening on port 81\n",
            "Could not create server TCP listening socket 127.0.0.1:81: bind: Permission denied",
        ),
        ("", "it says nothing"),
    ],
)
def test_what_redis_complains_of_is_reported(output, reason):
    assert configuration.complaint(output, {"port 99999": "redis_server_port"}) == reason


def test_the_host_gets_a_hash_in_the_place_of_a_password():
    options = load("roles/redis_server/meta/argument_specs.yml")["argument_specs"]["variables"]["options"]
    [user] = redis_server.users(options, [{"name": "chat", "password": "of-the-chat-sesame"}])
    assert "sesame" not in repr(user)
    assert user.for_host() == {
        "name": "chat",
        "hash": hashlib.sha256(b"of-the-chat-sesame").hexdigest(),
        "keys": ["chat:*"],
        "commands": options["redis_server_users"]["options"]["commands"]["default"],
    }
