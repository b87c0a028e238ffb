"""What is killed, hangs or runs full costs nobody more than what was inside it."""

import json
import time

import pytest
import yaml

# Only what can be counted on when a process dies: GETs, which nginx may ask again elsewhere.
CALM = ["--slow-posts", "0", "--download", "0", "--polls", "0", "--websockets", "0"]
PORTS = ("8000", "8001", "8002", "8003")


def test_a_killed_instance_costs_no_get(app, host, load, runner):
    with load(*CALM) as running:
        time.sleep(1)
        for port in PORTS[:3]:
            host.check_output(f"kill -KILL {runner(port)}")
            time.sleep(1)
    assert set(app.releases()) == set(PORTS)
    lost = running.lost()
    # A POST that was inside may have done its work: nobody may send it again.
    assert [one for one in lost if one[0] == "get"] == []
    assert len(lost) <= 3 * 16


@pytest.mark.parametrize("how", ["stopped", "blocked"])
def test_an_instance_that_hangs_is_replaced_and_the_others_go_on(host, load, runner, how, eventually):
    before = runner("8001")
    with load(*CALM, "--rate", "100") as running:
        time.sleep(1)
        begun = time.time()
        if how == "stopped":
            host.check_output(f"kill -STOP {before}")
        else:
            host.run("curl --silent --max-time 1 --request POST --data '' http://127.0.0.1:8001/block")
        # tornado_app_watchdog is 4 s here, and up to 8 more where the keeper waits for a processor;
        # a new process needs a moment.
        assert eventually(lambda: runner("8001") not in (before, ""), seconds=14)
        ended = time.time()
    # What was inside, and no more: nginx had that many requests under way there.
    assert len(running.lost()) <= 16
    # The others did not wait for it: there is no second without answers.
    counts = dict.fromkeys(range(int(begun) + 1, int(ended)), 0)
    for bucket in running.report["timeline"]:
        counts[int(bucket["t"])] = counts.get(int(bucket["t"]), 0) + bucket["answered"]
    assert counts
    assert all(counts.values())
    assert "has not answered within 4 s" in host.check_output(
        "journalctl --unit=tornado-load@8001 --lines=20"
    )


def test_a_second_deploy_is_told_who_was_first(app, deploy):
    app.write()
    first = deploy()
    assert first.until("Build the release from source and settings")
    code, output = deploy().end()
    assert code == 2
    assert f"(pid {first.process.pid}), since 20" in output
    assert first.end()[0] == 0


# One moment of each phase of a deploy; script/test --all takes every task there is.
PHASES = [
    "Build the release from source and settings",
    "Install code, settings and secrets",
    "Swap the ports to the release",
]


def test_a_run_that_is_killed_is_healed_by_the_next(app, deploy, host, load, long):
    moments = PHASES
    if long:
        app.write()
        output = deploy().end()[1]
        moments = [
            line.split("[", 1)[1].split(" | ")[-1].rstrip("] *")
            for line in output.splitlines()
            if line.startswith("TASK [")
        ]
    with load(*CALM, "--rate", "100", "--new", "5") as running:
        for moment in moments:
            app.write()
            victim = deploy()
            assert victim.until(moment)
            victim.kill()
            assert set(app.releases()) == set(PORTS)
            # Where time is short, the next victim has to cope with what this one left.
            if long or moment == moments[-1]:
                code, output = deploy().end()
                assert code == 0, output
                current = host.check_output("basename $(readlink /srv/load/current)")
                assert set(app.releases().values()) == {current}
    assert running.lost() == []
    code, output = deploy().end()
    assert code == 0
    assert "changed=0" in output
    assert host.run("flock --nonblock /run/tornado-load.lock true").rc == 0
    assert host.check_output("find /srv/load -name '*.partial'") == ""


def test_a_release_whose_installation_is_killed_is_installed_by_the_next(app, deploy, host, kill_module):
    app.write()
    current = app.current()
    kill_module("ls -d /srv/load/releases/*.partial > /dev/null 2>&1")
    code, output = deploy().end()
    assert code != 0
    assert "was not installed, and no port was touched" in " ".join(output.split())
    assert set(app.releases().values()) == {current}
    code, output = deploy().end()
    assert code == 0, output
    assert current not in app.releases().values()


# nginx's configuration when the module is killed: about to be tested, or in place and not read.
MOMENTS = {
    "on trial": "test -L /etc/nginx/nginx.conf.next",
    "in place": 'test "$(readlink /etc/nginx/nginx.conf)" != {before}',
}


@pytest.mark.parametrize("moment", [pytest.param("on trial", marks=pytest.mark.long), "in place"])
def test_a_publish_that_is_killed_is_healed_by_the_next(
    client, host, kill_module, load, playbook, scenario, moment
):
    sites = yaml.safe_load((scenario / "group_vars/all.yml").read_text())["nginx_proxy_sites"]
    sites[0]["snippet"] = f'add_header X-Moment "{moment}";'
    publish = ("playbooks/publish.yml", "-e", json.dumps({"nginx_proxy_sites": sites}))
    kill_module(MOMENTS[moment].format(before=host.check_output("readlink /etc/nginx/nginx.conf")))
    with load(*CALM, "--rate", "100", "--new", "5") as running:
        assert playbook(*publish)[0] != 0
        assert client.ask("/").headers.get("x-moment") != moment
        assert playbook(*publish)[0] == 0
        assert client.ask("/").headers["x-moment"] == moment
        assert "changed=0" in playbook(*publish)[1]
    assert running.lost() == []


def test_a_full_disk_is_met_before_any_process_is_touched(app, deploy, host):
    before = app.releases()
    app.write(lambda text: text + "# " + "x" * 3 * 2**20 + "\n")
    mount = "/srv/load/releases"
    host.check_output(f"mkdir /var/full && cp --archive {mount}/. /var/full/")
    host.check_output(f"mount -t tmpfs -o size=2m tmpfs {mount} && cp --archive /var/full/. {mount}/")
    try:
        code, output = deploy().end()
        assert code == 2
        assert "was not installed, and no port was touched" in output
        assert host.check_output(f"find {mount} -name '*.partial'") == ""
    finally:
        host.check_output(f"umount --lazy {mount}; rm --recursive /var/full")
    assert app.releases() == before
    assert deploy().end()[0] == 0


def test_a_dead_package_index_is_met_before_any_process_is_touched(app, deploy, host):
    before = app.releases()
    app.write()
    host.check_output("printf '[global]\\nindex-url = http://127.0.0.1:9/\\n' > /etc/pip.conf")
    requirements = app.source / "requirements.txt"
    requirements.write_text("tornado==6.6.0\n")
    try:
        code, output = deploy().end()
        assert code == 2
        assert "was not installed, and no port was touched" in output
        assert app.releases() == before
    finally:
        requirements.unlink()
    # Only code has changed: no index is asked, no environment is built.
    venvs = host.check_output("ls /srv/load/venvs")
    assert deploy().end()[0] == 0
    assert host.check_output("ls /srv/load/venvs") == venvs


def test_a_reboot_in_the_middle_comes_up_on_what_was_proven(app, client, deploy, eventually, host, podman):
    proven = host.check_output("basename $(readlink /srv/load/current)")
    # Told to accept, the third port's process never does: two ports have swapped by then.
    stuck = "import tornado.tcpserver\n"
    start = "tornado.ioloop.IOLoop.instance().start()"
    hang = "tornado.tcpserver.add_accept_handler = lambda *_words: time.sleep(60)"
    app.write(
        lambda text: stuck + text.replace(start, f"if options.port == 8002:\n        {hang}\n    {start}")
    )
    victim = deploy()
    assert victim.until("Swap the ports to the release")
    assert eventually(lambda: app.releases().get("8001") not in (proven, None))
    assert app.releases()["8003"] == proven
    victim.kill()
    podman("restart")
    assert eventually(lambda: client.ask("/").status == 200, seconds=60)
    assert eventually(lambda: set(app.releases()) == set(PORTS))
    assert set(app.releases().values()) == {proven}
    app.write()
    assert deploy().end()[0] == 0
    assert json.loads(client.ask("/").body)["release"] == (app.source / "version.txt").read_text()
