"""What nginx keeps for the app, for whom, and for how long."""

import threading
import time

import pytest

MARKED = "say=Cache-Control:max-age=60"


@pytest.fixture
def ask(client):
    """ask(TARGET, ...): the body, in which the id of the request that reached the app stands."""

    def body(target, **more):
        answer = client.ask(target, **more)
        assert answer.status == 200
        return answer.body

    return body


@pytest.fixture
def page(request):
    """The address of a page that no other test asks for."""
    return f"/kept/{request.node.name.replace('[', '-').replace(']', '')}-{time.time()}"


def test_what_the_app_marks_is_asked_for_once(ask, page):
    assert ask(f"{page}?{MARKED}") == ask(f"{page}?{MARKED}")


@pytest.mark.parametrize(
    "word", ["", "say=Cache-Control:private", "say=Cache-Control:no-store", f"{MARKED}&say=Set-Cookie:a%3Db"]
)
def test_what_it_does_not_mark_is_not_kept(ask, page, word):
    assert ask(f"{page}?{word}") != ask(f"{page}?{word}")


def test_elsewhere_nothing_is_kept(ask, page):
    for target in (page.replace("/kept/", "/other/"), page.replace("/kept/", "/keptnot/")):
        assert ask(f"{target}?{MARKED}") != ask(f"{target}?{MARKED}")


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_who_has_signed_in_neither_leaves_nor_gets_a_kept_answer(ask, page, header):
    target, me = f"{page}?{MARKED}", [(header, "mine alone")]
    mine = ask(target, headers=me)
    kept = ask(target)
    assert b"mine alone" in mine
    assert b"mine alone" not in kept
    assert ask(target, headers=me) != kept
    assert ask(target) == kept


def test_a_cookie_is_one_whatever_its_value(ask, page):
    zero = [("Cookie", "0")]
    assert ask(f"{page}?{MARKED}", headers=zero) != ask(f"{page}?{MARKED}", headers=zero)


def test_addresses_do_not_share_an_answer(ask, page):
    answers = [ask(f"{page}?{MARKED}"), ask(f"{page}?{MARKED}&more"), ask(f"{page}x?{MARKED}")]
    assert len(set(answers)) == 3


def test_what_an_answer_depends_on_is_looked_at(ask, page):
    target = f"{page}?{MARKED}&say=Vary:Accept-Language"
    english, chinese = ([("Accept-Language", one)] for one in ("en", "zh"))
    assert ask(target, headers=english) == ask(target, headers=english)
    assert ask(target, headers=english) != ask(target, headers=chinese)


def test_many_who_ask_at_once_cost_the_app_one_request(ask, page):
    found = []
    visitors = [
        threading.Thread(target=lambda: found.append(ask(f"{page}?{MARKED}&wait=1")))
        for _visitor in range(20)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(found) == 20
    assert len(set(found)) == 1


def test_when_its_time_is_up_nobody_waits_for_the_next_one(ask, page, eventually):
    target = f"{page}?say=Cache-Control:max-age=1&wait=1"
    first = ask(target)
    time.sleep(2.5)
    # The old one, though the app would need a second.
    assert ask(target) == first
    assert eventually(lambda: ask(target) != first)


def test_the_old_one_serves_while_the_app_is_away(ask, page, host):
    target = f"{page}?say=Cache-Control:max-age=1"
    first = ask(target)
    host.check_output("systemctl stop tornado-mirror.target 'tornado-mirror@*'")
    try:
        time.sleep(2.5)
        assert [ask(target), ask(target)] == [first, first]
    finally:
        host.check_output("systemctl start tornado-mirror.target")


def test_what_is_purged_is_asked_for_anew_and_nothing_else(ask, page, client, playbook):
    here = f"https://localhost:{client.ports['https']}"
    targets = [f"{page}?{MARKED}", f"{page}/below?{MARKED}", f"{page}/below?{MARKED}&say=Vary:Accept"]
    before = [ask(target) for target in targets]
    assert playbook("playbooks/purge.yml", "-e", f"nginx_proxy_purge={here}{targets[0]}")[0] == 0
    after = [ask(target) for target in targets]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True]
    code, said = playbook("playbooks/purge.yml", "-e", f"nginx_proxy_purge={here}{page}/*")
    assert (code, "changed=1" in said) == (0, True)
    again = [ask(target) for target in targets]
    assert [one == other for one, other in zip(after, again, strict=True)] == [True, False, False]
    code, said = playbook("playbooks/purge.yml", "-e", "nginx_proxy_purge=everything")
    assert code != 0
    assert "nginx_proxy_purge: 'everything' won't do." in said
