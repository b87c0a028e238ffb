"""How keepalived hears of nginx: what counts as dead, and what does not."""

import asyncio
import importlib.util
import os

import pytest
from rendering import ROOT

FOLDER = ROOT / "roles/keepalived/files/usr/local/lib/tornadoes-keepalived"


def program(name):
    """One of the programs that the role puts on a host."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


watch, leave = program("watch"), program("leave")


def judged(seen, others=True):
    """When a judge says what, who looks each 0.1 s and sees this."""
    judge, said = watch.Judge(0), []
    for number, one in enumerate(seen, 1):
        moment = round(number / 10, 1)
        doubted = judge.doubts(one, moment)
        if (word := judge.says(doubted, doubted and others)) is not None:
            said.append((moment, word))
    return said


def test_one_that_is_away_gives_the_address_up_within_half_a_second():
    [(_, well), (moment, dead)] = judged([True] * 3 + [False] * 10)
    assert (well, dead) == (watch.WELL, watch.DEAD)
    assert 0.3 < moment - 0.1 <= 0.6


@pytest.mark.parametrize("seen", [[False] * 2, [None] * 50, [False, None] * 20])
def test_a_restart_and_a_machine_that_has_no_time_keep_the_address(seen):
    assert judged([True] * 3 + seen + [True] * 3) == [(0.1, watch.WELL)]


def test_nobody_gives_up_what_nobody_else_would_answer():
    assert judged([True] + [False] * 50, others=False) == [(0.1, watch.WELL)]


def test_an_address_does_not_come_and_go():
    said = judged([True] + ([False] * 5 + [True] * 20) * 3 + [True] * 40)
    assert [word for _moment, word in said] == [watch.WELL, watch.DEAD, watch.WELL]


def listening(answers):
    """Whether a server is taken for one that lives. answers: what it does with a connection."""

    async def ask():
        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await watch.lives("127.0.0.1", port)
        server.close()
        return found, port, await watch.lives("127.0.0.1", port)

    return asyncio.run(ask())


def test_a_server_lives_that_closes_when_its_client_has_nothing_to_say(monkeypatch):
    monkeypatch.setattr(watch, "LATE", 5)
    monkeypatch.setattr(watch, "patience", lambda: 1)

    async def closes(reader, writer):
        await reader.read()
        writer.close()

    async def hangs(_reader, writer):
        await asyncio.sleep(1)
        writer.close()

    alive, _port, ended = listening(closes)
    assert alive
    assert ended is False
    alive, _port, _ended = listening(hangs)
    assert alive is False


def test_keepalived_never_reads_half_a_number(tmp_path):
    watch.tell(f"{tmp_path}/nginx", watch.DEAD)
    assert (tmp_path / "nginx").read_text() == "-254\n"
    assert [one.name for one in tmp_path.iterdir()] == ["nginx"]


def test_who_has_no_address_leaves_at_once(monkeypatch):
    monkeypatch.setattr(leave, "run", lambda *words, text=None: pytest.fail(f"{words} was run"))
    leave.leave("80,443", ["203.0.113.10", "2001:db8::10"])


def test_clients_are_told_first_and_nobody_new_comes_in_at_the_end(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(leave, "FOLDER", f"{tmp_path}/nginx-leaving")
    monkeypatch.setattr(leave.time, "sleep", lambda seconds: ran.append((seconds, "")))
    monkeypatch.setattr(leave, "run", lambda *words, text=None: ran.append((words[0], text)) or "")
    umask = os.umask(0o077)
    leave.leave("80,443", ["127.0.0.1", "203.0.113.10"])
    os.umask(umask)
    # nginx's workers must see it.
    assert (tmp_path / "nginx-leaving").stat().st_mode & 0o777 == 0o755
    assert [word for word, _text in ran] == [leave.LEAVING, "nft", 0.1, "ss"]
    rules = ran[1][1]
    assert "ip daddr 127.0.0.1 tcp dport { 80,443 } tcp flags & (syn | ack) == syn drop\n" in rules
    assert "203.0.113.10" not in rules
    leave.left()
    assert not (tmp_path / "nginx-leaving").exists()
    assert ran[-1][0] == "nft"
