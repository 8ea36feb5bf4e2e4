"""What people want to see of a list: any format read, and its content in their words and as plain JSON values."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trust_lists import assurance_table, certificates, formats, keys_shown, words
from trust_lists.assurance_rows import Table, write_row
from trust_lists.model import Pointer, Status, TrustedEntity, TrustList
from trust_lists.recipes import RecipeError, read_file
from trust_lists.times import format_instant
from trust_lists.words import Words, choose, plain

_BEGINNING = 8192
_TRUST_SERVICES = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?TrustServiceStatusList[\s>]", re.ASCII)


def format_of(document: bytes) -> str:
    """Guess the format from how the document begins; its reader then decides."""
    beginning = document[:_BEGINNING].lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning[:1] == b"<":
        return "etsi-119612" if _TRUST_SERVICES.search(beginning) else "saml-metadata"
    if beginning[:1] == b"{":
        return "openid-federation"
    return "assurance-table" if assurance_table.is_table_unsafe(document) else "etsi-119602"


def read_any(document: bytes, *, name: str | None = None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Read a list of any format, told by how it begins; `name` None takes its own word.

    Raises `ListRefusedError` as the reader of the format does.
    """
    return formats.read(document, kind=format_of(document), name=name, anchors=anchors, now=now)


def read_list_file(
    file: Path, *, anchors: Sequence[Path], now: datetime, kind: str | None = None, name: str | None = None
) -> TrustList:
    """Read a signed list from a file, with anchors from PEM files; `kind` None looks at the content.

    Raises `RecipeError` for a file that cannot be read, `ListRefusedError` as the reader of the format does.
    """
    pinned: list[bytes] = []
    for anchor in anchors:
        try:
            pinned += certificates.anchors_from_pem(read_file(anchor))
        except ValueError as error:
            raise RecipeError(f"{anchor}: {error}.") from error
    document = read_file(file, limit=max(form.maximum_bytes for form in formats.FORMATS.values()))
    return formats.read(document, kind=kind or format_of(document), name=name, anchors=pinned, now=now)


# --- for machines


def describe(trust_list: TrustList) -> dict[str, Any]:
    """Tell what the list says, as JSON values: name, times, sequence, who signed, each entity, each fault.

    A key is named by the SHA-256 of its certificate's or public key's DER in hexadecimal, or by its JWK thumbprint
    (RFC 7638).
    """
    refresh = trust_list.refresh_after
    return {
        "list": trust_list.name,
        "format": trust_list.format,
        "issued_at": format_instant(trust_list.issued_at),
        "valid_until": format_instant(trust_list.valid_until),
        "refresh_after_seconds": None if refresh is None else int(refresh.total_seconds()),
        "sequence": trust_list.sequence,
        "anchor": trust_list.anchor,
        "digest": trust_list.digest,
        "pointers": [_pointer(pointer) for pointer in trust_list.pointers],
        "entities": [_entity(entity) for entity in trust_list.entities],
        **({} if trust_list.table is None else {"rows": _table(trust_list.table)}),
        "faults": [{"where": fault.where, "reason": fault.reason} for fault in trust_list.faults],
    }


def _table(table: Table) -> list[dict[str, Any]]:
    return [{"system": row.system} | write_row(row) for row in table.rows]


def _pointer(pointer: Pointer) -> dict[str, Any]:
    return {
        "location": pointer.location,
        "kind": pointer.kind,
        "territory": pointer.territory,
        "media_type": pointer.media_type,
        "keys": [certificates.fingerprint(der) for der in pointer.certificates],
    }


def _entity(entity: TrustedEntity) -> dict[str, Any]:
    return {
        "entity_id": entity.entity_id,
        "roles": sorted(entity.roles),
        "municipality": entity.municipality,
        "names": dict(entity.names),
        "status": entity.status,
        "status_since": _instant(entity.status_since),
        "history": [{"status": former.status, "since": format_instant(former.since)} for former in entity.history],
        "uses": None if entity.uses is None else sorted(entity.uses),
        "maximum_identity": entity.maximum_identity,
        "scopes": list(entity.scopes),
        "valid_until": format_instant(entity.valid_until),
        "signing_keys": keys_shown.signing(entity),
        "encryption_keys": keys_shown.encryption(entity),
        "addresses": _addresses(entity),
        "service_type": entity.service_type,
        "information": list(entity.information),
        "registered_by": entity.registered_by,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _addresses(entity: TrustedEntity) -> list[str]:
    registered = entity.metadata.get("redirect_uris", ())
    return list(dict.fromkeys([endpoint.location for endpoint in entity.endpoints] + list(registered)))


# --- for people

_Row = Callable[[TrustedEntity, str], str]

_KEY: Words = ("  {}：{}", "  {}: {}")
_SINCE: Words = ("（{} から）", " (since {})")

_HEAD: Sequence[Words] = (
    ("一覧 {name}（形式 {format}）", "List {name} (format {format})"),
    (
        "通し番号 {sequence}、発行 {issued}、期限 {until}",
        "Number {sequence}, issued {issued}, valid until {until}",
    ),
    ("署名を確かめた登録済みの鍵：{anchor}", "Signed with the pinned key {anchor}"),
    (
        "相手 {count} 件、誤りのため使わない項目 {faults} 件",
        "Entities: {count}; entries left out because of a mistake: {faults}",
    ),
)
_POINTER: Words = (
    "ほかの一覧への参照：{}（これだけでは何も信頼されません）",
    "Points to another list: {} (nothing is trusted by that)",
)
_ROW_OF_TABLE: Words = ("保証の表の行 {id}（{system}）", "Row {id} of the table of assurance ({system})")
_EVERY_SYSTEM: Words = ("すべてのIDシステム", "every ID system")
_FAULT: Words = ("使わない項目：{where}（{reason}）", "Left out: {where} ({reason})")


def lines(trust_list: TrustList, language: str) -> Iterator[str]:
    """Tell what the list says in words for a town hall, `ja` or `en`: the list, then each entity, then faults."""
    told = {
        "name": plain(trust_list.name),
        "format": trust_list.format or "-",
        "sequence": trust_list.sequence,
        "issued": words.instant(trust_list.issued_at, language),
        "until": words.instant(trust_list.valid_until, language),
        "anchor": trust_list.anchor or "-",
        "count": len({entity.entity_id for entity in trust_list.entities}),
        "faults": len(trust_list.faults),
    }
    for sentence in _HEAD:
        yield choose(sentence, language).format(**told)
    for pointer in trust_list.pointers:
        yield choose(_POINTER, language).format(plain(pointer.location))
    for entity in trust_list.entities:
        yield ""
        yield words.name(entity, language)
        for label, value in _rows(trust_list):
            text = value(entity, language)
            if text:
                yield choose(_KEY, language).format(choose(label, language), text)
    if trust_list.table is not None:
        yield from _table_lines(trust_list.table, language)
    if trust_list.faults:
        yield ""
    for fault in trust_list.faults:
        yield choose(_FAULT, language).format(where=plain(fault.where), reason=plain(fault.reason))


def _table_lines(table: Table, language: str) -> Iterator[str]:
    """Tell each row of a table of assurance."""
    for row in table.rows:
        yield ""
        about = row.system or choose(_EVERY_SYSTEM, language)
        yield choose(_ROW_OF_TABLE, language).format(id=row.id, system=plain(about))
        for name, value in write_row(row).items():
            if name != "id":
                yield choose(_KEY, language).format(name, plain(json.dumps(value, ensure_ascii=False)))


def _rows(trust_list: TrustList) -> tuple[tuple[Words, _Row], ...]:
    """Label the values that people ask for; what is not stated has no line."""

    def end(entity: TrustedEntity, language: str) -> str:
        return "" if entity.valid_until == trust_list.valid_until else words.instant(entity.valid_until, language)

    return (*_ROWS, (("期限", "Valid until"), end))


def _status(entity: TrustedEntity, language: str) -> str:
    told = choose(words.STATUSES[entity.status], language)
    since = entity.status_since
    return told if since is None else told + choose(_SINCE, language).format(words.instant(since, language))


def _history(entity: TrustedEntity, language: str) -> str:
    return words.listed(
        (
            choose(words.STATUSES[Status(former.status)], language)
            + choose(_SINCE, language).format(words.instant(former.since, language))
            for former in entity.history
        ),
        language,
    )


def _texts(of: Callable[[TrustedEntity], Sequence[str]]) -> _Row:
    return lambda entity, language: words.listed(of(entity), language)


_ROWS: tuple[tuple[Words, _Row], ...] = (
    (("エンティティID", "Entity ID"), lambda entity, _: plain(entity.entity_id)),
    (("役割", "Role"), lambda entity, language: words.roles(entity.roles, language)),
    (("自治体コード", "Municipality"), lambda entity, _: entity.municipality or ""),
    (("状態", "Status"), _status),
    (("以前の状態", "Earlier"), _history),
    (("用途", "Uses"), lambda entity, language: words.uses(entity.uses, language)),
    (
        ("本人確認の保証レベルの上限", "Identity assurance at most"),
        lambda entity, language: words.level(entity.maximum_identity, language),
    ),
    (("使えるドメイン（@ の右側）", "Domains (behind @)"), _texts(lambda entity: entity.scopes)),
    (("署名の鍵", "Signing keys"), _texts(keys_shown.signing)),
    (("暗号化の鍵", "Encryption keys"), _texts(keys_shown.encryption)),
    (("アドレス", "Addresses"), _texts(_addresses)),
    (("種類", "Kind"), lambda entity, _: plain(entity.service_type or "")),
    (("追加の情報", "Additional information"), _texts(lambda entity: entity.information)),
    (("登録者", "Registered by"), lambda entity, _: plain(entity.registered_by or "")),
)
