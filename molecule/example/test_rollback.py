"""The way back. Last, since it changes the host."""

import shutil

from conftest import ROOT


def test_a_rollback_goes_to_the_release_before(host, playbook, scenario, tmp_path):
    inventory = [ROOT / "inventory/example", scenario / "hosts.yml"]
    good = host.check_output("basename $(readlink /srv/chat/current)")
    shutil.copytree(ROOT / "tests/samples/chat", tmp_path, dirs_exist_ok=True)
    (tmp_path / "new.txt").touch()
    source = f"tornado_app_source={tmp_path}"
    assert playbook("playbooks/deploy.yml", "-e", source, inventory=inventory)[0] == 0
    assert host.check_output("basename $(readlink /srv/chat/current)") != good
    assert playbook("playbooks/rollback.yml", inventory=inventory)[0] == 0
    assert host.check_output("basename $(readlink /srv/chat/current)") == good
    for port in (8000, 8001, 8002, 8003):
        assert f"Release {good}" in host.check_output(f"systemctl status tornado-chat@{port} --no-pager")
    # What it leaves is what a deploy leaves.
    assert "changed=0" in playbook("site.yml", inventory=inventory)[1]
