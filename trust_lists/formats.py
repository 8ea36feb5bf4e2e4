"""The one table of list formats: any list, read in one way, with the pinned key that verified it.

`admission` says what is asked of it, and in which order.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from trust_lists import admission, assurance_table, contents, etsi_json, etsi_xml, openid_federation, saml_metadata
from trust_lists.admission import COLLECTED, Mark, Opened
from trust_lists.model import ListRefusedError, TrustList

Open = Callable[..., Opened]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a format is opened: `open` takes the document, `name` and `anchors`; `maximum_bytes` bounds it."""

    open: Open
    maximum_bytes: int


FORMATS: Mapping[str, Format] = {
    "saml-metadata": Format(open=saml_metadata.open_list, maximum_bytes=saml_metadata.MAXIMUM_BYTES),
    "etsi-119612": Format(open=etsi_xml.open_list, maximum_bytes=etsi_xml.MAXIMUM_BYTES),
    "etsi-119602": Format(open=etsi_json.open_list, maximum_bytes=etsi_json.MAXIMUM_BYTES),
    "openid-federation": Format(open=openid_federation.open_list, maximum_bytes=openid_federation.MAXIMUM_BYTES),
    "assurance-table": Format(open=assurance_table.open_list, maximum_bytes=assurance_table.MAXIMUM_BYTES),
}
"""By the names that stand in trust.yaml."""

_OTHER_KEY = frozenset({"signature"})


def read(
    document: bytes,
    *,
    kind: str,
    name: str | None,
    anchors: Sequence[bytes],
    now: datetime,
    mark: Mark | None = None,
) -> TrustList:
    """Read a list of format `kind` with one of the anchors, in their order: DER certificates or public keys.

    The answer tells which of them verified it. `name` None takes the list's own word for its name; `mark` is the
    highest number admitted of this list. Raises `ListRefusedError`: as the format does where it opens the list, then
    as `admission` does.
    """
    opened, anchor = _opened(document, FORMATS[kind], name=name, anchors=anchors)
    read = admission.admit(opened, now=now, mark=mark)
    found = replace(
        read,
        format=kind,
        anchor=hashlib.sha256(anchor).hexdigest(),
        digest=hashlib.sha256(document).hexdigest(),
    )
    if kind != COLLECTED:
        found = replace(found, content=_content(found, mark))
    admission.check_mark(found, mark)
    return found


def _content(read: TrustList, mark: Mark | None) -> str:
    """What `contents` makes of it; of a document that was admitted before, what was made of it then."""
    if mark is not None and (mark.sequence, mark.document) == (read.sequence, read.digest) and mark.content:
        return mark.content
    return (
        contents.digest(read.entities, read.pointers)
        if read.table is None
        else contents.of_texts(*read.table.written())
    )


def _opened(document: bytes, form: Format, *, name: str | None, anchors: Sequence[bytes]) -> tuple[Opened, bytes]:
    """Open a list with one of the anchors, and tell which."""
    label = f"list {name or '(unnamed)'}"
    if len(document) > form.maximum_bytes:
        raise ListRefusedError(
            "too-large",
            f"{label}: it is larger than {form.maximum_bytes} octets; check the file and where it came from.",
        )
    refused = ListRefusedError("signature", f"{label}: no anchor is pinned.")
    for anchor in anchors:
        try:
            return form.open(document, name=name, anchors=(anchor,)), anchor
        except ListRefusedError as fault:
            if fault.code not in _OTHER_KEY:
                raise
            refused = fault
    raise refused
