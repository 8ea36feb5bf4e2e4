"""Consent: what a person agreed that one service may learn, for which purpose, until when.

A record names attributes and scopes, never a value. The person is asked again only when the request grows,
the purpose changes, or the consent ends or is withdrawn.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from federation.identifiers import PersonRef
from federation.model import Service
from federation.web import Json


class Reason(StrEnum):
    """Why the person is asked."""

    FIRST = "first"
    GROWN = "grown"
    PURPOSE_CHANGED = "purpose-changed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One person's consent for one service. Times are aware, UTC.

    `attributes` are the service's (outward) names, `sources` the canonical attributes that these were made of
    when the person agreed: a service's name that comes to mean something else is not covered. `scopes` are API
    scopes, with what the services behind them are told (`_with_told`); `purpose_digest` is that of
    `purpose_digest()` for the purpose that the person read. One that was withdrawn says when, and counts for
    nothing: it stays as evidence until it would have ended.
    """

    id: str
    person: PersonRef = field(repr=False)
    service: str
    purpose_digest: str
    attributes: frozenset[str]
    scopes: frozenset[str]
    granted_at: datetime
    expires_at: datetime
    sources: frozenset[str] = frozenset()
    withdrawn_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` makes an equal record."""
        return {
            "id": self.id,
            "person": self.person,
            "service": self.service,
            "purpose_digest": self.purpose_digest,
            "attributes": sorted(self.attributes),
            "sources": sorted(self.sources),
            "scopes": sorted(self.scopes),
            "granted_at": self.granted_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            **({} if self.withdrawn_at is None else {"withdrawn_at": self.withdrawn_at.isoformat()}),
        }

    @classmethod
    def from_json(cls, data: Json) -> "ConsentRecord":
        """Make the record that `to_json` wrote. Raises `KeyError`, `ValueError` for anything else."""
        return cls(
            id=data["id"],
            person=PersonRef(data["person"]),
            service=data["service"],
            purpose_digest=data["purpose_digest"],
            attributes=frozenset(data["attributes"]),
            sources=frozenset(data.get("sources", ())),
            scopes=frozenset(data["scopes"]),
            granted_at=datetime.fromisoformat(data["granted_at"]),
            expires_at=datetime.fromisoformat(data["expires_at"]),
            withdrawn_at=datetime.fromisoformat(data["withdrawn_at"]) if "withdrawn_at" in data else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentNeed:
    """What the consent page asks: all that this sign-in would release, what of it is new, and until when."""

    reason: Reason
    attributes: frozenset[str]
    scopes: frozenset[str]
    new_attributes: frozenset[str]
    new_scopes: frozenset[str]
    expires_at: datetime


def purpose_digest(service: Service) -> str:
    """SHA-256 of the purpose in all its languages, hexadecimal: a changed wording is a changed purpose."""
    canonical = json.dumps(dict(service.purpose), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def needed(
    record: ConsentRecord | None,
    service: Service,
    attributes: Collection[str],
    scopes: Collection[str],
    now: datetime,
) -> ConsentNeed | None:
    """What the person must still agree to before this goes to `service`; None if nothing."""
    asked, asked_scopes = frozenset(attributes), _with_told(service, scopes)
    reason = _standing(record, service, now)
    usable = record if reason is None else None
    new = asked - _covered(usable, service) if usable else asked
    new_scopes = asked_scopes - usable.scopes if usable else asked_scopes
    if reason is None and (new or new_scopes):
        reason = Reason.GROWN
    if reason is None:
        return None
    return ConsentNeed(
        reason=reason,
        attributes=asked,
        scopes=asked_scopes,
        new_attributes=new,
        new_scopes=new_scopes,
        expires_at=_until(usable, service, asked, asked_scopes, now),
    )


def grant(
    service: Service,
    *,
    id: str,  # noqa: A002 - the record's own field name
    person: PersonRef,
    attributes: Collection[str],
    scopes: Collection[str],
    now: datetime,
    earlier: ConsentRecord | None = None,
) -> ConsentRecord:
    """Record that `person` agreed, now, to what `needed` asked.

    What an `earlier` consent in force covers beyond it stays covered, so that a service whose requests
    alternate asks once for each. Nothing then lasts longer than any part of it was agreed to.
    """
    asked, asked_scopes = frozenset(attributes), _with_told(service, scopes)
    usable = earlier if _standing(earlier, service, now) is None else None
    if usable is not None and usable.person != person:
        raise ValueError("the earlier consent is another person's")
    return ConsentRecord(
        id=id,
        person=person,
        service=service.id,
        purpose_digest=purpose_digest(service),
        attributes=asked | usable.attributes if usable else asked,
        sources=_sources(service, asked) | (usable.sources if usable else frozenset()),
        scopes=asked_scopes | usable.scopes if usable else asked_scopes,
        granted_at=now,
        expires_at=_until(usable, service, asked, asked_scopes, now),
    )


def withdraw(record: ConsentRecord, now: datetime) -> ConsentRecord:
    """Record that the person took it back; the first time stays."""
    return record if record.withdrawn_at is not None else replace(record, withdrawn_at=now)


def ends(record: ConsentRecord, service: Service | None) -> datetime:
    """When it ends by itself; a lifetime that the service shortened since holds. None: the service left the region."""
    if service is None:
        return record.expires_at
    return min(record.expires_at, record.granted_at + service.consent_lifetime)


def in_force(record: ConsentRecord, service: Service | None, now: datetime) -> bool:
    """Whether there is something to take back: neither over nor withdrawn."""
    return record.withdrawn_at is None and now < ends(record, service)


def _with_told(service: Service, scopes: Collection[str]) -> frozenset[str]:
    """The scopes, and each thing that services behind them are told, which no scope can be called (RFC 6749 §3.3).

    So a scope that comes to tell more, or to make something of other attributes, is not covered.
    """
    told = (
        f"{scope} {rule.to} {' '.join(rule.sources)}"
        for scope in scopes
        if scope in service.told
        for rule in service.told[scope].rules
    )
    return frozenset((*scopes, *told))


def told_by(record: ConsentRecord) -> frozenset[tuple[str, str]]:
    """What services behind a scope may be told by this consent: the scope, and their name for it."""
    parts = (each.split(" ") for each in record.scopes if " " in each)
    return frozenset((scope, name) for scope, name, *_ in parts)


def _sources(service: Service, attributes: Collection[str]) -> frozenset[str]:
    """The canonical attributes that the service's `attributes` are made of."""
    rules = service.outward.rules
    return frozenset(source for rule in rules if rule.to in attributes for source in rule.sources)


def _covered(record: ConsentRecord, service: Service) -> frozenset[str]:
    """The attributes that were agreed to and still mean nothing else."""
    return frozenset(name for name in record.attributes if _sources(service, {name}) <= record.sources)


def _standing(record: ConsentRecord | None, service: Service, now: datetime) -> Reason | None:
    """Why the record counts for nothing now, or None if it counts.

    A lifetime that the service shortened since holds for consents given before, too.
    """
    if record is None or record.service != service.id:
        return Reason.FIRST
    if record.withdrawn_at is not None:
        return Reason.WITHDRAWN
    if record.purpose_digest != purpose_digest(service):
        return Reason.PURPOSE_CHANGED
    if now >= ends(record, service):
        return Reason.EXPIRED
    return None


def _until(
    usable: ConsentRecord | None,
    service: Service,
    attributes: frozenset[str],
    scopes: frozenset[str],
    now: datetime,
) -> datetime:
    """When a consent given now ends: after the service's lifetime, or with what it keeps unasked."""
    full = now + service.consent_lifetime
    if usable is None or (usable.attributes <= attributes and usable.scopes <= scopes):
        return full
    return min(full, usable.expires_at)
