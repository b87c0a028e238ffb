"""One message, all ports, both Tornados: what was accepted reaches everybody, once."""

import contextlib
import json
import shutil
import threading
import time

import pytest
from visitor import READERS, ROOT

SITES = pytest.mark.parametrize("name", ["localhost", "old.example.org"])


def crowd(site, returns=False):
    """Four readers of each kind, on whatever ports nginx gives them."""
    return [kind(site, returns=returns) for kind in READERS.values() for _reader in range(4)]


@SITES
def test_each_app_runs_on_its_tornado(host, name):
    app, version = ("hello", "6.6.1") if name == "localhost" else ("old", "3.1.1")
    python = f"/srv/{app}/current/.release/venv/bin/python"
    assert host.check_output(f"{python} -c 'import tornado; print(tornado.version)'") == version


@SITES
def test_a_message_reaches_all_ports(site, name):
    readers = crowd(site(name))
    ports = set()
    texts = [f"{number} 你好" for number in range(30)]
    for text in texts:
        assert site(name).say(text)[0] == 201
        time.sleep(0.15)  # one address may say 5 a second and 20 at once to each port: nginx may choose one
    for reader in readers:
        found, got = [], None
        while len(found) < len(texts):
            got = reader.next()
            found += [one["text"] for one in got["messages"]]
        ports.add(got["here"]["port"])
        assert found == texts
    assert len(ports) == 2


def test_the_apps_hear_nothing_of_each_other(site):
    reader = READERS["ws"](site("old.example.org"))
    site().say("for one of them")
    assert reader.quiet()


@SITES
def test_all_ports_know_how_many_are_here(site, name):
    readers = [READERS["ws"](site(name)) for _reader in range(6)]
    for reader in readers:
        assert next(found for found in iter(reader.next, None) if found["here"]["connected"] >= 6)


class Writer(threading.Thread):
    """Writes messages, four a second, until it is stopped: as many as one address may."""

    def __init__(self, site):
        threading.Thread.__init__(self)
        self.site, self.stopped = site, threading.Event()
        self.accepted, self.refused = [], []

    def run(self):
        while not self.stopped.wait(0.25):
            text = f"message {len(self.accepted) + 1}"
            status, answer = self.site.say(text)
            if status == 201:
                self.accepted.append(text)
            else:
                self.refused.append((status, answer))

    def stop(self):
        self.stopped.set()
        self.join()


@SITES
def test_a_deploy_loses_no_message_and_doubles_none(site, name, playbook, window, eventually, tmp_path):
    app = "hello" if name == "localhost" else "old"
    shutil.copytree(ROOT / "app", tmp_path / "app")
    (tmp_path / "app/static/version.txt").write_text(f"another release, {time.time()}")
    pages = [window(name), window(name)]
    pages[1].choose("events")
    for page, title in zip(pages, ("WebSocket", "Server-Sent Events"), strict=True):
        assert eventually(lambda page=page, title=title: page.read("transport") == title)
    shown = len(pages[0].texts())
    readers = crowd(site(name), returns=True)
    before = pages[0].read("release")
    writer = Writer(site(name))
    writer.start()
    try:
        words = ["-e", f"tornado_app_name={app}", "-e", f"tornado_app_source={tmp_path}/app"]
        code, _output = playbook("playbooks/deploy.yml", *words)
        time.sleep(3)
    finally:
        writer.stop()
    assert code == 0
    assert writer.refused == []
    assert len(writer.accepted) > 20
    for reader in readers:
        releases, texts = set(), []
        while len(texts) < len(writer.accepted):
            found = reader.next()
            assert "reset" not in found
            releases.add(found["here"]["release"])
            texts += [one["text"] for one in found["messages"]]
        assert texts == writer.accepted
        assert len(releases) == 2
    # What people see: a short "reconnecting", then the other release, and all messages once.
    for page in pages:
        assert eventually(lambda page=page: page.texts()[shown:] == writer.accepted)
        assert page.read("state") == "connected"
        assert page.read("release") != before
        assert page.complaints() == []


@contextlib.contextmanager
def redis(host, away, back):
    host.check_output(away)
    try:
        yield
    finally:
        host.check_output(back)


AWAY = {
    "stopped": ("systemctl stop redis-server", "systemctl start redis-server"),
    # Killed, and kept from coming back at once.
    "killed": (
        "systemctl kill --signal=KILL redis-server; systemctl stop redis-server",
        "systemctl start redis-server",
    ),
    # Nothing is refused: nobody answers.
    "hanging": (
        "systemctl kill --signal=STOP redis-server",
        "systemctl kill --signal=CONT redis-server",
    ),
}


@SITES
@pytest.mark.parametrize("how", AWAY)
def test_without_redis_the_site_stays_up_and_says_what_it_can_not(site, name, host, how, eventually):
    here = site(name)
    readers = [kind(here, returns=True) for kind in READERS.values()]
    assert here.say("before")[0] == 201
    with redis(host, *AWAY[how]):
        begin = time.monotonic()
        for number in range(5):
            status, answer = here.say(f"meanwhile {number}")
            assert status == 503
            assert "can't be accepted" in answer["refused"]
        assert time.monotonic() - begin < 20
        # Pages, readiness and the connections that are open.
        for target in ("/", "/healthz", "/readyz", "/live"):
            assert here.ask(target)[0] == 200
        assert eventually(lambda: json.loads(here.ask("/messages?after=")[2])["here"]["away"])
    assert eventually(lambda: here.say("after", key=f"after-{name}-{how}")[0] == 201)
    for reader in readers:
        # What was refused was not kept for later, what was accepted is there once.
        assert reader.texts(2) == ["before", "after"]
        assert reader.quiet()


def test_a_release_that_starts_without_redis_is_let_in_and_recovers(
    site, host, playbook, eventually, tmp_path
):
    shutil.copytree(ROOT / "app", tmp_path / "app")
    (tmp_path / "app/static/version.txt").write_text(f"a third release, {time.time()}")
    with redis(host, *AWAY["stopped"]):
        words = ["-e", "tornado_app_name=hello", "-e", f"tornado_app_source={tmp_path}/app"]
        assert playbook("playbooks/deploy.yml", *words)[0] == 0
        assert site().say("meanwhile")[0] == 503
    assert eventually(lambda: site().say("after", key="after-the-third")[0] == 201)


def test_what_was_said_outlives_redis(site, host, eventually):
    # The test before this one may have left a port that has yet to notice that Redis is back.
    assert eventually(
        lambda: not any(json.loads(site().ask("/messages")[2])["here"]["away"] for _ in range(8))
    )
    begin = site().say("before that")[1]["id"]
    site().say("to be kept")
    host.check_output("systemctl kill --signal=KILL redis-server")
    assert eventually(lambda: site().say("afterwards", key="afterwards")[0] == 201)
    for kind in READERS.values():
        assert kind(site(), begin).texts(2) == ["to be kept", "afterwards"]


def test_the_password_shows_nowhere(host):
    password = "not-a-secret-to-anybody"
    for command in ("ps -eo args", "journalctl --no-pager --unit='tornado-*' --unit=redis-server"):
        assert password not in host.run(command).stdout
    readable = host.run(f"find /etc /srv -xdev -type f -perm /o+r -exec grep -ls {password} {{}} +").stdout
    assert readable == ""
