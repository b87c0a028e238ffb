"""What an operator does with systemctl, and what becomes of killed processes."""

import time

PORTS = ("8000", "8001", "8002", "8003")


def test_restarts_by_hand_lose_nothing(host, load):
    with load("--download", "0", "--polls", "0") as running:
        time.sleep(1)
        host.check_output("systemctl restart 'tornado-load@800*.service'")
        # A stop drains as well; the sockets go with it, or the next visitor would start it again.
        host.check_output("systemctl stop tornado-load@8003.socket tornado-load@8003.service")
        assert host.check_output("systemctl --failed --plain --no-legend") == ""
        host.check_output("systemctl start tornado-load@8003.service")
    assert running.lost() == []


def test_a_stop_in_the_middle_of_a_reload_loses_nothing(host, load):
    # systemd leaves ExecStop= out there, by which the keeper hears what a stop is about.
    with load("--download", "0", "--polls", "0") as running:
        time.sleep(1)
        host.check_output("systemctl reload --no-block tornado-load@8003.service; sleep 0.2")
        host.check_output("systemctl stop tornado-load@8003.socket tornado-load@8003.service")
        host.check_output("systemctl start tornado-load@8003.service")
    assert running.lost() == []


def test_the_target_stops_all_ports_with_their_sockets_and_starts_them_again(host, eventually):
    # The second one calls the first one off half-way.
    host.check_output("systemctl stop --no-block tornado-load.target; sleep 0.1")
    host.check_output("systemctl start tornado-load.target")
    for port in PORTS:
        assert host.check_output(f"curl --silent --max-time 10 http://127.0.0.1:{port}/healthz") == "ok"
    host.check_output("systemctl restart tornado-load.target")
    assert all(host.service(f"tornado-load@{port}").is_running for port in PORTS)
    host.check_output("systemctl stop tornado-load.target")
    # systemctl waits for the target alone.
    assert eventually(lambda: not any(host.socket(f"tcp://127.0.0.1:{port}").is_listening for port in PORTS))
    assert host.run("pgrep --uid tornado-load").stdout == ""
    assert host.check_output("systemctl --failed --plain --no-legend") == ""
    host.check_output("systemctl start tornado-load.target")
    for port in PORTS:
        assert host.check_output(f"curl --silent --max-time 10 http://127.0.0.1:{port}/healthz") == "ok"


def test_who_changes_the_target_of_the_host_ends_no_process(host, load):
    # It stops whatever no unit of the new target wants.
    pids = "systemctl show --property=MainPID --value 'tornado-load-worker@*'"
    before = host.check_output(pids)
    with load("--download", "0", "--polls", "0") as running:
        time.sleep(1)
        host.check_output("systemctl isolate multi-user.target")
        time.sleep(1)
    assert running.lost() == []
    assert host.check_output(pids) == before


def test_keepers_and_processes_that_are_killed_always_come_back(host, eventually):
    for turn in range(10):
        whom = "keeper.py serve" if turn % 2 else "tornado_app_runner.py"
        host.run(f"pkill --signal KILL --full '{whom} 8002'")
        time.sleep(1)
    answer = "curl --silent --max-time 5 http://127.0.0.1:8002/healthz"
    assert eventually(lambda: host.run(answer).stdout.strip() == "ok")
    assert host.service("tornado-load@8002").is_running
