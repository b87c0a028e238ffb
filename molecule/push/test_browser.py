"""The page, in a real browser, through nginx and TLS."""

import pytest
from selenium.webdriver.common.by import By

TITLES = {"ws": "WebSocket", "events": "Server-Sent Events", "poll": "Long polling"}


@pytest.fixture
def two(window, eventually):
    """Two windows that are connected."""
    windows = [window(), window()]
    for one in windows:
        assert eventually(lambda one=one: one.read("state") == "connected")
    return windows


def test_a_picture_for_the_readme(two, eventually):
    # The first test, since the room is empty.
    for text, writer in (
        ("Hello, friendly user!", two[0]),
        ("Salutations! This came over a WebSocket.", two[1]),
        ("你好!", two[0]),
        ("See you after the deploy.", two[1]),
    ):
        writer.say(text)
        assert eventually(lambda text=text: two[0].texts()[-1:] == [text])
    assert eventually(lambda: two[0].read("connected") == "2")
    two[0].driver.set_window_size(900, 800)
    two[0].picture("live")


@pytest.mark.parametrize("transport", TITLES)
@pytest.mark.parametrize("name", ["localhost", "old.example.org"])
def test_two_windows_see_each_others_messages_at_once(window, eventually, transport, name):
    windows = [window(name), window(name)]
    for one in windows:
        one.choose(transport)
        assert eventually(lambda one=one: one.read("transport") == TITLES[transport])
        assert eventually(lambda one=one: one.read("state") == "connected")
    texts = [f"{transport} {name}", "你好, <b>friendly</b> user!"]
    for text, writer in zip(texts, windows, strict=True):
        writer.say(text)
        for one in windows:
            assert eventually(lambda one=one, text=text: one.texts()[-1:] == [text])
    for one in windows:
        assert eventually(lambda one=one: int(one.read("connected")) >= 1)
        assert int(one.read("port")) in (8000, 8001, 8100, 8101)
        assert len(one.read("release")) > 6
        assert one.texts()[-2:] == texts
        assert one.complaints() == []


@pytest.mark.parametrize(
    ("name", "transport"),
    [("localhost", "ws"), ("nosockets.example.org", "events"), ("nostreams.example.org", "poll")],
)
def test_the_page_falls_back_to_what_gets_through(window, eventually, name, transport):
    one = window(name)
    assert eventually(lambda: one.read("transport") == TITLES[transport], seconds=30)
    assert eventually(lambda: one.read("state") == "connected")
    one.say(f"through {name}")
    assert eventually(lambda: one.texts()[-1:] == [f"through {name}"])


def test_a_visitor_sees_that_redis_is_gone_and_loses_no_word(two, host, eventually):
    one, other = two
    host.check_output("systemctl stop redis-server")
    try:
        one.say("not to be lost")
        assert eventually(lambda: "can't be accepted" in one.read("notice"))
        one.picture("redis-gone")
        assert one.find("text").get_attribute("value") == "not to be lost"
        assert eventually(lambda: "can't be accepted" in other.read("notice"))
    finally:
        host.check_output("systemctl start redis-server")
    for each in two:
        assert eventually(lambda each=each: each.read("notice") == "")
    one.driver.find_element(By.CSS_SELECTOR, "#form button").click()
    for each in two:
        assert eventually(lambda each=each: each.texts()[-1:] == ["not to be lost"])
    assert one.find("text").get_attribute("value") == ""


def test_who_reads_chinese_gets_chinese(window, eventually):
    one = window(language="zh-CN,zh")
    assert eventually(lambda: one.read("state") == "已连接")
    one.picture("chinese")
    assert one.driver.execute_script("return document.documentElement.lang") == "zh"
    assert one.read("heading") == "消息"


def test_the_page_fits_a_phone(window, eventually):
    one = window(width=360)
    one.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    assert eventually(lambda: one.read("state") == "connected")
    one.picture("phone")
    assert one.driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_whoever_can_not_see_the_page_can_use_it(window, eventually):
    one = window()
    assert eventually(lambda: one.read("state") == "connected")
    tree = one.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = {}
    for node in tree:
        role = node.get("role", {}).get("value")
        found.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("textbox", "button", "combobox", "log", "heading"):
        assert found[role]
        assert all(found[role]), (role, found[role])
    assert {"status", "alert", "main"} <= set(found)


def test_the_lesson_shows_that_the_other_port_goes_on(window, eventually):
    one = window()
    assert eventually(lambda: one.read("state") == "connected")
    for lesson in ("wait", "block"):
        one.driver.find_element(By.CSS_SELECTOR, f"[data-lesson={lesson}]").click()
        assert eventually(lambda lesson=lesson: one.find("ports").get_attribute("data-done") == lesson)
        rows = [row.text.split() for row in one.driver.find_elements(By.CSS_SELECTOR, "#ports tbody tr")]
        answers = {int(row[0]): int(row[1]) for row in rows}
        assert max(answers.values()) > 5
    one.picture("lessons")
    assert one.complaints() == []
