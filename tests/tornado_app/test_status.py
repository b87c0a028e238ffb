"""Where a rollback goes, from the history alone."""

import pytest
from tornado_app_status import previous


def entries(text):
    """A history: letters are deploys, letters in brackets are rollbacks."""
    return [{"release": one.strip("()"), "rollback": one.startswith("(")} for one in text.split()]


@pytest.mark.parametrize(
    ("history", "current", "kept", "target"),
    [
        ("a b c", "c", "abc", "b"),
        # A second rollback goes further back, not forth again.
        ("a b c (b)", "b", "abc", "a"),
        ("a b c (b) (a)", "a", "abc", ""),
        # A deploy after it counts as any other.
        ("a b c (b) d", "d", "abcd", "c"),
        # What was deployed again stands where it was deployed last.
        ("a b a", "a", "ab", "b"),
        # What is no longer on the host can't be gone back to.
        ("a b c", "c", "ac", "a"),
        ("a", "a", "a", ""),
        ("", "", "", ""),
    ],
)
def test_a_rollback_goes_to_the_release_before(history, current, kept, target):
    assert previous(entries(history), current, list(kept)) == target
