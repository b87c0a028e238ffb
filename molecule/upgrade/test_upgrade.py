"""What operators and visitors would lose when a host goes from Debian 12 to 13. In this order."""

import re

import pytest

CONFIRMED = "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
APT = f"DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --yes {CONFIRMED}"
MODEST = ["--rate", "50", "--new", "3", "--slow-posts", "3", "--download", "0", "--websockets", "20"]


@pytest.fixture(scope="module")
def pythons(app, host):
    """Which programs run the app."""

    def look():
        pids = [port["pid"] for port in app.status()["ports"].values()]
        return {host.check_output(f"readlink /proc/{pid}/exe") for pid in pids}

    return look


def nothing_lost(running):
    assert running.lost() == []
    assert running.report["kinds"]["post"]["answered"] > 100


def test_the_upgrade_loses_nothing(app, host, load, pythons):
    before = {port["pid"] for port in app.status()["ports"].values()}
    with load(*MODEST, "--http2", "10", "--seconds", "3600") as running:
        host.check_output("sed --in-place s/bookworm/trixie/g /etc/apt/sources.list")
        for step in ("update", "upgrade --without-new-pkgs", "full-upgrade"):
            host.check_output(f"{APT} {step}")
        # Or its timer does, soon.
        host.check_output("systemctl start tornado-load-libraries")
    nothing_lost(running)
    assert host.check_output("cut --delimiter=. --fields=1 /etc/debian_version") == "13"
    assert before.isdisjoint(port["pid"] for port in app.status()["ports"].values())
    assert pythons() == {"/usr/bin/python3.11"}


def test_what_runs_can_be_started_again_before_the_next_run(
    app, client, eventually, host, playbook, podman, pythons
):
    host.check_output("systemctl start tornado-load_job")
    podman("restart")
    assert eventually(lambda: client.ask("/healthz").status == 200, 90)
    assert eventually(lambda: set(app.releases()) == {"8000", "8001"})
    assert pythons() == {"/usr/bin/python3.11"}
    code, output = playbook("playbooks/check.yml")
    assert code == 0, output


def test_the_next_run_takes_the_new_python_and_loses_nothing(app, load, playbook, pythons):
    with load(*MODEST) as running:
        code, output = playbook("site.yml", timeout=600)
    assert code == 0, output
    nothing_lost(running)
    assert pythons() == {"/usr/bin/python3.13"}
    code, output = playbook("site.yml")
    assert code == 0, output
    assert re.search(r"tornadoes-upgrade +: ok=\d+ +changed=0 ", output)
    code, output = playbook("playbooks/check.yml")
    assert code == 0, output


def test_a_release_whose_python_is_gone_is_not_gone_back_to_and_not_called_bad(app, host):
    current, older = app.current(), app.status()["previous"]
    host.check_output(f"{APT} autoremove")
    code, output = app.deploy(book="rollback")
    assert code != 0
    why = "it needs /usr/bin/python3.11, which is not on the host any more, and a deploy of its source makes"
    assert why in " ".join(output.split())
    assert app.status()["bad"] == []
    assert app.releases() == {"8000": current, "8001": current}
    assert app.status()["previous"] == older
