"""What certificates and keys say, and how they are made. The cryptography of Debian 12 and 13."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SHORT = datetime.timedelta(days=10)  # a lifetime below it is renewed at its half

Key: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"


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


def pem(key: Key) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded


def new_key(kind: str) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())
