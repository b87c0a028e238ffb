"""What nginx's next master gets, without a host."""

import contextlib
import importlib.util

import pytest
from visitor import ROOT

PATH = ROOT / "roles/nginx_proxy/files/usr/local/lib/nginx-handover.py"
BOTH = "9:name=systemd:/{}\n8:pids:/system.slice/nginx.service\n0::/system.slice/nginx.service\n"


@pytest.fixture
def handover(monkeypatch):
    """The program, and what it reads instead of /proc."""
    spec = importlib.util.spec_from_file_location("handover", PATH)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    files = {}
    monkeypatch.setattr(program, "read", lambda path: files.get(path, ""))
    monkeypatch.setattr(program.glob, "glob", lambda _pattern: [f"/proc/{pid}" for pid in (7, 8, 9)])
    return program, files


def test_workers_are_found_where_cgroups_of_the_first_version_are_elsewhere(handover):
    """Their sockets would be lost, and a restart refused: the address is in use."""
    program, files = handover
    files["/proc/self/cgroup"] = BOTH.format("system.slice/nginx.service")
    files["/proc/7/stat"] = "7 (nginx) S 1 7 7 0"
    files["/proc/7/cgroup"] = BOTH.format("init.scope")
    files["/proc/8/stat"] = "8 (nginx) S 1 8 8 0"
    files["/proc/8/cgroup"] = "0::/user.slice/somebodys-own.scope\n"
    files["/proc/9/stat"] = "9 (nginx) Z 1 9 9 0"
    files["/proc/9/cgroup"] = BOTH.format("init.scope")
    assert program.running() == {7: 1}


def test_another_nginx_is_left_alone_where_cgroups_are_of_the_first_version(handover):
    """Somebody's own, in a container: it would be told to end."""
    program, files = handover
    for pid, unit in {"self": "nginx.service", "7": "nginx.service", "8": "docker.service"}.items():
        files[f"/proc/{pid}/cgroup"] = f"2:pids:/\n1:name=systemd:/system.slice/{unit}\n"
        files[f"/proc/{pid}/stat"] = f"{pid} (nginx) S 1 7 7 0"
    assert program.running() == {7: 1}


def test_who_serves_is_told_to_end_by_a_master_that_serves_alone(handover, monkeypatch, tmp_path):
    """A new one that can't listen would end those that do."""
    program, files = handover
    ended, kept = [], []
    monkeypatch.setattr(program, "DIGEST", str(tmp_path / "digest"))
    monkeypatch.setattr(program, "WORKERS_TIMEOUT", 0.1)
    monkeypatch.setattr(program, "ACCEPTING", 0)
    monkeypatch.setattr(program, "main_pid", lambda: 8)
    monkeypatch.setattr(program, "sockets", lambda pids: [*pids])
    monkeypatch.setattr(program, "store", kept.append)
    monkeypatch.setattr(program, "leaving", lambda _wanted: contextlib.nullcontext())
    monkeypatch.setattr(program, "send", lambda pids, _number: ended.extend(pids))
    for pid, parent in ((7, 1), (8, 1)):
        files[f"/proc/{pid}/stat"] = f"{pid} (nginx) S {parent} {pid} {pid} 0"
    program.started("new")
    assert (ended, kept, (tmp_path / "digest").exists()) == ([], [], False)
    files["/proc/9/stat"] = "9 (nginx) S 8 9 9 0"
    program.started("new")
    assert (ended, kept, (tmp_path / "digest").read_text()) == ([7], [[8]], "new 8")


def test_a_stop_lets_go_of_the_sockets_before_anything_else(handover, monkeypatch):
    """In store they would take requests that nobody answers, while a proxy could ask another host."""
    program, _files = handover
    order = []
    monkeypatch.setattr(program, "job", lambda: "stop")
    monkeypatch.setattr(program, "main_pid", lambda: 7)
    monkeypatch.setattr(program, "running", dict)
    monkeypatch.setattr(program, "tell", lambda message: order.append(message.partition("=")[0]))
    monkeypatch.setattr(program, "send", lambda pids, _number: order.extend(pids))
    program.stop()
    assert order == ["FDSTOREREMOVE", 7]
    monkeypatch.setattr(program, "job", lambda: "restart")
    program.stop()
    assert order[2:] == [7]


def test_a_kernel_that_lends_nobody_a_socket_has_nginx_bind_its_own(handover, monkeypatch, capsys):
    """A reload would fail, and no nginx start beside workers that have the port."""
    program, files = handover
    told, ended = [], []

    def refuse(*_words):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(program, "sockets", refuse)
    monkeypatch.setattr(program, "tell", told.append)
    monkeypatch.setattr(program, "send", lambda pids, _number: ended.extend(pids))
    files["/proc/7/stat"] = "7 (nginx) S 1 7 7 0"
    program.before_start()
    assert ended == [7]
    assert told == ["FDSTOREREMOVE=1\nFDNAME=nginx"]  # none of them would be the one that is bound
    assert "can't be kept" in capsys.readouterr().out


def test_a_worker_that_ends_meanwhile_costs_nobody_the_sockets_of_the_others(handover, monkeypatch):
    """Taken for a refusal of the kernel, it would have all of them closed and visitors refused."""
    program, _files = handover
    monkeypatch.setattr(program.glob, "glob", lambda pattern: [pattern.replace("*", "3")])
    monkeypatch.setattr(program.os, "readlink", lambda path: f"socket:[{path}]")
    monkeypatch.setattr(program, "listens", lambda _one: True)

    def duplicate(pid, _number):
        if pid == 7:
            raise ProcessLookupError(3, "No such process")
        return pid

    monkeypatch.setattr(program, "duplicate", duplicate)
    assert program.sockets([7, 8]) == [8]
