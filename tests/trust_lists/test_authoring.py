"""The authority's side: keys, recipes and signed outputs."""

import json
import stat
from datetime import timedelta

import pytest
from cryptography import x509

from tests.trust_lists.builders import (
    NOW,
    authority,
    identity_provider,
    private_jwks,
    public_jwks,
    scopes,
    service_provider,
)
from trust_lists import certificates
from trust_lists.authoring import new_authority, sign_list
from trust_lists.model import ListRefusedError
from trust_lists.recipes import RecipeError
from trust_lists.showing import describe, read_any, read_list_file

ENTRY = """\
entity_id: https://rp.example
role: openid-relying-party
municipality: "102016"
name: {ja: 参加サイト, en: Participation}
metadata:
  redirect_uris: [https://rp.example/callback]
  token_endpoint_auth_method: private_key_jwt
  jwks_file: rp.jwks.json
"""


class Region:
    """A directory with an authority's key, two recipes and their members."""

    def __init__(self, directory):
        self.directory = directory
        self.key, self.certificate = directory / "key.pem", directory / "certificate.pem"
        self.key.write_bytes(authority().key_pem)
        self.certificate.write_bytes(authority().certificate_pem)
        self.saml, self.openid = directory / "saml.yaml", directory / "openid.yaml"
        self.saml.write_text(
            "list: region-saml\nformat: saml-metadata\nmembers: saml/\noutput: region-saml.xml\nvalid_days: 30\n"
        )
        self.openid.write_text(
            "list: region-openid\nformat: json\nmembers: openid/\noutput: region-openid.jwt\nvalid_days: 30\n"
        )
        self.write("saml/ebetsu.xml", identity_provider())
        self.write("saml/ebetsu.yaml", 'municipality: "012173"\nscopes: [Ebetsu.example]\n')
        self.write("saml/library.xml", service_provider())
        self.write("openid/rp.yaml", ENTRY)
        self.write("openid/rp.jwks.json", json.dumps(public_jwks()))

    def write(self, name, text):
        """Write a file below the directory."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def sign(self, recipe, now=NOW, **kept):
        """Sign with the region's key."""
        return sign_list(recipe, **{"key": self.key, "certificate": self.certificate, "now": now, **kept})

    def read(self, output, now=NOW):
        """Read a signed output with the region's anchor."""
        return read_any(output.read_bytes(), anchors=[authority().der], now=now)

    def error(self, recipe, now=NOW, **kept):
        """Tell why signing fails, with paths from the directory on."""
        with pytest.raises(RecipeError) as refused:
            self.sign(recipe, now, **kept)
        return str(refused.value).replace(str(self.directory) + "/", "")


@pytest.fixture
def region(tmp_path):
    """Give a region with good members."""
    return Region(tmp_path)


def test_new_authority(tmp_path):
    """An RSA key of 3,072 bits that only its owner can read, and a certificate; never overwritten."""
    key, certificate = new_authority(tmp_path / "authority")
    assert (key.name, certificate.name) == ("key.pem", "certificate.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    (der,) = certificates.from_pem(certificate.read_bytes())
    assert certificates.public_key(der).key_size == 3072
    assert x509.load_der_x509_certificate(der).not_valid_after_utc.year == 9999
    before = key.read_bytes()
    with pytest.raises(RecipeError, match=r"key\.pem: is already there"):
        new_authority(tmp_path / "authority")
    assert key.read_bytes() == before
    region = Region(tmp_path)
    region.key, region.certificate = key, certificate
    assert region.sign(region.saml).exists()


def test_sign_saml(region):
    """A recipe becomes a signed aggregate with municipalities and scopes from the sidecars."""
    read = region.read(region.sign(region.saml))
    assert {e.entity_id: (e.municipality, e.scopes) for e in read.entities} == {
        "https://idp.example/": ("012173", ("ebetsu.example",)),
        "https://sp.example/": (None, ()),
    }
    assert (read.faults, read.sequence, read.valid_until) == (
        (),
        int(NOW.timestamp()),
        NOW + timedelta(days=30),
    )


def test_sign_openid(region):
    """A recipe becomes a signed native list; a key file is read at signing."""
    read = region.read(region.sign(region.openid))
    (entity,) = read.entities
    assert entity.metadata == {
        "redirect_uris": ["https://rp.example/callback"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": public_jwks(),
    }
    assert read.name == "region-openid"


@pytest.mark.parametrize("kind", ["saml", "openid"])
def test_sequence_grows_within_a_second(region, kind):
    """Two signings in one second have growing numbers, and both are readable at once."""
    recipe = getattr(region, kind)
    numbers = [region.read(region.sign(recipe)).sequence for _ in range(3)]
    first = int(NOW.timestamp())
    assert numbers == [first, first + 1, first + 2]


def test_a_clock_that_went_back(region):
    """A machine whose clock is behind its own last output says so."""
    region.sign(region.saml, NOW + timedelta(days=1))
    assert "region-saml.xml: was signed at 2026-04-02T09:00:00Z, but it is 2026-04-01T09:00:00Z here" in region.error(
        region.saml
    )


@pytest.mark.parametrize("kind", ["saml", "openid"])
def test_an_output_that_is_no_list_is_not_overwritten(region, kind):
    """A wrong `output:` does not destroy somebody's file."""
    recipe = getattr(region, kind)
    output = region.sign(recipe)
    output.write_text("my diary")
    assert "move the file away" in region.error(recipe)
    assert output.read_text() == "my diary"


def test_a_failed_signing_leaves_the_last_output(region):
    """Whatever goes wrong, the last list stays as it is, and no temporary file remains."""
    output = region.sign(region.openid)
    before = output.read_bytes()
    region.write("openid/rp.yaml", ENTRY.replace("102016", "102017"))
    assert region.error(region.openid) == (
        "openid/rp.yaml:3: municipality: '102017' is not a local-government code (six digits, the last a check digit)."
    )
    assert output.read_bytes() == before
    assert not list(region.directory.glob(".region*"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            ENTRY.replace('"102016"', "102016"),
            "rp.yaml:3: municipality: a local-government code is text: write it in quotes",
        ),
        (
            ENTRY.replace("https://rp.example/callback", "http://rp.example/"),
            "rp.yaml:6: metadata.redirect_uris[0]: http://rp",
        ),
        (ENTRY.replace("private_key_jwt", "none"), "rp.yaml:7: metadata.token_endpoint_auth_method: one of"),
        (ENTRY.replace("rp.jwks.json", "gone.json"), "gone.json: cannot be read (No such file"),
        (
            ENTRY.replace("rp.jwks.json", "/etc/passwd"),
            "rp.yaml:8: /etc/passwd lies outside the recipe's directory",
        ),
        (ENTRY.replace("rp.jwks.json", "../../secret"), "rp.yaml:8: ../../secret lies outside"),
        (ENTRY.replace("rp.jwks.json", "rp.yaml"), "rp.yaml:8: rp.yaml is not a JWK Set in JSON"),
        (ENTRY + "  jwks: {keys: []}\n", "rp.yaml:8: either jwks, or jwks_file"),
        (ENTRY + "role: openid-provider\n", "rp.yaml:9: the key role occurs twice"),
        (ENTRY + "name: &a x\nmore: *a\n", "rp.yaml:9: anchors and aliases are not allowed"),
        (ENTRY + "since: 2026-04-01\n", "rp.yaml:9: a plain value is expected"),
        (ENTRY + "since: !!python/object/apply:os.system [ls]\n", "rp.yaml:9: since: unknown"),
        (ENTRY + "1: x\n", "rp.yaml:9: a key that is text"),
        (ENTRY + "a: [\n", "rp.yaml:10: "),
        ("", "rp.yaml:1: an entry with entity_id"),
        ("[" * 100_000, "rp.yaml:1: more than 32 levels deep"),
        ("\0", "rp.yaml:1: not a YAML file"),
    ],
)
def test_mistakes_in_an_entry(region, text, error):
    """Each mistake is reported with file and line, what is expected and what to do."""
    region.write("openid/rp.yaml", text)
    assert error in region.error(region.openid)


def test_a_private_key_is_not_signed(region):
    """A member that handed over its private key is told so; the key is not in the message."""
    region.write("openid/rp.jwks.json", json.dumps(private_jwks()))
    error = region.error(region.openid)
    assert "rp.yaml:8: metadata.jwks.keys[0].d: is part of a private key" in error
    assert private_jwks()["keys"][0]["d"] not in error


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("valid_days: 30", "valid_days: 0", "saml.yaml:5: valid_days: a whole number of days from 1 to 366"),
        ("valid_days: 30", "valid_days: yes", "saml.yaml:5: valid_days: "),
        ("valid_days: 30", "", "saml.yaml:1: valid_days is missing; add it."),
        (
            "valid_days: 30",
            "valid_days: 30\ndays: 3",
            "saml.yaml:6: days is not part of a recipe; known are list,",
        ),
        ("saml-metadata", "xml", "saml.yaml:2: format: one of saml-metadata, json is expected."),
        ("region-saml\n", "a b\n", "saml.yaml:1: list: a name of ASCII letters"),
        ("saml/", "gone/", "saml.yaml:3: there is no directory gone"),
        ("region-saml.xml", "saml/out.xml", "saml.yaml:4: the output would become a member"),
        ("region-saml.xml", "gone/out.xml", "gone/out.xml: cannot be written (No such file or directory)"),
    ],
)
def test_mistakes_in_a_recipe(region, old, new, error):
    """A recipe is checked with file and line too."""
    region.saml.write_text(region.saml.read_text().replace(old, new, 1))
    assert error in region.error(region.saml)


def test_mistakes_among_saml_members(region):
    """Sidecars without metadata, wrong codes, misnamed files and bad metadata are named."""
    region.write("saml/omura.yaml", 'municipality: "422053"')
    assert "saml/omura.yaml: there is no omura.xml beside it" in region.error(region.saml)
    region.write("saml/omura.xml", "<a/>")
    assert "saml/omura.xml: a single md:EntityDescriptor is expected" in region.error(region.saml)
    region.write("saml/omura.xml", identity_provider("https://omura.example/", keys=""))
    assert "saml/omura.xml: IDPSSODescriptor.KeyDescriptor: it signs" in region.error(region.saml)
    region.write("saml/omura.yaml", 'municipality: "422054"')
    assert "saml/omura.yaml:1: municipality: '422054' is not" in region.error(region.saml)
    region.write("saml/omura.yaml", "city: Omura")
    assert 'saml/omura.yaml:1: municipality: "CODE", scopes: [DOMAIN' in region.error(region.saml)
    region.write("saml/omura.yml", "")
    assert "saml/omura.yml: would not be read; rename it to omura.yaml" in region.error(region.saml)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("scopes: []", "ebetsu.yaml:1: scopes: a list of domains is expected, as [ebetsu.example]"),
        ("scopes: ebetsu.example", "ebetsu.yaml:1: scopes: a list of domains is expected"),
        ("scopes:\n", "ebetsu.yaml:1: scopes: a list of domains is expected"),
        ("scopes:\n  - a.example\n  - b_c\n", "ebetsu.yaml:3: scopes[1]: 'b_c' is not a scope: a domain such as"),
        ("scopes: [1]", "ebetsu.yaml:1: scopes[0]: '1' is not a scope"),
        ("scopes: [[a]]", "ebetsu.yaml:1: scopes[0]: "),
        ('municipality: "012173"\nscope: [a]', "ebetsu.yaml:1: municipality: "),
        ("", "ebetsu.yaml:1: municipality: "),
        ("{}", "ebetsu.yaml:1: municipality: "),
    ],
)
def test_mistakes_in_a_sidecar(region, text, error):
    """What the authority says of a member is checked with file and line."""
    region.write("saml/ebetsu.yaml", text)
    assert error in region.error(region.saml)


def test_scopes_of_a_service_are_a_mistake(region):
    """The line is named at which an entity that is no identity provider gets scopes."""
    region.write("saml/library.yaml", "\nscopes: [library.example]\n")
    assert "library.yaml:2: scopes: only an identity provider has scopes" in region.error(region.saml)


def test_scopes_without_a_municipality(region):
    """Either may be given alone."""
    region.write("saml/ebetsu.yaml", "scopes: [a.example]")
    read = region.read(region.sign(region.saml))
    assert [(e.municipality, e.scopes) for e in read.entities] == [(None, ("a.example",)), (None, ())]


def test_the_operator_hears_of_scopes_that_are_left_out(region):
    """A member's own scope does not get onto the list unless the authority gives it, and signing says so."""
    said = []
    wanted = identity_provider(extensions=scopes("EBETSU.example", "evil.example"), role_extensions=scopes("x" * 300))
    region.write("saml/ebetsu.xml", wanted)
    region.write("saml/library.xml", service_provider(extensions=scopes("library.example")))
    read = region.read(region.sign(region.saml, tell=said.append))
    assert [e.scopes for e in read.entities] == [("ebetsu.example",), ()]
    advice = ", which is left out; if the member may use it, give it under scopes: in {}.yaml."
    assert [text.replace(f"{region.directory}/", "") for text in said] == [
        "saml/ebetsu.xml: states the scope 'evil.example'" + advice.format("ebetsu"),
        f"saml/ebetsu.xml: states the scope '{'x' * 100}'" + advice.format("ebetsu"),
        "saml/library.xml: states the scope 'library.example'" + advice.format("library"),
    ]


def test_no_members(region):
    """An empty directory is a mistake, not an empty list."""
    (region.directory / "openid/rp.yaml").unlink()
    assert "openid: no member is there" in region.error(region.openid)


@pytest.mark.parametrize("kind", ["saml", "openid"])
def test_wrong_keys(region, kind):
    """A key of another certificate, or no key at all, is reported without its content."""
    recipe = getattr(region, kind)
    other = region.directory / "other.pem"
    other.write_bytes(authority("stranger").key_pem)
    assert "other.pem: an unencrypted PEM private key of" in region.error(recipe, key=other)
    assert "certificate.pem: an unencrypted PEM private key of" in region.error(recipe, key=region.certificate)
    assert "key.pem: no certificate found" in region.error(recipe, certificate=region.key)


def test_describe(region):
    """`trust show` prints plain values: who, as what, with which keys and addresses, until when; faults."""
    assert json.loads(json.dumps(describe(region.read(region.sign(region.saml))))) == {
        "list": "(unnamed)",
        "issued_at": "2026-04-01T09:00:00Z",
        "valid_until": "2026-05-01T09:00:00Z",
        "sequence": int(NOW.timestamp()),
        "entities": [
            {
                "entity_id": "https://idp.example/",
                "roles": ["saml-identity-provider"],
                "municipality": "012173",
                "scopes": ["ebetsu.example"],
                "names": {},
                "valid_until": "2026-05-01T09:00:00Z",
                "signing_keys": [certificates.fingerprint(authority("idp").der)],
                "encryption_keys": [certificates.fingerprint(authority("idp").der)],
                "addresses": ["https://idp.example/sso"],
            },
            {
                "entity_id": "https://sp.example/",
                "roles": ["saml-service-provider"],
                "municipality": None,
                "scopes": [],
                "names": {"ja": "図書館", "en": "Library"},
                "valid_until": "2026-05-01T09:00:00Z",
                "signing_keys": [],
                "encryption_keys": [],
                "addresses": ["https://sp.example/acs"],
            },
        ],
        "faults": [],
    }
    openid = describe(region.read(region.sign(region.openid)))
    assert openid["entities"][0]["addresses"] == ["https://rp.example/callback"]
    assert len(openid["entities"][0]["signing_keys"]) == 1


def test_read_list_file(region):
    """A file is read with anchors from PEM files, its format told or named; a wrong name of it is refused."""
    saml, openid = region.sign(region.saml), region.sign(region.openid)
    anchors = [region.certificate]
    assert len(read_list_file(saml, anchors=anchors, now=NOW).entities) == 2
    assert len(read_list_file(openid, anchors=anchors, now=NOW, kind="json").entities) == 1
    for file, kind in ((openid, "saml-metadata"), (saml, "json")):
        with pytest.raises(ListRefusedError) as refused:
            read_list_file(file, anchors=anchors, now=NOW, kind=kind)
        assert refused.value.code == "format"
    with pytest.raises(RecipeError, match="no certificate found"):
        read_list_file(saml, anchors=[region.key], now=NOW)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_list_file(region.directory / "gone.xml", anchors=anchors, now=NOW)
