"""The README quotes files that tests run."""

import re

import pytest
from rendering import ROOT

QUOTES = re.findall(r"<!-- from (\S+) -->\n```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("path", "text"), QUOTES, ids=[path for path, _text in QUOTES])
def test_the_readme_quotes_the_file_to_the_letter(path, text):
    assert (ROOT / path).read_text().removeprefix("---\n") == text


def test_ten_lines_are_enough():
    assert len(QUOTES) == 2
    assert sum(len(text.splitlines()) for _path, text in QUOTES) <= 10


def test_links_lead_somewhere():
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (ROOT / link).exists(), link
