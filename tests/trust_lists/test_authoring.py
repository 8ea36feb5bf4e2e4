"""The authority's side: keys, recipes and signed outputs."""

import json
import stat
from datetime import UTC, datetime, timedelta

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
from trust_lists.authoring import new_authority, new_list, sign_list
from trust_lists.following import Follow, leads
from trust_lists.model import ListRefusedError, Role, Status, StatusChange
from trust_lists.recipes import RecipeError
from trust_lists.showing import read_any, read_list_file

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
            "list: region-openid\nformat: etsi-119602\nmembers: openid/\noutput: region-openid.jwt\nvalid_days: 30\n"
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


AUTHORITY = """\
entity_id: https://ca.example
role: certificate-authority
municipality: "102016"
name: {ja: 前橋市の認証局, en: Maebashi's authority}
certificates: [ca.pem,
  others.pem]
addresses: [https://ca.example/status]
uses: [civic]
maximum_identity: 2
status: withdrawn
since: "2026-03-01"
history:
  - {status: granted, since: "2025-04-01"}
"""


@pytest.fixture
def region(tmp_path):
    """Give a region with good members."""
    return Region(tmp_path)


def test_keys_by_value_of_a_system_stand_on_a_json_list_alone(region):
    """A council member's `jwks_file` is read, signed and read back; TS 119 612 has no place for it, and says so."""
    entry = 'entity_id: https://office.example\nrole: council-member\nmunicipality: "102016"\njwks_file: office.json\n'
    entry += 'since: "2026-04-01"\n'
    region.write("openid/office.yaml", entry)
    region.write("openid/office.json", json.dumps(public_jwks()))
    region.write("openid/rp.yaml", ENTRY)
    region.sign(region.openid)
    read = region.read(region.directory / "region-openid.jwt")
    (office,) = [each for each in read.entities if each.entity_id == "https://office.example"]
    assert office.metadata == {"jwks": public_jwks()}
    (region.directory / "region-openid.jwt").unlink()
    region.openid.write_text(region.openid.read_text().replace("etsi-119602", "etsi-119612"))
    assert "jwks: keys by value stand on etsi-119602 lists only" in region.error(region.openid)
    region.write("openid/office.yaml", entry + "jwks: {keys: []}\n")
    assert "office.yaml:4: either jwks, or jwks_file" in region.error(region.openid)


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


def test_an_authority_with_a_name(tmp_path):
    """Readers that compare the certificate with the list's operator and territory find both in it."""
    _, certificate = new_authority(tmp_path / "a", operator="群馬県")
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    assert [each.value for each in subject] == ["JP", "群馬県", "Kakehashi trust list authority"]
    for operator, territory in (("x" * 65, "JP"), ("", "JP"), ("x", "Japan")):
        with pytest.raises(RecipeError, match="a name of 1 to 64 characters"):
            new_authority(tmp_path / "b", operator=operator, territory=territory)
    assert not (tmp_path / "b").exists()


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


def authorities(region, form, *, more=""):
    """A recipe for certificate authorities, with one that has three certificates in two files."""
    region.write("ca/maebashi.yaml", AUTHORITY)
    region.write("ca/ca.pem", authority("ca").certificate_pem.decode())
    two = authority("idp").certificate_pem + authority("other").certificate_pem
    region.write("ca/others.pem", two.decode())
    text = f"list: region-ca\nformat: {form}\nmembers: ca/\noutput: region-ca.out\nvalid_days: 30\n{more}"
    return region.write("ca.yaml", text)


OPERATOR = """\
operator:
  name: {ja: 群馬県, en: Gunma Prefecture}
  postal_address: {en: "1-1-1 Ote-machi, Maebashi"}
  contact: mailto:lists@pref.example.jp
  information: https://lists.example.jp/
territory: JP
distribution: [https://lists.example.jp/region-ca]
"""


@pytest.mark.parametrize("form", ["etsi-119602", "etsi-119612"])
def test_sign_certificate_authorities(region, form):
    """The same member files become a list in either ETSI format, and both say the same of them."""
    recipe = authorities(region, form, more=OPERATOR)
    held = ("ca", "idp", "other")
    if form == "etsi-119612":  # one key a service (§5.5.3)
        held = ("ca",)
        region.write("ca/maebashi.yaml", AUTHORITY.replace(",\n  others.pem", ""))
    read = region.read(region.sign(recipe))
    (entity,) = read.entities
    since, before = datetime(2026, 2, 28, 15, tzinfo=UTC), datetime(2025, 3, 31, 15, tzinfo=UTC)
    assert (read.name, read.format, read.faults) == ("region-ca", form, ())
    assert entity.entity_id == "https://ca.example"
    assert entity.roles == {Role.CERTIFICATE_AUTHORITY}
    assert entity.municipality == "102016"
    assert entity.names == {"ja": "前橋市の認証局", "en": "Maebashi's authority"}
    assert entity.signing_certificates == tuple(authority(name).der for name in held)
    assert [each.location for each in entity.endpoints] == ["https://ca.example/status"]
    assert (entity.uses, entity.maximum_identity) == ({"civic"}, 2)
    assert (entity.status, entity.status_since) == (Status.WITHDRAWN, since)
    uri = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
    assert entity.history == (StatusChange(Status.GRANTED, before, uri),)
    assert entity.service_type == "http://uri.etsi.org/TrstSvc/Svctype/CA/PKC"
    numbers = [read.sequence, *(region.read(region.sign(recipe)).sequence for _ in range(2))]
    assert numbers == [numbers[0] + n for n in range(3)]


POINTERS = """\
pointers:
  - {location: "https://lists.maebashi.example/list.jwt", certificates: [town.pem], territory: JP}
  - location: https://lists.ebetsu.example/tsl.xml
    certificates: [others.pem]
    format: etsi-119612
    type: http://uri.etsi.org/TrstSvc/TrustedList/TSLType/JPlist
"""


def list_of_lists(region, form, text=POINTERS):
    """A recipe for a list that has no members and leads to two others."""
    (region.directory / "none").mkdir(exist_ok=True)
    region.write("town.pem", authority("ca").certificate_pem.decode())
    two = authority("idp").certificate_pem + authority("other").certificate_pem
    region.write("others.pem", two.decode())
    return region.write(
        "lists.yaml", f"list: lists\nformat: {form}\nmembers: none/\noutput: lists.out\nvalid_days: 30\n{text}"
    )


@pytest.mark.parametrize("form", ["etsi-119602", "etsi-119612"])
def test_sign_a_list_of_lists(region, form):
    """What is written is what is read and followed: address, keys, format, and what readers may choose by."""
    json_type, xml_type = "application/jwt", "application/vnd.etsi.tsl+xml"
    read = region.read(region.sign(list_of_lists(region, form)))
    assert (read.entities, read.faults) == ((), ())
    town, other = read.pointers
    assert (town.location, town.territory) == ("https://lists.maebashi.example/list.jwt", "JP")
    assert town.certificates == (authority("ca").der,)
    assert town.media_type == {"etsi-119602": json_type, "etsi-119612": xml_type}[form]
    assert other.certificates == (authority("idp").der, authority("other").der)
    assert (other.territory, other.media_type) == (None, xml_type)
    assert other.kind == "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/JPlist"
    found, left = leads(read, Follow(), addresses=())
    assert [each.format for each in found] == [form, "etsi-119612"]
    assert left == ()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[town.pem]", "[gone.pem]", "gone.pem: cannot be read (No such file"),
        ("[town.pem]", "[../x.pem]", "lists.yaml:7: ../x.pem lies outside the recipe's directory"),
        ("[town.pem]", "[lists.yaml]", "lists.yaml:7: pointers[0].certificates[0]: lists.yaml: no certificate found"),
        ("[town.pem]", "[]", "lists.yaml:7: pointers[0].certificates: a list of PEM files is expected"),
        ("territory: JP", "territory: jp", "lists.yaml:7: pointers[0].territory: a country in two capital letters"),
        ("https://lists.ebetsu", "http://lists.ebetsu", "lists.yaml:8: pointers[1].location: "),
        ("https://lists.ebetsu.example/tsl.xml", "https://lists.maebashi.example/list.jwt", "points there twice"),
        ("format: etsi-119612\n    type", "format: pdf\n    type", "lists.yaml:10: pointers[1].format: one of"),
        ("    type", "    kind", "lists.yaml:11: pointers[1].kind: unknown; known are location, certificates,"),
        ("    certificates: [others.pem]\n", "", "lists.yaml:8: pointers[1]: {location: https://…, certificates:"),
        (POINTERS, "pointers: []\n", "lists.yaml:6: pointers: 1 to 200 are expected"),
    ],
)
def test_mistakes_in_pointers(region, old, new, error):
    """File and line, as everywhere."""
    assert old in POINTERS
    recipe = list_of_lists(region, "etsi-119602", POINTERS.replace(old, new))
    assert error in region.error(recipe)


def test_saml_metadata_lead_nowhere(region):
    """Only the ETSI formats have pointers."""
    region.saml.write_text(region.saml.read_text() + POINTERS)
    assert "pointers: a saml-metadata list has no place for it" in region.error(region.saml)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("ca.pem,", "gone.pem,", "ca/gone.pem: cannot be read (No such file"),
        ("ca.pem,", "../../x.pem,", "maebashi.yaml:5: ../../x.pem lies outside the recipe's directory"),
        ("  others.pem", "  maebashi.yaml", "maebashi.yaml:6: maebashi.yaml: no certificate found"),
        ("  others.pem", "  ca.pem", "maebashi.yaml:5: certificates: the same certificate occurs twice"),
        ("  others.pem", "  short.pem", "maebashi.yaml:6: short.pem: an RSA key of 1024 bits is too short"),
        (
            "certificates: [ca.pem,\n  others.pem]",
            "certificates: ca.pem",
            "maebashi.yaml:5: certificates: a list of PEM",
        ),
        ("certificates: [ca.pem,\n  others.pem]\n", "", "maebashi.yaml:1: certificates: is missing"),
        ("uses: [civic]", "uses: [Civic]", "maebashi.yaml:8: uses[0]: 'Civic' is not the name of a use"),
        ("maximum_identity: 2", "maximum_identity: high", "maebashi.yaml:9: maximum_identity: a level from 0 to 3"),
        ("status: withdrawn", "status: revoked", "maebashi.yaml:10: status: one of granted, recognised, withdrawn"),
        ('since: "2026-03-01"', "since: tomorrow", "maebashi.yaml:11: since: 'tomorrow' is not a day"),
        ("2025-04-01", "2026-04-01", "maebashi.yaml:13: history[0]: is not earlier"),
        ("certificate-authority", "saml-identity-provider", "maebashi.yaml:2: role: a SAML member needs its own"),
        ("certificate-authority", "regional-service\nservice_type: x", "maebashi.yaml:3: service_type: unknown"),
    ],
)
def test_mistakes_in_a_certificate_authority(region, old, new, error):
    """File and line, also of what stands in a file that the member names."""
    recipe = authorities(region, "etsi-119602")
    region.write("ca/short.pem", authority("short", bits=1024).certificate_pem.decode())
    region.write("ca/maebashi.yaml", AUTHORITY.replace(old, new, 1))
    assert error in region.error(recipe)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("  name: {ja: 群馬県, en: Gunma Prefecture}\n", "", "ca.yaml:6: operator: the name of whoever runs the list"),
        ("  contact: mailto:", "  contact: tel:", "ca.yaml:9: operator.contact: an e-mail address"),
        ("  contact:", "  mail:", "ca.yaml:9: operator.mail: unknown; known are name, postal_address"),
        ("territory: JP", "territory: Japan", "ca.yaml:11: territory: a country in two capital letters"),
        ("[https://lists.example.jp/region-ca]", "[ftp://x/]", "ca.yaml:12: distribution[0]: "),
        ("[https://lists.example.jp/region-ca]", "[]", "ca.yaml:12: distribution: a list of addresses"),
        ("territory: JP", "authority: https://x/", "ca.yaml:11: authority: only a saml-metadata list has a place"),
        ("etsi-119602", "saml-metadata", "ca.yaml:6: operator: a saml-metadata list has no place for it"),
    ],
)
def test_mistakes_in_what_a_recipe_says_of_the_operator(region, old, new, error):
    """What is for people is checked as the rest."""
    recipe = authorities(region, "etsi-119602", more=OPERATOR)
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    assert error in region.error(recipe)


def test_an_xml_list_wants_names_in_english(region):
    """TS 119 612 §5.1.4; the line of the name is told."""
    recipe = authorities(region, "etsi-119612")
    region.write("ca/maebashi.yaml", AUTHORITY.replace(", en: Maebashi's authority", ""))
    assert "maebashi.yaml:4: name.en: is missing" in region.error(recipe)


@pytest.mark.parametrize("form", ["etsi-119602", "etsi-119612"])
def test_a_new_list(tmp_path, form):
    """What `trust new` writes can be signed as it stands, once the example is a member; the next steps say so."""
    made = new_list(tmp_path / "lists", name="maebashi-services", now=NOW, form=form)
    region = Region(tmp_path)
    assert "members: no member is there" in region.error(made.recipe)
    made.example.rename(made.example.with_name("rides.yaml"))
    read = region.read(region.sign(made.recipe))
    assert (read.name, read.format, read.faults) == ("maebashi-services", form, ())
    (entity,) = read.entities
    assert entity.entity_id == "https://rides.city.example.jp"
    assert entity.status_since == datetime(2026, 3, 31, 15, tzinfo=UTC)
    for text in made.next_steps.values():
        assert f"kakehashi trust sign {made.recipe} --key AUTHORITY/key.pem" in text
        assert "@" not in text
    assert set(made.next_steps) == {"ja", "en"}


def test_a_new_list_overwrites_nothing(tmp_path):
    """Neither a recipe nor an example that is there; and a name must be one."""
    made = new_list(tmp_path, name="a", now=NOW)
    made.recipe.write_text("mine")
    with pytest.raises(RecipeError, match=r"a\.yaml: is already there; choose another"):
        new_list(tmp_path, name="a", now=NOW)
    with pytest.raises(RecipeError, match=r"example\.yaml\.txt: is already there"):
        new_list(tmp_path, name="b", now=NOW)
    assert made.recipe.read_text() == "mine"
    assert not (tmp_path / "b.yaml").exists()
    with pytest.raises(RecipeError, match="no name of a list"):
        new_list(tmp_path / "other", name="../x", now=NOW)
    with pytest.raises(RecipeError, match="cannot be written by hand; one of etsi-119602, etsi-119612"):
        new_list(tmp_path / "other", name="x", now=NOW, form="saml-metadata")
    assert not (tmp_path / "other").exists()
    with pytest.raises(RecipeError, match="cannot be made"):
        new_list(made.recipe / "below", name="x", now=NOW)


def test_limits_of_saml_members(region):
    """What the authority says of a SAML member's use, assurance and status is on the list."""
    region.write("saml/ebetsu.yaml", "uses: [civic, health]\nmaximum_identity: 1\n")
    region.write("saml/library.yaml", 'status: withdrawn\nsince: "2026-03-01"\n')
    idp, sp = region.read(region.sign(region.saml)).entities
    assert (idp.uses, idp.maximum_identity, idp.status) == ({"civic", "health"}, 1, Status.GRANTED)
    assert (sp.uses, sp.maximum_identity, sp.status) == (None, None, Status.WITHDRAWN)
    assert sp.status_at(datetime(2026, 2, 28, 15, tzinfo=UTC)) is Status.WITHDRAWN
    region.write("saml/library.yaml", "status: withdrawn\n")
    assert region.read(region.sign(region.saml)).entities[1].status is Status.WITHDRAWN


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
        (
            ENTRY + "since: !!python/object/apply:os.system [ls]\n",
            'rp.yaml:9: since: a day in quotes is expected, as "2026-04-01"',
        ),
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
        (
            "saml-metadata",
            "xml",
            "saml.yaml:2: format: one of saml-metadata, etsi-119602, etsi-119612, assurance-table is expected.",
        ),
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
        ("uses: [Civic]", "ebetsu.yaml:1: uses[0]: 'Civic' is not the name of a use"),
        ("uses: civic", "ebetsu.yaml:1: uses: a list of 1 to"),
        ("\nmaximum_identity: 9", "ebetsu.yaml:2: maximum_identity: a level from 0 to 3"),
        ("status: gone", "ebetsu.yaml:1: status: one of granted"),
        ("status: recognised", "ebetsu.yaml:1: a SAML member is granted or withdrawn"),
        ('status: granted\nsince: "2026-03-01"', "ebetsu.yaml:2: a SAML member is granted or withdrawn"),
        ("status: withdrawn\nsince: 2026", "ebetsu.yaml:2: since: a day in quotes"),
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


def test_read_list_file(region):
    """A file is read with anchors from PEM files, its format told or named; a wrong name of it is refused."""
    saml, openid = region.sign(region.saml), region.sign(region.openid)
    anchors = [region.certificate]
    assert len(read_list_file(saml, anchors=anchors, now=NOW).entities) == 2
    assert len(read_list_file(openid, anchors=anchors, now=NOW, kind="etsi-119602").entities) == 1
    for file, kind in ((openid, "saml-metadata"), (saml, "etsi-119602")):
        with pytest.raises(ListRefusedError) as refused:
            read_list_file(file, anchors=anchors, now=NOW, kind=kind)
        assert refused.value.code == "format"
    with pytest.raises(RecipeError, match="no certificate found"):
        read_list_file(saml, anchors=[region.key], now=NOW)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_list_file(region.directory / "gone.xml", anchors=anchors, now=NOW)
