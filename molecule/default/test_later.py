"""What comes after the first run. Last, since it changes the host."""

import re

SERVED = "Hello, friendly user!"


def processes(host):
    """All processes of the site: instances, nginx with its workers."""
    return host.check_output("pgrep --full --list-name 'tornado_app_runner|nginx:'")


def test_a_run_after_a_reload_that_never_came_makes_up_for_it(host, playbook):
    # As if a run had been killed between writing nginx's configuration and its reload.
    before = processes(host)
    host.check_output("touch /etc/nginx/unread")
    code, output = playbook("playbooks/publish.yml")
    assert code == 0
    assert "No connection from here" not in output
    assert "answers" not in output
    assert processes(host) != before


def test_status_says_what_runs(host, playbook):
    release = host.check_output("basename $(readlink /srv/hello/current)")
    code, output = playbook("playbooks/status.yml")
    assert code == 0
    for port in (8000, 8001, 8002, 8003):
        assert re.search(rf"{port} +{release} +serving ", output)
    # And on the host, for whoever is there.
    assert f"hello: current release {release}" in host.check_output("tornado-hello-status")


def test_a_release_that_does_not_start_leaves_the_site_as_it_was(client, host, playbook, tmp_path):
    (tmp_path / "hello.py").write_text('raise SystemExit("I can not start today")\n')
    before = host.check_output("readlink /srv/hello/current")
    code, output = playbook("playbooks/deploy.yml", "-e", f"tornado_app_source={tmp_path}")
    assert code != 0
    assert "I can not start today" in output
    assert host.check_output("readlink /srv/hello/current") == before
    for port in (8000, 8001, 8002, 8003):
        assert host.check_output(f"curl --silent --max-time 10 http://127.0.0.1:{port}/") == SERVED
    assert client.ask("/").body.decode() == SERVED


def test_a_second_run_changes_restarts_and_reloads_nothing(host, playbook):
    before = processes(host)
    code, output = playbook("site.yml")
    assert code == 0
    assert "changed=0" in output
    assert processes(host) == before


def test_after_a_reboot_everything_serves_again(client, podman, host, eventually):
    podman("restart")
    assert eventually(lambda: client.ask("/").status == 200, seconds=60)
    assert eventually(lambda: host.run("systemctl is-system-running").stdout.strip() == "running")
    for port in (8000, 8001, 8002, 8003):
        assert host.check_output(f"curl --silent --max-time 10 http://127.0.0.1:{port}/") == SERVED
