"""What visitors and the operator would lose if a deploy were not what it claims to be."""

import contextlib
import itertools
import re
import time

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
    deploys = 5 if long else 2
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
