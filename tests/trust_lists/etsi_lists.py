"""Builders of ETSI TS 119 612 lists: an authority, its scheme, its members, and hostile hands on signed ones."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from tests.trust_lists.builders import Authority, authority
from trust_lists import etsi_xml, xades
from trust_lists.entries import Entry, supply_point
from trust_lists.model import Role, Status, StatusChange, TrustedEntity, TrustList
from trust_lists.scheme import Scheme
from trust_lists.xmldsig import Signer

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(days=90)
NAME = "maebashi-certificates"

TSL = "http://uri.etsi.org/02231/v2#"
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
QUALIFIED = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
GRANTED = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
WITHDRAWN = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"

MAEBASHI = Scheme(
    operator={"en": "City of Maebashi", "ja": "前橋市"},
    information="https://www.maebashi.example.jp/trust",
    postal_address={"en": "2-12-1 Otemachi, Maebashi", "ja": "前橋市大手町二丁目12番1号"},
    contact="mailto:id@maebashi.example.jp",
)


@cache
def operator(name: str = "scheme operator", kind: str = "ec") -> Authority:
    """An authority whose certificate is in its own dates for decades, for peers that look at them."""
    if kind != "ec":
        return authority(name, kind)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        der=certificate.public_bytes(Encoding.DER),
    )


@cache
def signer_of(by: Authority) -> Signer:
    """The authority's signer, loaded once."""
    return by.signer


def certificate_authority(name: str = "ca", **changes: Any) -> Entry:
    """A certificate authority under the Electronic Signatures Act, with a past."""
    entity = TrustedEntity(
        entity_id=f"https://{name}.example/",
        roles=frozenset({Role.CERTIFICATE_AUTHORITY}),
        listed_in=NAME,
        valid_until=UNTIL,
        municipality="102016",
        names={"en": "Accredited CA", "ja": "特定認証業務"},
        signing_certificates=(authority(name).der,),
        endpoints=(supply_point(Role.CERTIFICATE_AUTHORITY, f"https://{name}.example/crl"),),
        maximum_identity=2,
        status_since=datetime(2025, 4, 1, tzinfo=UTC),
        history=(
            StatusChange(Status.WITHDRAWN, datetime(2024, 4, 1, tzinfo=UTC), WITHDRAWN),
            StatusChange(Status.GRANTED, datetime(2020, 4, 1, tzinfo=UTC), GRANTED),
        ),
        uses=frozenset({"civic", "mobility"}),
        service_type=QUALIFIED,
    )
    return Entry(entity=replace(entity, **changes), information=f"https://{name}.example/about")


def relying_party(name: str = "rp", **changes: Any) -> Entry:
    """An OpenID relying party, whose identifier is no address."""
    entity = TrustedEntity(
        entity_id=f"town-{name}",
        roles=frozenset({Role.OPENID_RELYING_PARTY}),
        listed_in=NAME,
        valid_until=UNTIL,
        names={"en": "Participation & more"},
        status_since=datetime(2025, 4, 1, tzinfo=UTC),
        metadata={
            "redirect_uris": [f"https://{name}.example/callback"],
            "token_endpoint_auth_method": "client_secret_basic",
            "client_name#ja": "市民参加 <サイト>",
        },
    )
    return Entry(entity=replace(entity, **changes))


def council_member(code: str = "102016", **changes: Any) -> Entry:
    """A municipality in the council."""
    entity = TrustedEntity(
        entity_id=f"urn:example:{code}",
        roles=frozenset({Role.COUNCIL_MEMBER}),
        listed_in=NAME,
        valid_until=UNTIL,
        municipality=code,
        names={"en": "City of Maebashi"},
        status=Status.RECOGNISED,
        status_since=NOW,
    )
    return Entry(entity=replace(entity, **changes), postal_address={"en": "Otemachi", "ja": "大手町"})


def publish(*members: object, by: Authority | None = None, **options: Any) -> bytes:
    """A signed list of these members."""
    signing = by or operator()
    options = {
        "key_pem": signing.key_pem,
        "certificate_pem": signing.certificate_pem,
        "name": NAME,
        "scheme": MAEBASHI,
        "issued_at": NOW,
        "valid_until": UNTIL,
        "sequence": 7,
        **options,
    }
    return etsi_xml.publish(members, **options)


def read(document: bytes, *, by: Authority | None = None, **options: Any) -> TrustList:
    """Read with an authority's certificate."""
    return etsi_xml.read(document, **{"name": NAME, "anchors": [(by or operator()).der], "now": NOW, **options})


def stripped(document: bytes) -> etree._Element:
    """The tree of a list without its signature."""
    root = etree.fromstring(document)
    for signature in root.findall(f"{{{DS}}}Signature"):
        root.remove(signature)
    return root


def resigned(document: bytes, change: Callable[[etree._Element], object], by: Authority | None = None) -> bytes:
    """The list as its authority would have signed it after this change."""
    root = stripped(document)
    change(root)
    return xades.sign(etree.tostring(root), signer=signer_of(by or operator()), signing_time=NOW)


def setting(path: str, text: str) -> Callable[[etree._Element], object]:
    """A change of the text at a path, whose steps are names of the list's namespace."""

    def change(root: etree._Element) -> None:
        at(root, path).text = text

    return change


def at(root: etree._Element, path: str) -> etree._Element:
    """The element at a path of names of the list's namespace; `//name` finds it wherever it is."""
    steps = path.removeprefix("//").split("/")
    qualified = "/".join(f"{{{TSL}}}{step}" for step in steps)
    found = root.find(f".//{qualified}" if path.startswith("//") else qualified)
    assert found is not None, path
    return found


def adding(path: str, *children: str) -> Callable[[etree._Element], object]:
    """A change that adds XML, in the list's namespace unless it says otherwise, at the end of the element at a path."""

    def change(root: etree._Element) -> None:
        for child in children:
            at(root, path).append(etree.fromstring(f'<w xmlns="{TSL}">{child}</w>')[0])

    return change


def removing(path: str) -> Callable[[etree._Element], object]:
    """A change that takes out the element at a path."""

    def change(root: etree._Element) -> None:
        found = at(root, path)
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)

    return change


def reasons(found: TrustList) -> Sequence[str]:
    """Why entries were dropped."""
    return [fault.reason for fault in found.faults]


# --- signatures


def part(root: etree._Element, name: str, namespace: str = DS) -> etree._Element:
    """The first element of that name in a list's signature."""
    found = next(root.iter(f"{{{namespace}}}{name}"), None)
    assert found is not None, name
    return found


def resealed(
    document: bytes, change: Callable[[etree._Element], object], by: Authority | None = None, digest: str = "sha256"
) -> bytes:
    """The list with its signature changed, as whoever holds the key would make it: digests and value anew."""
    root = etree.fromstring(document)
    change(root)
    signature = part(root, "Signature")
    for reference in signature.iter(f"{{{DS}}}Reference"):
        if reference.get("Type"):
            octets = _canonical(part(root, "SignedProperties", XADES))
        else:
            octets = _canonical(stripped(etree.tostring(root)))
        value = base64.b64encode(hashlib.new(digest, octets).digest()).decode()
        part(reference, "DigestValue").text = value
    signed = signer_of(by or operator()).sign(_canonical(part(root, "SignedInfo")))
    part(root, "SignatureValue").text = base64.b64encode(signed).decode()
    return etree.tostring(root)


def _canonical(element: etree._Element) -> bytes:
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    return etree.tostring(alone, method="c14n", exclusive=True, with_comments=False)
