"""Why a host's packages can't be installed is said, not only that they can't."""

from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.tornadoes.tornadoes.plugins.action.packages import ActionModule, reason

UPDATES = {
    "W: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Temporary failure resolving "
    "'deb.debian.org'": "Temporary failure resolving 'deb.debian.org'",
    "E: Release file for http://deb.debian.org/debian/dists/trixie/InRelease is not valid yet "
    "(invalid for another 364d 2h).": "is not valid yet (invalid for another 364d 2h)",
    "E: Malformed entry 1 in list file /etc/apt/sources.list (Suite)": "Malformed entry 1 in list file",
}


@pytest.mark.parametrize("update", UPDATES)
def test_what_apt_says_of_its_lists_is_the_reason(monkeypatch, update):
    """Without DNS the module apt tried for a minute, and ended with \"after 5 retries: \" and nothing."""
    action = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args={"name": ["nginx"]})
    failed = {"failed": True, "msg": "Failed to update apt cache after 5 retries: "}
    monkeypatch.setattr(ActionBase, "run", lambda *_words: {})
    action._execute_module = lambda **_words: dict(failed)
    said = {"stdout": f"Err:1 http://deb.debian.org/debian trixie InRelease\n{update}\n"}
    action._low_level_execute_command = lambda *_words, **_more: said
    sentence = action.run(task_vars={"inventory_hostname": "www1"})["msg"]
    assert sentence.startswith("www1 can't read the lists of its packages: ")
    assert UPDATES[update] in sentence
    for failed["msg"] in (
        "No package matching 'nginxx' is available",
        "no available installation candidate for nginxx",
    ):
        sentence = action.run(task_vars={"inventory_hostname": "www1"})["msg"]
        assert sentence.startswith(
            "www1 has no package 'nginxx'. Where that is from tornado_app_packages, give"
        )
    failed["msg"] = "dpkg was interrupted"
    assert action.run(task_vars={"inventory_hostname": "www1"})["msg"] == failed["msg"]


def test_an_update_that_says_nothing_has_no_reason():
    assert reason("Reading package lists... Done\n") == ""
