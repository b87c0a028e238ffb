"""What another user of the host, who has nothing to do with the apps, can do to them and learn about them."""

from hostile_app import PORTS

MARKS = ["secret-of-hostile", "setting-of-hostile", "dotenv-of-hostile", "secret-of-neighbour"]

HOLD = """
import fcntl, os, sys, time
held = []
for top in ("/run", "/srv", "/var/lock", "/tmp", "/etc/systemd/system", "/var/lib"):
    for folder, _folders, files in os.walk(top):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(fd)
            except OSError:
                pass
time.sleep(60)
"""

SEARCH = """
import os, stat
for top in ("/srv", "/run", "/etc", "/var", "/tmp", "/opt", "/home", "/dev/shm", "/proc"):
    for folder, folders, files in os.walk(top):
        if folder == "/proc":
            files = []  # reading some of these waits for ever
        if top == "/proc" and folder.count("/") == 2:
            files = ["cmdline", "environ"] if folder.rpartition("/")[2].isdigit() else []
            folders.clear()
        for name in files:
            path = os.path.join(folder, name)
            try:
                if top == "/proc" or stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as file:
                        said = file.read(2**20)
                    print(*[f"{path}: {mark}" for mark in marks if mark.encode() in said], sep="\\n", end="")
            except OSError:
                pass
"""


def test_a_lock_that_somebody_holds_keeps_nobody_from_deploying(hostile, host):
    host.check_output(
        f"nohup runuser --user mallory -- python3 -c '{HOLD}' > /dev/null 2>&1 & echo $! > /run/holder"
    )
    host.run("sleep 2")
    try:
        hostile.write(hole=True)
        code, output = hostile.run("deploy")
        assert code == 0
        assert "another run" not in output
    finally:
        host.run("pkill --uid mallory; rm /run/holder")


def test_secrets_and_settings_are_nobody_else_s_to_read(on_host):
    # Root finds them, so there is something to find.
    found = on_host(SEARCH, marks=MARKS)
    assert all(mark in found for mark in MARKS)
    assert on_host(SEARCH, user="mallory", marks=MARKS) == ""


def test_who_deployed_what_and_why_it_was_refused_is_for_root_to_read(host):
    paths = [f"/srv/{app}/releases.jsonl" for app in ("hostile", "neighbour")]
    assert [host.run(f"runuser -u mallory -- cat {path}").rc for path in paths] == [1, 1]
    assert host.run(f"cat {' '.join(paths)}").rc == 0


def test_another_app_finds_none_of_them_either(attack):
    assert attack(SEARCH, marks=MARKS[3:]) == ""


def test_command_sockets_let_no_local_user_in(host, on_host):
    paths = host.check_output("find /run -path '/run/tornado-*' -type s").split()
    assert len(paths) >= len(PORTS)
    code = """
import os, socket
for path in paths:
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(path)
            print(path)
        except OSError:
            pass
"""
    assert on_host(code, user="mallory", paths=paths) == ""


def test_what_a_program_keeps_is_not_for_local_users(attack, on_host):
    attack("""
for folder in ("/var/lib", "/var/cache", "/var/log"):
    with open(f"{folder}/tornado-hostile/kept", "w") as file:
        file.write("x")
""")
    code = """
import os
for folder in ("/var/lib", "/var/cache", "/var/log"):
    for path in (f"{folder}/tornado-hostile", f"{folder}/tornado-hostile/kept"):
        if os.access(path, os.R_OK) or os.access(path, os.W_OK):
            print(path)
"""
    assert on_host(code, user="mallory") == ""
