"""What the demo's authority says of revocations: single answers (OCSP) and lists, complete, in parts, and deltas.

The complete list and its parts are made once an hour; a delta says what was revoked since, and is made anew when
something was, so a revocation is known everywhere at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from gateway.demo.authority_keys import PARTITIONS, AuthorityKeys, Pair
from gateway.demo.certificate_register import Issued, Register

ANSWER_LIFE = timedelta(minutes=1)
"""How long an answer may be used; short, so that a demo need not wait."""
BASE_EVERY = timedelta(hours=1)
BASE_LIFE = timedelta(days=1)
DELTA_LIFE = timedelta(minutes=1)
LARGEST_QUESTION = 4096
LONGEST_NONCE = 128
"""Octets (RFC 9654 §2.1)."""

_DIGESTS = (hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""With which a question may name the issuer; SHA-1 identifies here, it protects nothing."""


def ocsp_answer(question: bytes, keys: AuthorityKeys, register: Register, now: datetime) -> bytes:
    """The DER answer to a DER question about one certificate (RFC 6960 §2.1), signed by the delegated responder."""
    try:
        if len(question) > LARGEST_QUESTION:
            return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        asked = ocsp.load_der_ocsp_request(question)
        nonce = _nonce(asked)
        algorithm = asked.hash_algorithm
        if asked.serial_number <= 0:
            return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    except (ValueError, NotImplementedError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    if not isinstance(algorithm, _DIGESTS) or not _ours(asked, keys.issuing, algorithm):
        return _unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)  # RFC 5019 §2.2.3
    begin = now.replace(microsecond=0)
    row = register.find(asked.serial_number)
    known = row is not None or asked.serial_number in {pair.certificate.serial_number for pair in keys.services}
    status = ocsp.OCSPCertStatus.GOOD if known else ocsp.OCSPCertStatus.UNKNOWN
    if row is not None and row.revoked_at is not None:
        status = ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=algorithm,
            cert_status=status,
            this_update=begin,
            next_update=begin + ANSWER_LIFE,
            revocation_time=row.revoked_at if row is not None else None,
            revocation_reason=x509.ReasonFlags(row.reason) if row is not None and row.revoked_at else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, keys.responder.certificate)
        .certificates([keys.responder.certificate])
    )
    if nonce is not None:
        builder = builder.add_extension(nonce, critical=False)
    return _der(builder.sign(keys.responder.key, hashes.SHA256()))


def _nonce(asked: ocsp.OCSPRequest) -> x509.OCSPNonce | None:
    for extension in asked.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            if not 1 <= len(extension.value.nonce) <= LONGEST_NONCE:
                raise ValueError("the nonce's length")
            return extension.value
        if extension.critical:
            raise ValueError("a critical extension")
    return None


def _ours(asked: ocsp.OCSPRequest, issuer: Pair, algorithm: hashes.HashAlgorithm) -> bool:
    """Whether the question names the issuing authority, by its name and by its key (RFC 6960 §4.1.1)."""
    name, key = hashes.Hash(algorithm), hashes.Hash(algorithm)
    name.update(issuer.certificate.subject.public_bytes())
    key.update(_key_bits(issuer))
    return (asked.issuer_name_hash, asked.issuer_key_hash) == (name.finalize(), key.finalize())


def _key_bits(issuer: Pair) -> bytes:
    """The contents of subjectPublicKey, of which the key hash is made: an uncompressed point."""
    return issuer.key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    return _der(ocsp.OCSPResponseBuilder.build_unsuccessful(status))


def _der(answer: ocsp.OCSPResponse) -> bytes:
    return answer.public_bytes(serialization.Encoding.DER)


# --- lists


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    number: int
    at: datetime
    serials: frozenset[int]
    der: bytes


class Lists:
    """The lists of revocations. A partition's name is its number, that of the complete list `all`."""

    def __init__(self, keys: AuthorityKeys, register: Register) -> None:
        self._keys = keys
        self._register = register
        self._bases: dict[str, _List] = {}
        self._deltas: dict[str, tuple[int, _List]] = {}
        self._root: _List | None = None

    def base(self, scope: str, now: datetime) -> bytes:
        """The list of `scope`, at most an hour old. Raises `KeyError` for a scope that there is not."""
        return self._base(scope, now).der

    def delta(self, scope: str, now: datetime) -> bytes:
        """What was revoked since the list of `scope` was made (RFC 5280 §5.2.4). Raises `KeyError`."""
        base = self._base(scope, now)
        rows = [row for row in self._revoked(scope) if row.serial not in base.serials]
        serials = frozenset(row.serial for row in rows)
        number, last = self._deltas.get(scope, (0, None))
        if last is None or number != base.number or serials != last.serials or now >= last.at + DELTA_LIFE / 2:
            last = self._make(scope, rows, now, life=DELTA_LIFE, base=base)
            self._deltas[scope] = (base.number, last)
        return last.der

    def root(self, now: datetime) -> bytes:
        """What the root revoked: nothing."""
        if self._root is None or now >= self._root.at + BASE_EVERY:
            number = self._register.next_crl_number()
            der = _signed(_builder(self._keys.root, now, BASE_LIFE, number), self._keys.root)
            self._root = _List(number=number, at=now, serials=frozenset(), der=der)
        return self._root.der

    def _base(self, scope: str, now: datetime) -> _List:
        last = self._bases.get(scope)
        if last is None or now >= last.at + BASE_EVERY:
            last = self._bases[scope] = self._make(scope, self._revoked(scope), now, life=BASE_LIFE)
        return last

    def _revoked(self, scope: str) -> list[Issued]:
        found = self._register.revoked()
        if scope == "all":
            return list(found)
        if scope not in {str(n) for n in range(PARTITIONS)}:
            raise KeyError(scope)
        return [row for row in found if row.serial % PARTITIONS == int(scope)]

    def _make(
        self, scope: str, rows: Sequence[Issued], now: datetime, *, life: timedelta, base: _List | None = None
    ) -> _List:
        links, number = self._keys.links, self._register.next_crl_number()
        builder = _builder(self._keys.issuing, now, life, number)
        if scope != "all":  # the scope of a list and of its delta is the same
            builder = builder.add_extension(_part(links.crl(int(scope))), critical=True)
        if base is not None:
            builder = builder.add_extension(x509.DeltaCRLIndicator(base.number), critical=True)
        else:
            freshest = f"{links.url}/crl/{scope}-delta.crl"
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(freshest)], None, None, None)
            builder = builder.add_extension(x509.FreshestCRL([point]), critical=False)
        for row in rows:
            assert row.revoked_at is not None
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(row.serial)
                .revocation_date(row.revoked_at)
                .add_extension(x509.CRLReason(x509.ReasonFlags(row.reason)), critical=False)
                .build()
            )
        return _List(
            number=number,
            at=now,
            serials=frozenset(row.serial for row in rows),
            der=_signed(builder, self._keys.issuing),
        )


def _builder(issuer: Pair, now: datetime, life: timedelta, number: int) -> x509.CertificateRevocationListBuilder:
    begin = now.astimezone(UTC).replace(microsecond=0)
    held = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(begin)
        .next_update(begin + life)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(held), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )


def _signed(builder: x509.CertificateRevocationListBuilder, issuer: Pair) -> bytes:
    return builder.sign(issuer.key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)


def _part(url: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
