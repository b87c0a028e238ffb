"""The app on two hosts: who visits one hears who visits the other."""

import shutil
import threading
import time

import pytest
from client import Client, Site
from visitor import READERS, ROOT


class Server(Site):
    """One of the hosts, through its own nginx and TLS."""

    def __init__(self, name, variables, host):
        super().__init__(Client(*variables["test_host_ports"], str(ROOT / ".cache" / f"{name}-ca.crt")))
        self.host = host


@pytest.fixture(scope="module")
def servers(fleet):
    """Both hosts."""
    return [Server(*one) for one in fleet]


def test_a_message_reaches_all_ports_of_all_hosts(servers):
    readers = [kind(server) for server in servers for kind in READERS.values() for _reader in range(2)]
    texts = [f"{number} 你好" for number in range(20)]
    for number, text in enumerate(texts):
        assert servers[number % 2].say(text)[0] == 201
    for reader in readers:
        assert reader.texts(len(texts)) == texts


def test_each_host_counts_the_visitors_of_both(servers):
    readers = [READERS["ws"](server) for server in servers for _reader in range(3)]
    for reader in readers:
        assert next(found for found in iter(reader.next, None) if found["here"]["connected"] >= 6)


def test_a_deploy_to_both_loses_no_message_and_doubles_none(servers, playbook, tmp_path):
    shutil.copytree(ROOT / "app", tmp_path / "app")
    (tmp_path / "app/static/version.txt").write_text(f"another release, {time.time()}")
    readers = [kind(server, returns=True) for server in servers for kind in READERS.values()]
    accepted, refused, done = [], [], threading.Event()

    def write():
        while not done.wait(0.25):
            text = f"message {len(accepted) + 1}"
            status, answer = servers[len(accepted) % 2].say(text)
            if status == 201:
                accepted.append(text)
            else:
                refused.append((status, answer))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        code, _output = playbook("playbooks/deploy.yml", "-e", f"tornado_app_source={tmp_path}/app")
        time.sleep(3)
    finally:
        done.set()
        writer.join()
    assert code == 0
    assert refused == []
    assert len(accepted) > 20
    for reader in readers:
        releases, texts = set(), []
        while len(texts) < len(accepted):
            found = reader.next()
            assert "reset" not in found
            releases.add(found["here"]["release"])
            texts += [one["text"] for one in found["messages"]]
        assert texts == accepted
        assert len(releases) == 2


def test_redis_lets_nobody_in_without_the_password_from_the_other_host_either(servers):
    ask = (
        "import socket; s = socket.create_connection(('10.98.34.11', 6379), 5); s.sendall(b'GET x\\r\\n'); "
        "print(s.recv(99).decode())"
    )
    assert "NOAUTH" in servers[1].host.check_output(f'python3 -c "{ask}"')


def test_one_host_goes_on_without_the_other(servers, eventually):
    one, two = servers
    one.host.check_output("systemctl stop nginx tornado-hello.target")
    try:
        assert two.say("alone")[0] == 201
        assert two.ask("/")[2].decode() == "Hello, friendly user!"
    finally:
        one.host.check_output("systemctl start tornado-hello.target nginx")
    assert eventually(lambda: one.say("together again", key="together-again")[0] == 201)
