"""A queue's workers and a nightly job follow the releases of their app: a real Celery."""

import json
import re
import shutil

import pytest
from conftest import ROOT

SAMPLE = ROOT / "tests/samples/queue"
SECONDS = 4  # that a job goes on when its worker is to be swapped
SETTINGS = {
    "tornado_app_name": "queue",
    "tornado_app_main": "server.py",
    "tornado_app_ports": [8100],
    "tornado_app_environment": {"RESULT": "3"},
    "tornado_app_workers": [
        {
            "name": "mail",
            "command": "celery -A tasks worker -c 1 -n mail{instance}@%h",
            "count": 2,
            "stop_timeout": 20,
        }
    ],
    "tornado_app_timers": [{"name": "cleanup", "command": "python -m tasks", "calendar": "*-*-* 03:30:00"}],
}
NOTES = "/var/lib/tornado-queue/notes"


class Queue:
    """The app "queue" of this scenario, which no other test knows."""

    def __init__(self, playbook, host, source):
        self.playbook, self.host, self.source = playbook, host, source
        self.write("first")

    def write(self, version, more=""):
        """Another version of the source, with more at its end."""
        shutil.copytree(SAMPLE, self.source, dirs_exist_ok=True)
        tasks = self.source / "tasks.py"
        tasks.write_text(tasks.read_text().replace('"first"', f'"{version}"') + more)

    def run(self, book="deploy", **settings):
        """Run a playbook for it: the exit code, and what it printed."""
        given = {**SETTINGS, "tornado_app_source": str(self.source), **settings}
        return self.playbook(f"playbooks/{book}.yml", "-e", json.dumps(given))

    def status(self):
        """What the host says of it."""
        return json.loads(self.host.check_output("tornado-queue-status --json"))

    def send(self, seconds):
        """Give the queue a job, as the app's own account."""
        words = (
            "env HOME=/var/lib/tornado-queue PYTHONDONTWRITEBYTECODE=1 .release/venv/bin/python -m tasks send"
        )
        self.host.check_output(f"cd /srv/queue/current && runuser -u tornado-queue -- {words} {seconds}")

    def wait_for(self, note):
        """Wait until a job has written this; all that was written."""
        self.host.check_output(f"timeout 15 sh -c 'until grep -q \"{note}\" {NOTES}; do sleep 0.1; done'")
        return self.host.file(NOTES).content_string.splitlines()

    def processes(self):
        """The workers' processes, by their instances."""
        return {key: one["pid"] for key, one in self.status()["workers"].items()}


@pytest.fixture(scope="module")
def queue(playbook, host, tmp_path_factory):
    """The app with its first release; in the end nothing of it is left on the host."""
    made = Queue(playbook, host, tmp_path_factory.mktemp("queue") / "source")
    assert made.run()[0] == 0
    yield made
    assert made.run("prune", tornado_app_state="absent")[0] == 0
    # What the tests have noted, which a removal keeps.
    host.check_output("rm --recursive /var/lib/tornado-queue")
    left = "ls -d /srv/queue /run/tornado-queue /etc/systemd/system/*/tornado-queue*"
    assert host.run(f"{left} /etc/systemd/system/tornado-queue* /var/lib/systemd/timers/*queue*").stdout == ""
    assert host.check_output("systemctl list-units --all --no-legend 'tornado-queue*'") == ""


def test_a_job_that_runs_at_a_swap_ends_and_the_next_is_done_by_new_code(queue, host):
    # What the calendar would start runs on until the last test has it end.
    host.check_output("systemctl start --no-block tornado-queue_cleanup")
    queue.wait_for("first night begins")
    queue.send(SECONDS)
    queue.wait_for("first begins")
    queue.write("second")
    code, output = queue.run()
    assert code == 0, output
    queue.send(0)
    notes = [note for note in queue.wait_for("second ends") if "night" not in note]
    assert notes == ["first begins", "first ends", "second begins", "second ends"]
    status = queue.status()
    assert {one["release"] for one in status["workers"].values()} == {status["current"]}
    assert sorted(status["workers"]) == ["mail@1", "mail@2"]
    # Root alone says so: a program could else pretend to be the next release, and be left alone.
    said = "/run/tornado-queue/jobs/tornado-queue_mail@1.service"
    assert host.run(f"runuser -u tornado-queue -- sh -c 'echo > {said} || rm {said}'").rc != 0


def test_a_worker_that_ends_at_once_puts_ports_and_workers_back(queue):
    before = queue.status()
    queue.write("third", "\nif 'worker' in sys.argv:\n    sys.exit('no broker today')\n")
    # A busy machine takes its time to import Celery.
    code, output = queue.run(tornado_app_settle_time=10)
    assert code == 2
    assert f"(release {before['current']} goes on): the worker mail@" in output
    assert "no broker today" in output
    now = queue.status()
    assert now["current"] == now["ports"]["8100"]["release"] == before["current"]
    assert {(one["state"], one["release"]) for one in now["workers"].values()} == {
        ("active", before["current"])
    }
    assert len(now["bad"]) == 1


def test_a_second_run_restarts_nothing_and_a_worker_that_is_not_wanted_goes(queue):
    queue.write("second")
    before = queue.processes()
    code, output = queue.run()
    assert (code, "changed=0" in output) == (0, True)
    assert queue.processes() == before
    fewer = [{**SETTINGS["tornado_app_workers"][0], "count": 1}]
    code, output = queue.run(tornado_app_workers=fewer, tornado_app_keep_releases=1)
    assert code == 0, output
    assert re.search(r"worker mail@2: \w+ -> nothing", output)
    [(key, pid)] = queue.processes().items()
    assert key == "mail@1"
    assert pid not in before.values()


def test_a_job_keeps_its_release_and_its_last_result_is_told(queue, host):
    now = queue.status()
    job = now["timers"]["cleanup"]
    assert job["running"]
    assert job["next"] > job["last"]
    # Three releases later, with one to keep.
    assert job["release"] not in (now["current"], now["previous"])
    assert job["release"] in [one["id"] for one in now["releases"]]
    host.check_output("touch /var/lib/tornado-queue/morning")
    queue.wait_for("first night ends")
    code, output = queue.run("check")
    assert code == 2
    assert "queue: the last run of the timer cleanup ended with 3" in output
