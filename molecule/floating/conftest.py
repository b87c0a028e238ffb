"""Both hosts, and who has the address."""

import time

import pytest
from floating import Pair


@pytest.fixture(scope="session")
def pair(fleet, eventually):
    """Both hosts."""
    return Pair(fleet, eventually)


@pytest.fixture
def settled(pair):
    """Who has the address, and who has not, when both are well."""
    holder, other = pair.settle()
    time.sleep(1)
    return holder, other
