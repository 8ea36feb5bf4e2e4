"""The sentences in which a council member reads what changed in a list: one for each kind of change."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trust_lists import words
from trust_lists.model import Status
from trust_lists.times import parse_instant
from trust_lists.words import Words, choose, plain

if TYPE_CHECKING:
    from trust_lists.change import Change

SENTENCES: Mapping[str, Words] = {
    # the list itself
    "new-list": (
        "この一覧を初めて使います（期限 {after}）。",
        "This list is used for the first time (valid until {after}).",
    ),
    "other-list": ("一覧の名前が変わりました：{before} → {after}。", "The list's name changed: {before} → {after}."),
    "other-format": (
        "一覧の形式が変わりました：{before} → {after}。",
        "The list's format changed: {before} → {after}.",
    ),
    "other-anchor": (
        "一覧は別の登録済みの鍵で署名されています：{before} → {after}。",
        "The list is signed with another of the pinned keys: {before} → {after}.",
    ),
    "older": (
        "これは前の版より古い版です（番号 {before} → {after}）。",
        "This is an older version than the one before (number {before} → {after}).",
    ),
    "valid-longer": (
        "一覧の期限が延びました：{before} → {after}。",
        "The list is valid for longer: until {after} (before: {before}).",
    ),
    "valid-shorter": (
        "一覧の期限が早まりました：{before} → {after}。",
        "The list ends earlier: on {after} (before: {before}).",
    ),
    "pointer-added": ("ほかの一覧への参照を追加：{values}。", "It now points to another list: {values}."),
    "pointer-removed": ("ほかの一覧への参照を削除：{values}。", "It no longer points to another list: {values}."),
    "entry-dropped": (
        "記載に誤りがあるため使わない項目：{values}（{after}）。",
        "An entry with a mistake is left out: {values} ({after}).",
    ),
    # what words are worth, in a table of assurance
    "row-added": ("保証の表に行を追加：{values}。{after}", "The table of assurance has a new row: {values}. {after}"),
    "row-removed": (
        "保証の表から行を削除：{values}。",
        "The table of assurance no longer has the row {values}.",
    ),
    "row-none-left": (
        "保証の表から {after} についての行がすべてなくなります：{values}。ほかの表があれば、その値だけで決まります。",
        "The table of assurance says nothing of {after} any more: {values}. If another table does, that alone counts.",
    ),
    "row-lowered": (
        "保証の表の行の値が下がります：{values}。{before} → {after}",
        "A row of the table of assurance is worth less: {values}. {before} → {after}",
    ),
    "row-changed": (
        "保証の表の行が変わります：{values}。{before} → {after}",
        "A row of the table of assurance changes: {values}. {before} → {after}",
    ),
    # who
    "joined": ("新しく加わります：{who}。{limits}", "New: {who}. {limits}"),
    "left": ("一覧から外れます：{who}。", "No longer listed: {who}."),
    "left-withdrawn": (
        "取り消し済みの {who} が一覧から消えます。ほかの一覧にあれば、また使えるようになります。",
        "{who}, which was withdrawn, is no longer listed; if another list has it, it counts again.",
    ),
    "several-entries": (
        "{who}：同じ相手についての複数の記載が変わりました。一覧の内容を確かめてください。",
        "{who}: several entries on the same entity changed. Look at the list itself.",
    ),
    "granted": (
        "取り消しが解かれ、また使えるようになります：{who}{since}。",
        "No longer withdrawn, it counts again: {who}{since}.",
    ),
    "withdrawn": ("取り消されます：{who}{since}。", "Withdrawn: {who}{since}."),
    "status": (
        "{who}：状態が変わりました：{before} → {after}{since}。",
        "{who}: its status changed: {before} → {after}{since}.",
    ),
    "status-times-wider": (
        "{who}：過去または将来のある時点で、前の版より広く認められます。",
        "{who}: at some time, past or to come, it now counts where it did not before.",
    ),
    "status-times": ("{who}：状態の日付が変わりました。", "{who}: the dates of its status changed."),
    "entity-valid-longer": (
        "{who}：期限が延びました：{before} → {after}。",
        "{who}: valid for longer, until {after} (before: {before}).",
    ),
    "entity-valid-shorter": (
        "{who}：期限が早まりました：{before} → {after}。",
        "{who}: ends earlier, on {after} (before: {before}).",
    ),
    "entity-revived": (
        "{who}：{before} に期限が切れていましたが、また {after} まで使えるようになります。",
        "{who}: it ended on {before} and counts again, until {after}.",
    ),
    "municipality": (
        "{who}：自治体が変わりました：{before} → {after}。",
        "{who}: its municipality changed: {before} → {after}.",
    ),
    "renamed": ("{who}：名前が変わりました：{before} → {after}。", "{who}: its name changed: {before} → {after}."),
    "name-removed": (
        "{who}：名前の一部がなくなりました：{before} → {after}。",
        "{who}: a name was taken out: {before} → {after}.",
    ),
    "registrar": (
        "{who}：登録者が変わりました：{before} → {after}。",
        "{who}: who registered it changed: {before} → {after}.",
    ),
    # keys
    "signing-key-added": (
        "{who}：署名の鍵が増えました：{keys}。本人に確かめてください。",
        "{who}: a new signing key: {keys}. Check it with its owner.",
    ),
    "signing-key-removed": ("{who}：署名の鍵が減りました：{keys}。", "{who}: a signing key was removed: {keys}."),
    "signing-key-none-left": (
        "{who}：署名の鍵がなくなりました：{keys}。署名を確かめられません。",
        "{who}: no signing key is left: {keys} was removed. Its signatures can no longer be checked.",
    ),
    "encryption-key-added": ("{who}：暗号化の鍵が増えました：{keys}。", "{who}: a new encryption key: {keys}."),
    "encryption-key-removed": (
        "{who}：暗号化の鍵が減りました：{keys}。",
        "{who}: an encryption key was removed: {keys}.",
    ),
    "encryption-key-none-left": (
        "{who}：暗号化の鍵がなくなりました：{keys}。この相手への内容は暗号化されません。",
        "{who}: no encryption key is left: {keys} was removed. What is sent to it is no longer encrypted.",
    ),
    "key-added": (
        "{who}：鍵が増えました：{keys}。本人に確かめてください。",
        "{who}: a new key: {keys}. Check it with its owner.",
    ),
    "key-removed": ("{who}：鍵が減りました：{keys}。", "{who}: a key was removed: {keys}."),
    "encryption-methods": (
        "{who}：暗号化の方式が変わりました：{before} → {after}。",
        "{who}: its encryption algorithms changed: {before} → {after}.",
    ),
    # addresses, and what protects them
    "address-added": ("{who}：新しいアドレス：{values}。", "{who}: a new address: {values}."),
    "address-removed": ("{who}：使わなくなったアドレス：{values}。", "{who}: an address was removed: {values}."),
    "signed-requests-asked": ("{who}：要求に署名が必要になりました。", "{who}: requests must now be signed."),
    "signed-requests-no-longer-asked": (
        "{who}：要求に署名が不要になりました。",
        "{who}: requests need no longer be signed.",
    ),
    "signed-assertions-asked": (
        "{who}：本人情報に個別の署名が必要になりました。",
        "{who}: assertions must now be signed themselves.",
    ),
    "signed-assertions-no-longer-asked": (
        "{who}：本人情報に個別の署名が不要になりました。",
        "{who}: assertions need no longer be signed themselves.",
    ),
    # what it is worth
    "level-rose": (
        "{who}：本人確認の保証レベルの上限が上がりました：{before} → {after}。",
        "{who}: the highest identity assurance that it may state rose: {before} → {after}.",
    ),
    "level-fell": (
        "{who}：本人確認の保証レベルの上限が下がりました：{before} → {after}。",
        "{who}: the highest identity assurance that it may state fell: {before} → {after}.",
    ),
    "use-added": ("{who}：用途が増えました：{values}。", "{who}: it may also be used for {values}."),
    "use-removed": ("{who}：用途が減りました：{values}。", "{who}: it may no longer be used for {values}."),
    "uses-unlimited": (
        "{who}：用途の制限がなくなりました（以前は {values} だけ）。",
        "{who}: it may be used for everything (before: only {values}).",
    ),
    "uses-limited": (
        "{who}：用途が {values} だけになりました（以前は制限なし）。",
        "{who}: it may be used for {values} only (before: for everything).",
    ),
    "scope-added": (
        "{who}：使えるドメイン（@ の右側）が増えました：{values}。",
        "{who}: it may state identifiers in a new domain (what stands behind @): {values}.",
    ),
    "scope-removed": (
        "{who}：使えるドメイン（@ の右側）が減りました：{values}。",
        "{who}: it may no longer state identifiers in the domain {values}.",
    ),
    # what a person cannot weigh, and so should ask about
    "subject-id": (
        "{who}：求める識別子が変わりました：{before} → {after}。",
        "{who}: it asks for another identifier: {before} → {after}.",
    ),
    "service-type": ("{who}：種類が変わりました：{before} → {after}。", "{who}: its kind changed: {before} → {after}."),
    "information": (
        "{who}：追加の情報が変わりました：{before} → {after}。",
        "{who}: additional information changed: {before} → {after}.",
    ),
    "metadata": ("{who}：登録内容が変わりました：{values}。", "{who}: what is registered of it changed: {values}."),
    "other": ("{who}：そのほかの記載が変わりました：{values}。", "{who}: something else changed: {values}."),
}
"""By the code of the change, in `words.LANGUAGES`."""

WIDER: Words = ("[拡大] ", "[wider] ")
"""Stands before what adds or widens."""

_NOTHING: Words = ("変わりはありません。", "Nothing changed.")
_NOT_STATED: Words = ("記載なし", "not stated")
_SINCE: Words = ("（{} から）", " (since {})")
_LIMITS: Words = (
    "用途：{uses}、本人確認の保証レベルの上限：{level}、自治体：{municipality}{status}。鍵：{keys}。",
    "Uses: {uses}; identity assurance up to: {level}; municipality: {municipality}{status}. Keys: {keys}.",
)
_STATUS: Words = ("、状態：{}", "; status: {}")
_NONE: Words = ("なし", "none")


def nothing(language: str) -> str:
    """Say that there is no change."""
    return choose(_NOTHING, language)


def sentence(change: "Change", language: str) -> str:
    """Tell one change; what adds or widens is marked."""
    render = _RENDER.get(change.code, _as_stated)
    told = choose(SENTENCES[change.code], language).format(
        who=_who(change, language),
        before=render(change.before, language),
        after=render(change.after, language),
        values=words.listed(change.values, language),
        keys=_keys(change.values, language),
        since=_since(change, language),
        limits=_limits(change, language),
    )
    return (choose(WIDER, language) if change.widens else "") + told


def _who(change: "Change", language: str) -> str:
    name = words.named(change.names, language)
    roles = words.roles(change.roles, language)
    inside = words.listed(filter(None, (change.entity_id if name else "", roles)), language)
    brackets: Words = ("{}（{}）", "{} ({})")
    return choose(brackets, language).format(plain(name or change.entity_id), inside)


def _keys(values: tuple[str, ...], language: str) -> str:
    return words.listed(map(words.short, values), language) or choose(_NONE, language)


def _since(change: "Change", language: str) -> str:
    if change.code not in ("granted", "withdrawn", "status") or not change.values:
        return ""
    return choose(_SINCE, language).format(words.instant(parse_instant(change.values[0]), language))


def _limits(change: "Change", language: str) -> str:
    if change.code != "joined":
        return ""
    stated: Mapping[str, Any] = json.loads(change.after)
    status = Status(stated["status"])
    told = choose(_STATUS, language).format(choose(words.STATUSES[status], language))
    return choose(_LIMITS, language).format(
        uses=words.uses(stated["uses"], language),
        level=words.level(stated["maximum_identity"], language),
        municipality=stated["municipality"] or choose(_NOT_STATED, language),
        status="" if status is Status.GRANTED else told,
        keys=_keys(change.values, language),
    )


# --- single values


def _as_stated(value: str, language: str) -> str:
    return plain(value) or choose(_NOT_STATED, language)


def _instant(value: str, language: str) -> str:
    return words.instant(parse_instant(value), language) if value else ""


def _status(value: str, language: str) -> str:
    return choose(words.STATUSES[Status(value)], language)


def _level(value: str, language: str) -> str:
    return words.level(int(value) if value else None, language)


def _key(value: str, language: str) -> str:
    return words.short(value) or choose(_NOT_STATED, language)


_RENDER: Mapping[str, Callable[[str, str], str]] = {
    **dict.fromkeys(
        ("new-list", "valid-longer", "valid-shorter", "entity-valid-longer", "entity-valid-shorter", "entity-revived"),
        _instant,
    ),
    **dict.fromkeys(("granted", "withdrawn", "status"), _status),
    **dict.fromkeys(("level-rose", "level-fell"), _level),
    "other-anchor": _key,
}
"""How `before` and `after` of a change are told, if not as they stand."""
