"""What validation asks a host: who listens on a port, and who could replace a folder."""

import os
import socket

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.filter import nginx_proxy, tornado_app
from ansible_collections.tornadoes.tornadoes.plugins.modules import listeners


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


STAT = """directory|0|755|/
directory|0|755|/srv
directory|0|2755|/srv/good
directory|33|755|/srv/good/leaf
directory|33|755|/srv/theirs
directory|0|775|/srv/group
directory|0|1777|/tmp
symbolic link|0|777|/srv/link
regular file|0|644|/srv/file"""


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
    found = tornado_app.replaceable([path], STAT)
    assert len(found) == bool(why)
    assert why in "".join(found)


def test_all_folders_above_are_looked_at():
    assert tornado_app.above("/srv/good/leaf") == ["/", "/srv", "/srv/good", "/srv/good/leaf"]
    assert tornado_app.no_folders(["/srv/good", "/srv/file", "/srv/nowhere"], STAT) == [
        "/srv/file",
        "/srv/nowhere",
    ]


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
    assert nginx_proxy.nginx_proxy_open_rules({"access": rules}) == open_ones
