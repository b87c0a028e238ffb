"""What validation asks a host: who listens on a port, and who could replace a folder."""

import contextlib
import os
import socket
from pathlib import Path

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import listeners
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.applied import look
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.applied.look import what
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import tornado_app
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils.nginx_proxy_locations import open_rules


@pytest.mark.parametrize(
    ("family", "address", "table", "seen"),
    [
        (socket.AF_INET, "127.0.0.1", "tcp", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "tcp", "0.0.0.0"),
        (socket.AF_INET6, "::ffff:127.0.0.1", "tcp6", "127.0.0.1"),
    ],
)
def test_who_listens_is_found(family, address, table, seen):
    with socket.socket(family) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        listener.listen()
        port = listener.getsockname()[1]
        found = {
            at: inode for where, at, inode in listeners.listeners(f"/proc/net/{table}") if str(where) == seen
        }
        assert str(os.getpid()) in listeners.owners({found[port]})[found[port]]
    assert port not in [at for _where, at, _inode in listeners.listeners(f"/proc/net/{table}")]


THERE = {
    "/": ("folder", 0, 0o755),
    "/srv": ("folder", 0, 0o755),
    "/srv/good": ("folder", 0, 0o2755),
    "/srv/good/leaf": ("folder", 33, 0o755),
    "/srv/theirs": ("folder", 33, 0o755),
    "/srv/group": ("folder", 0, 0o775),
    "/tmp": ("folder", 0, 0o1777),
    "/srv/link": ("link", 0, 0o777),
    "/srv/file": ("file", 0, 0o644),
}


def found(*paths):
    """What the module says of some paths, as it is in THERE."""
    nothing = ("", 0, 0)
    return {
        path: dict(zip(("kind", "owner", "mode"), THERE.get(path, nothing), strict=True)) for path in paths
    }


def test_what_a_path_is_is_seen_without_following_it(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    assert what(str(tmp_path)) == {
        "kind": "folder",
        "owner": os.getuid(),
        "mode": tmp_path.stat().st_mode & 0o7777,
    }
    assert what(str(tmp_path / "file")) == {"kind": "file", "owner": os.getuid(), "mode": 0o640}
    assert what(str(tmp_path / "link"))["kind"] == "link"
    assert what(str(tmp_path / "nothing"))["kind"] == what("/\0")["kind"] == ""


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/srv/good/leaf", ""),
        ("/srv/theirs", ""),
        ("/tmp", ""),
        ("/srv/theirs/leaf", "lies below /srv/theirs"),
        ("/srv/group/leaf", "lies below /srv/group"),
        ("/tmp/leaf", "lies below /tmp"),
        ("/srv/link", "has a link in it (/srv/link)"),
        ("/srv/link/leaf", "has a link in it (/srv/link)"),
    ],
)
def test_a_folder_that_others_could_replace_is_named(path, why):
    said = tornado_app.replaceable([path], found(*tornado_app.above(path)))
    assert len(said) == bool(why)
    assert why in "".join(said)


def test_all_folders_above_are_looked_at():
    assert tornado_app.above("/srv/good/leaf") == ["/", "/srv", "/srv/good", "/srv/good/leaf"]
    asked = ["/srv/good", "/srv/file", "/srv/nowhere"]
    assert tornado_app.no_folders(asked, found(*asked)) == ["/srv/file", "/srv/nowhere"]


@pytest.mark.parametrize(
    ("rules", "open_ones"),
    [
        ([{"path": "/admin"}], ["/admin"]),
        ([{"path": "/admin", "allow": []}, {"path": "/", "allow": ["::/0", "0.0.0.0/0"]}], ["/admin", "/"]),
        ([{"path": "/admin", "users_file": "users"}, {"path": "/admin/public"}], []),
        ([{"path": "/admin", "allow": ["10.0.0.0/8"]}, {"path": "/administration"}], ["/administration"]),
        ([{"path": "/", "allow": ["0.0.0.0/0"], "users_file": "users"}], []),
    ],
)
def test_a_rule_that_guards_nothing_is_named(rules, open_ones):
    assert open_rules({"names": [], "access": rules}) == open_ones


def test_a_port_that_a_program_has_chosen_is_known_until_it_is_closed():
    units = listeners.unit_of(os.getpid())
    lowest = int(Path(listeners.FREE_PORTS).read_text().split()[0])
    with socket.socket() as listener, socket.create_server(("127.0.0.1", 0)) as any_port:
        for port in range(lowest - 1, 1024, -1):
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                break
        listener.listen()
        assert port in listeners.chosen(units)
        # One of the kernel's choice is another one at each start.
        assert any_port.getsockname()[1] not in listeners.chosen(units)
        assert port not in listeners.chosen("tornado-other-worker@")
    assert port not in listeners.chosen(units)


def test_a_unit_that_nothing_can_start_is_found_before_anything_is_installed(monkeypatch):
    """A run would install nginx, and fail at its start."""
    states = {"nginx.service": "masked", "redis-server.service": "not-found"}
    monkeypatch.setattr(
        look, "said", lambda *words: "\n\n".join(f"LoadState={states[one]}" for one in words[3:]) + "\n"
    )
    assert look.answer({"starts": list(states)})["masked"] == ["nginx.service"]
