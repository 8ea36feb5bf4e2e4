"""Signatures of messages: written, and believed or not (RFC 9421 §3).

A message may bear several signatures. `verify` looks at those that the caller means, by their tag or label, and
believes one that holds every row of `CHECKS`; what others say does not matter. A signature covers the digest of the
content only: whoever reads the content holds it against that (`federation/signatures/digests.py`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from federation.model import Kept
from federation.oidc.jose import LEEWAY
from federation.oidc.strict_json import instant
from federation.signatures.algorithms import Keyring, MessageSigner, VerifyingKey
from federation.signatures.components import Component, ComponentError, signature_base, signature_parameters
from federation.signatures.message import Headers, Message, lines
from federation.signatures.structured import (
    Bare,
    InnerList,
    Item,
    Member,
    Parameters,
    StructuredFieldError,
    read_dictionary,
    write,
)

INPUT, SIGNATURE = "signature-input", "signature"
LABEL = "kakehashi"
"""What our own signatures are called in the two fields."""

MAX_SIGNATURES = 8
"""Signatures of one message that are read; one with more is refused."""

MAX_COMPONENTS = 64

CODES: Mapping[str, str] = {
    "missing": "no signature that is meant",
    "malformed": "the two fields are no dictionaries of signatures, or a name stands twice in them",
    "too-many": "more signatures, or more components, than are read",
    "component-unknown": "a component that no rule knows, or with parameters that do not go together",
    "component-twice": "one component stands twice",
    "not-covered": "something that must be signed is not",
    "created": "no time of signing",
    "from-the-future": "signed later than now",
    "too-old": "signed too long ago",
    "expired": "its own end has come",
    "nonce": "no nonce where one is asked for",
    "unknown-key": "signed with a key that is nobody's here",
    "algorithm": "another algorithm than the key's",
    "component-absent": "something that is said to be signed is not in the message",
    "component-value": "something cannot be written into the octets that are signed",
    "signature": "not a signature of these octets by this key",
}
"""Every reason why a signature is not believed."""


class SignatureRefusedError(Exception):
    """A message whose signature is not believed; `code` is one of `CODES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that is believed. `base` is the SHA-256 of what was signed, in hexadecimal."""

    label: str
    keyid: str
    algorithm: str
    components: tuple[Component, ...]
    created: datetime
    expires: datetime | None = None
    nonce: str | None = None
    tag: str | None = None
    base: str = field(default="", repr=False)
    believed_until: datetime

    def covers(self, component: str | Component) -> bool:
        """Whether this was signed."""
        return Component.of(component) in self.components

    def claim(self, now: datetime) -> Kept:
        """What to keep, once, as long as the signature could be believed again: a second time it is a replay.

        By the octets that were signed, since a signature can be written in several ways.
        """
        return Kept(
            kind="message-signature",
            key=f"{self.keyid} {self.base}",
            value={},
            lifetime=max(self.believed_until - now, timedelta(seconds=1)),
        )


def sign(
    message: Message,
    *,
    components: Iterable[str | Component],
    signer: MessageSigner,
    created: datetime,
    expires: datetime | None = None,
    nonce: str | None = None,
    tag: str | None = None,
    label: str = LABEL,
) -> list[tuple[str, str]]:
    """`Signature-Input` and `Signature` for a message. Raises `ComponentError`, `StructuredFieldError`."""
    named = tuple(map(Component.of, components))
    stated: dict[str, Bare | None] = {
        "created": int(created.timestamp()),
        "expires": None if expires is None else int(expires.timestamp()),
        "keyid": signer.keyid,
        "nonce": nonce,
        "tag": tag,
    }
    parameters = {name: value for name, value in stated.items() if value is not None}
    value = signer.sign(signature_base(message, named, parameters))
    return [
        ("Signature-Input", f"{label}={signature_parameters(named, parameters)}"),
        ("Signature", write({label: Item(value)})),
    ]


# --- verifying


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a signature must keep to be believed.

    `required` are the components that it must cover, `max_age` how long ago it may have been made, `nonce` whether it
    must bear one.
    """

    keys: Keyring
    required: frozenset[Component]
    now: datetime
    max_age: timedelta
    leeway: timedelta = LEEWAY
    nonce: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a signature says of itself, read and nothing more."""

    label: str
    components: tuple[Component, ...]
    parameters: Parameters
    value: bytes = field(repr=False)
    created: datetime | None
    expires: datetime | None
    keyid: str
    algorithm: str | None
    nonce: str | None
    tag: str | None

    def key(self, keys: Keyring) -> VerifyingKey | None:
        """The key that it names."""
        return keys.get(self.keyid)

    def by(self, key: VerifyingKey) -> str:
        """The algorithm: its own word, or else the key's."""
        return self.algorithm or key.algorithms[0]


CHECKS: tuple[tuple[str, Callable[[Stated, Expected], bool]], ...] = (
    ("not-covered", lambda stated, expected: expected.required <= set(stated.components)),
    ("created", lambda stated, _: stated.created is not None),
    (
        "from-the-future",
        lambda stated, expected: stated.created is not None and stated.created <= expected.now + expected.leeway,
    ),
    (
        "too-old",
        lambda stated, expected: (
            stated.created is not None and stated.created + expected.max_age + expected.leeway > expected.now
        ),
    ),
    (
        "expired",
        lambda stated, expected: stated.expires is None or stated.expires + expected.leeway > expected.now,
    ),
    ("nonce", lambda stated, expected: bool(stated.nonce) or not expected.nonce),
    ("unknown-key", lambda stated, expected: stated.key(expected.keys) is not None),
    (
        "algorithm",
        lambda stated, expected: (key := stated.key(expected.keys)) is not None and stated.by(key) in key.algorithms,
    ),
)
"""What is asked of a signature before its value is computed, in this order; each row's code is what failed."""


def verify(
    message: Message,
    *,
    keys: Keyring,
    required: Iterable[str | Component],
    now: datetime,
    max_age: timedelta,
    leeway: timedelta = LEEWAY,
    tag: str | None = None,
    label: str | None = None,
    nonce: bool = False,
) -> Verified:
    """The first signature with this tag, or label, that is believed; of any, if neither is given.

    Raises `SignatureRefusedError` with the reason why the first one is not.
    """
    expected = Expected(
        keys=keys,
        required=frozenset(map(Component.of, required)),
        now=now,
        max_age=max_age,
        leeway=leeway,
        nonce=nonce,
    )
    first: SignatureRefusedError | None = None
    for name, entered, value in _entered(message.headers):
        if (tag is not None and entered.parameters.get("tag") != tag) or (label is not None and name != label):
            continue
        try:
            return _believed(message, _read(name, entered, value), expected)
        except SignatureRefusedError as why:
            first = first or why
        except ComponentError as why:
            first = first or SignatureRefusedError(why.code)
    raise first or SignatureRefusedError("missing")


def _believed(message: Message, stated: Stated, expected: Expected) -> Verified:
    for code, holds in CHECKS:
        if not holds(stated, expected):
            raise SignatureRefusedError(code)
    key = stated.key(expected.keys)
    assert key is not None
    assert stated.created is not None
    base = signature_base(message, stated.components, stated.parameters)
    if not key.signed(base, stated.value, stated.by(key)):
        raise SignatureRefusedError("signature")
    ends = stated.created + expected.max_age + expected.leeway
    return Verified(
        label=stated.label,
        keyid=stated.keyid,
        algorithm=stated.by(key),
        components=stated.components,
        created=stated.created,
        expires=stated.expires,
        nonce=stated.nonce,
        tag=stated.tag,
        base=hashlib.sha256(base).hexdigest(),
        believed_until=ends if stated.expires is None else min(ends, stated.expires + expected.leeway),
    )


def _entered(headers: Headers) -> Iterator[tuple[str, InnerList, Member | None]]:
    """Every signature of a message: its label, what it covers, its value. Raises `SignatureRefusedError`."""
    try:
        inputs = read_dictionary(", ".join(lines(headers, INPUT)), once=True)
        values = read_dictionary(", ".join(lines(headers, SIGNATURE)), once=True)
    except StructuredFieldError:
        raise SignatureRefusedError("malformed") from None
    if len(inputs) > MAX_SIGNATURES:
        raise SignatureRefusedError("too-many")
    for label, entered in inputs.items():
        if not isinstance(entered, InnerList):
            raise SignatureRefusedError("malformed")
        yield label, entered, values.get(label)


def _read(label: str, entered: InnerList, value: Member | None) -> Stated:
    """Raises `SignatureRefusedError`, `ComponentError`."""
    if not isinstance(value, Item) or not isinstance(value.value, bytes):
        raise SignatureRefusedError("malformed")
    if len(entered.items) > MAX_COMPONENTS:
        raise SignatureRefusedError("too-many")
    stated = entered.parameters
    return Stated(
        label=label,
        components=tuple(map(Component.read, entered.items)),
        parameters=stated,
        value=value.value,
        created=_moment(stated.get("created")),
        expires=_moment(stated.get("expires")),
        keyid=_word(stated.get("keyid")) or "",
        algorithm=_word(stated.get("alg")),
        nonce=_word(stated.get("nonce")),
        tag=_word(stated.get("tag")),
    )


def _moment(value: Bare | None) -> datetime | None:
    if value is None:
        return None
    found = instant(value) if type(value) is int else None
    if found is None:
        raise SignatureRefusedError("malformed")
    return found


def _word(value: Bare | None) -> str | None:
    if value is not None and type(value) is not str:
        raise SignatureRefusedError("malformed")
    return value
