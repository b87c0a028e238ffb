"""A host that is drained gets no requests, whatever is published meanwhile, and never the last one."""

import threading

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_configuration import unused
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_drain import said, unknown
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import listeners, nginx_drain, nginx_paths
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.lockfile import wait_for
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.nginx_reasons import separated
from ansible_collections.tornadoes.tornadoes.plugins.modules import nginx_proxy_drain
from clustered import CHAT, there
from published import files_of

PAGE = "sites/www.example.org.conf"
STICKY = {**CHAT, "paths": [{"path": "/inner/", "app": "shop", "sticky": "address"}]}


def published(site=CHAT, **of_hosts):
    """What a proxy stores, as the module gets it."""
    return separated(files_of(there("web1", site, **of_hosts)))[0]


def down(files):
    """The host behind each line that nginx passes over."""
    lines = [line for text in files.values() for line in text.split("\n") if " down;" in line]
    return [line.rpartition("# ")[2] for line in lines]


def test_a_drained_host_is_down_everywhere_and_nothing_else_changes():
    files = published(STICKY)
    drained = nginx_drain.heeded(files, {"app2"})
    # The site's two lines, and one of the path, whose clients stay with a host.
    assert down(drained) == ["app2"] * 3
    assert nginx_drain.heeded(drained, set()) == files
    assert nginx_drain.heeded(drained, {"app2"}) == drained


def test_the_lines_of_a_snippet_are_the_users_own():
    files = {"sites/a.snippet": "    server 10.0.0.1:1 weight=1; # app2\n"}
    assert nginx_drain.heeded(files, {"app2"}) == files


def test_a_note_says_since_when_and_outlives_a_killed_run(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx_paths, "DRAINED", str(tmp_path / "drained"))
    assert nginx_drain.notes() == {}
    (tmp_path / "drained").mkdir()
    (tmp_path / "drained/app2").write_text("2026-11-27 12:00:00Z\n")
    (tmp_path / "drained/app1.partial").write_text("")
    assert nginx_drain.notes() == {"app2": "2026-11-27 12:00:00Z"}


@pytest.mark.parametrize(
    ("host", "drained", "reached", "why"),
    [
        ("app2", [], ["10.0.0.1:8800"], ""),
        # Whoever can't be reached itself is drained all the same.
        ("app2", [], ["10.0.0.1:8800", "10.0.0.2:8800"], ""),
        ("app2", [], ["10.0.0.2:8800"], "app1 can't be reached."),
        ("app2", ["app1"], ["10.0.0.1:8800"], "no other one is left."),
        ("app3", [], [], ""),
    ],
)
def test_the_last_host_is_not_drained(host, drained, reached, why):
    reason = nginx_drain.needed(host, published(), drained, reached.__contains__, False)
    assert reason == (f"{host} is the last host that gets requests for www.example.org: {why}" if why else "")


def test_a_host_whose_backup_is_left_may_be_drained():
    files = published(app1={"tornadoes_weight": "backup"})
    assert nginx_drain.needed("app2", files, [], lambda address: address == "10.0.0.1:8800", False) == ""


def test_a_site_that_has_no_other_host_is_still_answered():
    files = published(app1={"tornadoes_weight": 0})
    assert nginx_drain.heeded(files, {"app2"}) == files
    assert nginx_drain.irreplaceable(["app2"], files) == {"app2": ["www.example.org"]}
    assert nginx_drain.irreplaceable(["app2"], published()) == {"app2": []}
    # A reboot goes on, where drain.yml refuses.
    assert nginx_drain.needed("app2", files, [], {}.__contains__, False) != ""
    assert nginx_drain.needed("app2", files, [], {}.__contains__, True) == ""
    assert nginx_drain.needed("app2", published(), [], {}.__contains__, True) != ""


def test_the_note_of_a_host_that_has_left_goes():
    folders = {
        "/etc/nginx/certificates": [],
        "/etc/nginx/maintenance": [],
        "/var/lib/nginx": [],
        "/etc/nginx/drained": ["app2", "app9"],
    }
    assert list(unused(folders, there("web1").description())) == ["/etc/nginx/drained/app9"]


def test_only_a_host_of_the_app_can_be_meant():
    groups = {"tornado_app": ["app1", "app2"], "nginx_proxy": ["web1"]}
    assert unknown("app1", groups) == ""
    assert unknown("web1", groups) == "'web1' is no host of tornado_app. There are app1, app2."


def test_whoever_forgot_a_drained_host_is_told():
    done = {"drained": {"app2": "2026-11-27 12:00:00Z"}, "sends": True, "open": 3, "kept": {"app2": []}}
    [forgotten] = said("", True, "web1", done)
    assert forgotten.startswith("app2 is drained since 2026-11-27 12:00:00Z: web1 sends it no requests until")
    [kept] = said("", True, "web1", {**done, "kept": {"app2": ["b.example"]}})
    assert "no requests but those for b.example until" in kept
    assert list(said("app2", True, "web1", done)) == [
        "web1 sends app2 no requests any more, and 3 connections to it are open."
    ]
    assert list(said("", True, "web1", {**done, "drained": {}})) == []


def test_what_is_open_to_a_host_is_counted_and_nothing_else(tmp_path, monkeypatch):
    head = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    )
    line = "   0: 0B00000A:{} 0200000A:2260 {} 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
    table = tmp_path / "tcp"
    table.write_text(head + line.format("9C40", "01") + line.format("9C41", "06") + line.format("9C42", "01"))
    monkeypatch.setattr(listeners, "TABLES", (str(table), str(tmp_path / "tcp6")))
    assert listeners.connections([("10.0.0.2", 8800)]) == 2
    assert listeners.connections([("10.0.0.11", 40000), ("10.0.0.2", 80)]) == 0


def test_what_a_killed_run_left_unread_is_read_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx_paths, "HOME", str(tmp_path))
    files = nginx_drain.heeded(published(), {"app2"})
    assert not nginx_proxy_drain.pending(files, {"app2"})
    assert nginx_proxy_drain.pending(files, set())
    (tmp_path / "unread").touch()
    assert nginx_proxy_drain.pending(files, {"app2"})


def test_two_runs_change_a_proxy_one_after_the_other(tmp_path):
    path, had = str(tmp_path / "lock"), []

    def have():
        with wait_for(path):
            had.append("second")

    with wait_for(path):
        second = threading.Thread(target=have)
        second.start()
        second.join(0.3)
        had.append("first")
    second.join(10)
    assert had == ["first", "second"]
