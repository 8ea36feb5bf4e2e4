"""What goes to one member: the question, who asks it, and the gateway's signature; and what comes back, judged.

A member's system can believe that the gateway of its region asks (the signature, RFC 9421, by a key of the gateway's
published set), on whose behalf and what for (the assertion), and that it is asked once: `Idempotency-Key` is the same
however often the same request is repeated to the same member.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from federation.council.answers import Answer, Outcome, Signed
from federation.council.members import Member
from federation.council.question import Asked, Signatures

SCOPE: Final = "council.ask"
"""The scope of a system that may put questions to members, and read the answers."""

ASSERTION_LIFETIME: Final = timedelta(seconds=60)
ASSERTION_TYPE: Final = "kakehashi-council+jwt"
"""`typ` of the assertion, so that it is never taken for that of a person's call (RFC 8725 §3.11)."""

ERRORS: Final = 400
REDIRECTS: Final = range(300, 400)
SUCCESSES: Final = range(200, 300)

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The system that asks: its client id, and its municipality's code."""

    client: str
    municipality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An answer as it came; header names in lower case, one entry a line."""

    status: int
    headers: Sequence[tuple[str, str]]
    content: bytes

    def header(self, name: str) -> str | None:
        """The field's only line; None if there is none, or several."""
        found = [value for key, value in self.headers if key == name]
        return found[0].strip() if len(found) == 1 else None


def assertion_claims(
    request_id: str, asker: Asker, asked: Asked, member: Member, *, round_number: int, issuer: str, now: datetime
) -> dict[str, Any]:
    """The claims of the assertion for one member (RFC 7519 §4.1): which municipality's system asks, and what for."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": member.entity_id,
        "iat": issued_at,
        "exp": issued_at + int(ASSERTION_LIFETIME.total_seconds()),
        "jti": f"{request_id}.{member.code}.{round_number}",
        "caller": "system",
        "municipality": asker.municipality,
        "client_id": asker.client,
        "council_request": request_id,
        "purpose": asked.purpose,
    }


def headers(request_id: str, asked: Asked, code: str, *, once: str, assertion: str, digest: str | None) -> Headers:
    """The header fields that one target is sent, before they are signed; `digest` is the content's (RFC 9530).

    `once` is another word each time: whoever notes the ids of requests against replay takes no repeat for one.
    """
    question = asked.question
    found = [
        ("Accept", ", ".join(question.accept)),
        ("Idempotency-Key", f'"{request_id}.{code}"'),
        ("Kakehashi-Assertion", assertion),
        ("Kakehashi-Request-Id", f"{request_id}.{code}.{once}"),
    ]
    if question.content_type is not None:
        found.append(("Content-Type", question.content_type))
    if digest is not None:
        found.append(("Content-Digest", digest))
    return found


def judged(
    came: Came,
    asked: Asked,
    *,
    code: str,
    round_number: int,
    at: datetime,
    seconds: float,
    signature: Signed | None,
    signed_only: bool = False,
) -> Answer:
    """What an answer comes to.

    `signature` None: it bears one that is not believed. `signed_only`: it must bear one, whatever the asker says.
    """
    content_type = came.header("content-type")
    kind = (content_type or "").partition(";")[0].strip().lower()
    outcome, reason = Outcome.ANSWERED, None
    wanted = signed_only or asked.signatures is Signatures.REQUIRED
    for why in _reasons(came, asked, kind, signature, wanted=wanted):
        outcome, reason = Outcome.REFUSED, why
        break
    keeps = reason in (None, "status")
    return Answer(
        code=code,
        round=round_number,
        outcome=outcome,
        reason=reason,
        at=at,
        status=came.status,
        content_type=content_type[:200] if keeps and content_type is not None and content_type.isprintable() else None,
        content=came.content if keeps else b"",
        signature=signature,
        seconds=seconds,
    )


def _reasons(came: Came, asked: Asked, kind: str, signature: Signed | None, *, wanted: bool) -> Iterable[str]:
    """Why the answer does not count, the first one first."""
    if signature is None:
        yield "signature"
    if came.status in REDIRECTS:
        yield "redirect"
    if came.status not in SUCCESSES:
        yield "status"
    if wanted and signature is not Signed.VERIFIED:
        yield "unsigned"
    if came.content and kind not in asked.question.accept:
        yield "content-type"
