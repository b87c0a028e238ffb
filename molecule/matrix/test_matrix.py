"""The app's black-box tests on each pair; what was proven is written into docs/tornado.md."""

import re
from pathlib import Path

import pytest
import yaml
from visitor import ROOT

PAIRS = yaml.safe_load((Path(__file__).parent / "group_vars/all.yml").read_text())["pairs"]
PAGE = ROOT / "docs/tornado.md"
BEGIN, END = "<!-- proven: begin -->\n", "<!-- proven: end -->"


@pytest.fixture(scope="session")
def proven():
    """What was found, pair by pair; written into the page when all of them are through."""
    found = {}
    yield found
    rows = [
        f"| {one['tornado']} | {one['python']} | {found.get(number)} |\n" for number, one in enumerate(PAIRS)
    ]
    table = "| Tornado | on | the app's black-box tests |\n|---|---|---|\n" + "".join(rows)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + table + END + rest.split(END)[1])


@pytest.mark.parametrize(
    "number", range(len(PAIRS)), ids=lambda number: "{tornado}-{python}".format(**PAIRS[number])
)
def test_the_app_does_on(host, proven, number):
    version = host.run(f"/opt/pair-{number} -c 'import tornado; print(tornado.version)'")
    if version.rc != 0:
        proven[number] = "not run: " + (version.stderr.strip().splitlines() or ["no interpreter"])[-1]
        pytest.skip(f"{PAIRS[number]}: {proven[number]}")
    assert version.stdout.startswith(str(PAIRS[number]["tornado"]))
    proven[number] = "FAILED"
    # The carried program has Tornados of its own.
    words = "-m pytest -v --tb=short -p no:cacheprovider -n 4 --ignore=tests/app/test_carried.py tests/app"
    python = f"TORNADOES_APP_PYTHONS=pair=/opt/pair-{number} venv/bin/python"
    done = host.run(f"cd /opt/tornadoes && {python} {words}")
    print(done.stdout + done.stderr)
    assert done.rc == 0
    assert " skipped" not in done.stdout
    [passed] = re.findall(r"(\d+) passed", done.stdout)
    proven[number] = f"{passed} passed"
