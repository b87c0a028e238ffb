"""How much load there is time for."""

import pytest


@pytest.fixture(scope="session")
def full(long):
    """Words for the load client: all kinds of clients, slow ones shorter where time is short."""
    return [] if long else ["--download-seconds", "4", "--poll-seconds", "4"]
