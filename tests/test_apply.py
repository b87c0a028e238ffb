"""What a run says where a module has crashed, which says no sentence of its own."""

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.apply import call, look


def action(**done):
    """An action whose modules return that, as Ansible hands it on."""
    return SimpleNamespace(_execute_module=lambda **_words: done)


def crashed():
    """What Ansible makes of a module that has ended by an exception: its class differs by version."""
    return {
        "failed": True,
        "exception": SimpleNamespace(event=SimpleNamespace(msg="[Errno 5] Input/output error")),
    }


def test_a_module_that_has_crashed_says_why():
    """It said nothing but that the host can't be looked at."""
    assert "[Errno 5] Input/output error" in call(action(**crashed()), "wellness", {}, {})["msg"]
    with pytest.raises(AnsibleError, match=r"www1 can't be looked at: .*Errno 5. Input/output error"):
        look(action(**crashed()), {}, {"inventory_hostname": "www1"})


def test_a_module_that_fails_keeps_its_sentence():
    assert call(action(failed=True, msg="no"), "wellness", {}, {})["msg"] == "no"
    assert look(action(answers={"web": {}}), {}, {}) == {"web": {}}
