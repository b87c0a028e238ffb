"""The inventory changes: what has left it is gone after one run. Last, since it changes the host."""

import json

import pytest
import yaml
from client import Client
from conftest import ROOT


@pytest.fixture(scope="module")
def changed(scenario):
    """The inventory of tomorrow: a port less, a site renamed, an app and its site gone."""
    apps = yaml.safe_load((scenario / "group_vars/tornado_app.yml").read_text())["tornado_app_apps"]
    sites = yaml.safe_load((scenario / "group_vars/nginx_proxy.yml").read_text())["nginx_proxy_sites"]
    apps[0]["state"] = "absent"
    apps[1].update(ports=[9201], secrets={"cookie_secret": "another-horse"})
    old = sites[0]["names"]
    sites[0].update(names=["new.example.test"], upstreams=["127.0.0.1:9201"])
    sites[1]["state"] = "absent"
    sites[2].update(upstreams=["127.0.0.1:9201", "127.0.0.1:9299"], favicon="/srv/nowhere.ico")
    sites.append({"names": old, "state": "absent"})
    return ["-e", json.dumps({"tornado_app_apps": apps, "nginx_proxy_sites": sites})]


@pytest.fixture(scope="module")
def run(host, playbook, changed):
    """What the run with that inventory printed, --diff and all."""
    host.check_output("echo precious > /var/lib/tornado-hello/data")
    host.check_output("printf 'server { listen 127.0.0.1:7001; }' > /etc/nginx/sites-enabled/theirs")
    code, output = playbook("site.yml", "--diff", *changed)
    assert code == 0
    return output


def test_no_site_goes_without_being_asked_to(client, container, host, playbook, scenario):
    http, https = container[1]["test_host_ports"]
    www = Client(http, https, str(ROOT / ".cache/alternative/ca.pem"))
    sites = yaml.safe_load((scenario / "group_vars/nginx_proxy.yml").read_text())["nginx_proxy_sites"]
    kept = host.check_output("find /etc/nginx/certificates -type f -exec sha256sum {} + | sort")
    renamed = [{**sites[0], "names": ["new.example.test"]}, *sites[1:]]
    for listed, missing in (
        ([], "both.example.org"),
        (sites[1:], "www.example.test"),
        (renamed, "www.example.test"),
    ):
        code, output = playbook("playbooks/publish.yml", "-e", json.dumps({"nginx_proxy_sites": listed}))
        assert (code != 0, "changed=0" in output) == (True, True)
        assert f"an entry {{names: ['{missing}'], state: absent}}" in " ".join(output.split())
    assert host.check_output("find /etc/nginx/certificates -type f -exec sha256sum {} + | sort") == kept
    assert www.ask("/request", host="www.example.test").status == 200


def test_the_names_of_a_site_may_change_places(playbook, scenario):
    sites = yaml.safe_load((scenario / "group_vars/nginx_proxy.yml").read_text())["nginx_proxy_sites"]
    sites[2]["names"] = ["new.example.org", "both.example.org"]
    code, _output = playbook("playbooks/validate.yml", "-e", json.dumps({"nginx_proxy_sites": sites}))
    assert code == 0


def test_no_secret_is_in_what_the_run_prints(run):
    assert "another-horse" not in run
    assert "correct-horse" not in run
    assert "PRIVATE KEY" not in run


def test_a_port_that_left_the_list_is_gone(run, host):
    assert not host.socket("tcp://127.0.0.1:9202").is_listening
    assert host.check_output("systemctl list-units --all --plain --no-legend 'tornado-probe@9202*'") == ""
    assert host.check_output("find /etc/systemd/system -name '*9202*'") == ""
    assert "9202" not in host.check_output("nginx -T 2>/dev/null")


def test_a_renamed_site_answers_to_its_new_name_alone(run, container):
    http, https = container[1]["test_host_ports"]
    www = Client(http, https, str(ROOT / ".cache/alternative/ca.pem"))
    assert www.ask("/request", host="new.example.test").status == 200
    with pytest.raises(OSError, match=r"(?i)ssl|reset|closed"):
        www.ask("/request", host="www.example.test")
    assert www.ask("/", scheme="http", host="www.example.test").status == 421


def test_an_app_that_shall_be_absent_leaves_nothing_but_its_data(run, host):
    assert not host.file("/srv/hello").exists
    assert not host.user("tornado-hello").exists
    assert not host.group("tornado-hello").exists
    # But for the run's own lock, which the next boot forgets.
    lock = "-not -name '*.lock' -not -name '*.step'"
    assert host.check_output(f"find /etc /usr /var/cache /var/log /run -name '*tornado-hello*' {lock}") == ""
    assert host.check_output("systemctl list-units --all --plain --no-legend 'tornado-hello*'") == ""
    data = host.file("/var/lib/tornado-hello")
    assert (data.user, data.mode) == ("root", 0o700)
    assert host.file("/var/lib/tornado-hello/data").content_string == "precious\n"
    assert "Its data stays in /var/lib/tornado-hello" in run


def test_a_site_that_shall_be_absent_is_gone(run, client, host):
    assert client.ask("/", scheme="http", host="plain.example.org").status == 421
    assert "plain.example.org" not in host.check_output("nginx -T 2>/dev/null")


def test_what_leads_nowhere_is_named(run):
    said = "nginx_proxy_sites: 127.0.0.1:9299, /srv/nowhere.ico is not there on tornadoes-alternative."
    assert said in " ".join(run.split())


def test_a_foreign_site_is_named_and_left_alone(run, host):
    assert "theirs" in run
    assert host.socket("tcp://127.0.0.1:7001").is_listening


def test_the_run_after_it_changes_nothing(run, playbook, changed):
    code, output = playbook("site.yml", *changed)
    assert (code, "changed=0" in output) == (0, True)


def test_a_verb_refuses_to_guess_which_app_is_meant(run, playbook):
    code, output = playbook("playbooks/deploy.yml", "-e", "tornado_app_version=v1")
    assert code != 0
    assert "Say which one with -e tornado_app_name=NAME: hello, probe" in output
    code, output = playbook("playbooks/rollback.yml")
    assert code != 0
    assert "Say which one with -e tornado_app_name=NAME: hello, probe" in output


def test_who_wants_a_terminal_for_sudo_is_told_what_to_change(run, host, playbook, changed):
    host.check_output("echo 'Defaults requiretty' > /etc/sudoers.d/terminal")
    words = ["-e", "tornado_app_name=probe", "-e", "ansible_pipelining=false"]
    try:
        code, output = playbook("playbooks/deploy.yml", *changed, *words)
    finally:
        host.check_output("rm /etc/sudoers.d/terminal")
    assert code != 0
    assert "take requiretty out of its sudoers" in output
