"""SAML messages as octets and as values: names, encodings, instants.

Nothing here decides whether a message is believed.
"""

import base64
import binascii
import secrets
import zlib
from datetime import datetime
from typing import Any, TypeVar
from xml.etree import ElementTree as ET  # pysaml2's messages are made of it

import saml2
from saml2 import md, saml, samlp

from trust_lists.times import format_instant, parse_instant
from trust_lists.xmldsig import canonical
from trust_lists.xmlgate import DS, MESSAGE_LIMITS, SAML, Element, Limits, SignatureRefusedError, gate

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

PERSISTENT = saml.NAMEID_FORMAT_PERSISTENT
TRANSIENT = saml.NAMEID_FORMAT_TRANSIENT
UNSPECIFIED = saml.NAMEID_FORMAT_UNSPECIFIED
URI_NAMES = saml.NAME_FORMAT_URI
BASIC_NAMES = saml.NAME_FORMAT_BASIC

SUCCESS = samlp.STATUS_SUCCESS
REQUESTER = samlp.STATUS_REQUESTER
RESPONDER = samlp.STATUS_RESPONDER

RESPONSE = f"{{{samlp.NAMESPACE}}}Response"
AUTHN_REQUEST = f"{{{samlp.NAMESPACE}}}AuthnRequest"
ASSERTION = f"{{{SAML}}}Assertion"
ISSUER = f"{{{SAML}}}Issuer"
ENCRYPTED_ASSERTION = f"{{{SAML}}}EncryptedAssertion"
SIGNATURE = f"{{{DS}}}Signature"

_ATTRIBUTE_STATEMENT = f"{{{SAML}}}AttributeStatement"
_ATTRIBUTE = f"{{{SAML}}}Attribute"
_ENCRYPTED_ATTRIBUTE = f"{{{SAML}}}EncryptedAttribute"
_ATTRIBUTE_VALUE = f"{{{SAML}}}AttributeValue"

for _prefix, _namespace in (("saml", SAML), ("samlp", samlp.NAMESPACE), ("md", md.NAMESPACE), ("ds", DS)):
    ET.register_namespace(_prefix, _namespace)

M = TypeVar("M")


def new_id() -> str:
    """Make an unguessable identifier that is a valid xs:ID (SAML Core §1.3.4: 128 bits at least)."""
    return "_" + secrets.token_hex(20)


def write(message: Any) -> bytes:
    """Serialise a pysaml2 message; the prefixes are registered once, above."""
    tree: ET.Element = message._to_element_tree()  # noqa: SLF001 - its public form registers prefixes each time
    text: str = ET.tostring(tree, encoding="unicode")  # by way of a text it takes half the time
    return text.encode("utf-8", "surrogatepass")


def read(document: bytes, kind: type[M], *, limits: Limits = MESSAGE_LIMITS) -> M:
    """Let `document` through the gate and read it as the pysaml2 message class `kind`: **unverified**.

    Raises `SignatureRefusedError` with a code of the gate, `root` among them.
    """
    return from_element(gate(document, roots=(_tag(kind),), limits=limits), kind)


def from_element(root: Element, kind: type[M]) -> M:
    """Read a tree that the gate let through as the pysaml2 message class `kind`. Raises as `read` does."""
    return from_octets(canonical(root), kind)


def from_octets(octets: bytes, kind: type[M]) -> M:
    """Read canonical octets as the pysaml2 message class `kind`.

    Raises `SignatureRefusedError`, code `root` or `malformed`.
    """
    return _from_tree(_tree(octets), kind)


def read_assertion(octets: bytes) -> tuple[saml.Assertion, dict[str, tuple[str, ...]]]:
    """Read canonical octets as an assertion without its attributes, and its attributes: texts by Name.

    pysaml2 would guess a Python type for every value, at a cost; here each value is its text, whatever `xsi:type` it
    claims, and one that is empty or no text is left out. Raises `SignatureRefusedError` as `from_octets` does, and with
    `attributes-encrypted` (SAML Core §2.7.3.2), or `attribute-name` for what is no attribute with a Name (§2.7.3.1).
    """
    tree = _tree(octets)
    found: dict[str, tuple[str, ...]] = {}
    for statement in tree.findall(_ATTRIBUTE_STATEMENT):
        tree.remove(statement)
        for attribute in statement:
            name = attribute.get("Name")
            if attribute.tag == _ENCRYPTED_ATTRIBUTE:
                raise SignatureRefusedError("attributes-encrypted")
            if attribute.tag != _ATTRIBUTE or not name:
                raise SignatureRefusedError("attribute-name")
            values = (value.text for value in attribute.iterfind(_ATTRIBUTE_VALUE) if not len(value))
            found[name] = found.get(name, ()) + tuple(text for text in values if text)
    return _from_tree(tree, saml.Assertion), found


def _tree(octets: bytes) -> ET.Element:
    try:
        return ET.fromstring(octets)  # noqa: S314 - canonical form has no declarations and no entities
    except ET.ParseError:  # a name that only the fifth edition of XML 1.0 knows
        raise SignatureRefusedError("malformed") from None


def _from_tree(tree: ET.Element, kind: type[M]) -> M:
    message: M | None = saml2.create_class_from_element_tree(kind, tree)
    if message is None:
        raise SignatureRefusedError("root")
    return message


def _tag(kind: Any) -> str:
    return f"{{{kind.c_namespace}}}{kind.c_tag}"


def instant(text: str | None) -> datetime | None:
    """Read a SAML instant (SAML Core §1.3.3); None for anything but an instant with a stated offset."""
    try:
        return parse_instant(text or "")
    except ValueError:
        return None


def written(moment: datetime) -> str:
    """Write a SAML instant: UTC, whole seconds."""
    return format_instant(moment)


def text_of(element: Any) -> str:
    """Text of a pysaml2 element, or nothing."""
    return "" if element is None else element.text or ""


# --- bindings


def from_base64(text: str, *, limits: Limits = MESSAGE_LIMITS) -> bytes:
    """Decode a form field of the POST binding (SAML Bindings §3.5.4). Raises `SignatureRefusedError`."""
    if len(text) > limits.octets * 4 // 3 + limits.octets // 16:
        raise SignatureRefusedError("too-large")
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise SignatureRefusedError("base64") from None


def inflate(packed: bytes, *, limits: Limits = MESSAGE_LIMITS) -> bytes:
    """Undo DEFLATE of the Redirect binding (§3.4.4.1), within the limits. Raises `SignatureRefusedError`."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        octets = stream.decompress(packed, limits.octets + 1)
    except zlib.error:
        raise SignatureRefusedError("deflate") from None
    if len(octets) > limits.octets:
        raise SignatureRefusedError("too-large")
    if not stream.eof:
        raise SignatureRefusedError("deflate")
    return octets


def deflate(octets: bytes) -> bytes:
    """Compress for the Redirect binding."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(octets) + stream.flush()
