"""How releases follow each other: what is bad, where the way back leads, what goes."""

import json
import re
import time


def processes(host):
    """Keepers and processes of the releases."""
    return host.check_output("pgrep --full --list-name 'keeper.py|tornado_app_runner'")


def test_deploying_the_same_again_touches_nothing(app, host):
    before = processes(host)
    code, output = app.deploy()
    assert code == 0
    assert "changed=0" in output
    assert processes(host) == before


def test_arguments_that_the_program_refuses_are_a_bad_release(app):
    before, served = app.current(), app.releases()
    code, output = app.deploy("-e", json.dumps({"tornado_app_arguments": ["--no-such-option=1"]}))
    assert code == 2
    assert "no-such-option" in output
    assert (app.current(), app.releases()) == (before, served)


def test_a_release_that_is_taken_at_last_is_bad_no_longer(app, host):
    wanted = "/var/lib/tornado-load/wanted"
    app.write(lambda text: f"open('{wanted}').close()\n{text}")
    assert app.deploy()[0] == 2
    bad = app.status()["bad"]
    host.check_output(f"touch {wanted}")
    assert app.deploy()[0] == 0
    assert app.current() in bad
    assert app.current() not in app.status()["bad"]


def test_a_command_that_fails_stops_the_deploy_before_any_swap(app):
    before, served = app.current(), app.releases()
    app.write()
    code, output = app.deploy("-e", json.dumps({"tornado_app_before_activation": ["python -c 1/0"]}))
    assert code == 2
    assert "ZeroDivisionError" in output
    assert (app.current(), app.releases()) == (before, served)


def test_an_environment_outlives_a_release_whose_program_is_not_there(app, host):
    requirements = app.source / "requirements.txt"
    requirements.write_text("tornado==6.4.2\n")
    before = set(host.check_output("ls /srv/load/venvs").split())
    code, output = app.deploy("-e", json.dumps({"tornado_app_main": "-m servr"}))
    assert code == 2
    assert "neither the source nor its environment has a module servr that runs" in " ".join(output.split())
    [made] = set(host.check_output("ls /srv/load/venvs").split()) - before
    built = host.file(f"/srv/load/venvs/{made}/.complete").mtime
    assert app.deploy()[0] == 0
    assert host.check_output("realpath /srv/load/current/.release/venv") == f"/srv/load/venvs/{made}"
    assert host.file(f"/srv/load/venvs/{made}/.complete").mtime == built
    requirements.unlink()


def test_a_rollback_skips_what_is_bad_and_a_deploy_undoes_it(app, host):
    status = app.status()
    good, bad, last = status["previous"], status["bad"], status["current"]
    assert bad
    assert good not in ("", last, *bad)
    # No index, no source: the way back needs nothing from outside.
    code, output = app.deploy("-e", "tornado_app_source=/nowhere", book="rollback")
    assert code == 0, output
    assert app.current() == good
    assert set(app.releases().values()) == {good}
    assert app.deploy("-e", f"tornado_app_release={last}", book="rollback")[0] == 0
    assert set(app.releases().values()) == {last}
    app.write()
    note = 'python -c \'import os; open("/var/lib/tornado-load/%s", "a").write(os.getcwd())\''
    words = {f"tornado_app_{when}_activation": [note % when] for when in ("before", "after")}
    code, output = app.deploy("-e", json.dumps(words))
    assert code == 0
    assert f"load was rolled back to {last}" in output
    assert app.current() not in (good, last)
    # Once, in the new release, as the app's user.
    for when in ("before", "after"):
        said = host.file(f"/var/lib/tornado-load/{when}")
        assert (said.content_string, said.user) == (f"/srv/load/releases/{app.current()}", "tornado-load")


# What a process may, and each mount that it sees, in its files of /proc. Those below /sys/fs/cgroup are the
# container's, not the sandbox's, and share a hierarchy with other test hosts: one was there for the command
# and gone a moment later.
RIGHTS = re.compile(
    r"^(?:(?:Uid|Gid|Groups|Cap\w+|NoNewPrivs|Seccomp\w*|Umask):.*|\S+ /(?!sys/fs/cgroup/).* \d \d)$",
    re.MULTILINE,
)


def test_a_command_sees_what_an_instance_sees(app, host):
    app.write()
    host.check_output("install --directory --mode=777 /var/cache/tornado-load-tmp && touch /tmp/of-the-host")
    seen = "/var/lib/tornado-load/seen"
    # Its rights, its files and its /tmp, as the kernel has them.
    words = f"cat /proc/self/status /proc/self/mounts > {seen}; ls /tmp > {seen}-files"
    command = f"sh -c '{words}'"
    code, output = app.deploy("-e", json.dumps({"tornado_app_before_activation": [command]}))
    assert code == 0, output
    pid = app.status()["ports"]["8000"]["pid"]

    instance = RIGHTS.findall(host.check_output(f"cat /proc/{pid}/status /proc/{pid}/mounts"))
    assert len(instance) > 20
    assert sorted(RIGHTS.findall(host.check_output(f"cat {seen}"))) == sorted(instance)
    assert "of-the-host" not in host.check_output(f"cat {seen}-files")


def test_another_python_runs_the_program_and_its_commands_until_yet_another_is_there(app, host):
    # Debian's, at places of their own.
    real = host.check_output("realpath /usr/bin/python3").removeprefix("/usr/bin/")
    for place in ("one", "two"):
        host.check_output(f"mkdir --parents /opt/{place}/bin /opt/{place}/lib")
        host.check_output(f"cp /usr/bin/{real} /opt/{place}/bin && ln -s /usr/lib/{real} /opt/{place}/lib")
    python, said = "/opt/python", "/var/lib/tornado-load/python"
    host.check_output(f"ln -s one/bin/{real} {python}")
    command = f"sh -c 'readlink -f $(which python) > {said}'"
    words = json.dumps({"tornado_app_python": python, "tornado_app_before_activation": [command]})
    code, output = app.deploy("-e", words)
    assert code == 0, output

    def programs():
        ports = app.status()["ports"].values()
        return {host.check_output(f"readlink /proc/{one['pid']}/exe") for one in ports}

    assert programs() == {f"/opt/one/bin/{real}"}
    assert host.check_output(f"cat {said}") == f"/opt/one/bin/{real}"
    assert host.check_output("ls /srv/load/current/__pycache__")
    code, output = app.deploy("-e", words)
    assert (code, "changed=0" in output) == (0, True)
    host.check_output(f"ln -sf two/bin/{real} {python}")
    assert app.deploy("-e", words)[0] == 0
    assert programs() == {f"/opt/two/bin/{real}"}
    host.check_output("chmod 777 /opt/two/bin")
    before = processes(host)
    code, output = app.deploy("-e", words)
    assert code == 2
    assert "could be replaced, since others than root may write /opt/two/bin" in " ".join(output.split())
    assert processes(host) == before


def test_commands_that_a_killed_run_has_left_are_run_by_the_next_and_once(app, host):
    host.check_output(f"printf {app.current()} > /srv/load/after-activation.owed")
    words = ["-e", json.dumps({"tornado_app_after_activation": ["touch /var/lib/tornado-load/owed"]})]
    assert app.deploy(*words)[0] == 0
    assert host.file("/var/lib/tornado-load/owed").exists
    code, output = app.deploy(*words)
    assert (code, "changed=0" in output) == (0, True)


def test_a_reload_by_hand_swaps_or_says_why_not(app, host):
    pid = host.check_output("pgrep --full 'tornado_app_runner.py 8000 '")
    assert host.run("systemctl reload tornado-load@8000").rc == 0
    assert host.check_output("pgrep --full --newest 'tornado_app_runner.py 8000 '") != pid
    current, bad = app.current(), "bad0bad0bad0"
    releases = "/srv/load/releases"
    host.check_output(f"cp --archive {releases}/{current} {releases}/{bad}")
    host.check_output(f"echo 'raise SystemExit(1)' > {releases}/{bad}/server.py")
    host.check_output(f"ln --symbolic --force --no-dereference releases/{bad} /srv/load/current")
    try:
        assert host.run("systemctl reload tornado-load@8000").rc != 0
        time.sleep(1)
        last = host.check_output("journalctl --unit=tornado-load@8000 --lines=1 --output=cat")
        assert last.startswith(f"Refused: release {bad} on port 8000 ")
    finally:
        host.check_output(f"rm --recursive {releases}/{bad}")
        host.check_output(f"ln --symbolic --force --no-dereference releases/{current} /srv/load/current")
    assert app.releases()["8000"] == current


# A port that Tornado knows nothing of: what opens it beside the process before finds it taken.
CHILD = """import subprocess, sys
subprocess.Popen([sys.executable, "-m", "http.server", "--bind=127.0.0.1", "9099"])
"""


def test_a_port_that_nobody_listens_on_any_more_is_named(app, host, eventually):
    app.write(lambda text: CHILD + text)
    code, output = app.deploy()
    assert (code, "9099" in output) == (0, False)
    assert eventually(lambda: host.socket("tcp://127.0.0.1:9099").is_listening)
    app.write(lambda text: CHILD + text)
    code, output = app.deploy()
    assert code == 0
    said = "port 9099: the release before listened there, and nobody does now. See the log, and"
    assert said in " ".join(output.split())
    assert not host.socket("tcp://127.0.0.1:9099").is_listening


def test_old_releases_make_room_but_for_the_way_back(app, host):
    status = app.status()
    kept = host.check_output("ls /srv/load/releases").split()
    assert sorted(kept) == sorted(one["id"] for one in status["releases"])
    # tornado_app_keep_releases, of the many more that this scenario has made.
    assert len(kept) == 3 < len({one["release"] for one in status["history"]})
    assert {status["current"], status["previous"]} <= set(kept)
    venvs = {one["venv"] for one in status["releases"]}
    assert sorted(venvs) == sorted(host.check_output("ls /srv/load/venvs").split())
