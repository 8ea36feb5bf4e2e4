"""What changed between two versions of a list, and whether anything is trusted that was not: for those who approve it.

Every field of `TrustedEntity` is looked at: by a rule of `RULES` that knows which direction is the wider one, or,
if none does, as a change that counts as wider. So what is not `widens` can only renew, remove or limit: whatever the
new version trusts, the old one trusted as well. A later end is a renewal and not wider, unless the entity had ended for
itself before.

What is approved is content, and no document: `Comparison.asked` names each thing that is added or widened by what it
says, so that a version that was signed or collected anew asks for the same, on every node.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from trust_lists import certificates, comparing_rows, comparing_words, contents, keys_shown
from trust_lists.change import Change
from trust_lists.model import Role, Status, TrustedEntity, TrustList
from trust_lists.times import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How `new` differs from `old` (None: there was none), what is wider first."""

    old: TrustList | None
    new: TrustList
    changes: tuple[Change, ...]

    @property
    def widens(self) -> bool:
        """Whether anything at all is added or widened, or may be."""
        return any(change.widens for change in self.changes)

    @property
    def asked(self) -> frozenset[str]:
        """What needs approval: each thing that is added or widened, as a digest that a mere renewal does not change.

        Of an entity it stands for all that is said of it in a role, on the word of the key that signed the list.
        """
        said = _words(self.new)
        return frozenset(each for change in self.changes if change.widens for each in _asked(change, self.new, said))

    def lines(self, language: str) -> tuple[str, ...]:
        """Tell the changes in words for a council member, `ja` or `en`: one line each; one line if there are none."""
        if not self.changes:
            return (comparing_words.nothing(language),)
        return tuple(comparing_words.sentence(change, language) for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        """Tell the changes as JSON values."""
        return {
            "list": self.new.name,
            "widens": self.widens,
            "old": None if self.old is None else _version(self.old),
            "new": _version(self.new),
            "changes": [_as_json(change) for change in self.changes],
        }


def compare(old: TrustList | None, new: TrustList, *, now: datetime | None = None) -> Comparison:
    """Tell how the new version of a list differs from the old one; None: there was none, and everything is new.

    What had ended by the new version's own day, or by `now` if that is later, does not go on but begins again.
    """
    day = new.issued_at if now is None else max(now, new.issued_at)
    found = [*_list_changes(old, new), *_entity_changes(old, new, day), *comparing_rows.changes(old, new)]
    return Comparison(old=old, new=new, changes=tuple(sorted(_merged(found), key=lambda change: not change.widens)))


_AT_A_TIME = frozenset({"entity-revived", "left-withdrawn"})
"""What is wider by an end alone: the rest of what is said may have been approved before."""


def _asked(change: Change, new: TrustList, said: "_Words") -> Iterator[str]:
    about = (new.format, new.anchor, change.entity_id)
    if not change.roles:  # the list itself, or what is no entity
        stated = () if change.code == "new-list" else (change.before, change.after)  # when a list ends is no content
        yield contents.of_texts(*about, change.code, *stated, *change.values)
    for role in change.roles:
        words = said.get((change.entity_id, role), ())
        if words and change.code not in _AT_A_TIME:
            yield contents.lasting((*about, role), words)
        else:
            yield contents.of_texts(*about, role, change.code, change.before)


# --- the list itself


def _list_changes(old: TrustList | None, new: TrustList) -> Iterator[Change]:
    if old is None:
        yield Change(code="new-list", widens=True, after=format_instant(new.valid_until))
        yield from _faults({}, new)
        return
    for code, widens, before, after in (
        ("other-list", True, old.name, new.name),
        ("other-format", True, old.format, new.format),
        ("other-anchor", False, old.anchor, new.anchor),
    ):
        if before != after:
            yield Change(code=code, widens=widens, before=before, after=after)
    if new.sequence < old.sequence:
        yield Change(code="older", widens=True, before=str(old.sequence), after=str(new.sequence))
    yield from _ends("valid", old.valid_until, new.valid_until)
    yield from _came_and_went(
        "pointer", [_pointer(each) for each in old.pointers], [_pointer(each) for each in new.pointers]
    )
    yield from _faults({fault.where: fault.reason for fault in old.faults}, new)


def _faults(known: Mapping[str, str], new: TrustList) -> Iterator[Change]:
    for fault in new.faults:
        if known.get(fault.where) != fault.reason:
            yield Change(code="entry-dropped", widens=False, values=(fault.where,), after=fault.reason)


def _pointer(stated: Any) -> str:
    keys = [certificates.fingerprint(der) for der in stated.certificates]
    return " ".join(filter(None, (stated.location, stated.kind, stated.territory, stated.media_type, *keys)))


# --- entities, role by role

_Words = dict[tuple[str, Role], tuple[TrustedEntity, ...]]


def _entity_changes(old: TrustList | None, new: TrustList, day: datetime) -> Iterator[Change]:
    before, after = _words(old), _words(new)
    for key in dict.fromkeys((*after, *before)):
        was, now = before.get(key, ()), after.get(key, ())
        about = (now or was)[0]
        for change in _of_one(was, now, _between(old, new, day)):
            yield replace(change, entity_id=about.entity_id, roles=(key[1],), names=about.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """When the two versions end, since an entity that ends with its list needs no word; the new one's day."""

    old_end: datetime | None
    new_end: datetime
    new_day: datetime


def _between(old: TrustList | None, new: TrustList, day: datetime) -> _Times:
    return _Times(old_end=None if old is None else old.valid_until, new_end=new.valid_until, new_day=day)


def _of_one(was: tuple[TrustedEntity, ...], now: tuple[TrustedEntity, ...], times: _Times) -> Iterator[Change]:
    if not was:
        yield from (_joined(each) for each in now)
    elif not now:
        # A withdrawal binds other lists' words too; when it is no longer stated they count again.
        lifted = any(_withdrawn(each, times) for each in was)
        yield Change(code="left-withdrawn" if lifted else "left", widens=lifted)
    elif len(was) == len(now) == 1:
        yield from _differences(was[0], now[0], times)
    elif [_content(each) for each in was] != [_content(each) for each in now]:
        yield Change(code="several-entries", widens=True)


def _withdrawn(was: TrustedEntity, times: _Times) -> bool:
    return Status.WITHDRAWN in (was.status, was.status_at(times.new_day))


def _joined(entity: TrustedEntity) -> Change:
    limits = {
        "uses": None if entity.uses is None else sorted(entity.uses),
        "maximum_identity": entity.maximum_identity,
        "status": entity.status,
        "municipality": entity.municipality,
    }
    return Change(
        code="joined", widens=True, values=tuple(keys_shown.every(entity)), after=json.dumps(limits, ensure_ascii=False)
    )


def _content(entity: TrustedEntity) -> TrustedEntity:
    return replace(entity, valid_until=datetime.max.replace(tzinfo=UTC), listed_in="")


def _words(trust_list: TrustList | None) -> _Words:
    found: _Words = {}
    for entity in () if trust_list is None else trust_list.entities:
        for role in sorted(entity.roles):
            key = (entity.entity_id, role)
            found[key] = (*found.get(key, ()), entity)
    return found


def _differences(was: TrustedEntity, now: TrustedEntity, times: _Times) -> Iterator[Change]:
    if was == now:
        return
    if (was.valid_until, now.valid_until) != (times.old_end, times.new_end):
        yield from _own_end(was.valid_until, now.valid_until, times)
        if now.valid_until < min(was.valid_until, times.new_end) and _withdrawn(was, times):
            yield Change(code="left-withdrawn", widens=True, after=format_instant(now.valid_until))
    for each in fields(TrustedEntity):
        before, after = getattr(was, each.name), getattr(now, each.name)
        if each.name in _NOT_COMPARED or before == after:
            continue
        rule = RULES.get(each.name)
        if rule is None:
            yield Change(code="other", widens=True, values=(each.name,))
        else:
            yield from rule(before, after)
    yield from _statuses(was, now)


def _own_end(before: datetime, after: datetime, times: _Times) -> Iterator[Change]:
    """Compare an end of the entity's own. One that was over before this version is not renewed, but begins again."""
    if before <= times.new_day < after and times.old_end is not None and before < times.old_end:
        yield Change(code="entity-revived", widens=True, before=format_instant(before), after=format_instant(after))
    else:
        yield from _ends("entity-valid", before, after)


_NOT_COMPARED = frozenset(
    {
        "entity_id",  # what is compared is found by it
        "roles",  # likewise, role by role
        "listed_in",  # the list's name, which is compared once
        "valid_until",  # above
        "status",  # with its times, below
        "status_since",
        "history",
    }
)


# --- rules: which direction is wider


def _came_and_went(of: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
    """Added is wider, removed is not; nothing left may be: then this list no longer limits what others say."""
    was, now = dict.fromkeys(before), dict.fromkeys(after)
    added = tuple(each for each in now if each not in was)
    removed = tuple(each for each in was if each not in now)
    if added:
        yield Change(code=f"{of}-added", widens=True, values=added)
    if removed:
        gone = not now and f"{of}-none-left" in comparing_words.SENTENCES
        yield Change(code=f"{of}-none-left" if gone else f"{of}-removed", widens=gone, values=removed)


def _certificates(of: str) -> "Rule":
    def rule(before: tuple[bytes, ...], after: tuple[bytes, ...]) -> Iterator[Change]:
        return _came_and_went(of, map(certificates.fingerprint, before), map(certificates.fingerprint, after))

    return rule


def _texts(of: str) -> "Rule":
    def rule(before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
        return _came_and_went(of, before, after)

    return rule


def _addresses(before: Iterable[Any], after: Iterable[Any]) -> Iterator[Change]:
    was = set(before)
    added = tuple(dict.fromkeys(each.location for each in after if each not in was))
    left = {each.location for each in after}
    removed = tuple(dict.fromkeys(each.location for each in before if each.location not in left))
    elsewhere = [each for each in after if each not in was and each.response_location]
    if added:
        new = set(added)
        more = tuple(each.response_location for each in elsewhere if each.response_location not in new)
        yield Change(code="address-added", widens=True, values=(*added, *more))
    if removed:
        yield Change(code="address-removed", widens=False, values=removed)


def _unclear(code: str) -> "Rule":
    """Any change counts as wider: no direction of it is known to be the narrower one."""

    def rule(before: Any, after: Any) -> Iterator[Change]:
        yield Change(code=code, widens=True, before=_text(before), after=_text(after))

    return rule


def _text(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _names(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """A name is what people go by when they decide: a new one counts as wider."""
    fresh = {language: text for language, text in after.items() if before.get(language) != text}
    code = "renamed" if fresh else "name-removed"
    yield Change(code=code, widens=bool(fresh), before=_names_text(before), after=_names_text(after))


def _names_text(names: Mapping[str, str]) -> str:
    return " / ".join(names[language] for language in sorted(names))


def _protection(code: str) -> "Rule":
    """Signatures asked for are a protection: no longer asking is wider."""

    def rule(before: bool, _: bool) -> Iterator[Change]:  # noqa: FBT001 - a field's values
        yield Change(code=f"{code}-no-longer-asked" if before else f"{code}-asked", widens=before)

    return rule


_NO_LIMIT = 4


def _level(before: int | None, after: int | None) -> Iterator[Change]:
    rose = (_NO_LIMIT if after is None else after) > (_NO_LIMIT if before is None else before)
    code = "level-rose" if rose else "level-fell"
    yield Change(code=code, widens=rose, before=_text(before), after=_text(after))


def _uses(before: frozenset[str] | None, after: frozenset[str] | None) -> Iterator[Change]:
    if after is None:
        yield Change(code="uses-unlimited", widens=True, values=tuple(sorted(before or ())))
    elif before is None:
        yield Change(code="uses-limited", widens=False, values=tuple(sorted(after)))
    else:
        yield from _came_and_went("use", sorted(before), sorted(after))


_LISTS = {"redirect_uris": "address", "post_logout_redirect_uris": "address"}
"""Registered metadata of which an addition is wider and a removal is not. Keys too; all the rest is unclear."""


def _metadata(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        if name in _LISTS and all(isinstance(each, list | tuple | None) for each in (was, now)):
            yield from _came_and_went(_LISTS[name], map(str, was or ()), map(str, now or ()))
        elif name == "jwks" and all(keys_shown.is_key_set(each) for each in (was, now)):
            yield from _jwks(was, now)
        else:
            yield Change(code="metadata", widens=True, values=(name,))


def _jwks(was: Any, now: Any) -> Iterator[Change]:
    before, after = keys_shown.by_content(was), keys_shown.by_content(now)
    added = tuple(shown for content, shown in after.items() if content not in before)
    removed = tuple(shown for content, shown in before.items() if content not in after)
    if added:
        yield Change(code="key-added", widens=True, values=added)
    if removed:
        yield Change(code="key-removed", widens=False, values=removed)
    if was is None or now is None or {**was, "keys": ()} != {**now, "keys": ()}:  # without any, its issuer states them
        yield Change(code="metadata", widens=True, values=("jwks",))


def _permitted(before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]) -> Iterator[Change]:
    """What is left of a provider's own announcements: a limit that is gone, or lets more through, is wider."""
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was != now:
            wider = was is not None and (now is None or not set(now) <= set(was))
            yield Change(code="metadata", widens=wider, values=(name,))


Rule = Callable[[Any, Any], Iterator[Change]]

RULES: Mapping[str, Rule] = {
    "municipality": _unclear("municipality"),
    "names": _names,
    "signing_certificates": _certificates("signing-key"),
    "encryption_certificates": _certificates("encryption-key"),
    "endpoints": _addresses,
    "metadata": _metadata,
    "permitted": _permitted,
    "wants_signed_requests": _protection("signed-requests"),
    "wants_signed_assertions": _protection("signed-assertions"),
    "maximum_identity": _level,
    "encryption_methods": _unclear("encryption-methods"),
    "scopes": _texts("scope"),
    "subject_id": _unclear("subject-id"),
    "uses": _uses,
    "service_type": _unclear("service-type"),
    "information": _unclear("information"),
    "registered_by": _unclear("registrar"),
}
"""By the fields of `TrustedEntity`; only called when the two values differ."""


def _statuses(was: TrustedEntity, now: TrustedEntity) -> Iterator[Change]:
    """Compare the statuses at every time: a past one counts too, since signatures of that time are judged by it."""
    if was.status != now.status:
        ended = now.status is Status.WITHDRAWN
        code = "withdrawn" if ended else "granted" if was.status is Status.WITHDRAWN else "status"
        since = "" if now.status_since is None else format_instant(now.status_since)
        yield Change(code=code, widens=not ended, before=was.status, after=now.status, values=(since,) if since else ())
        if not ended:
            return
    stated = (was.status_since, was.history, now.status_since, now.history)
    if stated[:2] == stated[2:]:
        return
    times = {each.since for each in (*was.history, *now.history)} | {
        each for each in (was.status_since, now.status_since) if each is not None
    }
    # The new history, after which the older one may not have been better at any time.
    moments = [datetime.min.replace(tzinfo=UTC), *sorted(times)]
    wider = any(
        now.status_at(at) is not Status.WITHDRAWN and now.status_at(at) is not was.status_at(at) for at in moments
    )
    if wider or was.status == now.status:
        yield Change(code="status-times-wider" if wider else "status-times", widens=wider)


def _ends(code: str, before: datetime, after: datetime) -> Iterator[Change]:
    if before != after:
        yield Change(
            code=f"{code}-{'longer' if after > before else 'shorter'}",
            widens=False,
            before=format_instant(before),
            after=format_instant(after),
        )


# --- telling


def _merged(changes: Iterable[Change]) -> Iterator[Change]:
    """Tell once what is the same in several roles of an entity."""
    found: dict[tuple[Any, ...], Change] = {}
    for change in changes:
        key = (change.code, change.widens, change.entity_id, change.values, change.before, change.after)
        earlier = found.get(key)
        found[key] = change if earlier is None else replace(earlier, roles=(*earlier.roles, *change.roles))
    yield from found.values()


def _version(of: TrustList) -> dict[str, Any]:
    return {
        "sequence": of.sequence,
        "issued_at": format_instant(of.issued_at),
        "valid_until": format_instant(of.valid_until),
        "entities": len({entity.entity_id for entity in of.entities}),
        "digest": of.digest,
    }


def _as_json(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"code": change.code, "widens": change.widens}
    if change.entity_id:
        told |= {"entity_id": change.entity_id, "roles": list(change.roles), "names": dict(change.names)}
    if change.values:
        told["values"] = list(change.values)
    if change.before or change.after:
        told |= {"before": change.before, "after": change.after}
    return told
