"""The keys and certificates of the demo's certificate authority, two levels of them, kept in its directory.

A root that signs nothing but the issuing authority, as a root that is kept off the network would; the issuing
authority, which Maebashi's list names, as lists of this kind do; and what the issuing authority lets others sign:
answers on revocation, attribute certificates, timestamps. All addresses in a certificate are those at which the
authority listens, so certificates are made again, with the same keys, when it moved.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

ENTITY_ID = "urn:example:maebashi:certificate-authority"
"""How the list calls the authority."""

CARD_POLICY = "2.999.1.1"
"""Issued to somebody who proved with a My Number Card, face to face, who they are. 2.999 is the arc for examples."""
COUNTER_POLICY = "2.999.1.2"
"""Issued to somebody who showed other documents at a counter."""
ATTRIBUTES_POLICY = "2.999.1.9"
"""Of the certificate that signs attribute certificates."""
TIMESTAMPS_POLICY = "2.999.3.1"
"""Under which timestamps are given (RFC 3161 §2.4.1)."""
ATTRIBUTES_USAGE = "2.999.2.1"
"""The extended key usage of the certificate that signs attribute certificates: no resident has it."""

YEAR = timedelta(days=365)
EARLY = timedelta(days=30)
"""A certificate is made again so long before its end."""
PARTITIONS = 2
"""Into how many lists of revocations the certificates are divided, by their serial number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key, and the certificate that says whose it is."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where the authority at `url` says what."""

    url: str

    @property
    def ocsp(self) -> str:
        """Single answers on revocation (RFC 6960)."""
        return f"{self.url}/ocsp"

    @property
    def root(self) -> str:
        """The root's certificate."""
        return f"{self.url}/root.cer"

    @property
    def issuing(self) -> str:
        """The issuing authority's certificate."""
        return f"{self.url}/issuing.cer"

    @property
    def root_crl(self) -> str:
        """What the root revoked."""
        return f"{self.url}/root.crl"

    def crl(self, partition: int) -> str:
        """One part of what the issuing authority revoked."""
        return f"{self.url}/crl/{partition}.crl"

    def delta(self, partition: int) -> str:
        """What was revoked since that part was made."""
        return f"{self.url}/crl/{partition}-delta.crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityKeys:
    """Everything that the authority signs with. `foreign` is another authority, which no list names."""

    links: Links
    root: Pair
    issuing: Pair
    responder: Pair
    attributes: Pair
    timestamps: Pair
    foreign: Pair

    @property
    def services(self) -> tuple[Pair, ...]:
        """Those whose certificates are the issuing authority's, beside those of residents."""
        return self.responder, self.attributes, self.timestamps


def listed_certificate(directory: Path, url: str, now: datetime) -> bytes:
    """The issuing authority's certificate, PEM: what the list states. Made at the first start."""
    _, issuing = _two_levels(directory, Links(url=url), now)
    return issuing.certificate.public_bytes(serialization.Encoding.PEM)


def authority_keys(directory: Path, url: str, now: datetime) -> AuthorityKeys:
    """All keys and certificates of the authority at `url`, kept in `directory`."""
    links = Links(url=url)
    root, issuing = _two_levels(directory, links, now)
    usages = x509.ExtendedKeyUsage

    def service(name: str, title: str, usage: x509.ObjectIdentifier, *, critical: bool, policy: str = "") -> Pair:
        def make(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
            builder = (
                certificate_for(
                    key.public_key(), issuing, links=links, subject=_name(title), begin=now - YEAR, end=now + 7 * YEAR
                )
                .add_extension(key_usage("digital_signature"), critical=True)
                .add_extension(usages([usage]), critical=critical)
            )
            if policy:
                builder = builder.add_extension(policies(policy), critical=False)
            if usage == ExtendedKeyUsageOID.OCSP_SIGNING:
                builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)  # RFC 6960 §4.2.2.2.1
            return builder.sign(issuing.key, hashes.SHA256())

        return _kept(directory / f"{name}.pem", ec.SECP256R1(), make, issuer=issuing, link=links.ocsp, now=now)

    return AuthorityKeys(
        links=links,
        root=root,
        issuing=issuing,
        responder=service("ocsp", "Maebashi demo OCSP responder", ExtendedKeyUsageOID.OCSP_SIGNING, critical=False),
        attributes=service(
            "attributes",
            "Maebashi demo attribute authority",
            x509.ObjectIdentifier(ATTRIBUTES_USAGE),
            critical=False,
            policy=ATTRIBUTES_POLICY,
        ),
        timestamps=service(
            "timestamps",
            "Maebashi demo timestamps",
            ExtendedKeyUsageOID.TIME_STAMPING,
            critical=True,  # RFC 3161 §2.3
            policy=TIMESTAMPS_POLICY,
        ),
        foreign=_root(directory / "foreign.pem", "Another demo certificate authority", now),
    )


def certificate_for(
    key: CertificatePublicKeyTypes,
    issuer: Pair,
    *,
    links: Links,
    subject: x509.Name,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    """What every certificate of the issuing authority holds: names, times, and where to ask whether it was revoked."""
    serial = x509.random_serial_number()
    partition = serial % PARTITIONS
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_issuer_key(issuer), critical=False)
        .add_extension(_access(links.issuing, ocsp=links.ocsp), critical=False)
        .add_extension(x509.CRLDistributionPoints([_point(links.crl(partition))]), critical=False)
        .add_extension(x509.FreshestCRL([_point(links.delta(partition))]), critical=False)
    )


def key_usage(*usages: str) -> x509.KeyUsage:
    """Those of RFC 5280 §4.2.1.3 by the names of `x509.KeyUsage`."""
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    assert set(usages) <= set(names)
    return x509.KeyUsage(**{name: name in usages for name in names})


def policies(*oids: str) -> x509.CertificatePolicies:
    """Certificate policies (RFC 5280 §4.2.1.4)."""
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids])


def pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    """A key and its certificate in one file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def put_private(path: Path, content: bytes) -> None:
    """Write `content` with mode 0600, in one step, over whatever is there; on disk when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# --- the two levels


def _two_levels(directory: Path, links: Links, now: datetime) -> tuple[Pair, Pair]:
    root = _root(directory / "root.pem", "Maebashi demo root certificate authority", now)

    def make(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        return (
            _authority(key, _name("Maebashi demo certificate authority"), root.certificate.subject, path_length=0)
            .not_valid_before(now - 2 * YEAR)
            .not_valid_after(now + 8 * YEAR)
            .add_extension(_issuer_key(root), critical=False)
            .add_extension(_access(links.root), critical=False)
            .add_extension(x509.CRLDistributionPoints([_point(links.root_crl)]), critical=False)
            .add_extension(policies("2.5.29.32.0"), critical=False)
            .sign(root.key, hashes.SHA256())
        )

    return root, _kept(directory / "issuing.pem", ec.SECP256R1(), make, issuer=root, link=links.root, now=now)


def _root(path: Path, title: str, now: datetime) -> Pair:
    def make(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        return (
            _authority(key, _name(title), _name(title), path_length=1)
            .not_valid_before(now - 3 * YEAR)
            .not_valid_after(now + 20 * YEAR)
            .sign(key, hashes.SHA256())
        )

    return _kept(path, ec.SECP256R1(), make, issuer=None, link="", now=now)


def _authority(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, *, path_length: int
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _kept(
    path: Path,
    curve: ec.EllipticCurve,
    make: Callable[[ec.EllipticCurvePrivateKey], x509.Certificate],
    *,
    issuer: Pair | None,
    link: str,
    now: datetime,
) -> Pair:
    """The pair in `path`; the certificate made again if it is near its end, not its issuer's, or without `link`."""
    if not path.exists():
        key = ec.generate_private_key(curve)
    else:
        content = path.read_bytes()
        loaded = serialization.load_pem_private_key(content, password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        key, certificate = loaded, x509.load_pem_x509_certificate(content)
        if now + EARLY < certificate.not_valid_after_utc and _fits(certificate, issuer, link):
            return Pair(key=key, certificate=certificate)
    certificate = make(key)
    put_private(path, pem(key, certificate))
    return Pair(key=key, certificate=certificate)


def _fits(certificate: x509.Certificate, issuer: Pair | None, link: str) -> bool:
    if issuer is None:
        return True
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
    except Exception:  # noqa: BLE001 - whatever is wrong, it is made again
        return False
    return link in links_of(certificate)


def links_of(certificate: x509.Certificate) -> Sequence[str]:
    """The addresses in the certificate's authority information access (RFC 5280 §4.2.2.1)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return [each.access_location.value for each in found]


def _name(title: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kakehashi demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, title),
        ]
    )


def _issuer_key(issuer: Pair) -> x509.AuthorityKeyIdentifier:
    held = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(held)


def _access(issuers: str, ocsp: str = "") -> x509.AuthorityInformationAccess:
    methods = AuthorityInformationAccessOID
    found = [(methods.OCSP, ocsp)] if ocsp else []
    found.append((methods.CA_ISSUERS, issuers))
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in found]
    )


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
