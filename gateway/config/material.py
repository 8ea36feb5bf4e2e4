"""The files that the configuration names: certificates, keys and secrets are read, lists only looked for.

A path is relative to the configuration directory; `state:…` is resolved in the state directory. Without a
state directory such files are not looked at, and a note says so. Signed lists may come later, so a missing
one is a note.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from federation.signatures.algorithms import VerifyingKey
from gateway.config.checks import ANY, Documents, Findings, each, texts
from gateway.config.files import Document
from gateway.config.mistakes import Trail, shown
from gateway.config.types import STATE
from trust_lists.certificates import anchors_from_pem

LARGEST_MATERIAL = 262_144
"""Bytes of a certificate, key or secret file."""

SMALLEST_RSA = 2048
PUBLIC_KEY = b"-----BEGIN PUBLIC KEY-----"
"""RFC 7468 §13."""
_CURVES = ("secp256r1", "secp384r1", "secp521r1")

Where = tuple[str, Trail]
"""File and trail of the value that names a file."""


@dataclass(slots=True)
class Material:
    """What was read, by the place that names it. Its repr hides secrets."""

    directory: Path
    state: Path | None
    certificates: dict[Where, tuple[bytes, ...]] = field(default_factory=dict)
    secrets: dict[Where, str] = field(default_factory=dict, repr=False)

    def path(self, written: str) -> Path | None:
        """The file that `written` means; None if it is in the state directory and none was given."""
        if written.startswith(STATE):
            return None if self.state is None else self.state / written.removeprefix(STATE)
        return self.directory / written


def look(documents: Documents, directory: Path, state: Path | None, findings: Findings) -> Material:
    """Look at every file that the configuration names; mistakes and notes go to `findings`."""
    material = Material(directory=directory, state=state)
    for trail, written in texts(documents.trust, "sources", ANY, "file"):
        _list(material, documents.trust, trail, written, findings)
    for key in ("anchors", "next_anchors"):
        for trail, written in texts(documents.trust, "sources", ANY, key, ANY):
            look_in = _Look(material, documents.trust, trail, written, findings)
            material.certificates[documents.trust.file, trail] = look_in.anchors()
    for trail, written in texts(documents.gateway, "timestamp", "certificates", ANY):
        chain = _Look(material, documents.gateway, trail, written, findings).certificates()
        material.certificates[documents.gateway.file, trail] = tuple(each.public_bytes(Encoding.DER) for each in chain)
    for trail, written in texts(documents.routes, "services", ANY, "signatures", "certificates", ANY):
        chain = _Look(material, documents.routes, trail, written, findings).certificates(of_messages=True)
        material.certificates[documents.routes.file, trail] = tuple(each.public_bytes(Encoding.DER) for each in chain)
    _copies(material, documents.trust, findings)
    _tls(material, documents.gateway, findings, ("tls",))
    _tls(material, documents.gateway, findings, ("card_readers", "tls"))
    _tls(material, documents.gateway, findings, ("client_certificates", "tls"))
    for document, pattern in _secret_places(documents):
        for trail, written in texts(document, *pattern):
            secret = _Look(material, document, trail, written, findings).secret()
            if secret is not None:
                material.secrets[document.file, trail] = secret
    return material


def _secret_places(documents: Documents) -> Iterator[tuple[Document, tuple[str, ...]]]:
    yield documents.gateway, ("store", "password_file")
    for document in documents.id_systems:
        yield document, ("client", "client_secret_file")


def _list(material: Material, document: Document, trail: Trail, written: str, findings: Findings) -> None:
    path = material.path(written)
    try:
        there = path is not None and path.exists()
        usable = path is not None and path.is_file()
    except (OSError, ValueError):
        there = usable = False
    if there and not usable:
        findings.mistakes.append(document.mistake("file-not-a-file", trail, found=shown(written, trail)))
    elif not there:
        kind = "state-unchecked" if path is None else "list-missing"
        findings.notes.append(document.mistake(kind, trail, found=shown(written, trail)))


def _copies(material: Material, document: Document, findings: Findings) -> None:
    """What is fetched, or needs approval, is kept in the state directory, which may not have been given."""
    if material.state is not None:
        return
    for trail, source in each(document, "sources", ANY):
        if isinstance(source, dict) and (
            source.get("file") is None or source.get("approval") == "required" or source.get("follow") is not None
        ):
            findings.notes.append(document.mistake("state-unchecked", trail))


def _tls(material: Material, document: Document, findings: Findings, where: tuple[str, ...]) -> None:
    chain: tuple[x509.Certificate, ...] = ()
    for trail, written in texts(document, *where, "certificate"):
        chain = _Look(material, document, trail, written, findings).certificates(alone=False)
    for trail, written in texts(document, *where, "key"):
        public = _Look(material, document, trail, written, findings).private_key()
        if chain and public is not None and public != _public(chain[0]):
            findings.mistakes.append(document.mistake("key-mismatch", trail))


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class _Look:
    """One named file."""

    material: Material
    document: Document
    trail: Trail
    written: str
    findings: Findings

    def certificates(self, *, alone: bool = True, of_messages: bool = False) -> tuple[x509.Certificate, ...]:
        """The certificates in the file, or none. `alone`: a private key beside them is a mistake.

        `of_messages`: their keys are to sign HTTP messages (RFC 9421), for which not the same ones do.
        """
        octets = self._octets()
        if octets is None:
            return ()
        if alone and b"PRIVATE KEY-----" in octets:
            return self._wrong("certificate-private")
        try:
            found = tuple(x509.load_pem_x509_certificates(octets))
            fit = all((_signs_messages if of_messages else _fit)(certificate) for certificate in found)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return self._wrong("certificate")
        return found if fit else self._wrong("message-key" if of_messages else "certificate-key")

    def anchors(self) -> tuple[bytes, ...]:
        """What the file pins, as DER: its certificates, or one bare public key; or nothing if there is a mistake."""
        octets = self._octets()
        if octets is None:
            return ()
        if PUBLIC_KEY not in octets:
            return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.certificates())
        if b"PRIVATE KEY-----" in octets:
            return self._wrong("certificate-private")
        try:
            return anchors_from_pem(octets)
        except ValueError:
            return self._wrong("public-key")

    def private_key(self) -> bytes | None:
        """The public half of the private key in the file; None if there is a mistake."""
        octets = self._octets(secret=True)
        if octets is None:
            return None
        try:
            key = load_pem_private_key(octets, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            self._wrong("private-key")
            return None
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def secret(self) -> str | None:
        """The secret in the file, without surrounding white space; None if there is a mistake."""
        octets = self._octets(secret=True)
        if octets is None:
            return None
        try:
            text = octets.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            text = ""
        if not text or not text.isprintable():
            self._wrong("material-empty")
            return None
        return text

    def _octets(self, *, secret: bool = False) -> bytes | None:
        path = self.material.path(self.written)
        found = shown(self.written, self.trail)
        if path is None:
            self.findings.notes.append(self.document.mistake("state-unchecked", self.trail, found=found))
            return None
        try:
            if not path.is_file():
                state = self.material.state if self.written.startswith(STATE) else None
                self._wrong("material-missing", base=str(state or self.material.directory))
                return None
            if secret and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
                self._wrong("material-open")
            with path.open("rb") as stream:
                return stream.read(LARGEST_MATERIAL)
        except (OSError, ValueError):
            self._wrong("material-unreadable")
            return None

    def _wrong(self, kind: str, base: str = "") -> tuple[()]:
        found = shown(self.written, self.trail)
        self.findings.mistakes.append(self.document.mistake(kind, self.trail, found=found, base=base))
        return ()


def _fit(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= SMALLEST_RSA
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES


def _signs_messages(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    try:
        VerifyingKey.of(key)
    except ValueError:
        return False
    return True
