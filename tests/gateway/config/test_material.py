"""Certificates, keys and secrets that a configuration names, and what `load` makes of a whole directory."""

import datetime as dt
import re
import shutil
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from federation.model import Assurance, Level
from gateway.config import Client, ConfigurationError, TlsFiles, TrustSource, check, load

from .sample import GATEWAY, OIDC, PROVIDER, REFERENCE, SAML, TRUST, edit

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A configuration without mistakes."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def certificate(key: Key) -> bytes:
    """A self-signed certificate, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    builder = builder.not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
    signed = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return signed.public_bytes(Encoding.PEM)


def private(key: Key, password: bytes | None = None) -> bytes:
    """The key, PEM, PKCS #8."""
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    """A file with these rights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def kinds(region: Path, state: Path | None = None) -> list[str]:
    """The kinds of every mistake; each has its sentences."""
    mistakes, _ = check(region, state)
    assert all(mistake.text("ja") and mistake.text("en") for mistake in mistakes)
    return [mistake.kind for mistake in mistakes]


def with_tls(region: Path, chain: bytes, key: bytes, mode: int = 0o600) -> None:
    """Let the gateway speak TLS with these."""
    edit(region, GATEWAY, "#tls:", "tls:")
    edit(region, GATEWAY, "#certificate:", "certificate:")
    edit(region, GATEWAY, "#key: tls", "key: tls")
    put(region / "tls/fullchain.pem", chain, 0o644)
    put(region / "tls/private-key.pem", key, mode)


def test_a_pair_of_certificate_and_key_is_accepted(region: Path) -> None:
    """With a certificate and its key no proxy is needed, even beyond loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    with_tls(region, certificate(key), private(key))
    edit(region, GATEWAY, "  host: localhost\n  # ポート", "  host: 0.0.0.0\n  # ポート")
    edit(region, GATEWAY, '["192.0.2.10", "2001:db8::/64"]', "[]")

    found = load(region, state=None)

    assert found.tls == TlsFiles(certificate=region / "tls/fullchain.pem", key=region / "tls/private-key.pem")


def test_a_key_of_another_certificate_is_refused(region: Path) -> None:
    """Certificate and key must belong together."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    with_tls(region, certificate(key), private(other))
    assert kinds(region) == ["key-mismatch"]


def test_a_key_that_is_locked_or_none_is_refused(region: Path) -> None:
    """An encrypted key cannot be used at start; nor can something that is no key."""
    key = ec.generate_private_key(ec.SECP256R1())
    with_tls(region, certificate(key), private(key, b"locked"))
    assert kinds(region) == ["private-key"]
    put(region / "tls/private-key.pem", b"no key")
    assert kinds(region) == ["private-key"]


def test_a_key_that_everybody_can_read_is_refused(region: Path) -> None:
    """A private key must not be world-readable."""
    key = ec.generate_private_key(ec.SECP256R1())
    with_tls(region, certificate(key), private(key), mode=0o644)
    assert kinds(region) == ["material-open"]


def test_missing_tls_files_are_both_reported(region: Path) -> None:
    """Certificate and key are looked for separately."""
    key = ec.generate_private_key(ec.SECP256R1())
    with_tls(region, certificate(key), private(key))
    shutil.rmtree(region / "tls")
    assert kinds(region) == ["material-missing", "material-missing"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["certificate", "certificate"]),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ["certificate", "certificate"]),
        (b"\xff\x00", ["certificate", "certificate"]),
    ],
)
def test_an_anchor_that_is_no_certificate_is_refused(region: Path, content: bytes, expected: list[str]) -> None:
    """Every list that names the anchor says so."""
    put(region / "lists/anchor.pem", content)
    assert kinds(region) == expected


def test_an_anchor_with_a_weak_or_unknown_key_is_refused(region: Path) -> None:
    """RSA below 2048 bits and keys that no list is signed with are refused."""
    for key in (rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()):
        put(region / "lists/anchor.pem", certificate(key))
        assert kinds(region) == ["certificate-key", "certificate-key"]


def test_an_anchor_file_with_a_private_key_is_refused(region: Path) -> None:
    """The list authority's private key has no business in a gateway's configuration."""
    key = ec.generate_private_key(ec.SECP256R1())
    put(region / "lists/anchor.pem", certificate(key) + private(key))
    assert kinds(region) == ["certificate-private", "certificate-private"]


def with_secret(region: Path, written: str = "secrets/example") -> None:
    """Let the OpenID client authenticate with a secret."""
    edit(region, OIDC, "authentication: private_key_jwt", "authentication: client_secret_basic")
    edit(region, OIDC, "#client_secret_file: secrets/example-oidc", f"client_secret_file: '{written}'")


def test_a_client_secret_is_read_and_hidden(region: Path) -> None:
    """The secret is the file's text without its line end, and no repr shows it."""
    with_secret(region)
    put(region / "secrets/example", b"hunter2\n")

    found = load(region, state=None)

    client = found.id_systems["example-oidc"].client
    assert client == Client(
        id="kakehashi", authentication="client_secret_basic", scopes=("openid", "profile"), secret="hunter2"
    )
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        (b"hunter2", 0o644, ["material-open"]),
        (b"hunter2", 0o602, ["material-open"]),
        (b" \n", 0o600, ["material-empty"]),
        (b"\xff\xfe", 0o600, ["material-empty"]),
        (b"two\nlines", 0o600, ["material-empty"]),
        (b"hunter2", 0o640, []),
    ],
)
def test_a_secret_must_be_one_line_and_private(region: Path, content: bytes, mode: int, expected: list[str]) -> None:
    """World-readable, empty and odd secret files are refused."""
    with_secret(region)
    put(region / "secrets/example", content, mode)
    assert kinds(region) == expected


def test_paths_may_lead_into_the_state_directory(region: Path, tmp_path: Path) -> None:
    """`state:` paths are checked where a state directory is given, noted where not, and needed to load."""
    state = tmp_path / "state"
    with_secret(region, "state:secrets/example")
    edit(region, TRUST, "lists/anchor.pem", "'state:authority/certificate.pem'")
    edit(region, TRUST, "lists/region-saml.xml", "'state:lists/region-saml.xml'")

    mistakes, notes = check(region)
    assert mistakes == ()
    assert [note.kind for note in notes].count("state-unchecked") == 3

    with pytest.raises(ConfigurationError) as caught:
        load(region, state=None)
    assert [mistake.kind for mistake in caught.value.mistakes] == ["state-unchecked"] * 3

    assert kinds(region, state) == ["material-missing", "material-missing"]

    put(state / "secrets/example", b"hunter2")
    shutil.copy(region / "lists/anchor.pem", region / "lists/kept.pem")
    put(state / "authority/certificate.pem", (region / "lists/anchor.pem").read_bytes())
    found = load(region, state=state)
    assert found.sources[0].file == state / "lists/region-saml.xml"
    assert found.sources[0].anchors == found.sources[1].anchors


def test_the_store_password_goes_into_the_address_for_connecting_only(region: Path) -> None:
    """The password is quoted into `store_url`, which no repr shows; `gateway.store.url` stays as written."""
    edit(region, GATEWAY, "url: embedded", "url: rediss://store.example.jp:6380/1")
    edit(region, GATEWAY, "#password_file: secrets/store-password", "password_file: secrets/store")
    put(region / "secrets/store", b"p@ss/word\n")

    found = load(region, state=None)

    assert found.store_url == "rediss://:p%40ss%2Fword@store.example.jp:6380/1"
    assert found.gateway.store.url == "rediss://store.example.jp:6380/1"
    assert "p%40ss" not in repr(found)


def levels(identity: int, authentication: int) -> Assurance:
    """What an operator's word is worth, which limits nothing of how an answer is carried."""
    return Assurance(identity=Level(identity), authentication=Level(authentication), federation=Level.THREE)


def test_a_directory_becomes_domain_values(region: Path) -> None:
    """The reference, loaded: every part in the form that the gateway works with."""
    found = load(region, state=None)

    anchor = x509.load_pem_x509_certificate((REFERENCE / "lists/anchor.pem").read_bytes())
    anchors = (anchor.public_bytes(Encoding.DER),)
    assert found.sources == (
        TrustSource(name="region-saml", format="saml-metadata", file=region / "lists/region-saml.xml", anchors=anchors),
        TrustSource(
            name="region-openid", format="etsi-119602", file=region / "lists/region-openid.jwt", anchors=anchors
        ),
    )
    assert found.refresh == dt.timedelta(seconds=2)
    assert found.gateway.public_url == "https://gateway.example.jp"
    assert found.gateway.trusted_proxies == (ip_network("192.0.2.10"), ip_network("2001:db8::/64"))
    assert (found.tls, found.store_url) == (None, "embedded")
    oidc, saml = found.id_systems["example-oidc"], found.id_systems["example-saml"]
    assert (oidc.subject, saml.subject, saml.client) == ("sub", "NameID", None)
    assert oidc.system.municipality == "102016"
    assert oidc.system.statements == {
        "urn:example:jpki": levels(3, 3),
        "urn:example:password": levels(1, 1),
    }
    assert oidc.system.default_assurance == levels(0, 0)
    assert oidc.system.methods == {"urn:example:jpki": ("sc", "pin", "mfa")}
    assert not found.tabled
    assert [rule.to for rule in oidc.system.inward.rules] == ["familyName", "dateOfBirth"]
    service = found.services["example-oidc"].service
    assert service.id_systems == frozenset({"example-oidc", "example-saml"})
    assert service.scopes == frozenset({"council.polls.read"})
    assert service.consent_lifetime == dt.timedelta(days=365)
    portal = found.services["example-saml"].service
    assert portal.id_systems is None
    assert portal.minimum is Level.TWO
    assert portal.outward.rules[0].friendly_name == "sn"
    assert found.api_services["council-poll"].audience == "council-poll"
    assert found.scopes["council.polls.read"]["en"] == "See the polls and their results"
    match = found.routes.match("GET", "/api/council/polls/7")
    assert (match.route.service, match.upstream_path) == ("council-poll", "/polls/7")
    assert [note.kind for note in found.notes] == ["assurance-own", "list-missing", "list-missing"]


@pytest.mark.parametrize(
    ("public", "scope", "expected"),
    [
        ("https://gateway.example.jp", "scope: region.example.jp", "region.example.jp"),
        ("https://Gateway.example.jp:8443", "", "gateway.example.jp"),
        ("http://localhost:8080", "", "localhost"),
        ("https://192.0.2.1", "", "192.0.2.1"),
        ('"https://[2001:db8::1]"', "", "2001-db8--1"),
        ('"http://[::1]:8080"', "", "1"),
    ],
)
def test_the_scope_of_identifiers(region: Path, public: str, scope: str, expected: str) -> None:
    """As configured, else the host of the public address; always something that an identifier may end with."""
    edit(region, GATEWAY, "scope: region.example.jp", scope)
    edit(region, GATEWAY, "https://gateway.example.jp", public)

    found = load(region, state=None)

    assert found.scope == expected
    assert re.fullmatch("[a-z0-9][a-z0-9.-]{0,126}", found.scope)


def test_what_is_weaker_for_one_member_is_known_of_it_alone(region: Path) -> None:
    """Each name stands with the ID system or service whose file has it, and is noted there at every check."""
    edit(region, SAML, "weaker: []", "weaker: [unsolicited-responses, cbc-encryption]")
    edit(region, PROVIDER, "#subject_identifier: pairwise-id", "subject_identifier: subject-id")
    edit(region, PROVIDER, "weaker: []", "weaker: [common-subject-id]")

    found = load(region, state=None)

    assert found.id_systems["example-saml"].system.weaker == {"unsolicited-responses", "cbc-encryption"}
    assert found.id_systems["example-oidc"].system.weaker == frozenset()
    assert found.services["example-saml"].weaker == {"common-subject-id"}
    assert found.services["example-saml"].service.subject_identifier == "subject-id"
    assert found.id_systems["example-saml"].scoped_attributes == ("https://id.ebetsu.example.jp/attributes/staff-id",)
    noted = [(Path(note.file).name, note.facts["name"]) for note in found.notes if note.kind == "weaker"]
    assert noted == [
        ("example-saml.yaml", "unsolicited-responses"),
        ("example-saml.yaml", "cbc-encryption"),
        ("example-saml.yaml", "common-subject-id"),
    ]
