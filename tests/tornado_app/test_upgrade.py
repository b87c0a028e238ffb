"""An upgrade of Debian brings another Python: what runs stays whole, and what can't be started says why."""

import io
import json
import os
import types

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import host, rollout
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.modules import tornado_app_environment
from rendering import ROOT

PROGRAM = ROOT / "tests/samples/load"
SYSTEM = "/usr/bin/python3"
NOW = os.path.basename(os.path.realpath(SYSTEM))


def test_an_environment_is_of_the_python_of_today_and_not_of_the_link_to_the_newest(tmp_path, monkeypatch):
    (tmp_path / "python3.11").touch()
    (tmp_path / "python3").symlink_to("python3.11")
    told = {}

    def run(_unit, _program, feed, *_more, **_words):
        stream = io.BytesIO()
        feed(stream)
        told.update(json.loads(stream.getvalue().partition(b"\n")[0]))
        return 1, ["that will do"]

    monkeypatch.setattr(tornado_app_environment, "run", run)
    monkeypatch.setattr(tornado_app_environment, "holder", lambda _lock: "")  # root's
    names = ("name", "requirements", "version", "program")
    params = {**dict.fromkeys(names, "chat"), "path": str(tmp_path), "source": str(tmp_path)}
    params |= {"index": [], "offline": False, "steps": [], "python": str(tmp_path / "python3")}
    with pytest.raises(Refusal):
        tornado_app_environment.build(types.SimpleNamespace(params=params))
    assert told["python"] == str(tmp_path / "python3.11")


def test_what_an_environment_depends_on_is_named_by_its_version():
    assert host.system_python().startswith(f"{os.path.realpath(SYSTEM)} 3.")


@pytest.mark.parametrize(
    ("python", "made_for", "why"),
    [
        (f"/usr/bin/{NOW}", NOW, ""),
        # As the role has made them before it took the name with the version.
        (SYSTEM, NOW, ""),
        (SYSTEM, "python3.1", f"needs python3.1, and the host's Python is {NOW}"),
        ("/usr/bin/python3.1", "python3.1", "needs /usr/bin/python3.1, which is not on the host any more"),
        # Another Python than Debian's may call its folders as it likes.
        ("/usr/bin/env", "pypy3.10", ""),
    ],
)
def test_a_release_whose_python_is_gone_is_known(tmp_path, python, made_for, why):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/lib" / made_for).mkdir(parents=True)
    (tmp_path / "venv/bin/python3").symlink_to(python)
    (tmp_path / "venv/bin/python").symlink_to("python3")
    (tmp_path / ".release").mkdir()
    (tmp_path / ".release/venv").symlink_to("../venv")
    assert host.without_python(str(tmp_path)) == why


def test_it_is_said_before_somebody_restarts_it():
    quiet = {"workers": {}, "timers": {}, "replacing": "inactive"}
    status = {"name": "chat", "current": "a1", "unstartable": "needs python3.11, and has none", **quiet}
    assert list(host.troubles(status)) == [
        "chat: release a1 needs python3.11, and has none. What runs goes on until it is started again;"
        " site.yml makes the release anew."
    ]


def test_a_rollback_to_it_touches_nothing_and_does_not_call_it_bad(monkeypatch):
    began = []
    one = rollout.Rollout.__new__(rollout.Rollout)
    one.params, one.touched, one.open = {"name": "chat", "release": "a1"}, [8000], lambda: None
    one.activation = types.SimpleNamespace(
        start_keepers=lambda: began.append("keepers"), prepare_all=lambda: began.append("processes")
    )
    monkeypatch.setattr(rollout, "without_python", lambda _release: "needs python3.11")
    with pytest.raises(Refusal) as refused:
        one.prepare()
    assert str(refused.value) == "it needs python3.11, and a deploy of its source makes it anew"
    assert (began, refused.value.bad) == ([], False)


def test_a_process_that_finds_no_python_says_so_in_the_journal(port, tmp_path):
    port.add("good", PROGRAM)
    port.point("good")
    port.start()
    serving = port.ask(do="status")["pid"]
    port.add("gone", PROGRAM)
    link = port.home / "releases/gone/.release/venv"
    link.unlink()
    link.symlink_to(tmp_path / "venv-gone")
    (tmp_path / "venv-gone/bin").mkdir(parents=True)
    (tmp_path / "venv-gone/bin/python").symlink_to("/usr/bin/python3.1")
    assert not port.ask(do="swap", release="gone")["ok"]
    said = "This release needs /usr/bin/python3.1, which is not on the host any more. site.yml makes it anew."
    assert said in port.log.read_text()
    assert port.ask(do="status")["pid"] == serving
