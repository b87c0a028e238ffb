"""What a program that an attacker has taken over can do to its keeper, and to its clients."""

import os
import re

import pytest
from hostile_app import CONTROL, PORTS


@pytest.fixture
def told_the_truth(eventually, hostile, host):
    """Afterwards the keepers are the same processes, and what they tell root is true."""
    keepers = hostile.keepers()
    assert 0 not in keepers.values()
    current = host.check_output("basename $(readlink /srv/hostile/current)")
    yield
    assert hostile.keepers() == keepers
    assert eventually(hostile.nothing_else_runs)
    ports = hostile.status()["ports"]
    assert {port: (one["release"], one["state"]) for port, one in ports.items()} == {
        str(port): (current, "serving") for port in PORTS
    }
    assert CONTROL.search(host.check_output("tornado-hostile-status")) is None


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP", pytest.param("SIGTERM", marks=pytest.mark.long)])
@pytest.mark.usefixtures("told_the_truth")
def test_a_keeper_outlives_all_signals_that_a_program_can_send(attack, eventually, hostile, number):
    # To whomever it may signal, but for itself.
    attack(f"os.kill(-1, signal.{number})", dies=True)
    assert eventually(hostile.is_well)


# What could be wrong with a word: its form, its types, what is missing or too much in it.
WORDS = {
    "nothing": [b""],
    "not JSON": [b"{", b"\xff\xfe\x00", b"'is'", b"[" * 60000, b'{"is": "known"' * 100],
    "not an object": [b"[]", b"null", b"1", b'"is"', b"NaN", b"1e999", b"true", b"-" + b"9" * 5000],
    "no word": [b"{}", b'{"is": null}', b'{"is": []}', b'{"is": {"is": "is"}}', b'{"is": "stop"}'],
    "half a word": [
        b'{"is": "known"}',
        b'{"is": "wants"}',
        b'{"is": "refused"}',
        b'{"is": "wants", "port": 1}',
    ],
    "wrong types": [
        b'{"is": "listening", "load": "full"}',
        b'{"is": "alive", "load": {"requests": [[]], "connections": {"a": -1}}}',
        b'{"is": "alive", "load": {"%s": 1}}' % (b"\\u00e9" * 9000),
        b'{"is": "alive", "load": {"requests": -1}}',
        b'{"is": "known", "draining": "x", "retiring": {}}',
        b'{"is": "wants", "address": 5, "port": "x"}',
        b'{"is": "wants", "address": "127.0.0.1", "port": -1}',
        b'{"is": "wants", "address": "\\u0000", "port": 9999999}',
        b'{"is": "wants", "address": "../../etc", "port": 8009}',
        b'{"is": "refused", "reason": {"a": 1}}',
    ],
    "escapes": [
        b'{"is": "alive", "load": {"requests": "\\u001b]0;owned\\u0007", "connections": "\\u009b2J"}}',
        b'{"is": "refused", "reason": "\\u001b[2J\\u001b[H all is well"}',
    ],
    "ports of others": [
        b'{"is": "wants", "address": "127.0.0.1", "port": %d}' % port for port in (22, 80, 443, 8100, 27443)
    ],
}


# The keeper's own tests say the others in each run.
@pytest.mark.parametrize("kind", WORDS if os.environ.get("TORNADOES_LONG") else list(WORDS)[-4:])
@pytest.mark.usefixtures("told_the_truth")
def test_no_word_ends_or_misleads_a_keeper(attack, eventually, hostile, kind):
    code = """
ours = channels()
for word in words:
    for channel in ours:
        with contextlib.suppress(OSError):
            channel.settimeout(1)
            channel.send(word)
time.sleep(1)
"""
    attack(code, dies=True, words=WORDS[kind])
    assert eventually(hostile.is_well)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(b'{"is": "alive"}', marks=pytest.mark.long),
        pytest.param(b"x" * 60000, marks=pytest.mark.long),
        b'{"is": "refused", "reason": "' + b"x" * 60000 + b'"}',
    ],
    ids=["small", "large", "large and valid"],
)
@pytest.mark.usefixtures("told_the_truth")
def test_words_without_end_keep_a_keeper_from_nothing(attack, eventually, hostile, word):
    code = """
def talk():
    end = time.monotonic() + 15
    while time.monotonic() < end:
        for channel in ours:
            with contextlib.suppress(OSError):
                channel.send(word, socket.MSG_DONTWAIT)
ours = channels()
orphan(talk)
time.sleep(1)
"""
    attack(code, dies=True, word=word)
    # Meanwhile it answers, within the time that whoever asks has.
    assert hostile.status()["ports"]["8000"]["state"] in ("serving", "waiting", "failing")
    assert eventually(hostile.is_well)


@pytest.mark.usefixtures("told_the_truth")
def test_descriptors_without_end_fill_no_keeper(attack, hostile, host):
    code = """
null = os.open("/dev/null", os.O_RDONLY)
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * 250))]
ours = channels()
for _time in range(40):
    for channel in ours:
        with contextlib.suppress(OSError):
            channel.sendmsg([b'{"is": "alive"}'], rights, socket.MSG_DONTWAIT)
    time.sleep(0.02)
time.sleep(1)
"""
    attack(code, dies=True)
    assert int(host.check_output(f"ls /proc/{hostile.keepers()[8000]}/fd | wc -l")) < 200


@pytest.mark.usefixtures("told_the_truth")
def test_ports_without_end_are_not_opened_for_a_program(attack, eventually, hostile, host):
    code = """
ours = channels()
for port in range(20000, 22000):
    for channel in ours:
        with contextlib.suppress(OSError):
            channel.settimeout(0.05)
            channel.send(b'{"is": "wants", "address": "127.0.0.1", "port": %d}' % port)
            channel.recvmsg(4096, 1024)
"""
    attack(code, dies=True, patience=60)
    opened = "ss --no-header --listening --tcp --numeric 'sport >= :20000 and sport < :22000' | wc -l"
    assert int(host.check_output(opened)) < 100
    assert eventually(hostile.is_well)


PRETEND = """
lie = {"ok": True, "release": "fake", "state": "serving", "since": 0, "load": {}, "restarts": 0,
       "pid": "../var/lib/tornado-hostile/fifo", "refused": "\\x1b[2J", "draining": [], "drains": []}

def answer(listener):
    listener.settimeout(60)
    while True:
        channel = listener.accept()[0]
        channel.recv(65536)
        channel.send(json.dumps(lie).encode())

with contextlib.suppress(OSError):
    os.mkfifo("/var/lib/tornado-hostile/fifo")
for pid in keepers:
    with contextlib.suppress(OSError):
        os.kill(pid, how)
for path in paths:
    try:
        os.rename(path, path + ".real")
        if neighbour:
            os.symlink(neighbour, path)
        else:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(path)
            listener.listen(8)
            orphan(lambda: answer(listener))
    except OSError:
        continue
    print(path)
"""


@pytest.mark.parametrize("how", [0, 9], ids=["while it lives", "after its end"])
@pytest.mark.parametrize("neighbour", [False, True], ids=["a socket", "a link to another's"])
def test_nobody_speaks_in_a_keeper_s_place(attack, eventually, hostile, host, how, neighbour):
    paths = host.check_output("find /run/tornado-hostile -type s").split()
    other = host.check_output("find /run/tornado-neighbour -type s | head -n 1") if neighbour else ""
    assert paths
    try:
        said = attack(
            PRETEND, keepers=sorted(hostile.keepers().values()), paths=paths, how=how, neighbour=other
        )
        assert "fake" not in host.check_output("timeout 20 tornado-hostile-status --json")
        # A stop is told to the keeper of that port, and to no other.
        port = 8001 if how else 8002
        assert host.run(f"timeout 60 systemctl stop tornado-hostile@{port}.socket").rc == 0
        assert host.run(f"timeout 60 systemctl start tornado-hostile@{port}.service").rc == 0
        assert said == ""
        assert eventually(hostile.nothing_else_runs)
    finally:
        host.run(
            "for one in /run/tornado-hostile/*.real; do test -e $one && rm --force ${one%.real} $one; done"
        )
        restart = "timeout 60 systemctl restart 'tornado-hostile@*.service'"
        host.run(f"test -e /run/tornado-hostile/8000.sock || {restart}")


@pytest.mark.usefixtures("told_the_truth")
def test_systemd_believes_nothing_that_a_program_says_of_its_service(attack, host, hostile):
    def state():
        keys = "Id,ActiveState,SubState,MainPID,NRestarts,StatusText,NFileDescriptorStore,TimeoutStartUSec"
        shown = host.check_output(f"systemctl show --property={keys} 'tornado-hostile@8000.service'")
        status = host.run(
            "SYSTEMD_COLORS=0 systemctl --no-pager --lines=0 --full status 'tornado-hostile*'"
        ).stdout
        assert CONTROL.search(status) is None
        return shown

    before = state()
    code = """
def unit(pid):
    return open(f"/proc/{pid}/cgroup").read()

for word in (
    "STATUS=\\x1b]0;owned\\x07\\u202egood",
    "STATUS=all is well",
    "MAINPID=%d" % os.getpid(),
    "MAINPID=%d" % neighbour,
    "MAINPID=1",
    "READY=1",
    "STOPPING=1",
    "RELOADING=1\\nMONOTONIC_USEC=1",
    "WATCHDOG=trigger",
    "WATCHDOG_USEC=1",
    "ERRNO=5",
    "BUSERROR=x",
    "EXTEND_TIMEOUT_USEC=999999999",
    "RESTART_RESET=1",
    "FDSTOREREMOVE=1\\nFDNAME=%s" % name,
    "FDSTORE=1\\nFDNAME=port-22-127.0.0.1",
):
    rights = []
    if "FDSTORE=" in word:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [socket.socketpair()[0].fileno()]))]
    for path in {os.environ.get("NOTIFY_SOCKET", "/run/systemd/notify"), "/run/systemd/notify"}:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, contextlib.suppress(OSError):
            one.sendmsg([word.encode()], rights, 0, path)
time.sleep(1)
"""
    pid = int(host.check_output("systemctl show --property=MainPID --value tornado-neighbour@8100.service"))
    store = host.run("systemd-analyze fdstore tornado-hostile@8000.service 2> /dev/null").stdout
    names = re.findall(r"^(child-\S+)", store, re.MULTILINE)
    attack(code, neighbour=pid, name=names[0] if names else "child-1-1-x")
    assert state() == before
