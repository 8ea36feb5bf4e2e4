"""What the demo's phones hold: for each owner a key, its certificate, and the attribute certificate, on disk.

A key is made here and never leaves; the authority gets a request signed by it. A real phone keeps it in hardware.
"""

import asyncio
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from gateway.demo.authority_keys import links_of, put_private
from gateway.demo.peer import PeerError, ask, json_object
from gateway.demo.phone_owners import Owner, PhoneAlgorithm

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

RSA_BITS = 2048
SETTINGS = "phone.json"
"""In the phones' directory: where gateway and authority are, for whoever starts a phone from the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What one phone signs with: `certificates` (DER) from the owner's own upwards, `attributes` an SD-JWT."""

    key: PrivateKey = field(repr=False)
    algorithm: PhoneAlgorithm
    certificates: tuple[bytes, ...] = field(repr=False)
    attributes: str = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The owner's certificate."""
        return x509.load_der_x509_certificate(self.certificates[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every phone of the demo knows: the gateway whose requests it answers, and the authority."""

    gateway: str
    authority: str
    secret: str = field(repr=False)

    def write(self, directory: Path) -> None:
        """Note it for the command line."""
        known = {"gateway": self.gateway, "authority": self.authority}
        put_private(directory / SETTINGS, json.dumps(known, indent=1).encode())

    @classmethod
    def read(cls, directory: Path, secret: str) -> "Settings":
        """What was noted. Raises `OSError` or `ValueError` where there is nothing."""
        known = json.loads((directory / SETTINGS).read_text())
        return cls(gateway=str(known["gateway"]), authority=str(known["authority"]), secret=secret)


class Wallet:
    """Every owner's card. Who has none yet, or one of an authority that moved, is issued one when it is asked for."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self.settings = settings
        self._lock = asyncio.Lock()

    async def card(self, session: aiohttp.ClientSession, owner: Owner) -> Card:
        """The owner's card. Raises `PeerError` if the authority does not issue one."""
        async with self._lock:
            card = self._read(owner)
            if card is not None and f"{self.settings.authority}/ocsp" in links_of(card.certificate):
                return card
            return await self._issued(session, owner)

    async def renew(self, session: aiohttp.ClientSession, owner: Owner) -> Card:
        """A new key and new certificates; the authority revokes the old ones. Raises `PeerError`."""
        async with self._lock:
            return await self._issued(session, owner)

    async def revoke(self, session: aiohttp.ClientSession, card: Card) -> None:
        """Tell the authority that the phone is lost. Raises `PeerError`."""
        await self._tell(
            session, "/revoke", {"serial": f"{card.certificate.serial_number:x}", "reason": "keyCompromise"}
        )

    async def standing(self, session: aiohttp.ClientSession, card: Card, now: datetime) -> str:
        """What the authority says of the certificate: good, revoked, unknown; or expired, which needs no asking."""
        certificate, issuer = map(x509.load_der_x509_certificate, card.certificates[:2])
        if certificate.not_valid_after_utc < now:
            return "expired"
        question = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()  # noqa: S303 - RFC 5019 §2.1.1: it names, it protects nothing
        try:
            _, body, _ = await ask(
                session,
                "POST",
                f"{self.settings.authority}/ocsp",
                data=question.public_bytes(Encoding.DER),
                headers={"Content-Type": "application/ocsp-request"},
            )
            answer = ocsp.load_der_ocsp_response(body)
            return answer.certificate_status.name.lower()
        except (PeerError, ValueError):
            return "unknown"

    async def _issued(self, session: aiohttp.ClientSession, owner: Owner) -> Card:
        key = await asyncio.to_thread(_new_key, owner.algorithm)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner.key)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        answer = await self._tell(
            session,
            "/enrol",
            {"owner": owner.key, "csr": b64encode(request.public_bytes(Encoding.DER)).decode()},
        )
        card = Card(
            key=key,
            algorithm=owner.algorithm,
            certificates=tuple(b64decode(str(each)) for each in cast("list[object]", answer["certificates"])),
            attributes=str(answer["attributes"]),
        )
        put_private(self._path(owner), _written(card))
        return card

    async def _tell(self, session: aiohttp.ClientSession, path: str, what: dict[str, str]) -> dict[str, object]:
        url = f"{self.settings.authority}{path}"
        headers = {"Authorization": f"Bearer {self.settings.secret}"}
        status, body, _ = await ask(session, "POST", url, json=what, headers=headers)
        if status not in (web.HTTPOk.status_code, web.HTTPCreated.status_code):
            raise PeerError(f"{url}: status {status}")
        return json_object(body, url)

    def _read(self, owner: Owner) -> Card | None:
        try:
            kept = json.loads(self._path(owner).read_text())
            key = serialization.load_pem_private_key(kept["key"].encode(), password=None)
        except (FileNotFoundError, ValueError, KeyError):
            return None
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        return Card(
            key=key,
            algorithm=kept["algorithm"],
            certificates=tuple(b64decode(each) for each in kept["certificates"]),
            attributes=kept["attributes"],
        )

    def _path(self, owner: Owner) -> Path:
        return self._directory / f"{owner.key}.json"


def _new_key(algorithm: PhoneAlgorithm) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ES384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def key_pem(key: PrivateKey) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _written(card: Card) -> bytes:
    kept = {
        "algorithm": card.algorithm,
        "key": key_pem(card.key).decode(),
        "certificates": [b64encode(each).decode() for each in card.certificates],
        "attributes": card.attributes,
    }
    return json.dumps(kept, indent=1).encode()
