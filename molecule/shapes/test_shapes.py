"""Programs that nobody adapted, deployed by the lines that docs/programs.md shows."""

import pytest
from conftest import ROOT
from visits import Visits

MADE = ROOT / ".cache/shapes"
# Where the words that it answers with stand in its source, and what they are.
APPS = {
    "packaged": ("common.py", "Hello"),
    "settings": ("evening.conf", "Good evening"),
    "factory": ("common.py", "Hello"),
}


@pytest.mark.parametrize("name", APPS)
def test_it_answers_through_nginx(client, name):
    answer = client.ask("/", host=f"{name}.example.org")
    assert (answer.status, answer.body.decode()) == (200, f"{APPS[name][1]}, friendly user!")


@pytest.fixture(scope="module")
def heard(client, playbook):
    """One deploy of the three changed programs: what their visitors heard meanwhile, in order."""
    for name, (file, words) in APPS.items():
        source = MADE / name / file
        source.write_text(source.read_text().replace(words, f"Welcome to {name}"))
    with Visits(client, {f"{name}.example.org": "/" for name in APPS}) as visits:
        code, _output = playbook("playbooks/deploy.yml")
    assert code == 0
    return {name: visits.heard[f"{name}.example.org"] for name in APPS}


@pytest.mark.parametrize("name", APPS)
def test_a_changed_release_takes_over_without_a_lost_request(heard, name):
    old, new = f"{APPS[name][1]}, friendly user!", f"Welcome to {name}, friendly user!"
    print(len(heard[name]), "answers")
    assert set(heard[name]) == {(200, old), (200, new)}
    assert heard[name][0] == (200, old)
    assert heard[name][-1] == (200, new)
