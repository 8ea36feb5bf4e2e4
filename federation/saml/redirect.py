"""The HTTP-Redirect binding with its detached signature (SAML Bindings §3.4.4.1).

The signature is over the exact octets of the query that the peer made: how it escaped them is its own affair,
so they are never decoded and escaped again before verification.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote_plus

from federation.saml.messages import deflate, from_base64, inflate
from federation.web import Redirect
from trust_lists.xmldsig import Signer, verify_octets
from trust_lists.xmlgate import SignatureRefusedError

MessageName = Literal["SAMLRequest", "SAMLResponse"]
_NAMES = ("SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding")
_DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectMessage:
    """What a redirect carried: the inflated message; the signature, if any, and the octets it signs."""

    name: MessageName
    document: bytes
    relay_state: str | None
    algorithm: str | None
    signature: bytes
    signed_octets: bytes

    def verify(self, certificates: Sequence[bytes]) -> None:
        """Verify the detached signature.

        Raises `SignatureRefusedError`: `unsigned`, or as `verify_octets` does.
        """
        if self.algorithm is None:
            raise SignatureRefusedError("unsigned")
        verify_octets(self.signed_octets, self.signature, algorithm=self.algorithm, certificates=certificates)


def send(location: str, name: MessageName, message: bytes, *, relay_state: str | None, signer: Signer) -> Redirect:
    """Send `message` to `location`, signed."""
    fields: list[tuple[str, str]] = [(name, _base64(deflate(message)))]
    if relay_state:
        fields.append(("RelayState", quote(relay_state, safe="")))
    fields.append(("SigAlg", quote(signer.algorithm, safe="")))
    octets = "&".join(f"{key}={value}" for key, value in fields)
    signature = _base64(signer.sign(octets.encode("ascii")))
    separator = "&" if "?" in location else "?"
    return Redirect(location=f"{location}{separator}{octets}&Signature={signature}")


def _base64(octets: bytes) -> str:
    """Encode for a query: of Base64's characters, three must be escaped."""
    return base64.b64encode(octets).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def receive(raw_query: str, name: MessageName) -> RedirectMessage:
    """Take a message out of the exact octets of a query.

    Raises `SignatureRefusedError`: `parameter-twice`, `parameter-missing`, `encoding`, `base64`, `deflate`,
    `too-large`.
    """
    raw: dict[str, str] = {}
    for part in raw_query.split("&"):
        key, _, value = part.partition("=")
        if key in raw:
            raise SignatureRefusedError("parameter-twice")
        if key in _NAMES:
            raw[key] = value
    if name not in raw or ("SigAlg" in raw) != ("Signature" in raw):
        raise SignatureRefusedError("parameter-missing")
    values = {key: unquote_plus(value) for key, value in raw.items()}
    if values.get("SAMLEncoding", _DEFLATE) != _DEFLATE:
        raise SignatureRefusedError("encoding")
    octets = "&".join(f"{key}={raw[key]}" for key in (name, "RelayState", "SigAlg") if key in raw)
    return RedirectMessage(
        name=name,
        document=inflate(from_base64(values[name])),
        relay_state=values.get("RelayState"),
        algorithm=values.get("SigAlg"),
        signature=from_base64(values.get("Signature", "")),
        signed_octets=octets.encode("utf-8"),
    )
