"""What visitors and the operator of a host would lose when the project is updated."""

import re
import time


def lost_but_to_the_older_nginx(report):
    """What failed, but for what the older project's nginx closes when it ends.

    Its answers do not tell clients to come again before that, so a request may be on its way on an idle
    connection. It is the one moment in which an update of the project can lose any.
    """
    kinds = report["kinds"].values()
    failures = [one for found in kinds for one in found["failures"]]
    unlisted = sum(found["failed"] + found["wrong"] for found in kinds) - len(failures)
    closed = "closed without an answer"
    lost = [one for one in failures if not (one["connection_reused"] and one["reason"] == closed)]
    return lost + [f"{unlisted} more"] * bool(unlisted)


def test_the_first_run_of_the_newer_project_loses_no_request(app, host, load, playbook):
    older = app.current()
    with load("--rate", "100", "--slow-posts", "5", "--websockets", "50") as running:
        time.sleep(2)
        code, _output = playbook("site.yml")
        time.sleep(2)
    assert code == 0
    assert lost_but_to_the_older_nginx(running.report) == []
    assert running.report["wrong"] == 0
    assert older in host.check_output("ls /srv/load/releases")


def test_the_second_run_changes_nothing(playbook):
    code, output = playbook("site.yml")
    assert code == 0
    assert re.search(r"tornadoes-update +: ok=\d+ +changed=0 ", output)


def test_the_host_is_in_order(playbook):
    code, output = playbook("playbooks/check.yml")
    assert code == 0, output


def test_a_release_of_the_older_project_can_be_gone_back_to(app, load):
    newer = app.current()
    with load("--rate", "100") as running:
        time.sleep(1)
        code, output = app.deploy(book="rollback")
        time.sleep(1)
    assert code == 0, output
    assert app.current() != newer
    assert running.lost() == []
