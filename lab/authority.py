"""The lab's certificate authority: machines trust it, and it can speak for nothing but amazonaws.com."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.exclusive import exclusive

DOMAIN = "amazonaws.com"
AUTHORITY_DAYS = 3650
SERVER_DAYS = 365
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    """A certificate authority on disk; the key is readable by its owner alone."""

    certificate_file: Path
    key_file: Path

    @property
    def certificate_pem(self) -> bytes:
        """What a machine must trust."""
        return self.certificate_file.read_bytes()

    def server_context(self, regions: Sequence[str], directory: Path) -> ssl.SSLContext:
        """Return a TLS context for the AWS endpoints of regions, with a fresh certificate kept in ``directory``."""
        certificate, key = self._issue(endpoint_names(*regions))
        chain = directory / "endpoint.pem"
        _write_private(chain, key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _issue(self, names: list[str]) -> tuple[bytes, bytes]:
        """Return (certificate, key) for a server with these names."""
        issuer = x509.load_pem_x509_certificate(self.certificate_pem)
        issuer_key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - this module made it
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(names[0]), issuer.subject, key.public_key(), SERVER_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def ensure(cache_directory: Path) -> Authority:
    """Return the authority of the cache; make it where there is none, or where it is about to expire."""
    directory = cache_directory / "authority"
    authority = Authority(directory / "ca.pem", directory / "ca.key")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(directory / "lock"):  # two labs would mix one's key with the other's certificate
        if not _valid(authority):
            certificate, key = _self_signed()
            _write_private(authority.key_file, key)
            authority.certificate_file.write_bytes(certificate)
    return authority


def endpoint_names(*regions: str) -> list[str]:
    """Return the names that AWS endpoints of regions have. A wildcard stands for one label only (RFC 6125)."""
    domains = [DOMAIN, *(f"{region}.{DOMAIN}" for region in regions)]
    return [*(f"*.{domain}" for domain in domains), *(f"*.s3.{domain}" for domain in domains)]


def _self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("transcoder lab: AWS on this machine")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.NameConstraints(permitted_subtrees=[x509.DNSName(DOMAIN)], excluded_subtrees=None)
    certificate = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    # A day back: the clock of a machine may be behind the host's when it boots.
    begin = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )


def _valid(authority: Authority) -> bool:
    if not (authority.certificate_file.exists() and authority.key_file.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
    return certificate.not_valid_after_utc - RENEW_BEFORE > datetime.now(UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
