"""XML encryption, in process: opening an encrypted SAML assertion, and making one (XML Encryption 1.1).

What came encrypted is held against a table of rules, each with a code (`xmlenc_rules`), before any key of ours is used.
After that there is one code only, `decryption`, whatever goes wrong, and the work goes on where a step has failed: who
sends altered messages is to learn nothing from the answers (XML Encryption 1.1 §6.1.1).

Encryption hides; it proves nothing. An assertion that comes out of here is as unverified as before, and its signature
(within, or around the encrypted one) is still to be checked by `xmldsig.verify`.
"""

import base64
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from xml.sax.saxutils import quoteattr

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from trust_lists.certificates import MINIMUM_RSA_BITS, public_key
from trust_lists.xmlenc_rules import (
    AES_256_GCM,
    AUTHENTICATED_BLOCKS,
    BLOCK_ALGORITHMS,
    ELEMENT,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    SUPPORTED_METHODS,
    TRANSPORT_ALGORITHMS,
    XENC,
    XENC11,
    Sealed,
    check,
    oaep,
)
from trust_lists.xmlgate import DS, SAML, Element, SignatureRefusedError, parse

__all__ = ["SUPPORTED_METHODS", "Decrypter", "EncryptionImpossibleError", "SignatureRefusedError", "encrypt"]

ASSERTION = f"{{{SAML}}}Assertion"
ENCRYPTED_ASSERTION = f"{{{SAML}}}EncryptedAssertion"


# --- decrypting


class Decrypter:
    """RSA private keys that open what was encrypted for us; several during a change of keys. Safe to share.

    `certificate_der` is the first key's certificate, the one to publish.
    """

    def __init__(self, keys: Sequence[rsa.RSAPrivateKey], certificate_der: bytes) -> None:
        self._keys = tuple(keys)
        self.certificate_der = certificate_der

    @classmethod
    def from_pem(cls, *pairs: tuple[bytes, bytes]) -> "Decrypter":
        """Load unencrypted PEM private keys, each with its PEM certificate.

        Raises `ValueError` if there is none, if two do not fit, or if a key is not RSA of 2048 bits or more.
        """
        loaded = [_load_pair(*pair) for pair in pairs]
        if not loaded:
            raise ValueError("needed is at least one key")
        return cls([key for key, _ in loaded], loaded[0][1])

    def decrypt(self, document: bytes, *, legacy: bool = False) -> bytes:
        """Open `document`, one saml:EncryptedAssertion; the octets of its saml:Assertion, **not verified**.

        Every namespace that was in scope where the element stood must be declared in `document`; the assertion
        is read within them and declares them itself. `legacy` allows AES-CBC, which anybody may alter and so
        probe: allow it only to a peer that is listed as legacy, and where the peer signs around the encryption,
        verify that first. Raises `SignatureRefusedError`: the code of a rule of the gate or of
        `xmlenc_rules`, `root`, or `decryption`.
        """
        root = parse(document)
        if root.tag != ENCRYPTED_ASSERTION:
            raise SignatureRefusedError("root")
        sealed = check(root, legacy=legacy)
        try:
            return _read(self._open(sealed), root)
        except (InvalidTag, ValueError, SignatureRefusedError):
            raise SignatureRefusedError("decryption") from None

    def _open(self, sealed: Sealed) -> bytes:
        key = self._content_key(sealed)
        return (_open_gcm if sealed.block.authenticated else _open_cbc)(key, sealed.cipher_text)

    def _content_key(self, sealed: Sealed) -> bytes:
        """Try every key of ours, also after one has fitted; a random key if none did, which then opens nothing."""
        found = os.urandom(sealed.block.key_octets)
        for key in reversed(self._keys):
            try:
                unwrapped = key.decrypt(sealed.wrapped_key, sealed.oaep)
            except ValueError:
                continue
            if len(unwrapped) == sealed.block.key_octets:
                found = unwrapped
        return found


def _load_pair(key: bytes, certificate: bytes) -> tuple[rsa.RSAPrivateKey, bytes]:
    private = serialization.load_pem_private_key(key, password=None)
    parsed = load_pem_x509_certificate(certificate)
    if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < MINIMUM_RSA_BITS:
        raise ValueError(f"needed is an RSA key of {MINIMUM_RSA_BITS} bits or more")
    if private.public_key() != parsed.public_key():
        raise ValueError("the certificate is of another key")
    return private, parsed.public_bytes(serialization.Encoding.DER)


_NONCE_OCTETS = 12
_BLOCK_OCTETS = 16


def _open_gcm(key: bytes, cipher_text: bytes) -> bytes:
    """Open nonce, cipher text and tag (§5.2.4). Raises `InvalidTag` or `ValueError`."""
    return AESGCM(key).decrypt(cipher_text[:_NONCE_OCTETS], cipher_text[_NONCE_OCTETS:], None)


def _open_cbc(key: bytes, cipher_text: bytes) -> bytes:
    """Open initialisation vector and cipher text, of whose last octet the padding is counted (§5.2.1).

    A wrong count is not refused here, but spoils the end, so that the parser refuses it after the same work.
    Raises `ValueError`.
    """
    opener = Cipher(algorithms.AES(key), modes.CBC(cipher_text[:_BLOCK_OCTETS])).decryptor()
    padded = opener.update(cipher_text[_BLOCK_OCTETS:]) + opener.finalize()
    count = padded[-1] if padded else 0
    return padded[:-count] if 1 <= count <= _BLOCK_OCTETS else padded + b"<"


def _read(plain: bytes, scope: Element) -> bytes:
    """Read the one Assertion of `plain` within the namespaces of `scope` (§4.4); its octets, on their own.

    The gate sees it all before a parser does, an assertion within the assertion included. Raises
    `SignatureRefusedError`.
    """
    root = parse(b"".join((b"<plain", *_declarations(scope), b">", plain, b"</plain>")))
    if [child.tag for child in root] != [ASSERTION] or (root.text or "").strip() or (root[0].tail or "").strip():
        raise SignatureRefusedError("decryption")
    return etree.tostring(root[0], encoding="utf-8", with_tail=False)


def _declarations(scope: Element) -> Iterator[bytes]:
    for prefix, uri in scope.nsmap.items():
        if prefix != "xml":
            name = f"xmlns:{prefix}" if prefix else "xmlns"
            yield f" {name}={quoteattr(uri)}".encode()


# --- encrypting


class EncryptionImpossibleError(Exception):
    """Nothing fits the recipient.

    `code` is `encryption-certificate` (no RSA key of 2048 bits or more), or `block-encryption` or
    `key-transport` (we support none of those that the recipient's metadata state).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_FOREIGN_BLOCKS = (XENC + "tripledes-cbc", XENC + "aes192-cbc")
_FOREIGN_TRANSPORTS = (XENC + "rsa-1_5",)


def encrypt(
    assertion: bytes, *, certificates: Sequence[bytes], methods: Sequence[str] = (), recipient: str | None = None
) -> bytes:
    """Encrypt `assertion` for the first RSA key of `certificates` (DER); a saml:EncryptedAssertion.

    `methods` are the algorithms that the recipient's metadata state (SAML Metadata §2.4.1.1), in its order: the
    first authenticated block encryption and the first key transport of ours are taken. Where it states none of a
    kind: AES-256-GCM, and RSA-OAEP as every product reads it. `recipient` is its entity ID (SAML Core §2.3.4).
    Raises `EncryptionImpossibleError`; `ValueError` if it is no assertion, `SignatureRefusedError` if no reader
    would accept it.
    """
    root = parse(assertion)
    if root.tag != ASSERTION:
        raise ValueError("not a saml:Assertion")
    block = _choose(
        "block-encryption", methods, AUTHENTICATED_BLOCKS, (*BLOCK_ALGORITHMS, *_FOREIGN_BLOCKS), AES_256_GCM
    )
    transport = _choose(
        "key-transport",
        methods,
        tuple(TRANSPORT_ALGORITHMS),
        (*TRANSPORT_ALGORITHMS, *_FOREIGN_TRANSPORTS),
        RSA_OAEP_MGF1P,
    )
    digest, mask = TRANSPORT_ALGORITHMS[transport].written
    key, nonce = os.urandom(BLOCK_ALGORITHMS[block].key_octets), os.urandom(_NONCE_OCTETS)
    wrapped = _first_rsa(certificates).encrypt(key, oaep(digest, mask))
    plain = etree.tostring(root, encoding="utf-8", with_tail=False)
    return _ENCRYPTED_ASSERTION.format(
        block=block,
        recipient=f" Recipient={quoteattr(recipient)}" if recipient is not None else "",
        transport=transport,
        digest=digest,
        mask=_MASK.format(mask=mask) if transport == RSA_OAEP else "",
        wrapped=base64.b64encode(wrapped).decode(),
        cipher_text=base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode(),
    ).encode()


def _choose(code: str, stated: Sequence[str], supported: Sequence[str], kind: Sequence[str], otherwise: str) -> str:
    """Take the first of `stated` that is supported; `otherwise` if none of its kind is stated at all."""
    of_kind = [name for name in stated if name in kind]
    chosen = next((name for name in of_kind if name in supported), None if of_kind else otherwise)
    if chosen is None:
        raise EncryptionImpossibleError(code)
    return chosen


def _first_rsa(certificates: Sequence[bytes]) -> rsa.RSAPublicKey:
    for certificate in certificates:
        key = _load_public(certificate)
        if key is not None:
            return key
    raise EncryptionImpossibleError("encryption-certificate")


@lru_cache(maxsize=4096)
def _load_public(certificate: bytes) -> rsa.RSAPublicKey | None:
    """Load the RSA key of a DER certificate once; None for a key that is not used."""
    try:
        key = public_key(certificate)
    except ValueError:
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


# The encrypted key stands where every product looks for it, and names no key: a product tries those that it has.
_MASK = f'<xenc11:MGF xmlns:xenc11="{XENC11}" Algorithm="{{mask}}"/>'
_ENCRYPTED_ASSERTION = (
    f'<saml:EncryptedAssertion xmlns:saml="{SAML}"><xenc:EncryptedData xmlns:xenc="{XENC}" Type="{ELEMENT}">'
    f'<xenc:EncryptionMethod Algorithm="{{block}}"/><ds:KeyInfo xmlns:ds="{DS}">'
    '<xenc:EncryptedKey{recipient}><xenc:EncryptionMethod Algorithm="{transport}">'
    '<ds:DigestMethod Algorithm="{digest}"/>{mask}</xenc:EncryptionMethod>'
    "<xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
    "<xenc:CipherData><xenc:CipherValue>{cipher_text}</xenc:CipherValue></xenc:CipherData>"
    "</xenc:EncryptedData></saml:EncryptedAssertion>"
)
