"""A text that a service asks a resident to sign with the certificate on the phone: asked, answered, made to last.

What the phone shows is what is signed: the text's octets themselves, with the nonce of the one request. The service
gets the signature with the resident's certificate in it, so it learns who signed; the page that asks says so before.

`verify` and `complete` ask whoever drives them for what must be known of revocations. Nothing is soft here: without
evidence that lasts there is no container.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from federation.certificate import cms, container, plain_text, request
from federation.certificate.container import FORMS, Anchors, ContainerRefusedError, Report
from federation.certificate.model import (
    Accepted,
    Asked,
    Asking,
    CertificateRefusedError,
    Path,
    RevocationPolicy,
    Standing,
    Status,
    StatusEvidence,
    StatusQuestion,
)
from federation.certificate.plain_text import TextRefusedError
from federation.certificate.signature import Signature
from federation.certificate.timestamp import Timestamp, TimestampAuthority
from federation.model import IdSystem, Service
from federation.oidc.jose import LEEWAY, SigningKey
from federation.oidc.strict_json import read_object
from federation.web import Json
from trust_lists.recognition import allows

KEPT = timedelta(hours=24)
"""How long a signed text waits for the service that asked for it."""

LIFETIME = timedelta(minutes=5)
"""How long a phone may take to answer."""

ANSWERS = "/signing/answers"
"""The path to which a phone posts what it signed."""

MAX_ANSWER = 64 * 1024
"""Octets of what a phone signed."""

_MAX_ORDER = 64 * 1024
_NEEDED = frozenset({"title", "text", "format", "id_system", "return_to"})
_LANGUAGES = frozenset({"ja", "en"})
_HARD = RevocationPolicy()


class OrderRefusedError(Exception):
    """What a service asked for cannot be asked of anybody; the sentence is for its developers."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a service asks for: who it is, what is to be signed, in which form, with which ID system's certificates."""

    service: str
    system: str
    title: str = field(repr=False)
    text: str = field(repr=False)
    form: str
    language: str | None
    return_to: str = field(repr=False)

    @property
    def whole(self) -> str:
        """What is shown and signed (`plain_text.whole`)."""
        return plain_text.whole(self.text, title=self.title)

    def to_json(self) -> Json:
        """For the store."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a phone signed, verified: the octets as they came, the path and the evidence that it rests on."""

    answer: bytes = field(repr=False)
    said: Signature = field(repr=False)
    path: Path
    statuses: tuple[Status, ...]


def order_from_json(data: Json) -> Order:
    """What `Order.to_json` wrote."""
    return Order(**data)


def read_order(body: bytes, *, service: str, addresses: Sequence[str]) -> Order:
    """A service's order as JSON: title, text, format, id_system, return_to, and language if it matters.

    `addresses` are those that the service may have browsers sent back to. Raises `OrderRefusedError`.
    """
    try:
        told = read_object(body, limit=_MAX_ORDER)
    except ValueError:
        raise OrderRefusedError("malformed", "a JSON object is expected") from None
    if not _NEEDED <= set(told) <= _NEEDED | {"language"} or not all(isinstance(each, str) for each in told.values()):
        names = ", ".join(sorted(_NEEDED))
        raise OrderRefusedError("malformed", f"expected {names}, and perhaps language, each a string")
    if told["format"] not in FORMS:
        raise OrderRefusedError("format", f"expected one of {', '.join(FORMS)}")
    if told.get("language", "ja") not in _LANGUAGES:
        raise OrderRefusedError("language", f"expected one of {', '.join(sorted(_LANGUAGES))}")
    if told["return_to"] not in addresses:
        raise OrderRefusedError("return_to", "expected one of the service's registered redirect_uris, exactly")
    try:
        plain_text.check(told["text"], title=told["title"])
    except TextRefusedError as why:
        raise OrderRefusedError(f"text-{why.code}", why.sentence) from None
    return Order(
        service=service,
        system=told["id_system"],
        title=told["title"],
        text=told["text"],
        form=told["format"],
        language=told.get("language"),
        return_to=told["return_to"],
    )


# --- the request


def new_requests(
    order: Order, *, handle: str, service: Service, system: IdSystem, public_url: str, key: SigningKey, now: datetime
) -> tuple[Asked, Asked]:
    """One request for a phone beside the browser, and one for the phone that it runs on (RFC 9101 request objects)."""
    assert system.id == order.system
    return request.new_requests(
        system=order.system,
        handle=handle,
        public_url=public_url,
        service=service,
        attributes=(),
        key=key,
        now=now,
        lifetime=LIFETIME,
        kind="sign-text",
        title=order.title,
        text=order.whole,
        formats=(order.form,),
        answers=ANSWERS,
    )


# --- the answer


def read_answer(form: Sequence[tuple[str, str]]) -> bytes | None:
    """The signed octets in a phone's form (`cms` in base64, or `response`), None if the person declined there.

    Raises `CertificateRefusedError` with answer-malformed or answer-too-large.
    """
    given = dict(form)
    ways = given.keys() & {"cms", "response", "error"}
    if len(given) != len(form) or len(ways) != 1:
        raise CertificateRefusedError("answer-malformed", "exactly one of cms, response and error is expected")
    if given.get("error") == "access_denied":
        return None
    text = given.get("cms") or given.get("response") or ""
    if len(text) > 2 * MAX_ANSWER:
        raise CertificateRefusedError("answer-too-large")
    try:
        return base64.b64decode(text, validate=True) if "cms" in ways else text.encode("ascii")
    except (binascii.Error, ValueError):
        raise CertificateRefusedError("answer-malformed") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    said: Signature
    asked: Asked
    accepted: Accepted
    form: str
    at: datetime


CHECKS: tuple[tuple[str, Callable[[_Check], bool]], ...] = (
    ("request-expired", lambda c: c.at < c.asked.expires_at),
    ("answer-malformed", lambda c: c.said.kind == c.form and not c.said.tokens and not c.said.evidence),
    ("nonce", lambda c: secrets.compare_digest(c.said.nonce.encode(), c.asked.nonce.encode())),
    ("request-altered", lambda c: c.said.text == c.asked.text.encode()),
    ("answer-time", lambda c: c.asked.begun_at - LEEWAY <= c.said.claimed_at <= c.at + LEEWAY),
    ("permitted-use", lambda c: allows(c.accepted.permitted, c.asked.use)),
)
"""What holds before the certificate is looked at, in this order."""


def verify(answer: bytes, asked: Asked, accepted: Accepted, *, form: str, at: datetime) -> Asking[Signed]:
    """What a phone signed in answer to `asked`. Raises `CertificateRefusedError`.

    After `CHECKS`: the path, what is known of revocations, leaf first, and last the signature itself.
    """
    if form == "cms":
        cms.checked(answer)
    elif answer.startswith(b"{"):
        raise CertificateRefusedError("answer-malformed", "a compact JWS is expected")
    try:
        said = container.read(answer, limit=MAX_ANSWER)
    except ContainerRefusedError as why:
        raise CertificateRefusedError(_OF_CONTAINER.get(why.code, "answer-malformed"), why.detail) from None
    check = _Check(said=said, asked=asked, accepted=accepted, form=form, at=at)
    for code, holds in CHECKS:
        if not holds(check):
            raise CertificateRefusedError(code)
    anchors = Anchors(
        persons=accepted.anchors, timestamps=TimestampAuthority(url="", anchors=()), wanted=accepted.wanted
    )
    try:
        path = container.person_path(said, anchors, at=at)
        statuses = yield from learned(path, private_addresses=accepted.revocation.private_addresses)
        container.verify_signature(said)
    except ContainerRefusedError as why:
        raise CertificateRefusedError(_OF_CONTAINER.get(why.code, why.code), why.detail) from None
    return Signed(answer=answer, said=said, path=path, statuses=statuses)


_OF_CONTAINER = {
    "container-too-large": "answer-too-large",
    "container-malformed": "answer-malformed",
    "container-signature": "signature",
    "container-certificate-id": "signature",
    "container-weak": "answer-algorithm",
}


def learned(path: Path, *, private_addresses: bool, where: bool = False) -> Asking[tuple[Status, ...]]:
    """What its issuers say of each certificate below the anchor, leaf first; all good, with evidence of it.

    `where`: only of those that say where to ask. Raises `CertificateRefusedError`.
    """
    policy = replace(_HARD, private_addresses=private_addresses)
    found: list[Status] = []
    for certificate, issuer in zip(path.certificates, path.certificates[1:], strict=False):
        if where and not container.has_source(certificate):
            continue
        status = yield StatusQuestion(certificate=certificate, issuer=issuer, policy=policy)
        if status.standing is Standing.REVOKED:
            raise CertificateRefusedError("revoked")
        if status.standing is Standing.UNKNOWN:
            raise CertificateRefusedError("status-unknown")
        if status.standing is None or status.stale or not status.evidence:
            raise CertificateRefusedError("status-unavailable", status.why)
        found.append(status)
    return tuple(found)


def complete(
    signed: Signed, stamped: Timestamp, *, accepted: Accepted, authority: TimestampAuthority, text: str, at: datetime
) -> Asking[tuple[bytes, Report]]:
    """The container, which passes `container.check` now, and what it proves.

    Raises `CertificateRefusedError` for what cannot be learned of the timestamp's certificate, and
    `ContainerRefusedError` if what was gathered does not last.
    """
    about = yield from learned(stamped.path, private_addresses=accepted.revocation.private_addresses, where=True)
    evidence: list[StatusEvidence] = [one for status in (*signed.statuses, *about) for one in status.evidence]
    made = container.lasting(
        signed.answer, stamped=stamped, paths=(signed.path, stamped.path), evidence=tuple(dict.fromkeys(evidence))
    )
    anchors = Anchors(persons=accepted.anchors, timestamps=authority, wanted=accepted.wanted)
    return made, container.check(made, anchors, at=at, text=text.encode())
