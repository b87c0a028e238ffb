"""Clients of the scenario's Redis."""

import shlex

import pytest

PASSWORDS = {"chat": "of-the-chat-sesame", "reports": "of-the-reports-sesame"}


@pytest.fixture(scope="session")
def ask(host):
    """Ask Redis on the host, as a user: ask("xlen", "chat:room"); all that redis-cli says."""

    def run(*words, user="chat", password=None, at="127.0.0.1", port=6379):
        secret = PASSWORDS[user] if password is None else password
        who = ["--user", user] if user else []
        line = shlex.join(["redis-cli", "-h", at, "-p", str(port), "--no-auth-warning", *who, *words])
        done = host.run(f"REDISCLI_AUTH={shlex.quote(secret)} timeout 20 {line}")
        return (done.stdout + done.stderr).strip()

    return run


@pytest.fixture(scope="session")
def pid(host):
    """Pid of Redis's process; 0 if there is none."""
    return lambda: host.check_output("systemctl show redis-server --property=MainPID --value")
