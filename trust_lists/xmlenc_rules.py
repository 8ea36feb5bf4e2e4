"""What an encrypted SAML assertion must look like before any key of ours is used (XML Encryption 1.1).

Which algorithms there are for it, and one table of rules, each with a code. What is not plainly one element, encrypted
once, for one recipient, with its key at hand, is refused, whether or not it could be made sense of.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from trust_lists.xmlgate import DS, Element, SignatureRefusedError

XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
ELEMENT = XENC + "Element"
AES_256_GCM = XENC11 + "aes256-gcm"
RSA_OAEP = XENC11 + "rsa-oaep"
RSA_OAEP_MGF1P = XENC + "rsa-oaep-mgf1p"


# --- algorithms


@dataclass(frozen=True, slots=True)
class Block:
    """A block encryption algorithm: octets of its key, and whether it notices what was altered."""

    key_octets: int
    authenticated: bool


BLOCK_ALGORITHMS = {
    AES_256_GCM: Block(32, authenticated=True),
    XENC11 + "aes192-gcm": Block(24, authenticated=True),
    XENC11 + "aes128-gcm": Block(16, authenticated=True),
    XENC + "aes256-cbc": Block(32, authenticated=False),
    XENC + "aes128-cbc": Block(16, authenticated=False),
}
"""What we open (XML Encryption 1.1 §5.2), CBC for legacy peers alone; what we make is authenticated."""

_SHA1, _SHA256 = "http://www.w3.org/2000/09/xmldsig#sha1", XENC + "sha256"
_MGF1_SHA1, _MGF1_SHA256 = XENC11 + "mgf1sha1", XENC11 + "mgf1sha256"

OAEP_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    _SHA1: hashes.SHA1(),  # noqa: S303 - within OAEP nobody needs it to be free of collisions
    _SHA256: hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384(),
    XENC + "sha512": hashes.SHA512(),
}
OAEP_MASKS: dict[str, hashes.HashAlgorithm] = {
    _MGF1_SHA1: hashes.SHA1(),  # noqa: S303 - likewise
    _MGF1_SHA256: hashes.SHA256(),
    XENC11 + "mgf1sha384": hashes.SHA384(),
    XENC11 + "mgf1sha512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A key transport algorithm: the digests and masks it may state, how they may stand, and which of them we write."""

    digests: frozenset[str]
    masks: frozenset[str]
    shapes: tuple[tuple[str, ...], ...]
    written: tuple[str, str]


TRANSPORT_ALGORITHMS = {
    RSA_OAEP: Transport(
        digests=frozenset(OAEP_DIGESTS),
        masks=frozenset(OAEP_MASKS),
        shapes=((), ("DigestMethod",), ("MGF",), ("DigestMethod", "MGF"), ("MGF", "DigestMethod")),
        written=(_SHA256, _MGF1_SHA256),
    ),
    RSA_OAEP_MGF1P: Transport(
        digests=frozenset({_SHA1, _SHA256}),
        masks=frozenset({_MGF1_SHA1}),
        shapes=((), ("DigestMethod",)),
        written=(_SHA1, _MGF1_SHA1),
    ),
}
"""RSA-OAEP under both of its names (XML Encryption 1.1 §5.5.2). RSA 1.5 is not there for anybody."""

AUTHENTICATED_BLOCKS = tuple(name for name, block in BLOCK_ALGORITHMS.items() if block.authenticated)

SUPPORTED_METHODS = (*AUTHENTICATED_BLOCKS, *TRANSPORT_ALGORITHMS)
"""What our metadata state as `md:EncryptionMethod` (SAML Metadata §2.4.1.1), in order of preference."""


def oaep(digest: str, mask: str) -> padding.OAEP:
    """RSA-OAEP with the digest and the mask of these names."""
    return padding.OAEP(mgf=padding.MGF1(OAEP_MASKS[mask]), algorithm=OAEP_DIGESTS[digest], label=None)


# --- the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The places of an encrypted assertion that the rules look at. A part that is missing is an empty element.

    `legacy` tells whether its sender may use CBC.
    """

    root: Element
    data: Element
    data_method: Element
    key: Element
    key_method: Element
    legacy: bool


@dataclass(frozen=True, slots=True)
class EncryptionRule:
    """One demand. `kept` answers whether an encrypted assertion keeps it; later rules build on earlier ones."""

    code: str
    says: str
    kept: Callable[[Parts], object]


_ASSERTION_SHAPES = (("EncryptedData",), ("EncryptedData", "EncryptedKey"))
_DATA_SHAPES = (("EncryptionMethod", "CipherData"), ("EncryptionMethod", "KeyInfo", "CipherData"))
_HINTS = ((), ("ReferenceList",), ("CarriedKeyName",), ("ReferenceList", "CarriedKeyName"))
_KEY_SHAPES = tuple((*shape, *hints) for shape in _DATA_SHAPES for hints in _HINTS)
_KEY_INFO_CHILDREN = frozenset({"EncryptedKey", "KeyName", "KeyValue", "X509Data"})

ENCRYPTION_RULES = (
    EncryptionRule(
        "retrieval-method",
        "nothing is fetched or followed to find a key",
        lambda p: not _within(p.root, "RetrievalMethod") and not _within(p.root, "KeyInfoReference"),
    ),
    EncryptionRule(
        "cipher-reference",
        "nothing is fetched or followed to find a cipher text",
        lambda p: not _within(p.root, "CipherReference"),
    ),
    EncryptionRule("encrypted-data", "one EncryptedData", lambda p: _within(p.root, "EncryptedData") == [p.data]),
    EncryptionRule(
        "encrypted-key",
        "one EncryptedKey, in the KeyInfo of EncryptedData or beside EncryptedData",
        lambda p: _within(p.root, "EncryptedKey") == [p.key],
    ),
    EncryptionRule(
        "encrypted-assertion-shape",
        "EncryptedData, EncryptedKey if it is not within",
        lambda p: _shape(p.root) in _ASSERTION_SHAPES,
    ),
    EncryptionRule(
        "encrypted-data-shape", "method, KeyInfo if any, cipher text", lambda p: _shape(p.data) in _DATA_SHAPES
    ),
    EncryptionRule(
        "encrypted-data-type",
        "an element is encrypted, not its content",
        lambda p: p.data.get("Type", ELEMENT) == ELEMENT,
    ),
    EncryptionRule(
        "encrypted-key-shape",
        "method, KeyInfo if any, cipher text, hints if any; KeyInfo and hints are not read",
        lambda p: _shape(p.key) in _KEY_SHAPES,
    ),
    EncryptionRule("key-info", "an encrypted key, names, values, certificates", lambda p: _harmless_key_info(p.data)),
    EncryptionRule(
        "block-encryption", "AES in GCM or CBC", lambda p: p.data_method.get("Algorithm") in BLOCK_ALGORITHMS
    ),
    EncryptionRule("legacy-encryption", "CBC from legacy peers alone", lambda p: p.legacy or _block(p).authenticated),
    EncryptionRule("block-parameters", "block encryption has no parameters", lambda p: not len(p.data_method)),
    EncryptionRule(
        "key-transport", "RSA-OAEP, never RSA 1.5", lambda p: p.key_method.get("Algorithm") in TRANSPORT_ALGORITHMS
    ),
    EncryptionRule(
        "oaep-parameters",
        "digest and mask at most once each, the mask in rsa-oaep alone; no OAEPparams",
        lambda p: _shape(p.key_method) in _transport(p).shapes and not any(map(len, p.key_method)),
    ),
    EncryptionRule("oaep-digest", "a digest from the list", lambda p: _digest(p.key_method) in _transport(p).digests),
    EncryptionRule("oaep-mask", "a mask from the list", lambda p: _mask(p.key_method) in _transport(p).masks),
    EncryptionRule("cipher-value", "both cipher texts are Base64", lambda p: all(map(_cipher_value, (p.data, p.key)))),
)
"""Every rule, in the order in which they are asked; the first broken one refuses under its code."""

_NAMES = {
    f"{{{namespace}}}{name}": name
    for namespace, names in (
        (DS, ("KeyInfo", "KeyName", "KeyValue", "X509Data", "DigestMethod")),
        (XENC, ("EncryptedData", "EncryptedKey", "EncryptionMethod", "CipherData", "CipherValue")),
        (XENC, ("ReferenceList", "CarriedKeyName")),
        (XENC11, ("MGF",)),
    )
    for name in names
}


def _shape(element: Element) -> tuple[str, ...]:
    """Local names of the children, each in its own namespace; what no rule knows is `?`."""
    return tuple(_NAMES.get(str(child.tag), "?") for child in element)


def _within(root: Element, name: str) -> list[Element]:
    """Every element of this local name, wherever it stands and in whichever namespace."""
    return list(root.iter(f"{{*}}{name}"))


def _harmless_key_info(data: Element) -> bool:
    """Only the encrypted key is read; what could make a library fetch or derive something is refused."""
    return all(set(_shape(info)) <= _KEY_INFO_CHILDREN for info in data.findall(f"{{{DS}}}KeyInfo"))


def _block(parts: Parts) -> Block:
    return BLOCK_ALGORITHMS[parts.data_method.get("Algorithm", "")]


def _transport(parts: Parts) -> Transport:
    return TRANSPORT_ALGORITHMS[parts.key_method.get("Algorithm", "")]


def _digest(method: Element) -> str:
    stated = method.find(f"{{{DS}}}DigestMethod")
    return _SHA1 if stated is None else stated.get("Algorithm", "")


def _mask(method: Element) -> str:
    stated = method.find(f"{{{XENC11}}}MGF")
    return _MGF1_SHA1 if stated is None else stated.get("Algorithm", "")


def _cipher_value(owner: Element) -> bytes:
    """Decode the cipher text of EncryptedData or EncryptedKey; empty if it is not plainly one Base64 value."""
    holder = owner.find(f"{{{XENC}}}CipherData")
    if holder is None or _shape(holder) != ("CipherValue",) or len(holder[0]):
        return b""
    try:
        return base64.b64decode(b"".join((holder[0].text or "").encode().split()), validate=True)
    except binascii.Error:
        return b""


# --- applying the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What is needed of an encrypted assertion to open it, once it keeps the rules."""

    block: Block
    cipher_text: bytes
    oaep: padding.OAEP
    wrapped_key: bytes


def check(root: Element, *, legacy: bool) -> Sealed:
    """Hold a saml:EncryptedAssertion against the rules. Raises `SignatureRefusedError`."""
    nothing = etree.Element("nothing")

    def first(*found: Element | None) -> Element:
        return next((each for each in found if each is not None), nothing)

    data = first(root.find(f"{{{XENC}}}EncryptedData"))
    key = first(data.find(f"{{{DS}}}KeyInfo/{{{XENC}}}EncryptedKey"), root.find(f"{{{XENC}}}EncryptedKey"))
    parts = Parts(
        root=root,
        data=data,
        data_method=first(data.find(f"{{{XENC}}}EncryptionMethod")),
        key=key,
        key_method=first(key.find(f"{{{XENC}}}EncryptionMethod")),
        legacy=legacy,
    )
    for rule in ENCRYPTION_RULES:
        if not rule.kept(parts):
            raise SignatureRefusedError(rule.code)
    return Sealed(
        block=_block(parts),
        cipher_text=_cipher_value(data),
        oaep=oaep(_digest(parts.key_method), _mask(parts.key_method)),
        wrapped_key=_cipher_value(key),
    )
