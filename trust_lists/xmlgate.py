"""The structural gate: what XML from outside must look like before any signature code sees it.

One table, `RULES`: of the octets, then of the tree, then of every signature in the tree; each rule has a code
and says what it demands. What is not plainly a SAML document with plainly SAML signatures (SAML Core §5.4) is
refused, whether or not it could be made sense of.
"""

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, Self, cast

from lxml import etree

from trust_lists.model import VerifiedBytes

Element = etree._Element  # noqa: SLF001 - lxml has no other name for its public type

DS = "http://www.w3.org/2000/09/xmldsig#"
DS11 = "http://www.w3.org/2009/xmldsig11#"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

SIGNATURE_ALGORITHMS: dict[str, tuple[str, str]] = {
    RSA_SHA256: ("rsa", "sha256"),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": ("rsa", "sha384"),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": ("rsa", "sha512"),
    ECDSA_SHA256: ("ec", "sha256"),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": ("ec", "sha384"),
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": ("ec", "sha512"),
}
"""Allowed signature algorithms (RFC 6931 §2.3): the kind of key each needs, and its hash by hashlib's name."""

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


# --- what the rules look at


@dataclass(frozen=True, slots=True, kw_only=True)
class Octets:
    """A document before any parser ran.

    `marked` tells whether there is anything after the XML declaration that begins as declarations, comments and
    processing instructions do: most documents have none, and are not read through again for each of them.
    """

    octets: bytes
    limits: Limits
    marked: bool

    @classmethod
    def of(cls, octets: bytes, *, limits: Limits) -> Self:
        """Look for marks, unless the document is too large to be looked through."""
        marked = len(octets) > limits.octets or _MARK.search(octets, _start(octets)) is not None
        return cls(octets=octets, limits=limits, marked=marked)

    @property
    def comments(self) -> bool:
        """Whether there may be comments."""
        return self.marked and _COMMENT.search(self.octets) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A parsed document. `roots` are the names that its root may have; None if any will do.

    `comments` False: its octets hold none, so nobody needs to look for them.
    """

    root: Element
    limits: Limits
    roots: Collection[str] | None
    comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The places of one ds:Signature that the rules look at. A part that is missing is an empty element."""

    signature: Element
    signed: Element
    info: Element
    reference: Element
    transforms: Element


_DECLARATION = re.compile(rb"<!(?!--|\[CDATA\[)")
_PROCESSING_INSTRUCTION = re.compile(rb"<\?")
_COMMENT = re.compile(rb"<!--")
_MARK = re.compile(rb"<[!?]")
"""Expressions, because they look a large list through three times as fast as `bytes.find`."""

_XML_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\?>")
_ENCODING = re.compile(rb"\sencoding\s*=\s*[\"']([^\"']*)[\"']")


def _start(octets: bytes) -> int:
    """Where the document begins after its XML declaration, if it has one."""
    declaration = _XML_DECLARATION.match(octets)
    return declaration.end() if declaration else 0


_SHORTEST_ELEMENT = len(b"<a/>")
_SHORTEST_NAMESPACE = len(b" xmlns=''")


def _few_elements(octets: bytes, limits: Limits) -> bool:
    """Count only where there could be too many: a list is read through as seldom as possible."""
    return len(octets) < _SHORTEST_ELEMENT * limits.nodes or octets.count(b"<") <= 2 * limits.nodes


def _few_namespaces(octets: bytes, limits: Limits) -> bool:
    return len(octets) < _SHORTEST_NAMESPACE * limits.namespaces or octets.count(b"xmlns") <= limits.namespaces


def _in_utf8(octets: bytes) -> bool:
    """Tell whether the octets are, and claim to be, nothing but UTF-8; the rules look for ASCII octets."""
    declared = _ENCODING.search(octets, 0, _start(octets))
    return b"\0" not in octets and (declared is None or declared[1].lower() in (b"utf-8", b"us-ascii"))


_COMMENT_IN_VALUE = etree.XPath("boolean(//*[comment()][not(*) or text()[normalize-space()]])")
_ID_LIKE = etree.XPath("//@*[contains('|ID|Id|iD|id|AssertionID|', local-name())]")
_ID_NAMES = frozenset({"ID", "Id", "iD", "id", "AssertionID"})
_MOST_ATTRIBUTES = 100
"""Attributes of one element; SAML has less than twenty. Canonicalisation sorts them by insertion: 512 KB of one
element's cost half a minute."""

_TOO_MANY_ATTRIBUTES = etree.XPath(f"boolean(//@*[{_MOST_ATTRIBUTES + 1}])")
_ASSERTIONS = (f"{{{SAML}}}Assertion", f"{{{SAML}}}EncryptedAssertion")
_NEVER = tuple(f"{{{DS}}}{name}" for name in ("Object", "Manifest", "SignatureProperties", "RetrievalMethod"))


@lru_cache(maxsize=8)
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


def identifiers(root: Element) -> list[str]:
    """List the values of all ID-like attributes, whatever they are called and wherever they stand."""
    return [value for value in cast("list[Any]", _ID_LIKE(root)) if value.attrname.rpartition("}")[2] in _ID_NAMES]


def _ids_unique(root: Element) -> bool:
    values = identifiers(root)
    return len(values) == len(set(values))


def _assertion_in_place(root: Element) -> bool:
    """Tell whether there is at most one assertion, encrypted or not: the root, or a child of the root."""
    found = list(islice(root.iter(*_ASSERTIONS), 2))
    return len(found) < 2 and all(e is root or e.getparent() is root for e in found)  # noqa: PLR2004 - at most one


NC_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_SIGNATURE_SHAPES = (("SignedInfo", "SignatureValue"), ("SignedInfo", "SignatureValue", "KeyInfo"))
_SIGNED_INFO_SHAPE = ("CanonicalizationMethod", "SignatureMethod", "Reference")
_REFERENCE_SHAPE = ("Transforms", "DigestMethod", "DigestValue")
_KEY_INFO_CHILDREN = frozenset({"KeyName", "KeyValue", "X509Data"})
_KEY_VALUES = ("RSAKeyValue", "Modulus", "Exponent", "DSAKeyValue", "P", "Q", "G", "Y", "J")
_CURVES = tuple(f"{{{DS11}}}{name}" for name in ("ECKeyValue", "NamedCurve", "PublicKey", "X509Digest"))
_X509 = ("IssuerSerial", "IssuerName", "SerialNumber", "SKI", "SubjectName", "Certificate", "CRL")
_IN_KEY_INFO = _KEY_INFO_CHILDREN.union(_KEY_VALUES, _CURVES, (f"X509{name}" for name in _X509))
_MOST_PREFIXES = 10
"""Inclusive prefixes of one method; known software writes up to eight. Canonicalisation looks each one up at
every element through all of its ancestors, before any key is used: 60 KB of such a message cost a minute."""


_IN_DS = len(f"{{{DS}}}")


def shape(element: Element) -> tuple[str, ...]:
    """Local names of the children; a child outside the signature namespace shows its full name."""
    tags = (str(child.tag) for child in element)
    return tuple(tag[_IN_DS:] if tag.startswith(f"{{{DS}}}") else tag for tag in tags)


def _alone(signature: Element) -> bool:
    """Tell whether no other signature stands beside it."""
    return next(signature.itersiblings(signature.tag), None) is None


def _in_schema_place(signature: Element) -> bool:
    """Tell whether it is the first child or directly after Issuer (SAML Core §3.2.1, SAML Metadata §2.3)."""
    before = [e.tag for e in islice(signature.itersiblings(etree.Element, preceding=True), 2)]
    return before in ([], [f"{{{SAML}}}Issuer"])


def is_enveloped(transform: Element) -> bool:
    """Tell whether it is the enveloped-signature transform, without parameters."""
    return transform.get("Algorithm") == ENVELOPED and not len(transform)


def is_exclusive(method: Element) -> bool:
    """Tell whether it is exclusive C14N without comments, at most with a list of inclusive prefixes."""
    inside = [child.tag for child in method]
    return method.get("Algorithm") == EXCLUSIVE_C14N and inside in ([], [INCLUSIVE_NAMESPACES])


def few_prefixes(method: Element) -> bool:
    """Tell whether a canonicalisation has no more inclusive prefixes than are looked up."""
    return all(len(child.get("PrefixList", "").split()) <= _MOST_PREFIXES for child in method)


def harmless_key_info(signature: Element) -> bool:
    """KeyInfo is never read; what could make a library fetch or compute something is refused all the same.

    It stays out of what is signed, so nothing else may hide there either.
    """
    return all(
        _KEY_INFO_CHILDREN.issuperset(shape(info))
        and all(_IN_KEY_INFO.issuperset(shape(within)) for within in info.iter() if len(within))
        for info in signature.findall(f"{{{DS}}}KeyInfo")
    )


# --- the table

Stage = Literal["octets", "tree", "signature", "leftover"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand. `kept` answers whether an `Octets`, a `Tree` or the `Parts` of a signature, by stage, keeps it."""

    stage: Stage
    code: str
    says: str
    kept: Callable[[Any], object]


RULES = (
    Rule("octets", "too-large", "no more octets than the limit", lambda o: len(o.octets) <= o.limits.octets),
    Rule(
        "octets",
        "too-many-nodes",
        "no more elements than the limit",
        lambda o: _few_elements(o.octets, o.limits),
    ),
    Rule(
        "octets",
        "too-many-namespaces",
        "no more namespace declarations than the limit",
        lambda o: _few_namespaces(o.octets, o.limits),
    ),
    Rule("octets", "encoding", "UTF-8, said or unsaid", lambda o: _in_utf8(o.octets)),
    Rule(
        "octets",
        "declaration",
        "no DTD, entity or other declaration",
        lambda o: not (o.marked and _DECLARATION.search(o.octets)),
    ),
    Rule(
        "octets",
        "processing-instruction",
        "no processing instruction",
        lambda o: not (o.marked and _PROCESSING_INSTRUCTION.search(o.octets, _start(o.octets))),
    ),
    Rule("tree", "declaration", "no internal subset", lambda t: t.root.getroottree().docinfo.internalDTD is None),
    Rule("tree", "root", "the one expected root", lambda t: t.roots is None or t.root.tag in t.roots),
    Rule("tree", "too-deep", "no deeper than the limit", lambda t: not _deeper_than(t.limits.depth)(t.root)),
    Rule(
        "tree",
        "too-many-attributes",
        "few attributes on an element",
        lambda t: not _TOO_MANY_ATTRIBUTES(t.root),
    ),
    Rule(
        "tree",
        "comment-in-value",
        "no comment inside a value",
        lambda t: not (t.comments and _COMMENT_IN_VALUE(t.root)),
    ),
    Rule("tree", "id-not-unique", "every ID-like attribute once in the document", lambda t: _ids_unique(t.root)),
    Rule(
        "tree",
        "assertion-misplaced",
        "at most one assertion, encrypted or not: the root or its child",
        lambda t: _assertion_in_place(t.root),
    ),
    Rule(
        "signature",
        "signed-element-without-id",
        "the parent has an ID, and is what the signature signs",
        lambda p: NC_NAME.fullmatch(p.signed.get("ID", "")),
    ),
    Rule("signature", "two-signatures", "one signature in an element", lambda p: _alone(p.signature)),
    Rule(
        "signature",
        "signature-place",
        "it is its parent's first child, or follows Issuer",
        lambda p: _in_schema_place(p.signature),
    ),
    Rule(
        "signature",
        "signature-shape",
        "SignedInfo, a plain SignatureValue, KeyInfo if any, no Object",
        lambda p: shape(p.signature) in _SIGNATURE_SHAPES and not len(p.signature[1]),
    ),
    Rule(
        "signature",
        "signed-info-shape",
        "two methods and exactly one Reference",
        lambda p: shape(p.info) == _SIGNED_INFO_SHAPE,
    ),
    Rule("signature", "canonicalization", "exclusive C14N without comments", lambda p: is_exclusive(p.info[0])),
    Rule(
        "signature",
        "signature-algorithm",
        "RSA or ECDSA with SHA-256 or better",
        lambda p: p.info[1].get("Algorithm") in SIGNATURE_ALGORITHMS,
    ),
    Rule("signature", "signature-parameters", "the algorithm has no parameters", lambda p: not len(p.info[1])),
    Rule(
        "signature",
        "reference-uri",
        "the Reference names the parent's ID",
        lambda p: p.reference.get("URI") == "#" + p.signed.get("ID", ""),
    ),
    Rule(
        "signature",
        "reference-shape",
        "transforms, digest method, a plain digest value",
        lambda p: shape(p.reference) == _REFERENCE_SHAPE and not len(p.reference[2]),
    ),
    Rule(
        "signature", "transforms-shape", "two transforms", lambda p: shape(p.transforms) == ("Transform", "Transform")
    ),
    Rule(
        "signature",
        "transforms",
        "enveloped signature, then exclusive C14N",
        lambda p: is_enveloped(p.transforms[0]) and is_exclusive(p.transforms[1]),
    ),
    Rule(
        "signature",
        "inclusive-prefixes",
        "few inclusive prefixes",
        lambda p: all(map(few_prefixes, (p.info[0], p.transforms[1]))),
    ),
    Rule(
        "signature",
        "digest-algorithm",
        "SHA-256 or better",
        lambda p: p.reference[1].get("Algorithm") in DIGEST_ALGORITHMS,
    ),
    Rule("signature", "key-info", "names, values and certificates only", lambda p: harmless_key_info(p.signature)),
    Rule(
        "leftover",
        "stray-signature-part",
        "no ds:Object, Manifest or RetrievalMethod anywhere",
        lambda t: next(t.root.iter(*_NEVER), None) is None,
    ),
)
"""Every rule of the gate, in the order in which they are asked; the first broken one refuses under its code."""

_BY_STAGE: dict[Stage, tuple[Rule, ...]] = {
    stage: tuple(rule for rule in RULES if rule.stage == stage) for stage in ("octets", "tree", "signature", "leftover")
}


# --- applying the table


def parse(document: bytes, *, limits: Limits = MESSAGE_LIMITS, roots: Collection[str] | None = None) -> Element:
    """Parse `document` under the rules of octets and tree, without entities, DTDs or the network; its root.

    `roots` are names in Clark notation. The result is **not verified**: use it to look something up or to
    refuse, never to believe. Raises `SignatureRefusedError` with the code of the broken rule, or `malformed`.
    """
    octets = check_octets(document, limits=limits)
    try:
        root = etree.fromstring(document, parser())
    except (etree.XMLSyntaxError, ValueError):
        raise SignatureRefusedError("malformed") from None
    check_tree(root, limits=limits, roots=roots, comments=octets.comments)
    return root


def parse_verified(octets: VerifiedBytes, *, layout: bool = True) -> Element:
    """Parse what came out of a verification: the gate saw it before, and canonical form breaks none of its rules.

    Without `layout` the white space between elements is left out: half the nodes of a large list.
    """
    return etree.fromstring(octets, parser(layout=layout))


def gate(document: bytes, *, roots: Collection[str], limits: Limits = MESSAGE_LIMITS) -> Element:
    """Hold a message or list from outside against the whole table; its root, as `parse` answers and raises."""
    root = parse(document, limits=limits, roots=roots)
    check_signatures(root, limits=limits)
    return root


def check_octets(document: bytes, *, limits: Limits) -> Octets:
    """Hold a document against the rules of octets, and answer what they saw. Raises `SignatureRefusedError`."""
    octets = Octets.of(document, limits=limits)
    _hold("octets", octets)
    return octets


def check_tree(root: Element, *, limits: Limits, roots: Collection[str] | None = None, comments: bool = True) -> None:
    """Hold a parsed document against the rules of the tree. Raises `SignatureRefusedError`."""
    _hold("tree", Tree(root=root, limits=limits, roots=roots, comments=comments))


def check_signatures(root: Element, *, limits: Limits = MESSAGE_LIMITS) -> None:
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
        _hold("signature", parts)
    _hold("leftover", Tree(root=root, limits=limits, roots=None))


def _hold(stage: Stage, what: Octets | Tree | Parts) -> None:
    for rule in _BY_STAGE[stage]:
        if not rule.kept(what):
            raise SignatureRefusedError(rule.code)


_OWN = threading.local()


def parser(*, layout: bool = True) -> etree.XMLParser:
    """Answer this thread's parser: without entities, DTDs or the network; with white space between elements or not."""
    name = "parser" if layout else "parser_without_layout"
    if not hasattr(_OWN, name):
        setattr(_OWN, name, _new_parser(layout=layout))
    found: etree.XMLParser = getattr(_OWN, name)
    return found


def _new_parser(*, layout: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
        remove_blank_text=not layout,
    )
