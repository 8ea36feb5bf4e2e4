"""Timestamps over what was signed (RFC 3161, RFC 5816): asked for, and held against configured authorities.

A timestamp proves that a signature existed at a moment, so that it still counts after its certificate was revoked or is
over. The token is kept as it came: whoever has it and the authority's anchor can verify it with `openssl ts`.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, core, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from federation.certificate import signed_data
from federation.certificate.model import CertificateRefusedError, Path, Wanted
from federation.certificate.paths import path
from federation.certificate.signed_data import HASHES, UNREADABLE, SignedData, SignedDataError, certificate_of
from federation.web import Exchange, HttpRequest, RoadError

CODES = {
    "timestamp-unreachable": "the timestamp authority did not answer",
    "timestamp-too-large": "the timestamp is larger than any real one",
    "timestamp-malformed": "the timestamp cannot be read",
    "timestamp-not-granted": "the timestamp authority refused",
    "timestamp-imprint": "the timestamp is over something else",
    "timestamp-nonce": "the timestamp answers another request",
    "timestamp-policy": "the timestamp was not made under a policy that is accepted",
    "timestamp-time": "the timestamp's moment is not that of the request, or lies in the future",
    "timestamp-accuracy": "the timestamp's moment is less exact than is accepted",
    "timestamp-signer": "the certificate that signed the timestamp is not for timestamps alone (RFC 3161 §2.3)",
    "timestamp-certificate-id": "the timestamp does not name its certificate by a digest that is believed (RFC 5816)",
    "timestamp-path": "no path leads from the timestamp's certificate to a configured timestamp authority",
    "timestamp-weak": "the timestamp is signed with an algorithm that is not believed",
    "timestamp-signature": "the timestamp's signature does not fit",
}
"""Every reason for which a timestamp is refused: its code, and the sentence for the log."""

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
MAX_TOKEN = 64 * 1024
MAX_RESPONSE = MAX_TOKEN + 1024
LEEWAY = timedelta(seconds=60)
"""How far the authority's clock and ours may differ."""

PATIENCE = timedelta(seconds=60)
"""How long after the request a timestamp may have been made."""

WANTED = Wanted(extended_key_usages=frozenset({TIME_STAMPING}))

_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_GRANTED = frozenset({"granted", "granted_with_mods"})
_STATUS_OK = 200
_MAX_GIVEN = 8


class TimestampRefusedError(Exception):
    """A timestamp that is not believed, or that could not be had."""

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in CODES, code
        super().__init__(f"{code}: {detail or CODES[code]}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampAuthority:
    """An authority as configured. `policies`: one of these must be stated; none: any will do.

    `accuracy`: the moment must be at least this exact, where its accuracy is stated at all.
    """

    url: str
    anchors: tuple[x509.Certificate, ...] = field(repr=False)
    policies: frozenset[str] = frozenset()
    accuracy: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request for a timestamp over `data`'s SHA-256."""

    der: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    nonce: int = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A verified timestamp. `token` is the TimeStampToken as it came, `path` that of the certificate that signed it."""

    at: datetime
    accuracy: timedelta | None
    policy: str
    serial: int
    token: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    signed: SignedData
    info: Any
    signer: x509.Certificate
    imprint: tuple[str, bytes]
    at: datetime
    accuracy: timedelta | None
    policy: str
    nonce: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    data: bytes
    authority: TimestampAuthority
    earliest: datetime | None
    latest: datetime
    nonce: int | None


def query(data: bytes, *, nonce: int) -> Query:
    """The request for a timestamp over `data` (RFC 3161 §2.4.1). `nonce` is a random number below 2⁶⁴."""
    digest = hashlib.sha256(data).digest()
    der = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
                "hashed_message": digest,
            },
            "nonce": nonce,
            "cert_req": True,
        }
    ).dump()
    return Query(der=der, digest=digest, nonce=nonce)


def stamp(data: bytes, authority: TimestampAuthority, *, nonce: int, now: datetime) -> Exchange[Timestamp]:
    """A timestamp over `data` from `authority` (RFC 3161 §3.4). Raises `TimestampRefusedError`."""
    try:
        response = yield HttpRequest(
            method="POST",
            url=authority.url,
            headers={"Content-Type": QUERY, "Accept": REPLY},
            body=query(data, nonce=nonce).der,
        )
    except RoadError as road:
        raise TimestampRefusedError("timestamp-unreachable", str(road)) from None
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status != _STATUS_OK or kind != REPLY:
        raise TimestampRefusedError(
            "timestamp-unreachable", f"HTTP status {response.status}, or another kind of answer"
        )
    return check_response(response.body, data, authority, nonce=nonce, now=now)


def check_response(
    response: bytes, data: bytes, authority: TimestampAuthority, *, nonce: int, now: datetime
) -> Timestamp:
    """The timestamp in a TimeStampResp (RFC 3161 §2.4.2) to the request with `nonce` that was made at `now`.

    Raises `TimestampRefusedError`.
    """
    if len(response) > MAX_RESPONSE:
        raise TimestampRefusedError("timestamp-too-large")
    try:
        # A refusal carries no token, which asn1crypto's TimeStampResp does not foresee.
        status, *tokens = core.SequenceOf.load(response, spec=core.Any, strict=True)
        granted = status.parse(tsp.PKIStatusInfo)["status"].native in _GRANTED
        (token,) = [one.dump() for one in tokens] if granted else [b""]
    except UNREADABLE:
        raise TimestampRefusedError("timestamp-malformed") from None
    if not granted:
        raise TimestampRefusedError("timestamp-not-granted")
    expected = _Expected(
        data=data, authority=authority, earliest=now - LEEWAY, latest=now + PATIENCE + LEEWAY, nonce=nonce
    )
    return _checked(token, expected, others=())


def check_token(
    token: bytes, data: bytes, authority: TimestampAuthority, *, at: datetime, others: Sequence[bytes] = ()
) -> Timestamp:
    """A token that was kept, at a later time `at`. `others` are certificates that may be part of its path.

    Raises `TimestampRefusedError`.
    """
    expected = _Expected(data=data, authority=authority, earliest=None, latest=at + LEEWAY, nonce=None)
    return _checked(token, expected, others=others)


def _checked(octets: bytes, expected: _Expected, *, others: Sequence[bytes]) -> Timestamp:
    token = _read(octets)
    for code, holds in CHECKS:
        if not holds(token, expected):
            raise TimestampRefusedError(code)
    given = (*token.signed.certificates, *others)
    try:
        found = path(
            token.signed.signer,
            signed_data.related(token.signed.signer, given, most=_MAX_GIVEN),
            expected.authority.anchors,
            WANTED,
            token.at,
        )
    except CertificateRefusedError as why:
        raise TimestampRefusedError("timestamp-path", why.code) from None
    try:
        signed_data.verify(token.signed)
    except SignedDataError as why:
        raise TimestampRefusedError(_OF_SIGNED_DATA[why.code]) from None
    return Timestamp(
        at=token.at,
        accuracy=token.accuracy,
        policy=token.policy,
        serial=token.info["serial_number"].native,
        token=octets,
        certificates=token.signed.certificates,
        path=found,
    )


_OF_SIGNED_DATA = {
    "too-large": "timestamp-too-large",
    "malformed": "timestamp-malformed",
    "weak-algorithm": "timestamp-weak",
    "signature": "timestamp-signature",
}


def _read(octets: bytes) -> _Token:
    try:
        signed = signed_data.read(octets, limit=MAX_TOKEN)
    except SignedDataError as why:
        raise TimestampRefusedError(_OF_SIGNED_DATA[why.code]) from None
    try:
        if signed.content_type != _TST_INFO:
            raise ValueError("no TSTInfo")
        info = tsp.TSTInfo.load(signed.content, strict=True)
        at = info["gen_time"].native
        if info["version"].native != "v1" or at.tzinfo is None or any(e["critical"].native for e in _extensions(info)):
            raise ValueError("another version, or a critical extension")
        imprint = info["message_imprint"]
        return _Token(
            signed=signed,
            info=info,
            signer=certificate_of(signed.signer),
            imprint=(imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native),
            at=at,
            accuracy=_accuracy(info["accuracy"]),
            policy=info["policy"].dotted,
            nonce=info["nonce"].native,
        )
    except UNREADABLE:
        raise TimestampRefusedError("timestamp-malformed") from None


def _extensions(info: Any) -> Any:
    return info["extensions"] if info["extensions"].native else ()


def _accuracy(stated: Any) -> timedelta | None:
    if stated.native is None:
        return None
    return timedelta(
        seconds=stated["seconds"].native or 0,
        milliseconds=stated["millis"].native or 0,
        microseconds=stated["micros"].native or 0,
    )


# --- the checks


def _imprint(token: _Token, expected: _Expected) -> bool:
    digest, imprint = token.imprint
    return digest in HASHES and hashlib.new(digest, expected.data).digest() == imprint


def _time(token: _Token, expected: _Expected) -> bool:
    return (expected.earliest is None or expected.earliest <= token.at) and token.at <= expected.latest


def _accurate(token: _Token, expected: _Expected) -> bool:
    return token.accuracy is None or timedelta(0) <= token.accuracy <= expected.authority.accuracy


def _signer(token: _Token, _: _Expected) -> bool:
    """RFC 3161 §2.3: extended key usage critical and of timestamps alone; §2.4.2: `tsa` is the signer's name."""
    try:
        usage = token.signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        return False
    named = token.info["tsa"]
    if signed_data.absent(named) or named.name != "directory_name":
        return True
    said = named.chosen.untag()
    return any(said == asn1.Name.load(name.public_bytes()) for name in _names(token.signer))


def _names(signer: x509.Certificate) -> Iterator[x509.Name]:
    """The subject names of a certificate (RFC 3161 §2.4.2), alternative ones included."""
    yield signer.subject
    with contextlib.suppress(x509.ExtensionNotFound):
        found = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        yield from found.value.get_values_for_type(x509.DirectoryName)


CHECKS: tuple[tuple[str, Callable[[_Token, _Expected], bool]], ...] = (
    ("timestamp-imprint", _imprint),
    ("timestamp-nonce", lambda token, expected: expected.nonce is None or token.nonce == expected.nonce),
    (
        "timestamp-policy",
        lambda token, expected: not expected.authority.policies or token.policy in expected.authority.policies,
    ),
    ("timestamp-time", _time),
    ("timestamp-accuracy", _accurate),
    ("timestamp-signer", _signer),
    ("timestamp-certificate-id", lambda token, _: signed_data.names_its_certificate(token.signed)),
)
"""What a token must hold before its path and its signature are looked at (RFC 3161 §2.2, §2.4.2; RFC 5816 §2.2.1)."""
