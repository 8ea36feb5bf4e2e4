"""The attribute certificate beside the person's: an SD-JWT with key binding (RFC 9901), disclosed in part.

Its issuer is a certificate below the same listed authority, issued under a policy for signers of attributes; no
resident's certificate is, so nobody signs attributes about himself. It counts only for whoever holds the key of the
person's own certificate (`cnf`), and only as shown to us in answer to this one request (the key binding JWT).

A token that refers to a status list (`status`) is refused: what cannot be checked is not believed.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from federation.certificate import jws_x5c
from federation.certificate.model import CertificateRefusedError
from federation.certificate.strength import PublicKey
from federation.oidc.jose import LEEWAY, base64url
from federation.oidc.strict_json import instant, read_object
from trust_lists.strict_json import loads

PREFIX = "attribute."
MAX_PRESENTATION = 64 * 1024
"""Octets of the largest that is read."""
MAX_DISCLOSURES = 128
MAX_VALUES = 512

_TYPE, _PROOF_TYPE = "dc+sd-jwt", "kb+jwt"
_MAX_PROOF = 8 * 1024
_DIGESTS, _DIGEST, _ALGORITHM = "_sd", "...", "_sd_alg"
_CONTROL = frozenset({"iss", "sub", "aud", "jti", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})
"""Claims about the token: no attributes."""
_NEVER_SELECTIVE = _CONTROL - {"sub", "iat"}
"""SD-JWT VC §2.2.2.2."""
_OF_PROPERTY, _OF_ELEMENT = 3, 2  # members of a disclosure, RFC 9901 §4.2.1, §4.2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What was shown, read and not verified."""

    token: jws_x5c.Jws
    claims: Mapping[str, Any] = field(repr=False)
    disclosures: tuple[str, ...] = field(repr=False)
    proof: jws_x5c.Jws = field(repr=False)
    proved: Mapping[str, Any] = field(repr=False)
    shown: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """To whom a presentation must have been made, by whom, and when. `since`: when the request was made."""

    holder: PublicKey = field(repr=False)
    audience: str
    nonce: str = field(repr=False)
    since: datetime
    at: datetime


def read(text: str) -> Presentation:
    """Read `JWT~disclosure~…~JWT` (RFC 9901 §4).

    Raises `CertificateRefusedError` attributes-unverified.
    """
    if len(text) > MAX_PRESENTATION:
        raise _refused("larger than any real one")
    token_text, *disclosures, proof_text = text.split("~") if "~" in text else ("", "")
    if len(disclosures) > MAX_DISCLOSURES:
        raise _refused("too many disclosures")
    try:
        token = jws_x5c.read(token_text, typ=_TYPE)
        proof = jws_x5c.read(proof_text, typ=_PROOF_TYPE, limit=_MAX_PROOF, certificates=False)
        claims = read_object(token.content, limit=MAX_PRESENTATION)
        proved = read_object(proof.content, limit=_MAX_PROOF)
    except CertificateRefusedError as why:
        raise _refused(why.detail) from None
    except ValueError:
        raise _refused("a part of it is no JSON object") from None
    return Presentation(
        token=token,
        claims=claims,
        disclosures=tuple(disclosures),
        proof=proof,
        proved=proved,
        shown=text[: len(text) - len(proof_text)],
    )


def _is(said: object, expected: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode(), expected.encode())


def _within(claims: Mapping[str, Any], name: str, holds: Callable[[datetime], bool], *, needed: bool = False) -> bool:
    if name not in claims:
        return not needed
    moment = instant(claims[name])
    return moment is not None and holds(moment)


CHECKS: tuple[tuple[str, Callable[[Presentation, Shown], bool]], ...] = (
    # the token (RFC 9901 §7.1, RFC 7519 §4.1)
    ("_sd_alg is not sha-256", lambda p, _: p.claims.get(_ALGORITHM, "sha-256") == "sha-256"),
    ("it begins later", lambda p, s: _within(p.claims, "nbf", lambda t: t <= s.at + LEEWAY)),
    ("it was issued later", lambda p, s: _within(p.claims, "iat", lambda t: t <= s.at + LEEWAY)),
    ("it is over", lambda p, s: _within(p.claims, "exp", lambda t: s.at < t)),
    ("it refers to a status that is not asked for here", lambda p, _: "status" not in p.claims),
    ("cnf is not the key of the certificate", lambda p, s: is_key(p.claims.get("cnf"), s.holder)),
    # the proof that its holder showed it (RFC 9901 §7.3)
    ("the proof is for somebody else", lambda p, s: _is(p.proved.get("aud"), s.audience)),
    ("the proof has another nonce", lambda p, s: _is(p.proved.get("nonce"), s.nonce)),
    (
        "the proof is of another time",
        lambda p, s: _within(p.proved, "iat", lambda t: s.since - LEEWAY <= t <= s.at + LEEWAY, needed=True),
    ),
    ("the proof is of other disclosures", lambda p, _: _is(p.proved.get("sd_hash"), _digest(p.shown))),
)
"""What a presentation must be before anything of it is believed, in this order, with what is wrong otherwise."""


def check(presentation: Presentation, shown: Shown) -> None:
    """Run `CHECKS`, and verify the proof's signature.

    Raises `CertificateRefusedError` attributes-unverified.
    """
    for fault, holds in CHECKS:
        if not holds(presentation, shown):
            raise _refused(fault)
    verify(presentation.proof, shown.holder, "the proof's")


def verify(signed: jws_x5c.Jws, key: PublicKey, whose: str) -> None:
    """Whether `key` signed it. Raises `CertificateRefusedError` attributes-unverified."""
    try:
        signed.verify(key)
    except CertificateRefusedError as why:
        raise _refused(f"{whose} signature: {why.code}") from None


def is_key(confirmation: object, key: PublicKey) -> bool:
    """Whether `cnf` (RFC 7800 §3.2) holds this key."""
    jwk = confirmation.get("jwk") if isinstance(confirmation, Mapping) else None
    if not isinstance(jwk, Mapping):
        return False
    return all(_is(jwk.get(name), value) for name, value in _jwk(key).items())


def _jwk(key: PublicKey) -> Mapping[str, str]:
    """What makes a key in a JWK (RFC 7518 §6.2.1, §6.3.1)."""
    if isinstance(key, rsa.RSAPublicKey):
        of_rsa = key.public_numbers()
        return {"kty": "RSA", "n": _number(of_rsa.n), "e": _number(of_rsa.e)}
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point, size = key.public_numbers(), (key.key_size + 7) // 8
    curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}[key.curve.name]
    return {"kty": "EC", "crv": curve, "x": _number(point.x, size), "y": _number(point.y, size)}


def _number(number: int, size: int = 0) -> str:
    return base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


# --- disclosures (RFC 9901 §7.1)


def attributes(presentation: Presentation) -> Mapping[str, tuple[str, ...]]:
    """The disclosed attributes, and those that are not selectively disclosable, as `attribute.NAME`.

    Members of objects are `attribute.NAME.MEMBER`, elements of arrays further values; numbers are text, truth is
    "true" or "false". Raises `CertificateRefusedError` attributes-unverified.
    """
    claims = {name: value for name, value in presentation.claims.items() if name != _ALGORITHM}
    opened = _Opening(presentation.disclosures).opened(claims)
    found: dict[str, list[str]] = {}
    for name, value in opened.items():
        if name not in _CONTROL:
            _flatten(f"{PREFIX}{name}", name, value, found)
    if sum(map(len, found.values())) > MAX_VALUES:
        raise _refused("too many values")
    return {name: tuple(values) for name, values in found.items()}


@dataclass(slots=True)
class _Opening:
    """Puts disclosures in the places of their digests. A digest without one is a decoy, or hidden."""

    disclosures: Sequence[str]

    def opened(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims as disclosed."""
        by_digest = {_digest(each): _disclosure(each) for each in self.disclosures}
        if len(by_digest) != len(self.disclosures):
            raise _refused("a disclosure stands twice")
        seen: set[str] = set()

        def once(digest: object) -> list[Any] | None:
            if not isinstance(digest, str) or digest in seen:
                raise _refused("a digest stands twice, or is none")
            seen.add(digest)
            return by_digest.get(digest)

        try:
            found: Mapping[str, Any] = _opened(claims, once)
        except RecursionError:
            raise _refused("too deep") from None
        if set(by_digest) - seen:
            raise _refused("a disclosure belongs nowhere")
        if set(found) & _NEVER_SELECTIVE - set(claims):
            raise _refused("a disclosure of what may not be disclosed selectively")
        return found


def _opened(value: Any, once: Callable[[object], list[Any] | None]) -> Any:
    if isinstance(value, list):
        return [each for element in value for each in _opened_element(element, once)]
    if not isinstance(value, Mapping):
        return value
    if _DIGEST in value or _ALGORITHM in value:
        raise _refused("a reserved name in another place")
    found = {name: _opened(each, once) for name, each in value.items() if name != _DIGESTS}
    digests = value.get(_DIGESTS, [])
    if not isinstance(digests, list):
        raise _refused("_sd is not an array")
    for digest in digests:
        disclosure = once(digest)
        if disclosure is None:
            continue
        if len(disclosure) != _OF_PROPERTY:
            raise _refused("a disclosure of an element stands for a member")
        _, name, disclosed = disclosure
        if name in {_DIGESTS, _DIGEST, _ALGORITHM} or name in found:
            raise _refused("a disclosed name is reserved, or there already")
        found[name] = _opened(disclosed, once)
    return found


def _opened_element(element: Any, once: Callable[[object], list[Any] | None]) -> Iterable[Any]:
    if not isinstance(element, Mapping) or _DIGEST not in element:
        return (_opened(element, once),)
    if len(element) != 1:
        raise _refused("more beside an element's digest")
    disclosure = once(element[_DIGEST])
    if disclosure is None:
        return ()
    if len(disclosure) != _OF_ELEMENT:
        raise _refused("a disclosure of a member stands for an element")
    return (_opened(disclosure[1], once),)


def _disclosure(text: str) -> list[Any]:
    try:
        found = loads(jws_x5c.canonical_base64url(text))
    except ValueError:
        raise _refused("a disclosure cannot be read") from None
    if not isinstance(found, list) or len(found) not in {_OF_ELEMENT, _OF_PROPERTY}:
        raise _refused("a disclosure is no array of two or three")
    if not all(isinstance(each, str) for each in found[:-1]):
        raise _refused("a disclosure's salt or name is not a string")
    return found


def _flatten(path: str, name: str, value: Any, found: dict[str, list[str]]) -> None:
    if not name:
        raise _refused("a name that is empty")
    if "." in name:
        return  # a claim that is named by an address (RFC 7519 §4.2), or that would pass for a member of another
    if isinstance(value, Mapping):
        for member, each in value.items():
            _flatten(f"{path}.{member}", member, each, found)
    elif isinstance(value, list):
        for each in value:
            _flatten(path, name, each, found)
    elif value is not None and value != "":
        found.setdefault(path, []).append(value if isinstance(value, str) else json.dumps(value))


def _digest(text: str) -> str:
    return base64url(hashlib.sha256(text.encode()).digest())


def _refused(detail: str) -> CertificateRefusedError:
    return CertificateRefusedError("attributes-unverified", detail)
