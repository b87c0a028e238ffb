"""What visitors and the operator would lose if a deploy were not what it claims to be."""

import contextlib
import itertools
import json
import re
import time

import pytest

MODEST = ["--rate", "100", "--slow-posts", "5", "--websockets", "50"]
PORTS = ("8000", "8001", "8002", "8003")


def workers(host):
    """nginx's processes."""
    return host.check_output("pgrep nginx")


def test_the_load_client_counts_what_a_naive_restart_loses(host, load):
    venv = host.check_output("realpath /srv/load/current/.release/venv")
    program = f"{venv}/bin/python /srv/load/current/server.py --logging=error"
    units = [f"naive-{port}" for port in (9000, 9001)]
    for unit in units:
        host.check_output(f"systemd-run --quiet --unit={unit} {program} --port={unit[-4:]}")
    host.check_output("curl --silent --retry 9 --retry-connrefused http://127.0.0.1:9001/healthz")
    with load(
        "--slow-posts", "5", "--websockets", "5", "--download", "0", "--polls", "0", host="naive.example.test"
    ) as naive:
        time.sleep(1)
        host.check_output(f"systemctl restart {' '.join(units)}")
        time.sleep(1)
    host.check_output(f"systemctl stop {' '.join(units)}")
    assert naive.report["failed"] > 10


def test_deploys_in_a_row_lose_nothing(app, host, load, full, long):
    deploys = 5 if long else 3
    before, ends = workers(host), {}
    single_port = load(*full, *([] if long else MODEST), host="solo.example.test")
    with load(*full) as four, contextlib.ExitStack() as stack:
        single = stack.enter_context(single_port)
        time.sleep(2)
        for number in range(deploys):
            name = app.write()
            # The single port comes along once, or each time where there is time.
            both = long or number == 0
            code, output = app.playbook("playbooks/deploy.yml") if both else app.deploy()
            ends[name] = time.time()
            assert code == 0
            for port in PORTS:
                assert re.search(rf"port {port}: \w+ -> \w+, ready after [\d.]+ s, drained after", output)
            if not long:
                stack.close()
    for running in (four, single):
        assert running.lost() == []
        assert running.report["wrong"] == 0
    assert four.report["rate"] > 290
    assert workers(host) == before
    # Nobody who asked after a deploy got an older release, nor a newer one before it began.
    found = four.report["releases"]
    order = [name for name in ends if name in found]
    assert len(order) == deploys
    for older, newer in itertools.pairwise(order):
        assert found[older]["last_start"] < ends[newer]
        assert found[newer]["first_start"] > ends[older]
    # WebSockets were told to go, and found the new release.
    sockets = four.report["kinds"]["websocket"]
    assert sockets["ws_closed_clean"] >= deploys * 150
    assert max(one["seconds"] for one in sockets["reconnects"]) < 5


def test_deploying_the_same_again_touches_nothing(app, host):
    before = host.check_output("pgrep --full --list-name 'keeper.py|tornado_app_runner|nginx:'")
    code, output = app.deploy()
    assert code == 0
    assert "changed=0" in output
    assert host.check_output("pgrep --full --list-name 'keeper.py|tornado_app_runner|nginx:'") == before


EATS = "import tornado.ioloop\nhoard = [b'x' * 2**20 * 10 for _turn in range(100)]\n"
DIES = "import os, threading\nthreading.Timer(2, os._exit, [7]).start()\n"
HALF = 'sys.exit("not on this port") if options.port == 8002 else None\n    '
LATER = ["dies after 2 seconds", "is unwell on the third port"]
BAD = {
    "eats memory": (lambda text: EATS + text, "was ended by SIGKILL"),
    "dies after 2 seconds": (lambda text: DIES + text, "exited with status 7"),
    "is unwell on the third port": (
        lambda text: (
            "import sys\n"
            + text.replace(
                "tornado.ioloop.IOLoop.instance().start()", HALF + "tornado.ioloop.IOLoop.instance().start()"
            )
        ),
        "port 8002 exited with status 1",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_release_harms_nobody(app, host, load, long, kind):
    if not long and kind in LATER:
        pytest.skip("script/test --all has the time; the keeper's own tests refuse it each time")
    edit, reason = BAD[kind]
    before, served = app.current(), app.releases()
    assert set(served) == set(PORTS)
    with load("--download", "0", "--polls", "0") as running:
        app.write(edit)
        code, output = app.deploy()
    assert code == 2
    assert reason in output
    assert f"was not taken (release {before} goes on)" in output
    assert running.lost() == []
    assert app.current() == before
    assert app.releases() == served
    assert re.search(r"\w+ +\S+ +\S+ +bad ", host.check_output("tornado-load-status"))


def test_a_reload_by_hand_swaps_or_says_why_not(app, host):
    pid = host.check_output("pgrep --full 'tornado_app_runner.py 8000 '")
    assert host.run("systemctl reload tornado-load@8000").rc == 0
    assert host.check_output("pgrep --full --newest 'tornado_app_runner.py 8000 '") != pid
    current = app.current()
    status = json.loads(host.check_output("tornado-load-status --json"))
    there = [one["id"] for one in status["releases"]]
    bad = next(one for one in status["bad"] if one in there)
    host.check_output(f"ln --symbolic --force --no-dereference releases/{bad} /srv/load/current")
    try:
        assert host.run("systemctl reload tornado-load@8000").rc != 0
        time.sleep(1)
        last = host.check_output("journalctl --unit=tornado-load@8000 --lines=1 --output=cat")
        assert last.startswith(f"Refused: release {bad} on port 8000 ")
    finally:
        host.check_output(f"ln --symbolic --force --no-dereference releases/{current} /srv/load/current")
    assert app.releases()["8000"] == current


def test_a_rollback_skips_what_is_bad_and_a_deploy_undoes_it(app, host, playbook):
    status = json.loads(host.check_output("tornado-load-status --json"))
    good, bad = status["previous"], status["bad"]
    assert good not in bad
    assert bad
    last = app.current()
    # No index, no source: the way back needs nothing from outside.
    code, output = app.deploy("-e", "tornado_app_source=/nowhere", book="rollback")
    assert code == 0, output
    assert app.current() == good
    assert set(app.releases().values()) == {good}
    app.write()
    hooks = {"before": ['python -c \'open("/var/lib/tornado-load/migrated", "a").write("x")\'']}
    words = ["-e", json.dumps({"tornado_app_before_activation": hooks["before"]})]
    code, output = app.deploy(*words)
    assert code == 0
    assert f"load was rolled back to {good}" in output
    assert app.current() not in (good, last)
    # Once, as the app's user.
    assert host.file("/var/lib/tornado-load/migrated").content_string == "x"
    assert host.file("/var/lib/tornado-load/migrated").user == "tornado-load"


def test_a_command_that_fails_stops_the_deploy_before_any_swap(app):
    before, served = app.current(), app.releases()
    app.write()
    code, output = app.deploy("-e", json.dumps({"tornado_app_before_activation": ["python -c 1/0"]}))
    assert code == 2
    assert "ZeroDivisionError" in output
    assert (app.current(), app.releases()) == (before, served)


def test_restarts_by_hand_lose_nothing(host, load):
    with load("--download", "0", "--polls", "0") as running:
        time.sleep(1)
        for port in PORTS[:2]:
            host.check_output(f"systemctl restart tornado-load@{port}")
        # A stop drains as well; the sockets go with it, or the next visitor would start it again.
        host.check_output("systemctl stop tornado-load@8003.socket tornado-load@8003.service")
        host.check_output("systemctl start tornado-load@8003.service")
    assert running.lost() == []


def test_keepers_and_processes_that_are_killed_always_come_back(host, eventually):
    for turn in range(10):
        whom = "keeper.py serve" if turn % 2 else "tornado_app_runner.py"
        host.run(f"pkill --signal KILL --full '{whom} 8002'")
        time.sleep(1)
    answer = "curl --silent --max-time 5 http://127.0.0.1:8002/healthz"
    assert eventually(lambda: host.run(answer).stdout.strip() == "ok")
    assert host.service("tornado-load@8002").is_running
