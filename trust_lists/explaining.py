"""Why an entity is trusted, or not: the path from whoever relies to the key that an operator pinned, link by link.

`explain` asks the same questions in the same order as `recognition.worth` and `TrustedSet.find`; the first link that
fails is the one that they refuse by, and what would mend it is said beside it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trust_lists import words
from trust_lists.model import NotTrustedError, Role, Status, TrustedEntity, TrustList
from trust_lists.recognition import EVERYONE, NotRecognisedError, Path, Recognition, Recognitions, Worth, worth
from trust_lists.times import format_instant, parse_instant
from trust_lists.trusted_set import Conflict, TrustedSet

_ANY = "any"
_IN_WORDS: Mapping[str, words.Words] = {
    _ANY: ("制限なし", "any"),
    EVERYONE: ("全員", "everyone"),
    **{str(role): said for role, said in words.ROLES.items()},
    **{str(status): said for status, said in words.STATUSES.items()},
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "asked": (
        "{entity} as {role}, for {relying}, use {use}, at {at}",
        "{entity}（役割 {role}）、利用する側 {relying}、用途 {use}、時点 {at}",
    ),
    "trusted": (
        "Trusted: identity assurance at most {level}, uses {uses}, scopes {scopes}, until {until}.",
        "信頼できます。身元確認の保証は最大 {level}、用途 {uses}、スコープ {scopes}、期限 {until}。",
    ),
    "not-trusted": ("Not trusted ({code}).", "信頼できません（{code}）。"),
    "list": (
        "list {list} (format {format}, of {owner}), no. {sequence}, issued {issued}, valid until {until}",
        "一覧 {list}（形式 {format}、{owner} のもの）、通し番号 {sequence}、発行 {issued}、期限 {until}",
    ),
    "anchor": ("signed by the pinned key {anchor}", "登録済みの鍵 {anchor} で署名"),
    "pointer": (
        "it points to the list “{called}” at {location}, which follows",
        "この一覧が {location} の一覧「{called}」を参照（次の行）",
    ),
    "pointed": ("signed by the key {anchor}, which list {list} names", "一覧 {list} が示す鍵 {anchor} で署名"),
    "entry": (
        "its entry: municipality {municipality}, valid until {until}, registered by {registered}",
        "登録内容：自治体 {municipality}、期限 {until}、登録者 {registered}",
    ),
    "status": ("status {status} since {since}", "状態 {status}（{since} から）"),
    "limits": (
        "the list allows: identity assurance at most {level}, uses {uses}, scopes {scopes}",
        "一覧の範囲：身元確認の保証は最大 {level}、用途 {uses}、スコープ {scopes}",
    ),
    "own": ("{relying} counts its own list without a recognition", "{relying} 自身の一覧なので承認は不要"),
    "open": (
        "this region has no recognition.yaml: every list counts for everyone",
        "この地域には recognition.yaml がなく、どの一覧もだれにでも有効",
    ),
    "recognition": (
        (
            "recognition {id} ({place}): {by} counts {target}, statuses {statuses}, "
            "identity assurance at most {level}, uses {uses}, scopes {scopes}, roles {roles}, until {until}; "
            "agreement: {agreement}"
        ),
        (
            "承認 {id}（{place}）：{by} が {target} を承認、状態 {statuses}、身元確認の保証は最大 {level}、"
            "用途 {uses}、スコープ {scopes}、役割 {roles}、期限 {until}、協定：{agreement}"
        ),
    ),
    "conflict": (
        "lists {lists} differ on {about}; the narrower counts",
        "一覧 {lists} は {about} が食い違うため、狭い方が有効",
    ),
    "dropped": ("list {list} dropped its entry: {reason}", "一覧 {list} はこの登録を読み飛ばしました：{reason}"),
}
"""What a link is called, English and Japanese."""

_MENDING: Mapping[str, tuple[str, str]] = {
    "unlisted": (
        "No list in force names it. Its authority must list it; check the entity ID letter by letter.",
        "どの一覧にもありません。一覧を出す機関に登録を依頼し、エンティティIDを1文字ずつ確かめてください。",
    ),
    "dropped": (
        "Its entry breaks a rule and was left out. Its authority must correct the entry and sign the list again.",
        "登録内容に誤りがあり読み飛ばされました。一覧を出す機関に、直して署名し直すよう依頼してください。",
    ),
    "other-role": (
        "Lists name it, but not in this role. Ask for one of its roles, or have its authority list it in this one.",
        "一覧にはありますが、この役割ではありません。役割を確かめるか、この役割での登録を依頼してください。",
    ),
    "expired": (
        "The list or the entry is past its end. Fetch the current list, or have its authority sign it again.",
        "一覧か登録の期限が切れています。新しい一覧を入手してください。なければ署名し直すよう依頼してください。",
    ),
    "withdrawn": (
        "Its authority withdrew it. Only its authority can grant it again.",
        "一覧を出す機関が取り消しました。戻せるのはその機関だけです。",
    ),
    "disputed": (
        "Lists contradict one another so that nothing common is left. Their authorities must agree on what differs.",
        "一覧どうしが矛盾しています。それぞれの機関に、食い違う項目を揃えるよう依頼してください。",
    ),
    "not-recognised": (
        "No recognition leads to a list that names it. Conclude an agreement and add it to recognition.yaml.",
        "この一覧を承認する道筋がありません。協定を結び、recognition.yaml に加えてください。",
    ),
    "recognition-not-yet": (
        "The recognition is not in force yet. Wait, or agree on an earlier `since`.",
        "承認はまだ始まっていません。開始日（since）まで待つか、協定を改めてください。",
    ),
    "recognition-ended": (
        "The recognition has ended. Renew the agreement and its `until`.",
        "承認の期限が過ぎています。協定を更新し、until を改めてください。",
    ),
    "role-not-recognised": (
        "The recognition is not about this role. Extend its `roles` if the agreement covers it.",
        "承認にこの役割が含まれていません。協定の範囲なら roles に加えてください。",
    ),
    "status-not-recognised": (
        "The recognition does not count this status. Extend its `status` if the agreement covers it.",
        "承認がこの状態を対象にしていません。協定の範囲なら status に加えてください。",
    ),
    "use-not-recognised": (
        "It does not count for this use. Set the service's `use`, or extend `uses` if the agreement covers it.",
        "この用途では使えません。サービスの use を確かめ、協定の範囲なら uses に加えてください。",
    ),
}
"""What would mend each refusal, English and Japanese."""

_FAILING: Mapping[str, tuple[str, ...]] = {
    "expired": ("list", "entry"),
    "withdrawn": ("status",),
    "disputed": ("conflict",),
    "dropped": ("dropped",),
    "recognition-not-yet": ("recognition",),
    "recognition-ended": ("recognition",),
    "role-not-recognised": ("recognition",),
    "status-not-recognised": ("recognition",),
    "use-not-recognised": ("limits", "recognition"),
}
"""Which kinds of link a refusal can be about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the path: its kind, what is known of it, and whether it holds (`broken`: the one that fails)."""

    kind: str
    facts: Mapping[str, str]
    broken: bool = False

    def text(self, language: str) -> str:
        """Say it in one sentence."""
        return _say(_SENTENCES[self.kind], language, self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why, for one role: the links in order; `worth` if trusted, else `code` as the refusal has it."""

    entity_id: str
    role: Role | None
    asked: Mapping[str, str]
    links: tuple[Link, ...]
    worth: Worth | None = field(default=None, repr=False)
    code: str | None = None

    @property
    def trusted(self) -> bool:
        """Whether it is trusted for what was asked."""
        return self.worth is not None

    def mending(self, language: str) -> str:
        """Say what would mend it; empty if nothing is broken."""
        return "" if self.code is None else _say(_MENDING[self.code], language, {})

    def lines(self, language: str) -> list[str]:
        """Say everything, a line for each link; a broken one begins with ✗."""
        lines = [_say(_SENTENCES["asked"], language, self.asked)]
        lines += [f"  {'✗' if link.broken else '✓'} {link.text(language)}" for link in self.links]
        if self.worth is not None:
            lines.append(_say(_SENTENCES["trusted"], language, _worth_facts(self.worth)))
        else:
            lines.append(_say(_SENTENCES["not-trusted"], language, {"code": str(self.code)}))
            lines.append(self.mending(language))
        return lines

    def as_json(self) -> dict[str, Any]:
        """Tell the same to a program."""
        found: dict[str, Any] = {
            "asked": dict(self.asked),
            "trusted": self.trusted,
            "links": [{"kind": link.kind, "holds": not link.broken, **link.facts} for link in self.links],
        }
        if self.worth is None:
            return {**found, "code": self.code, "mending": self.mending("en")}
        return {**found, "worth": dict(_worth_facts(self.worth)), "path": [each.id for each in self.worth.path]}


def explain(
    trusted: TrustedSet,
    recognitions: Recognitions,
    entity_id: str,
    *,
    role: Role | None = None,
    relying: str | None = None,
    use: str | None = None,
    at: datetime,
) -> tuple[Explanation, ...]:
    """Explain the entity in `role`, or in each role that some list names it in (None), by role.

    `relying` is a municipality's code (None: the region as a whole), `use` what the relying service is for.
    """
    question = _Question(
        trusted=trusted, recognitions=recognitions, entity_id=entity_id, relying=relying, use=use, at=at
    )
    roles: list[Role | None] = [role] if role is not None else [*sorted(trusted.roles(entity_id))]
    return tuple(_explained(question, each) for each in roles or [None])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    trusted: TrustedSet
    recognitions: Recognitions
    entity_id: str
    relying: str | None
    use: str | None
    at: datetime


def _explained(question: _Question, role: Role | None) -> Explanation:
    asked = {
        "entity": question.entity_id,
        "role": str(role or "?"),
        "relying": question.relying or "everyone",
        "use": question.use or "-",
        "at": format_instant(question.at),
    }
    if role is None:
        dropped = tuple(_dropped(question.trusted.lists(), question.entity_id))
        code = "dropped" if dropped else "unlisted"
        return Explanation(entity_id=question.entity_id, role=None, asked=asked, links=dropped, code=code)
    found: Worth | None = None
    path: Path = ()
    refused: str | None = None
    try:
        found = worth(
            question.trusted,
            question.recognitions,
            question.entity_id,
            role,
            relying=question.relying,
            use=question.use,
            at=question.at,
        )
        path = found.path
    except NotRecognisedError as why:
        refused, path = why.code, why.path
    except NotTrustedError as why:
        refused = why.code
    return Explanation(
        entity_id=question.entity_id,
        role=role,
        asked=asked,
        links=tuple(_broken(_links(question, role, found, path), refused, question, role)),
        worth=found,
        code=refused,
    )


# --- links


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A link with what it is about, so that the one that fails can be told."""

    link: Link
    about: TrustedEntity | TrustList | Recognition | Conflict | None = None


def _links(question: _Question, role: Role, found: Worth | None, path: Path) -> Iterator[_Found]:
    trusted, recognitions, entity_id = question.trusted, question.recognitions, question.entity_id
    words = trusted.words(entity_id, role)
    if found is not None:
        words = tuple(word for word in words if word.listed_in == found.listed_in)
    for word in words:
        yield from _word(trusted, recognitions, word)
    for conflict in trusted.conflicts():
        if (conflict.entity_id, conflict.role) == (entity_id, role):
            facts = {"lists": ", ".join(conflict.lists), "about": ", ".join(conflict.about)}
            yield _Found(link=Link(kind="conflict", facts=facts), about=conflict)
    if not words:
        for link in _dropped(trusted.lists(), entity_id):
            yield _Found(link=link)
    elif not recognitions.restricted:
        yield _Found(link=Link(kind="open", facts={}))
    elif found is not None and not path:
        yield _Found(link=Link(kind="own", facts={"relying": question.relying or "everyone"}))
    for statement in path:
        yield _Found(link=Link(kind="recognition", facts=_recognition_facts(statement)), about=statement)


def _word(trusted: TrustedSet, recognitions: Recognitions, word: TrustedEntity) -> Iterator[_Found]:
    held = trusted.list(word.listed_in)
    if held is not None:
        yield from _list(trusted, recognitions, held)
    facts = {
        "municipality": word.municipality or "-",
        "until": format_instant(word.valid_until),
        "registered": word.registered_by or "-",
    }
    yield _Found(link=Link(kind="entry", facts=facts), about=word)
    since = "-" if word.status_since is None else format_instant(word.status_since)
    yield _Found(link=Link(kind="status", facts={"status": str(word.status), "since": since}), about=word)
    limits = {
        "level": _level(word.maximum_identity),
        "uses": _names(word.uses),
        "scopes": ", ".join(word.scopes) or "-",
    }
    yield _Found(link=Link(kind="limits", facts=limits), about=word)


def _list(trusted: TrustedSet, recognitions: Recognitions, held: TrustList) -> Iterator[_Found]:
    """Tell of a list, after those that led to it."""
    above = trusted.list(held.through[-1]) if held.through else None
    if above is not None:
        yield from _list(trusted, recognitions, above)
        yield _Found(link=Link(kind="pointer", facts={"called": held.called, "location": held.location}))
    facts = {
        "list": held.name,
        "format": held.format or "-",
        "owner": recognitions.owner(held.name) or "-",
        "sequence": str(held.sequence),
        "issued": format_instant(held.issued_at),
        "until": format_instant(held.valid_until),
    }
    yield _Found(link=Link(kind="list", facts=facts), about=held)
    if held.through:
        yield _Found(link=Link(kind="pointed", facts={"anchor": held.anchor, "list": held.through[-1]}))
    elif held.anchor:
        yield _Found(link=Link(kind="anchor", facts={"anchor": held.anchor}))


def _broken(found: Iterable[_Found], code: str | None, question: _Question, role: Role) -> Iterator[Link]:
    """Mark the first link that the refusal is about."""
    marked = code is None
    for each in found:
        possible = not marked and each.link.kind in _FAILING.get(code or "", ())
        fails = possible and _fails(each, code or "", question, role)
        marked = marked or fails
        yield Link(kind=each.link.kind, facts=each.link.facts, broken=True) if fails else each.link


def _fails(found: _Found, code: str, question: _Question, role: Role) -> bool:
    about = found.about
    if isinstance(about, TrustList | TrustedEntity) and code == "expired":
        return question.at >= about.valid_until
    if isinstance(about, TrustedEntity) and code == "use-not-recognised":
        return about.uses is not None and question.use not in about.uses
    if isinstance(about, TrustedEntity):
        return str(about.status_at(question.at)) == "withdrawn"
    if isinstance(about, Conflict):
        return about.disputed
    if isinstance(about, Recognition):
        return {
            "recognition-not-yet": about.since is not None and question.at < about.since,
            "recognition-ended": question.at >= about.until,
            "role-not-recognised": about.roles is not None and role not in about.roles,
            "status-not-recognised": code == "status-not-recognised" and _status(question, role) not in about.statuses,
            "use-not-recognised": about.uses is not None and question.use not in about.uses,
        }.get(code, True)
    return True


def _status(question: _Question, role: Role) -> Status:
    return question.trusted.find(question.entity_id, role, question.at).status_at(question.at)


def _dropped(lists: Iterable[TrustList], entity_id: str) -> Iterator[Link]:
    for held in lists:
        for fault in held.faults:
            if fault.where == entity_id:
                yield Link(kind="dropped", facts={"list": held.name, "reason": fault.reason}, broken=True)


# --- words


def _say(sentence: tuple[str, str], language: str, facts: Mapping[str, str]) -> str:
    english, japanese = sentence
    told = {name: _told(fact, language) for name, fact in facts.items()}
    return (japanese if language == "ja" else english).format(**told)


def _told(fact: str, language: str) -> str:
    """Tell a fact as people say it: what stands for something in every language, and times as they are in Japan."""
    if fact in _IN_WORDS:
        return words.choose(_IN_WORDS[fact], language)
    if _INSTANT.fullmatch(fact):
        return words.instant(parse_instant(fact), language)
    return words.plain(fact)


def _level(level: int | None) -> str:
    return _ANY if level is None else str(level)


def _names(names: Iterable[str] | None) -> str:
    return _ANY if names is None else ", ".join(sorted(names)) or "-"


def _worth_facts(found: Worth) -> dict[str, str]:
    return {
        "level": _level(found.maximum_identity),
        "uses": _names(found.uses),
        "scopes": ", ".join(found.scopes) or "-",
        "until": format_instant(found.until),
    }


def _recognition_facts(statement: Recognition) -> dict[str, str]:
    return {
        "id": statement.id,
        "place": statement.place or "-",
        "by": statement.by,
        "target": statement.list or statement.municipality or "-",
        "statuses": _names(statement.statuses),
        "level": _level(statement.maximum_identity),
        "uses": _names(statement.uses),
        "scopes": _names(statement.scopes),
        "roles": _names(statement.roles),
        "until": format_instant(statement.until),
        "agreement": statement.agreement or "-",
    }
