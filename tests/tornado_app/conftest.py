"""A keeper on a port of its own, for each test."""

import pytest
from port import Port


@pytest.fixture
def port(tmp_path):
    """A Port without a release; what it said is shown when the test fails."""
    made = Port(tmp_path)
    yield made
    made.stop()
    if made.log.exists():
        print(made.log.read_text()[-4000:])
