"""Who serves which certificate, and how to have the host renew them."""

import json
import ssl
import subprocess

import pytest
import yaml
from client import Client
from conftest import ROOT
from cryptography import x509

UNIT = "nginx-proxy-certificates.service"


@pytest.fixture(scope="session")
def served(container):
    """The certificate that a name is served with, whoever signed it."""
    port = container[1]["test_host_ports"][1]

    def ask(name):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = Client(0, port, None)
        client.context = lambda: context
        with client.connect("https", name) as connection:
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))

    return ask


@pytest.fixture
def public(container, host, tmp_path):
    """A visitor who trusts the ACME server's CA alone; that is a new one at each of its starts."""

    def visitor(management=15000):
        path = tmp_path / "root.pem"
        url = f"https://localhost:{management}/roots/0"
        path.write_text(host.check_output(f"curl --silent --cacert /etc/pebble/cert.pem {url}"))
        return Client(*container[1]["test_host_ports"], str(path))

    return visitor


@pytest.fixture(scope="session")
def timer(host):
    """What the timer does, now: the exit code, and what it told the journal."""

    def run():
        cursor = host.check_output("journalctl --lines=0 --show-cursor").split("-- cursor: ")[1]
        code = host.run(f"systemctl start {UNIT}").rc
        host.run("journalctl --sync")
        said = host.check_output(f"journalctl --output=cat --unit={UNIT} --after-cursor='{cursor.strip()}'")
        return code, said

    return run


@pytest.fixture(scope="session")
def wanted(scenario):
    """The inventory's sites, by their first name."""
    variables = yaml.safe_load((scenario / "group_vars/all.yml").read_text())
    return {site["names"][0]: site for site in variables["nginx_proxy_sites"]}


@pytest.fixture(scope="session")
def publish(playbook):
    """site.yml with these sites, and what else is to be different: the exit code, and what it printed."""

    def run(*sites, **variables):
        words = {"nginx_proxy_sites": list(sites), **variables}
        code, output = playbook("site.yml", "-e", json.dumps(words))
        return code, " ".join(output.split())

    return run


@pytest.fixture(scope="session")
def judge(host, container, scenario):
    """What sslyze says of a name: whether it is all that a profile of Mozilla's asks for."""

    def ask(name, profile):
        words = [f"--custom_tls_config={scenario}/mozilla-6.0-{profile}.json", f"--sni={name}"]
        words.append(f"--certinfo_ca_file={ROOT}/.cache/{container[0]}-ca.crt")
        command = ["sslyze", *words, f"127.0.0.1:{container[1]['test_host_ports'][1]}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout + done.stderr)
        return done.returncode, done.stdout

    return ask
