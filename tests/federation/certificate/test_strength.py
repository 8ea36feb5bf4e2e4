"""Which keys and signature algorithms are believed."""

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384
from cryptography.x509.oid import SignatureAlgorithmOID

from federation.certificate import strength
from federation.certificate.model import CertificateRefusedError
from tests.federation.certificate.authorities import AT, Authority, make_key


@pytest.mark.parametrize("kind", ["rsa", "rsa-3072", "p-256", "p-384", "p-521"])
def test_keys_of_today_are_believed(kind: str) -> None:
    """RSA from 2,048 bits on and the three curves."""
    key = make_key(kind, "strength").public_key()

    assert strength.key_of(key) is key


@pytest.mark.parametrize(
    "kind", ["rsa-1024", "rsa-2048-3", "p-224", "p-192", "secp256k1", "brainpool", "ed25519", "ed448", "dsa"]
)
def test_other_keys_are_not_believed(kind: str) -> None:
    """Too short, of a small exponent, on another curve, or of another kind."""
    with pytest.raises(CertificateRefusedError) as caught:
        strength.key_of(make_key(kind, "strength").public_key())

    assert caught.value.code == "weak-key"


@pytest.mark.parametrize(
    ("bits", "exponent", "believed"),
    [
        (2048, 65537, True),
        (2047, 65537, False),
        (8192, 65537, True),
        (8193, 65537, False),
        (2048, 65539, True),
        (2048, 65535, False),
        (2048, 2**64 - 1, True),
        (2048, 2**64 + 1, False),
    ],
)
def test_the_bounds_of_rsa_keys(bits: int, exponent: int, believed: bool) -> None:  # noqa: FBT001 - a table
    """The first and the last that count."""
    key = rsa.RSAPublicNumbers(exponent, 2 ** (bits - 1) + 1).public_key()

    if believed:
        assert strength.key_of(key) is key
    else:
        with pytest.raises(CertificateRefusedError, match="weak-key"):
            strength.key_of(key)


def test_what_is_no_key_is_not_believed() -> None:
    """A key of a kind that the library does not know."""
    with pytest.raises(CertificateRefusedError, match="weak-key"):
        strength.key_of(None)


def test_only_sha_2_is_believed() -> None:
    """Of all the algorithms that the library has names for, seven."""
    named = [value for value in vars(SignatureAlgorithmOID).values() if isinstance(value, x509.ObjectIdentifier)]
    believed = {value for value in named if value in strength.ALGORITHMS}

    assert len(believed) == 7
    for oid in set(named) - believed:
        with pytest.raises(CertificateRefusedError) as caught:
            strength.check_algorithm(oid)
        assert caught.value.code == "weak-algorithm"


@pytest.mark.parametrize(
    ("parameters", "believed"),
    [
        (padding.PSS(padding.MGF1(SHA256()), 32), True),
        (padding.PSS(padding.MGF1(SHA384()), 48), True),
        (padding.PSS(padding.MGF1(SHA256()), 20), False),
        (padding.PSS(padding.MGF1(SHA1()), 20), False),
        (None, False),
    ],
)
def test_pss_has_one_strong_hash_and_a_salt_of_its_length(parameters: object, believed: bool) -> None:  # noqa: FBT001
    """As every profile of certificates asks."""
    if believed:
        strength.check_algorithm(SignatureAlgorithmOID.RSASSA_PSS, parameters)
    else:
        with pytest.raises(CertificateRefusedError, match="weak-algorithm"):
            strength.check_algorithm(SignatureAlgorithmOID.RSASSA_PSS, parameters)


@pytest.mark.parametrize(("kind", "pss"), [("rsa", False), ("rsa", True), ("p-256", False), ("p-521", False)])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_true_signatures_are_told_from_false_ones(kind: str, pss: bool, digest: str) -> None:  # noqa: FBT001
    """Of certificates and of revocation lists, with every believed algorithm."""
    authority = Authority.root(f"Strength {kind}", key=kind)
    certificate = authority.issue(digest=digest, pss=pss).certificate
    key = authority.key.public_key()

    strength.check_signature(certificate, certificate.tbs_certificate_bytes, key)
    with pytest.raises(InvalidSignature):
        strength.check_signature(certificate, certificate.tbs_certificate_bytes + b"x", key)
    with pytest.raises(InvalidSignature):
        strength.check_signature(certificate, certificate.tbs_certificate_bytes, make_key(kind, "another").public_key())
    revoked = x509.load_der_x509_crl(authority.crl(AT, digest=digest))
    strength.check_signature(revoked, revoked.tbs_certlist_bytes, key)


def test_an_algorithm_of_another_kind_of_key_is_no_true_signature() -> None:
    """A certificate that says ECDSA under an RSA key."""
    certificate = Authority.root("Curve").issue().certificate

    with pytest.raises(InvalidSignature):
        strength.check_signature(certificate, certificate.tbs_certificate_bytes, make_key("rsa", "other").public_key())
