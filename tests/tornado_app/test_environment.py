"""What a build has of its host: pip's settings, wherever they are, and nothing else."""

import subprocess
import sys

import pytest
from ansible_collections.tornadoes.tornadoes.plugins.modules import tornado_app_environment
from ansible_collections.tornadoes.tornadoes.plugins.modules.tornado_app_environment import Host
from rendering import ROOT

SETTINGS = """
[global]
index-url = https://me:t0ken@pypi.example.org/simple
extra-index-url =
    http://localhost:3141/simple
    https://other.example.org/simple
cert = %s/ca.pem
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A home of root's with settings that nobody else may read, and nothing in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(tornado_app_environment.os.environ):
        if tornado_app_environment.VARIABLES.fullmatch(name):
            monkeypatch.delenv(name)
    monkeypatch.setattr(tornado_app_environment, "FOLDERS", ["~/etc", "~/.config/pip"])
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(SETTINGS % tmp_path)
    (tmp_path / ".config/pip/pip.conf").chmod(0o600)
    (tmp_path / "ca.pem").write_text("CERTIFICATE")
    return tmp_path


def test_pip_is_told_what_root_is_told(root):
    (root / "etc").mkdir()
    (root / "etc/pip.conf").write_text("[global]\nindex-url = https://overruled.example.org\ntimeout = 5\n")
    host = Host("/build")
    path = root / "merged.conf"
    path.write_text(host.files[".config/pip/pip.conf"])
    merged = tornado_app_environment.configparser.RawConfigParser()
    merged.read(path)
    assert merged["global"]["index-url"] == "https://pypi.example.org/simple"
    assert merged["global"]["extra-index-url"].split() == [
        "http://localhost:3141/simple",
        "https://other.example.org/simple",
    ]
    assert merged["global"]["timeout"] == "5"
    assert host.files[merged["global"]["cert"].removeprefix("/build/")] == "CERTIFICATE"
    assert host.files[".netrc"] == "machine pypi.example.org login me password t0ken\n"


def test_a_login_of_the_hosts_own_settings_is_in_no_address_either(root, monkeypatch):
    settings = (
        "[global]\nindex-url = https://me:t0ken@pypi.example.org/simple\n"
        "extra-index-url = https://you:t1ken@pypi.example.org/other\n    https://name@other.example.org/simple\n"
        "proxy = http://me:t2ken@127.0.0.3:3128\n[install]\nfind-links = https://me:t3ken@files.example.org/\n"
    )
    (root / ".config/pip/pip.conf").write_text(settings)
    monkeypatch.setenv(
        "PIP_EXTRA_INDEX_URL", "https://me:t4ken@more.example.org/a https://open.example.org/b"
    )
    monkeypatch.setenv("NETRC", str(root / "logins"))
    (root / "logins").write_text("machine other.example.org login name password t5ken\n")
    host = Host("/build")
    written = host.files[".config/pip/pip.conf"]
    # pip could send one login to a server; a name alone tells nobody anything.
    assert [token for token in ("t0ken", "t1ken", "t2ken", "t3ken") if token in written] == ["t1ken"]
    assert "https://name@other.example.org/simple" in written
    assert host.variables == {
        "PIP_EXTRA_INDEX_URL": "https://more.example.org/a https://open.example.org/b",
        "http_proxy": "http://me:t2ken@127.0.0.3:3128",
        "https_proxy": "http://me:t2ken@127.0.0.3:3128",
    }
    assert sorted(host.files[".netrc"].splitlines()) == [
        "machine files.example.org login me password t3ken",
        "machine more.example.org login me password t4ken",
        "machine other.example.org login name password t5ken",
        "machine pypi.example.org login me password t0ken",
    ]


def test_the_runs_environment_counts_as_far_as_it_is_pips(root, monkeypatch):
    words = {
        "PIP_INDEX_URL": "http://127.0.0.2:9/simple",
        "https_proxy": "127.0.0.3:3128",
        "SSL_CERT_FILE": f"{root}/ca.pem",
        "CARGO_REGISTRY_TOKEN": "t0ken",
        "AWS_SECRET_ACCESS_KEY": "t0ken",
    }
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    host = Host("/build")
    assert set(host.variables) == {"PIP_INDEX_URL", "https_proxy", "SSL_CERT_FILE"}
    assert host.files[host.variables["SSL_CERT_FILE"].removeprefix("/build/")] == "CERTIFICATE"
    assert {"127.0.0.1", "127.0.0.2", "127.0.0.3"} <= set(host.reachable())


def test_what_pip_is_not_told_of_stays_closed(root):
    (root / ".config/pip/pip.conf").write_text("[global]\nindex-url = https://1.2.3.4/simple\n")
    assert not {"127.0.0.1", "1.2.3.4"} & set(Host("/build").reachable())


def test_a_login_is_given_for_the_servers_of_pip_alone(root):
    (root / ".netrc").write_text(
        "machine pypi.example.org login me password t0ken\nmachine bank.example.org login me password other\n"
    )
    (root / ".netrc").chmod(0o600)
    assert Host("/build").files[".netrc"] == "machine pypi.example.org login me password t0ken\n"


def test_what_a_step_leaves_behind_does_not_hold_it_up(tmp_path):
    program = f"""
import sys
sys.path.insert(0, "{ROOT}/roles/tornado_app/files/build")
import environment
environment.GRACE = 1
# As pip waits for a setup.py: for all that have its output.
print(environment.run("sh", "-c", "echo $(sh -c '(sleep 4711 &) ; echo done')"))
"""
    # Without an end before the sleep's own, the time is up.
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert said.stdout.split() == ["done", "0"], said.stderr


def test_an_index_of_the_app_is_asked_alone_and_its_login_is_in_no_address(root, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://overruled.example.org/simple")
    monkeypatch.setenv("NETRC", f"{root}/.netrc")
    (root / ".netrc").write_text("machine 127.0.0.9 login other password other\n")
    host = Host(
        "/build", ["http://me:t%23k%20en%22@127.0.0.9:3141/simple", "https://open.example.org/simple"]
    )
    assert not {"PIP_INDEX_URL", "NETRC"} & set(host.variables)
    path = root / "made"
    path.write_text(host.files[".config/pip/pip.conf"])
    merged = tornado_app_environment.configparser.RawConfigParser()
    merged.read(path)
    for section in ("global", "install"):
        assert merged[section]["index-url"] == "http://127.0.0.9:3141/simple"
        assert merged[section]["extra-index-url"] == "https://open.example.org/simple"
    path.write_text(host.files[".netrc"])
    assert tornado_app_environment.netrc.netrc(path).hosts["127.0.0.9"] == ("me", "", 't#k en"')
    assert "127.0.0.9" in host.reachable()
