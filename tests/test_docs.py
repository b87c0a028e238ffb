"""The pages below docs/ quote files that tests run, and their links lead somewhere.

Write the quotes anew after a change of the files: python tests/test_docs.py
"""

import difflib
import re

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.cluster import ADDRESS, WEIGHT
from rendering import ROOT, load

PAGES = sorted((ROOT / "docs").glob("*.md"))
# A comment that says what is quoted, and the block below it.
QUOTE = re.compile(r"(?<=^<!-- )(from|diff) (.+?)( -->\n```\w*\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


def quoted(verb, words):
    """The text that `from FILE`, `from FILE: NAME` (an entry of a list) or `diff OLD NEW` stands for."""
    if verb == "diff":
        old, new = [(ROOT / path).read_text().splitlines() for path in words.split()]
        lines = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
        # Where in the file says the line itself, not its number.
        return "".join(f"{'@@' if line.startswith('@@') else line}\n" for line in lines)
    path, _colon, name = words.partition(": ")
    text = (ROOT / path).read_text().removeprefix("---\n")
    if not name:
        return text
    [entry] = re.findall(rf"^( *)(- name: {name}\n(?:\1  .*\n)+)", text, re.MULTILINE)
    return re.sub(rf"^{entry[0]}", "", entry[1], flags=re.MULTILINE)


QUOTES = [
    pytest.param(verb, words, text, id=f"{page.name}: {verb} {words}")
    for page in PAGES
    for verb, words, _mark, text in QUOTE.findall(page.read_text())
]


@pytest.mark.parametrize(("verb", "words", "text"), QUOTES)
def test_a_page_quotes_the_file_to_the_letter(verb, words, text):
    assert quoted(verb, words) == text, "write it anew: python tests/test_docs.py"


def test_no_quote_is_overlooked():
    marks = sum(len(re.findall(r"^<!-- (?:from|diff) ", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert marks == len(QUOTES) > 0


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page):
    text = page.read_text()
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", text):
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads]


def test_every_page_can_be_found_from_the_readme():
    for page in PAGES:
        assert f"(docs/{page.name})" in (ROOT / "README.md").read_text()


def test_what_was_proven_has_its_place():
    page = (ROOT / "docs/tornado.md").read_text()
    assert (
        len(re.findall(r"^<!-- proven: begin -->\n.+^<!-- proven: end -->$", page, re.MULTILINE | re.DOTALL))
        == 1
    )


def settings(block):
    """The roles' variables that a block sets: name of the role -> variables."""
    data = yaml.safe_load(block)
    # An entry alone is one of the apps.
    variables = {"tornado_app_apps": data} if isinstance(data, list) else data
    found = {}
    for name, value in variables.items():
        [role] = [
            one
            for one in ("tornado_app", "nginx_proxy", "keepalived", "redis_server")
            if name.startswith(f"{one}_")
        ]
        found.setdefault(role, {})[name] = value
    return found


ALL = [
    pytest.param(block, id=f"{page.name}: {block.partition(chr(10))[0]}")
    for page in PAGES
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
]
INVENTORIES = [one for one in ALL if one.values[0].startswith("# hosts.yml")]


@pytest.mark.parametrize("block", INVENTORIES)
def test_the_hosts_of_a_page_are_in_our_groups_and_say_what_we_read(block):
    for group, entry in yaml.safe_load(block).items():
        assert (ROOT / "roles" / group).is_dir()
        for said in entry["hosts"].values():
            assert set(said or {}) <= {ADDRESS, WEIGHT}


@pytest.mark.parametrize("block", [one for one in ALL if one not in INVENTORIES])
def test_the_lines_of_a_page_are_what_the_roles_take(block):
    for role, variables in settings(block).items():
        specs = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["variables"]["options"]
        assert ArgumentSpecValidator(specs).validate(variables).error_messages == []


def test_a_misspelt_line_of_a_page_would_be_noticed():
    [(role, variables)] = settings("- {name: x, port: [8000]}").items()
    specs = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["variables"]["options"]
    assert "port" in ArgumentSpecValidator(specs).validate(variables).error_messages[0]


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text()
        for verb, words, mark, block in QUOTE.findall(text):
            text = text.replace(f"{verb} {words}{mark}{block}", f"{verb} {words}{mark}{quoted(verb, words)}")
        page.write_text(text)
