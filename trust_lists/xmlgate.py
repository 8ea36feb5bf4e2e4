"""The structural gate: what XML from outside must look like before any signature code sees it.

Three tables, of the octets, of the tree, and of every signature in the tree; each rule has a code. What is
not plainly a SAML document with plainly SAML signatures (SAML Core §5.4) is refused, whether or not it could
be made sense of.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from lxml import etree
from xmlsec import constants

Element = etree._Element  # noqa: SLF001 - lxml has no other name for its public type

DS = "http://www.w3.org/2000/09/xmldsig#"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

SIGNATURE_ALGORITHMS: dict[str, tuple[str, Any]] = {
    RSA_SHA256: ("rsa", constants.TransformRsaSha256),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": ("rsa", constants.TransformRsaSha384),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": ("rsa", constants.TransformRsaSha512),
    ECDSA_SHA256: ("ec", constants.TransformEcdsaSha256),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": ("ec", constants.TransformEcdsaSha384),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": ("ec", constants.TransformEcdsaSha512),
}
"""Allowed signature algorithms (RFC 6931 §2.3): the kind of key each needs, and xmlsec's transform."""

DIGEST_ALGORITHMS = {
    SHA256: "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
"""Allowed digest algorithms (RFC 6931 §2.1), by hashlib's names."""


class SignatureRefusedError(Exception):
    """The document is not believed; `code` names the broken rule and holds nothing of the document."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a document may be.

    `octets` in all, `nodes` (elements, comments), `namespaces` (declarations), `depth` of nested elements.
    """

    octets: int
    nodes: int
    namespaces: int
    depth: int


MESSAGE_LIMITS = Limits(octets=512 * 1024, nodes=5_000, namespaces=1_000, depth=32)
"""For messages that pass through a browser."""

LIST_LIMITS = Limits(octets=256 * 1024 * 1024, nodes=10_000_000, namespaces=2_000_000, depth=32)
"""For metadata lists: room for about 20,000 entities."""


# --- rules of the octets, checked before any parser runs


@dataclass(frozen=True, slots=True)
class OctetRule:
    """`broken` answers whether the octets break the rule."""

    code: str
    broken: Callable[[bytes, Limits], object]


_DECLARATION = re.compile(rb"<!(?!--|\[CDATA\[)")
_XML_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"\sencoding\s*=\s*[\"']([^\"']*)[\"']")

OCTET_RULES = (
    OctetRule("too-large", lambda octets, limits: len(octets) > limits.octets),
    OctetRule("too-many-nodes", lambda octets, limits: octets.count(b"<") > 2 * limits.nodes),
    OctetRule("too-many-namespaces", lambda octets, limits: octets.count(b"xmlns") > limits.namespaces),
    OctetRule("encoding", lambda octets, _: _foreign_encoding(octets)),
    OctetRule("declaration", lambda octets, _: _DECLARATION.search(octets)),
    OctetRule("processing-instruction", lambda octets, _: octets.find(b"<?", _start(octets)) != -1),
)


def _start(octets: bytes) -> int:
    """Where the document begins after its XML declaration, if it has one."""
    declaration = _XML_DECLARATION.match(octets)
    return declaration.end() if declaration else 0


def _foreign_encoding(octets: bytes) -> bool:
    """Tell whether the octets are, or claim to be, anything but UTF-8; the rules look for ASCII octets."""
    declared = _ENCODING.search(octets, 0, _start(octets))
    return b"\0" in octets or (declared is not None and declared[1].lower() not in (b"utf-8", b"us-ascii"))


# --- rules of the tree, checked on the parsed document


@dataclass(frozen=True, slots=True)
class TreeRule:
    """`broken` answers whether the tree breaks the rule; it gets the root."""

    code: str
    broken: Callable[[Element, Limits], object]


_COMMENT_IN_VALUE = etree.XPath("boolean(//*[comment()][not(*) or text()[normalize-space()]])")
_ID_LIKE = etree.XPath("//@*[translate(local-name(), 'id', 'ID') = 'ID' or local-name() = 'AssertionID']")
_ASSERTIONS = etree.XPath(
    "//*[namespace-uri() = $saml and (local-name() = 'Assertion' or local-name() = 'EncryptedAssertion')]"
)


@lru_cache(maxsize=8)
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


TREE_RULES = (
    TreeRule("declaration", lambda root, _: root.getroottree().docinfo.internalDTD is not None),
    TreeRule("too-deep", lambda root, limits: _deeper_than(limits.depth)(root)),
    TreeRule("comment-in-value", lambda root, _: _COMMENT_IN_VALUE(root)),
    TreeRule("id-not-unique", lambda root, _: _ids_not_unique(root)),
    TreeRule("assertion-misplaced", lambda root, _: _assertions_misplaced(root)),
)


def _ids_not_unique(root: Element) -> bool:
    values = cast("list[str]", _ID_LIKE(root))
    return len(values) != len(set(values))


def _assertions_misplaced(root: Element) -> bool:
    """Tell whether there are several assertions, or one that is neither the root nor a child of the root."""
    found = cast("list[Element]", _ASSERTIONS(root, saml=SAML))
    return len(found) > 1 or any(e is not root and e.getparent() is not root for e in found)


# --- rules of every ds:Signature in the document, whichever of them will be verified


@dataclass(frozen=True, slots=True)
class Parts:
    """The places of a signature that the rules look at. A part that is missing is an empty element."""

    signature: Element
    signed: Element
    info: Element
    reference: Element
    transforms: Element


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """`kept` answers whether a signature keeps the rule; later rules build on earlier ones."""

    code: str
    kept: Callable[[Parts], object]


_NC_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_SIGNATURE_SHAPES = (("SignedInfo", "SignatureValue"), ("SignedInfo", "SignatureValue", "KeyInfo"))
_SIGNED_INFO_SHAPE = ("CanonicalizationMethod", "SignatureMethod", "Reference")
_REFERENCE_SHAPE = ("Transforms", "DigestMethod", "DigestValue")
_KEY_INFO_CHILDREN = frozenset({"KeyName", "KeyValue", "X509Data"})
_MOST_PREFIXES = 10
"""Inclusive prefixes of one method; known software writes up to eight. Canonicalisation looks each one up at
every element through all of its ancestors, before any key is used: 60 KB of such a message cost a minute."""

SIGNATURE_RULES = (
    SignatureRule("signed-element-without-id", lambda p: _NC_NAME.fullmatch(p.signed.get("ID", ""))),
    SignatureRule("signature-place", lambda p: _in_schema_place(p.signature)),
    SignatureRule("signature-shape", lambda p: _shape(p.signature) in _SIGNATURE_SHAPES),
    SignatureRule("signed-info-shape", lambda p: _shape(p.info) == _SIGNED_INFO_SHAPE),
    SignatureRule("canonicalization", lambda p: _is_exclusive(p.info[0])),
    SignatureRule("signature-algorithm", lambda p: p.info[1].get("Algorithm") in SIGNATURE_ALGORITHMS),
    SignatureRule("signature-parameters", lambda p: not len(p.info[1])),
    SignatureRule("reference-uri", lambda p: p.reference.get("URI") == "#" + p.signed.get("ID", "")),
    SignatureRule("reference-shape", lambda p: _shape(p.reference) == _REFERENCE_SHAPE),
    SignatureRule("transforms-shape", lambda p: _shape(p.transforms) == ("Transform", "Transform")),
    SignatureRule("transforms", lambda p: _is_enveloped(p.transforms[0]) and _is_exclusive(p.transforms[1])),
    SignatureRule("inclusive-prefixes", lambda p: all(map(_few_prefixes, (p.info[0], p.transforms[1])))),
    SignatureRule("digest-algorithm", lambda p: p.reference[1].get("Algorithm") in DIGEST_ALGORITHMS),
    SignatureRule("key-info", lambda p: _harmless_key_info(p.signature)),
)


def _shape(element: Element) -> tuple[str, ...]:
    """Local names of the children; a child outside the signature namespace shows its full name."""
    return tuple(str(child.tag).removeprefix(f"{{{DS}}}") for child in element)


def _in_schema_place(signature: Element) -> bool:
    """Tell whether it is the first child or directly after Issuer (SAML Core §3.2.1, SAML Metadata §2.3)."""
    before = [e.tag for e in islice(signature.itersiblings(etree.Element, preceding=True), 2)]
    return before in ([], [f"{{{SAML}}}Issuer"])


def _is_enveloped(transform: Element) -> bool:
    return transform.get("Algorithm") == ENVELOPED and not len(transform)


def _is_exclusive(method: Element) -> bool:
    """Tell whether it is exclusive C14N without comments, at most with a list of inclusive prefixes."""
    inside = [child.tag for child in method]
    return method.get("Algorithm") == EXCLUSIVE_C14N and inside in ([], [INCLUSIVE_NAMESPACES])


def _few_prefixes(method: Element) -> bool:
    return all(len(child.get("PrefixList", "").split()) <= _MOST_PREFIXES for child in method)


def _harmless_key_info(signature: Element) -> bool:
    """KeyInfo is never read; what could make a library fetch or compute something is refused all the same."""
    return all(set(_shape(info)) <= _KEY_INFO_CHILDREN for info in signature.findall(f"{{{DS}}}KeyInfo"))


# --- applying the tables


def parse(document: bytes, *, limits: Limits = MESSAGE_LIMITS) -> Element:
    """Parse `document` under the rules of octets and tree, without entities, DTDs or the network; its root.

    The result is **not verified**: use it to look something up or to refuse, never to believe. Raises
    `SignatureRefusedError` with the code of the broken rule, or `malformed`.
    """
    for octet_rule in OCTET_RULES:
        if octet_rule.broken(document, limits):
            raise SignatureRefusedError(octet_rule.code)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise SignatureRefusedError("malformed") from None
    for tree_rule in TREE_RULES:
        if tree_rule.broken(root, limits):
            raise SignatureRefusedError(tree_rule.code)
    return root


def check_signatures(root: Element) -> None:
    """Hold every signature of the document against the rules. Raises `SignatureRefusedError`."""
    nothing = etree.Element("nothing")

    def within(element: Element, name: str) -> Element:
        found = element.find(f"{{{DS}}}{name}")
        return nothing if found is None else found

    for signature in root.iter(f"{{{DS}}}Signature"):
        signed = signature.getparent()
        info = within(signature, "SignedInfo")
        reference = within(info, "Reference")
        parts = Parts(
            signature=signature,
            signed=nothing if signed is None else signed,
            info=info,
            reference=reference,
            transforms=within(reference, "Transforms"),
        )
        for rule in SIGNATURE_RULES:
            if not rule.kept(parts):
                raise SignatureRefusedError(rule.code)
