"""Real programs, deployed by the lines that docs/programs.md shows, then once more under load."""

import json

import pytest
from client import Site
from conftest import ROOT
from visits import Visits
from wild_programs import PROGRAMS

MADE = ROOT / ".cache/wild"


def current(host, name):
    """The release that all ports of an app run."""
    status = json.loads(host.check_output(f"tornado-{name}-status --json"))
    [release] = {port["release"] for port in status["ports"].values()}
    assert release == status["current"]
    return release


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_does_its_work(client, name):
    PROGRAMS[name].use(Site(client, f"{name}.example.org"))


def tidied(host, eventually):
    """Run the nightly job, which puts a task into Celery's queue; what the worker has done last."""
    before = host.run("wc -l < /var/lib/tornado-flower/tidied").stdout
    host.check_output("systemctl start tornado-flower_nightly")
    assert eventually(lambda: host.run("wc -l < /var/lib/tornado-flower/tidied").stdout != before, 60)
    return host.check_output("tail -n 1 /var/lib/tornado-flower/tidied")


def test_a_worker_does_what_a_timer_asks_for(host, eventually):
    assert tidied(host, eventually) == "Tidied"


@pytest.fixture(scope="module")
def released(client, host, playbook):
    """One deploy of all programs, changed: their releases before, and what was heard of their sites."""
    before = {name: current(host, name) for name in PROGRAMS}
    for name, program in PROGRAMS.items():
        file = MADE / name / program.file
        file.write_text(file.read_text().replace(program.old, program.new))
    targets = {f"{name}.example.org": program.path for name, program in PROGRAMS.items()}
    with Visits(client, targets) as visits:
        code, _output = playbook("playbooks/deploy.yml", timeout=900)
    assert code == 0
    return before, visits.heard


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_next_release_loses_no_request(released, host, name):
    before, heard = released
    answers = heard[f"{name}.example.org"]
    print(len(answers), "answers")
    assert current(host, name) != before[name]
    assert [one for one in answers if one[0] != PROGRAMS[name].status] == []
    assert answers


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_next_release_does_its_work(released, client, name):
    PROGRAMS[name].use(Site(client, f"{name}.example.org"))


def test_worker_and_timer_are_of_the_next_release(released, host, eventually):
    assert tidied(host, eventually) == "All tidied"
