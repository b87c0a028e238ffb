"""One Redis of several hosts: who is refused, who becomes the master, and what of it may be shown."""

import hashlib

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import redis_sentinel
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import redis_users as users
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.redis_replication import shortened
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import redis_server
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.redis_replication import (
    SAME,
    Group,
    master_of,
    outer,
    rekeyed,
    secret_of,
)
from rendering import render

HOSTS = {"one": "10.0.0.1", "two": "10.0.0.2", "three": "10.0.0.3"}
NEW = {"role": "", "follows": "", "data": False, "sentinel": "", "epoch": 0}
NEW |= {"sees": [], "secret": ""}


def group(addresses=None, **same):
    """Three hosts that may have one Redis, but for what is given."""
    places = {name: [one] for name, one in HOSTS.items()} if addresses is None else addresses
    values = {variable: {name: same.get(variable, {}).get(name) for name in places} for variable in SAME}
    return Group("one", places, values)


def test_a_host_of_another_debian_is_refused():
    found = group()
    found.debians = {"one": 12, "two": 13, "three": 0}
    [sentence] = found.refusals()
    assert "Debian 13 on two has a newer Redis than the others" in sentence


def test_three_hosts_that_agree_are_taken():
    found = group()
    assert list(found.refusals()) == []
    assert found.description() == {"hosts": HOSTS, "address": "10.0.0.1", "quorum": 2}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (group({"one": ["10.0.0.1"]}), "the group redis_server has 1 hosts (one). Allowed are 3, 5 or 7, "),
        (
            group({"one": ["10.0.0.1"], "two": ["10.0.0.2"]}),
            "the group redis_server has 2 hosts (one, two). ",
        ),
        (group({**{name: [one] for name, one in HOSTS.items()}, "two": []}), "two has 0 besides loopback. "),
        (group({name: ["10.0.0.1"] for name in HOSTS}), "10.0.0.1 is that of one, two, three. "),
        (
            group(redis_server_users={"three": ["another"]}),
            "redis_server_users: that of three is not that of one. ",
        ),
    ],
)
def test_hosts_that_can_not_have_one_redis_are_refused_in_a_sentence(found, sentence):
    assert any(sentence in one for one in found.refusals())


def test_loopback_is_no_address_for_others():
    assert outer(["127.0.0.1", "::1", "fd00::1", "10.0.0.1"]) == ["fd00::1", "10.0.0.1"]


def standings(**given):
    """What three hosts say of their Redis, but for what is given."""
    return {name: {**NEW, **given.get(name, {})} for name in HOSTS}


@pytest.mark.parametrize(
    ("known", "master"),
    [
        (standings(), ("10.0.0.1", True)),
        # One that there was before keeps what it has.
        (standings(two={"role": "master", "data": True}), ("10.0.0.2", True)),
        # What a killed run has begun.
        (
            standings(
                two={"role": "master", "data": True},
                one={"role": "slave", "follows": "10.0.0.2", "data": True},
            ),
            ("10.0.0.2", True),
        ),
        (standings(one={"role": "slave", "follows": "10.0.0.3"}), ("10.0.0.3", True)),
        # Sentinel's word counts more, and that of the last takeover most.
        (standings(two={"sentinel": "10.0.0.3", "epoch": 2}), ("10.0.0.3", False)),
        (
            standings(one={"sentinel": "10.0.0.1", "epoch": 1}, two={"sentinel": "10.0.0.3", "epoch": 2}),
            ("10.0.0.3", False),
        ),
        # A master that is back, which its own Sentinel will tell.
        (
            standings(
                one={"sentinel": "10.0.0.1", "epoch": 1, "role": "master", "data": True},
                two={"sentinel": "10.0.0.3", "epoch": 2},
            ),
            ("10.0.0.3", False),
        ),
    ],
)
def test_nobody_is_made_master_in_anothers_place(known, master):
    assert master_of(HOSTS, known) == master


@pytest.mark.parametrize(
    ("known", "absent", "sentence"),
    [
        (
            standings(one={"role": "master", "data": True}, two={"role": "master", "data": True}),
            [],
            "one, two each have data of their own",
        ),
        # A new host that somebody has used before.
        (
            standings(one={"sentinel": "10.0.0.1"}, two={"role": "master", "data": True}),
            [],
            "the Redis of two has data of its own, which would be lost",
        ),
        (
            {"one": NEW, "two": {**NEW, "role": "master", "data": True}},
            ["three"],
            "three is not reached by this run",
        ),
        # Taken out of the inventory, and the others follow it.
        (standings(one={"sentinel": "10.0.0.9", "epoch": 3}), [], "10.0.0.9 belongs to these"),
        (
            standings(one={"sentinel": "10.0.0.1", "sees": ["10.0.0.1", "10.0.0.9"]}),
            [],
            "10.0.0.9 belongs to these",
        ),
    ],
)
def test_no_data_is_lost_to_a_master_that_has_not_got_it(known, absent, sentence):
    with pytest.raises(Refusal, match=sentence):
        master_of(HOSTS, known, absent)


FORMER = {"one": {**NEW, "secret": "abc"}, "two": NEW}


def test_a_new_password_of_replication_counts_beside_the_former_until_all_have_it():
    mine = shortened(secret_of("new"))
    assert rekeyed(FORMER, "new", [])
    # A host that is new has none, and one that a killed run has changed has the new one.
    assert not rekeyed({"one": {**NEW, "secret": mine}, "two": NEW}, "new", ["three"])
    before = users.rules([], "own", "former")
    both = users.rules([], "own", "new", users.known(before))
    assert set(users.known(both)) == {*users.known(before), *users.known(users.rules([], "own", "new"))}
    sentinels = redis_sentinel.users({}, "new", "own", "abc", users.known(before))
    assert users.known(sentinels) == users.known(both)
    assert users.known(users.rules([], "own")) == []


def test_a_host_that_is_away_is_not_locked_out_by_a_new_password():
    with pytest.raises(Refusal, match=r"three is not reached by this run. The others would not let it in"):
        rekeyed(FORMER, "new", ["three"])


def test_a_host_that_goes_leaves_a_group_that_may_be():
    run = FakeRun({"one": "present", "two": "present", "three": "absent"}, "three")
    assert Group.by(run).host == "one"
    assert any("has 2 hosts (one, two)" in sentence for sentence in Group.by(run).refusals())
    assert Group.by(FakeRun(dict.fromkeys(HOSTS, "absent"), "one")).addresses == {}


class FakeRun:
    """What a run knows of hosts. states: host to its redis_server_state. host: the one that asks."""

    def __init__(self, states, host):
        self.states, self.host, self.debian = states, host, 13

    def on(self, host, _role):
        return FakeRun(self.states, host)

    def group(self, _name):
        return list(self.states)

    def decent(self, name):
        """A variable's value."""
        return {
            "redis_server_state": self.states[self.host],
            "redis_server_addresses": ["127.0.0.1", HOSTS[self.host]],
        }.get(name, "")


REPLICATION = {"address": "10.0.0.1", "group": [*HOSTS.values()], "secret": "s" * 64, "quorum": 2}


def test_sentinel_keeps_what_it_has_learned_of_the_hosts_that_there_are():
    before = (
        "sentinel monitor tornadoes 10.0.0.3 6379 2\nsentinel myid abc\nsentinel config-epoch tornadoes 7\n"
        "sentinel known-replica tornadoes 10.0.0.2 6379\nsentinel known-replica tornadoes 10.0.0.9 6379\n"
    )
    text = redis_sentinel.configuration(REPLICATION, ["127.0.0.1", "10.0.0.1"], 6379, "10.0.0.1", before)
    assert "sentinel monitor tornadoes 10.0.0.3 6379 2\n" in text
    assert "sentinel config-epoch tornadoes 7\n" in text
    assert "10.0.0.2" in text
    assert "10.0.0.9" not in text


def test_a_host_that_sentinel_knows_as_the_master_and_is_gone_is_none():
    before = "sentinel monitor tornadoes 10.0.0.9 6379 2\n"
    text = redis_sentinel.configuration(REPLICATION, ["10.0.0.1"], 6379, "10.0.0.2", before)
    assert "sentinel monitor tornadoes 10.0.0.2 6379 2\n" in text


def test_who_asks_sentinel_for_the_master_can_change_nothing_there():
    text = redis_sentinel.users({"chat": "a" * 64}, "s" * 64, "own", "abc")
    [chat] = [line for line in text.splitlines() if line.startswith("user chat ")]
    assert {"+sentinel|failover", "+sentinel|set", "+sentinel", "+@all"}.isdisjoint(chat.split())
    assert text.startswith("user default off ")
    assert "s" * 64 not in text
    # Of Redis 7.2: Debian 12's Sentinel would not start.
    assert "client|setinfo" not in text


def test_the_secret_of_replication_is_not_shown():
    secret = secret_of("a password of replication")
    assert "password" not in secret
    text = f"bind 127.0.0.1\nmasterauth {secret}\n"
    assert users.without_secret(text, "", "a new password") == "bind 127.0.0.1\nmasterauth (a new password)\n"
    assert "(a password)" in users.without_secret(text, text, "a new password")
    rules = users.rules([], "own", secret)
    assert secret not in rules
    assert users.digest_of(rules) != users.digest_of(users.rules([], "own"))


def test_a_master_without_followers_refuses_only_where_there_are_several():
    replication = {"address": "10.0.0.5", "quorum": 3}
    several = render(
        "redis_server",
        "etc/redis/tornadoes.conf.j2",
        redis_server_replication_password="of the replication",
        __redis_server_replication=replication,
    )
    # Of five: a master that is cut off with one other host accepts nothing.
    assert "min-replicas-to-write 2" in several
    assert "appendfsync always" in several
    assert "replica-announce-ip 10.0.0.5" in several
    assert "min-replicas" not in render("redis_server", "etc/redis/tornadoes.conf.j2")


def test_the_names_of_the_roles_own_users_are_nobodys():
    assert users.REPLICA in redis_server.RESERVED


def test_what_a_run_shows_of_the_replication_s_password_is_too_slow_to_guess_it_from():
    secret = secret_of("swordfish")
    assert shortened("") == ""
    assert shortened(secret) == shortened(secret) != shortened(secret_of("other"))
    assert shortened(secret) not in hashlib.sha256(secret.encode()).hexdigest()
