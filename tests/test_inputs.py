"""What somebody who mistypes a variable is told: what is wrong, and what was meant."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible._internal._datatag._tags import Origin, VaultedValue
from ansible_collections.tornadoes.tornadoes.plugins.action.inputs import Run, picked, unlisted
from ansible_collections.tornadoes.tornadoes.plugins.module_utils.host import installed_apps
from ansible_collections.tornadoes.tornadoes.plugins.plugin_utils import names as inputs
from rendering import ROOT, evaluate, load

PLAYBOOKS = (ROOT / "playbooks").glob("*.yml")
ROLES = ("tornado_app", "nginx_proxy", "redis_server", "keepalived")
SPECS = {role: load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"] for role in ROLES}
OPTIONS = {role: SPECS[role]["variables"]["options"] for role in ROLES}
ALL = {
    name: option
    for spec in SPECS.values()
    for one in spec.values()
    for name, option in one["options"].items()
}

# What others call theirs: roles that people use beside these, and names of one's own.
THEIRS = """
    nginx_user nginx_vhosts nginx_worker_processes nginx_worker_connections nginx_error_log
    nginx_access_log nginx_configs nginx_upstreams nginx_ppa_use nginx_servers nginx_http_template
    nginx_main_template nginx_extra_http_options nginx_client_max_body_size nginx_proxy nginx_ports
    nginx_service_state nginx_limits nginx_server_tokens nginx_app_name nginx_proxy2_sites
    proxy_sites proxy_env proxy_port ngx_sites redis_port redis_bind_interface redis_timeout
    redis_maxmemory redis_users redis_version redis_server redis_servers redis_conf_path
    redis_service_name redis_daemon redis_package_name redis_password redis_requirepass
    redis_addresses redis_state redis_mode redis_databases redis_cluster_port redis_user
    redis_sentinel_port redis_exporter_port tornado_version tornado_user tornado_main
    tornado_api_ports tornado_web_ports tornado_app2_ports tornado_apps tornado_apps_dir
    tornado_application_log tornado_environment tornado_secrets tornado_logs_dir app_ports app_name
    app_version app_source app_user app_environment my_tornado_app_name my_nginx_proxy_thing sites
    users http_port https_port domain version release name state certbot_admin_email
    postgresql_users docker_users ssh_port security_ssh_port ntp_servers haproxy_backend_servers
    traefik_proxy_sites letsencrypt_email acme_directory apache_vhosts django_app_name
    flask_app_ports tomcat_app_ports gunicorn_workers uwsgi_processes supervisor_programs
""".split()  # noqa: SIM905

SLIPS = {
    "tornado_app_port": "tornado_app_ports",
    "tornado_apps_ports": "tornado_app_ports",
    "tornadoapp_name": "tornado_app_name",
    "tornado-app-name": "tornado_app_name",
    "tornado_app-ports": "tornado_app_ports",
    "tornado_ap_name": "tornado_app_name",
    "Tornado_app_name": "tornado_app_name",
    "torando_app_version": "tornado_app_version",
    "tornado_app_vesion": "tornado_app_version",
    "tornado_app_secret": "tornado_app_secrets",
    "tornado_app_env": "tornado_app_environment",
    "ngnix_proxy_sites": "nginx_proxy_sites",
    "nginx-proxy-sites": "nginx_proxy_sites",
    "nginxproxy_sites": "nginx_proxy_sites",
    "nginx_proxies_sites": "nginx_proxy_sites",
    "nginx_porxy_http_port": "nginx_proxy_http_port",
    "NGINX_PROXY_SITES": "nginx_proxy_sites",
    "nginx_prox_sites": "nginx_proxy_sites",
    "nginx_proxy_site": "nginx_proxy_sites",
    "nginx_proxy_limit": "nginx_proxy_limits",
    "redis_servers_users": "redis_server_users",
    "redis_serv_port": "redis_server_port",
    "reids_server_port": "redis_server_port",
    "redis-server-users": "redis_server_users",
    "redis_server_user": "redis_server_users",
}


def looked_at(role, variables, given=()):
    """The names of these variables, beside the role's own."""
    defaults = load(f"roles/{role}/defaults/main.yml")
    elsewhere = {"tornado_app_release": "rollback"}
    return inputs.Names(role, OPTIONS[role], defaults, {**defaults, **variables}, given, elsewhere)


def names(role, variables, given=()):
    """What is said of the names of these variables."""
    return list(looked_at(role, variables, given).refusals(variables.get))


def doubts(role, variables):
    """What the run warns of, since it may be another role's."""
    return list(looked_at(role, variables).doubts(variables.get))


def said(name, value):
    """What is said of a variable's value."""
    return list(inputs.check(name, value, ALL[name]))


@pytest.mark.parametrize("name", SLIPS)
def test_a_misspelt_name_is_answered_with_the_right_one(name):
    role = next(role for role in ROLES if SLIPS[name].startswith(role))
    [sentence] = names(role, {name: "x"})
    assert sentence.startswith(f"{name}: ")
    assert sentence.endswith(f"Is it {SLIPS[name]}?")


@pytest.mark.parametrize("name", ["tornado_app_user", "tornado_app_directory", "nginx_proxy_servers"])
def test_nothing_else_is_proposed_for_what_there_is_not(name):
    """tornado_app_serial was, for its prefix alone: it says how many hosts switch at once."""
    [sentence] = names(next(role for role in ROLES if name.startswith(role)), {name: "x"})
    assert sentence.startswith(f"{name}: no such variable. There are ")


@pytest.mark.parametrize("role", ROLES)
def test_names_of_others_are_theirs(role):
    assert names(role, {name: "x" for name in THEIRS if not name.startswith(f"{role}_")}) == []


def test_a_name_that_another_variable_uses_is_no_slip():
    assert (
        names("tornado_app", {"tornado_apps_ports": [8000], "tornado_app_ports": "{{ tornado_apps_ports }}"})
        == []
    )
    assert names("nginx_proxy", {"nginx_sites": [], "x": [{"y": "{{ nginx_sites + [] }}"}]}) == []


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("nginx_sites", [{"names": ["www.example.org"]}], "nginx_proxy_sites"),
        ("tornado_ports", [8000, 8001], "tornado_app_ports"),
        ("redis_users", [{"name": "chat", "password": "x"}], "redis_server_users"),
    ],
)
def test_half_a_prefix_is_a_slip_where_the_value_can_be_nothing_else(name, value, meant):
    role = next(role for role in ROLES if meant.startswith(role))
    assert names(role, {name: value}) == [f"{name}: nothing reads this variable. Is it {meant}?"]
    assert names(role, {name: {"example.org": ["listen 80"]}}) == []
    assert names(role, {name: value, meant: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("nginx_http_port", 8080, "nginx_proxy_http_port"),
        ("tornado_main", "chat.py", "tornado_app_main"),
        ("redis_port", 6380, "redis_server_port"),
    ],
)
def test_half_a_prefix_that_may_be_another_roles_is_doubted_not_refused(name, value, meant):
    role = next(role for role in ROLES if meant.startswith(role))
    assert names(role, {name: value}) == []
    [sentence] = doubts(role, {name: value})
    assert sentence == f"{name}: nothing here reads this variable. If {meant} is meant, write that."
    # What changes nothing, what could not be ours, and what somebody uses, is theirs.
    default = load(f"roles/{role}/defaults/main.yml")[meant]
    assert doubts(role, {name: default}) == doubts(role, {name: ["x"]}) == []
    assert doubts(role, {name: value, meant: f"{{{{ {name} }}}}"}) == []


@pytest.mark.parametrize("word", ["version", "tornado_version", "app_version"])
def test_what_the_command_line_gives_without_the_prefix_is_a_slip(word):
    assert names("tornado_app", {word: "v2"}, given=[word]) == [
        f"{word}: nothing reads this variable. Is it tornado_app_version?"
    ]
    assert names("tornado_app", {word: "v2"}) == []
    assert names("tornado_app", {word: "v2", "tornado_app_version": "{{ " + word + " }}"}, given=[word]) == []


@pytest.mark.parametrize(
    ("text", "name", "example"),
    [
        ("tornado_app_release = x", "tornado_app_release", "tornado_app_release=x"),
        ("tornado_app_release= x", "tornado_app_release", "tornado_app_release=x"),
        ("tornado_app_release =x", "tornado_app_release", "tornado_app_release=x"),
        ("tornado_app_version: v1", "tornado_app_version", "tornado_app_version=v1"),
        ("tornado_app_version:v1", "tornado_app_version", "tornado_app_version=v1"),
        ("tornado_app_version", "tornado_app_version", "tornado_app_version=VALUE"),
        ("tornado_app_name=a tornado_app_version: v1", "tornado_app_version", "tornado_app_version=VALUE"),
        ("tornado_app_main=-m chat", "tornado_app_main", "tornado_app_main=VALUE"),
        ("tornado_app_secrets: s3cret", "tornado_app_secrets", "tornado_app_secrets=VALUE"),
        ("nginx_proxy_maintenance: on", "nginx_proxy_maintenance", "nginx_proxy_maintenance=on"),
        ("= x", "", "NAME=VALUE"),
    ],
)
def test_a_variable_of_the_command_line_that_is_none_is_refused(text, name, example):
    assert list(inputs.strays([text], ALL, own=True)) == [
        f"-e {name}: Ansible makes no variable of what is written so. Write -e {example}, "
        "without spaces or a colon, or in quotes what has some."
    ]
    theirs = list(inputs.strays([text], ALL, own=False))
    assert len(theirs) == (name in ALL)


def test_what_ansible_reads_from_the_command_line_is_taken():
    texts = [
        "tornado_app_version=v1",
        "tornado_app_main='-m chat'",
        "@a b.yml",
        '{"a": 1}',
        "[]",
        "a=1 b=2",
        "",
    ]
    assert list(inputs.strays(texts, ALL, own=True)) == []


def test_what_a_playbook_is_told_stands_in_no_inventory():
    assert names("tornado_app", {"tornado_app_release": "x"}) == [
        "tornado_app_release: only playbooks/rollback.yml reads it, from the command line. Leave it out here."
    ]


def test_a_name_of_an_earlier_version_is_answered_with_what_to_do(monkeypatch):
    gone = {
        "tornado_app_former": "tornado_app_main",
        "tornado_app_apps.was": "The host finds it. Remove the line.",
    }
    monkeypatch.setattr(inputs, "RENAMED", gone)
    assert names("tornado_app", {"tornado_app_former": "x"}) == [
        "tornado_app_former: it is called tornado_app_main now. Write that."
    ]
    assert said("tornado_app_apps", [{"name": "one"}, {"name": "two", "was": "x"}]) == [
        "tornado_app_apps[1].was: no such variable any more. The host finds it. Remove the line."
    ]


def test_nobody_reads_what_is_said_to_be_gone():
    for name in inputs.RENAMED:
        variable, *keys = name.split(".")
        options = next(OPTIONS[role] for role in ROLES if variable.startswith(role))
        for key in keys:
            options, variable = options[variable]["options"], key
        assert variable not in options, name


def run_unreachable(folder, *words):
    """What a playbook says that is given hosts which nobody can reach: this machine must not be changed."""
    host = {"nobody": {"ansible_connection": "ssh", "ansible_ssh_executable": "/bin/false"}}
    (folder / "hosts.yml").write_text(yaml.safe_dump({role: {"hosts": host} for role in ROLES}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", folder, *words]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_GATHERING"] = "explicit"
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("playbook", "sentence"),
    [
        ("maintenance", "nginx_proxy_maintenance: is missing. Give on or off, with -e."),
        ("purge", "nginx_proxy_purge: is missing. Give text, with -e."),
        ("drain", "nginx_proxy_drain: is missing. Give text, with -e."),
        ("undrain", "nginx_proxy_undrain: is missing. Give text, with -e."),
    ],
)
def test_a_playbook_says_what_it_has_to_be_told(tmp_path, playbook, sentence):
    done = run_unreachable(tmp_path, f"playbooks/{playbook}.yml")
    assert done.returncode == 2
    assert sentence in done.stdout


@pytest.mark.parametrize("playbook", ["site.yml", *sorted(f"playbooks/{one.name}" for one in PLAYBOOKS)])
def test_every_playbook_refuses_it_before_all_else(tmp_path, playbook):
    done = run_unreachable(tmp_path, playbook, "-e", "tornado_app_version: v1")
    assert done.returncode == 2
    assert "-e tornado_app_version: Ansible makes no variable" in done.stdout + done.stderr
    assert re.search("changed=0 +unreachable=0 +failed=1", done.stdout)
    tasks = re.findall(r"TASK \[(.*?)\]", done.stdout)
    assert "Validate names" in tasks[-1]
    assert len(tasks) <= 3


# How several of them end.
QUOTES = "Give text, in quotes where YAML makes something else of it."
SITE = {"names": ["www.example.org"], "upstreams": ["127.0.0.1:8000"]}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("tornado_app_ports", 8000, "tornado_app_ports: 8000 is no list. Give one, as [8000]."),
        (
            "tornado_app_ports",
            "8000,8001",
            "tornado_app_ports: '8000,8001' is no list. Give one, as [8000, 8001].",
        ),
        ("tornado_app_ports", "[8000]", "tornado_app_ports: '[8000]' is no list. Give one, as [8000]."),
        (
            "tornado_app_ports",
            "8000-8003",
            "tornado_app_ports: '8000-8003' is no list. Give one, as [8000, 8001, 8002, 8003].",
        ),
        (
            "tornado_app_ports",
            "8003-8000",
            "tornado_app_ports: '8003-8000' is no list. Give one, as [..., ...].",
        ),
        (
            "tornado_app_ports",
            ["8000-8003"],
            "tornado_app_ports[0]: '8000-8003' is no whole number. Give digits alone.",
        ),
        ("tornado_app_ports", [True], "tornado_app_ports[0]: true is no whole number. Give digits alone."),
        (
            "tornado_app_ports",
            None,
            "tornado_app_ports: there is no value. Give a list, or leave the line out.",
        ),
        ("tornado_app_ports", {8000: None}, "tornado_app_ports: a dict is no list. Give one, as [..., ...]."),
        ("tornado_app_version", 1.1, "tornado_app_version: 1.1 is a number. Write it in quotes, as text."),
        ("tornado_app_version", 7, "tornado_app_version: 7 is a number. Write it in quotes, as text."),
        (
            "tornado_app_version",
            None,
            "tornado_app_version: there is no value. Give text, or leave the line out.",
        ),
        ("tornado_app_name", ["chat"], "tornado_app_name: a list is no text. Give one line of it."),
        (
            "tornado_app_state",
            "absnet",
            "tornado_app_state: 'absnet' is none of the choices. There are present, absent.",
        ),
        (
            "tornado_app_drain_timeout",
            "30s",
            "tornado_app_drain_timeout: '30s' is no whole number. Give digits alone.",
        ),
        (
            "tornado_app_drain_timeout",
            0.5,
            "tornado_app_drain_timeout: 0.5 is no whole number. Give digits alone.",
        ),
        (
            "tornado_app_environment",
            "DEBUG=1",
            "tornado_app_environment: the value has no keys. Give keys with values.",
        ),
        (
            "tornado_app_environment",
            {"DEBUG": False},
            "tornado_app_environment.DEBUG: false is no text. " + QUOTES,
        ),
        (
            "tornado_app_secrets",
            {"cookie": None},
            "tornado_app_secrets.cookie: there is no value. " + QUOTES,
        ),
        (
            "tornado_app_sandbox",
            {"outbound": "no"},
            "tornado_app_sandbox.outbound: 'no' is neither true nor false. Give one of them, without quotes.",
        ),
        (
            "tornado_app_sandbox",
            {"writeable_paths": []},
            "tornado_app_sandbox.writeable_paths: no such key. Is it writable_paths?",
        ),
        (
            "tornado_app_apps",
            [{"name": "a", "port": [8000]}],
            "tornado_app_apps[0].port: no such key. Is it ports?",
        ),
        ("tornado_app_apps", [{"ports": [8000]}], "tornado_app_apps[0]: name is missing. Give text there."),
        (
            "tornado_app_apps",
            {"name": "a"},
            "tornado_app_apps: a dict is no list. Give a list, each entry with a dash before its first key.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "upstream": []}],
            "nginx_proxy_sites[0].upstream: no such key. Is it upstreams?",
        ),
        (
            "nginx_proxy_sites",
            [SITE, None],
            "nginx_proxy_sites[1]: there is no value. Give keys with values, or leave the line out.",
        ),
        (
            "nginx_proxy_sites",
            [{"upstreams": []}],
            "nginx_proxy_sites[0]: names is missing. Give a list there.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "names": "a.org"}],
            "nginx_proxy_sites[0].names: 'a.org' is no list. Give one, as [a.org].",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "tls": True}],
            "nginx_proxy_sites[0].tls: true is none of the choices. "
            "There are private_ca, acme, provided, none.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "hsts": True}],
            "nginx_proxy_sites[0].hsts: true is none of the choices. There are none, host, subdomains.",
        ),
        (
            "tornado_app_state",
            False,
            "tornado_app_state: false is none of the choices. There are present, absent.",
        ),
        (
            "tornado_app_state",
            0,
            "tornado_app_state: 0 is none of the choices. There are present, absent.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "tls": None}],
            "nginx_proxy_sites[0].tls: there is no value. Give text, or leave the line out.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "redirect": "no"}],
            "nginx_proxy_sites[0].redirect: 'no' is neither true nor false. Give one of them, "
            "without quotes.",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "acess": []}],
            "nginx_proxy_sites[0].acess: no such key. Is it access?",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "access": [{"path": "/", "user_file": "x"}]}],
            "nginx_proxy_sites[0].access[0].user_file: no such key. Is it users_file?",
        ),
        (
            "nginx_proxy_sites",
            [{**SITE, "static": ["/static/"]}],
            "nginx_proxy_sites[0].static[0]: '/static/' has no keys. Give keys with values. "
            "There are path, url.",
        ),
        (
            "nginx_proxy_maintenance",
            True,
            "nginx_proxy_maintenance: true is no text: YAML reads yes, no, on, off, true and "
            "false so. Write it in quotes.",
        ),
        (
            "nginx_proxy_tls_profile",
            "old",
            "nginx_proxy_tls_profile: 'old' is none of the choices. There are intermediate, modern.",
        ),
        (
            "nginx_proxy_acme",
            {"email": "a@example.org"},
            "nginx_proxy_acme.email: no such key. Is it mail?",
        ),
        (
            "nginx_proxy_limits",
            {"header_sise": "8k"},
            "nginx_proxy_limits.header_sise: no such key. Is it header_size?",
        ),
        (
            "nginx_proxy_http_port",
            "80/tcp",
            "nginx_proxy_http_port: '80/tcp' is no whole number. Give digits alone.",
        ),
        (
            "redis_server_addresses",
            "127.0.0.1",
            "redis_server_addresses: '127.0.0.1' is no list. Give one, as [127.0.0.1].",
        ),
    ],
)
def test_a_value_of_another_type_gets_one_sentence(name, value, sentence):
    found = said(name, value)
    assert len(found) == 1
    assert found == [sentence]
    for word in ("Ansible", "<class", "Tagged", "requested", "NoneType"):
        assert word not in found[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tornado_app_keep_releases", "3"),
        ("tornado_app_environment", {"A": "b", "N": 7, "R": 0.5}),
        ("nginx_proxy_worker_processes", 2),
        ("nginx_proxy_worker_processes", "auto"),
        ("nginx_proxy_limits", {"header_size": 8000}),
        ("nginx_proxy_sites", [{**SITE, "max_body_size": 100, "maintenance": {}}]),
    ],
)
def test_what_is_meant_well_is_taken(name, value):
    assert said(name, value) == []


def test_no_other_variable_fails_where_the_apps_have_no_value():
    assert evaluate("tornado_app", "tornado_app_name", tornado_app_apps=None) == "hello"
    assert evaluate("tornado_app", "tornado_app_name", tornado_app_apps=[{"name": "chat"}]) == ""


def test_all_that_is_wrong_is_said_at_once():
    found = said("nginx_proxy_sites", [{"name": "a", "tls": "acne", "timeout": "long"}])
    assert len(found) == 4


def test_a_secret_is_in_no_sentence(tmp_path):
    secret = "correct-horse-battery"
    assert secret not in "".join(
        said("tornado_app_secrets", secret) + said("tornado_app_environment", [secret])
    )
    assert secret not in "".join(said("redis_server_users", [{"name": "a", "password": [secret]}]))
    vaulted = VaultedValue(ciphertext="$ANSIBLE_VAULT;1.1;AES256").tag(secret)
    (tmp_path / "all.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162")
    from_file = Origin(path=str(tmp_path / "all.yml")).tag(secret)
    for one in (vaulted, from_file):
        assert said("tornado_app_ports", one) == [
            "tornado_app_ports: the value is no list. Give one, as [..., ...]."
        ]
        assert secret not in "".join(said("nginx_proxy_tls_profile", one))


def test_an_inventory_that_picks_one_of_its_apps_is_told_which_ones_it_leaves():
    """The others would not be deployed, and the run would say that all is well."""
    apps = SimpleNamespace(all=[{"name": "chat"}, {"name": "shop"}], named="chat")
    [sentence] = picked("tornado_app", apps, {})
    assert "'chat' picks one of tornado_app_apps, so shop is left as it is." in sentence
    assert list(picked("tornado_app", apps, {"tornado_app_name": "chat"})) == []
    apps.named = ""
    assert list(picked("tornado_app", apps, {})) == []


def test_an_app_that_the_inventory_does_not_list_any_more_is_told():
    """It would run on, with the code of that day, and no run would name it."""
    apps = SimpleNamespace(all=[{"name": "chat"}], apps=[SimpleNamespace(name="chat")])
    [sentence] = unlisted("tornado_app", apps, ["chat", "shop"], "www1", {})
    assert sentence.startswith("tornado_app_apps: shop is on www1 and in no entry, so nothing is done there.")
    assert "{name: shop, state: absent}" in sentence
    assert list(unlisted("tornado_app", apps, ["chat"], "www1", {})) == []
    assert list(unlisted("tornado_app", apps, ["chat", "shop"], "www1", {"tornado_app_name": "chat"})) == []
    alone = SimpleNamespace(all=[], apps=[SimpleNamespace(name="shop")])
    assert list(unlisted("tornado_app", alone, ["shop"], "www1", {})) == []


def test_the_apps_of_a_host_are_those_with_units_and_releases(tmp_path):
    for name in ("chat", "shop", "mail"):
        (tmp_path / f"tornado-{name}.target").touch()
    (tmp_path / "tornado-chat@.service").touch()
    (tmp_path / "other.target").touch()
    for name in ("chat", "shop", "other"):
        (tmp_path / name / "releases").mkdir(parents=True)
    assert installed_apps(str(tmp_path), str(tmp_path)) == ["chat", "shop"]


@pytest.mark.parametrize(("manager", "refused"), [("systemd", False), ("sh", True), (None, False)])
def test_a_container_without_systemd_is_told_that_it_has_none(manager, refused):
    """It was told that it can't be looked at."""
    facts = {"distribution": "Debian", "distribution_major_version": "13"}
    facts |= {"service_mgr": manager} if manager else {}
    run = Run.__new__(Run)
    run.host, run.facts = "box", facts
    said = "".join(run.system())
    assert ("box is run by sh, not by systemd" in said) == refused == bool(said)
