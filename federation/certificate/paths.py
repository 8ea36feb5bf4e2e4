"""The path from a person's certificate to a listed authority (RFC 5280 §6.1, path building after RFC 4158).

Our own rules decide, in the table `RULES`, each with its code and clause: the library's verifier knows no policies,
no policy mapping, no constraints on directory names and URIs, compares names octet by octet, asks for no keyCertSign,
and gives no reason that could be told to a person. It is asked nevertheless about every path that our rules accept
and it can express (the last rule), and what it refuses is refused: two readings must agree. Measured on it: anchors
need not be self-signed, their time, basicConstraints and path length count, the person's key may be of any kind.

The listed certificate is the anchor, whatever it is: a root, an issuing authority, a cross-certificate. What it says
of itself holds for the paths below it (RFC 5937), its time included: after its end nobody promises any more to keep
the key safe or to say what was revoked, and an authority that goes on has its new certificate listed. Its own
signature is not checked: the list vouches for it.

Bounds: `MAX_OTHERS` certificates beside the person's, `MAX_DEPTH` authorities between, `MAX_SIGNATURES` signatures
looked at, `MAX_TRAILS` ways tried.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from federation.certificate import names, strength
from federation.certificate.facts import PROCESSED, Facts, facts, read
from federation.certificate.model import CertificateRefusedError, Path, Wanted
from federation.certificate.policies import Initial, PolicyError, valid_policies

MAX_OTHERS = 8
MAX_DEPTH = 5
MAX_SIGNATURES = 32
MAX_TRAILS = 16

_ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"


def path(
    leaf_der: bytes,
    others_der: Sequence[bytes],
    anchors: Sequence[x509.Certificate],
    wanted: Wanted,
    at: datetime,
) -> Path:
    """The path of a certificate to one of the anchors, valid at that time for what is wanted.

    `others_der`: the certificates that came with it, in any order; those that do not belong to the path
    need only be readable. `at` counts in whole seconds, as certificates do.
    Raises `CertificateRefusedError` with the reason why the best path does not hold: untrusted-issuer if there is none.
    """
    if len(others_der) > MAX_OTHERS:
        raise CertificateRefusedError("answer-too-large", f"more than {MAX_OTHERS} certificates beside the person's")
    leaf = read(leaf_der)
    listed = [each for each in map(_authority, dict.fromkeys(anchors)) if each is not None]
    known = {each.certificate for each in listed} | {leaf.certificate}
    others = {each.certificate: each for each in map(_other, others_der) if each.certificate not in known}
    building = _Building(tuple(others.values()), tuple(listed))
    best: tuple[int, CertificateRefusedError] = (-1, CertificateRefusedError("untrusted-issuer"))
    for trail in building.trails((leaf,)):
        candidate = _Candidate(certificates=trail, wanted=wanted, at=at.replace(microsecond=0))
        failed = _failed(candidate)
        if failed is None:
            certificates = tuple(each.certificate for each in trail)
            return Path(certificates=certificates, policies=candidate.policies)
        best = max(best, failed, key=lambda each: each[0])
    if best[0] < 0 and building.fault is not None:
        raise building.fault
    raise best[1]


@lru_cache(maxsize=256)
def _authority(certificate: x509.Certificate) -> Facts | None:
    """A listed certificate, read once; None for one that cannot be read, and so is nobody's issuer."""
    try:
        return facts(certificate)
    except CertificateRefusedError:
        return None


_AUTHORITIES: dict[bytes, Facts] = {}
_MOST_AUTHORITIES = 128


def _other(der: bytes) -> Facts:
    """A certificate that came along. Authorities' come with every person's and are not read again; no person's is kept.

    Raises `CertificateRefusedError` certificate-malformed.
    """
    found = _AUTHORITIES.get(der)
    if found is None:
        found = read(der)
        if found.basic is not None and found.basic.ca:
            if len(_AUTHORITIES) >= _MOST_AUTHORITIES:
                _AUTHORITIES.clear()
            _AUTHORITIES[der] = found
    return found


# --- building


@dataclass(slots=True, eq=False)
class _Building:
    """Finds the ways from a certificate to the anchors, along names and true signatures. `fault`: why one ended."""

    others: tuple[Facts, ...]
    anchors: tuple[Facts, ...]
    fault: CertificateRefusedError | None = None
    _signatures: int = 0
    _trails: int = 0
    _seen: dict[tuple[Facts, Facts], bool] = field(default_factory=dict)

    def trails(self, so_far: tuple[Facts, ...]) -> Iterator[tuple[Facts, ...]]:
        """Each way on from there, the shortest first at every step."""
        last = so_far[-1]
        for anchor in self._likely(last, self.anchors):
            if self._trails < MAX_TRAILS and anchor.certificate != last.certificate and self._issued(last, anchor):
                self._trails += 1
                yield (*so_far, anchor)
        if len(so_far) > MAX_DEPTH:
            return
        for other in self._likely(last, self.others):
            if not any(_same(other, each) for each in so_far) and self._issued(last, other):
                yield from self.trails((*so_far, other))

    def _likely(self, issued: Facts, issuers: Sequence[Facts]) -> list[Facts]:
        """Those of the right name; first those whose key identifier fits too (RFC 4158 §3.5.12)."""
        named = [each for each in issuers if issued.names(each)]
        return sorted(named, key=lambda each: _fits(issued, each), reverse=True)

    def _issued(self, issued: Facts, issuer: Facts) -> bool:
        """Whether the signature is true, looked at once for each pair."""
        pair = (issued, issuer)
        if pair not in self._seen:
            self._signatures += 1
            self._seen[pair] = self._signatures <= MAX_SIGNATURES and self._true(issued, issuer)
        return self._seen[pair]

    def _true(self, issued: Facts, issuer: Facts) -> bool:
        try:
            if not issued.whole_signature:
                raise CertificateRefusedError("path-signature", "a signature that is not of whole octets")  # noqa: TRY301
            if issuer in self.anchors and issued in self.others:
                _check_signature(issued.certificate, issuer.certificate)
            else:
                _check_signature.__wrapped__(issued.certificate, issuer.certificate)
        except CertificateRefusedError as refused:
            if self.fault is None and _fits(issued, issuer) >= 0:
                self.fault = refused
            return False
        return True


def _fits(issued: Facts, issuer: Facts) -> int:
    """Whether the issuer's key identifier is the one that the certificate names: 1, not: -1, not known: 0.

    A hint only: RFC 5280 does not make it a condition. But a false signature is no fault of the person's if the key
    was said to be another one: then the issuer is a stranger of the same name.
    """
    own, named = issuer.key_ids[0], issued.key_ids[1]
    if own is None or named is None:
        return 0
    return 1 if own == named else -1


def _same(one: Facts, other: Facts) -> bool:
    """Whether both are of one name and key: a way that comes by there twice is a circle (RFC 4158 §5.2)."""
    return one.certificate == other.certificate or (
        one.key == other.key and one.subject_compared == other.subject_compared
    )


@lru_cache(maxsize=256)
def _check_signature(issued: x509.Certificate, issuer: x509.Certificate) -> None:
    """Whether `issuer`'s key signed it, with an algorithm and a key that may be believed (RFC 5280 §6.1.3 a 1).

    Remembered only for authorities just below a listed one: only those cannot be made by strangers.
    """
    try:
        key: object = issuer.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    try:
        strength.check_signature(issued, issued.tbs_certificate_bytes, key)
    except InvalidSignature:
        raise CertificateRefusedError("path-signature") from None


# --- rules


@dataclass(slots=True)
class _Candidate:
    """A way from the person's certificate to an anchor, with all signatures true. `policies`: set by their rule."""

    certificates: tuple[Facts, ...]
    wanted: Wanted
    at: datetime
    policies: frozenset[str] = frozenset()

    @property
    def leaf(self) -> Facts:
        return self.certificates[0]

    @property
    def authorities(self) -> tuple[Facts, ...]:
        """From the one that issued the person's certificate to the anchor."""
        return self.certificates[1:]

    def first(self, faulty: Callable[[Facts], bool], among: Sequence[Facts] | None = None) -> str:
        """Which certificate is faulty, in words that name nobody; "" if none is."""
        for each in self.certificates if among is None else among:
            if faulty(each):
                return self.place(each)
        return ""

    def place(self, certificate: Facts) -> str:
        """A certificate's place in the path: 0 is the person's."""
        return f"certificate {self.certificates.index(certificate)} of {len(self.certificates)}"


class Rule(NamedTuple):
    """One rule of path validation. `fault` says what breaks it, without a person's data; "" if nothing does."""

    code: str
    clause: str
    fault: Callable[[_Candidate], str]


def _version(path: _Candidate) -> str:
    return path.first(lambda each: each.certificate.version is not x509.Version.v3)


def _begun(path: _Candidate) -> str:
    return path.first(lambda each: path.at < each.not_before)


def _not_over(path: _Candidate) -> str:
    return path.first(lambda each: path.at > each.not_after)


_MAY_BE_CRITICAL = frozenset(each.dotted_string for each in PROCESSED)


def _critical(path: _Candidate) -> str:
    return path.first(lambda each: not each.critical <= _MAY_BE_CRITICAL)


def _authority_indeed(path: _Candidate) -> str:
    return path.first(lambda each: each.basic is None or not each.basic.ca, path.authorities)


def _may_certify(path: _Candidate) -> str:
    return path.first(lambda each: each.usage is not None and not each.usage.key_cert_sign, path.authorities)


def _short_enough(path: _Candidate) -> str:
    below = 0
    for each in path.authorities:
        if each.basic is not None and each.basic.path_length is not None and below > each.basic.path_length:
            return path.place(each)
        below += not each.self_issued
    return ""


def _constrained(path: _Candidate) -> str:
    for number, authority in enumerate(path.authorities, 1):
        if authority.constraints is None:
            continue
        if not authority.constraints_whole:
            return f"{path.place(authority)} has constraints with a minimum or maximum"
        for each in path.certificates[:number]:
            if each.self_issued and each is not path.leaf:
                continue
            found = names.constrained_names(each.subject, each.alternative)
            if fault := names.outside(found, authority.constraints):
                return f"{path.place(each)}: {fault}"
    return ""


def _under_policy(path: _Candidate) -> str:
    accepted = path.wanted.policies
    initial = Initial(accepted=accepted or None, explicit=bool(accepted)).at(path.certificates[-1].stated)
    try:
        path.policies = valid_policies([each.stated for each in reversed(path.certificates[:-1])], initial)
    except PolicyError as error:
        return str(error)
    return ""


def _for_this_use(path: _Candidate) -> str:
    usage, wanted = path.leaf.usage, path.wanted.key_usages
    if usage is None or not wanted or any(getattr(usage, each) for each in wanted):
        return ""
    return path.place(path.leaf)


def _for_this_purpose(path: _Candidate) -> str:
    """One of the purposes must be left by every certificate from the anchor down that states any."""
    wanted = left = path.wanted.extended_key_usages
    if not wanted:
        return ""
    for each in reversed(path.certificates[:-1]):
        any_will_do = each is not path.leaf or _ANY_EXTENDED_KEY_USAGE in wanted
        if each.extended is None or (any_will_do and _ANY_EXTENDED_KEY_USAGE in each.extended):
            continue
        left &= each.extended
        if not left:
            return path.place(each)
    return ""


def _strong(path: _Candidate) -> str:
    try:
        strength.key_of(path.leaf.key)
    except CertificateRefusedError as refused:
        return refused.detail
    return ""


# --- the library's opinion

_UNDERSTOOD = (x509.CertificatePolicies, x509.PolicyConstraints, x509.InhibitAnyPolicy, x509.CRLDistributionPoints)
_FREE = ExtensionPolicy.permit_all()
for _kind in _UNDERSTOOD:
    _FREE = _FREE.may_be_present(_kind, Criticality.AGNOSTIC, None)
_OF_AUTHORITIES = _FREE.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_COMPARED = (x509.DNSName, x509.RFC822Name, x509.IPAddress)
_BEYOND = frozenset({"2.5.29.33", "2.5.29.46"})  # critical policyMappings and freshestCRL


def _expressible(path: Sequence[Facts]) -> bool:
    """Whether the library's verifier knows everything that a path says.

    It compares names octet by octet and counts self-issued certificates for the path length (against §6.1.4 l).
    """
    for each, issuer in pairwise(path):
        if each.certificate.issuer.public_bytes() != issuer.subject.public_bytes():
            return False
    if any(each.self_issued for each in path[1:-1]):
        return False
    for each in path:
        if each.critical & _BEYOND:
            return False
        if each.constraints is not None:
            bases = (*(each.constraints.permitted_subtrees or ()), *(each.constraints.excluded_subtrees or ()))
            if not all(isinstance(base, _COMPARED) for base in bases):
                return False
    return True


def _second_opinion(path: _Candidate) -> str:
    """What the library's verifier, which knows the form of certificates (§4.1) in every detail, says of the path.

    Its own words may hold the person's name, so they are not passed on.
    """
    certificates = path.certificates
    if not _expressible(certificates):
        return ""
    verifier = (
        PolicyBuilder()
        .store(Store([certificates[-1].certificate]))
        .time(path.at)
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=_OF_AUTHORITIES, ee_policy=_FREE)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificates[0].certificate, [each.certificate for each in certificates[1:-1]])
    except (VerificationError, ValueError):
        return "the library's verifier refuses the path"
    return ""


# --- the table

RULES: tuple[Rule, ...] = (
    Rule("certificate-malformed", "RFC 5280 §4.1.2.1, version 3 where there are extensions", _version),
    Rule("not-yet-valid", "RFC 5280 §6.1.3 a 2", _begun),
    Rule("expired", "RFC 5280 §6.1.3 a 2", _not_over),
    Rule("unknown-critical-extension", "RFC 5280 §6.1.4 o, §6.1.5 f", _critical),
    Rule("not-a-ca", "RFC 5280 §6.1.4 k", _authority_indeed),
    Rule("key-usage", "RFC 5280 §6.1.4 n", _may_certify),
    Rule("path-length", "RFC 5280 §6.1.4 l, m", _short_enough),
    Rule("name-constraints", "RFC 5280 §6.1.3 b, c, §6.1.4 g", _constrained),
    Rule("policy", "RFC 5280 §6.1.3 d–f, §6.1.4 a, b, h–j, §6.1.5 a, b, g", _under_policy),
    Rule("key-usage", "RFC 5280 §4.2.1.3, the person's certificate", _for_this_use),
    Rule("extended-key-usage", "RFC 5280 §4.2.1.12, and what authorities' certificates limit", _for_this_purpose),
    Rule("weak-key", "strength.KEYS, the person's key", _strong),
    Rule("certificate-malformed", "RFC 5280 §4.1, §6.1, as the library reads it", _second_opinion),
)
"""What must hold for a path whose signatures are true (§6.1.3 a 1 and 4: names and signatures, by `_Building`).

Revocation (§6.1.3 a 3) is asked by `answer.py`.
"""


def _failed(path: _Candidate) -> tuple[int, CertificateRefusedError] | None:
    """The first rule that does not hold, by its number: the later, the better the path."""
    for number, rule in enumerate(RULES):
        if fault := rule.fault(path):
            return number, CertificateRefusedError(rule.code, fault)
    return None
