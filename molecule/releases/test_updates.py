"""Debian updates what the processes have in memory."""

# OpenSSL, the C library, the interpreter and its modules, as each Debian calls them.
PACKAGES = (
    "dpkg --search '*/libssl.so.3' '*/libc.so.6' '*/lib-dynload/_ssl.*' $(realpath /usr/bin/python3)"
    " | cut --delimiter=: --fields=1 | sort --unique | xargs"
)
# The app's processes that run what is not on the host any more.
OUTDATED = (
    "for one in $(grep --files-with-matches tornado-load /proc/[0-9]*/cgroup 2> /dev/null); do"
    r" grep --quiet ' r-xp .* (deleted)$' ${one%cgroup}maps 2> /dev/null && echo $one; done; true"
)


def test_an_update_replaces_keepers_and_processes_and_loses_nothing(app, host, load, eventually):
    def processes():
        return {number for one in app.status()["ports"].values() for number in (one["keeper"], one["pid"])}

    before, current, ports = processes(), app.current(), sorted(app.status()["ports"])
    with load("--download", "0", "--polls", "0") as running:
        packages = host.check_output(PACKAGES)
        host.check_output(f"DEBIAN_FRONTEND=noninteractive apt-get install --reinstall --yes {packages}")
        assert len(host.check_output(OUTDATED).split()) >= 2 * len(ports)
        # What its timer does.
        host.check_output("systemctl start tornado-load-libraries.service")
        assert eventually(lambda: host.check_output(OUTDATED) == "")
    assert running.lost() == []
    assert not before & processes()
    assert app.releases() == dict.fromkeys(ports, current)
    said = host.check_output("journalctl --unit=tornado-load-libraries --output=cat")
    for port in ports:
        assert f"port {port} of tornado-load runs /usr/" in said
    after = processes()
    host.check_output("systemctl start tornado-load-libraries.service")
    assert processes() == after


def test_who_does_not_want_that_has_none_of_it(app, host):
    assert host.service("tornado-load-libraries.timer").is_running
    code, output = app.deploy("-e", '{"tornado_app_replace_outdated": false}')
    assert code == 0, output
    assert host.check_output("systemctl list-units --all --plain --no-legend 'tornado-load-libraries*'") == ""
    assert host.check_output("find /etc/systemd -name 'tornado-load-libraries*'") == ""
