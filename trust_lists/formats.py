"""The one table of list formats: any list, read in one way, with the pinned key that verified it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from trust_lists import etsi_json, etsi_xml, openid_federation, saml_metadata
from trust_lists.model import ListRefusedError, TrustList

Read = Callable[..., TrustList]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a format is read. `read` takes the document, `name`, `anchors` and `now`; `maximum_bytes` bounds it."""

    read: Read
    maximum_bytes: int


FORMATS: Mapping[str, Format] = {
    "saml-metadata": Format(read=saml_metadata.read, maximum_bytes=saml_metadata.MAXIMUM_BYTES),
    "etsi-119612": Format(read=etsi_xml.read, maximum_bytes=etsi_xml.MAXIMUM_BYTES),
    "etsi-119602": Format(read=etsi_json.read, maximum_bytes=etsi_json.MAXIMUM_BYTES),
    "openid-federation": Format(read=openid_federation.read, maximum_bytes=openid_federation.MAXIMUM_BYTES),
}
"""By the names that stand in trust.yaml."""

_OTHER_KEY = frozenset({"signature"})


def read(document: bytes, *, kind: str, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Read a list of format `kind` with one of the anchors, in their order: DER certificates or public keys.

    The answer tells which of them verified it. Raises `ListRefusedError` as the reader of the format does; `name`
    None takes the list's own word for its name.
    """
    form = FORMATS[kind]
    if len(document) > form.maximum_bytes:
        raise ListRefusedError(
            "too-large",
            f"list {name or '(unnamed)'}: it is larger than {form.maximum_bytes} octets; check the file and where it "
            "came from.",
        )
    refused = ListRefusedError("signature", f"list {name or '(unnamed)'}: no anchor is pinned.")
    for anchor in anchors:
        try:
            found = form.read(document, name=name, anchors=(anchor,), now=now)
        except ListRefusedError as fault:
            if fault.code not in _OTHER_KEY:
                raise
            refused = fault
        else:
            return replace(
                found,
                format=kind,
                anchor=hashlib.sha256(anchor).hexdigest(),
                digest=hashlib.sha256(document).hexdigest(),
            )
    raise refused
