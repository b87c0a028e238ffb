"""Facts of an earlier play may lack what several hosts reach each other by."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.action.facts import without_addresses


@pytest.mark.parametrize(
    ("groups", "facts", "lacks"),
    [
        ({"tornado_app": ["one"], "nginx_proxy": ["one"]}, {}, False),
        ({"tornado_app": ["one", "two"]}, {"distribution": "Debian"}, True),
        ({"tornado_app": ["one"], "nginx_proxy": ["two"]}, {}, True),
        ({"tornado_app": ["one", "two"]}, {"interfaces": ["lo"]}, False),
    ],
)
def test_hosts_that_have_to_know_each_other_are_asked_for_their_addresses(groups, facts, lacks):
    assert without_addresses({"groups": groups, "ansible_facts": facts}) == lacks
