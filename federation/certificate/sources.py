"""Where the revocation of a certificate can be learned, and every reason for which what comes from there is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from federation.certificate.names import Canonical, canonical

CODES: Mapping[str, str] = {
    # OCSP (RFC 6960)
    "ocsp-malformed": "this is no OCSP response",
    "ocsp-unsuccessful": "the responder did not answer the question",
    "ocsp-other-certificate": "the response is about other certificates",
    "ocsp-signer": "the response is signed by nobody whom the issuer allows to",
    "ocsp-responder-status": "whether the responder's own certificate was revoked could not be learned",
    "ocsp-weak": "the response is signed with an algorithm or a key that may not be believed",
    "ocsp-signature": "the response's signature does not fit",
    "ocsp-extension": "the response has a critical extension that is not known here",
    "ocsp-nonce": "the response answers another request",
    "ocsp-future": "the response lies in the future",
    "ocsp-over": "the response's time is over",
    "ocsp-too-late": "the response was made after the certificate's own time was over",
    # revocation lists (RFC 5280 §5)
    "crl-malformed": "this is no revocation list",
    "crl-issuer": "the list is of another issuer, or of another key of it",
    "crl-sign": "the issuer's key may not sign lists",
    "crl-weak": "the list is signed with an algorithm or a key that may not be believed",
    "crl-signature": "the list's signature does not fit",
    "crl-extension": "the list, or an entry of it, has a critical extension that is not known here",
    "crl-indirect": "the list is an indirect one, which is not supported",
    "crl-partition": "the list is another part than the one that the certificate would stand on",
    "crl-kind": "the list is for certificates of another kind",
    "crl-reasons": "the lists do not cover every reason for a revocation",
    "crl-no-complete": "there is no complete list",
    "crl-future": "the list lies in the future",
    "crl-over": "the list's time is over",
    "crl-too-late": "the list was made after the certificate's own time was over",
}
"""Every reason for which an answer about a revocation is refused: its code, and the sentence for the log."""

SKEW = timedelta(seconds=60)
"""How far an issuer's clock and ours may differ."""

ALL_REASONS = frozenset(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}

_MOST_POINTS = 8
_MOST_ADDRESSES = 4
_LONGEST_ADDRESS = 2048

UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,
)
"""What the libraries raise for what cannot be read."""

NameKey = tuple[str, str | Canonical]
"""A general name in a form that can be compared."""


class StatusRefusedError(Exception):
    """An answer about a revocation that is not believed. `detail` is for the log and never holds a person's data."""

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in CODES, code
        super().__init__(f"{code}: {detail or CODES[code]}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A CRL distribution point (RFC 5280 §4.2.1.13): where the list is, by what names, and which reasons it covers.

    `indirect`: its list is signed by somebody else than the certificate's issuer, which is not supported.
    """

    urls: tuple[str, ...] = ()
    names: frozenset[NameKey] = frozenset()
    reasons: frozenset[x509.ReasonFlags] = ALL_REASONS
    indirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to ask: addresses of OCSP responders, distribution points of lists, addresses of delta lists."""

    ocsp: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    freshest: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anybody can be asked."""
        return bool(self.ocsp or any(point.urls for point in self.points))


def sources(certificate: x509.Certificate, issuer: x509.Certificate) -> Sources:
    """Where a certificate says that its revocation can be learned; of addresses those by http and https only.

    A certificate whose extensions cannot be read has no sources.
    """
    try:
        found = {each.oid: each.value for each in certificate.extensions}
    except UNREADABLE:
        return Sources()
    access = found.get(x509.AuthorityInformationAccess.oid)
    points = found.get(x509.CRLDistributionPoints.oid)
    fresh = found.get(x509.FreshestCRL.oid)
    responders = (
        each.access_location
        for each in (access if isinstance(access, x509.AuthorityInformationAccess) else ())
        if each.access_method == AuthorityInformationAccessOID.OCSP
    )
    return Sources(
        ocsp=addresses(responders),
        points=tuple(
            _point(each, issuer) for each in (points if isinstance(points, x509.CRLDistributionPoints) else ())
        )[:_MOST_POINTS],
        freshest=freshest(fresh if isinstance(fresh, x509.FreshestCRL) else None),
    )


def freshest(extension: x509.FreshestCRL | None) -> tuple[str, ...]:
    """The addresses of delta lists that a certificate or a complete list names (RFC 5280 §4.2.1.15, §5.2.6)."""
    return addresses(chain.from_iterable(each.full_name or () for each in extension or ()))


def addresses(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    """The addresses among names that can be asked."""
    found = (each.value for each in names if isinstance(each, x509.UniformResourceIdentifier))
    return tuple(dict.fromkeys(url for url in found if _askable(url)))[:_MOST_ADDRESSES]


def _askable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and len(url) <= _LONGEST_ADDRESS
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _point(point: x509.DistributionPoint, issuer: x509.Certificate) -> Point:
    """One distribution point. One without a name is called as its cRLIssuer (RFC 5280 §6.3.3 b 2)."""
    whole = full_name(point.full_name, point.relative_name, issuer)
    of_issuer = frozenset(map(name_key, point.crl_issuer or ()))
    own = ("directory", canonical(issuer.subject))
    return Point(
        urls=addresses(whole),
        names=frozenset(map(name_key, whole)) or of_issuer,
        reasons=point.reasons or ALL_REASONS,
        indirect=bool(of_issuer) and own not in of_issuer,
    )


def full_name(
    names: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuer: x509.Certificate,
) -> tuple[x509.GeneralName, ...]:
    """The names of a distribution point; one relative to the issuer's is completed (RFC 5280 §4.2.1.13)."""
    if relative is not None:
        return (x509.DirectoryName(x509.Name([*issuer.subject.rdns, relative])),)
    return tuple(names or ())


def name_key(name: x509.GeneralName) -> NameKey:
    """A general name as it is compared."""
    if isinstance(name, x509.DirectoryName):
        return "directory", canonical(name.value)
    return type(name).__name__, str(name.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When an answer is held against its times.

    `stale`: an answer that is over by no more counts, marked. `later`: one that was made after `at` counts, too: it is
    kept evidence for what was so at `at`.
    """

    at: datetime
    stale: timedelta = timedelta(0)
    later: bool = False


def check_times(
    kind: str,
    this_update: datetime,
    next_update: datetime,
    moment: Moment,
    *,
    not_after: datetime,
    stated: bool = False,
    lasting: bool = False,
) -> bool:
    """Whether an answer is over, but counts still: within `moment.stale`, or because what it says lasts (`lasting`).

    `not_after` is the certificate's: afterwards its issuer need not say any more that it was revoked, so only what
    says something of it counts (`stated`; a hold, too). Raises `StatusRefusedError` with a code that begins with
    `kind`.
    """
    if next_update < this_update:
        raise StatusRefusedError(f"{kind}-malformed", "it ends before it begins")
    if not moment.later and this_update > moment.at + SKEW:
        raise StatusRefusedError(f"{kind}-future")
    over = next_update <= moment.at
    if over and not lasting and next_update + moment.stale <= moment.at:
        raise StatusRefusedError(f"{kind}-over")
    if not stated and this_update > not_after + SKEW:
        raise StatusRefusedError(f"{kind}-too-late")
    return over
