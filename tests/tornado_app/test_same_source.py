"""Hosts that were asked for the same get the same, or none of them gets anything."""

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.same_source import (
    apart,
    behind,
    refusal,
    running,
    to_deploy,
    to_go_back_to,
)


def packed(release, code, asked="v1"):
    """What a host has got packed."""
    return {"app": "chat", "id": release, "code": code, "asked": asked}


def test_a_source_that_changes_between_two_hosts_is_refused():
    found = apart({"one": packed("aa", "1"), "two": packed("bb", "2"), "three": packed("aa", "1")})
    assert refusal("chat", "deployed", found) == (
        "tornado_app_source: it has changed while it was packed for one host of chat after the other: aa on"
        " one and three, bb on two. Try again when nothing writes to it, or give a tag or commit"
        " (tornado_app_version)."
    )


@pytest.mark.parametrize(
    "two",
    [
        packed("aa", "1"),
        packed("bb", "1"),  # another Python, or another argument
        packed("bb", "2", asked="v2"),  # a version of its own
        {},  # busy with another app
    ],
)
def test_hosts_may_differ_in_what_is_their_own(two):
    assert apart({"one": packed("aa", "1"), "two": two}) == {}


def host(previous, *entries):
    """What a host says of its app. entries: release and code of its history."""
    lines = [{"release": release, "event": "deployed", "code": code} for release, code in entries]
    return {"__tornado_app_before": {"previous": previous, "history": lines}}


def test_a_host_that_missed_a_release_is_not_taken_further_back_than_the_others():
    one, two = host("bb", ("aa", "1"), ("bb", "2"), ("cc", "3")), host("aa", ("aa", "1"), ("cc", "3"))
    found = apart({"one": to_go_back_to(one, ""), "two": to_go_back_to(two, "")})
    assert found == {"bb": ["one"], "aa": ["two"]}
    assert "is not of one source: bb on one, aa on two. Say which" in refusal("chat", "rolled back", found)
    assert apart({"one": to_go_back_to(one, "aa"), "two": to_go_back_to(two, "aa")}) == {}


def test_releases_from_before_this_was_written_down_go_back():
    one, two = host("bb", ("bb", "2"), ("cc", "3")), host("aa", ("cc", "3"))
    two["__tornado_app_before"]["history"].insert(0, {"release": "aa", "event": "deployed"})
    assert apart({"one": to_go_back_to(one, ""), "two": to_go_back_to(two, "")}) == {}


def test_what_is_packed_for_another_app_says_nothing():
    assert to_deploy({"__tornado_app_release": packed("aa", "1")}, "wiki") == {}
    assert to_deploy({}, "chat") == {}


def there(release, code, at):
    """What a host runs."""
    lines = [{"release": release, "event": "deployed", "at": at, "code": code}]
    lines.append({"release": "later", "event": "refused", "at": "2026-05-05T00:00:00Z", "code": "9"})
    return running({"current": release, "history": lines})


def test_a_host_that_has_missed_a_release_is_told_of_and_no_other_is():
    hosts = {
        "one": there("aa", "1", "2026-03-01T00:00:00Z"),
        "two": there("bb", "2", "2026-04-01T00:00:00Z"),
        "three": there("cc", "2", "2026-04-01T00:00:01Z"),
    }
    assert behind("chat", "one", hosts) == (
        "chat: cc, which two and three came to at 2026-04-01T00:00:01Z, has not come to one: it runs aa, of"
        " another source. Deploy it there as well."
    )
    assert behind("chat", "two", hosts) == behind("chat", "three", hosts) == ""


def test_a_host_that_never_had_the_app_or_has_not_written_down_its_source_is_left_alone():
    hosts = {"one": running({"current": "", "history": []}), "two": there("bb", "2", "2026-04-01T00:00:00Z")}
    assert behind("chat", "one", hosts) == behind("chat", "two", hosts) == ""
