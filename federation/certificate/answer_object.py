"""The answer object: the JSON that a phone signs, naming the request and how the phone knew its owner."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from federation.certificate.model import CertificateRefusedError
from federation.oidc.jose import LEEWAY
from federation.oidc.strict_json import instant, read_object

MAX_OBJECT = 8 * 1024
"""Octets of the longest that is read."""

_MAX_METHODS = 8
_METHOD = re.compile(r"[A-Za-z0-9_.:-]{1,32}")
_FACE = "face"  # RFC 8176 §2


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerObject:
    """What a phone says, unverified. `request_sha256` is of the request object's octets, `sd_hash` of `attributes`.

    `methods` are names of RFC 8176. `face_at`: when a face was verified, if there is evidence of it.
    """

    audience: str
    nonce: str = field(repr=False)
    signed_at: datetime
    request_sha256: str
    methods: tuple[str, ...]
    face_at: datetime | None
    sd_hash: str | None

    def methods_since(self, begun_at: datetime, at: datetime) -> tuple[str, ...]:
        """How the phone says that it knew its owner. A face counts with evidence of it from after the request."""
        verified = self.face_at is not None and begun_at - LEEWAY <= self.face_at <= at + LEEWAY
        return tuple(each for each in self.methods if each != _FACE or verified)


def read(content: bytes) -> AnswerObject:
    """Read an answer object. Members that are not known are passed over (RFC 7519 §4).

    Raises `CertificateRefusedError` answer-malformed.
    """
    try:
        said = read_object(content, limit=MAX_OBJECT)
    except ValueError:
        raise CertificateRefusedError("answer-malformed", "the answer object is no JSON object") from None
    for member, is_right in MEMBERS.items():
        if not is_right(said.get(member)):
            raise CertificateRefusedError("answer-malformed", f"the member {member} of the answer object")
    signed_at = instant(said["iat"])
    assert signed_at is not None  # by `MEMBERS`
    return AnswerObject(
        audience=said["aud"],
        nonce=said["nonce"],
        signed_at=signed_at,
        request_sha256=said["request_sha256"],
        methods=tuple(said["amr"]),
        face_at=_face_at(said.get("face")),
        sd_hash=said.get("sd_hash"),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_moment(value: object) -> bool:
    return instant(value) is not None


def _are_methods(value: object) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_METHODS:
        return False
    return all(isinstance(each, str) and _METHOD.fullmatch(each) for each in value) and len(set(value)) == len(value)


def _is_face(value: object) -> bool:
    return value is None or (
        isinstance(value, Mapping) and _is_moment(value.get("at")) and _is_text(value.get("method"))
    )


def _face_at(value: Mapping[str, Any] | None) -> datetime | None:
    return None if value is None else instant(value["at"])


MEMBERS: Mapping[str, Callable[[object], bool]] = {
    "aud": _is_text,
    "nonce": _is_text,
    "iat": _is_moment,
    "request_sha256": _is_text,
    "amr": _are_methods,
    "face": _is_face,
    "sd_hash": lambda value: value is None or _is_text(value),
}
"""The members of an answer object, and what each must be; `face` and `sd_hash` may be left out."""
