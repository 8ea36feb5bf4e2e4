"""What became of each member of a council request: one `Answer`, whatever happened.

| outcome | reasons |
|---|---|
| answered | none |
| refused | `status` (the member's own word, 400 and above), `redirect`, and by the gateway: REFUSALS |
| timed-out | `slow` (its own time was over), `deadline` (the request's was) |
| unreachable | `no-address`, `interrupted`, and the codes of the road: ROAD |
| cancelled | `cancelled` |

`may_have_arrived` says whether the member may have seen the question: whoever repeats a request that changes something
needs to know.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from federation.council.question import JSON_TYPE
from federation.web import Json
from trust_lists import strict_json


class Outcome(StrEnum):
    """How it ended for one member."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"


class Signed(StrEnum):
    """What is known of an answer's signature. NO_KEYS: no list names a key of the member, so none can be verified."""

    VERIFIED = "verified"
    MISSING = "missing"
    NO_KEYS = "no-keys"


REFUSALS: Final[Mapping[str, str]] = {
    "not-a-member": "no list in force names a member of the council with this code",
    "asker-not-a-member": "the asking municipality is not a member any more",
    "asker-not-trusted": "the asking system is not configured, not listed, or may not ask any more",
    "no-route": "no route of the service fits the question any more",
    "status": "the member answered with an error of its own",
    "redirect": "the member sent the question elsewhere",
    "answer-too-large": "the answer is longer than the gateway takes",
    "answers-too-large": "all answers together are longer than the gateway takes",
    "content-type": "the answer is of a type that was not asked for",
    "content-coding": "the answer is compressed",
    "signature": "the answer bears a signature that is not believed",
    "unsigned": "the answer is not signed, and the asker wants signatures",
    "forbidden-content": "the answer holds what must never pass",
    "not-inspectable": "the answer cannot be looked at for what must never pass",
}
"""Why an answer, or a question, does not count."""

ROAD: Final[Mapping[str, str]] = {
    "no-address": "the list names no address of the member",
    "circuit-open": "every address of the service failed so often that none is asked now",
    "address": "the address that the list names cannot be used",
    "private-address": "the address leads into a private network or to this machine",
    "dns": "the name leads to no address",
    "unreachable": "nobody answers there",
    "tls": "the member's TLS certificate is not believed",
    "truncated": "the connection broke off",
    "http": "what came is no HTTP answer",
    "interrupted": "the gateway stopped while it waited for the answer",
}
"""Why a member counts as unreachable."""

NEVER_ARRIVED: Final = frozenset(
    {"no-address", "circuit-open", "address", "private-address", "dns", "unreachable", "tls"}
)
"""Roads on which the question did not leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of one member in one round of a request (0: as asked first, then each repeat).

    `code` is the municipality's; of a request to a service, the service's id. `reason` is None for `ANSWERED`.
    `status`, `content_type` and `content` are the member's, also of its errors; `seconds` is how long it took.
    """

    code: str
    round: int
    outcome: Outcome
    at: datetime
    reason: str | None = None
    may_have_arrived: bool = True
    status: int | None = None
    content_type: str | None = None
    content: bytes = field(default=b"", repr=False)
    signature: Signed | None = None
    seconds: float | None = None

    def to_json(self) -> Json:
        """For the store."""
        return {
            "code": self.code,
            "round": self.round,
            "outcome": str(self.outcome),
            "at": self.at.isoformat(),
            "reason": self.reason,
            "arrived": self.may_have_arrived,
            "status": self.status,
            "type": self.content_type,
            "content": base64.b64encode(self.content).decode(),
            "signature": None if self.signature is None else str(self.signature),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Answer":
        """From the store."""
        return cls(
            code=value["code"],
            round=value["round"],
            outcome=Outcome(value["outcome"]),
            at=datetime.fromisoformat(value["at"]),
            reason=value["reason"],
            may_have_arrived=value["arrived"],
            status=value["status"],
            content_type=value["type"],
            content=base64.b64decode(value["content"]),
            signature=None if value["signature"] is None else Signed(value["signature"]),
            seconds=value["seconds"],
        )

    def told(self) -> dict[str, Any]:
        """What the asker learns, without the content."""
        stated = {
            ("municipality" if self.code.isdigit() else "service"): self.code,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "may_have_arrived": self.may_have_arrived,
            "round": self.round,
            "at": self.at.isoformat(timespec="milliseconds"),
            "status": self.status,
            "content_type": self.content_type,
            "signature": None if self.signature is None else str(self.signature),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }
        return {name: value for name, value in stated.items() if value is not None}


def readable(content: bytes, content_type: str | None) -> dict[str, Any]:
    """The content as a member of a JSON object: `json`, if it is JSON that two readers read alike; `text`; `base64`."""
    if not content:
        return {}
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == JSON_TYPE or kind.endswith("+json"):
        try:
            return {"json": strict_json.loads(content)}
        except (ValueError, RecursionError):
            pass
    if kind.startswith("text/"):
        try:
            return {"text": content.decode()}
        except UnicodeDecodeError:
            pass
    return {"base64": base64.b64encode(content).decode()}
