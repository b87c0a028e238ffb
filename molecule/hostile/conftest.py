"""The hole, who uses it, and how an app on the host can tell that nothing has happened to it."""

import base64
import contextlib
import json
import re
import time
from pathlib import Path

import pytest
from hostile_app import PORTS, PRELUDE, Hostile


@pytest.fixture(scope="session")
def hole(host):
    """Run Python in the program on a port, with all its rights: what it printed.

    patience: seconds. dies: whether the process may end under it. Else an attack that breaks by
    itself proves nothing. words: names that the code finds set.
    """

    def run(code, port=PORTS[0], patience=20, dies=False, **words):
        given = "".join(f"{name} = {value!r}\n" for name, value in words.items())
        packed = base64.b64encode((PRELUDE + given + code).encode()).decode()
        ask = f"curl --silent --max-time {patience} --data-binary @- http://127.0.0.1:{port}/hole"
        answer = host.run(f"echo {packed} | base64 --decode | {ask}").stdout
        if dies and not answer:
            return ""
        assert answer, f"port {port} gave no answer to an attack that ends"
        found = json.loads(answer)
        assert found.get("problem") == "", found
        print(found["said"])
        return found["said"]

    return run


@pytest.fixture
def attack(hole, hostile):
    """The same, where the release with the hole is what runs; it is deployed if need be."""
    hostile.open_hole()
    return hole


@pytest.fixture(scope="session")
def on_host(host):
    """Run Python on the host as root, from a file that says what it does: what it printed."""

    def run(code, user="root", **words):
        given = "".join(f"{name} = {value!r}\n" for name, value in words.items())
        packed = base64.b64encode((given + code).encode()).decode()
        return host.check_output(
            f"echo {packed} | base64 --decode | runuser --user {user} -- python3 -I - 2>&1 || true"
        )

    return run


@pytest.fixture(scope="session")
def hostile(scenario, playbook, host):
    """The app with the hole."""
    return Hostile(scenario, playbook, host)


@pytest.fixture(scope="session")
def plant(hole):
    """Put what could stop or mislead root into every folder that the program can write."""

    def put(port=PORTS[0]):
        hole((Path(__file__).parent / "plant.py").read_text(), port)

    return put


@pytest.fixture(scope="session")
def secrets(host):
    """Files and folders of others that say by their modes that they are private: two lists."""
    where = "find / /run /dev/shm -xdev \\( -path /proc -o -path /sys -o -path /var/cache/apt \\) -prune -o"
    others = "! -user tornado-hostile ! -group tornado-hostile"
    files = host.check_output(f"{where} -type f ! -perm -004 {others} -print").splitlines()
    folders = host.check_output(f"{where} -type d ! -perm -001 ! -perm -004 {others} -print").splitlines()
    return files, folders


@pytest.fixture(scope="session")
def diary():
    """What the tests did, when: the load has moments, too."""
    return []


@pytest.fixture(scope="session", autouse=True)
def crowd(load):
    """Visitors of the neighbour, few and steady, from the first attack to the last test."""
    words = ["--rate", "10", "--slow-posts", "0", "--download", "0", "--polls", "0", "--new", "2"]
    with contextlib.ExitStack() as visit:
        running = visit.enter_context(load(*words, "--websockets", "4"))
        running.leave = visit.close
        yield running


@pytest.fixture(autouse=True)
def neighbour_notices_nothing(diary, request, host):
    """The other app has the processes that it had, and none of its units has been touched."""

    def look():
        units = "tornado-neighbour@8100.service tornado-neighbour@8101.service nginx.service"
        shown = host.check_output(
            f"systemctl show --property=Id,MainPID,ActiveState,NRestarts,StatusText {units}"
        )
        return shown, host.check_output("ps --user tornado-neighbour -o pid=,lstart=,stat=,args=")

    def settled():
        # Whether a process is just running is no difference.
        units, processes = look()
        return units, re.sub(r"(?m)(?<=\d{4} )([RSDI])\S*", "", processes)

    before = settled()
    diary.append((time.time(), request.node.name))
    yield
    assert settled() == before


@pytest.fixture(autouse=True)
def hostile_comes_back(request, eventually, hostile, host):
    """However it was attacked, the app's own ports answer afterwards; the next attack needs them."""
    yield
    if getattr(request.module, "GONE", False):
        return
    if "fixed" not in request.fixturenames:
        # Each attack begins with a host on which no other goes on, whatever the status says.
        with contextlib.suppress(AssertionError):
            hostile.end(hostile.processes() - hostile.served_by())
    well = eventually(hostile.is_well, seconds=20)
    if not well:
        print(
            host.run(
                "systemctl list-units --all 'tornado-hostile*'; timeout 10 tornado-hostile-status"
            ).stdout
        )
        host.run("timeout 60 systemctl stop tornado-hostile.target 'tornado-hostile@*'")
        host.run(
            "pkill --signal KILL --uid tornado-hostile; sleep 1; systemctl reset-failed 'tornado-hostile*'"
        )
        host.run("find /var/cache/tornado-hostile -maxdepth 1 -type l -delete")
        host.run("timeout 60 systemctl start tornado-hostile.target")
        eventually(hostile.is_well)
    assert well
