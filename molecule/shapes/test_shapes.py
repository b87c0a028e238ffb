"""Programs that nobody adapted, deployed by the lines that docs/programs.md shows."""

import threading
import time

import pytest
from conftest import ROOT

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
    found = {name: [] for name in APPS}
    done = threading.Event()

    def visit(name):
        while not done.is_set():
            answer = client.ask("/", host=f"{name}.example.org")
            found[name].append((answer.status, answer.body.decode()))
            time.sleep(0.2)

    for name, (file, words) in APPS.items():
        source = MADE / name / file
        source.write_text(source.read_text().replace(words, f"Welcome to {name}"))
    visitors = [threading.Thread(target=visit, args=[name]) for name in APPS]
    for visitor in visitors:
        visitor.start()
    try:
        code, _output = playbook("playbooks/deploy.yml")
        time.sleep(0.5)
    finally:
        done.set()
        for visitor in visitors:
            visitor.join()
    assert code == 0
    return found


@pytest.mark.parametrize("name", APPS)
def test_a_changed_release_takes_over_without_a_lost_request(heard, name):
    old, new = f"{APPS[name][1]}, friendly user!", f"Welcome to {name}, friendly user!"
    print(len(heard[name]), "answers")
    assert set(heard[name]) == {(200, old), (200, new)}
    assert heard[name][0] == (200, old)
    assert heard[name][-1] == (200, new)
