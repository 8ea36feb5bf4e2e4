"""Revocation lists without sockets: reading one, and what a set of them says of a certificate (RFC 5280 §5, §6.3).

Lists may hold hundreds of thousands of entries. Each entry is looked at once, when the list is read, which takes about
a second for 300,000 of them and belongs on a thread; kept are the list's octets and eight octets of each serial number,
sorted, so that looking up a certificate that is not revoked costs microseconds. Only a find asks the library, which
reads the list from its beginning.

Complete lists, parts of them (issuingDistributionPoint) and deltas are understood. Not supported, and refused: indirect
lists, and lists that are signed by another key than the one that signed the certificate.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.certificate import strength
from federation.certificate.model import (
    MILD,
    CertificateRefusedError,
    Standing,
    Status,
    StatusEvidence,
    StatusQuestion,
)
from federation.certificate.names import canonical
from federation.certificate.sources import (
    ALL_REASONS,
    UNREADABLE,
    Moment,
    NameKey,
    Point,
    StatusRefusedError,
    check_times,
    freshest,
    full_name,
    name_key,
    sources,
)

MEDIA_TYPE = "application/pkix-crl"

MAX_LIST = 64 * 1024 * 1024
"""Octets of the largest list that is read."""

_PROCESSED = frozenset(
    {
        x509.AuthorityKeyIdentifier.oid,
        x509.IssuerAlternativeName.oid,
        x509.CRLNumber.oid,
        x509.DeltaCRLIndicator.oid,
        x509.IssuingDistributionPoint.oid,
        x509.FreshestCRL.oid,
        x509.AuthorityInformationAccess.oid,
    }
)
"""The extensions of lists that are understood, and so may be critical (RFC 5280 §5.2)."""

_ENTRY_PROCESSED = frozenset({x509.CRLReason.oid, x509.InvalidityDate.oid})
"""Those of entries (§5.3). Not certificateIssuer: only indirect lists have it."""

_TAKEN_BACK = frozenset({x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl})
"""Revocations that may be taken back."""

T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A certificate on a list. `invalid_since`: from when its key was, or may have been, in others' hands."""

    at: datetime
    reason: x509.ReasonFlags | None
    invalid_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which certificates, and which reasons, a list is about (§5.2.5)."""

    names: frozenset[NameKey] = frozenset()
    user: bool = False
    authority: bool = False
    attribute: bool = False
    indirect: bool = False
    reasons: frozenset[x509.ReasonFlags] = ALL_REASONS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RevocationList:
    """A list that its issuer signed. `base`: the number of the complete list that it adds to; None: it is complete.

    `freshest` are the addresses of deltas to it. Its times were not looked at.
    """

    der: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    number: int | None
    base: int | None
    this_update: datetime
    next_update: datetime
    scope: Scope
    freshest: tuple[str, ...]
    _loaded: x509.CertificateRevocationList = field(repr=False)
    _index: "array[int]" = field(repr=False)

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        return len(self.der) + 8 * len(self._index)

    @property
    def entries(self) -> int:
        """How many certificates are on it."""
        return len(self._index)

    def entry(self, serial: int) -> Entry | None:
        """What it says of a certificate; None if that is not on it."""
        short = _short(serial)
        place = bisect_left(self._index, short)
        if place == len(self._index) or self._index[place] != short:
            return None
        if self._index[place + 1 : place + 2] != array("Q", [short]):
            found = self._loaded.get_revoked_certificate_by_serial_number(serial)
            return None if found is None else _entry(found)
        several = [_entry(each) for each in self._loaded if each.serial_number == serial]
        several.sort(key=lambda each: (each.reason is x509.ReasonFlags.remove_from_crl, each.at))
        return several[0] if several else None


def identity(issuer: x509.Certificate) -> bytes:
    """The issuer of lists: its name and its key, whatever certificate it has for them."""
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key + repr(canonical(issuer.subject)).encode()).digest()


def read(der: bytes, issuer: x509.Certificate) -> RevocationList:
    """A list of `issuer`, whole: what is checked stands in `CHECKS`. Raises `StatusRefusedError`."""
    if len(der) > MAX_LIST:
        raise StatusRefusedError("crl-malformed", "larger than any real one")
    try:
        loaded = x509.load_der_x509_crl(der)
        case = _Case(loaded, {each.oid: each for each in loaded.extensions}, issuer)
        for check in CHECKS:
            if not check.holds(case):
                raise StatusRefusedError(check.code)
        return _read(der, case)
    except UNREADABLE:
        raise StatusRefusedError("crl-malformed") from None


class _Case(NamedTuple):
    """A list, its extensions, and who should have signed it."""

    loaded: x509.CertificateRevocationList
    extensions: dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]
    issuer: x509.Certificate

    def value(self, kind: type[T]) -> T | None:
        """An extension's value; None if it is not there."""
        found = self.extensions.get(kind.oid)
        if found is None:
            return None
        if not isinstance(found.value, kind):
            raise ValueError("an extension of another form")  # noqa: TRY004 - one error for whatever is wrong
        return found.value


def _read(der: bytes, case: _Case) -> RevocationList:
    loaded = case.loaded
    number, delta = case.value(x509.CRLNumber), case.value(x509.DeltaCRLIndicator)
    over = loaded.next_update_utc
    if over is None:
        raise StatusRefusedError("crl-malformed", "without nextUpdate (RFC 5280 §5.1.2.5)")
    return RevocationList(
        der=der,
        issuer=identity(case.issuer),
        number=None if number is None else number.crl_number,
        base=None if delta is None else delta.crl_number,
        this_update=loaded.last_update_utc,
        next_update=over,
        scope=_scope(case.value(x509.IssuingDistributionPoint), case.issuer),
        freshest=freshest(case.value(x509.FreshestCRL)),
        _loaded=loaded,
        _index=_indexed(loaded),
    )


def _scope(point: x509.IssuingDistributionPoint | None, issuer: x509.Certificate) -> Scope:
    if point is None:
        return Scope()
    return Scope(
        names=frozenset(map(name_key, full_name(point.full_name, point.relative_name, issuer))),
        user=point.only_contains_user_certs,
        authority=point.only_contains_ca_certs,
        attribute=point.only_contains_attribute_certs,
        indirect=point.indirect_crl,
        reasons=point.only_some_reasons or ALL_REASONS,
    )


def _indexed(loaded: x509.CertificateRevocationList) -> "array[int]":
    """The serial numbers, shortened and sorted. Raises `StatusRefusedError` for an entry that cannot be understood."""
    shorts: list[int] = []
    for entry in loaded:
        for extension in entry.extensions:
            if extension.critical and extension.oid not in _ENTRY_PROCESSED:
                raise StatusRefusedError("crl-extension", f"an entry has {extension.oid.dotted_string}")
        shorts.append(_short(entry.serial_number))
    shorts.sort()
    return array("Q", shorts)


_SHORT = 2**61 - 1
"""A prime, so that neither leading nor trailing digits alone make a difference."""


def _short(serial: int) -> int:
    return serial % _SHORT


def _entry(found: x509.RevokedCertificate) -> Entry:
    reason: x509.ReasonFlags | None = None
    invalid: datetime | None = None
    for each in found.extensions:
        if isinstance(each.value, x509.CRLReason):
            reason = each.value.reason
        if isinstance(each.value, x509.InvalidityDate):
            invalid = each.value.invalidity_date_utc
    return Entry(at=found.revocation_date_utc, reason=reason, invalid_since=invalid)


# --- what is checked when a list is read


def _of_issuer(case: _Case) -> bool:
    """Its name is the issuer's, and so is its key's identifier, if both state one (§6.3.3 f)."""
    if canonical(case.loaded.issuer) != canonical(case.issuer.subject):
        return False
    stated = case.value(x509.AuthorityKeyIdentifier)
    try:
        own = case.issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    return stated is None or stated.key_identifier in (None, own)


def _may_sign(case: _Case) -> bool:
    try:
        return case.issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _strong(case: _Case) -> bool:
    try:
        strength.check_signature(case.loaded, case.loaded.tbs_certlist_bytes, case.issuer.public_key())
    except CertificateRefusedError:
        return False
    except InvalidSignature:
        raise StatusRefusedError("crl-signature") from None
    return True


def _extensions_known(case: _Case) -> bool:
    return not any(each.critical and each.oid not in _PROCESSED for each in case.extensions.values())


class _Check(NamedTuple):
    code: str
    clause: str
    holds: Callable[[_Case], bool]


CHECKS: tuple[_Check, ...] = (
    _Check("crl-issuer", "RFC 5280 §6.3.3 b 1, f", _of_issuer),
    _Check("crl-sign", "RFC 5280 §6.3.3 f", _may_sign),
    _Check("crl-weak", "RFC 5280 §6.3.3 g", _strong),  # and crl-signature
    _Check("crl-extension", "RFC 5280 §5.2", _extensions_known),  # those of entries: `_indexed`
)
"""What is checked when a list is read, in this order."""


# --- what lists say of a certificate


class _Scoped(NamedTuple):
    scope: Scope
    is_authority: bool


_KINDS: tuple[tuple[str, Callable[[_Scoped], bool]], ...] = (
    ("crl-indirect", lambda case: not case.scope.indirect),
    ("crl-kind", lambda case: not case.scope.attribute),
    ("crl-kind", lambda case: not (case.scope.user and case.is_authority)),
    ("crl-kind", lambda case: not (case.scope.authority and not case.is_authority)),
)
"""Which certificates a list may be about at all (§6.3.3 b 2)."""


def judged(question: StatusQuestion, lists: Sequence[RevocationList], moment: Moment) -> Status:
    """What complete lists of the question's issuer, with the deltas among them, say of its certificate (§6.3.3).

    It is good only if they cover every reason. Raises `StatusRefusedError`: why the list that came nearest does not
    count.
    """
    own = identity(question.issuer)
    mine = [each for each in lists if each.issuer == own]
    points = sources(question.certificate, question.issuer).points
    said: list[_Said] = []
    refused = StatusRefusedError("crl-no-complete" if mine or not lists else "crl-issuer")
    for complete in (each for each in mine if each.base is None):
        try:
            said.append(_said(question, complete, mine, points, moment))
        except StatusRefusedError as why:
            refused = why
    revoked = [each for each in said if each.entry is not None]
    if revoked:
        return _status([min(revoked, key=_order)], moment)
    if not said:
        raise refused
    if frozenset[x509.ReasonFlags]().union(*(each.reasons for each in said)) != ALL_REASONS:
        raise StatusRefusedError("crl-reasons")
    whole = [each for each in said if each.reasons == ALL_REASONS]
    newest = sorted(whole, key=lambda each: each.this_update, reverse=True)[:1]
    return _status(newest or said, moment)


class _Said(NamedTuple):
    """What one complete list, and the delta to it, say."""

    complete: RevocationList
    delta: RevocationList | None
    reasons: frozenset[x509.ReasonFlags]
    entry: Entry | None
    over: bool

    @property
    def this_update(self) -> datetime:
        return (self.delta or self.complete).this_update

    @property
    def next_update(self) -> datetime:
        return min(self.complete.next_update, (self.delta or self.complete).next_update)


def _order(said: _Said) -> tuple[bool, bool, bool]:
    """Of several revocations: which is told first."""
    reason = None if said.entry is None or said.entry.reason is None else said.entry.reason.value
    return said.over, reason in MILD, not _lasts(said.entry)


def _said(
    question: StatusQuestion,
    complete: RevocationList,
    lists: Iterable[RevocationList],
    points: Iterable[Point],
    moment: Moment,
) -> _Said:
    reasons = _covered(question.certificate, complete.scope, points, question.issuer)
    deltas = [each for each in lists if _adds(each, complete) and _is_current(question, each, moment)]
    serial = question.certificate.serial_number
    delta = max(deltas, key=lambda each: (each.number or 0, each.this_update, _revokes(each, serial)), default=None)
    entry = complete.entry(serial)
    newer = delta.entry(serial) if delta is not None else None
    if newer is not None:
        entry = newer if newer.reason is not x509.ReasonFlags.remove_from_crl else None
    if entry is not None and entry.reason is x509.ReasonFlags.remove_from_crl:  # only deltas have it (§5.3.1)
        entry = None
    if moment.later and entry is not None and min(entry.at, entry.invalid_since or entry.at) > moment.at:
        entry = None
    return _Said(complete, delta, reasons, entry, _is_over(question, complete, moment, entry))


def _is_over(question: StatusQuestion, each: RevocationList, moment: Moment, entry: Entry | None = None) -> bool:
    """Whether a list is over, but counts still, as a revocation that lasts does. Raises `StatusRefusedError`."""
    return check_times(
        "crl",
        each.this_update,
        each.next_update,
        moment,
        not_after=question.certificate.not_valid_after_utc,
        stated=entry is not None,
        lasting=_lasts(entry),
    )


def _lasts(entry: Entry | None) -> bool:
    return entry is not None and entry.reason not in _TAKEN_BACK


def _revokes(each: RevocationList, serial: int) -> bool:
    entry = each.entry(serial)
    return entry is not None and entry.reason is not x509.ReasonFlags.remove_from_crl


def _is_current(question: StatusQuestion, delta: RevocationList, moment: Moment) -> bool:
    try:
        return not _is_over(question, delta, moment, delta.entry(question.certificate.serial_number))
    except StatusRefusedError:
        return False


def _covered(
    certificate: x509.Certificate, scope: Scope, points: Iterable[Point], issuer: x509.Certificate
) -> frozenset[x509.ReasonFlags]:
    """The reasons for which a list would name the certificate (§6.3.3 b 2, d). Raises `StatusRefusedError`."""
    case = _Scoped(scope, _is_authority(certificate))
    for code, holds in _KINDS:
        if not holds(case):
            raise StatusRefusedError(code)
    implied = Point(names=frozenset({("directory", canonical(issuer.subject))}))  # the end of §6.3.3
    found: frozenset[x509.ReasonFlags] = frozenset()
    for point in (*points, implied):
        if not point.indirect and (not scope.names or scope.names & point.names):
            found |= point.reasons & scope.reasons
    if not found:
        raise StatusRefusedError("crl-partition")
    return found


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _adds(delta: RevocationList, complete: RevocationList) -> bool:
    """Whether a delta tells what changed since a complete list of the same scope (§5.2.4, §6.3.3 c)."""
    return (
        delta.base is not None
        and complete.number is not None
        and delta.number is not None
        and delta.base <= complete.number < delta.number
        and delta.scope == complete.scope
    )


def _status(said: Sequence[_Said], moment: Moment) -> Status:
    entry = next((each.entry for each in said if each.entry is not None), None)
    used = [each for one in said for each in (one.complete, one.delta) if each is not None]
    return Status(
        standing=Standing.GOOD if entry is None else Standing.REVOKED,
        source="delta" if any(one.delta is not None for one in said) else "crl",
        this_update=min(one.this_update for one in said),
        next_update=min(one.next_update for one in said),
        revoked_at=None if entry is None else entry.at,
        reason=None if entry is None or entry.reason is None else entry.reason.value,
        stale=any(one.over or one.next_update <= moment.at for one in said),
        evidence=tuple(StatusEvidence(kind="crl", der=each.der) for each in used),
    )
