"""A slip in an inventory or on the command line ends in a sentence, not in a run that does nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rendering import ROOT

GOOD = {
    "hosts.yml": """
        tornado_app: {hosts: {www.example.org: }}
        nginx_proxy: {hosts: {www.example.org: }}
        database: {hosts: {db.example.org: }}
    """
}
ENCODINGS = {"group_vars/all.json": "utf-16"}  # as some editors write it


def run(folder, files, *words, playbook="site.yml"):
    """What a playbook says to an inventory of these files: the exit code, and all that it printed."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [line.removeprefix("        ") for line in text.splitlines()]
        (folder / name).write_text("\n".join(lines), encoding=ENCODINGS.get(name))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", folder, playbook, *words]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("files", "words", "sentence"),
    [
        ({}, [], ": there is no host in it. Give -i a file or folder that has some."),
        ({}, ["-l", "www.example.org"], ": there is no host in it. Give -i a file or folder that has some."),
        (
            {"hosts.yml": "webservers: {hosts: {www.example.org: }}"},
            [],
            ": no host is in a group tornado_app or nginx_proxy or redis_server or keepalived, so there is "
            "nothing to do. The "
            "groups with names are webservers. Write, as an example, "
            "tornado_app: {hosts: {www.example.org: }}",
        ),
        (
            {"hosts.yml": "all: {tornado_app: {hosts: {a: }}, hosts: {b: }}"},
            [],
            ": no host is in a group tornado_app or nginx_proxy or redis_server or keepalived, so there is "
            "nothing to do.",
        ),
        (
            {"hosts.yml": "tornado_apps: {hosts: {a: }}\nnginx_proxy: {hosts: {a: }}"},
            [],
            "tornado_apps: no playbook knows this group of the inventory. Is it tornado_app?",
        ),
        (
            {"hosts.yml": "tornado_app: {hosts: {a: }}\nngnix_proxy: {hosts: {a: }}"},
            [],
            "ngnix_proxy: no playbook knows this group of the inventory. Is it nginx_proxy?",
        ),
        (
            {"hosts.ini": "[tornado-app]\nwww.example.org\n"},
            [],
            "tornado-app: no playbook knows this group of the inventory. Is it tornado_app?",
        ),
        (
            {"hosts.yml": "tornado_app: {hosts: {web 1: }}"},
            [],
            "'web 1': no play can have this host of the inventory, as Ansible reads several in it. Call it by"
            " letters,",
        ),
        (
            {"hosts.yml": "tornado_app: {hosts: {a: }}\nredis_servers: {hosts: {a: }}"},
            [],
            "redis_servers: no playbook knows this group of the inventory. Is it redis_server?",
        ),
        (
            {**GOOD, "group_vars/all.yml": "nginx_proxy_sites:\n  - names: [a.example]\n   app: chat\n"},
            [],
            "group_vars/all.yml:3:4: YAML parsing failed: While parsing a block collection",
        ),
        (
            {**GOOD, "group_vars/all.json": "{}"},
            [],
            "group_vars/all.json: YAML parsing failed: it is not UTF-8. Save it so.",
        ),
        (
            {**GOOD, "group_vars/all.yml": "tornado_app_secrets:\n\tkey: x\n"},
            [],
            "group_vars/all.yml:2:1: YAML parsing failed: Tabs are usually invalid in YAML.",
        ),
        (
            {**GOOD, "host_vars/www.example.org.yml": "$ANSIBLE_VAULT;1.1;AES256\n3132\n"},
            [],
            "host_vars/www.example.org.yml: Attempting to decrypt but no vault secrets found."
            " Give its password with --ask-vault-pass or --vault-password-file.",
        ),
        (
            {**GOOD, "group_vars/tornado-app.yml": ""},
            [],
            "tornado-app.yml: nothing in the inventory is called tornado-app, so nobody reads this file. "
            "Is it tornado_app?",
        ),
        (
            {**GOOD, "group_vars/nginx_proxys.yml": ""},
            [],
            "nginx_proxys.yml: nothing in the inventory is called",
        ),
        ({**GOOD, "group_vars/al.yml": ""}, [], "al.yml: nothing in the inventory is called al"),
        ({**GOOD, "group_vars/databases/all.yml": ""}, [], "databases: nothing in the inventory is called"),
        (
            {**GOOD, "group_vars/nginx_proxy.ymal": ""},
            [],
            "nginx_proxy.ymal: nobody reads a file that ends in .ymal. Call it nginx_proxy.yml.",
        ),
        ({**GOOD, "group_vars/all.yml.yml": ""}, [], "Call it all.yml."),
        (
            {**GOOD, "host_vars/www.exmaple.org.yml": ""},
            [],
            "www.exmaple.org.yml: nothing in the inventory is called www.exmaple.org, so nobody reads "
            "this file. Is it www.example.org?",
        ),
        (
            {**GOOD, "group-vars/all.yml": ""},
            [],
            "group-vars: Ansible does not look into this folder. Is it group_vars?",
        ),
        (
            {**GOOD, "hostvars/db.example.org.yml": ""},
            [],
            "hostvars: Ansible does not look into this folder.",
        ),
        (GOOD, ["-t", "deploy"], "-t deploy: nothing here has a tag. Run one of playbooks/ for a part."),
        (
            GOOD,
            ["-l", "db.example.org"],
            "-l db.example.org: no such host is in tornado_app or nginx_proxy or redis_server or keepalived. "
            "There are www.example.org.",
        ),
        (
            GOOD,
            ["-l", "database"],
            "-l database: no such host is in tornado_app or nginx_proxy or redis_server or keepalived.",
        ),
        (GOOD, ["-l", "www.exmaple.org"], "leaves us with no hosts to target"),
        ({"hosts.yml": "tornado_app:\n\thosts: {a: }"}, [], ": there is no host in it."),
    ],
)
def test_a_slip_gets_one_sentence_and_fails(tmp_path, files, words, sentence):
    code, output = run(tmp_path, files, *words)
    assert code != 0
    assert sentence in output
    assert "TASK" not in output


SITES = "nginx_proxy_sites: []\n"
NOBODY = "no host is in the group nginx_proxy, so nothing is done with it. "


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/deploy.yml"])
@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"hosts.yml": "tornado_app: {hosts: {a: }}\nnginx: {hosts: {a: }}", "group_vars/all.yml": SITES},
            f"nginx_proxy_sites: {NOBODY}Call the group nginx so, or leave it out.",
        ),
        (
            {"hosts.yml": "tornado_app: {hosts: {a: }}\nnginx_proxy: {hosts: {}}", "host_vars/a.yml": SITES},
            f"nginx_proxy_sites: {NOBODY}Write nginx_proxy: {{hosts: {{a: }}}}, or leave it out.",
        ),
        (
            {
                "hosts.yml": "tornado_app: {hosts: {a: }}\nweb: {hosts: {b: }}",
                "group_vars/nginx_proxy.yml": SITES,
            },
            f"nginx_proxy.yml: {NOBODY}Write nginx_proxy: {{hosts: {{a: }}}}, or leave it out.",
        ),
        (
            {
                "hosts.yml": "tornado_app: {hosts: {a: }}\nredis: {hosts: {b: }}",
                "group_vars/redis.yml": "redis_server_users: [{name: chat, password: s3cret}]",
            },
            "redis_server_users: no host is in the group redis_server, so nothing is done with it. "
            "Call the group redis so, or leave it out.",
        ),
    ],
)
def test_variables_for_a_group_without_a_host_are_refused(tmp_path, files, sentence, playbook):
    code, output = run(tmp_path, files, "-e", "ansible_ssh_executable=/bin/false", playbook=playbook)
    assert code != 0
    assert sentence in output
    assert "TASK" not in output
    assert "s3cret" not in output


def test_variables_for_the_app_without_its_group_are_refused(tmp_path):
    files = {
        "hosts.yml": "nginx_proxy: {hosts: {a: }}\ntornado: {hosts: {a: }}",
        "group_vars/all.yml": "tornado_app_main: chat.py\ntornado_app_ports: [8000]\n"
        "nginx_proxy_sites: [{names: [a], upstreams: '{{ tornado_app_ports }}'}]",
    }
    assert (
        "tornado_app_main: no host is in the group tornado_app"
        in run(tmp_path, files, "-e", "ansible_ssh_executable=/bin/false")[1]
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"hosts.yml": "nginx_proxy: {hosts: {b: }}"}, []),
        (
            {
                "hosts.yml": "nginx_proxy: {hosts: {b: }}",
                "group_vars/all.yml": "tornado_app_ports: [8000]\nredis_server_host: r\n"
                "nginx_proxy_sites: [{names: [b], upstreams: '{{ tornado_app_ports }}'}]",
            },
            [],
        ),
        (
            {
                "hosts.yml": "nginx_proxy: {hosts: {b: }}\ntornado_app: {hosts: {a: }}",
                "group_vars/all.yml": "tornado_app_main: chat.py",
            },
            ["-l", "b"],
        ),
    ],
)
def test_one_role_alone_and_a_limit_are_taken(tmp_path, files, words):
    # Nobody can reach these hosts: what is not refused fails there, and no sooner.
    ssh = ["-e", "ansible_ssh_executable=/bin/false"]
    output = run(tmp_path, files, *words, *ssh)[1]
    assert "no host is in the group" not in output
    # Unreachable where ssh has ended before Ansible could write to it.
    assert re.search("unreachable=1 +failed=0|unreachable=0 +failed=1", output)


@pytest.mark.parametrize(
    "verb", ["deploy", "publish", "redis", "check", "rollback", "maintenance", "purge", "prune"]
)
def test_a_verb_without_a_host_for_it_fails(tmp_path, verb):
    groups = {
        "deploy": "nginx_proxy",
        "rollback": "nginx_proxy",
        "prune": "redis_server",
        "check": "redis_server",
    }
    files = {"hosts.yml": f"{groups.get(verb, 'tornado_app')}: {{hosts: {{a: }}}}"}
    code, output = run(tmp_path, files, playbook=f"playbooks/{verb}.yml")
    assert code != 0
    assert "no host is in a group" in output


@pytest.mark.parametrize(
    "files",
    [
        {"hosts.yml": "nginx_proxy: {hosts: {a: }}"},
        {**GOOD, "group_vars/staging.yml": "", "group_vars/all.yml~": "", "group_vars/all.yml.bak": ""},
        {**GOOD, "host_vars/www2.example.org.yml": "", "host_vars/www.example.org/main.yml": ""},
        {
            "hosts.yml": "tornado_app: {children: {tornado_apps: {hosts: {a: }}}}\nweb1: {}",
            "group_vars/web2.yml": "",
        },
        {"hosts.yml": "nginx_proxy: {hosts: {a: }}\nproxy: {hosts: {b: }}\nnginx: {hosts: {c: }}\napp: {}"},
        {"hosts.yml": "redis_server: {hosts: {a: }}\nredis: {hosts: {b: }}\ntornado: {hosts: {c: }}"},
    ],
)
def test_an_inventory_that_is_meant_so_is_taken(tmp_path, files):
    _code, output = run(tmp_path, files, "--list-hosts")
    assert "Is it" not in output
    code, output = run(tmp_path, files, "--list-tasks", "-l", "all")
    assert (code, "no host is in a group" in output) == (0, False)


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/deploy.yml"])
def test_a_checkout_finds_its_own_parts_from_anywhere_and_without_its_ansible_cfg(tmp_path, playbook):
    (tmp_path / "hosts.yml").write_text("tornado_app: {hosts: {a: }}")
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "hosts.yml", ROOT / playbook]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_SSH_EXECUTABLE": "/bin/false"}
    environment |= {"ANSIBLE_GATHERING": "explicit", "ANSIBLE_NOCOLOR": "1"}
    words = ["-e", "tornado_app_port=8000"]
    done = subprocess.run(
        [*command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "tornado_app_port: no such variable. Is it tornado_app_ports?" in done.stdout + done.stderr
