"""One certificate, read: everything that path validation asks of it, or `certificate-malformed`.

The library reads leniently and late, each field when it is first asked for; a stranger's certificate is read here
once, whole, so that nothing after this can fail for its form.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from federation.certificate.model import CertificateRefusedError
from federation.certificate.names import Canonical, canonical
from federation.certificate.policies import Stated

MAX_CERTIFICATE = 16 * 1024
"""Octets of the largest certificate that is read. Real ones have two or three thousand."""
_LONGEST_SERIAL = 20  # octets, RFC 5280 §4.1.2.2

_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        _POLICY_MAPPINGS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,  # the last three: revocation
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.FRESHEST_CRL,
    }
)
"""The extensions that are understood here or by the revocation check, and so may be critical (RFC 5280 §4.2)."""

T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What a certificate says. `key` may be of any kind; `strength.py` decides which is believed.

    `subject_compared`, `issuer_compared`: the names in the form in which names are compared (§7.1).
    `constraints_whole`: its name constraints say nothing that the library does not show. `key_ids`: its own and its
    issuer's key identifier, None where it has none. `whole_signature`: its signature ends with an octet, not with a bit
    before; the library reads both alike, and DER may not be written in two ways.
    """

    certificate: x509.Certificate = field(repr=False)
    subject: x509.Name = field(repr=False)
    subject_compared: Canonical = field(repr=False)
    issuer_compared: Canonical = field(repr=False)
    key: object = field(repr=False)
    serial: int = field(repr=False)
    not_before: datetime
    not_after: datetime
    basic: x509.BasicConstraints | None
    usage: x509.KeyUsage | None
    extended: frozenset[str] | None
    constraints: x509.NameConstraints | None
    constraints_whole: bool
    alternative: tuple[x509.GeneralName, ...] = field(repr=False)
    key_ids: tuple[bytes | None, bytes | None] = field(repr=False)
    stated: Stated
    critical: frozenset[str]
    whole_signature: bool

    @property
    def self_issued(self) -> bool:
        """Whether it was issued under its own name (RFC 5280 §3.2), though perhaps with another key."""
        return self.stated.self_issued

    def names(self, issuer: "Facts") -> bool:
        """Whether `issuer` has the name that it gives as its issuer's (§6.1.3 a 4, compared as §7.1 says)."""
        return self.issuer_compared == issuer.subject_compared


def read(der: bytes) -> Facts:
    """Read a certificate.

    Raises `CertificateRefusedError` certificate-malformed for anything that is not one, for one that RFC 5280 forbids
    to be issued (an extension twice, a serial number that is not positive), and for one too large to be real.
    """
    if len(der) > MAX_CERTIFICATE:
        raise CertificateRefusedError("certificate-malformed", "larger than any real one")
    if not _serial_is_sound(der):
        raise CertificateRefusedError("certificate-malformed", "no certificate, or no positive serial number")
    try:
        certificate = x509.load_der_x509_certificate(der)
    except _UNREADABLE:
        raise CertificateRefusedError("certificate-malformed", "no certificate") from None
    return facts(certificate)


_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,
)


def facts(certificate: x509.Certificate) -> Facts:
    """What a certificate that was loaded before says.

    Raises `CertificateRefusedError` certificate-malformed.
    """
    try:
        return _facts(certificate)
    except x509.DuplicateExtension:
        raise CertificateRefusedError("certificate-malformed", "an extension twice") from None
    except _UNREADABLE:
        raise CertificateRefusedError("certificate-malformed", "a field of it cannot be read") from None


def _facts(certificate: x509.Certificate) -> Facts:
    extensions = {each.oid: each for each in certificate.extensions}

    def value(oid: x509.ObjectIdentifier, kind: type[T]) -> T | None:
        found = extensions.get(oid)
        if found is None:
            return None
        if not isinstance(found.value, kind):
            raise ValueError("an extension of another form")  # noqa: TRY004 - one error for whatever is wrong
        return found.value

    extended = value(ExtensionOID.EXTENDED_KEY_USAGE, x509.ExtendedKeyUsage)
    alternative = value(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x509.SubjectAlternativeName)
    own_id = value(ExtensionOID.SUBJECT_KEY_IDENTIFIER, x509.SubjectKeyIdentifier)
    issuer_id = value(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, x509.AuthorityKeyIdentifier)
    policies = value(ExtensionOID.CERTIFICATE_POLICIES, x509.CertificatePolicies)
    mappings = value(_POLICY_MAPPINGS, x509.UnrecognizedExtension)
    limits = value(ExtensionOID.POLICY_CONSTRAINTS, x509.PolicyConstraints)
    inhibit_any = value(ExtensionOID.INHIBIT_ANY_POLICY, x509.InhibitAnyPolicy)
    constraints = value(ExtensionOID.NAME_CONSTRAINTS, x509.NameConstraints)
    der = certificate.public_bytes(Encoding.DER)
    subject = certificate.subject
    subject_compared, issuer_compared = canonical(subject), canonical(certificate.issuer)
    return Facts(
        certificate=certificate,
        subject=subject,
        subject_compared=subject_compared,
        issuer_compared=issuer_compared,
        key=_key(certificate),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        basic=value(ExtensionOID.BASIC_CONSTRAINTS, x509.BasicConstraints),
        usage=value(ExtensionOID.KEY_USAGE, x509.KeyUsage),
        extended=_dotted(extended) if extended is not None else None,
        constraints=constraints,
        constraints_whole=constraints is None or constraints.public_bytes() in certificate.tbs_certificate_bytes,
        alternative=tuple(alternative) if alternative is not None else (),
        key_ids=(own_id.digest if own_id else None, issuer_id.key_identifier if issuer_id else None),
        stated=Stated(
            policies=_dotted(each.policy_identifier for each in policies) if policies is not None else None,
            mappings=_mappings(mappings.value) if mappings is not None else (),
            require_explicit=limits.require_explicit_policy if limits is not None else None,
            inhibit_mapping=limits.inhibit_policy_mapping if limits is not None else None,
            inhibit_any=inhibit_any.skip_certs if inhibit_any is not None else None,
            self_issued=subject_compared == issuer_compared,
        ),
        critical=_dotted(oid for oid, each in extensions.items() if each.critical),
        whole_signature=not der[-len(certificate.signature) - 1],
    )


def _key(certificate: x509.Certificate) -> object:
    """Its public key; None if it is of a kind that the library does not know."""
    try:
        return certificate.public_key()
    except UnsupportedAlgorithm:
        return None


def _dotted(identifiers: Iterable[x509.ObjectIdentifier]) -> frozenset[str]:
    return frozenset(each.dotted_string for each in identifiers)


def _mappings(der: bytes) -> tuple[tuple[str, str], ...]:
    """Policy mappings (RFC 5280 §4.2.1.5), which the library does not read."""
    found = asn1.PolicyMappings.load(der, strict=True)
    return tuple((each["issuer_domain_policy"].dotted, each["subject_domain_policy"].dotted) for each in found)


# --- before the library sees it

_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_LONG_FORM = 0x80


def _serial_is_sound(der: bytes) -> bool:
    """Whether the serial number is positive and has at most 20 octets (RFC 5280 §4.1.2.2).

    The library only warns of others on standard error, so it never sees them.
    """
    found = _content(der, 0, _SEQUENCE)
    found = found and _content(der, found[0], _SEQUENCE)
    if not found:
        return False
    at = found[0]
    version = _content(der, at, _VERSION)
    serial = _content(der, version[1] if version else at, _INTEGER)
    if not serial:
        return False
    octets = der[serial[0] : serial[1]]
    return 0 < len(octets) <= _LONGEST_SERIAL and octets[0] < _LONG_FORM and any(octets)


def _content(der: bytes, at: int, tag: int) -> tuple[int, int] | None:
    """Where the content of the DER element at an offset begins and ends; None if it has another tag."""
    if at + 2 > len(der) or der[at] != tag:
        return None
    length, begin = der[at + 1], at + 2
    if length > _LONG_FORM:
        begin += length - _LONG_FORM
        length = int.from_bytes(der[at + 2 : begin], "big")
    elif length == _LONG_FORM:
        return None
    return (begin, begin + length) if begin + length <= len(der) else None
