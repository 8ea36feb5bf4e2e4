"""trust.yaml: where lists come from, what they are signed with, and what is said about it."""

import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.config import ConfigurationError, check, load
from trust_lists.following import Follow

from .sample import REFERENCE, TRUST, edit, write

FILE = "    file: lists/region-openid.jwt\n"
URL = "    url: https://lists.example.jp/region.jwt\n"


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """The reference, to be edited."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def said(region: Path) -> set[str]:
    """The kinds of all mistakes, but for formats that are not there yet."""
    return {mistake.kind for mistake in check(region, state=region.parent)[0]} - {"list-format"}


def public_key(region: Path) -> bytes:
    """The anchor's bare key, PEM."""
    anchor = x509.load_pem_x509_certificate((region / "lists/anchor.pem").read_bytes())
    return anchor.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_list_that_is_fetched_is_kept_in_the_state_directory(region: Path, tmp_path: Path) -> None:
    """Every process reads the gateway's own copy; without a state directory nothing can be loaded."""
    edit(region, TRUST, FILE, URL + '    municipality: "100005"\n    private_addresses: allowed\n')

    mistakes, notes = check(region)
    assert mistakes == ()
    assert {"state-unchecked", "private-addresses"} <= {note.kind for note in notes}
    with pytest.raises(ConfigurationError):
        load(region, state=None)

    source = load(region, state=tmp_path).sources[1]
    assert source.file == tmp_path / "lists" / "region-openid" / "current"
    assert (source.url, source.origin) == ("https://lists.example.jp/region.jwt", None)
    assert (source.fetched, source.kept, source.approval) == (True, True, False)
    assert (source.municipality, source.private_addresses) == ("100005", True)


def test_a_file_whose_list_needs_approval(region: Path, tmp_path: Path) -> None:
    """The operator's file is only where it comes from."""
    edit(region, TRUST, FILE, FILE + "    approval: required\n")
    source = load(region, state=tmp_path).sources[1]
    assert source.file == tmp_path / "lists" / "region-openid" / "current"
    assert source.origin == region / "lists/region-openid.jwt"
    assert (source.fetched, source.kept, source.approval) == (False, True, True)


def test_successors_and_bare_keys_are_pins(region: Path, tmp_path: Path) -> None:
    """A certificate and a public key, in the order of trust."""
    write(region, "lists/next.pem", public_key(region))
    edit(region, TRUST, "next_anchors: []", "next_anchors: [lists/next.pem]")
    source = load(region, state=tmp_path).sources[0]
    key = x509.load_der_x509_certificate(source.anchors[0]).public_key()
    assert source.next_anchors == (key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),)
    assert source.pins == source.anchors + source.next_anchors


@pytest.mark.parametrize(
    ("file", "expected"),
    [("    file:\n", {"source-place"}), ("    file:\n" + URL, set()), (FILE + "    url: null\n", set())],
)
def test_an_empty_key_is_as_if_it_were_not_there(region: Path, tmp_path: Path, file: str, expected: set[str]) -> None:
    """For every check alike."""
    edit(region, TRUST, FILE, file)
    assert said(region) == expected
    if not expected:
        assert load(region, state=tmp_path).sources[1].fetched is ("https" in file)


def test_a_damaged_public_key(region: Path) -> None:
    """It is named as one."""
    write(region, "lists/next.pem", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    edit(region, TRUST, "next_anchors: []", "next_anchors: [lists/next.pem]")
    assert said(region) == {"public-key"}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("    entity: https://federation.example.jp\n", set()),
        (FILE + "    entity: https://federation.example.jp\n", set()),
        (FILE, {"source-entity"}),
        (URL + "    entity: https://federation.example.jp\n", {"source-url-federation"}),
    ],
)
def test_a_federation_begins_at_an_entity(region: Path, place: str, expected: set[str]) -> None:
    """Its addresses follow from there; a bundle that was collected before may be read from a file."""
    edit(region, TRUST, FILE, place)
    edit(region, TRUST, "format: etsi-119602\n", "format: openid-federation\n")
    assert said(region) == expected


def test_a_list_of_lists_that_is_followed(region: Path, tmp_path: Path) -> None:
    """Not unless it is asked for; what is found is kept in the state directory, even if the list itself is a file."""
    assert [source.follow for source in load(region, state=tmp_path).sources] == [None, None]
    edit(region, TRUST, FILE, FILE + "    follow: {}\n")
    assert load(region, state=tmp_path).sources[1].follow == Follow(depth=1, most=32)
    assert "state-unchecked" in {note.kind for note in check(region)[1]}
    edit(region, TRUST, "follow: {}", "follow: {depth: 2, most: 5, territories: [JP], types: ['http://a.example/t']}")
    assert load(region, state=tmp_path).sources[1].follow == Follow(
        depth=2, most=5, territories=frozenset({"JP"}), types=frozenset({"http://a.example/t"})
    )


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        ("{depth: 4}", {"range"}),
        ("{most: 0}", {"range"}),
        ("{territories: [jp]}", {"territory"}),
        ("{territories: []}", {"list-empty"}),
        ("{types: [any list]}", {"list-type"}),
    ],
)
def test_what_cannot_be_followed(region: Path, follow: str, expected: set[str]) -> None:
    """Bounds, countries and types of lists."""
    edit(region, TRUST, FILE, FILE + f"    follow: {follow}\n")
    assert said(region) == expected


def test_only_two_formats_point_to_other_lists(region: Path) -> None:
    """SAML metadata and federations do not."""
    edit(region, TRUST, "file: lists/region-saml.xml\n", "file: lists/region-saml.xml\n    follow: {}\n")
    assert said(region) == {"follow-unused"}
