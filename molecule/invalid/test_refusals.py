"""Bad input gets one clear sentence, before anything on the host has changed."""

import datetime
import json
import re

import pytest
from conftest import ROOT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from refused import REFUSED, sites

# What is on the host before anything is tried.
THERE = """
    mkdir -p /srv/pictures /srv/theirs/below /srv/data/below /var/tmp/below
    touch /srv/pictures/of-the-cat.jpg /tmp/before
    chown www-data /srv/theirs
    ln -sfn data /srv/link
"""


@pytest.fixture(scope="module", autouse=True)
def untouched(host):
    """Whatever is refused here, the host is as bare at the end as it was at the beginning."""
    state = "dpkg-query --show; getent passwd; find /etc /srv /var/lib -newer /tmp/before -type f"
    host.check_output(THERE)
    before = host.run(state).stdout
    yield
    assert host.run(state).stdout == before


def alias(case):
    """The name that the test host has in the inventory for one case."""
    return case.replace(" ", "-").replace(",", "").replace("'", "").lower()


EACH = 16  # cases in a run
GROUPS = ("tornado_app", "nginx_proxy", "redis_server")


def run(playbook, cases, variables, folder):
    """One run of the whole system for some cases: what each host name was told, and how much it changed."""
    hosts = {alias(case): {**variables, **REFUSED[case][0]} for case in cases}
    groups = {"test_hosts": {"hosts": hosts}}
    for group in GROUPS:
        # Whoever is refused in one group needs no look from the others.
        mine = [alias(case) for case in cases if group in json.dumps(REFUSED[case])]
        groups[group] = {"hosts": dict.fromkeys(mine)}
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps(groups))
    with pytest.MonkeyPatch.context() as patch:
        # A result a line, quoted in one way alone.
        patch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")
        _code, output = playbook("site.yml", "--forks=8", inventory=[inventory])
    told = {}
    for one, result in re.findall(r"(?m)^(?:fatal|failed): \[([^]]+)\].*? => (\{.*\})$", output):
        told[one] = f"{told.get(one, '')} {json.loads(result)['msg']}".replace("\n", " ")
    changed = dict(re.findall(r"(?m)^(\S+) +: ok=\d+ +changed=(\d+)", output))
    return {one: (told.get(one, ""), changed.get(one)) for one in hosts}


@pytest.fixture(scope="module")
def said(container, playbook, tmp_path_factory):
    """What is said to each case. A few runs do: the host has a name for each case in the inventory."""
    variables = {**container[1], "ansible_ssh_private_key_file": str(ROOT / ".cache/test_hosts_key")}
    # By group: Ansible ends where a play has refused all of its hosts, and asks those of the next no more.
    kinds = {}
    for case in REFUSED:
        kinds.setdefault(tuple(group in json.dumps(REFUSED[case]) for group in GROUPS), []).append(case)
    found = {}
    for cases in kinds.values():
        for first in range(0, len(cases), EACH):
            folder = tmp_path_factory.mktemp("invalid")
            found |= run(playbook, cases[first : first + EACH], variables, folder)
    return found


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_sentence(said, case):
    sentence, changed = said[alias(case)]
    assert REFUSED[case][1] in sentence
    assert changed == "0"
    for word in ("Traceback", "AnsibleTagged", "Finalization", "<class"):
        assert word not in sentence


def refusal(playbook, variables):
    """What the whole system says to these variables; not one task may have changed something."""
    code, output = playbook("site.yml", "-e", json.dumps(variables))
    assert code != 0
    assert "changed=0" in output
    return " ".join(output.split())


def test_a_profile_of_certificates_is_refused_where_certbot_knows_none(playbook, host):
    code, output = playbook("playbooks/validate.yml", "-e", '{"nginx_proxy_acme": {"profile": "shortlived"}}')
    old = host.system_info.release.split(".")[0] == "12"
    sentence = "nginx_proxy_acme: profile: shortlived needs certbot 4, and Debian 12 has an older one."
    assert (sentence in " ".join(output.split())) == (code != 0) == old


def certificate(folder, name):
    """A certificate and a key that belong together, as files in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = folder / f"{name}.key"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(pem), str(secret)


def test_a_key_of_another_certificate_is_refused_and_not_shown(playbook, tmp_path):
    pem, _own = certificate(tmp_path, "one")
    _other, key = certificate(tmp_path, "two")
    said = refusal(playbook, sites({"tls": "provided", "certificate": pem, "certificate_key": key}))
    assert f"nginx_proxy_sites: {key} is not the key of {pem}." in said
    assert "PRIVATE KEY" not in said


def test_sites_that_would_lose_their_settings_are_named_with_them(playbook, host):
    host.check_output(
        """
        mkdir -p /etc/nginx/sites-enabled
        printf 'http {\\n client_max_body_size 100m;\\n}\\n' > /etc/nginx/nginx.conf
        echo 'server { listen 81; }' > /etc/nginx/sites-enabled/old
        """
    )
    try:
        said = refusal(playbook, sites({}))
        assert "has settings of its own (line 2: client_max_body_size 100m;), which" in said
        assert "/etc/nginx/sites-enabled/old would lose with it." in said
    finally:
        host.check_output("rm -r /etc/nginx")


def test_a_service_that_nothing_can_start_is_named_before_it_is_installed(playbook, host):
    host.check_output("systemctl mask nginx.service")
    try:
        said = refusal(playbook, sites({}))
        assert "nginx_proxy: nginx.service is masked on " in said
        assert "Run systemctl unmask nginx.service there" in said
    finally:
        host.check_output("systemctl unmask nginx.service")


def test_an_unsupported_system_is_refused(playbook, host):
    host.check_output("mv /etc/os-release /etc/os-release.kept")
    host.check_output('printf \'NAME="Ubuntu"\\nID=ubuntu\\nVERSION_ID="24.04"\\n\' > /etc/os-release')
    host.check_output("mv /etc/debian_version /etc/debian_version.kept")
    try:
        said = refusal(playbook, {})
        assert "is Ubuntu 24.04. The roles are proven on Debian 12 and 13 alone." in said
        assert "Set tornadoes_unproven_system: true to try them there." in said
    finally:
        host.check_output("mv /etc/os-release.kept /etc/os-release")
        host.check_output("mv /etc/debian_version.kept /etc/debian_version")
