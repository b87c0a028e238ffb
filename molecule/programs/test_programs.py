"""Programs that nobody adapted are swapped without a loss on this Debian's own Python."""

import pytest


@pytest.mark.parametrize("file", ["test_programs.py", "test_drain.py"])
def test_the_oldest_and_the_newest_tornado_do_on_this_python(host, file):
    words = "-m pytest --verbose --tb=short -p no:cacheprovider"
    done = host.run(f"cd /opt/tornadoes && venv/bin/python {words} tests/tornado_app/{file}")
    print(done.stdout + done.stderr)
    assert done.rc == 0
    assert " skipped" not in done.stdout
