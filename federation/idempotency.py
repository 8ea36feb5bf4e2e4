"""One effect however often a call is repeated: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07).

A key belongs to one caller on one route. What is known of it goes one way:

| state | means | the same call again |
|---|---|---|
| (nothing) | never seen, or long ago | begins |
| begun | somebody prepares it; nothing left the gateway | in flight; begins anew once whoever prepared it is gone |
| sent | it may have reached the service | in flight; then again if the service knows keys, else `idempotency-unknown` |
| answered | the service answered | the first answer |

Another call under the same key is refused in every state.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from federation.callers import Caller
from federation.refusal import (
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    IdempotencyUnknown,
)
from federation.routes import Route
from federation.signatures.structured import StructuredFieldError, read_item, write_bare
from federation.terms import Idempotency
from federation.web import Json

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
"""Header that says `true` of an answer that was given before."""

LONGEST_KEY = 255

PASSING = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses by which a service says that it did not do it yet, and that the same may be asked again."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.1
_BARE = re.compile(r"[!#-+\--:<-~]{1,255}")  # visible ASCII, but for what separates or quotes: `"`, `,`, `;`


def key_of(values: Sequence[str], wanted: Idempotency, method: str) -> str | None:
    """The key in a call's `Idempotency-Key` headers; None if it has none, or such a call needs none.

    A method that only reads needs none, nor does a route that takes none.
    A string of RFC 9651 with 1 to 255 characters; without its quotes, as many clients send it, it is the same key.
    Raises `IdempotencyKeyMissing`, `IdempotencyKeyInvalid`.
    """
    if wanted is Idempotency.NONE or method in _SAFE:
        return None
    if not values:
        if wanted is Idempotency.REQUIRED:
            raise IdempotencyKeyMissing
        return None
    if len(values) > 1:
        raise IdempotencyKeyInvalid(f"{len(values)} headers")
    return read_key(values[0])


def read_key(value: str) -> str:
    """The key that one header says. Raises `IdempotencyKeyInvalid`."""
    text = value.strip(" \t")
    if _BARE.fullmatch(text):
        return text
    try:
        item = read_item(text)
    except StructuredFieldError:
        raise IdempotencyKeyInvalid("no string") from None
    if type(item.value) is not str or item.parameters or not 0 < len(item.value) <= LONGEST_KEY:
        raise IdempotencyKeyInvalid("no string of 1 to 255 characters")
    return item.value


def write_key(key: str) -> str:
    """A key as its header says it."""
    return write_bare(key)


def scope(caller: Caller, route: Route) -> str:
    """Whose keys these are: one client's, for one person or as one municipality's system, on one route."""
    whose = caller.person or f"municipality {caller.municipality}"
    return json.dumps([caller.kind, caller.client, whose, route.service, route.path])


def fingerprint(*, method: str, path: str, query: str, content_type: str, body: bytes) -> str:
    """By which the same call is known again: `path` is the one that the service sees."""
    said = json.dumps([method, path, query, content_type, hashlib.sha256(body).hexdigest()])
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An answer as it was, or will be, given."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


class State(StrEnum):
    """How far a call came; see the table above."""

    BEGUN = "begun"
    SENT = "sent"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one key. `answer` belongs to `State.ANSWERED`, and to no other."""

    state: State
    fingerprint: str
    answer: Replay | None = None

    def to_json(self) -> Json:
        """For the store."""
        kept: dict[str, Any] = {"state": self.state, "fingerprint": self.fingerprint}
        if self.answer is not None:
            kept["status"] = self.answer.status
            kept["headers"] = [list(pair) for pair in self.answer.headers]
            kept["body"] = b64encode(self.answer.body).decode()
        return kept

    @classmethod
    def from_json(cls, kept: Json) -> Self:
        """From the store."""
        state, answer = State(kept["state"]), None
        if state is State.ANSWERED:
            headers = tuple((str(name), str(value)) for name, value in kept["headers"])
            answer = Replay(status=kept["status"], headers=headers, body=b64decode(kept["body"]))
        return cls(state=state, fingerprint=kept["fingerprint"], answer=answer)


def judge(row: Row, asked: str, *, under_way: bool, repeats: bool) -> Replay | None:
    """What becomes of a call with the fingerprint `asked` whose key has a row: its answer, or None if it may be made.

    `under_way`: somebody works on the row. `repeats`: the service knows keys, so that it may be asked twice. Raises
    `IdempotencyKeyReused`, `IdempotencyInFlight`, `IdempotencyUnknown`.
    """
    if row.fingerprint != asked:
        raise IdempotencyKeyReused
    if row.answer is not None:
        return row.answer
    if under_way:
        raise IdempotencyInFlight
    if row.state is State.SENT and not repeats:
        raise IdempotencyUnknown
    return None


def settles(status: int, *, repeats: bool) -> bool:
    """Whether an answer is the one that is given again.

    Of a service that knows keys `PASSING` answers are not: it is asked again. Any answer of another one is, since
    nobody knows what it did before it said so.
    """
    return not (repeats and status in PASSING)
