"""One Redis of three hosts: what was accepted reaches everybody, whatever becomes of its master."""

import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
import yaml
from client import Client, Site
from containers import Restarts, podman
from visitor import READERS, ROOT

ASK = "redis-cli --no-auth-warning --user tornadoes --pass $(cat /etc/redis/tornadoes.password) -s "
MASTER = f"{ASK} /run/sentinel/redis-sentinel.sock sentinel master tornadoes"
ABOUT = f"{ASK} /run/redis/redis-server.sock info replication"


class Server(Site):
    """One of the hosts, through its own nginx and TLS."""

    def __init__(self, name, variables, host):
        super().__init__(Client(*variables["test_host_ports"], str(ROOT / ".cache" / f"{name}-ca.crt")))
        self.host, self.container = host, name
        self.address = variables["tornadoes_private_address"]

    def lines(self, command):
        """What a command says there; none while the host is away."""
        try:
            return self.host.run(f"timeout 5 {command}").stdout.splitlines()
        except RuntimeError:
            return []

    def about(self):
        """What its Redis says of its place; empty if it can't be asked."""
        lines = self.lines(ABOUT)
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def sentinel(self):
        """What its Sentinel knows of the master, name to value."""
        words = self.lines(MASTER)
        return dict(zip(words[::2], words[1::2], strict=False))


class Writer(threading.Thread):
    """Writes on one host, four a second, until it is stopped; asks again as the page does."""

    def __init__(self, server):
        super().__init__()
        self.server, self.stopped = server, threading.Event()
        self.accepted, self.refused = [], []

    def run(self):
        number = 0
        while not self.stopped.wait(0.25):
            number += 1
            text, key = f"{self.server.container} {number} {time.time()}", os.urandom(8).hex()
            for attempt in range(4):
                if self.stopped.wait(attempt / 2):
                    break
                try:
                    status, answer = self.server.say(text, key)
                except (OSError, ValueError, http.client.HTTPException) as problem:
                    status, answer = 0, {"again": True, "refused": repr(problem)}
                if status == 201:
                    self.accepted.append((time.monotonic(), text))
                if not answer.get("again"):
                    break
            if status != 201:
                self.refused.append((time.monotonic(), status, answer["refused"]))


class Load:
    """Writers on all hosts, and readers of every kind on all hosts."""

    def __init__(self, servers):
        self.readers = [
            kind(server, returns=True) for server in servers for _name, kind in sorted(READERS.items())
        ]
        self.writers = [Writer(server) for server in servers]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *problem):
        for writer in self.writers:
            writer.stopped.set()
        for writer in self.writers:
            writer.join()

    def accepted(self, since=0):
        """Moments and texts, in their order."""
        return sorted(one for writer in self.writers for one in list(writer.accepted) if one[0] > since)

    def pause(self):
        """The longest time in which nobody's message was accepted, in seconds."""
        moments = [moment for moment, _text in self.accepted()]
        return max(after - before for before, after in itertools.pairwise(moments))

    def check(self):
        """All that was accepted has reached everybody, once."""
        wanted = {text for _moment, text in self.accepted()}
        orders = []
        for reader in self.readers:
            texts, end = [], time.monotonic() + 60
            while not wanted <= set(texts) and time.monotonic() < end:
                if not reader.found.empty():
                    texts += [one["text"] for one in reader.next()["messages"]]
                else:
                    time.sleep(0.1)
            missing = wanted - set(texts)
            assert not missing, f"{len(missing)} of {len(wanted)} never came to {reader.visited.container}"
            assert len(texts) == len(set(texts))
            orders.append([one for one in texts if one in wanted])
        assert all(order == orders[0] for order in orders)
        refused = sum(len(writer.refused) for writer in self.writers)
        print(f"accepted {len(wanted)}, refused {refused}, longest pause {self.pause():.1f} s")


@pytest.fixture(scope="module")
def servers(fleet):
    """All hosts."""
    return [Server(*one) for one in fleet]


@pytest.fixture
def whole(servers, eventually):
    """The master and the others, once all are there and follow it: whole()."""

    def ask():
        def found():
            masters = [one for one in servers if one.about().get("role") == "master"]
            if len(masters) != 1:
                return None
            about = masters[0].about()
            online = sum("state=online" in value for value in about.values())
            known = {(one.sentinel().get("ip"), one.sentinel().get("num-other-sentinels")) for one in servers}
            return masters[0] if online == 2 and known == {(masters[0].address, "2")} else None

        master = eventually(found, seconds=90)
        assert master, [(one.about(), one.sentinel()) for one in servers]
        return master, [one for one in servers if one is not master]

    return ask


def cut(master, others, verb):
    """Let a host and others not hear each other any more, or again."""
    for one in others:
        master.host.check_output(f"ip route {verb} blackhole {one.address}")


# What becomes of the master, and what makes it well again. Whether another one takes over.
FAULTS = {
    "is killed, and back at once": (
        lambda master, others: master.host.check_output("systemctl kill --signal=KILL redis-server"),
        lambda master, others: None,
        False,
    ),
    "is killed": (
        lambda master, others: master.host.check_output(
            "systemctl kill --signal=KILL redis-server; systemctl stop redis-server"
        ),
        lambda master, others: master.host.check_output("systemctl start redis-server"),
        True,
    ),
    "loses its power": (
        lambda master, others: podman("kill", master.container),
        lambda master, others: podman("start", master.container),
        True,
    ),
    "is cut off": (
        lambda master, others: cut(master, others, "add"),
        lambda master, others: cut(master, others, "del"),
        True,
    ),
    "hangs": (
        lambda master, others: master.host.check_output("systemctl kill --signal=STOP redis-server"),
        lambda master, others: master.host.check_output("systemctl kill --signal=CONT redis-server"),
        True,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_accepted_reaches_everybody_though_the_master(servers, whole, eventually, fault):
    harm, mend, changes = FAULTS[fault]
    master, others = whole()
    with Load(servers) as load:
        assert eventually(lambda: len(load.accepted()) > 20)
        harm(master, others)
        since = time.monotonic()
        try:
            if changes:
                assert eventually(
                    lambda: others[0].sentinel().get("ip") in [one.address for one in others], seconds=60
                )
            else:
                time.sleep(3)
            assert eventually(lambda: len(load.accepted(since + 1)) > 20, seconds=60)
            if fault == "is cut off":
                # Who visits the host that is cut off is told that nothing is sent.
                lonely = next(one for one in load.writers if one.server is master)
                assert [one for one in lonely.accepted if one[0] > since + 5] == []
        finally:
            mend(master, others)
        whole()
        since = time.monotonic()
        assert eventually(lambda: all(one.accepted[-1][0] > since for one in load.writers), seconds=60)
    load.check()
    assert load.pause() < 20


def test_a_run_leaves_the_master_that_there_is(servers, whole, playbook):
    master, _others = whole()
    code, output = playbook("playbooks/redis.yml")
    assert code == 0
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}
    assert whole()[0] is master


def test_a_restart_by_the_role_takes_one_host_at_a_time_and_loses_nothing(
    servers, whole, playbook, eventually
):
    master, others = whole()
    for one in servers:
        # As if it had changed.
        one.host.check_output("touch /etc/systemd/system/redis-server.service.d/tornadoes.conf")
    before = {one.container: one.host.check_output("pidof redis-server") for one in servers}
    with Load(servers) as load:
        assert eventually(lambda: len(load.accepted()) > 20)
        code, output = playbook("playbooks/redis.yml")
        assert code == 0
        whole()
        since = time.monotonic()
        assert eventually(lambda: all(one.accepted[-1][0] > since for one in load.writers), seconds=60)
    assert all(one.host.check_output("pidof redis-server") != before[one.container] for one in servers)
    # The master last, and another one in its place before.
    assert output.index(f"changed: [{others[0].container}]") < output.index(f"changed: [{master.container}]")
    assert whole()[0] is not master
    load.check()
    assert load.pause() < 15


def settled(load, eventually):
    """Wait until all that write are answered again."""
    since = time.monotonic()
    assert eventually(lambda: all(one.accepted[-1][0] > since for one in load.writers), seconds=60)


def changed(output):
    """How much a run has changed on its hosts."""
    return set(re.findall(r"changed=(\d+)", output))


@pytest.mark.long
def test_a_new_password_of_replication_loses_nothing(servers, whole, playbook, eventually):
    master, _others = whole()
    password = ["-e", "redis_server_replication_password=another-one-between-these-hosts"]
    try:
        with Load(servers) as load:
            assert eventually(lambda: len(load.accepted()) > 20)
            code, _output = playbook("playbooks/redis.yml", *password)
            assert code == 0
            settled(load, eventually)
        load.check()
        assert load.pause() < 5
        assert whole()[0] is master
        assert changed(playbook("playbooks/redis.yml", *password)[1]) == {"0"}
        # The former one lets nobody in.
        for server in servers:
            known = server.host.check_output("grep -h 'user tornadoes-replica' /etc/redis/tornadoes*.acl")
            assert len(set(re.findall(r"#\w+", known))) == 1
    finally:
        assert playbook("playbooks/redis.yml")[0] == 0


@pytest.mark.long
def test_all_hosts_are_rebooted_and_nothing_is_lost(servers, whole, playbook, eventually):
    whole()
    names = [server.container for server in servers]
    with Restarts(*names) as restarts, Load(servers) as load:
        assert eventually(lambda: len(load.accepted()) > 20)
        code, _output = playbook("playbooks/reboot.yml", timeout=600)
        assert code == 0
        settled(load, eventually)
    assert restarts.seen == names
    load.check()
    assert load.pause() < 15
    _code, output = playbook("playbooks/status.yml")
    states = re.findall(r"(\w+) +redis +- +- +(\w+) +- +(\S+)", output)
    assert sorted(state for _host, state, _seen in states) == ["master", "replica", "replica"]
    assert {seen for _host, _state, seen in states} == {"seen-by-3-of-3"}


@pytest.mark.long
def test_a_host_that_is_away_while_users_change_comes_along_with_the_next_run(
    servers, whole, playbook, eventually
):
    master, others = whole()
    words = ["-e", "password=another-that-is-no-secret", "-e", "tornado_app_max_unreachable=1"]
    try:
        with Load(servers) as load:
            assert eventually(lambda: len(load.accepted()) > 20)
            podman("kill", master.container)
            try:
                code, output = playbook("site.yml", *words)
                assert code == 4, "Ansible's own word for a host that was not reached"
                assert f"Not reached in this run: hello is as it was on {master.container}." in output
                assert eventually(lambda: others[0].sentinel().get("ip") != master.address)
            finally:
                podman("start", master.container)
            whole()
            assert playbook("site.yml", *words)[0] == 0
            settled(load, eventually)
        load.check()
        assert changed(playbook("site.yml", *words)[1]) == {"0"}
    finally:
        assert playbook("site.yml")[0] == 0


def inventory(path, **hosts):
    """An inventory beside the scenario's: names of hosts to variables."""
    path.write_text(yaml.safe_dump({"redis_server": {"hosts": hosts}}))
    return path


@pytest.mark.long
def test_three_become_one_and_one_becomes_three(servers, whole, playbook, eventually, scenario, tmp_path):
    master, others = whole()
    stays, gone = others[0], [master, others[1]]
    absent = {"redis_server_state": "absent"}
    half = inventory(tmp_path / "half.yml", **{master.container: absent})
    one = inventory(
        tmp_path / "one.yml",
        **{server.container: absent for server in gone},
        **{stays.container: {"redis_server_replication_password": ""}},
    )
    arguments = {"tornado_app_arguments": [f"--redis=redis://hello@{stays.address}:6379"]}
    with Load(servers) as load:
        assert eventually(lambda: len(load.accepted()) > 20)
        code, output = playbook("site.yml", inventory=[scenario / "hosts.yml", half])
        assert code == 2
        assert "redis_server_replication_password: the group redis_server has 2 hosts" in output
        assert changed(output) == {"0"}
        assert whole()[0] is master
        words = ["-e", json.dumps(arguments)]
        assert playbook("site.yml", *words, inventory=[scenario / "hosts.yml", one])[0] == 0
        settled(load, eventually)
        code, output = playbook("site.yml")
        assert code == 2
        assert "each have data of their own" in output
        for server in gone:
            server.host.check_output("find /var/lib/redis -mindepth 1 -delete")
        assert playbook("site.yml")[0] == 0
        assert whole()[0] is stays
        settled(load, eventually)
    load.check()


@pytest.mark.long
@pytest.mark.parametrize("moment", ["Swap the configuration on the other hosts", "Let Sentinel say"])
def test_a_first_run_that_is_killed_is_finished_by_the_next(
    servers, whole, playbook, scenario, tmp_path, moment
):
    gone = inventory(
        tmp_path / "gone.yml", **{one.container: {"redis_server_state": "absent"} for one in servers}
    )
    assert playbook("playbooks/redis.yml", inventory=[scenario / "hosts.yml", gone])[0] == 0
    for one in servers:
        one.host.check_output("find /var/lib/redis -mindepth 1 -delete")
    sources = [f"--inventory={one}" for one in (scenario / "hosts.yml", ROOT / "molecule/shared/inventory")]
    run = subprocess.Popen(
        ["ansible-playbook", *sources, "playbooks/redis.yml"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert any(moment in line for line in run.stdout)
    # One of three has it by then, or half of it.
    time.sleep(1)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert playbook("playbooks/redis.yml")[0] == 0
    whole()
    assert changed(playbook("playbooks/redis.yml")[1]) == {"0"}


def test_no_password_shows(servers):
    for server in servers:
        said = "ps -eo args; journalctl --no-pager --unit=redis-server --unit=redis-sentinel"
        secret = server.host.check_output("sed -n 's/^masterauth //p' /etc/redis/tornadoes.conf")
        assert len(secret) == 64
        for password in (secret, "not-a-secret-between-these-hosts", "not-a-secret-to-anybody"):
            assert password not in server.host.check_output(said)
        find = f"find / -xdev -type f -perm /o+r -not -path '/proc/*' -exec grep -ls {secret} {{}} +"
        assert server.host.run(find).stdout == ""
        inside = server.host.check_output("stat --format=%a,%U /var/lib/redis-sentinel")
        assert inside == "700,redis"
