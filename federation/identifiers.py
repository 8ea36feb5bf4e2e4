"""What a person is called: inside the gateway, towards each service, in one context, and sealed inside a token.

- `PersonRef`: one per person and ID system, known to the gateway only;
- a pairwise identifier: one per person and sector, so that two services cannot compare (OpenID Connect Core §8.1,
  SAML Core §8.3.7, SAML Subject Identifier Attributes §3.4). One service is told the same in every protocol: it is the
  OpenID `sub`, the persistent NameID and the unique ID of `pairwise-id`;
- a pseudonym: one per person, service and context (poll 17), by which a service counts each person once. It can be
  linked neither to the same person's in another context nor to their pairwise identifier;
- a common identifier: one per person, the same at every service that is configured to get it (SAML's `subject-id`);
- a sealed reference: a `PersonRef`, and what belongs to it, that travels through others' hands and that only the
  gateway can open.

All but the last live as long as a resident's account at a service does. They follow from a secret key, the ID system
and its name for the person: from nothing that changes when somebody moves house, marries or gets a new card, and from
nothing that a lost store would take with it.

The key of what services see has a name, and may be followed by another (`kakehashi identifiers`). Nobody is renamed by
that: the name of the key by which a person was named first is kept with the person, and that key stays theirs. The key
of `PersonRef` never leaves the gateway in any form and is not changed. The sealing key is changed at will: a sealed
reference names its key, and retired keys still open.

Every input is length-prefixed under a name of its use, so no two uses and no two splits of the same text agree.
"""

import hmac
import os
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PersonRef = NewType("PersonRef", str)
"""A person at an ID system, as the gateway alone knows them: 43 characters of base64url. A pseudonym."""

KeyName = NewType("KeyName", str)
"""Which key a person is named by towards services; tells nothing of the key."""

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


class UnknownKeyError(Exception):
    """A person is named by a key that this gateway does not have: its keys are not the region's present ones."""


class SealRefusedError(Exception):
    """Not a reference that the gateway sealed for this audience. Which part was wrong is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierKeys:
    """The secret keys, 32 random bytes each and all different.

    `pairwise` names whoever signs in for the first time, `other_pairwise` are former keys, or ones to come, by which
    people are named too. `retired_sealing` are former sealing keys: they open what they sealed and seal nothing more.
    Raises `ValueError` for a key of another length, or the same key twice.
    """

    person: bytes = field(repr=False)
    pairwise: bytes = field(repr=False)
    sealing: bytes = field(repr=False)
    other_pairwise: tuple[bytes, ...] = field(default=(), repr=False)
    retired_sealing: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        keys = (self.person, self.pairwise, self.sealing, *self.other_pairwise, *self.retired_sealing)
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"each identifier key must have {KEY_BYTES} bytes")
        if len(set(keys)) < len(keys):
            raise ValueError("identifier keys must all differ")


class Identifiers:
    """Makes and opens identifiers with one set of keys."""

    def __init__(self, keys: IdentifierKeys) -> None:
        self._person = keys.person
        self.present = key_name(keys.pairwise)
        """The key that names whoever signs in for the first time."""
        self._naming: Mapping[KeyName, bytes] = {key_name(key): key for key in (*keys.other_pairwise, keys.pairwise)}
        self._sealing_id = key_name(keys.sealing)
        self._opening: Mapping[str, AESGCM] = {
            key_name(key): AESGCM(key) for key in (*keys.retired_sealing, keys.sealing)
        }

    def knows(self, key: KeyName) -> bool:
        """Whether people can be named by that key here."""
        return key in self._naming

    def person(self, entity_id: str, subject: str) -> PersonRef:
        """The person whom the ID system `entity_id` calls `subject`; the same at every sign-in."""
        return PersonRef(_mac(self._person, "person", entity_id, subject))

    def pairwise(self, person: PersonRef, sector: str, key: KeyName) -> str:
        """What `person` is called towards `sector`: 52 letters and digits, the same at every sign-in.

        Lower case only, since `pairwise-id` is compared without case (Subject Identifier Attributes §3.4.1). Two
        sectors' values cannot be told to be of one person without the key. Raises `UnknownKeyError`.
        """
        return self._named(key, "pairwise", person, sector)

    def pseudonym(self, person: PersonRef, sector: str, *context: str, key: KeyName) -> str:
        """What `person` is called in one context of `sector`, in the form of `pairwise`. Raises `UnknownKeyError`."""
        return self._named(key, "pseudonym", person, sector, *context)

    def subject_id(self, person: PersonRef, key: KeyName) -> str:
        """The unique ID of SAML's `subject-id` (Subject Identifier Attributes §3.3): the same at every service.

        Raises `UnknownKeyError`.
        """
        return self._named(key, "subject-id", person)

    def _named(self, key: KeyName, *parts: str) -> str:
        secret = self._naming.get(key)
        if secret is None:
            raise UnknownKeyError
        return b32encode(hmac.digest(secret, _framed(*parts), "sha256")).rstrip(b"=").decode().lower()

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


def key_name(key: bytes) -> KeyName:
    """The public name of a key, which tells nothing of it."""
    return KeyName(_mac(key, "key-id")[:8])


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes | None:
    """The bytes of unpadded base64url, or None unless `text` is exactly what `_encode` writes."""
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None
    return content if _encode(content) == text else None
