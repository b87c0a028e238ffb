"""The README from its first command on, on a bare machine: what the reader types, in this order."""

import os
import re
import sys

import pytest

ROOTS = os.environ.get("TORNADOES_SUITE") == "bookworm"
# Where the reader keeps the project, and how the shell is set up there.
PLACE = "~/src" if ROOTS else "~/'my projects'"
SHELL = ["export LC_ALL=C" if ROOTS else "umask 077; export LANG=de_DE.UTF-8"]
if os.environ.get("SSL_CERT_FILE"):
    # As on any machine in a network that inspects TLS.
    SHELL.append("export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
# As the README says for such a locale.
ACTIVATE = ". .venv/bin/activate; export LC_ALL=C.UTF-8"


@pytest.fixture(scope="module")
def reader(log_in):
    """Type a command into the reader's shell, in the clone; all that it printed."""
    shell = log_in("tornadoes-reader", "root" if ROOTS else "reader")

    def run(command, place=f"{PLACE}/tornadoes"):
        done = shell.run("\n".join([*SHELL, f"cd {place} || exit", f"{{ {command}", "} 2>&1"]))
        print(done.stdout)
        assert done.rc == 0, done.stdout[-3000:]
        return done.stdout

    return run


def test_setup_says_what_it_installs_before_it_does(reader):
    reader(f"mkdir -p {PLACE} && cp tornadoes.bundle {PLACE}/", place="~")
    reader("git clone --quiet tornadoes.bundle tornadoes", place=PLACE)
    said = reader(
        'set -o pipefail; script/setup | { read -r first; echo "$first"; command -v podman ssh nft; cat; }'
    )
    first, second = said.splitlines()
    assert first.startswith("Installing Debian packages: podman ")
    assert second.startswith("Installing into .venv (Python 3.")


def test_setup_has_nothing_to_do_and_to_say_after_that(reader):
    assert reader("script/setup") == ""


def test_the_example_to_the_letter_is_a_live_https_site(reader):
    reader(f"{ACTIVATE}; ansible-playbook -i inventory/example site.yml")
    reader("ssh www.example.org sudo cat /etc/nginx/private-ca/ca.crt > ca.crt")
    assert reader("curl --silent --show-error --cacert ca.crt https://www.example.org/") == "Chat with us\n"


def test_a_second_run_changes_nothing_wherever_it_is_started(reader):
    said = reader(f"{ACTIVATE}; cd ..; ansible-playbook -i tornadoes/inventory/example tornadoes/site.yml")
    assert re.search(r"www.example.org +: ok=\d+ +changed=0 ", said)


# The reader on Debian 13 has the fast tests to run.
@pytest.mark.parametrize("place", [pytest.param("local", marks=() if ROOTS else pytest.mark.long)])
def test_the_machine_that_ansible_runs_on_can_be_the_server(reader, place):
    inventory = "{all: {hosts: {www.example.org: {ansible_connection: local}}}}"
    reader(f"cp -r inventory/example {place} && echo '{inventory}' > {place}/local.yml")
    for changed in ("[1-9][0-9]*", "0"):
        said = reader(f"{ACTIVATE}; ansible-playbook -i {place} site.yml")
        assert re.search(rf"www.example.org +: ok=\d+ +changed={changed} ", said)
    root = "" if ROOTS else "sudo "
    reader(f"{root}cat /etc/nginx/private-ca/ca.crt > ca.crt")
    here = "--resolve www.example.org:443:127.0.0.1"
    assert reader(f"curl -sS --cacert ca.crt {here} https://www.example.org/") == "Chat with us\n"


def test_the_fast_tests_pass_on_this_debians_python(reader):
    ours = [str(number) for number in sys.version_info[:2]]
    # What script/test runs them on before any scenario, needs no second time.
    if reader("python3 -c 'import sys; print(*sys.version_info[:2])'").split() != ours:
        assert "\n1 passed, 0 failed\n" in reader("script/test fast")


def test_the_demo_ends_in_a_line_that_works(reader, not_run):
    if reader("stat --file-system --format=%T /sys/fs/cgroup") != "cgroup2fs\n" and not ROOTS:
        not_run("script/demo: Debian 13's podman takes no hybrid cgroups, and others could not be mounted")
    [line] = re.findall(r"^ +(curl .*)$", reader("script/demo"), re.MULTILINE)
    assert reader(f"{line} --no-progress-meter", place="/") == "Salutations, friendly user!"
    assert reader("script/ssh tornadoes-demo hostname") == "tornadoes-demo\n"
