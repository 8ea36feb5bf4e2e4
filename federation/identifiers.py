"""What a person is called: inside the gateway, towards each service, and sealed inside a token.

- `PersonRef`: one per person and ID system, known to the gateway only;
- a pairwise identifier: one per person and sector, so that two services cannot compare (OpenID Connect Core
  §8.1, SAML Core §8.3.7), and the same in the form of SAML's `pairwise-id`, derived on its own;
- a common identifier: one per person, the same at every service that is configured to get it (SAML's `subject-id`);
- a sealed reference: a `PersonRef`, and what belongs to it, that travels through others' hands and that only the
  gateway can open.

All but the last live as long as a resident's account at a service does. Their keys are never rotated in place
(that would give everybody a new name); they differ per gateway and are backed up with the store. The
sealing key is rotated at will: a sealed reference names its key, and retired keys still open.

Every input is length-prefixed under a name of its use, so no two uses and no two splits of the same text
agree.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PersonRef = NewType("PersonRef", str)
"""A person at an ID system, as the gateway alone knows them: 43 characters of base64url. A pseudonym."""

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealRefusedError(Exception):
    """Not a reference that the gateway sealed for this audience. Which part was wrong is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierKeys:
    """The secret keys, 32 random bytes each and all different.

    `retired_sealing` are former sealing keys: they open what they sealed and seal nothing more. Raises
    `ValueError` for a key of another length, or the same key twice.
    """

    person: bytes = field(repr=False)
    pairwise: bytes = field(repr=False)
    sealing: bytes = field(repr=False)
    retired_sealing: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        keys = (self.person, self.pairwise, self.sealing, *self.retired_sealing)
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"each identifier key must have {KEY_BYTES} bytes")
        if len(set(keys)) < len(keys):
            raise ValueError("identifier keys must all differ")


class Identifiers:
    """Makes and opens identifiers with one set of keys."""

    def __init__(self, keys: IdentifierKeys) -> None:
        self._person = keys.person
        self._pairwise = keys.pairwise
        self._sealing_id = _key_id(keys.sealing)
        self._opening: Mapping[str, AESGCM] = {
            _key_id(key): AESGCM(key) for key in (*keys.retired_sealing, keys.sealing)
        }

    def person(self, entity_id: str, subject: str) -> PersonRef:
        """The person whom the ID system `entity_id` calls `subject`; the same at every sign-in."""
        return PersonRef(_mac(self._person, "person", entity_id, subject))

    def pairwise(self, person: PersonRef, sector: str) -> str:
        """What `person` is called towards `sector`: 43 characters of base64url, the same at every sign-in.

        Two sectors' values cannot be told to be of one person without the key.
        """
        return _mac(self._pairwise, "pairwise", person, sector)

    def pairwise_id(self, person: PersonRef, sector: str) -> str:
        """The unique ID of SAML's `pairwise-id` (Subject Identifier Attributes §3.4): 64 hexadecimal digits.

        Compared without case (§3.4.1), so of one case. It cannot be turned into what `pairwise` answers, nor back.
        """
        return hmac.digest(self._pairwise, _framed("pairwise-id", person, sector), "sha256").hex()

    def subject_id(self, person: PersonRef) -> str:
        """The unique ID of SAML's `subject-id` (Subject Identifier Attributes §3.3): the same at every service."""
        return hmac.digest(self._pairwise, _framed("subject-id", person), "sha256").hex()

    def seal(self, reference: str, *, audience: str) -> str:
        """`reference`, unreadable to others and different each time; opens only for `audience`.

        AES-256-GCM with a random nonce: rotate the sealing key before it has sealed 2³² references (NIST SP
        800-38D §8.3).
        """
        nonce = os.urandom(_NONCE_BYTES)
        bound = _framed("sealed-person", self._sealing_id, audience)
        sealed = self._opening[self._sealing_id].encrypt(nonce, reference.encode(), bound)
        return f"{self._sealing_id}.{_encode(nonce + sealed)}"

    def open(self, sealed: str, *, audience: str) -> str:
        """What `seal` sealed for `audience`. Raises `SealRefusedError`."""
        key_id, _, payload = sealed.partition(".")
        key = self._opening.get(key_id)
        content = _decode(payload)
        if key is None or content is None or len(content) < _NONCE_BYTES + _TAG_BYTES:
            raise SealRefusedError("not a sealed reference of this gateway")
        bound = _framed("sealed-person", key_id, audience)
        try:
            return key.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], bound).decode()
        except InvalidTag:
            raise SealRefusedError("not a sealed reference of this gateway") from None


def _mac(key: bytes, *parts: str) -> str:
    return _encode(hmac.digest(key, _framed(*parts), "sha256"))


def _framed(*parts: str) -> bytes:
    """The parts, each after its length in eight bytes: different parts never give the same bytes.

    Lone surrogates, which a JSON subject can carry, are encoded as they are: never an error that quotes the
    subject.
    """
    encoded = [part.encode("utf-8", "surrogatepass") for part in ("kakehashi", *parts)]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def _key_id(key: bytes) -> str:
    """A short public name of a key that tells nothing of it."""
    return _mac(key, "key-id")[:8]


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes | None:
    """The bytes of unpadded base64url, or None unless `text` is exactly what `_encode` writes."""
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return content if _encode(content) == text else None
