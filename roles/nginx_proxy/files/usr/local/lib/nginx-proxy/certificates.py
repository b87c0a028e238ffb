#!/usr/bin/python3
"""The certificates of nginx's sites: who issues them, when they are renewed, how they are.

    status   what each site has; exit code 1 if one is in trouble (nginx-proxy-status)
    issue    sign with the host's own CA what is missing or due. Asks nobody, reloads nothing
    renew    the same, ask the ACME server for the rest, reload nginx and see it serve them
    provide  install a pair that the user brings, as {"certificate": PEM, "key": PEM} on stdin

What shall be is read from /etc/nginx/certificates.json, which Ansible writes. A site's folder
is made anew beside the one in use, key and certificate, and both change places in one step: nginx
finds a pair whenever it looks, whoever is killed meanwhile.

The Python and the cryptography of Debian 12 and 13; nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime
import fcntl
import http.client
import ipaddress
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DESCRIPTION = "/etc/nginx/certificates.json"
CERTIFICATES = Path("/etc/nginx/certificates")
CA = Path("/etc/nginx/private-ca")
STATE = Path("/var/lib/nginx-proxy")
CHALLENGES = STATE / "challenges"
CHALLENGE_PATH = ".well-known/acme-challenge"
FAILURES = STATE / "failures.json"

UNREAD = "unread"  # in a site's folder until nginx has read it; the next run looks there too

WITHOUT_MAIL = "--register-unsafely-without-email"

CA_DAYS = 3650
SHORT = datetime.timedelta(days=10)  # a lifetime below it is renewed at its half
PROBE_PATIENCE = 10  # seconds
CERTBOT_PATIENCE = 300
RELOAD_PATIENCE = 15

Key: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"


class Trouble(Exception):
    """Why a site does not get its certificate, in a sentence without the site."""


@dataclass
class Site:
    """A site with TLS: what it shall have."""

    slug: str
    names: list[str]
    tls: str

    @property
    def folder(self) -> Path:
        return CERTIFICATES / self.slug


@dataclass
class Description:
    """What Ansible wants of this host."""

    ca_name: str
    ca_days: int  # that a certificate of the private CA is good for
    https_port: int
    acme: dict[str, Any]
    sites: list[Site]

    @classmethod
    def read(cls, text: str) -> Description:
        found = json.loads(text)
        return cls(**{**found, "sites": [Site(**site) for site in found["sites"]]})


# Certificates: what they say.


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def span(certificate: x509.Certificate) -> tuple[datetime.datetime, datetime.datetime]:
    """From when to when it is valid. The older cryptography tells UTC without saying so."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.UTC
    return certificate.not_valid_before.replace(tzinfo=utc), certificate.not_valid_after.replace(tzinfo=utc)


def threshold(certificate: x509.Certificate) -> datetime.timedelta:
    """What may be left of its lifetime when it is renewed: a third; half where that is short."""
    begin, end = span(certificate)
    return (end - begin) / (2 if end - begin < SHORT else 3)


def left(certificate: x509.Certificate) -> datetime.timedelta:
    return span(certificate)[1] - now()


def public(key: Any) -> bytes:
    """A public key in a form that can be compared."""
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def names_in(certificate: x509.Certificate) -> set[str]:
    """The names and addresses that it is good for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return {*found.get_values_for_type(x509.DNSName), *addresses}


def as_address(name: str) -> str | None:
    """An address as a certificate tells it; None for a host name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None


def general_names(names: list[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address(name)) if as_address(name) else x509.DNSName(name)
            for name in names
        ]
    )


def read_certificate(path: Path) -> x509.Certificate | None:
    """The first certificate of a file; None if there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def read_key(path: Path) -> Key | None:
    """A private key; None if there is none that can be read."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None


def in_use(site: Site) -> x509.Certificate | None:
    """The site's certificate, if nginx can serve it: its key is there too."""
    certificate, key = read_certificate(site.folder / "fullchain.pem"), read_key(site.folder / "privkey.pem")
    if certificate and key and public(certificate.public_key()) == public(key.public_key()):
        return certificate
    return None


# The host's own CA.


@dataclass
class Authority:
    """The CA that signs for this host's sites alone."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls) -> Authority | None:
        certificate, key = read_certificate(CA / "ca.crt"), read_key(CA / "private/ca.key")
        if certificate is None or not isinstance(key, ec.EllipticCurvePrivateKey):
            return None
        return cls(certificate, key)

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new one. Its key never leaves the host."""
        key, begin = ec.generate_private_key(ec.SECP256R1()), now()
        end = begin + datetime.timedelta(days=CA_DAYS)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        certificate = (
            new_certificate(subject, subject, key.public_key(), begin, end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        CA.mkdir(mode=0o755, exist_ok=True)
        (CA / "private").mkdir(mode=0o700, exist_ok=True)
        write(CA / "private/ca.key", pem(key), 0o600)
        write(CA / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return cls(certificate, key)

    def signed(self, certificate: x509.Certificate) -> bool:
        try:
            self.key.public_key().verify(
                certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256())
            )
        except Exception:  # InvalidSignature, or what a signature of another kind leads to
            return False
        return True

    def sign(self, names: list[str], key: Key, days: int, begin: datetime.datetime | None = None) -> bytes:
        """A certificate for these names, in PEM. It ends before its CA does."""
        issuer, begin = self.certificate.subject, begin or now()
        end = min(begin + datetime.timedelta(days=days), span(self.certificate)[1])
        certificate = (
            new_certificate(x509.Name([]), issuer, key.public_key(), begin, end)
            # Critical, since the subject is empty.
            .add_extension(general_names(names), critical=True)
            .add_extension(key_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        signed: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        return signed


def new_certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, begin: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def key_usage(*uses: str) -> x509.KeyUsage:
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{use: use in uses for use in every.split()})


# Files.


def pem(key: Key) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


def new_key(kind: str) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def write(path: Path, content: bytes, mode: int) -> None:
    """A whole file or none, never readable by more than it shall be."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places, in one step (renameat2 with RENAME_EXCHANGE)."""
    here, exchanged = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchanged):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))


def install(folder: Path, chain: bytes, key: bytes, origin: dict[str, Any]) -> None:
    """Put a certificate, its key and where it is from in a site's folder, all at once."""
    CERTIFICATES.mkdir(mode=0o700, exist_ok=True)
    beside = CERTIFICATES / f".{folder.name}.next"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    write(beside / "fullchain.pem", chain, 0o644)
    write(beside / "privkey.pem", key, 0o600)
    serial = x509.load_pem_x509_certificate(chain).serial_number
    write(beside / "origin.json", json.dumps({**origin, "serial": serial}).encode(), 0o644)
    write(beside / UNREAD, b"", 0o644)
    if folder.exists():
        exchange(beside, folder)
        shutil.rmtree(beside)
    else:
        beside.rename(folder)


def origin_of(site: Site, certificate: x509.Certificate) -> dict[str, Any]:
    """Where the certificate is from, as far as this program put it there."""
    try:
        found: dict[str, Any] = json.loads((site.folder / "origin.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if found.pop("serial", 0) == certificate.serial_number else {}


def acme_origin(acme: dict[str, Any]) -> dict[str, Any]:
    """What a certificate depends on: another CA, profile or kind of key is another certificate."""
    return {"tls": "acme", **{key: acme[key] for key in ("directory", "key_type", "profile")}}


# What is due, and why.


def outdated(site: Site, certificate: x509.Certificate) -> str:
    """Why this certificate does not do any more; empty if it does."""
    if names_in(certificate) != {as_address(name) or name for name in site.names}:
        return "the names have changed"
    if left(certificate) < threshold(certificate):
        return "it is time"
    return ""


def due_private(site: Site, authority: Authority | None, days: int) -> str:
    """Why a site of the private CA needs a new certificate; empty if it doesn't."""
    certificate = in_use(site)
    if certificate is None:
        return "there is none"
    if authority is None or not authority.signed(certificate):
        return "it is from elsewhere"
    begin, end = span(certificate)
    if (end - begin).days > days:
        return f"none may live for more than {days} days"
    return outdated(site, certificate)


def due_acme(site: Site, acme: dict[str, Any]) -> str:
    """Why the ACME server is to be asked for a site; empty if it isn't."""
    certificate = in_use(site)
    if certificate is None:
        return "there is none"
    if origin_of(site, certificate) != acme_origin(acme):
        return "it is from elsewhere"
    return outdated(site, certificate)


# ACME.


def probe(name: str, port: int) -> None:
    """See that a request for this name reaches the nginx of this host, by every address it has."""
    token = secrets.token_urlsafe(16)
    path = CHALLENGES / CHALLENGE_PATH / token
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
    connection = http.client.HTTPConnection(address, port, timeout=PROBE_PATIENCE)
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


def obtain(site: Site, acme: dict[str, Any]) -> None:
    """Get a site's certificate from the ACME server, with a new key, and install it."""
    if acme["probe"]:
        for name in site.names:
            probe(name, acme["challenge_port"])
    CHALLENGES.mkdir(mode=0o755, parents=True, exist_ok=True)
    key = new_key(acme["key_type"])
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
        raise Trouble(f"{acme['directory']} sent a certificate of others")
    install(site.folder, chain, pem(key), acme_origin(acme))


def outputs(folder: str) -> list[str]:
    return [
        word
        for kind in ("cert", "chain", "fullchain")
        for word in (f"--{kind}-path", os.path.join(folder, f"{kind}.pem"))
    ]


def certbot(acme: dict[str, Any], *words: str) -> None:
    """Run certbot on a request of ours. So it keeps an account, but nothing to renew by itself."""
    home = STATE / "certbot"
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--server", acme["directory"]]
    for what, folder in (("config", home), ("work", home / "work"), ("logs", home / "logs")):
        command += [f"--{what}-dir", str(folder)]
    command += ["--webroot", "--webroot-path", str(CHALLENGES), "--max-log-backups", "10"]
    command += ["--email", acme["mail"], "--no-eff-email"] if acme["mail"] else [WITHOUT_MAIL]
    profile = ["--required-profile", acme["profile"]] if acme["profile"] else []
    environment = {**os.environ, **({"REQUESTS_CA_BUNDLE": acme["ca_bundle"]} if acme["ca_bundle"] else {})}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # certbot takes back one number that the server no longer knows; a server that is one of
    # many, or a strict one, refuses a second one now and then.
    for last in (False, True):
        done = run([*command, *profile, *words], environment, acme["directory"])
        if not done.returncode:
            return
        if last or "nonce" not in done.stdout:
            raise Trouble(f"{acme['directory']} gave no certificate: {complaint(done.stdout)}")


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
            timeout=CERTBOT_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise Trouble("certbot is not installed") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{directory} did not come to an end in {CERTBOT_PATIENCE} s") from None


def complaint(output: str) -> str:
    """What certbot says went wrong, without what it says around it."""
    noise = ("Saving debug log", "Ask for help", "See the logfile", "Hint:", "Some challenges have failed")
    lines = [line.strip() for line in output.splitlines()]
    said = [line for line in lines if line and not line.startswith(noise)]
    details = [line for line in said if line.startswith(("Domain:", "Detail:"))]
    return printable(" ".join(details or said[-1:])[-400:].rstrip(".")) or "certbot does not say why"


def printable(text: str) -> str:
    """A text as a terminal may have it: servers of others have a part in it."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


# nginx.


def reload(sites: list[Site], port: int) -> None:
    """Let nginx read the certificates, and see that it serves them."""
    # Debian's ExecReload reads the whole configuration first, as nginx -t does, and
    # signals nothing if it doesn't hold.
    if subprocess.run(["systemctl", "reload", "nginx"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Trouble("nginx does not reload its configuration; nginx -t tells why")
    deadline = time.monotonic() + RELOAD_PATIENCE
    waiting = sites
    while waiting := [site for site in waiting if not serves(site, port)]:
        if time.monotonic() > deadline:
            slugs = ", ".join(site.slug for site in waiting)
            raise Trouble(f"nginx was reloaded, but does not serve the new certificate of {slugs}")
        time.sleep(0.1)


def serves(site: Site, port: int) -> bool:
    """Whether nginx serves the certificate that the site's folder has."""
    wanted = in_use(site)
    name = None if as_address(site.names[0]) else site.names[0].replace("*", "any")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which one it is tells more than who signed it
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            found = connection.getpeercert(binary_form=True)
    except OSError:
        return False
    return wanted is not None and found == wanted.public_bytes(serialization.Encoding.DER)


# The verbs.


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One at a time: the timer and Ansible may come together."""
    STATE.mkdir(mode=0o755, exist_ok=True)
    with open(STATE / "lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def provide(slug: str, given: str, dry: bool) -> None:
    """Install a pair that the user brings, unless it is there."""
    pair = json.loads(given)
    folder, chain, key = CERTIFICATES / slug, pair["certificate"].encode(), pair["key"].encode()
    with contextlib.suppress(OSError):
        if (folder / "fullchain.pem").read_bytes() == chain and (folder / "privkey.pem").read_bytes() == key:
            return
    if not dry:
        install(folder, chain, key, {"tls": "provided"})
    print(f"{'Would install' if dry else 'Installed'} what was provided for {slug}.")


def say(site: Site, reason: str, dry: bool, by: str) -> None:
    print(f"{'Would issue' if dry else 'Issued'} {site.slug} by {by}, since {reason}.", flush=True)


def issue(wanted: Description, dry: bool, force: bool = False) -> None:
    """Sign what the private CA has to sign."""
    private = [site for site in wanted.sites if site.tls == "private_ca"]
    # nginx can't start without any certificate, and no CA can be asked without nginx.
    first = [site for site in wanted.sites if site.tls == "acme" and in_use(site) is None]
    if not private and not first:
        return
    authority = Authority.load()
    if authority is None and (CA / "private/ca.key").exists():
        raise Trouble(f"{CA} holds a CA that can't be read. Mend it, or remove the folder for a new one")
    if authority is None and not dry:
        authority = Authority.create(wanted.ca_name)
    for site in private + first:
        reason = "there is none" if site in first else due_private(site, authority, wanted.ca_days)
        reason = reason or ("it is forced" if force else "")
        if not reason:
            continue
        if authority is not None and not dry:
            key = new_key("ecdsa")
            chain = authority.sign(site.names, key, wanted.ca_days)
            install(site.folder, chain, pem(key), {"tls": "private_ca"})
        say(site, reason, dry, "the private CA")


def renew(wanted: Description, dry: bool, force: bool = False) -> None:
    """All that is due, from whoever issues it; and nginx serves what there is."""
    failures = {}
    try:
        issue(wanted, dry, force)
    except Trouble as trouble:
        failures = {site.slug: str(trouble) for site in wanted.sites if site.tls == "private_ca"}
    for site in wanted.sites:
        reason = site.tls == "acme" and (due_acme(site, wanted.acme) or (force and "it is forced"))
        if not reason:
            continue
        try:
            if not dry:
                obtain(site, wanted.acme)
            say(site, reason, dry, wanted.acme["directory"])
        except (Trouble, OSError, ValueError) as trouble:
            failures[site.slug] = str(trouble)
    # Asked, not remembered: who was killed before the reload is made up for.
    unserved = [site for site in wanted.sites if in_use(site) and not serves(site, wanted.https_port)]
    if dry:
        for site in wanted.sites:
            if site in unserved or site.slug in failed():
                print(f"Would see to {site.slug} again, which has failed before.")
        return
    if unserved:
        try:
            reload(unserved, wanted.https_port)
            for site in unserved:
                (site.folder / UNREAD).unlink(missing_ok=True)
        except Trouble as trouble:
            failures = {**{site.slug: str(trouble) for site in unserved}, **failures}
    write(FAILURES, json.dumps(failures).encode(), 0o644)


def failed() -> dict[str, str]:
    """Sites whose last attempt failed, and why."""
    try:
        found: dict[str, str] = json.loads(FAILURES.read_text())
    except (OSError, ValueError):
        return {}
    return found


def judged(site: Site, acme: dict[str, Any], failures: dict[str, str]) -> dict[str, str]:
    """A site's certificate as status shows it; trouble is empty if all is well."""
    certificate = in_use(site)
    row = {"site": site.slug, "tls": site.tls, "issuer": "", "until": "", "trouble": ""}
    if certificate is None:
        return {**row, "trouble": "It has no certificate that fits its key"}
    row["until"] = until = f"{span(certificate)[1]:%Y-%m-%d %H:%M} UTC"
    row["issuer"] = certificate.issuer.rfc4514_string() or "nobody"
    said = []
    if site.slug in failures:
        said.append(failures[site.slug])
    elif site.tls == "acme" and origin_of(site, certificate) != acme_origin(acme):
        said.append(f"It has no certificate of {acme['directory']} yet")
    if left(certificate) <= datetime.timedelta():
        said.append(f"Its certificate has expired on {until}")
    elif left(certificate) < threshold(certificate) / 2:
        said.append(f"Its certificate expires soon, on {until}")
    elif said:
        said.append(f"It serves the one that it has, from {row['issuer']}, until {until}")
    return {**row, "trouble": ". ".join(said)}


def table(rows: list[dict[str, str]]) -> str:
    """The rows, for people."""
    columns = ("site", "tls", "until", "issuer")
    shown = [dict(zip(columns, columns, strict=True)), *rows]
    widths = {name: max(len(row[name]) for row in shown) for name in columns}
    lines = ["  ".join(row[name].ljust(widths[name]) for name in columns).rstrip() for row in shown]
    return "\n".join(lines)


def troubles(rows: list[dict[str, str]]) -> list[str]:
    return [f"{row['site']}: {row['trouble']}." for row in rows if row["trouble"]]


def main() -> int:
    parser = argparse.ArgumentParser(description="The certificates of nginx's sites.")
    parser.add_argument("verb", nargs="?", choices=["status", "issue", "renew", "provide"], default="status")
    parser.add_argument("site", nargs="?", help="for provide: the name of its folder")
    parser.add_argument("--description", default=DESCRIPTION, help="file, or - for the standard input")
    parser.add_argument("--dry-run", action="store_true", help="say what would be issued")
    parser.add_argument("--force", action="store_true", help="issue what is not due, too")
    words = parser.parse_args()
    if os.geteuid():
        sys.exit("Run it as root: the sites' keys are nobody else's to read.")
    os.umask(0o022)
    if words.verb == "provide":
        with contextlib.nullcontext() if words.dry_run else alone():
            provide(words.site, sys.stdin.read(), words.dry_run)
        return 0
    if words.description == "-":
        text = sys.stdin.read()
    else:
        text = Path(words.description).read_text(encoding="utf-8")
    wanted = Description.read(text)
    try:
        if words.verb == "issue":
            with contextlib.nullcontext() if words.dry_run else alone():
                issue(wanted, words.dry_run, words.force)
            return 0
        if words.verb == "renew":
            with contextlib.nullcontext() if words.dry_run else alone():
                renew(wanted, words.dry_run, words.force)
            if words.dry_run:
                return 0
    except Trouble as problem:
        sys.exit(f"{problem}.")
    failures = failed()
    rows = [judged(site, wanted.acme, failures) for site in wanted.sites]
    if words.verb == "status":
        print(table(rows))
    for trouble in troubles(rows):
        print(trouble, file=sys.stderr)
    return 1 if troubles(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
