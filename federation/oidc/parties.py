"""Who has no people before it and still gets tokens: municipalities' own systems, and shared regional services.

Each is configured here and vouched for by a list in force: a system as a member of the council, whose municipality the
list says, a shared service as one of the region. They authenticate by the keys that the list names, in
certificates and by value (`jwks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from federation.model import Texts
from federation.oidc.clients import UnknownClientError
from federation.oidc.jose import ALGORITHMS, PublicKeys
from federation.ports import TrustPort
from trust_lists.model import NotTrustedError, Role

ASSERTION, TLS = "private_key_jwt", "self_signed_tls_client_auth"

_SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A municipality's own system as it is configured: which scopes its tokens may have, and what people call it."""

    id: str
    client_id: str
    name: Texts
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedParty:
    """A party as a list in force states it; `public_keys` are the same keys as SubjectPublicKeyInfo.

    `municipality` is a six-digit code, or None: the list says none.
    """

    client_id: str
    municipality: str | None
    keys: PublicKeys = field(repr=False)
    public_keys: frozenset[bytes] = field(repr=False)
    assertion_algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def methods(self) -> tuple[str, ...]:
        """How it may authenticate: either way proves one of the listed keys."""
        return (ASSERTION, TLS)

    def shows(self, certificate: bytes) -> bool:
        """Whether this certificate carries a listed key; what else stands in it does not count.

        The list vouches for keys: whoever renews a certificate with the same key needs no new list (RFC 8705 §2.2).
        """
        try:
            return _public_key(certificate) in self.public_keys
        except ValueError:
            return False


class Parties:
    """Finds a configured party by its client ID, in the role in which lists must name it."""

    def __init__(self, roles: Mapping[str, Role], trust: TrustPort) -> None:
        self._roles = roles
        self._trust = trust

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._roles

    def find(self, client_id: str, at: datetime) -> ListedParty:
        """The party as the lists in force at `at` know it. Raises `UnknownClientError`."""
        role = self._roles.get(client_id)
        if role is None:
            raise UnknownClientError("not-configured")
        try:
            entity = self._trust.find(client_id, role, at)
        except NotTrustedError as error:
            raise UnknownClientError(error.code) from error
        try:
            certified = PublicKeys.from_certificates(entity.signing_certificates)
            public_keys = frozenset(map(_public_key, entity.signing_certificates))
        except ValueError:
            raise UnknownClientError("certificates") from None
        try:
            stated = PublicKeys.from_jwks(entity.metadata.get("jwks", {"keys": []}))
        except ValueError:
            raise UnknownClientError("jwks") from None
        return ListedParty(
            client_id=client_id,
            municipality=entity.municipality,
            keys=PublicKeys((*certified.keys, *stated.keys)),
            public_keys=public_keys.union(key.public_key.public_bytes(*_SPKI) for key in stated.keys),
        )


def _public_key(certificate: bytes) -> bytes:
    public = load_der_x509_certificate(certificate).public_key()
    return public.public_bytes(*_SPKI)
