"""An upgrade of Debian brings another Python: what runs stays whole."""

import io
import json
import os
import types

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import host
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.refusal import Refusal
from ansible_collections.tornadoes.tornadoes.plugins.modules import tornado_app_environment

SYSTEM = "/usr/bin/python3"


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
    names = ("name", "requirements", "version", "program")
    params = {**dict.fromkeys(names, "chat"), "path": str(tmp_path), "source": str(tmp_path)}
    params |= {"index": [], "offline": False, "steps": [], "python": str(tmp_path / "python3")}
    with pytest.raises(Refusal):
        tornado_app_environment.build(types.SimpleNamespace(params=params))
    assert told["python"] == str(tmp_path / "python3.11")


def test_what_an_environment_depends_on_is_named_by_its_version():
    assert host.system_python().startswith(f"{os.path.realpath(SYSTEM)} 3.")
