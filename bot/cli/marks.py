"""`easel marks`: what a file tells of itself; `easel certificate`: what pictures are signed with."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.cli.generate import read_file
from bot.errors import BadInput, UserError
from bot.orders.uploads import OWN, read_upload
from bot.prompt import image_metadata
from engine.imaging import watermark

VALID_DAYS = 730
CERTIFICATE, KEY = "easel-certificate.pem", "easel-key.pem"
NO_C2PA = "This needs the package cryptography: python3 install.py c2pa."


def tell(files: Sequence[Path]) -> int:
    """Print what each file says, and whether it carries the watermark. Raises: BadInput."""
    for path in files:
        data = read_file(path)
        print(f"{path}:", *_told(data), sep="\n  ")
    return 0


def _told(data: bytes) -> Iterator[str]:
    said = image_metadata.read(data)
    yield f"made with {said.tool}: {said.prompt or '(no prompt)'}" if said else "says nothing of a prompt"
    found = re.search(rb"digitalsourcetype/(\w{4,60})", data)
    yield f"IPTC digital source type: {found[1].decode()}" if found else "no IPTC digital source type"
    yield "Content Credentials (C2PA): " + ("there" if b"c2pa" in data else "none")
    score = watermark.score(read_upload(data, OWN).image)
    yield f"watermark: {'found' if score >= watermark.SURE else 'not found'} (score {score:.1f})"


def make_certificate(name: str, folder: Path) -> int:
    """Write a certificate with its chain, and its key; both are valid for two years. Raises: UserError, BadInput."""
    if importlib.util.find_spec("cryptography") is None:
        raise UserError(NO_C2PA)
    certificate, key = folder / CERTIFICATE, folder / KEY
    if certificate.exists() or key.exists():
        raise BadInput(f"{certificate} or {key} is there already. Name another folder with --to.")
    chain, private = _made(name)
    try:
        _write(certificate, chain, 0o644)
        _write(key, private, 0o600)
    except OSError as error:
        raise BadInput(f"{error.filename} cannot be written: {error.strerror}.") from None
    print(f"EASEL_C2PA_CERTIFICATE={certificate.absolute()}\nEASEL_C2PA_KEY={key.absolute()}")
    return 0


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def _made(name: str) -> tuple[bytes, bytes]:
    """A certificate for signing with the one that vouches for it, whose key is thrown away (C2PA 2.1, 14.5)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)

    def named(common: str) -> x509.Name:
        parts = (NameOID.ORGANIZATION_NAME, name), (NameOID.COMMON_NAME, common)
        return x509.Name([x509.NameAttribute(oid, value[:64]) for oid, value in parts])

    def usage(*, signs: bool) -> x509.KeyUsage:
        others: dict[str, Any] = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        return x509.KeyUsage(
            digital_signature=signs, key_cert_sign=not signs, crl_sign=not signs, decipher_only=False, **others
        )

    def begun(subject: str, key: ec.EllipticCurvePrivateKey, *, signs: bool) -> x509.CertificateBuilder:
        vouching = x509.BasicConstraints(ca=not signs, path_length=None if signs else 0)
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("Easel's own root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=VALID_DAYS))
            .add_extension(vouching, critical=True)
            .add_extension(usage(signs=signs), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    vouching = begun("Easel's own root", root, signs=False).sign(root, hashes.SHA256())
    signing = (
        begun("Easel", own, signs=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(root, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signing.public_bytes(pem) + vouching.public_bytes(pem), private
