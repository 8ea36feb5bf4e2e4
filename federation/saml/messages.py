"""SAML messages as octets and as values: names, encodings, instants.

Nothing here decides whether a message is believed.
"""

import base64
import binascii
import secrets
import zlib
from datetime import datetime
from typing import Any, TypeVar
from xml.etree import ElementTree as ET  # pysaml2's messages are made of it; here it only writes

import saml2
from lxml import etree
from saml2 import md, saml, samlp

from trust_lists.times import format_instant, parse_instant
from trust_lists.xmlgate import DS, MESSAGE_LIMITS, SAML, Element, Limits, SignatureRefusedError, parse

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
SIGNATURE = f"{{{DS}}}Signature"

_ATTRIBUTE_VALUE = f"{{{SAML}}}AttributeValue"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

for _prefix, _namespace in (("saml", SAML), ("samlp", samlp.NAMESPACE), ("md", md.NAMESPACE), ("ds", DS)):
    ET.register_namespace(_prefix, _namespace)

M = TypeVar("M")


def new_id() -> str:
    """Make an unguessable identifier that is a valid xs:ID (SAML Core §1.3.4: 128 bits at least)."""
    return "_" + secrets.token_hex(20)


def write(message: Any) -> bytes:
    """Serialise a pysaml2 message; the prefixes are registered once, above."""
    tree: ET.Element = message._to_element_tree()  # noqa: SLF001 - its public form registers prefixes each time
    octets: bytes = ET.tostring(tree, encoding="UTF-8")
    return octets


def read(document: bytes, kind: type[M], *, limits: Limits = MESSAGE_LIMITS) -> M:
    """Parse `document` into the pysaml2 message class `kind`.

    Types that values claim for themselves (`xsi:type`) are ignored: every attribute value is its text. Raises
    `SignatureRefusedError` with a code of the gate, or `root`.
    """
    return from_element(parse(document, limits=limits), kind)


def from_element(root: Element, kind: type[M]) -> M:
    """Turn a parsed document into the pysaml2 message class `kind`; `root` is changed.

    Raises as `read` does.
    """
    etree.strip_tags(root, etree.Comment)
    for value in root.iter(_ATTRIBUTE_VALUE):
        value.attrib.pop(_XSI_TYPE, "")
    message: M | None = saml2.create_class_from_xml_string(kind, etree.tostring(root))
    if message is None:
        raise SignatureRefusedError("root")
    return message


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
