"""Two proxies that share an address, two hosts of an app: what is done to them, and what dies, under load."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from containers import Restarts, podman
from visitor import ROOT
from visitors import TIMEOUT, Visitors

WWW1, WWW2, APP1, APP2 = (f"tornadoes-several-{name}" for name in ("www1", "www2", "app1", "app2"))
ADDRESS = "10.98.35.100"


class Crowd(Visitors):
    """Visitors of the address that the proxies share. None of them tries again."""

    def __init__(self):
        super().__init__(80, None)

    def connect(self):
        """A connection, as a visitor of localhost has it."""
        return Client(ADDRESS, timeout=TIMEOUT)

    def __exit__(self, *problem):
        super().__exit__(*problem)
        print(
            f"{self.asked} asked, {len(self.lost)} lost, the slowest after {self.slowest:.1f} s",
            *self.lost[:9],
        )


class Client(http.client.HTTPConnection):
    """Asks for localhost, whatever its address."""

    def request(self, method, url, body=None, **more):
        super().request(method, url, body, headers={"Host": "localhost"}, **more)


def asked():
    """What the program says of a request."""
    client = Client(ADDRESS, timeout=5)
    client.request("GET", "/")
    return json.loads(client.getresponse().read())


@pytest.fixture
def hosts(fleet, eventually):
    """Name to host, all of them well and both apps' hosts asked."""
    found = {name: host for name, _variables, host in fleet}

    def well():
        try:
            for name in (WWW1, WWW2):
                found[name].check_output("systemctl is-active nginx keepalived")
            return {asked()["host"] for _turn in range(8)} == {APP1, APP2}
        except (OSError, http.client.HTTPException, RuntimeError, AssertionError, ValueError):
            return False

    assert eventually(well, seconds=90)
    return found


def holder(hosts):
    """Who has the address, and who has not."""
    said = {name: hosts[name].run("ip -brief address show dev eth0").stdout for name in (WWW1, WWW2)}
    return sorted(said, key=lambda name: f" {ADDRESS}/" not in said[name])


def done(hosts):
    """The ids that hosts have noted; none where one of them does not answer."""
    try:
        said = [hosts[name].run("cat /var/lib/tornado-noted/done-*").stdout for name in (APP1, APP2)]
    except RuntimeError:
        return []
    return "\n".join(said).split()


def releases(hosts):
    """The code of what all ports of all hosts serve; a release has another id on another Debian."""
    found = set()
    for name in (APP1, APP2):
        status = json.loads(hosts[name].check_output("tornado-noted-status --json"))
        codes = {one["release"]: one["code"] for one in status["history"]}
        # One that is not for good yet is in no history.
        found |= {codes.get(port["release"], port["release"]) for port in status["ports"].values()}
    return found


def noted_once(hosts, crowd, eventually):
    """Whether all that was to be done was, and nothing twice; what was lost may have been done or not."""
    did = eventually(lambda: done(hosts), seconds=60)
    assert len(did) == len(set(did))
    assert len(set(crowd.sent) - set(did)) <= len(crowd.lost)


@pytest.fixture
def source(tmp_path):
    """The program, of which each test gets a release of its own."""
    folder = shutil.copytree(ROOT / "molecule/cluster/app", tmp_path / "app")
    (folder / "release.txt").write_text(str(time.time()))
    return folder


def deploy(source):
    """Words of a run that brings it."""
    return ["playbooks/deploy.yml", "-e", f"tornado_app_source={source}"]


def test_a_release_over_two_proxies_and_two_hosts_loses_nothing(hosts, playbook, source, eventually):
    with Crowd() as crowd:
        code, output = playbook(*deploy(source))
    assert code == 0, output
    assert crowd.lost == []
    noted_once(hosts, crowd, eventually)
    assert len(releases(hosts)) == 1


def test_a_proxy_without_power_costs_what_was_inside_it_and_stops_no_release(
    hosts, playbook, source, eventually
):
    master, _other = holder(hosts)
    with Crowd() as crowd:
        time.sleep(3)
        podman("kill", master)
        begun = time.monotonic()
        code, output = playbook(*deploy(source))
        print(f"deployed after {time.monotonic() - begun:.1f} s")
    podman("start", master)
    assert code == 0, output
    assert len(releases(hosts)) == 1
    # What was open, and who came in between; all of it before the other proxy had the address.
    moments = [moment for moment, _what, _why in crowd.lost]
    assert not moments or max(moments) - min(moments) < 5
    noted_once(hosts, crowd, eventually)


@pytest.mark.long
def test_a_host_of_the_app_without_power_costs_what_was_inside_it(hosts, eventually):
    with Crowd() as crowd:
        time.sleep(3)
        podman("kill", APP2)
        time.sleep(10)
    podman("start", APP2)
    assert len(crowd.lost) <= 8
    noted_once(hosts, crowd, eventually)


@pytest.mark.long
def test_one_host_gets_another_number_of_ports_and_nothing_is_lost(hosts, playbook, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text(f"tornado_app: {{hosts: {{{APP2}: {{tornado_app_ports: [8000, 8001, 8002]}}}}}}\n")
    inventory = [ROOT / "molecule/several/hosts.yml", more]
    with Crowd() as crowd:
        code, output = playbook("site.yml", inventory=inventory)
        assert code == 0, output
        assert {asked()["port"] for _turn in range(40)} == {8000, 8001, 8002}
        code, output = playbook("site.yml")
        assert code == 0, output
    assert crowd.lost == []
    assert {asked()["port"] for _turn in range(40)} == {8000, 8001}
    assert "8002" not in hosts[APP2].check_output("systemctl list-units --all 'tornado-noted@*' --plain")


@pytest.mark.long
def test_a_host_is_taken_out_and_comes_back_and_nothing_is_lost(hosts, playbook, tmp_path):
    more = tmp_path / "more.yml"
    more.write_text(f"tornado_app: {{hosts: {{{APP2}: {{tornado_app_state: absent}}}}}}\n")
    inventory = [ROOT / "molecule/several/hosts.yml", more]
    with Crowd() as crowd:
        code, output = playbook("site.yml", inventory=inventory)
        assert code == 0, output
        assert {asked()["host"] for _turn in range(8)} == {APP1}
        code, output = playbook("site.yml", inventory=inventory)
        assert code == 0, output
        assert set(re.findall(r"changed=(\d+)", output)) == {"0"}
        for name in (WWW1, WWW2):
            assert hosts[name].run("grep -r 10.98.35.22 /etc/nginx/tornadoes").stdout == ""
        assert (
            hosts[APP2].run("systemctl list-units --state=loaded --plain --no-legend 'tornado-*'").stdout
            == ""
        )
        code, output = playbook("site.yml")
        assert code == 0, output
    assert crowd.lost == []
    assert {asked()["host"] for _turn in range(8)} == {APP1, APP2}


@pytest.mark.long
def test_all_hosts_reboot_one_after_the_other_and_nothing_is_lost(hosts, playbook, eventually):
    names = (WWW1, WWW2, APP1, APP2)
    with Restarts(*names) as restarts, Crowd() as crowd:
        code, output = playbook("playbooks/reboot.yml", timeout=900)
    assert code == 0, output
    assert sorted(restarts.seen) == sorted(names)
    assert crowd.lost == []
    noted_once(hosts, crowd, eventually)


def late(moment):
    """A moment that only --all has the time for."""
    return pytest.param(moment, marks=pytest.mark.long)


@pytest.mark.parametrize(
    "moment",
    [late("Pack the release"), late("Swap the ports"), late("Switch to the release"), "Keep the release"],
)
def test_a_controller_that_dies_leaves_one_release_everywhere(hosts, scenario, source, eventually, moment):
    inventories = [
        f"--inventory={one}" for one in (scenario / "hosts.yml", ROOT / "molecule/shared/inventory")
    ]
    command = ["ansible-playbook", *inventories, *deploy(source)]
    with Crowd() as crowd:
        run = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for line in run.stdout:
            if moment in line:
                break
        os.killpg(run.pid, signal.SIGKILL)
        died = time.monotonic()
        run.wait()
        assert eventually(lambda: len(releases(hosts)) == 1, seconds=60)
        time.sleep(max(0, 60 - (time.monotonic() - died)) if moment == "Keep the release" else 5)
    assert len(releases(hosts)) == 1
    assert crowd.lost == []
