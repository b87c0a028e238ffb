"""How figures are taken, written down and drawn."""

import json
import xml.etree.ElementTree

import bars
import lab
import pytest
import tutorial
from visitor import ROOT


def test_whatever_else_the_machine_does_meets_all_ways():
    asked = []
    found = lab.rounds({name: lambda name=name: asked.append(name) or len(asked) for name in "ab"}, 3)
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_a_ratio_is_of_one_round():
    assert lab.spread(lab.ratio([10, 30, 9], [5, 10, 9])) == {"median": 2, "min": 1, "max": 3, "of": 3}


def test_a_report_has_machine_and_versions_and_a_line_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lab, "versions", lambda: {"nginx": "1"})
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    monkeypatch.setattr(lab, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(lab, "SMOKE", False)
    report = lab.Report("example", "median")
    report.figure("cell", "requests/s", [3.0, 1.0, 2.0], clients=64)
    report.row("cell", lab.show([3.0, 1.0, 2.0]))
    report.write()
    head, line = map(json.loads, (tmp_path / "figures/example.jsonl").read_text().splitlines())
    assert head["machine"]["cores"] >= 1
    assert head["versions"] == {"nginx": "1"}
    assert line == {
        "figure": "example",
        "what": "cell",
        "unit": "requests/s",
        "clients": 64,
        "median": 2.0,
        "min": 1.0,
        "max": 3.0,
        "of": 3,
    }
    assert "2 (1 to 3)" in capsys.readouterr().out


def test_the_tutorials_configuration_differs_from_its_listings_where_it_says_so():
    text = tutorial.configuration()
    for line in ("worker_processes 5;", "worker_connections 1024;", "proxy_pass http://tornadoes;"):
        assert line in text
    for line in ("ssl on;", "keepalive", "Upgrade", "/path/to"):
        assert line not in text
    assert [f"server 127.0.0.1:{port};" in text for port in tutorial.PORTS] == [True] * 4
    assert "Upgrade" in tutorial.configuration(sockets=True)


@pytest.mark.parametrize("name", bars.CHARTS)
def test_what_was_seen_is_drawn(name):
    root = xml.etree.ElementTree.fromstring(bars.draw(name))
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) >= 1 + 2 * 3  # a title; a cell's name and its two bars
    assert (ROOT / f"docs/{name}.svg").read_text() == bars.draw(name)
