"""Certificates of an ACME server.

certbot asks for them with a request of ours. So it keeps an account, but nothing to renew by itself.
"""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from . import paths
from .description import Acme, Site, Trouble
from .files import write
from .sites import install
from .x509 import general_names, names_in, new_key, pem, public

CHALLENGE_PATH = ".well-known/acme-challenge"
WITHOUT_MAIL = "--register-unsafely-without-email"
PROBE_TIMEOUT = 10  # seconds
CERTBOT_TIMEOUT = 300


def probe(name: str, port: int) -> None:
    """See that a request for this name reaches the nginx of this host, by every address it has."""
    token = secrets.token_urlsafe(16)
    path = paths.CHALLENGES / CHALLENGE_PATH / token
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(path, token.encode(), 0o644)
    try:
        for address in addresses_of(name, port):
            ask(name, address, port, token)
    finally:
        path.unlink()


def addresses_of(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Trouble(f"{name} resolves to nothing. Make a DNS record that leads to this host") from None
    return sorted({str(one[4][0]) for one in found})


def ask(name: str, address: str, port: int, token: str) -> None:
    """GET the token as the CA will: by address, with the name as Host."""
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", f"/{CHALLENGE_PATH}/{token}", headers={"Host": name})
        answer = connection.getresponse()
        body = answer.read(1000)
    except (OSError, http.client.HTTPException) as problem:
        raise Trouble(
            f"{name} leads to {address}, where nothing answers on port {port} ({problem}). "
            "Correct its DNS record, or open the port"
        ) from None
    finally:
        connection.close()
    if answer.status != 200 or body != token.encode():
        raise Trouble(
            f"{name} leads to {address}, where port {port} is another server's (it answers {answer.status}). "
            "Correct its DNS record"
        )


def obtain(site: Site, acme: Acme) -> None:
    """Get a site's certificate, with a new key, and install it."""
    if acme.probe:
        for name in site.names:
            probe(name, acme.challenge_port)
    paths.CHALLENGES.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = new_key(acme.key_type)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(general_names(site.names), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "request.pem")
        asked.write_bytes(request.public_bytes(serialization.Encoding.PEM))
        certbot(acme, "--csr", str(asked), *outputs(folder))
        chain = Path(folder, "fullchain.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(chain)
    if public(certificate.public_key()) != public(key.public_key()) or names_in(certificate) != {*site.names}:
        raise Trouble(f"{acme.directory} sent a certificate that was not asked for")
    install(site.folder, chain, pem(key), acme.origin)


def outputs(folder: str) -> list[str]:
    return [
        word
        for kind in ("cert", "chain", "fullchain")
        for word in (f"--{kind}-path", os.path.join(folder, f"{kind}.pem"))
    ]


def certbot(acme: Acme, *words: str) -> None:
    """Have certbot send a request."""
    home = paths.STATE / "certbot"
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--server", acme.directory]
    for what, folder in (("config", home), ("work", home / "work"), ("logs", home / "logs")):
        command += [f"--{what}-dir", str(folder)]
    command += ["--webroot", "--webroot-path", str(paths.CHALLENGES), "--max-log-backups", "10"]
    command += ["--email", acme.mail, "--no-eff-email"] if acme.mail else [WITHOUT_MAIL]
    profile = ["--required-profile", acme.profile] if acme.profile else []
    environment = {**os.environ, **({"REQUESTS_CA_BUNDLE": acme.ca_bundle} if acme.ca_bundle else {})}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # certbot takes back one number that the server no longer knows; a server that is one of
    # many, or a strict one, refuses a second one now and then.
    for last in (False, True):
        done = run([*command, *profile, *words], environment, acme.directory)
        if not done.returncode:
            return
        if last or "nonce" not in done.stdout:
            raise Trouble(f"{acme.directory} gave no certificate: {complaint(done.stdout)}")


def run(command: list[str], environment: dict[str, str], directory: str) -> subprocess.CompletedProcess[str]:
    """certbot's exit code and all that it says."""
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CERTBOT_TIMEOUT,
            check=False,
        )
    except FileNotFoundError:
        raise Trouble("certbot is not installed") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{directory} did not come to an end in {CERTBOT_TIMEOUT} s") from None


def complaint(output: str) -> str:
    """What certbot says went wrong, without what it says around it."""
    noise = ("Saving debug log", "Ask for help", "See the logfile", "Hint:", "Some challenges have failed")
    lines = [line.strip() for line in output.splitlines()]
    said = [line for line in lines if line and not line.startswith(noise)]
    details = [line for line in said if line.startswith(("Domain:", "Detail:"))]
    return printable(" ".join(details or said[-1:])[-400:].rstrip(".")) or "certbot does not say why"


def printable(text: str) -> str:
    """A text as a terminal may have it: other people's servers have a part in it."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
