"""The authority simulator: roots, issuing authorities, certificates with every fault, revocation lists, OCSP.

Everything is really signed. Names and object identifiers are invented (RFC 5612's example enterprise). `AT` is the
moment at which all certificates are valid unless a test says otherwise; nothing reads a clock.

    root = Authority.root("Root")
    issuing = root.subordinate("Issuing", path_length=0)
    issued = issuing.issue("山田 花子", san=(x509.RFC822Name("hanako@example.jp"),))
    issued.der, issued.others          # what a phone sends
    issuing.revoke(issued.certificate, AT)
    issuing.crl(at=AT), issuing.ocsp(issued.certificate, at=AT)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

from asn1crypto import core
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1
from asn1crypto.algos import SignedDigestAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""A moment at which everything is valid that was issued without other wishes."""

ENTERPRISE = "1.3.6.1.4.1.32473"  # RFC 5612 §2
POLICY = f"{ENTERPRISE}.1.1"
OTHER_POLICY = f"{ENTERPRISE}.1.2"
THIRD_POLICY = f"{ENTERPRISE}.1.3"
ANY_POLICY = "2.5.29.32.0"
UNKNOWN_EXTENSION = f"{ENTERPRISE}.9.9"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
Extra = tuple[x509.ExtensionType, bool]
"""An extension and whether it is critical."""
Surgery = Callable[[asn1.TbsCertificate], None]
"""What is done to a finished certificate before it is signed anew."""

_CURVES = {
    "ec": ec.SECP256R1(),
    "p-256": ec.SECP256R1(),
    "p-384": ec.SECP384R1(),
    "p-521": ec.SECP521R1(),
    "p-224": ec.SECP224R1(),
    "p-192": ec.SECP192R1(),
    "secp256k1": ec.SECP256K1(),
    "brainpool": ec.BrainpoolP256R1(),
}
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@cache
def _rsa(kind: str, owner: str) -> rsa.RSAPrivateKey:
    """RSA keys are slow to make: one for each kind and owner in a test process."""
    del owner
    words = kind.split("-")
    bits = int(words[1]) if len(words) > 1 else 2048
    exponent = int(words[2]) if len(words) > 2 else 65537
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def make_key(kind: Any = None, owner: str = "") -> Any:
    """A private key: "p-256" (the same as None), "p-384", "p-521", "rsa", "rsa-1024", "rsa-2048-3", "ed25519", "ed448",
    "dsa", "secp256k1", …; a key is given back as it is.
    """  # noqa: D205 - the list of kinds is the summary
    if kind is None:
        kind = "p-256"
    if not isinstance(kind, str):
        return kind
    if kind.startswith("rsa"):
        return _rsa(kind, owner)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    if kind == "dsa":
        return dsa.generate_private_key(2048)
    return ec.generate_private_key(_CURVES[kind])


def name(text: x509.Name | str) -> x509.Name:
    """A name, a distinguished name as RFC 4514 writes it, or a plain common name below C=JP, O=Example."""
    if isinstance(text, x509.Name):
        return text
    if "=" in text:
        return x509.Name.from_rfc4514_string(text)
    parts = ((NameOID.COUNTRY_NAME, "JP"), (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, text))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def other_name(oid: str, text: str) -> x509.OtherName:
    """An otherName with a UTF8String, as JPKI's certificates carry the person's data."""
    return x509.OtherName(x509.ObjectIdentifier(oid), core.UTF8String(text).dump())


def key_usage(*names: str) -> x509.KeyUsage:
    """The key usages of these names, and no others."""
    assert set(names) <= set(_KEY_USAGES), names
    return x509.KeyUsage(**{each: each in names for each in _KEY_USAGES})


def policies_extension(policies: Iterable[str]) -> x509.CertificatePolicies:
    """Certificate policies without qualifiers."""
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(each), None) for each in policies])


def unknown_extension(oid: str = UNKNOWN_EXTENSION) -> x509.UnrecognizedExtension:
    """An extension that nobody knows."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")


def distribution_points(*urls: str) -> list[x509.DistributionPoint]:
    """One distribution point for each address."""
    return [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]


def subject_key_id(key: Any) -> bytes:
    """The key identifier that certificates of this key carry (RFC 5280 §4.2.1.2, method 1)."""
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest


# --- signing by hand

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def signature_algorithm(key: Any, digest: str = "sha256", *, pss: bool = False) -> SignedDigestAlgorithm:
    """The AlgorithmIdentifier of what `sign` makes."""
    if isinstance(key, rsa.RSAPrivateKey):
        if not pss:
            return SignedDigestAlgorithm({"algorithm": f"{digest}_rsa", "parameters": core.Null()})
        return SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": _pss_parameters(digest)})
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return SignedDigestAlgorithm({"algorithm": f"{digest}_ecdsa"})
    if isinstance(key, dsa.DSAPrivateKey):
        return SignedDigestAlgorithm({"algorithm": f"{digest}_dsa"})
    return SignedDigestAlgorithm({"algorithm": "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "ed448"})


def _pss_parameters(digest: str) -> dict[str, Any]:
    of_hash = {"algorithm": digest, "parameters": core.Null()}
    return {
        "hash_algorithm": of_hash,
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": of_hash},
        "salt_length": _HASHES[digest].digest_size,
    }


def sign(data: bytes, key: Any, digest: str = "sha256", *, pss: bool = False) -> bytes:
    """A signature over `data`, with whatever hash is wanted, however weak."""
    chosen = _HASHES[digest]
    if isinstance(key, rsa.RSAPrivateKey):
        how = padding.PSS(padding.MGF1(chosen), chosen.digest_size) if pss else padding.PKCS1v15()
        return key.sign(data, how, chosen)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(chosen))
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(data, chosen)
    signature: bytes = key.sign(data)
    return signature


def sign_anew(
    certificate: x509.Certificate | bytes,
    key: Any,
    *,
    surgery: Sequence[Surgery] = (),
    digest: str = "sha256",
    pss: bool = False,
) -> bytes:
    """The DER of the certificate after `surgery`, signed by `key`."""
    der = certificate if isinstance(certificate, bytes) else certificate.public_bytes(serialization.Encoding.DER)
    whole = asn1.Certificate.load(der)
    algorithm = signature_algorithm(key, digest, pss=pss)
    tbs = whole["tbs_certificate"]
    tbs["signature"] = algorithm
    for change in surgery:
        change(tbs)
    signed = tbs.dump(force=True)
    made = {
        "tbs_certificate": asn1.TbsCertificate.load(signed),
        "signature_algorithm": algorithm,
        "signature_value": core.OctetBitString(sign(signed, key, digest, pss=pss)),
    }
    der = asn1.Certificate(made).dump(force=True)
    assert signed in der
    return der


# --- faults


def duplicate_extension(tbs: asn1.TbsCertificate) -> None:
    """The first extension stands there twice (RFC 5280 §4.2 forbids it)."""
    extensions = tbs["extensions"]
    tbs["extensions"] = [*(each for each in extensions), extensions[0].copy()]


def version_1(tbs: asn1.TbsCertificate) -> None:
    """X.509 version 1: without extensions."""
    del tbs["version"]
    del tbs["extensions"]


def negative_serial(tbs: asn1.TbsCertificate) -> None:
    """A serial number that RFC 5280 §4.1.2.2 forbids."""
    tbs["serial_number"] = -5


def without_extension(identifier: str) -> Surgery:
    """Leaves out the extension with asn1crypto's name for it ("basic_constraints", "key_usage", …)."""

    def surgery(tbs: asn1.TbsCertificate) -> None:
        tbs["extensions"] = [each for each in tbs["extensions"] if each["extn_id"].native != identifier]

    return surgery


# --- what is issued


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, its private key, and the certificates of its authorities, issuer first, without the root's."""

    certificate: x509.Certificate
    key: Any = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return der_of(self.certificate)

    @property
    def others(self) -> tuple[bytes, ...]:
        """The DER of `chain`: what goes with the person's certificate."""
        return tuple(der_of(each) for each in self.chain)

    @property
    def x5c(self) -> tuple[bytes, ...]:
        """The whole chain, leaf first."""
        return (self.der, *self.others)


@dataclass(frozen=True, slots=True)
class Revoked:
    serial: int
    at: datetime
    reason: x509.ReasonFlags | None = None
    invalid_since: datetime | None = None


def der_of(certificate: x509.Certificate) -> bytes:
    """The DER of a certificate."""
    return certificate.public_bytes(serialization.Encoding.DER)


def _extensions(builder: x509.CertificateBuilder, extras: Iterable[Extra]) -> x509.CertificateBuilder:
    for extension, critical in extras:
        builder = builder.add_extension(extension, critical)
    return builder


@dataclass
class Authority:
    """An authority: it issues, revokes and answers for what it issued. Its certificate may be exchanged by tests."""

    issued: Issued
    parent: "Authority | None" = None
    revoked: dict[int, Revoked] = field(default_factory=dict)
    crl_number: int = 0

    # --- making authorities

    @classmethod
    def root(
        cls,
        subject: x509.Name | str = "Root",
        *,
        key: Any = None,
        not_before: datetime = datetime(2020, 1, 1, tzinfo=UTC),
        not_after: datetime = datetime(2040, 1, 1, tzinfo=UTC),
        **changes: Any,
    ) -> "Authority":
        """A self-signed authority. `changes` as in `subordinate`; policies: none unless given."""
        subject = name(subject)
        key = make_key(key, subject.rfc4514_string())
        bare = cls(Issued(certificate=None, key=key))  # type: ignore[arg-type] - it is being made
        changes.setdefault("policies", ())
        made = bare._authority(subject, key, issuer=subject, not_before=not_before, not_after=not_after, **changes)
        return cls(Issued(made, key))

    def subordinate(
        self,
        subject: x509.Name | str,
        *,
        key: Any = None,
        not_before: datetime = datetime(2022, 1, 1, tzinfo=UTC),
        not_after: datetime = datetime(2036, 1, 1, tzinfo=UTC),
        **changes: Any,
    ) -> "Authority":
        """An authority below this one. `changes`: path_length, name_constraints, policies (anyPolicy unless given),
        key_usage, ca (False: it says that it is none), and everything else that `issue` takes.
        """  # noqa: D205 - the list of changes is the summary
        subject = name(subject)
        key = make_key(key, subject.rfc4514_string())
        made = self._authority(
            subject, key, issuer=self.certificate.subject, not_before=not_before, not_after=not_after, **changes
        )
        return Authority(Issued(made, key, self.chain), self)

    def cross(self, other: "Authority", **changes: Any) -> x509.Certificate:
        """A certificate by this authority for the name and key of `other` (RFC 5280 §3.2: a cross-certificate)."""
        changes.setdefault("not_before", datetime(2022, 1, 1, tzinfo=UTC))
        changes.setdefault("not_after", datetime(2036, 1, 1, tzinfo=UTC))
        subject = other.certificate.subject
        return self._authority(subject, other.key, issuer=self.certificate.subject, **changes)

    def _authority(
        self,
        subject: x509.Name,
        key: Any,
        *,
        issuer: x509.Name,
        ca: bool = True,
        path_length: int | None = None,
        name_constraints: x509.NameConstraints | None = None,
        policies: Sequence[str] = (ANY_POLICY,),
        key_usages: Sequence[str] | None = ("key_cert_sign", "crl_sign"),
        extensions: Sequence[Extra] = (),
        **changes: Any,
    ) -> x509.Certificate:
        extras: list[Extra] = [(x509.BasicConstraints(ca=ca, path_length=path_length), True)]
        if name_constraints is not None:
            extras.append((name_constraints, True))
        return self.certify(
            subject,
            key.public_key(),
            issuer=issuer,
            policies=policies,
            key_usages=key_usages,
            extensions=(*extras, *extensions),
            **changes,
        )

    # --- issuing

    @property
    def certificate(self) -> x509.Certificate:
        return self.issued.certificate

    @property
    def key(self) -> Any:
        return self.issued.key

    @property
    def der(self) -> bytes:
        return self.issued.der

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Its own certificate and those above it, without the root's: what goes along with what it issues."""
        return () if self.parent is None else (self.certificate, *self.parent.chain)

    def issue(
        self,
        subject: x509.Name | str = "山田 花子",
        *,
        key: Any = None,
        key_usage: Sequence[str] | None = ("digital_signature", "content_commitment"),
        **changes: Any,
    ) -> Issued:
        """A person's certificate; `changes` as in `certify`."""
        subject = name(subject)
        key = make_key(key, subject.rfc4514_string())
        changes.setdefault("policies", (POLICY,))
        made = self.certify(subject, key.public_key(), key_usages=key_usage, **changes)
        return Issued(made, key, self.chain)

    def responder(
        self, subject: x509.Name | str = "OCSP responder", *, no_check: bool = True, **changes: Any
    ) -> Issued:
        """A delegated OCSP responder (RFC 6960 §4.2.2.2), for `ocsp(signer=…)`."""
        changes.setdefault("extended_key_usages", (ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,))
        changes.setdefault("key_usage", ("digital_signature",))
        if no_check:
            changes["extensions"] = (*changes.get("extensions", ()), (x509.OCSPNoCheck(), False))
        return self.issue(subject, **changes)

    def certify(  # noqa: C901 - one branch for each extension
        self,
        subject: x509.Name | str,
        public_key: Any,
        *,
        issuer: x509.Name | None = None,
        serial: int | None = None,
        not_before: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        not_after: datetime = datetime(2031, 1, 1, tzinfo=UTC),
        policies: Sequence[str] = (),
        policies_critical: bool = False,
        key_usages: Sequence[str] | None = None,
        extended_key_usages: Sequence[str] = (),
        extended_key_usages_critical: bool = False,
        san: Sequence[x509.GeneralName] = (),
        san_critical: bool = False,
        crl_urls: Sequence[str] = (),
        ocsp_urls: Sequence[str] = (),
        freshest: Sequence[str] = (),
        extensions: Sequence[Extra] = (),
        authority_key_id: bytes | str | None = "own",
        surgery: Sequence[Surgery] | Surgery = (),
        digest: str = "sha256",
        pss: bool = False,
        signed_by: Any = None,
    ) -> x509.Certificate:
        """A certificate for a public key, signed by this authority (or by the key `signed_by`)."""
        extras: list[Extra] = [(x509.SubjectKeyIdentifier.from_public_key(public_key), False)]
        if authority_key_id == "own":
            authority_key_id = subject_key_id(self.key)
        if isinstance(authority_key_id, bytes):
            extras.append((x509.AuthorityKeyIdentifier(authority_key_id, None, None), False))
        if key_usages is not None:
            extras.append((key_usage(*key_usages), True))
        if policies:
            extras.append((policies_extension(policies), policies_critical))
        if extended_key_usages:
            usages = [x509.ObjectIdentifier(each) for each in extended_key_usages]
            extras.append((x509.ExtendedKeyUsage(usages), extended_key_usages_critical))
        if san:
            extras.append((x509.SubjectAlternativeName(list(san)), san_critical))
        if crl_urls:
            extras.append((x509.CRLDistributionPoints(distribution_points(*crl_urls)), False))
        if freshest:
            extras.append((x509.FreshestCRL(distribution_points(*freshest)), False))
        if ocsp_urls:
            places = [
                x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
                for url in ocsp_urls
            ]
            extras.append((x509.AuthorityInformationAccess(places), False))
        extras = [each for each in extras if type(each[0]) not in {type(given[0]) for given in extensions}]
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(issuer or self.certificate.subject)
            .public_key(public_key)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(not_before.astimezone(UTC).replace(tzinfo=None))
            .not_valid_after(not_after.astimezone(UTC).replace(tzinfo=None))
        )
        builder = _extensions(builder, (*extras, *extensions))
        key = signed_by or self.key
        changes = (surgery,) if callable(surgery) else tuple(surgery)
        if digest == "sha256" and not pss and not changes:
            plain = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
            return builder.sign(key, None if plain else hashes.SHA256())
        unsigned = builder.sign(_helper(), hashes.SHA256())
        return x509.load_der_x509_certificate(sign_anew(unsigned, key, surgery=changes, digest=digest, pss=pss))

    def issue_der(
        self, subject: x509.Name | str = "山田 花子", *, surgery: Surgery, key: Any = None, **changes: Any
    ) -> bytes:
        """Like `issue`, for certificates so broken that no library reads them: only their DER."""
        good = self.issue(subject, key=key, **changes)
        return sign_anew(good.certificate, self.key, surgery=(surgery,))

    # --- revocation

    def revoke(
        self,
        certificate: x509.Certificate,
        at: datetime = AT,
        reason: x509.ReasonFlags | None = None,
        *,
        invalid_since: datetime | None = None,
    ) -> None:
        self.revoked[certificate.serial_number] = Revoked(certificate.serial_number, at, reason, invalid_since)

    def crl(
        self,
        at: datetime = AT,
        next_update: datetime | str | None = "in a day",
        *,
        number: int | None = None,
        delta_of: int | None = None,
        distribution_point: str | None = None,
        only_user: bool = False,
        only_ca: bool = False,
        only_attribute: bool = False,
        only_reasons: frozenset[x509.ReasonFlags] | None = None,
        indirect: bool = False,
        only: Iterable[int] | None = None,
        freshest: Sequence[str] = (),
        extensions: Sequence[Extra] = (),
        entry_extensions: Sequence[Extra] = (),
        issuer: x509.Name | None = None,
        signed_by: Any = None,
        authority_key_id: bytes | str | None = "own",
        digest: str = "sha256",
    ) -> bytes:
        """The DER of a revocation list (RFC 5280 §5). `delta_of`: the number of the complete list that it adds to;
        `only`: the serial numbers of the entries (otherwise everything that was revoked by `at`).
        """  # noqa: D205 - what the parameters mean is the summary
        self.crl_number = self.crl_number + 1 if number is None else number
        over = at + timedelta(days=1) if next_update == "in a day" else next_update
        key = signed_by or self.key
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer or self.certificate.subject)
            .last_update(_naive(at))
            .next_update(_naive(over if isinstance(over, datetime) else at + timedelta(days=1)))
        )
        chosen = set(only) if only is not None else None
        for each in self.revoked.values():
            if each.serial in chosen if chosen is not None else each.at <= at:
                builder = builder.add_revoked_certificate(_entry(each, entry_extensions))
        extras: list[Extra] = [(x509.CRLNumber(self.crl_number), False)]
        if authority_key_id == "own":
            authority_key_id = subject_key_id(self.key)
        if isinstance(authority_key_id, bytes):
            extras.append((x509.AuthorityKeyIdentifier(authority_key_id, None, None), False))
        if delta_of is not None:
            extras.append((x509.DeltaCRLIndicator(delta_of), True))
        if freshest:
            extras.append((x509.FreshestCRL(distribution_points(*freshest)), False))
        if distribution_point or only_user or only_ca or only_attribute or only_reasons or indirect:
            point = x509.IssuingDistributionPoint(
                full_name=[x509.UniformResourceIdentifier(distribution_point)] if distribution_point else None,
                relative_name=None,
                only_contains_user_certs=only_user,
                only_contains_ca_certs=only_ca,
                only_some_reasons=only_reasons,
                indirect_crl=indirect,
                only_contains_attribute_certs=only_attribute,
            )
            extras.append((point, True))
        for extension, critical in (*extras, *extensions):
            builder = builder.add_extension(extension, critical)
        plain = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        made = builder.sign(_helper() if digest != "sha256" else key, None if plain else hashes.SHA256())
        der = made.public_bytes(serialization.Encoding.DER)
        if digest == "sha256" and over is not None:
            return der
        return _list_anew(der, key, digest, without_next_update=over is None)

    def ocsp(
        self,
        asked: bytes | x509.Certificate | Sequence[x509.Certificate],
        at: datetime = AT,
        next_update: datetime | str | None = "in an hour",
        *,
        standing: str | Sequence[str] | None = None,
        nonce: bytes | str | None = "echo",
        signer: Issued | None = None,
        signed_by: Any = None,
        produced_at: datetime | None = None,
        by_name: bool = False,
        certificates: Sequence[x509.Certificate] | None = None,
        cert_id_digest: str = "sha1",
        issuer: "x509.Certificate | None" = None,
        status: str = "successful",
        digest: str = "sha256",
    ) -> bytes:
        """The DER of an OCSP response (RFC 6960) to a request's DER, or about certificates.

        `standing` "good", "revoked" or "unknown", of all or of each: otherwise what this authority knows at `at`
        (thisUpdate). `nonce`: "echo" the request's, none, or another. `signer`: a delegated responder; `signed_by`:
        whatever key is wanted. `certificates`: those that go along (a responder's own unless given). `status`: e.g.
        "try_later".
        """
        if status != "successful":
            return bytes(asn1_ocsp.OCSPResponse({"response_status": status}).dump())
        echo, ids = _questions(asked, issuer or self.certificate, cert_id_digest)
        over = at + timedelta(hours=1) if next_update == "in an hour" else next_update
        responses = [
            {"cert_id": each, "cert_status": self._standing(each, forced, at), "this_update": at}
            | ({"next_update": over} if over is not None else {})
            for each, forced in zip(ids, _of_each(standing, len(ids)), strict=True)
        ]
        responder = signer.certificate if signer else self.certificate
        key = signed_by or (signer.key if signer else self.key)
        loaded = asn1.Certificate.load(der_of(responder))
        data: dict[str, Any] = {
            "responder_id": asn1_ocsp.ResponderId(
                *(("by_name", loaded.subject) if by_name else ("by_key", loaded.public_key.sha1))
            ),
            "produced_at": produced_at or at,
            "responses": responses,
        }
        carried = echo if nonce == "echo" else nonce
        if isinstance(carried, bytes):
            data["response_extensions"] = [{"extn_id": "nonce", "extn_value": core.OctetString(carried)}]
        tbs = asn1_ocsp.ResponseData(data)
        along = certificates if certificates is not None else ([signer.certificate] if signer else [])
        basic: dict[str, Any] = {
            "tbs_response_data": tbs,
            "signature_algorithm": signature_algorithm(key, digest),
            "signature": core.OctetBitString(sign(tbs.dump(), key, digest)),
        }
        if along:
            basic["certs"] = [asn1.Certificate.load(der_of(each)) for each in along]
        whole = {
            "response_status": "successful",
            "response_bytes": {"response_type": "basic_ocsp_response", "response": asn1_ocsp.BasicOCSPResponse(basic)},
        }
        return bytes(asn1_ocsp.OCSPResponse(whole).dump())

    def _standing(self, identifier: asn1_ocsp.CertId, forced: str | None, at: datetime) -> asn1_ocsp.CertStatus:
        found = self.revoked.get(identifier["serial_number"].native)
        if forced == "unknown":
            return asn1_ocsp.CertStatus("unknown", core.Null())
        if forced == "good" or (forced is None and (found is None or found.at > at)):
            return asn1_ocsp.CertStatus("good", core.Null())
        info: dict[str, Any] = {"revocation_time": found.at if found else at}
        if found and found.reason:
            info["revocation_reason"] = _REASONS[found.reason]
        return asn1_ocsp.CertStatus("revoked", info)


def _of_each(standing: str | Sequence[str] | None, number: int) -> Sequence[str | None]:
    return [standing] * number if standing is None or isinstance(standing, str) else standing


_REASONS = {
    x509.ReasonFlags.unspecified: "unspecified",
    x509.ReasonFlags.key_compromise: "key_compromise",
    x509.ReasonFlags.ca_compromise: "ca_compromise",
    x509.ReasonFlags.affiliation_changed: "affiliation_changed",
    x509.ReasonFlags.superseded: "superseded",
    x509.ReasonFlags.cessation_of_operation: "cessation_of_operation",
    x509.ReasonFlags.certificate_hold: "certificate_hold",
    x509.ReasonFlags.remove_from_crl: "remove_from_crl",
    x509.ReasonFlags.privilege_withdrawn: "privilege_withdrawn",
    x509.ReasonFlags.aa_compromise: "aa_compromise",
}


@cache
def _helper() -> ec.EllipticCurvePrivateKey:
    """Signs what is signed anew afterwards."""
    return ec.generate_private_key(ec.SECP256R1())


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _entry(revoked: Revoked, extras: Sequence[Extra]) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(revoked.serial).revocation_date(_naive(revoked.at))
    if revoked.reason:
        builder = builder.add_extension(x509.CRLReason(revoked.reason), critical=False)
    if revoked.invalid_since:
        builder = builder.add_extension(x509.InvalidityDate(_naive(revoked.invalid_since)), critical=False)
    for extension, critical in extras:
        builder = builder.add_extension(extension, critical)
    return builder.build()


def _list_anew(der: bytes, key: Any, digest: str, *, without_next_update: bool) -> bytes:
    whole = asn1_crl.CertificateList.load(der)
    algorithm = signature_algorithm(key, digest)
    tbs = whole["tbs_cert_list"]
    tbs["signature"] = algorithm
    if without_next_update:
        del tbs["next_update"]
    signed = tbs.dump(force=True)
    made = {
        "tbs_cert_list": asn1_crl.TbsCertList.load(signed),
        "signature_algorithm": algorithm,
        "signature": core.OctetBitString(sign(signed, key, digest)),
    }
    return bytes(asn1_crl.CertificateList(made).dump(force=True))


def _questions(
    asked: bytes | x509.Certificate | Sequence[x509.Certificate], issuer: x509.Certificate, digest: str
) -> tuple[bytes | None, list[asn1_ocsp.CertId]]:
    """The nonce of a request, and the certificates that it is about."""
    if isinstance(asked, bytes):
        tbs = asn1_ocsp.OCSPRequest.load(asked)["tbs_request"]
        nonce = next(
            (
                each["extn_value"].parsed.native
                for each in tbs["request_extensions"]
                if each["extn_id"].native == "nonce"
            ),
            None,
        )
        return nonce, [each["req_cert"] for each in tbs["request_list"]]
    several = [asked] if isinstance(asked, x509.Certificate) else list(asked)
    loaded = asn1.Certificate.load(der_of(issuer))
    return None, [
        asn1_ocsp.CertId(
            {
                "hash_algorithm": {"algorithm": digest, "parameters": core.Null()},
                "issuer_name_hash": getattr(loaded.subject, digest),
                "issuer_key_hash": getattr(loaded.public_key, digest),
                "serial_number": each.serial_number,
            }
        )
        for each in several
    ]


class Region:
    """The usual two levels: a root, an issuing authority below it, and a certificate of 山田 花子."""

    @cached_property
    def root(self) -> Authority:
        return Authority.root("Root")

    @cached_property
    def issuing(self) -> Authority:
        return self.root.subordinate("Issuing", path_length=0)

    @cached_property
    def issued(self) -> Issued:
        return self.issuing.issue()
