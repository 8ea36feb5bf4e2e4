"""Trust marks of OpenID Federation 1.0 (§7): signed words of conformity, if the anchor lets their issuer say so.

The anchor's configuration says who may issue marks of a type (`trust_mark_issuers`), and who owns the type and must
have delegated the issuing (`trust_mark_owners`). A type that stands in neither means nothing here. Status endpoints
are not asked: a mark that ought to end early has an early end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trust_lists.federation_statements import MARK_TYPE, HeldMark, Statement, is_entity_id, is_instant
from trust_lists.federation_tokens import Keys, StatementRefusedError, peek_unsafe, verified
from trust_lists.times import LEEWAY, format_instant

DELEGATION_TYPE = "trust-mark-delegation+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustMark:
    """A mark that was verified; `expires_at` is its own end or its delegation's, None if neither ends."""

    type: str
    issuer: str
    subject: str
    token: str
    expires_at: datetime | None


def verify(held: HeldMark, *, holder: str, anchor: Statement, issuers: Mapping[str, Keys], now: datetime) -> TrustMark:
    """Verify a mark that stands in the configuration of `holder` (§7.3).

    `issuers` are the federation keys of entities that have a valid chain to the anchor. Raises
    `StatementRefusedError`: `mark-type` (not recognised here), `mark-issuer`, `mark-subject`, `mark-delegation`,
    `expired`, `future`, `format`, and those of a signature.
    """
    if held.type not in anchor.trust_mark_issuers and held.type not in anchor.trust_mark_owners:
        raise StatementRefusedError("mark-type", "the trust anchor recognises no trust marks of this type")
    issuer = peek_unsafe(held.token, typ=MARK_TYPE).get("iss")
    accredited = anchor.trust_mark_issuers.get(held.type, frozenset())
    keys = anchor.keys if issuer == anchor.subject else issuers.get(str(issuer))
    if keys is None or (accredited and issuer not in accredited):
        raise StatementRefusedError(
            "mark-issuer", "its issuer is not one whom the trust anchor accredited for this type"
        )
    claims: Mapping[str, Any] = verified(held.token, keys, typ=MARK_TYPE)
    _check(claims, issuer=str(issuer), subject=holder, kind=held.type, now=now)
    ends = [claims["exp"]] if "exp" in claims else []
    if "delegation" in claims or held.type in anchor.trust_mark_owners:
        delegation = _delegation(claims.get("delegation"), issuer=str(issuer), kind=held.type, anchor=anchor, now=now)
        ends.extend(delegation[each] for each in ("exp",) if each in delegation)
    return TrustMark(
        type=held.type,
        issuer=str(issuer),
        subject=holder,
        token=held.token,
        expires_at=datetime.fromtimestamp(min(ends), UTC) if ends else None,
    )


def _delegation(token: object, *, issuer: str, kind: str, anchor: Statement, now: datetime) -> Mapping[str, Any]:
    """Verify that the type's owner lets the issuer issue (§7.2.2)."""
    owner = anchor.trust_mark_owners.get(kind)
    if not isinstance(token, str) or owner is None:
        raise StatementRefusedError("mark-delegation", "a delegation by the type's owner is expected")
    claims = verified(token, owner.keys, typ=DELEGATION_TYPE)
    _check(claims, issuer=owner.entity_id, subject=issuer, kind=kind, now=now)
    return claims


def _check(claims: Mapping[str, Any], *, issuer: str, subject: str, kind: str, now: datetime) -> None:
    begins, ends = claims.get("iat"), claims.get("exp")
    if not is_entity_id(claims.get("iss")) or not is_instant(begins) or not ("exp" not in claims or is_instant(ends)):
        raise StatementRefusedError("format", "iss, iat or exp is not what a trust mark needs")
    if claims.get("iss") != issuer:
        raise StatementRefusedError("mark-issuer", "it is issued by somebody else than whose key signed it")
    if claims.get("sub") != subject:
        raise StatementRefusedError("mark-subject", "it was issued for another entity")
    if claims.get("trust_mark_type") != kind:
        raise StatementRefusedError("mark-type", "it is of another type")
    if ends is not None and now >= datetime.fromtimestamp(ends, UTC):
        raise StatementRefusedError("expired", f"it ended at {format_instant(datetime.fromtimestamp(ends, UTC))}")
    if datetime.fromtimestamp(claims["iat"], UTC) > now + LEEWAY:
        raise StatementRefusedError("future", "it was issued in the future")
