"""What a certificate says of its holder: attributes, and the name by which its issuer promises to know the person.

| name | what |
|---|---|
| `subject.commonName`, `subject.serialNumber`, … | the subject's distinguished name (X.520, RFC 4519), all values |
| `san.email` | rfc822Name of subjectAltName |
| `san.otherName.OID` | an otherName of that type which is a character string |
| `jpki.name`, `jpki.address`, … | the otherNames of the public personal authentication service (JPKI), by meaning |

`subject.serialNumber` is a person's number in their name (X.520 §6.2.9). The certificate's own serial number is
nobody's name: the next certificate has another. It is never given out, not even where an issuer repeats it in the
subject; neither are the key and the certificate as it stands.

Values stay exactly as the issuer wrote them. Unicode normalisation would make one person of two whom their issuer
tells apart (NFC replaces compatibility ideographs, of which names are made); that a changed spelling makes two of one
is told to the person, and can be mended.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.certificate.model import CertificateRefusedError, Path
from federation.oidc.jose import base64url

KEY = "key"
"""The field of an issuer that promises nothing: the person is whoever holds this key (SHA-256 of its SPKI)."""

ACCREDITED = "accredited-certificate"
JPKI = "signing-certificate"

NAMES: Mapping[str, str] = {
    "2.5.4.3": "commonName",
    "2.5.4.4": "surname",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "countryName",
    "2.5.4.7": "localityName",
    "2.5.4.8": "stateOrProvinceName",
    "2.5.4.9": "streetAddress",
    "2.5.4.10": "organizationName",
    "2.5.4.11": "organizationalUnitName",
    "2.5.4.12": "title",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "givenName",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "userId",
    "0.9.2342.19200300.100.1.25": "domainComponent",
    "1.2.840.113549.1.9.1": "emailAddress",
}
"""What of a distinguished name becomes an attribute, under X.520's long names."""

JPKI_FIELDS: Mapping[str, str] = {
    "1.2.392.200149.8.5.5.1": "name",
    "1.2.392.200149.8.5.5.2": "name-substitutes",
    "1.2.392.200149.8.5.5.3": "sex",
    "1.2.392.200149.8.5.5.4": "dateOfBirth",
    "1.2.392.200149.8.5.5.5": "address",
    "1.2.392.200149.8.5.5.6": "address-substitutes",
}
"""The otherNames of JPKI's signing certificates."""

MAX_VALUE = 1024
"""Characters of the longest value that becomes an attribute."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, surrogates, line ends. Spaces of any width and variation selectors are in names."""

_FIELD = re.compile(r"key|subject\.[A-Za-z]+|jpki\.[A-Za-z-]+|san\.email|san\.otherName\.[0-2](?:\.(?:0|[1-9][0-9]*))+")
_SINGLE_LENGTH = 0x80
_STRINGS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x16: "ascii", 0x1A: "ascii", 0x1E: "utf-16-be"}
"""UTF8String, NumericString, PrintableString, IA5String, VisibleString, BMPString (X.680 §8.6), and their octets."""


def attributes(certificate: x509.Certificate) -> Mapping[str, tuple[str, ...]]:
    """Everything that a certificate says of its holder, under this file's names. No value is empty."""
    own = own_numbers(certificate)
    found: dict[str, list[str]] = {}
    for name, value in _stated(certificate):
        if value.strip() and len(value) <= MAX_VALUE and _comparable(value) not in own:
            found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def evidence(name: str) -> str:
    """How an attribute is known (`federation.evidence`)."""
    return JPKI if name.startswith("jpki.") else ACCREDITED


def is_field(name: str) -> bool:
    """Whether a person may be known by this field of certificates."""
    prefix, _, rest = name.partition(".")
    if not _FIELD.fullmatch(name):
        return False
    return (prefix != "subject" or rest in NAMES.values()) and (prefix != "jpki" or rest in JPKI_FIELDS.values())


def subject_id(path: Path, field: str, said: Mapping[str, tuple[str, ...]] | None = None) -> str:
    """The issuer's word for the person: the only value of the configured field, after the field's name.

    `said` are the certificate's `attributes`, if the caller has them.
    The field's name makes that values of two fields never meet; whose word it is stands beside it (the ID system).
    Raises `CertificateRefusedError` subject-missing, and `ValueError` for what is no field (the certificate's serial).
    """
    if not is_field(field):
        raise ValueError(f"no field by which a person may be known: {field}")
    if field == KEY:
        spki = path.leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"{KEY}:{base64url(hashlib.sha256(spki).digest())}"
    stated = [value for name, value in _stated(path.leaf) if name == field]
    if len(stated) != 1:
        raise CertificateRefusedError("subject-missing", f"{len(stated)} values of {field}")
    (value,) = (attributes(path.leaf) if said is None else said).get(field, ("",))
    if not value or value != value.strip() or any(unicodedata.category(each) in _UNSEEN for each in value):
        raise CertificateRefusedError("subject-missing", f"{field} is empty, or has characters that nobody sees")
    return f"{field}:{value}"


def own_numbers(certificate: x509.Certificate) -> frozenset[str]:
    """The certificate's own serial number in the ways in which an issuer might repeat it."""
    serial = certificate.serial_number
    return frozenset({str(serial), f"{serial:x}"}) if serial.bit_length() > _SMALL else frozenset()


_SMALL = 32  # bits; a certificate's serial number has 64 of chance, and a small number says nothing by being the same


def _comparable(value: str) -> str:
    """A value as a serial number would be written: without separators, leading zeros and 0x, in lower case."""
    return re.sub(r"[\s:.-]", "", value).lower().removeprefix("0x").lstrip("0")


def _stated(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    for each in certificate.subject:
        name = NAMES.get(each.oid.dotted_string)
        if name is not None and isinstance(each.value, str):
            yield f"subject.{name}", each.value
    for general in _alternative_names(certificate):
        if type(general) is x509.RFC822Name:  # isinstance asks an abstract class, which costs ten times as much
            yield "san.email", general.value
        elif type(general) is x509.OtherName:
            text, oid = character_string(general.value), general.type_id.dotted_string
            if text is not None:
                yield f"san.otherName.{oid}", text
                if oid in JPKI_FIELDS:
                    yield f"jpki.{JPKI_FIELDS[oid]}", text


def _alternative_names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    try:
        yield from certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return


def character_string(der: bytes) -> str | None:
    """The text of one DER character string, None for anything else."""
    if len(der) < 2 or der[0] not in _STRINGS:  # noqa: PLR2004 - a tag and a length
        return None
    length, start = der[1], 2
    if length >= _SINGLE_LENGTH:
        start += length - _SINGLE_LENGTH
        length = int.from_bytes(der[2:start], "big")
        if length < _SINGLE_LENGTH or der[2] == 0:
            return None
    if len(der) != start + length:
        return None
    try:
        return der[start:].decode(_STRINGS[der[0]])
    except UnicodeDecodeError:
        return None


def stated_policies(certificate: x509.Certificate) -> frozenset[str]:
    """The policies that a certificate states itself (RFC 5280 §4.2.1.4), whatever the path makes of them."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(each.policy_identifier.dotted_string for each in found)
