"""Lock files as uv and Poetry wrote them, against what these tools say that they would install."""

import re

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import project
from packaging.requirements import Requirement
from rendering import ROOT

WILD = ROOT / "tests/samples/wild"
# uv export --no-dev, poetry export --only main; with an extra the second list as well.
NOTES = """
    jinja2==3.1.6 linkify-it-py==2.2.0 markdown-it-py==4.3.0 markupsafe==3.0.4 mdit-py-plugins==0.7.0
    mdurl==0.1.2 tornado==6.6.1
"""
WATCH = "anyio==4.16.0 idna==3.20 typing-extensions==4.16.0 watchfiles==1.3.0"
WEATHER = """
    anyio==4.16.0 arrow==1.4.0 certifi==2026.10.19.post1 click==8.5.1 h11==0.16.0 h2==4.4.1 hpack==4.2.0
    httpcore==1.0.9 httpx==0.28.1 hyperframe==6.1.0 idna==3.20 python-dateutil==4.0.0 tornado==6.6.1
    typing-extensions==4.16.0 tzdata==2026.6
"""
CACHE = "pyjwt==2.15.1 redis==5.3.1"


@pytest.mark.parametrize(
    ("name", "extras", "expected"),
    [
        ("notes", [], NOTES),
        ("notes", ["watch"], NOTES + WATCH),
        ("weather", [], WEATHER),
        ("weather", ["cache"], WEATHER + CACHE),
    ],
)
def test_what_the_tool_would_install_is_installed(name, extras, expected):
    found = project.plan(str(WILD / name), "pyproject.toml", extras, offline=False)
    needed = set()
    for line in found.first:
        need = Requirement(line.partition(" --hash=")[0])
        assert re.search(r" --hash=sha256:[0-9a-f]{64}\b", line)
        if not need.marker or need.marker.evaluate(
            {"python_version": "3.13", "python_full_version": "3.13.5"}
        ):
            needed.add(f"{need.name}{need.specifier}".replace("_", "-"))
    assert needed == set(expected.split())
    assert found.then == ["./"]
