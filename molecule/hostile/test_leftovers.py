"""What a program that somebody else has taken over leaves behind for the release that follows it."""

import json
import os

import pytest
from hostile_app import CONTROL, PORTS

# How each port is spoiled before the fixed release comes.
SPOILED = {
    "orphans accept": """
def serve(one):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    body = b'{"version": "an orphan", "port": 8000}'
    while True:
        select.select([one], [], [])
        with contextlib.suppress(OSError):
            channel = one.accept()[0]
            channel.settimeout(1)
            channel.recv(65536)
            channel.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
            channel.close()

for _time in range(10):
    orphan(lambda: serve(ours))
""",
    "shut": "ours.shutdown(socket.SHUT_RDWR)",
    "made a connection": """
nothing = struct.pack("HBBI", 6, 0, 0, 0)  # return 0: drop it
room = ctypes.create_string_buffer(nothing)
with contextlib.suppress(OSError):  # not on every kernel
    ours.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", 1, ctypes.addressof(room)))  # SO_ATTACH_FILTER
ours.setsockopt(socket.SOL_SOCKET, 44, 1)  # SO_LOCK_FILTER
ours.shutdown(socket.SHUT_RDWR)
with contextlib.suppress(BlockingIOError):
    ours.connect(("127.0.0.1", 22))
""",
    "slow and small": """
moment = struct.pack("ll", 0, 1)
for level, name, value in (
    (socket.SOL_SOCKET, socket.SO_RCVTIMEO, moment),
    (socket.SOL_SOCKET, socket.SO_SNDTIMEO, moment),
    (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
    (socket.SOL_SOCKET, socket.SO_RCVLOWAT, 2**30),
    (socket.SOL_SOCKET, 47, 1),  # SO_MAX_PACING_RATE: a byte a second
    (socket.SOL_SOCKET, socket.SO_SNDBUF, 1),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 1),
    (socket.SOL_SOCKET, socket.SO_DONTROUTE, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1),
    (socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 600),
    (socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, 1),
    (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88),
    (socket.IPPROTO_TCP, socket.TCP_CORK, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 1),
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1),
    (socket.IPPROTO_IP, socket.IP_TTL, 1),
):
    with contextlib.suppress(OSError):
        ours.setsockopt(level, name, value)
ours.listen(0)
""",
    "spoiled again and again": """
def spoil():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1)  # the hole's answer leaves first
    while True:
        with contextlib.suppress(OSError):
            ours.listen(0)
        with contextlib.suppress(OSError):
            ours.setblocking(True)
        with contextlib.suppress(OSError):
            ours.setsockopt(socket.SOL_SOCKET, 47, 1)  # SO_MAX_PACING_RATE: a byte a second
        time.sleep(0.05)

orphan(spoil)
""",
    "reached into": """
evil = "import os; open('/var/lib/tornado-hostile/ran-in-' + os.environ['TORNADO_APP_RELEASE'], 'w').close()"
home = os.environ["HOME"]
for path in (
    *(f"{home}/.local/lib/python3.{minor}/site-packages/{name}" for minor in (11, 13)
      for name in ("usercustomize.py", "sitecustomize.py", "evil.pth")),
    f"{home}/.pythonrc", f"{home}/usercustomize.py", f"{home}/sitecustomize.py",
    *(f"{folder}/{name}.py" for folder in ("/tmp", home) for name in ("site", "json", "tornado", "hole")),
):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(evil)
dead = "[global]\\nindex-url = http://127.0.0.1:9/\\n[install]\\nindex-url = http://127.0.0.1:9/\\n"
for path in (f"{home}/.config/pip/pip.conf", f"{home}/.pip/pip.conf"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(dead)

def reach(pid):
    "Write to the memory of a process, what is there already."
    for line in open(f"/proc/{pid}/maps"):
        if " rw-p " in line:
            begin = int(line.split("-")[0], 16)
            break
    with open(f"/proc/{pid}/mem", "r+b", 0) as file:
        file.seek(begin)
        bytes_there = file.read(8)
        file.seek(begin)
        file.write(bytes_there)

def inject():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    seen = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    while True:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in seen:
                with contextlib.suppress(OSError, UnboundLocalError):
                    reach(int(name))
                    seen.add(int(name))
                    with open("/var/lib/tornado-hostile/reached", "a") as file:
                        file.write(name + "\\n")
        time.sleep(0.005)

orphan(inject)
""",
}
WAYS = dict(zip(PORTS, SPOILED, strict=True))

# Asks a port as visitors do: one after the other, many at once, and for what is large.
VISIT = """
import collections, contextlib, json, socket, time, urllib.request

def ask(path, patience):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=patience) as answer:
            return answer.read()
    except OSError as problem:
        return str(problem).encode()

begun = time.monotonic()
seen = collections.Counter()
for _time in range(60):
    body = ask("/", 2)
    seen[json.loads(body).get("version") if body.startswith(b"{") else body.decode()] += 1
    if time.monotonic() - begun > 10:
        break
large = len(ask("/big", 5))
begun = time.monotonic()
crowd = []
for _time in range(100):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    crowd.append(one)
time.sleep(0.5)
connected = 0
for one in crowd:
    with contextlib.suppress(OSError):
        one.getpeername()
        connected += 1
print(json.dumps({"versions": seen, "large": large, "at once": connected}))
"""


@pytest.fixture(scope="module")
def fixed(hole, hostile, plant, host):
    """The fixed release, after all that was done to the ports: the exit code, and what the run printed."""
    hostile.open_hole()
    plant()
    for port, way in WAYS.items():
        hole(f"ours = listener({port})\n{SPOILED[way]}", port)
    hostile.write(hole=False)
    found = hostile.run("deploy", before_activation=["python -c pass"])
    # As long as the old release may drain, and then it is gone.
    host.run("sleep 10")
    return found


def test_the_fixed_release_deploys_over_all_of_it(fixed, host):
    assert fixed[0] == 0
    victim = host.check_output("stat --format '%U %a' /srv/victim /srv/victim/private /etc/shadow").split(
        "\n"
    )
    assert victim == ["root 711", "root 600", "root 640"]


@pytest.mark.parametrize("port", PORTS, ids=WAYS.values())
@pytest.mark.usefixtures("fixed")
def test_the_fixed_release_alone_answers_at_once_and_in_full(hostile, on_host, port):
    found = json.loads(on_host(VISIT, port=port))
    assert found == {"versions": {hostile.version: 60}, "large": 4 * 2**20, "at once": 100}


@pytest.mark.usefixtures("fixed")
def test_the_hole_is_closed_on_every_port(host):
    urls = [f"http://127.0.0.1:{port}/hole" for port in PORTS for _time in range(20)]
    words = " ".join(f"--output /dev/null {url}" for url in urls)
    answers = host.run(f"curl --silent --max-time 2 --data x --write-out '%{{http_code}}\\n' {words}")
    assert set(answers.stdout.split()) == {"404"}


@pytest.mark.usefixtures("fixed")
def test_nothing_of_the_old_release_is_left(eventually, hostile):
    assert eventually(hostile.nothing_else_runs, seconds=10)
    assert len(hostile.processes()) == len(PORTS)


@pytest.mark.usefixtures("fixed")
def test_a_queue_at_a_port_is_as_long_as_before(host):
    queues = host.check_output(
        "ss --no-header --listening --tcp --numeric | awk '{print $3, $4}'"
    ).splitlines()
    lengths = {int(line.rpartition(":")[2]): int(line.split()[0]) for line in queues}
    assert {lengths[port] for port in PORTS} == {lengths[8100]}


@pytest.mark.usefixtures("fixed")
def test_no_code_of_the_old_release_runs_in_the_new_one(host, hostile):
    current = host.check_output("basename $(readlink /srv/hostile/current)")
    assert not host.file(f"/var/lib/tornado-hostile/ran-in-{current}").exists
    reached = set(map(int, host.run("cat /var/lib/tornado-hostile/reached").stdout.split()))
    assert reached & hostile.served_by() == set()


@pytest.mark.usefixtures("fixed")
def test_the_status_tells_of_the_fixed_release_alone(host, hostile):
    current = host.check_output("basename $(readlink /srv/hostile/current)")
    status = hostile.status()
    assert status["current"] == current
    assert {port["release"] for port in status["ports"].values()} == {current}
    assert [old for port in status["ports"].values() for old in port["draining"]] == []
    assert CONTROL.search(host.check_output("tornado-hostile-status")) is None


@pytest.mark.usefixtures("fixed")
def test_a_rollback_finds_its_way_past_what_lies_about(hostile):
    assert hostile.run("rollback")[0] == 0
    assert {version.partition("-")[0] for version in hostile.versions().values()} < {"first", "hole"}


@pytest.mark.long
def test_a_socket_that_nobody_has_looked_at_since_a_swap_is_looked_at_by_the_next_run(attack, hostile, host):
    port = PORTS[3]
    attack(f"ours = listener({port})\n{SPOILED['slow and small']}", port)
    # As a run does that is killed before its last step.
    host.check_output(f"systemctl reload tornado-hostile@{port}.service")
    status = hostile.status()["ports"]
    assert [number for number in status if status[number]["unheard"]] == [str(port)]
    assert hostile.run("deploy")[0] == 0
    assert set(hostile.versions().values()) == {hostile.version}
    before = hostile.served_by()
    assert hostile.run("deploy")[0] == 0
    assert hostile.served_by() == before


# What goes on for longer than the fixed release may take to prove itself.
RAGES = {
    "SIGKILL": """
def rage():
    os.kill(-1, signal.SIGKILL)
    time.sleep(0.02)
""",
    "SIGSTOP": """
def rage():
    os.kill(-1, signal.SIGSTOP)
    time.sleep(0.02)
""",
    # Where its processes come to the keepers, with a connection that takes an hour to close.
    "a crowd at the door": """
def lingering():
    heard = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(heard.getsockname())
    kept.append(heard.accept()[0])
    near.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            near.send(b"x" * 65536)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return near

kept = []
turns = [0]

def rage():
    turns[0] += 1
    for door in glob.glob("/run/tornado-hostile/*.workers"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
            one.setblocking(False)
            one.connect(door)
            if turns[0] % 50 == 0:
                near = lingering()
                socket.send_fds(one, [b'{"is": "alive"}'], [near.fileno()])
                os.close(near.detach())
""",
}
RAGE = """
def go_on():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            rage()

for _time in range(3):
    orphan(go_on)
"""


@pytest.mark.parametrize("kind", RAGES if os.environ.get("TORNADOES_LONG") else list(RAGES)[:1])
def test_no_process_keeps_the_fixed_release_from_proving_itself(attack, eventually, hostile, host, kind):
    attack(RAGES[kind] + RAGE, dies=True)
    hostile.write(hole=False)
    try:
        # The default: on few processors, eighteen loops that never rest leave a program little time to start.
        assert hostile.run("deploy", start_timeout=30)[0] == 0
        assert eventually(lambda: set(hostile.versions().values()) == {hostile.version})
        assert eventually(hostile.nothing_else_runs)
    except AssertionError:
        host.run("pkill --signal KILL --uid tornado-hostile")
        raise


TAKE = """
import os, pwd, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper:
    keeper.connect(f"/run/tornado-hostile/{port}.sock")
    keeper.send(b'{"do": "socket"}')
    socket.recv_fds(keeper, 4096, 1)
if os.fork() == 0:
    os.setsid()
    os.setuid(pwd.getpwnam("mallory").pw_uid)
    for number in range(3):
        os.close(number)
    time.sleep(120)
"""


def test_a_port_that_somebody_else_hears_too_is_no_success(hostile, on_host, host):
    hostile.write(hole=True)
    # As a program could give it away, on a kernel that lets it.
    on_host(TAKE, port=PORTS[2])
    try:
        code, output = hostile.run("deploy")
    finally:
        host.run("pkill --uid mallory")
    assert code == 2
    assert f"port {PORTS[2]} has its socket in other hands too (process " in output
    assert " of mallory)" in output
    hostile.write(hole=True)
    assert hostile.run("deploy")[0] == 0


def test_what_a_command_of_a_release_has_started_ends_with_it(hostile, host):
    words = ["setsid", "sh", "-c", "trap : TERM; sleep 300; sleep 300"]
    hostile.write(hole=True)
    command = f'python -c "import subprocess; subprocess.Popen({words})"'
    assert hostile.run("deploy", before_activation=[command])[0] == 0
    assert host.run("pgrep --full --uid tornado-hostile 'sleep 300'").stdout == ""


def test_a_stop_ends_all_that_was_started(attack, hostile, host):
    for port in PORTS[:3]:
        code = "for _time in range(20): orphan(lambda: [signal.signal(15, signal.SIG_IGN), time.sleep(300)])"
        attack(code, port)
    assert len(hostile.processes()) > 60
    # The target alone does not wait for its ports.
    assert host.run("timeout 60 systemctl stop tornado-hostile.target 'tornado-hostile@*'").rc == 0
    left = hostile.processes()
    host.run("pgrep --uid tornado-hostile | xargs --no-run-if-empty kill -KILL")
    assert host.run("timeout 60 systemctl start tornado-hostile.target").rc == 0
    assert left == set()


def test_what_releases_share_turned_into_links_gives_nothing_of_root_s_away(attack, hostile, host):
    victim = "stat --format '%U %a %s %Y %n' /srv/victim /srv/victim/private"
    before = host.check_output(victim)
    code = """
for name, there in (("notes.txt", "/srv/victim/private"), ("uploads", "/srv/victim")):
    path = "/var/lib/tornado-hostile/" + name
    with contextlib.suppress(OSError):
        os.rename(path, path + ".real")
    os.symlink(there, path)
"""
    assert attack(code) == ""
    hostile.write(hole=True)
    assert hostile.run("deploy")[0] == 0
    assert host.check_output(victim) == before
    code = """
attempt("read", lambda: open("notes.txt").read())
attempt("written", lambda: open("notes.txt", "a").close())
attempt("made", lambda: open("uploads/mine", "w").close())
attempt("released", os.unlink, "notes.txt")
"""
    assert attack(code) == ""
    host.check_output("cd /var/lib/tornado-hostile && rm notes.txt uploads && mkdir --mode 700 uploads")
    host.check_output("chown tornado-hostile: /var/lib/tornado-hostile/uploads")


def test_a_refused_program_writes_no_escapes_to_who_deploys(hostile, host):
    said = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[1;1Hok: all is well\\r\\x9b31m\\u202eevil\\x00"
    before = hostile.versions()
    hostile.write(hole=True, edit=lambda text: f'{text.partition("import")[0]}raise SystemExit("{said}")\n')
    code, output = hostile.run("deploy")
    assert code == 2
    assert "all is well" in output
    assert CONTROL.search(output) is None
    assert CONTROL.search(host.check_output("tornado-hostile-status")) is None
    assert hostile.versions() == before
