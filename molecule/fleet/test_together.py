"""A release comes to both hosts or to none, whatever dies meanwhile. Visitors never notice."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from client import Client
from visitor import ROOT
from visits import Visits

TELL = """
import sys
sys.path.insert(0, '/srv/hello/transaction/program.zip')
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.participant import tell
print(tell('hello', do='confirm', word='{word}'))
"""
ON_TWO = "import socket\nimport time\n\nif socket.gethostname().endswith('two'):\n    {what}\n"
WORKER = ON_TWO.format(what="raise SystemExit('no worker here')") + "time.sleep(1000000)\n"


class Visitors:
    """Visitors of all hosts as a context; lost: what they were not answered."""

    def __init__(self, fleet):
        clients = [
            Client(*variables["test_host_ports"], str(ROOT / ".cache" / f"{name}-ca.crt"))
            for name, variables, _host in fleet
        ]
        self.all = [Visits(client, {"localhost": "/"}) for client in clients]

    def __enter__(self):
        for one in self.all:
            one.__enter__()
        return self

    def __exit__(self, *problem):
        for one in self.all:
            one.__exit__(*problem)

    @property
    def lost(self):
        heard = [answer for one in self.all for answer in one.heard["localhost"]]
        assert len(heard) > 20
        return [answer for answer in heard if answer != (200, "Hello, friendly user!")]


@pytest.fixture
def source(tmp_path):
    """A new release of the app: source(hello="...") puts that before its first line of code."""

    def write(hello="", **files):
        folder = tmp_path / "app"
        shutil.copytree(ROOT / "app", folder, dirs_exist_ok=True)
        (folder / "static/version.txt").write_text(f"another release, {time.time()}")
        program = folder / "hello.py"
        program.write_text(program.read_text().replace("import os\n", f"import os\n{hello}\n", 1))
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        return f"tornado_app_source={folder}"

    return write


def releases(fleet):
    """What each host runs: all releases of its ports, and the one it starts with."""
    found = []
    for _name, _variables, host in fleet:
        status = json.loads(host.check_output("tornado-hello-status --json"))
        found.append({status["current"], *(one["release"] for one in status["ports"].values())})
    return found


def history(fleet):
    """Event and release of the last line of each host's history."""
    lines = [host.check_output("tail -n 1 /srv/hello/releases.jsonl") for _name, _variables, host in fleet]
    return [(line["event"], line["release"]) for line in map(json.loads, lines)]


@contextlib.contextmanager
def stopped_once_switched(scenario, fleet, folder, *words):
    """A deploy that stands still when both hosts have begun to switch, and is killed then; its word."""
    inventories = [
        f"--inventory={one}" for one in (scenario / "hosts.yml", ROOT / "molecule/shared/inventory")
    ]
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(folder)}
    run = subprocess.Popen(
        ["ansible-playbook", *inventories, "playbooks/deploy.yml", *words],
        cwd=ROOT,
        env={**os.environ, **settings},
        start_new_session=True,
    )
    known = "/srv/hello/transaction/phase.json"
    try:
        for _name, _variables, host in fleet:
            host.check_output(f"timeout 180 sh -c 'until grep -qs switched {known}; do sleep 0.05; done'")
            # Its tasks that are under way go on, but none begins: the word is not said.
            run.send_signal(signal.SIGSTOP)
        [secret] = folder.glob("*/word")
        yield hashlib.sha256(f"{secret.read_text()} hello deployed".encode()).hexdigest()[:32]
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()


def killed_once_switched(*words):
    """Kill a deploy when both hosts have begun to switch; the word that it would have said."""
    with stopped_once_switched(*words) as word:
        return word


def asked(fleet):
    """The addresses at which each host asks the others."""
    known = [host.check_output("cat /srv/hello/transaction/phase.json") for _name, _variables, host in fleet]
    return [[address for address, _port in json.loads(one)["peers"]] for one in known]


def phases(fleet):
    """How far each host says that it is."""
    command = 'cat /srv/hello/transaction/phase.json 2>/dev/null || echo \'{"phase": ""}\''
    return [json.loads(host.check_output(command))["phase"] for _name, _variables, host in fleet]


@contextlib.contextmanager
def switched_off(fleet, eventually, how="stop"):
    """The second host is off as long as this is open, and has booted afterwards; its name."""
    name, _variables, host = fleet[1]
    sudo = [] if os.getuid() == 0 else ["sudo"]

    def booted():
        # testinfra's word for a host that can't be reached
        with contextlib.suppress(RuntimeError):
            return host.run("systemctl is-system-running").stdout.strip() == "running"

    subprocess.run([*sudo, "podman", how, name], check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run([*sudo, "podman", "start", name], check=True, capture_output=True)
        assert eventually(booted, seconds=90)


def test_a_candidate_that_dies_on_one_host_changes_nothing_on_any(fleet, playbook, source):
    before = releases(fleet)
    broken = source(hello=ON_TWO.format(what="raise SystemExit('not on this host')"))
    with Visitors(fleet) as visitors:
        code, output = playbook("playbooks/deploy.yml", "-e", broken)
    assert code != 0
    said = " ".join(output.split())
    assert "not on this host" in said
    assert f"was not taken on any host, nor was any touched. {fleet[1][0]}: port 8000 exited" in said
    assert releases(fleet) == before
    one, two = history(fleet)
    assert one == two
    assert one[0] == "refused"
    assert visitors.lost == []


def test_a_worker_that_dies_on_one_host_turns_both_back(fleet, playbook, source):
    before = releases(fleet)
    workers = [{"name": "mail", "command": "mail.py"}]
    workers = json.dumps({"tornado_app_workers": workers, "tornado_app_settle_time": 8})
    with Visitors(fleet) as visitors:
        code, output = playbook("playbooks/deploy.yml", "-e", source(mail=WORKER), "-e", workers)
    assert code != 0
    here = "was not taken on any host, and this one runs what it ran before"
    assert f"{here}. {fleet[1][0]}: the worker mail@1 ended with 1" in " ".join(output.split())
    assert releases(fleet) == before
    for _name, _variables, host in fleet:
        assert host.check_output("systemctl list-units --no-legend 'tornado-hello_*'") == ""
    assert visitors.lost == []


def test_hosts_turn_back_when_the_run_is_killed_after_they_have_switched(
    fleet, playbook, scenario, source, tmp_path, eventually
):
    before, words = releases(fleet), ("-e", source())
    with Visitors(fleet) as visitors:
        killed_once_switched(scenario, fleet, tmp_path / "one", *words)
        assert eventually(lambda: phases(fleet) == ["returned", "returned"], seconds=60)
        assert releases(fleet) == before
        code, _output = playbook("playbooks/deploy.yml", *words)
    assert code == 0
    one, two = releases(fleet)
    assert one == two != before[0]
    assert len(one) == 1
    assert visitors.lost == []


def test_a_host_that_has_not_heard_the_word_learns_it_from_the_other(
    fleet, scenario, source, tmp_path, eventually
):
    before = releases(fleet)
    with Visitors(fleet) as visitors:
        word = killed_once_switched(scenario, fleet, tmp_path / "two", "-e", source())
        assert eventually(lambda: phases(fleet) == ["returned", "returned"], seconds=60)
        one, two = (variables["tornadoes_private_address"] for _name, variables, _host in fleet)
        assert asked(fleet) == [[two], [one]]
        # What the run would have said, had it not died: it comes to one of the two.
        fleet[0][2].check_output(f'python3 -c "{TELL.format(word=word)}"')
        assert eventually(lambda: phases(fleet) == ["confirmed", "confirmed"], seconds=60)
    one, two = releases(fleet)
    assert one == two != before[0]
    assert history(fleet) == [("deployed", *one)] * 2
    assert visitors.lost == []


def test_a_host_that_is_off_while_the_word_is_said_never_turns_back(
    fleet, scenario, source, tmp_path, eventually
):
    before, two = releases(fleet), fleet[1][2]
    with stopped_once_switched(scenario, fleet, tmp_path / "four", "-e", source()) as word:
        with switched_off(fleet, eventually, "kill"):
            fleet[0][2].check_output(f'python3 -c "{TELL.format(word=word)}"')
        assert eventually(lambda: phases(fleet) == ["confirmed", "confirmed"], seconds=60)
    assert releases(fleet)[0] == releases(fleet)[1] != before[0]
    said = two.check_output("journalctl --boot --output=cat --unit=tornadoes-transaction-hello")
    assert "There again after a death: forward." in said
    assert "turn back" not in said


def test_a_host_whose_own_part_of_it_dies_turns_back_too(fleet, scenario, source, tmp_path, eventually):
    before = releases(fleet)
    killed_once_switched(scenario, fleet, tmp_path / "three", "-e", source())
    fleet[1][2].check_output("systemctl kill --signal=KILL tornadoes-transaction-hello")
    assert eventually(lambda: phases(fleet) == ["returned", "returned"], seconds=90)
    assert releases(fleet) == before


def test_the_others_stay_where_they_are_until_the_first_host_is_found_well(fleet, playbook, source, tmp_path):
    before, asked = releases(fleet), tmp_path / "asked"
    since = fleet[0][2].check_output("date +@%s")
    check = f"sh -c 'echo {{host}} {{release}} >> {asked}; echo too slow; false'"
    words = json.dumps({"tornado_app_canary": 12, "tornado_app_canary_check": check})
    with Visitors(fleet) as visitors:
        code, output = playbook("playbooks/deploy.yml", "-e", source(), "-e", words)
    assert code != 0
    said, first = " ".join(output.split()), fleet[0][0]
    why = "tornado_app_canary_check has not said yes within 12 s: it ended with 1, too slow"
    assert f"{first}: {why}" in said
    assert f"it has not switched, since {first} did not" in said
    assert releases(fleet) == before
    assert visitors.lost == []
    host, release = asked.read_text().split()[:2]
    assert host == first
    logs = f"journalctl --since={since} --output=cat --unit='tornado-hello@*'"
    assert f"Release {release} serves" in fleet[0][2].check_output(logs)
    assert f"Release {release} serves" not in fleet[1][2].check_output(logs)


def test_hosts_switch_one_after_the_other_once_the_check_says_yes(fleet, playbook, source):
    before = releases(fleet)
    # Longer than the run may take.
    words = {"tornado_app_canary": 600, "tornado_app_canary_check": "true", "tornado_app_serial": "1"}
    code, _output = playbook("playbooks/deploy.yml", "-e", source(), "-e", json.dumps(words))
    assert code == 0
    one, two = releases(fleet)
    assert one == two != before[0]


def test_the_others_go_on_without_a_host_that_is_off_if_that_may_be(fleet, playbook, source, eventually):
    words, before, there = ("-e", source()), releases(fleet), "ls -t /srv/hello/releases"
    on_disk = fleet[0][2].check_output(there)
    with switched_off(fleet, eventually) as name:
        for book in ("site.yml", "playbooks/deploy.yml"):
            code, output = playbook(book, *words)
            assert code == 4
            refusal = (
                f"tornado_app_max_unreachable: {name} can't be reached, and 0 of hello's hosts may be so."
            )
            assert refusal in " ".join(output.split())
            assert re.findall(r"changed=(\d+)", output) == ["0", "0"]
        assert releases(fleet[:1]) == before[:1]
        assert fleet[0][2].check_output(there) == on_disk
        code, output = playbook("site.yml", *words, "-e", "tornado_app_max_unreachable=1")
        assert code == 4  # Ansible's for a host that it has not reached
        said = f"Not reached in this run: hello is as it was on {name}. Run it again once that is mended."
        assert output.count(said) == 1
        [alone] = releases(fleet[:1])
        assert alone != before[0]
    assert releases(fleet[1:]) == before[1:]
    code, output = playbook("playbooks/check.yml")
    assert code == 2
    assert f"has not come to {name}: it runs" in " ".join(output.split())
    code, _output = playbook("playbooks/deploy.yml", *words)
    assert code == 0
    assert releases(fleet) == [alone, alone]
    assert playbook("playbooks/check.yml")[0] == 0


def test_one_goes_back_without_a_host_that_is_off_if_that_may_be(fleet, playbook, eventually):
    before = releases(fleet)
    with switched_off(fleet, eventually) as name:
        code, output = playbook("playbooks/rollback.yml")
        assert code == 4
        assert f"tornado_app_max_unreachable: {name} can't be reached" in " ".join(output.split())
        assert releases(fleet[:1]) == before[:1]
        code, output = playbook("playbooks/rollback.yml", "-e", "tornado_app_max_unreachable=1")
        assert code == 4
        assert f"hello is as it was on {name}" in output
        assert releases(fleet[:1]) != before[:1]


def test_no_host_goes_further_back_than_the_others(fleet, playbook, source):
    _one, before = releases(fleet)
    [common], name = before, fleet[0][0]
    code, _output = playbook("playbooks/deploy.yml", "-l", name, "-e", source())
    assert code == 0
    [alone] = releases(fleet)[0]
    code, _output = playbook("playbooks/deploy.yml", "-e", source())
    assert code == 0
    now = releases(fleet)
    code, output = playbook("playbooks/rollback.yml")
    assert code == 2
    assert f"is not of one source: {alone} on {name}, {common} on {fleet[1][0]}." in " ".join(output.split())
    assert releases(fleet) == now
    code, _output = playbook("playbooks/rollback.yml", "-e", f"tornado_app_release={common}")
    assert code == 0
    assert releases(fleet) == [{common}, {common}]
