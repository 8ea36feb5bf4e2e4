"""A phone that signs in, for tests: requests read and answers made by hand, sharing nothing with the code under test.

    phone = Phone(issued)
    form = phone.answer(asked.jwt)                                # a JWS
    form = phone.answer(asked.jwt, form="cms")                    # signed data
    form = phone.answer(asked.jwt, attributes=card, disclose={"full_name"})

What `answer` is told to change differs from a good answer in exactly that. `AttributeCertificate` is what an issuer of
attributes makes (SD-JWT, RFC 9901).
"""

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from tests.federation.certificate.authorities import AT, Issued, sign, signature_algorithm

Form = list[tuple[str, str]]
Changes = Mapping[str, Any]

LEAVE_OUT = object()
"""In `Changes`: the member is left out."""


def url(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unurl(text: str) -> bytes:
    """What `url` wrote."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(text: str | bytes) -> str:
    """SHA-256, in base64url."""
    return url(hashlib.sha256(text.encode() if isinstance(text, str) else text).digest())


def changed(members: Changes, changes: Changes) -> dict[str, Any]:
    """The members with some changed, added or left out."""
    return {name: value for name, value in {**members, **changes}.items() if value is not LEAVE_OUT}


def algorithm_of(key: Any) -> str:
    """The JWS algorithm that goes with a key; with RSA PKCS #1 v1.5, as cards have it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    return {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}.get(key.curve.name, "ES256")


def jws(header: Changes, payload: bytes, key: Any) -> str:
    """A compact JWS (RFC 7515 §7.1) by `key`, as `alg` in the header says."""
    octets = f"{url(json.dumps(header).encode())}.{url(payload)}"
    digest = f"sha{header['alg'][2:]}" if header["alg"][2:] in {"256", "384", "512"} else "sha256"
    made = sign(octets.encode(), key, digest, pss=header["alg"].startswith("PS"))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        half = (key.curve.key_size + 7) // 8
        made = b"".join(number.to_bytes(half, "big") for number in utils.decode_dss_signature(made))
    return f"{octets}.{url(made)}"


def jwk(key: Any) -> dict[str, str]:
    """The public half of a key (RFC 7518 §6)."""
    if isinstance(key, rsa.RSAPrivateKey):
        of_rsa = key.public_key().public_numbers()
        return {"kty": "RSA", "n": url(of_rsa.n.to_bytes(key.key_size // 8, "big")), "e": url(b"\x01\x00\x01")}
    numbers, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
    curve = {"secp256r1": "P-256", "secp384r1": "P-384"}[key.curve.name]
    return {
        "kty": "EC",
        "crv": curve,
        "x": url(numbers.x.to_bytes(size, "big")),
        "y": url(numbers.y.to_bytes(size, "big")),
    }


def x5c(certificates: Sequence[bytes]) -> list[str]:
    """Certificates as RFC 7515 §4.1.6 writes them."""
    return [base64.b64encode(each).decode() for each in certificates]


@dataclass
class Phone:
    """A phone that holds a certificate. `at` is what its clock says."""

    issued: Issued
    at: datetime = AT

    def answer(
        self,
        request: str,
        *,
        form: str = "jws",
        amr: Sequence[str] = ("hwk", "pin"),
        face: datetime | None = None,
        attributes: "AttributeCertificate | None" = None,
        disclose: Collection[str] = (),
        proof: Changes | None = None,
        presented: Callable[[str], str] = lambda shown: shown,
        members: Changes | None = None,
        **how: Any,
    ) -> Form:
        """The form to post. `members` changes the answer object, `proof` the key binding's claims, `presented` what is
        shown of the attribute certificate before it is hashed; `how` is for `jws` or `cms` below.
        """  # noqa: D205 - the parameters are the summary
        claims = json.loads(unurl(request.split(".")[1]))
        said: dict[str, Any] = {
            "aud": claims["response_uri"],
            "nonce": claims["nonce"],
            "iat": int(self.at.timestamp()),
            "request_sha256": sha256(request),
            "amr": list(amr),
        }
        posted: Form = [("state", claims["state"])]
        if face is not None:
            said["face"] = {"at": int(face.timestamp()), "method": "example"}
        if attributes is not None:
            shown = attributes.shown(disclose)
            shown = presented(shown + self.key_binding(claims, shown, proof or {}, how.pop("proof_header", {})))
            said["sd_hash"] = sha256(shown)
            posted.append(("attributes", shown))
        content = json.dumps(changed(said, members or {})).encode()
        if form == "cms":
            return [*posted, ("cms", base64.b64encode(self.cms(content, **how)).decode())]
        return [*posted, ("response", self.jws(content, **how))]

    def jws(
        self,
        content: bytes,
        *,
        header: Changes | None = None,
        certificates: Sequence[bytes] | None = None,
        key: Any = None,
    ) -> str:
        """An answer as JWS; `header` changes members of the protected header."""
        key = key or self.issued.key
        along = self.issued.x5c if certificates is None else certificates
        protected = {"alg": algorithm_of(self.issued.key), "typ": "certificate-answer+jwt", "x5c": x5c(along)}
        return jws(changed(protected, header or {}), content, key)

    def key_binding(self, claims: Changes, shown: str, changes: Changes, header: Changes) -> str:
        """The proof of its holder that a presentation was made for this request (RFC 9901 §4.3)."""
        said = {
            "iat": int(self.at.timestamp()),
            "aud": claims["response_uri"],
            "nonce": claims["nonce"],
            "sd_hash": sha256(shown),
        }
        protected = changed({"alg": algorithm_of(self.issued.key), "typ": "kb+jwt"}, header)
        return jws(protected, json.dumps(changed(said, changes)).encode(), self.issued.key)

    def cms(
        self,
        content: bytes,
        *,
        digest: str = "sha256",
        pss: bool = False,
        algorithm: Any = None,
        key: Any = None,
        signed_content: bytes | None = None,
        leave_out: Collection[str] = (),
        extra: Sequence[Mapping[str, Any]] = (),
        named: bytes | None = None,
        certificates: Sequence[bytes] | None = None,
        by_key_identifier: bool = False,
        content_type: str = "data",
        version: str | None = None,
        signers: int = 1,
        attached: bool = True,
        unsigned: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """Signed data (RFC 5652). `signed_content`: what messageDigest is of; `named`: signingCertificateV2's hash."""
        key = key or self.issued.key
        own = named or hashlib.sha256(self.issued.der).digest()
        of = hashlib.new(digest, content if signed_content is None else signed_content).digest()
        attributes: list[Mapping[str, Any]] = [
            {"type": "content_type", "values": [content_type]},
            {"type": "message_digest", "values": [of]},
            {"type": "signing_time", "values": [cms.Time("utc_time", self.at)]},
            {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [{"cert_hash": own}]})]},
        ]
        signed = cms.CMSAttributes([*(each for each in attributes if each["type"] not in leave_out), *extra])
        certificate = asn1.Certificate.load(self.issued.der)
        identifier = cms.SignerIdentifier(
            "issuer_and_serial_number", {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
        )
        if by_key_identifier:
            identifier = cms.SignerIdentifier("subject_key_identifier", certificate.key_identifier)
        version = version or ("v3" if by_key_identifier else "v1")
        signer = {
            "version": version,
            "sid": identifier,
            "digest_algorithm": {"algorithm": digest},
            "signed_attrs": signed,
            "signature_algorithm": algorithm or signature_algorithm(key, digest, pss=pss),
            "signature": sign(signed.dump(), key, digest, pss=pss),
        }
        if unsigned:
            signer["unsigned_attrs"] = cms.CMSAttributes(list(unsigned))
        along = self.issued.x5c if certificates is None else certificates
        enclosed: dict[str, Any] = {"content_type": content_type}
        if attached:
            enclosed["content"] = content
        data = {
            "version": version,
            "digest_algorithms": [{"algorithm": digest}],
            "encap_content_info": enclosed,
            "certificates": [asn1.Certificate.load(each) for each in along],
            "signer_infos": [signer] * signers,
        }
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)}).dump())


def content_identifier(text: str) -> Mapping[str, Any]:
    """The signed attribute by which a signed text carries its nonce (RFC 2634 §2.7)."""
    return {"type": "1.2.840.113549.1.9.16.2.7", "values": [core.OctetString(text.encode())]}


# --- attribute certificates


def disclosure(*members: Any, salt: str = "c2FsdA") -> str:
    """A disclosure of a member (name, value) or of an element (value) (RFC 9901 §4.2)."""
    return url(json.dumps([salt, *members], ensure_ascii=False).encode())


@dataclass
class AttributeCertificate:
    """An SD-JWT by `signer` for the key of `holder`. `disclosures` by name; `plain` stands in it for all to see.

    `claims` and `header` change it.
    """

    signer: Issued
    holder: Issued
    disclosures: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    claims: Changes = field(default_factory=dict)
    header: Changes = field(default_factory=dict)
    key: Any = None

    @property
    def token(self) -> str:
        """The signed part."""
        claims = {
            "iss": "https://issuer.example",
            "vct": "urn:example:attributes",
            "iat": int((AT - timedelta(days=30)).timestamp()),
            "exp": int((AT + timedelta(days=30)).timestamp()),
            "cnf": {"jwk": jwk(self.holder.key)},
            "_sd_alg": "sha-256",
            "_sd": [sha256(each) for each in self.disclosures.values()],
            **self.plain,
        }
        header = {"alg": algorithm_of(self.signer.key), "typ": "dc+sd-jwt", "x5c": x5c(self.signer.x5c)}
        return jws(
            changed(header, self.header), json.dumps(changed(claims, self.claims)).encode(), self.key or self.signer.key
        )

    def shown(self, disclose: Collection[str]) -> str:
        """The token with the chosen disclosures, ready for the proof."""
        return "~".join((self.token, *(text for name, text in self.disclosures.items() if name in disclose), ""))
