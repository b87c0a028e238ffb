"""An absent app is removed, whatever its program has done against that."""

import pytest
from hostile_app import CONTROL, PORTS

VICTIM = "stat --format '%U %a %n' /srv/victim /srv/victim/private /etc/shadow /etc/passwd"
# The tests below end without the app, but for the last.
GONE = True

# Whatever a process can leave for who gets its account's number next.
LEAVE = """
def stay():
    for number in range(1, 32):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    time.sleep(300)

for _time in range(5):
    orphan(stay)
for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/lib/tornado-hostile"):
    with contextlib.suppress(OSError), open(f"{folder}/left-behind", "w") as file:
        file.write("x")
for what in (
    lambda: call("shmget", 0x6c656674, 4096, 0o1666), lambda: call("semget", 0x6c656674, 1, 0o1666),
    lambda: call("msgget", 0x6c656674, 0o1666), lambda: call("mq_open", b"/left", 66, 0o666, None),
):
    with contextlib.suppress(OSError):
        what()
"""


@pytest.fixture(scope="module")
def removed(hole, hostile, host, plant):
    """The app's number, the host's own files before, and the run that removed the app."""
    uid = host.check_output("id --user tornado-hostile")
    before = host.check_output(VICTIM)
    hostile.open_hole()
    plant(PORTS[1])
    for port in PORTS:
        hole(LEAVE, port)
    return uid, before, hostile.run("prune", state="absent")


def test_an_app_that_shall_be_absent_is_gone(removed, hostile, host):
    _uid, before, (code, output) = removed
    assert code == 0
    assert CONTROL.search(output) is None
    assert host.check_output(VICTIM) == before
    assert host.run("getent passwd tornado-hostile").rc != 0
    assert host.run("systemctl list-units --all --plain --no-legend 'tornado-hostile*'").stdout == ""
    assert host.run("ls -d /srv/hostile /run/tornado-hostile /var/cache/tornado-hostile").stdout == ""


def test_nothing_is_left_for_who_gets_its_number_next(removed, host):
    uid = removed[0]
    assert host.run(f"ps --user {uid} -o pid=,args=").stdout == ""
    assert host.run("ipcs --shmems --semaphores --queues | grep 6c656674").stdout == ""
    # What the app kept is root's now, and nobody else comes in there.
    kept = "/var/lib/tornado-hostile"
    assert host.check_output(f"stat --format '%U %a' {kept}") == "root 700"
    everywhere = "find / /run /run/lock /dev/shm /dev/mqueue /tmp -xdev -path /proc -prune -o"
    assert host.run(f"{everywhere} -path {kept} -prune -o -uid {uid} -print").stdout == ""


def test_a_second_removal_finds_nothing_to_do(removed, hostile):
    code, output = hostile.run("prune", state="absent")
    assert code == 0
    assert "changed=0" in output


def test_what_it_kept_is_given_back_and_nothing_of_root_s_with_it(removed, eventually, hostile, host):
    hostile.write(hole=False)
    assert hostile.run("deploy")[0] == 0
    assert eventually(hostile.is_well)
    assert set(hostile.versions().values()) == {hostile.version}
    assert hostile.nothing_else_runs()
    assert host.check_output(VICTIM.replace(" /etc/passwd", "")) == removed[1].rpartition("\n")[0]
    found = host.file("/var/lib/tornado-hostile/left-behind")
    assert (found.user, found.content_string) == ("tornado-hostile", "x")
