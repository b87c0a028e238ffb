"""Values that can't be meant are refused together, each in one sentence; the host is not needed for it."""

from importlib import import_module

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run, unusable
from refused import REFUSED, sites
from rendering import ROOT, role_variables, trusted

ROLES = ("tornado_app", "nginx_proxy", "redis_server")
UTILS = "ansible_collections.tornadoes.tornadoes.plugins.plugin_utils"
# Whether these are meant is seen on the host, in the scenario "invalid".
ON_THE_HOST = (
    "folder",
    "misspelt",
    "mistyped",
    "of CAs",
    "host's own",
    "of nginx's",
    "of somebody's own",
    "of another's",
    "never was one",
    "that is a link",
    "that nobody has made",
    "that systemd does not know",
)
SECRET = "S3CR3T"


def inputs(role, **given):
    """The role's inputs with these variables on a host that has no facts, and what their types say."""
    variables = {**role_variables(role, **trusted(given)), "inventory_hostname": "www1", "ansible_facts": {}}
    run = Run(ROOT / "roles" / role, DataLoader(), variables)
    run.types()
    return import_module(f"{UTILS}.{role}").Inputs(run.values(), run), run.refused


def said(role, **given):
    """All that is said of the values."""
    return list(inputs(role, **given)[0].refusals())


@pytest.mark.parametrize("case", [case for case in REFUSED if not any(word in case for word in ON_THE_HOST)])
def test_what_is_refused_is_refused_in_its_sentence_alone(case):
    given, sentence = REFUSED[case]
    found = []
    for role in ROLES:
        checked, mistyped = inputs(role, **given)
        found += [one for problems in mistyped.values() for one in problems] or checked.refusals()
    # Of two files or two apps alike.
    assert sentence in found[0]
    assert len({one.split(" ")[0] for one in found}) == 1
    assert len(found) <= 2


def test_a_value_in_a_vault_that_nobody_opens_names_the_options_for_its_password():
    """Of a whole file Ansible says so itself; of one value it speaks of undecryptable variables."""
    locked = EncryptedString(ciphertext="$ANSIBLE_VAULT;1.1;AES256\n6162")
    variables = {**role_variables("tornado_app"), "tornado_app_name": locked, "inventory_hostname": "www1"}
    run = Run(ROOT / "roles/tornado_app", DataLoader(), variables)
    run.types()
    [sentence] = run.refused["tornado_app_name"]
    assert sentence.startswith("tornado_app_name: can't be read, ")
    assert sentence.endswith(". Give its password with --ask-vault-pass or --vault-password-file.")


def test_a_version_of_a_folder_in_a_repository_names_that(tmp_path):
    folder, head = tmp_path / "all" / "web", tmp_path / "all" / ".git" / "HEAD"
    folder.mkdir(parents=True)
    words = {"tornado_app_version": "v1", "tornado_app_source": str(folder)}
    [sentence] = said("tornado_app", **words)
    assert sentence.endswith(
        f"{folder} is a git repository, and it is none. Leave the version out, or give"
        " the address of a repository."
    )
    head.parent.mkdir()
    head.touch()
    [sentence] = said("tornado_app", **words)
    assert sentence.endswith(
        f"and it is a folder in one. Leave the version out, or give {tmp_path}/all, and the paths in that."
    )


def test_an_app_without_its_sandbox_is_warned_of():
    [sentence] = inputs("tornado_app", tornado_app_sandbox={"enabled": False})[0].warnings()
    assert sentence.startswith("tornado_app_sandbox: hello runs without its sandbox on www1")
    assert inputs("tornado_app", tornado_app_sandbox={"groups": ["dialout"]})[0].warnings() == []


def test_an_app_may_have_workers_alone():
    bot = [{"name": "bot", "command": "python bot.py"}]
    assert said("tornado_app", tornado_app_ports=[], tornado_app_workers=bot) == []


def test_a_run_that_could_hold_no_lock_is_refused():
    # As Mitogen's plugins are: a class that Ansible loads, made from one of its own.
    base = type("Connection", (), {"__module__": "ansible_mitogen.connection"})
    [sentence] = unusable(type("Connection", (base,), {})())
    assert sentence.startswith("ANSIBLE_STRATEGY: Mitogen's connections can't hold a deploy's lock")
    assert list(unusable(object())) == []


@pytest.mark.parametrize("where", ["inventory_dir", "playbook_dir", "cwd"])
def test_a_relative_path_is_found_from_the_inventory_the_playbook_and_where_the_run_began(
    tmp_path, monkeypatch, where
):
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat/page.html").write_text("closed")
    (tmp_path / "here/there").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" if where == "cwd" else "/")
    host = {where: str(tmp_path / "here")}
    assert said("tornado_app", tornado_app_source="../chat", **host) == []
    site = {"names": ["www.example.org"], "upstreams": ["127.0.0.1:8000"]}
    closed = {"nginx_proxy_sites": [{**site, "maintenance": {"page": "../chat/page.html"}}]}
    assert said("nginx_proxy", **closed, **host) == []
    [sentence] = said("tornado_app", tornado_app_source="../chaat", **host)
    assert "../chaat does not exist on the controller (looked for in /" in sentence
    assert f"{tmp_path}/here" in sentence


def test_a_name_in_other_letters_is_published_as_the_dns_has_it():
    found, _refused = inputs(
        "nginx_proxy", nginx_proxy_sites=[{"names": ["bücher.example", "www.example.org"], "static": []}]
    )
    assert found.sites[0]["names"] == ["xn--bcher-kva.example", "www.example.org"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my_site.example.org", "it has an underscore"),
        ("www.example.org.", "it ends with a dot"),
        ("WWW.example.org", "it has capitals"),
        ("www.example.org:8443", "it has a port"),
        ("[2001:db8::7]:8443", "it has a port"),
        ("https://www.example.org", "it is an address of a page"),
        ("a." * 130 + "org", "it is too long"),
    ],
)
def test_what_a_name_must_not_have_is_named(name, why):
    site = {"names": ["www.example.net", name], "upstreams": ["127.0.0.1:8000"]}
    [sentence] = said("nginx_proxy", nginx_proxy_sites=[site])
    assert sentence.startswith(f"nginx_proxy_sites: '{name}' ({why}) can't be the name of a site. Give ")


@pytest.mark.parametrize(
    "refused",
    [
        {"tornado_app_name": "My App"},
        {"tornado_app_name": 42},
        {"tornado_app_apps": [{"name": "chat", "prots": [8000]}]},
        {"tornado_app_apps": [{"name": "My App"}]},
    ],
)
def test_a_name_of_an_app_that_is_refused_brings_no_sentence_that_follows_from_it(refused):
    files = [{"url": "/static/", "path": "/srv/My App/static/"}]
    given = {"nginx_proxy_sites": [{"names": ["a.org"], "app": "chat", "static": files}], **refused}
    host = {"groups": {"tornado_app": ["www1"], "nginx_proxy": ["www1"]}}

    def about_sites(*validated):
        checked, _mistyped = inputs("nginx_proxy", **given, **host)
        checked.run.runners = validated
        return "\n".join(checked.refusals())

    assert "runs on no host" not in about_sites("www1")
    if "My App" in str(refused):
        assert about_sites("www1") == ""
    # Where nobody looks at the app in this run, nobody else says what is wrong.
    assert "app 'chat' runs on no host" in about_sites()


def test_who_listens_on_the_ports_of_an_app_that_can_t_be_called_so_is_not_said():
    """They may be its own, from before somebody mistyped its name."""
    there = {"holders": {"8000": "tornado-chat@8000.socket"}, "folders": {}, "no_groups": [], "calendars": {}}

    def about(name):
        return "".join(inputs("tornado_app", tornado_app_name=name)[0].answers({**there, "paths": {}}))

    assert "8000 is listened on by tornado-chat@8000.socket" in about("shop")
    assert about("My Chat") == about("chat") == ""


def test_the_sites_of_a_host_are_not_missed_while_a_name_is_refused():
    found = {"holders": {}, "paths": {}, "settings": [], "unmanaged": [], "sites": ["my-site.example.org"]}

    def about(name):
        site = {"names": [name], "upstreams": ["127.0.0.1:8000"]}
        return "".join(inputs("nginx_proxy", nginx_proxy_sites=[site])[0].answers(found))

    assert "my-site.example.org is on www1 and in no entry" in about("www.example.org")
    assert about("my_site.example.org") == about("my-site.example.org") == ""


@pytest.mark.parametrize(
    "name", ["a" * 64 + ".example.org", ".".join(["a" * 60] * 5), "bü cher.example", "ü" * 70]
)
def test_a_name_that_the_dns_can_t_have_is_refused(name):
    [sentence] = said("nginx_proxy", nginx_proxy_sites=[{"names": [name], "upstreams": ["127.0.0.1:8000"]}])
    assert "can't be the name of a site" in sentence


def test_a_file_that_a_run_writes_lies_beside_the_inventory(tmp_path):
    found, _refused = inputs(
        "nginx_proxy", nginx_proxy_private_ca_fetch_to="ca.crt", inventory_dir=str(tmp_path)
    )
    assert found.description()["fetch_to"] == f"{tmp_path}/ca.crt"


@pytest.mark.parametrize(
    ("role", "playbook"),
    [
        ("tornado_app", "rollback"),
        ("nginx_proxy", "maintenance"),
        ("nginx_proxy", "purge"),
        ("nginx_proxy", "drain"),
    ],
)
def test_what_a_playbook_may_be_told_need_not_be_told(role, playbook):
    variables = {**role_variables(role), "inventory_hostname": "www1"}
    run = Run(ROOT / "roles" / role, DataLoader(), variables, playbook)
    run.types()
    assert run.description() is not None


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_are_taken(role):
    assert said(role) == []


def test_an_app_that_is_to_be_removed_wants_no_port():
    apps = [{"name": "bot", "state": "absent"}, {"name": "chat", "ports": [8000]}]
    assert said("tornado_app", tornado_app_apps=apps) == []


def test_all_that_is_wrong_is_said_at_once():
    found = said(
        "tornado_app",
        tornado_app_ports=[8000, 8000, 70000],
        tornado_app_main="../hello",
        tornado_app_static="../static",
        tornado_app_tasks_max=1,
        tornado_app_name="My App",
    )
    assert [one.split(":")[0] for one in found] == [
        "tornado_app_name",
        "tornado_app_ports",
        "tornado_app_ports",
        "tornado_app_main",
        "tornado_app_static",
        "tornado_app_cpu_max, tornado_app_tasks_max",
    ]


def test_a_type_that_is_wrong_hides_no_other_value():
    checked, mistyped = inputs("tornado_app", tornado_app_ports="8000", tornado_app_main="../hello")
    assert list(mistyped) == ["tornado_app_ports"]
    assert "tornado_app_main: '../hello' can't be started" in "".join(checked.refusals())


NETWORKS = {
    "10.0.0.0/8": True,
    "192.0.2.7": True,
    "2001:db8::/32": True,
    "2001:DB8::/32": True,
    "::/0": True,
    "::::": False,
    "12345::": False,
    "10.0.0.0/33": False,
    "10.0.0.0/08": False,
    "10.0.0.0/255.0.0.0": False,
    "10.0.0": False,
    "fe80::1%eth0": False,
    "10.0.0.0/8\n": False,
    "10.0.0.0/": False,
    "all": False,
    "": False,
}


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_are_what_nginx_takes_for_them(network):
    assert (said("nginx_proxy", nginx_proxy_trusted_proxies=[network]) == []) == NETWORKS[network]


UPSTREAMS = {
    "127.0.0.1:8000": True,
    "app_1.example.org:8000": True,
    "[::1]:8000": True,
    "unix:/run/app/a.sock": True,
    "127.0.0.1": False,
    "127.0.0.1:0": False,
    "127.0.0.1:65536": False,
    "127.0.0.1:08000": False,
    "::1:8000": False,
    "[::g]:8000": False,
    "[127.0.0.1]:8000": False,
    "unix:app.sock": False,
    "unix:/run/a.sock:/x": False,
    "http://127.0.0.1:8000": False,
    "127.0.0.1:8000;": False,
    "127.0.0.1:8000\n": False,
}


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_upstreams_are_what_nginx_takes_for_them(upstream):
    assert (said("nginx_proxy", **sites({"upstreams": [upstream]})) == []) == UPSTREAMS[upstream]


NAMES = {
    "www.example.org": True,
    "*.example.org": True,
    "localhost": True,
    "192.0.2.7": True,
    "2001:db8::1": True,
    "xn--bcher-kva.example": True,
    "WWW.example.org": False,
    "2001:DB8::1": False,
    "www.example.org:443": False,
    "example..org": False,
    "-a.example.org": False,
    "300.1.1.1": False,
    "1.2.3": False,
    "a.*.example.org": False,
    "www.example.org\n": False,
    "": False,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_sites_are_those_of_hosts_and_addresses(name):
    assert (said("nginx_proxy", **sites({"names": [name]})) == []) == NAMES[name]


@pytest.mark.parametrize(
    ("address", "known"),
    [
        (f"http://bob:{SECRET}@127.0.0.1/chat.tar.gz", True),
        (f"ssh://bob:{SECRET}@127.0.0.1/chat.git", True),
        (f"ftp://bob:{SECRET}@127.0.0.1/chat.tar.gz", False),
    ],
)
def test_the_password_in_an_address_is_in_no_sentence(address, known):
    sentences = "".join(said("tornado_app", tornado_app_source=address))
    assert SECRET not in sentences
    assert ("127.0.0.1/chat.tar.gz does not exist on the controller" in sentences) != known


def test_what_is_not_there_is_named(tmp_path):
    source, wheels = said(
        "tornado_app", tornado_app_source="/no/such/source", tornado_app_wheels="/no/such/wheels"
    )
    assert source.startswith("tornado_app_source: /no/such/source does not exist on the controller. Give")
    assert wheels.startswith("tornado_app_wheels: /no/such/wheels does not exist on the controller. Give")
    assert said("tornado_app", tornado_app_source=str(tmp_path)) == []


@pytest.mark.parametrize("variable", ["tornado_app_source", "tornado_app_wheels"])
def test_a_file_in_the_place_of_a_folder_is_not_said_to_be_missing(tmp_path, variable):
    """Who reads that it does not exist looks for it on the wrong machine."""
    program = tmp_path / "server.py"
    program.touch()
    [sentence] = said("tornado_app", **{variable: str(program)})
    assert sentence.startswith(f"{variable}: {program} is a file. Give the directory that it is in, ")
    archive = tmp_path / "chat.tar.gz"
    archive.touch()
    assert said("tornado_app", tornado_app_source=str(archive)) == []


def test_a_source_that_no_path_can_be_is_named_as_any_other():
    [sentence] = said("tornado_app", tornado_app_source="a" * 300)
    assert "does not exist on the controller" in sentence


def test_no_password_of_a_user_is_in_a_sentence():
    users = [{"name": "chat", "password": SECRET}, {"name": "My Chat", "password": SECRET, "keys": ['a"b']}]
    sentences = said("redis_server", redis_server_users=users)
    assert len(sentences) == 3
    assert SECRET not in "".join(sentences)


@pytest.mark.parametrize(
    ("entry", "ports", "surplus"),
    [
        ({"ports": [8000, 8001]}, ["8000", "8001"], []),
        ({"ports": [8000, 8001]}, [], []),
        ({"ports": [8000]}, ["8000", "8001"], ["chat"]),
        # A name that is refused is asked of no host.
        ({"name": "Chat!"}, [], []),
        # Whatever there is: a killed run may have removed its ports and nothing else.
        ({"ports": [8000], "state": "absent"}, [], ["chat"]),
    ],
)
def test_ports_that_are_no_longer_listed_and_absent_apps_are_surplus(entry, ports, surplus):
    apps = [{"name": "chat", **entry}, {"name": "shop", "ports": [9000]}]
    found = inputs("tornado_app", tornado_app_apps=apps)[0]
    assert found.surplus({"chat": ports, "shop": ["9000"]}) == surplus
