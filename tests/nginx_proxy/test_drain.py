"""A host that is drained gets no requests, whatever is published meanwhile, and never the last one.

One that a release has left behind gets none while another can answer.
"""

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
    return [line.rpartition("# ")[2].split()[0] for line in lines]


def first_and_later(files, host):
    """Whether nginx passes a host's lines over: those by which it asks at first, and the later ones."""
    lines = [line for text in files.values() for line in text.split("\n") if f"; # {host} " in line]
    return (
        {" down;" in one for one in lines if " backup" not in one},
        {" down;" in one for one in lines if " backup" in one},
    )


def test_a_drained_host_is_down_everywhere_and_nothing_else_changes():
    files = published(STICKY)
    drained = nginx_drain.heeded(files, {"app2"})
    # The site's two lines, and one of the path, whose clients stay with a host.
    assert down(drained) == ["app2"] * 3
    assert nginx_drain.heeded(drained, set()) == files
    assert nginx_drain.heeded(drained, {"app2"}) == drained


def test_a_host_that_has_missed_a_release_is_asked_when_the_others_have_failed():
    files = published(STICKY)
    names = {"app2@chat"}
    late = nginx_drain.heeded(files, names)
    # In hash, by which clients stay with a host, nginx has no later line; the path's app is another one.
    assert down(late) == ["app2"]
    assert first_and_later(late, "app2") == ({True, False}, {False})
    assert first_and_later(nginx_drain.heeded(files, {"app2@chat", "app2@shop"}), "app2") == ({True}, {False})
    assert nginx_drain.heeded(late, set()) == files
    assert nginx_drain.heeded(late, names) == late


def test_a_host_that_is_drained_and_behind_is_drained_and_then_behind():
    files = published()
    both = nginx_drain.heeded(files, {"app2", "app2@chat"})
    assert both == nginx_drain.heeded(files, {"app2"})
    assert nginx_drain.heeded(both, {"app2@chat"}) == nginx_drain.heeded(files, {"app2@chat"})


def test_where_only_hosts_that_are_behind_are_left_they_answer():
    files = published()
    assert nginx_drain.heeded(files, {"app1@chat", "app2@chat"}) == files
    assert down(nginx_drain.heeded(files, {"app1", "app2@chat"})) == ["app1"] * 2


def test_a_host_that_is_behind_is_not_asked_beside_the_backups_that_are_not():
    files = published(app1={"tornadoes_weight": "backup"})
    assert down(nginx_drain.heeded(files, {"app2@chat"})) == ["app2"] * 2
    # A backup itself, it stays one.
    assert nginx_drain.heeded(files, {"app1@chat"}) == files


def test_a_configuration_of_an_earlier_version_heeds_the_notes_too():
    earlier = {path: text.replace(" chat\n", "\n") for path, text in published().items()}
    assert down(nginx_drain.heeded(earlier, {"app2"})) == ["app2"] * 2
    assert down(nginx_drain.heeded(earlier, {"app2@chat"})) == ["app2"]


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
        # It would give visitors older answers than they have had.
        ("app2", ["app1@chat"], ["10.0.0.1:8800"], "app1 has missed a release."),
        ("app2", ["app1@shop"], ["10.0.0.1:8800"], ""),
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
        "/etc/nginx/drained": ["app2", "app2@chat", "app2@gone", "app9", "app9@chat"],
    }
    gone = [f"/etc/nginx/drained/{name}" for name in ("app2@gone", "app9", "app9@chat")]
    assert list(unused(folders, {**there("web1").description(), "listens": []})) == gone


def test_only_a_host_of_the_app_can_be_meant():
    groups = {"tornado_app": ["app1", "app2"], "nginx_proxy": ["web1"]}
    assert unknown("app1", groups) == ""
    assert unknown("web1", groups) == "'web1' is no host of tornado_app. There are app1, app2."


def test_whoever_forgot_a_drained_host_is_told():
    done = {"drained": {"app2": "2026-11-27 12:00:00Z"}, "sends": True, "open": 3, "kept": {"app2": []}}
    done |= {"behind": {}}
    [forgotten] = said("", True, "web1", done)
    assert forgotten.startswith("app2 is drained since 2026-11-27 12:00:00Z: web1 sends it no requests until")
    [kept] = said("", True, "web1", {**done, "kept": {"app2": ["b.example"]}})
    assert "no requests but those for b.example until" in kept
    assert list(said("app2", True, "web1", done)) == [
        "web1 sends app2 no requests any more, and 3 connections to it are open."
    ]
    assert list(said("", True, "web1", {**done, "drained": {}})) == []


def test_whoever_left_a_host_behind_is_told():
    done = {"drained": {}, "sends": True, "open": 0, "kept": {}, "behind": {"app2": {"chat": "then"}}}
    [late] = said("", True, "web1", done)
    assert late.startswith("app2 has missed a release of chat, since then: web1 asks it only where no other")
    assert list(said("app2", False, "web1", done)) == [
        "web1 sends app2 requests, for chat only where no other host answers."
    ]
    assert list(said("app1", False, "web1", done)) == ["web1 sends app1 requests."]


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


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """The notes of a proxy whose nginx heeds them at once."""
    monkeypatch.setattr(nginx_paths, "DRAINED", str(tmp_path / "drained"))
    monkeypatch.setattr(nginx_proxy_drain, "put_in_place", lambda files: None)
    return nginx_drain.notes


def test_what_is_said_of_one_app_or_by_one_verb_leaves_the_other_notes(noted):
    files, words = published(), {"host": "", "drained": True, "app": "chat", "behind": [], "along": []}

    def tell(found=True, **more):
        nginx_proxy_drain.change(nginx_proxy_drain.wanted({**words, **more}, found), files)
        return set(noted())

    assert tell(behind=["app2", "app1"]) == {"app1@chat", "app2@chat"}
    assert tell(app="shop", behind=["app2"]) == {"app1@chat", "app2@chat", "app2@shop"}
    assert tell(app="", host="app2") == {"app1@chat", "app2", "app2@chat", "app2@shop"}
    assert tell(along=["app1", "app2", "app3"]) == {"app2", "app2@shop"}
    assert tell(app="", host="app2", drained=False) == {"app2@shop"}


def test_a_note_that_nginx_can_not_heed_is_none(noted, monkeypatch):
    def refuse(_files):
        raise nginx_proxy_drain.Refused("no")

    monkeypatch.setattr(nginx_proxy_drain, "put_in_place", refuse)
    with pytest.raises(nginx_proxy_drain.Refused):
        nginx_proxy_drain.change({"app2@chat"}, published())
    assert noted() == {}


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
