"""The host's own CA. Its key never leaves the host."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import paths
from .files import write
from .x509 import (
    Key,
    general_names,
    key_usage,
    new_certificate,
    now,
    pem,
    read_certificate,
    read_key,
    span,
)

CA_DAYS = 3650


@dataclass
class Authority:
    """The CA that signs for this host's sites alone."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls) -> Authority | None:
        certificate, key = read_certificate(paths.CA / "ca.crt"), read_key(paths.CA / "private/ca.key")
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
        paths.CA.mkdir(mode=0o755, exist_ok=True)
        (paths.CA / "private").mkdir(mode=0o700, exist_ok=True)
        write(paths.CA / "private/ca.key", pem(key), 0o600)
        write(paths.CA / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
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
