"""What a program can do on the host, what it can't, and who pays when it eats too much."""

import time

import pytest

PLAIN, SHUT, FREE, BARE = 8000, 8100, 8200, 8400
UNITS = {PLAIN: "tornado-plain@8000", SHUT: "tornado-shut@8100", FREE: "tornado-free@8200"}
# The program itself.
WORKERS = {port: f"'{unit.replace('@', '-worker@')}-*'" for port, unit in UNITS.items()}


@pytest.fixture(scope="module")
def attempt(host):
    """What became of it when the program on a port tried something."""

    def ask(port, what):
        return host.run(f"curl --silent --max-time 20 'http://127.0.0.1:{port}/try?what={what}'").stdout

    return ask


@pytest.fixture(scope="module")
def write(host):
    """What became of it when the program on a port wrote a file."""

    def ask(port, path):
        return host.run(f"curl --silent --max-time 20 'http://127.0.0.1:{port}/write?path={path}'").stdout

    return ask


@pytest.mark.parametrize("port", UNITS)
@pytest.mark.parametrize(
    "what",
    [
        "uvloop",
        "subprocess",
        "threads",
        "processes",
        "temporary",
        "sqlite",
        "resolver",
        "inside",
        "zeromq",
        "host_figures",
        "interfaces",
        "priorities",
        "limits",
        "shared_memory",
    ],
)
def test_a_program_does_what_programs_do(attempt, port, what):
    assert attempt(port, what) == "done"


@pytest.mark.parametrize("port", UNITS)
@pytest.mark.parametrize("what", ["others", "namespaces", "packets", "realtime"])
def test_no_program_leaves_its_room(attempt, port, what):
    assert attempt(port, what) not in ("done", "")


@pytest.mark.parametrize(
    ("what", "allowed"),
    [("outside", {PLAIN, FREE}), ("executable_memory", {FREE}), ("device", {FREE}), ("group", {FREE})],
)
def test_what_is_allowed_is_allowed_to_that_app_alone(attempt, what, allowed):
    assert {port for port in UNITS if attempt(port, what) == "done"} == allowed


def test_a_program_without_its_sandbox_meets_nothing_of_it_and_is_warned_of(attempt, host, playbook):
    for what in ("uvloop", "temporary", "sqlite", "zeromq", "executable_memory", "others", "outside"):
        assert attempt(BARE, what) == "done"
    warning = "runs without its sandbox"
    assert warning in host.check_output("tornado-bare-status")
    assert warning not in host.check_output("tornado-plain-status")
    code, output = playbook("playbooks/validate.yml")
    assert (code, f"tornado_app_sandbox: bare {warning}" in " ".join(output.split())) == (0, True)


def test_a_program_writes_its_own_folders_and_what_was_allowed(host, write):
    assert write(FREE, "/srv/shared/x") == "done"
    for path in ("/var/lib/tornado-plain/x", "/var/cache/tornado-plain/x", "/var/log/tornado-plain/x"):
        assert write(PLAIN, path) == "done"
        assert write(SHUT, path) != "done"
    homes = [host.user(name).home for name in ("root", "admin")]
    for folder in ("/srv/shared", "/srv/plain", "/etc", "/usr", *homes):
        assert write(PLAIN, f"{folder}/x") != "done"
    # Its /tmp is nobody else's.
    assert write(PLAIN, "/tmp/mine") == "done"
    assert not host.file("/tmp/mine").exists


def test_a_program_writes_beside_its_code_what_is_shared_and_nothing_else(host, write):
    assert write(PLAIN, "notes/x") == "done"
    assert host.file("/var/lib/tornado-plain/notes/x").user == "tornado-plain"
    assert "Read-only file system" in write(PLAIN, "x")
    assert "No such file" in write(SHUT, "notes/x")


def test_a_temporary_file_outlives_the_keeper(attempt, host, write):
    write(PLAIN, "/tmp/before")
    pid = host.check_output(f"systemctl show --property=MainPID --value {UNITS[PLAIN]}")
    host.check_output(f"kill -KILL {pid}")
    time.sleep(2)
    assert attempt(PLAIN, "temporary") == "done"
    assert host.file("/var/cache/tornadoes-tmp/plain/before").exists


def test_who_eats_memory_pays_for_it_alone(attempt, host, eventually):
    def processes():
        return host.check_output("pgrep --full 'tornado_app_runner.py 8[0-9]*'").split()

    before = processes()
    assert attempt(PLAIN, "memory") == ""
    assert eventually(lambda: attempt(PLAIN, "threads") == "done")
    after = processes()
    # One process was replaced, the other four are who they were.
    assert len(set(before) & set(after)) == len(before) - 1
    assert host.check_output(f"systemctl is-active {UNITS[PLAIN]}") == "active"


def test_threads_end_at_their_limit_and_not_the_host(attempt, host):
    assert "can't start new thread" in attempt(SHUT, "tasks")
    assert attempt(SHUT, "threads") == "done"
    limit = "systemctl show --property=TasksMax --value"
    assert host.check_output(f"{limit} {WORKERS[SHUT]}") == "512"


def test_processor_time_is_limited_where_asked_for(host):
    show = "systemctl show --property=CPUQuotaPerSecUSec --value"
    assert host.check_output(f"{show} {WORKERS[FREE]}") == "500ms"
    assert host.check_output(f"{show} {WORKERS[PLAIN]}") == "infinity"


@pytest.mark.parametrize(("port", "tenths"), [(PLAIN, 12), (SHUT, 11)])
def test_systemd_finds_little_to_say_about_an_app(host, port, tenths):
    # systemd-analyze's exposure level, 0 to 10, lower is better.
    worker = host.check_output(f"systemctl show --property=Id --value {WORKERS[port]}")
    for unit, most in ((worker, tenths), (f"{UNITS[port]}.service", 12)):
        done = host.run(f"systemd-analyze security --no-pager --threshold={most} {unit}")
        print(done.stdout)
        assert done.rc == 0
