"""The parts of the module nginx_proxy_configuration that need no host."""

import os

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.action.nginx_proxy_configuration import (
    refused,
    report,
    unused,
)
from ansible_collections.tornadoes.tornadoes.plugins.module_utils import (
    nginx_paths,
    nginx_reasons,
    nginx_release,
    nginx_service,
    nginx_swap,
)
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.files import differences

FILES = {"nginx.conf": "include @release@/sites/*.conf;\n", "sites/a.conf": "server {}\n"}


def test_a_release_is_named_by_its_content():
    name = nginx_release.name_of(FILES)
    assert name == nginx_release.name_of(dict(reversed(FILES.items())))
    assert name != nginx_release.name_of({**FILES, "sites/a.conf": "server { }\n"})
    assert nginx_release.filled(FILES, name)["nginx.conf"] == f"include tornadoes/{name}/sites/*.conf;\n"


def test_a_stored_release_holds_its_files_and_no_others(tmp_path):
    folder = tmp_path / "release"
    nginx_release.store(folder, FILES)
    untouched = os.stat(folder / "nginx.conf").st_ino
    (folder / "sites/a.conf").write_text("edited by hand")
    (folder / "sites/b.conf").write_text("added by hand")
    nginx_release.store(folder, FILES)
    assert nginx_release.stored(folder) == FILES
    assert os.stat(folder / "nginx.conf").st_ino == untouched


def test_a_refused_line_is_traced_to_its_variable(tmp_path):
    files, origins = nginx_reasons.separated({"a.conf": "one on;\ntwo off; #= some_variable.two\n"})
    assert files == {"a.conf": "one on;\ntwo off;\n"}
    assert origins == {("a.conf", 2): "some_variable.two"}


def test_what_nginx_has_yet_to_read_is_marked_whatever_the_clock_says(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx_paths, "HOME", str(tmp_path))
    chain = tmp_path / "certificates/a/fullchain.pem"
    chain.parent.mkdir(parents=True)
    chain.write_text("")
    os.utime(chain, (4e9, 4e9))
    assert nginx_swap.reload_needed([str(chain)]) == []
    (tmp_path / "unread").touch()
    (chain.parent / "unread").touch()
    assert len(nginx_swap.reload_needed([str(chain), str(chain.with_name("privkey.pem"))])) == 2
    nginx_swap.clear_marks([str(chain)])
    assert nginx_swap.reload_needed([str(chain), "/does/not/exist"]) == []


@pytest.mark.parametrize(
    ("broken", "put_back", "left"),
    [("test", False, False), ("load", True, False), ("load", False, True)],
)
def test_a_refusal_leaves_a_mark_if_nginx_has_not_read_the_old_one_again(
    tmp_path, monkeypatch, broken, put_back, left
):
    for name in ("LINK", "NEXT", "DIST", "EDITED", "STOCK_SITE", "DROP_IN"):
        monkeypatch.setattr(nginx_paths, name, str(tmp_path / name))
    monkeypatch.setattr(nginx_paths, "HOME", str(tmp_path))
    monkeypatch.setattr(nginx_swap, "unit", lambda: {"state": "active"})

    def refuse(*_words):
        raise nginx_service.Refused("no")

    for name in ("test", "load"):
        monkeypatch.setattr(nginx_swap, name, refuse if name == broken else lambda *_words: None)
    monkeypatch.setattr(nginx_swap, "put_back", lambda *_words: put_back)
    with pytest.raises(nginx_service.Refused):
        nginx_swap.swap(str(tmp_path / "tornadoes/new"), FILES, {}, {}, "", 80, os.getgid(), [])
    assert bool(nginx_swap.reload_needed([])) is left


def test_what_was_edited_by_hand_is_named_whatever_the_clock_says(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx_paths, "LINK", str(tmp_path / "nginx.conf"))
    name = nginx_release.name_of(FILES)
    folder = tmp_path / name
    nginx_release.store(folder, nginx_release.filled(FILES, name))
    assert nginx_release.drifted(str(folder), nginx_release.stored(folder)) == []
    (folder / "sites/a.conf").write_text("edited by hand")
    (folder / "sites/b.conf").write_text("added by hand")
    for path in folder.rglob("*.conf"):
        os.utime(path, (1, 1))
    found = nginx_release.drifted(str(folder), nginx_release.stored(folder))
    assert found == [f"{folder}/sites/a.conf", f"{folder}/sites/b.conf"]


def test_what_visitors_wrote_into_the_log_is_not_shown_as_nginx_own_words():
    own = "2026/11/26 16:34:34 [emerg] 12#12: bind() to 0.0.0.0:80 failed (98: Address already in use)"
    visitor = (
        '2026/11/26 16:34:34 [crit] 12#12: *7 open() "/x\x1b in /etc/shadow:1" failed, client: 192.0.2.1'
    )
    assert nginx_service.OWN_LINE.match(own)
    assert not nginx_service.OWN_LINE.match(visitor)
    assert nginx_reasons.explained("nginx: [emerg] a\x1b]0;b\x07") == "a\\x1b]0;b\\x07"


def test_a_restart_is_due_for_what_counts_at_a_start_alone():
    was = "# Ours.\n[Service]\nUMask=0077\nExecStart=/bin/a\n"
    reloads = "ExecReload=\nExecReload=/bin/sh -c 'one; \\\n    two'\nExecStartPost=/bin/b\n"
    asked = nginx_service.asked_at_start
    assert asked(was) == asked(was + "# How it is reloaded.\n" + reloads)
    assert asked(was) != asked(was.replace("0077", "0022"))
    assert asked(was) != asked(was.replace("/bin/a", "/bin/c"))


def test_a_test_has_the_sandbox_of_the_unit_and_nothing_else_of_it():
    unit_files = (
        "# /etc/x.conf\n[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=forking\nRestart=on-failure\n"
        "# ProtectHome=no\nProtectHome=read-only\nSystemCallFilter=@a \\\n  @b\n"
        "ReadWritePaths=-/run\nMemoryMax=1G\n"
    )
    assert nginx_service.sandbox(unit_files) == [
        "--property=ProtectHome=read-only",
        "--property=SystemCallFilter=@a    @b",
        "--property=ReadWritePaths=-/run",
    ]


def test_a_difference_names_only_what_differs():
    after = {"nginx.conf": FILES["nginx.conf"], "sites/b.conf": "new\n"}
    found = {one["after_header"]: (one["before"], one["after"]) for one in differences(FILES, after)}
    assert found == {"sites/a.conf": ("server {}\n", ""), "sites/b.conf": ("", "new\n")}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            'nginx: [warn] never mind\nnginx: [emerg] host not found in upstream "x:1" in /etc/a.conf:3\n',
            ('host not found in upstream "x:1"', "/etc/a.conf", 3),
        ),
        (
            "2026/01/01 00:00:00 [emerg] 12#12: bind() to 0.0.0.0:80 failed (98: Address already in use)\n",
            ("bind() to 0.0.0.0:80 failed (98: Address already in use)", None, None),
        ),
        ("Job for nginx.service\nfailed.\n", ("Job for nginx.service failed.", None, None)),
    ],
)
def test_nginx_complaints(output, reason):
    assert nginx_reasons.complaint(output) == reason


def test_a_complaint_quotes_the_line(tmp_path):
    path = tmp_path / "x.conf"
    path.write_text("first\n  proxy_read_timeout twosec;\n")
    said = nginx_reasons.explained(f'nginx: [emerg] "proxy_read_timeout" directive invalid value in {path}:2')
    assert said == f'"proxy_read_timeout" directive invalid value in {path}:2 (proxy_read_timeout twosec;)'


@pytest.mark.parametrize(
    ("path", "knows", "helps"),
    [
        ("/etc/nginx/mime.types", (0, "nginx-common: /etc/nginx/mime.types\n"), "nginx-common"),
        ("/usr/share/nginx/x.conf", (0, "libnginx-mod-a:amd64: /usr/share/nginx/x.conf\n"), "libnginx-mod-a"),
        ("/srv/x.conf", (1, "dpkg-query: no path found matching pattern /srv/x.conf\n"), ""),
        ("/etc/x", (0, "a, b: /etc/x\n"), ""),
    ],
)
def test_who_has_removed_what_a_package_brought_is_told_how_it_comes_back(
    tmp_path, monkeypatch, path, knows, helps
):
    """As after rm -rf /etc/nginx: apt takes Debian's files for what somebody wants to be without."""
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"include {path};\n")
    monkeypatch.setattr(nginx_reasons, "run", lambda *_words: knows)
    said = nginx_reasons.explained(
        f'nginx: [emerg] open() "{path}" failed (2: No such file or directory) in {conf}:1'
    )
    command = f"apt-get install --reinstall -o Dpkg::Options::=--force-confmiss {helps}"
    remedy = f"; it came with {helps}, {command} brings it back"
    assert said.startswith(
        f'open() "{path}" failed (2: No such file or directory) in {conf}:1 (include {path};)'
    )
    assert (remedy in said) == ("it came with" in said) == bool(helps)


def test_a_refusal_brings_back_the_nginx_conf_of_somebody(tmp_path, monkeypatch):
    for name in ("LINK", "NEXT", "DIST", "EDITED"):
        monkeypatch.setattr(nginx_paths, name, str(tmp_path / name))
    monkeypatch.setattr(nginx_swap, "run", lambda *_words: (0, ""))
    (tmp_path / "DIST").write_text("Debian's own")
    (tmp_path / "EDITED").write_text("somebody's own")
    (tmp_path / "LINK").symlink_to("the new release")
    nginx_swap.put_back(None, nginx_paths.EDITED, None, None)
    assert (tmp_path / "LINK").read_text() == "somebody's own"
    assert (tmp_path / "DIST").read_text() == "Debian's own"


def test_what_a_run_found_is_told_and_what_it_would_start_is_not_missed_before():
    done = {"unmanaged": ["/a"], "drifted": ["/b", "/c"], "missing": ["127.0.0.1:1"]}
    done |= {"removed": ["/d"]}
    assert list(report(done, ["gzip off;"], "www1", dry=False)) == [
        "Of the nginx.conf that was there went, its copy is /etc/nginx/nginx.conf.dist: gzip off;",
        "Left alone, and part of what nginx serves: /a",
        "Edited by hand, and undone: /b, /c",
        "nginx_proxy_sites: 127.0.0.1:1 is not there on www1. Visitors get an error for it until it is.",
        "No site uses these any more, and they went: /d",
    ]
    dry = list(report(done, [], "www1", dry=True))
    assert dry[1:] == [
        "Edited by hand, and to be undone: /b, /c",
        "No site uses these any more, and they would go: /d",
    ]
    assert list(report({key: [] for key in done}, [], "www1", dry=False)) == []


def test_what_former_sites_have_left_goes():
    certificates, closed = "/etc/nginx/certificates", "/etc/nginx/maintenance"
    folders = {certificates: ["old", "www"], closed: ["old", "www"], "/var/lib/nginx": ["body", "cache"]}
    folders["/etc/nginx/drained"] = []
    site = {"slug": "www", "certificate": f"{certificates}/www", "upstreams": []}
    found = set(unused(folders, {"sites": [site], "caching": True, "listens": []}))
    assert found == {f"{certificates}/old", f"{closed}/old"}
    assert "/var/lib/nginx/cache" in set(unused(folders, {"sites": [site], "caching": False, "listens": []}))
    # A site without TLS has a certificate no more.
    assert site["certificate"] in set(
        unused(folders, {"sites": [{**site, "certificate": ""}], "caching": True, "listens": []})
    )


def described(*sites, inner=(), **more):
    """What the tasks of a run have registered of a host. sites: a name, and the app that it publishes."""
    found = [{"name": name, "upstreams": [{"app": app}]} for name, app in sites]
    nginx = {"sites": found, "inner": {"apps": [{"app": one} for one in inner]} if inner else {}}
    return {"__nginx_proxy_inputs": {"roles": {"nginx_proxy": {"description": nginx}}}, **more}


def test_a_host_that_has_refused_holds_up_those_that_share_with_it_and_one_that_is_away_does_not():
    failed = {"failed": True}
    known = {
        "proxy": described(("www.example.org", "chat")),
        "tested": described(("www.example.org", ""), __nginx_proxy_rehearsed=failed),
        "app": described(inner=["chat"], __nginx_proxy_issued=failed),
        "stranger": described(("other.example.org", "other"), __nginx_proxy_rehearsed=failed),
        "away": described(("www.example.org", "chat"), __nginx_proxy_rehearsed={"unreachable": True}),
        "invalid": {"__nginx_proxy_inputs": failed},
        "single": described(("single.example.org", "")),
    }
    every = {
        "hostvars": known,
        "ansible_play_hosts_all": list(known),
        "ansible_play_hosts": ["proxy", "single"],
    }
    assert refused({**every, **known["proxy"]}) == ["tested", "app"]
    assert refused({**every, **known["single"]}) == []
    assert refused({**every, **known["proxy"], "ansible_play_hosts": list(known)}) == []
