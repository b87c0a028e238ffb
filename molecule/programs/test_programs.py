"""Programs that nobody adapted are swapped without a loss on this Debian's Python; the app runs on it."""

import pytest


@pytest.mark.parametrize("path", ["tornado_app/test_programs.py", "tornado_app/test_drain.py", "app"])
def test_the_oldest_and_the_newest_tornado_do_on_this_python(host, path):
    words = "-m pytest --verbose --tb=short -p no:cacheprovider -n 4"
    done = host.run(f"cd /opt/tornadoes && venv/bin/python {words} tests/{path}")
    print(done.stdout + done.stderr)
    assert done.rc == 0
    assert " skipped" not in done.stdout
