from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from lab import authority


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """Let a client and a server meet; return the protocol they agreed on."""
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except ssl.SSLError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as secure:
            return secure.version()
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize(
    "name", ["ec2.us-east-1.amazonaws.com", "sts.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com"]
)
def test_a_client_that_trusts_the_authority_trusts_the_endpoints(tmp_path: Path, name: str) -> None:
    made = authority.ensure(tmp_path)
    client = ssl.create_default_context(cadata=made.certificate_pem.decode())
    assert handshake(made.server_context(["us-east-1"], tmp_path), client, name)


def test_the_endpoints_are_nobody_else(tmp_path: Path) -> None:
    made = authority.ensure(tmp_path)
    client = ssl.create_default_context(cadata=made.certificate_pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.server_context(["us-east-1"], tmp_path), client, "example.com")


def test_a_client_that_does_not_know_the_authority_does_not_trust_it(tmp_path: Path) -> None:
    made = authority.ensure(tmp_path)
    other = authority.ensure(tmp_path / "other")
    client = ssl.create_default_context(cadata=other.certificate_pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.server_context(["us-east-1"], tmp_path), client, "sts.amazonaws.com")


def test_the_authority_can_speak_for_amazonaws_only(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(authority.ensure(tmp_path).certificate_pem)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName("amazonaws.com")]


def test_the_authority_is_made_once(tmp_path: Path) -> None:
    assert authority.ensure(tmp_path).certificate_pem == authority.ensure(tmp_path).certificate_pem


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    made = authority.ensure(tmp_path)
    made.server_context(["us-east-1"], tmp_path)
    for path in (made.key_file, tmp_path / "endpoint.pem"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_two_labs_that_begin_at_once_have_one_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made, second = authority._self_signed, list[bytes](), threading.Event()

    def slowly() -> tuple[bytes, bytes]:
        if made:
            second.set()
        certificate, key = real()
        made.append(certificate)
        second.wait(0.2)  # somebody who does not wait comes here, too
        return certificate, key

    monkeypatch.setattr(authority, "_self_signed", slowly)
    threads = [threading.Thread(target=authority.ensure, args=(tmp_path,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
