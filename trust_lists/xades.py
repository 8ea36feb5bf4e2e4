"""XAdES baseline-B signatures over a whole list: making them, and deciding which bytes were really signed.

ETSI TS 119 612 §5.7 and annex B: an enveloped signature (ETSI EN 319 132-1) that is the last child of the list and
has two References, one to the list and one to its own SignedProperties, which name the signing time and certificate.
`XADES_RULES` is the table beside `xmlgate.RULES` (which hold SAML signatures, with one Reference and no ds:Object):
the document keeps `xmlgate`'s rules of octets and tree, then every rule here. Then as in `xmldsig`: only a
pinned key verifies, KeyInfo is never read, and callers parse the canonical bytes whose digest was signed.

SignedProperties are canonicalised with exclusive C14N and nothing else: without a transform they would be taken in
inclusive C14N, whose octets depend on namespaces that stand outside of what is signed.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from lxml import etree

from trust_lists import certificates, xmldsig
from trust_lists.model import VerifiedBytes
from trust_lists.times import format_instant, parse_instant
from trust_lists.xmldsig import Signer
from trust_lists.xmlgate import (
    DIGEST_ALGORITHMS,
    DS,
    ENVELOPED,
    EXCLUSIVE_C14N,
    NC_NAME,
    SHA256,
    SIGNATURE_ALGORITHMS,
    Element,
    Limits,
    Rule,
    SignatureRefusedError,
    few_prefixes,
    harmless_key_info,
    is_enveloped,
    is_exclusive,
    parse,
    shape,
)

XADES = "http://uri.etsi.org/01903/v1.3.2#"
PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"

_SIGNATURE = f"{{{DS}}}Signature"
_QUALIFYING = f"{{{XADES}}}QualifyingProperties"
_SIGNED = f"{{{XADES}}}SignedProperties"
_OF_SIGNATURE = f"{{{XADES}}}SignedSignatureProperties"
_OF_DATA = f"{{{XADES}}}SignedDataObjectProperties"
_SIGNING_TIME = f"{{{XADES}}}SigningTime"
_POLICY = f"{{{XADES}}}SignaturePolicyIdentifier"
_POLICY_IMPLIED = f"{{{XADES}}}SignaturePolicyImplied"
_CERTIFICATE_PROPERTIES = (f"{{{XADES}}}SigningCertificate", f"{{{XADES}}}SigningCertificateV2")
_CERT = f"{{{XADES}}}Cert"
_CERT_DIGEST = f"{{{XADES}}}CertDigest"
_FORMAT = f"{{{XADES}}}DataObjectFormat"
_KNOWN = frozenset(
    {
        _SIGNING_TIME,
        _POLICY,
        *_CERTIFICATE_PROPERTIES,
        *(
            f"{{{XADES}}}{name}"
            for name in ("SignatureProductionPlace", "SignatureProductionPlaceV2", "SignerRole", "SignerRoleV2")
        ),
    }
)

_NEVER = (
    *(f"{{{DS}}}{name}" for name in ("Manifest", "SignatureProperties", "RetrievalMethod")),
    f"{{{XADES}}}UnsignedProperties",
    f"{{{XADES}}}QualifyingPropertiesReference",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class XadesParts:
    """The places of a list's signature that the rules look at. A part that is missing is an empty element."""

    root: Element
    signature: Element
    info: Element
    listed: Element
    """The Reference to the list."""
    own: Element
    """The Reference to the SignedProperties: the one that says so by its Type."""
    listed_transforms: Element
    own_transforms: Element
    object: Element
    qualifying: Element
    properties: Element


def _in_place(parts: XadesParts) -> bool:
    """Tell whether it is a child of the root, and its last element."""
    return parts.signature.getparent() is parts.root and next(parts.signature.itersiblings(etree.Element), None) is None


def _alone(parts: XadesParts) -> bool:
    return len(list(islice(parts.root.iter(_SIGNATURE), 2))) == 1


_SHAPES = (("SignedInfo", "SignatureValue", "Object"), ("SignedInfo", "SignatureValue", "KeyInfo", "Object"))
_INFO_SHAPE = ("CanonicalizationMethod", "SignatureMethod", "Reference", "Reference")
_REFERENCE_SHAPE = ("Transforms", "DigestMethod", "DigestValue")


def _typed(parts: XadesParts) -> bool:
    """Tell whether one Reference has the Type of SignedProperties, and the other one no Type."""
    types = [reference.get("Type") or None for reference in list(parts.info)[2:]]
    return sorted(types, key=str) == sorted([None, PROPERTIES_TYPE], key=str)


def _names_list(parts: XadesParts) -> bool:
    """Tell whether the Reference names the list: the whole document, or the root's Id."""
    uri = parts.listed.get("URI")
    return uri == "" or (bool(NC_NAME.fullmatch(parts.root.get("Id", ""))) and uri == f"#{parts.root.get('Id')}")


def _names_properties(parts: XadesParts) -> bool:
    found = parts.properties.get("Id", "")
    return bool(NC_NAME.fullmatch(found)) and parts.own.get("URI") == f"#{found}"


def _references(parts: XadesParts) -> tuple[Element, Element]:
    return parts.listed, parts.own


def _properties_shape(parts: XadesParts) -> bool:
    """Tell whether each property is known, and the time and the certificate stand there once (EN 319 132-1 §6.3)."""
    tags = [str(group.tag) for group in parts.properties]
    if tags not in ([_OF_SIGNATURE], [_OF_SIGNATURE, _OF_DATA]):
        return False
    found = [str(stated.tag) for stated in parts.properties[0]]
    if found.count(_SIGNING_TIME) != 1 or sum(found.count(name) for name in _CERTIFICATE_PROPERTIES) != 1:
        return False
    formats = [str(stated.tag) for group in list(parts.properties)[1:] for stated in group]
    return _KNOWN.issuperset(found) and {_FORMAT}.issuperset(formats)


def _no_policy(parts: XadesParts) -> bool:
    """Tell whether there is no signature policy to be kept but the implied one."""
    return all([e.tag for e in stated] == [_POLICY_IMPLIED] for stated in parts.properties.iter(_POLICY))


def _nothing_else(parts: XadesParts) -> bool:
    objects = parts.root.iter(f"{{{DS}}}Object")
    return next(parts.root.iter(*_NEVER), None) is None and len(list(islice(objects, 2))) == 1


XADES_RULES = (
    Rule("signature", "two-signatures", "one signature in the document", _alone),
    Rule("signature", "signature-place", "it is the last child of the root", _in_place),
    Rule(
        "signature",
        "signature-shape",
        "SignedInfo, a plain SignatureValue, KeyInfo if any, one Object",
        lambda p: shape(p.signature) in _SHAPES and not len(p.signature[1]),
    ),
    Rule(
        "signature",
        "signed-info-shape",
        "two methods and exactly two References",
        lambda p: shape(p.info) == _INFO_SHAPE,
    ),
    Rule("signature", "canonicalization", "exclusive C14N without comments", lambda p: is_exclusive(p.info[0])),
    Rule(
        "signature",
        "signature-algorithm",
        "RSA or ECDSA with SHA-256 or better",
        lambda p: p.info[1].get("Algorithm") in SIGNATURE_ALGORITHMS,
    ),
    Rule("signature", "signature-parameters", "the algorithm has no parameters", lambda p: not len(p.info[1])),
    Rule("signature", "reference-type", "one Reference is to SignedProperties, the other to the list", _typed),
    Rule("signature", "reference-uri", "the Reference names the whole list", _names_list),
    Rule(
        "signature",
        "object-shape",
        "the Object holds QualifyingProperties, which hold SignedProperties, and nothing else",
        lambda p: [e.tag for e in p.object] == [_QUALIFYING] and [e.tag for e in p.qualifying] == [_SIGNED],
    ),
    Rule("signature", "properties-uri", "the other Reference names the SignedProperties", _names_properties),
    Rule(
        "signature",
        "properties-target",
        "QualifyingProperties qualify this signature",
        lambda p: p.signature.get("Id") and p.qualifying.get("Target") == f"#{p.signature.get('Id')}",
    ),
    Rule(
        "signature",
        "reference-shape",
        "transforms, digest method, a plain digest value",
        lambda p: all(shape(r) == _REFERENCE_SHAPE and not len(r[2]) for r in _references(p)),
    ),
    Rule(
        "signature",
        "transforms-shape",
        "two transforms for the list, one for the SignedProperties",
        lambda p: (shape(p.listed_transforms), shape(p.own_transforms)) == (("Transform",) * 2, ("Transform",)),
    ),
    Rule(
        "signature",
        "transforms",
        "enveloped signature, then exclusive C14N; for the SignedProperties exclusive C14N",
        lambda p: (
            is_enveloped(p.listed_transforms[0])
            and is_exclusive(p.listed_transforms[1])
            and is_exclusive(p.own_transforms[0])
        ),
    ),
    Rule(
        "signature",
        "inclusive-prefixes",
        "few inclusive prefixes",
        lambda p: all(map(few_prefixes, (p.info[0], p.listed_transforms[1], p.own_transforms[0]))),
    ),
    Rule(
        "signature",
        "digest-algorithm",
        "SHA-256 or better",
        lambda p: all(r[1].get("Algorithm") in DIGEST_ALGORITHMS for r in _references(p)),
    ),
    Rule("signature", "key-info", "names, values and certificates only", lambda p: harmless_key_info(p.signature)),
    Rule("signature", "signed-properties", "known ones; one signing time, one signing certificate", _properties_shape),
    Rule("signature", "signature-policy", "no signature policy other than the implied one", _no_policy),
    Rule("signature", "stray-signature-part", "no other Object, no Manifest, no unsigned properties", _nothing_else),
)
"""Every rule of a list's signature, in the order in which they are asked; the first broken one refuses under its code.

They come after the rules of octets and tree in `xmlgate.RULES`.
"""


# --- verifying


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A list whose signature holds: its exclusive-C14N bytes without the signature, by which anchor, and when."""

    octets: VerifiedBytes
    anchor: bytes
    signed_at: datetime


def verify(document: bytes, *, anchors: Sequence[bytes], expected_root: str, limits: Limits) -> Verified:
    """Verify the signature over the root of `document`.

    `anchors` are DER certificates or bare public keys; no other key is ever used. The certificate that the
    signature names must be the anchor itself; a bare key says nothing of certificates. Raises
    `SignatureRefusedError`: the code of a rule, or `malformed`, `unsigned`, `no-key`, `signature`, `digest`,
    `properties-digest`, `signing-certificate`, `signing-time`. Whether the signing time lies in the future is for the
    caller to ask.
    """
    root = parse(document, limits=limits, roots=(expected_root,))
    signature = root.find(_SIGNATURE)
    if signature is None:
        raise SignatureRefusedError("signature-place" if next(root.iter(_SIGNATURE), None) is not None else "unsigned")
    parts = _parts(root, signature)
    for rule in XADES_RULES:
        if not rule.kept(parts):
            raise SignatureRefusedError(rule.code)
    anchor, info = _signed_info(signature, anchors)
    listed, own = (info[3], info[2]) if info[2].get("Type") == PROPERTIES_TYPE else (info[2], info[3])
    properties = _digested(parts.properties, own, own[0][0], "properties-digest")
    signed_at = _signing_time(properties)
    _check_certificate(properties, anchor)
    xmldsig.remove(signature)
    return Verified(octets=_digested(root, listed, listed[0][1], "digest"), anchor=anchor, signed_at=signed_at)


def _parts(root: Element, signature: Element) -> XadesParts:
    nothing = etree.Element("nothing")

    def within(element: Element, name: str) -> Element:
        found = element.find(name)
        return nothing if found is None else found

    info = within(signature, f"{{{DS}}}SignedInfo")
    references = info.findall(f"{{{DS}}}Reference")
    own = next((r for r in references if r.get("Type") == PROPERTIES_TYPE), nothing)
    listed = next((r for r in references if r is not own), nothing)
    held = within(signature, f"{{{DS}}}Object")
    qualifying = within(held, _QUALIFYING)
    return XadesParts(
        root=root,
        signature=signature,
        info=info,
        listed=listed,
        own=own,
        listed_transforms=within(listed, f"{{{DS}}}Transforms"),
        own_transforms=within(own, f"{{{DS}}}Transforms"),
        object=held,
        qualifying=qualifying,
        properties=within(qualifying, _SIGNED),
    )


def _signed_info(signature: Element, anchors: Sequence[bytes]) -> tuple[bytes, Element]:
    """Find the anchor that verifies the signature's value; it, and SignedInfo out of the octets that were signed."""
    refused = SignatureRefusedError("no-key")
    for anchor in anchors:
        try:
            return anchor, xmldsig.signed_info(signature, certificates=(anchor,))
        except SignatureRefusedError as error:
            if error.code not in ("no-key", "signature"):
                raise
            refused = error if error.code == "signature" else refused
    raise refused


def _digested(element: Element, reference: Element, transform: Element, code: str) -> VerifiedBytes:
    """Canonicalise, and compare with the signed digest. Raises `SignatureRefusedError` under `code`."""
    algorithm, stated = xmldsig.stated_digest(reference)
    octets = xmldsig.canonical(element, xmldsig.inclusive(transform))
    if not hmac.compare_digest(hashlib.new(algorithm, octets).digest(), stated):
        raise SignatureRefusedError(code)
    return VerifiedBytes(octets)


def _signing_time(properties: VerifiedBytes) -> datetime:
    stated = xmldsig.parse_verified(properties)[0].findtext(_SIGNING_TIME, "")
    try:
        return parse_instant(stated.strip())
    except ValueError:
        raise SignatureRefusedError("signing-time") from None


def _check_certificate(properties: VerifiedBytes, anchor: bytes) -> None:
    """Hold the signing certificate, the first that is named, against the anchor if that is a certificate.

    EN 319 132-1 §5.2.2, with or without V2: the digest decides; the issuer's name and serial number say no more.
    """
    first = next(xmldsig.parse_verified(properties)[0].iter(_CERT), None)
    digest = None if first is None else first.find(_CERT_DIGEST)
    if digest is None or shape(digest) != ("DigestMethod", "DigestValue"):
        raise SignatureRefusedError("signing-certificate")
    algorithm = DIGEST_ALGORITHMS.get(digest[0].get("Algorithm", ""))
    if algorithm is None:
        raise SignatureRefusedError("signing-certificate")
    if not certificates.is_certificate(anchor):
        return
    expected = base64.b64encode(hashlib.new(algorithm, anchor).digest()).decode()
    if not hmac.compare_digest("".join((digest[1].text or "").split()).encode(), expected.encode()):
        raise SignatureRefusedError("signing-certificate")


# --- signing


def sign(document: bytes, *, signer: Signer, signing_time: datetime) -> bytes:
    """Sign the whole of a document of our own making, in canonical form, as the last child of its root.

    The certificate is the one that readers pin. Raises `ValueError` if the root is empty or signed already, and
    `SignatureRefusedError`, code `malformed`, for texts that XML cannot express.
    """
    octets = xmldsig.canonical_message(document)
    root = xmldsig.parse_verified(VerifiedBytes(octets))
    if not len(root) or next(root.iter(_SIGNATURE), None) is not None:
        raise ValueError("the document is empty, or it is signed already")
    properties = _PROPERTIES.format(time=format_instant(signing_time), certificate=_digest(signer.certificate_der))
    info = _SIGNED_INFO.format(
        algorithm=signer.algorithm,
        listed=_digest(octets),
        properties=_digest(xmldsig.canonical_message(properties.encode())),
    )
    value = base64.b64encode(signer.sign(xmldsig.canonical_message(info.encode()))).decode()
    certificate = base64.b64encode(signer.certificate_der).decode()
    signature = _SIGNED_WITH.format(info=info, value=value, certificate=certificate, properties=properties)
    end = octets.rindex(b"</")
    return octets[:end] + xmldsig.canonical_message(signature.encode()) + octets[end:]


def _digest(octets: bytes) -> str:
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


_SIGNATURE_ID = "list-signature"
_PROPERTIES_ID = "list-signature-properties"
_REFERENCE_ID = "list-reference"
_PROPERTIES = (
    f'<xades:SignedProperties xmlns:xades="{XADES}" Id="{_PROPERTIES_ID}"><xades:SignedSignatureProperties>'
    "<xades:SigningTime>{time}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{SHA256}"/>'
    f'<ds:DigestValue xmlns:ds="{DS}">{{certificate}}</ds:DigestValue></xades:CertDigest></xades:Cert>'
    "</xades:SigningCertificateV2></xades:SignedSignatureProperties><xades:SignedDataObjectProperties>"
    f'<xades:DataObjectFormat ObjectReference="#{_REFERENCE_ID}"><xades:MimeType>text/xml</xades:MimeType>'
    "</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
)
_SIGNED_INFO = (
    f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE_C14N}"/>'
    '<ds:SignatureMethod Algorithm="{algorithm}"/>'
    f'<ds:Reference Id="{_REFERENCE_ID}" URI=""><ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/>'
    f'<ds:Transform Algorithm="{EXCLUSIVE_C14N}"/></ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"/>'
    "<ds:DigestValue>{listed}</ds:DigestValue></ds:Reference>"
    f'<ds:Reference Type="{PROPERTIES_TYPE}" URI="#{_PROPERTIES_ID}"><ds:Transforms>'
    f'<ds:Transform Algorithm="{EXCLUSIVE_C14N}"/></ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"/>'
    "<ds:DigestValue>{properties}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
_SIGNED_WITH = (
    f'<ds:Signature xmlns:ds="{DS}" Id="{_SIGNATURE_ID}">{{info}}<ds:SignatureValue>{{value}}</ds:SignatureValue>'
    "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    f'<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}" Target="#{_SIGNATURE_ID}">{{properties}}'
    "</xades:QualifyingProperties></ds:Object></ds:Signature>"
)
