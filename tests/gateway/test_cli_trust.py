"""The commands `kakehashi trust …`, as people and scripts run them: what they print, and their exit codes."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import approval, cli_trust, config
from gateway.cli import main
from gateway.clock import now
from tests.trust_lists.builders import authority, identity_provider, key_descriptor, service_provider
from trust_lists import formats, mdq, saml_metadata
from trust_lists.model import Role
from trust_lists.times import format_instant

IDP = "https://idp.example/"


class Authority:
    """A directory with a key, a recipe and two members."""

    def __init__(self, directory):
        self.directory, self.began = directory, now().replace(microsecond=0)
        (directory / "key.pem").write_bytes(authority().key_pem)
        (directory / "certificate.pem").write_bytes(authority().certificate_pem)
        (directory / "members").mkdir()
        self.member("ebetsu", identity_provider(), 'municipality: "012173"\n')
        self.member("library", service_provider())
        self.recipe = directory / "saml.yaml"
        self.recipe.write_text(
            "list: region-saml\nformat: saml-metadata\nmembers: members/\noutput: region-saml.xml\nvalid_days: 30\n"
        )
        self.keys = ("--key", f"{directory}/key.pem", "--certificate", f"{directory}/certificate.pem")
        self.anchor = ("--anchor", f"{directory}/certificate.pem")

    def member(self, name, metadata, sidecar=None):
        """Write a member and what the authority says of it."""
        (self.directory / "members" / f"{name}.xml").write_text(metadata)
        if sidecar is not None:
            (self.directory / "members" / f"{name}.yaml").write_text(sidecar)

    def sign(self):
        """Sign the recipe; the output's path."""
        run("sign", str(self.recipe), *self.keys)
        return self.directory / "region-saml.xml"

    def written(self, name, *members, until):
        """Write a list of these members that ends `until` after the test began."""
        path = self.directory / name
        path.write_bytes(
            saml_metadata.publish(
                [member.encode() for member in members],
                name="region-saml",
                signer=authority().signer,
                issued_at=self.began + min(until, timedelta()) - timedelta(days=1),
                valid_until=self.began + until,
            )
        )
        return str(path)


def run(*arguments, code=0):
    """Run a command; its standard output."""
    done = CliRunner().invoke(main, ["trust", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.stdout


def told(*arguments, code=0):
    """Run a command with --json; what it says."""
    return json.loads(run(*arguments, "--json", code=code))


@pytest.fixture
def by(tmp_path):
    """Give an authority with good members."""
    return Authority(tmp_path)


def test_the_command_line_knows_every_format_and_role():
    """What may be typed is what the rooms know."""
    assert set(cli_trust.FORMATS) == set(formats.FORMATS)
    assert set(cli_trust.ROLES) == set(Role)


# --- authorities


def test_new_authority(tmp_path):
    """A key and a certificate, told to a script; a second time is refused in one sentence."""
    place = tmp_path / "authority"
    assert told("new-authority", place) == {"key": f"{place}/key.pem", "certificate": f"{place}/certificate.pem"}
    done = CliRunner().invoke(main, ["trust", "new-authority", str(place)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is already there" in done.stderr


def test_sign_and_show(by):
    """A list is signed and shown: as JSON, or in words of the language asked for."""
    assert told("sign", by.recipe, *by.keys) == {"written": str(by.directory / "region-saml.xml"), "left_out": []}
    output = by.directory / "region-saml.xml"
    assert told("show", output, *by.anchor)["entities"][0]["municipality"] == "012173"
    assert "  自治体コード：012173" in run("show", output, *by.anchor, "--language", "ja").splitlines()
    assert "  Municipality: 012173" in run("show", output, *by.anchor, "--language", "en").splitlines()


def test_what_is_refused_is_one_sentence(by, tmp_path):
    """An altered list, another anchor, no file: exit code 1, nothing on standard output, no traceback."""
    output = by.sign()
    (tmp_path / "other.pem").write_bytes(authority("stranger").certificate_pem)
    (tmp_path / "altered.xml").write_bytes(output.read_bytes().replace(b"012173", b"102016"))
    for arguments, sentence in (
        ((output, "--anchor", tmp_path / "other.pem"), "no anchor of this list verifies it"),
        ((tmp_path / "altered.xml", *by.anchor), "no anchor of this list verifies it"),
        ((tmp_path / "gone.xml", *by.anchor), "cannot be read"),
        ((output, *by.anchor, "--format", "etsi-119602"), "list"),
    ):
        done = CliRunner().invoke(main, ["trust", "show", *map(str, arguments)], catch_exceptions=False)
        assert (done.exit_code, done.stdout) == (1, "")
        assert sentence in done.stderr


def test_publish_lays_the_list_and_each_entity(by, tmp_path):
    """A directory for a web server; what left the list leaves the directory, and other files stay."""
    place = tmp_path / "www"
    first = told("publish", by.recipe, place, *by.keys)
    assert (first["entities"], first["removed"]) == (2, [])
    assert sorted(path.name for path in (place / "entities").iterdir()) == sorted(
        name for each in (IDP, "https://sp.example/") for name in mdq.file_names(each)
    )
    alone = told("show", place / "entities" / mdq.transformed(IDP), *by.anchor)
    assert [each["entity_id"] for each in alone["entities"]] == [IDP]
    assert alone["refresh_after_seconds"] == 6 * 3600
    (place / "entities" / "index.html").write_text("hello")
    (by.directory / "members" / "library.xml").unlink()
    second = told("publish", by.recipe, place, *by.keys)
    assert set(second["removed"]) == set(mdq.file_names("https://sp.example/"))
    assert len(list((place / "entities").iterdir())) == 3
    assert (place / "region-saml.xml").read_bytes() == (by.directory / "region-saml.xml").read_bytes()
    assert (place / "region-saml.xml").stat().st_mode & 0o777 == 0o644


def test_new_begins_a_list(tmp_path):
    """A recipe and an example are written, and what to do next is said in the language asked for."""
    made = told("new", tmp_path / "a", "--name", "maebashi")
    assert all(Path(path).is_file() for path in made.values())
    japanese = run("new", tmp_path / "b", "--name", "maebashi", "--language", "ja")
    english = run("new", tmp_path / "c", "--name", "maebashi", "--language", "en")
    assert japanese != english
    run("new", tmp_path / "a", "--name", "maebashi", code=1)
    run("new", tmp_path / "d", "--name", "../x", code=1)


# --- comparing


def test_diff_asks_for_a_person_when_anything_is_wider(by):
    """A new key: exit code 3 and the words for it; the other way round it is a removal: 0."""
    two = key_descriptor(authority("idp"), None) + key_descriptor(authority("new"), "signing")
    month = timedelta(days=30)
    old = by.written("old.xml", identity_provider(), until=month)
    new = by.written("new.xml", identity_provider(keys=two), service_provider(), until=month)
    wider = told("diff", old, new, *by.anchor, code=3)
    assert (wider["widens"], {each["code"] for each in wider["changes"]}) == (True, {"signing-key-added", "joined"})
    assert "署名の鍵が増えました" in run("diff", old, new, *by.anchor, "--language", "ja", code=3)
    assert told("diff", new, old, *by.anchor)["widens"] is False
    assert run("diff", old, old, *by.anchor, "--language", "en") == "Nothing changed.\n"


def test_diff_reads_an_old_version_that_is_over(by):
    """It is compared as it was when the new one was issued; or as on the day that is given."""
    old = by.written("old.xml", identity_provider(), until=-timedelta(hours=1))
    new = by.written("new.xml", identity_provider(), until=timedelta(days=30))
    assert [each["code"] for each in told("diff", old, new, *by.anchor)["changes"]] == ["valid-longer"]
    day = (now() - timedelta(hours=2)).isoformat()
    assert told("diff", old, new, *by.anchor, "--at", day)["widens"] is False
    run("diff", old, new, *by.anchor, "--at", "2020-01-01", code=1)
    run("diff", old, new, *by.anchor, "--at", "yesterday", code=2)
    run("diff", old, new, *by.anchor, "--at", "2020-01-01T00:00:00", code=2)


# --- what a gateway trusts

TRUST = """\
sources:
  - name: region-saml
    format: saml-metadata
    file: {directory}/region-saml.xml
    anchors: [{directory}/certificate.pem]
    municipality: "012173"
    {approval}
"""
RECOGNITION = """\
recognitions:
  - id: council
    by: "100005"
    list: region-saml
    uses: [civic]
    maximum_identity: 2
    until: 2099-03-31
    agreement: No. 1
"""


class Region:
    """A gateway's configuration and state, with one list."""

    def __init__(self, by, tmp_path, *, needs_approval=False):
        self.by, self.state, self.config = by, tmp_path / "state", tmp_path / "config"
        self.state.mkdir(mode=0o700)
        shutil.copytree(Path(__file__).parents[2] / "configs" / "reference", self.config)
        wanted = "approval: required" if needs_approval else ""
        (self.config / "trust.yaml").write_text(TRUST.format(directory=by.directory, approval=wanted))
        (self.config / "recognition.yaml").write_text(RECOGNITION)
        self.place = ("--config", self.config, "--state", self.state)

    def stage(self):
        """Sign the list and let it arrive at the gateway; the digest of what waits."""
        document = self.by.sign().read_bytes()
        (source,) = config.load(self.config, state=self.state).sources
        approval.take(source, self.state, document, now=now())
        return approval.waiting([source], self.state)[0].digest


@pytest.fixture
def region(by, tmp_path):
    """Give a region with a signed list."""
    by.sign()
    return Region(by, tmp_path)


def test_explain_says_why(region):
    """For a municipality with a recognition: 0 and the path; for the region as a whole or another use: 3."""
    known = ("explain", IDP, *region.place, "--for", "100005")
    (found,) = told(*known, "--use", "civic")["explanations"]
    assert (found["trusted"], found["path"], found["worth"]["level"]) == (True, ["council"], "2")
    assert told(*known, "--use", "mobility", code=3)["explanations"][0]["code"] == "use-not-recognised"
    assert told("explain", IDP, *region.place, code=3)["explanations"][0]["code"] == "not-recognised"
    assert told("explain", "https://x.example/", *region.place, code=3)["explanations"][0]["code"] == "unlisted"
    role = ("--role", "saml-service-provider")
    assert told(*known, "--use", "civic", *role, code=3)["explanations"][0]["code"] == "other-role"
    assert told(*known, "--use", "civic", "--at", "2098-01-01", code=3)["explanations"][0]["code"] == "expired"
    assert "\u2713" in run(*known, "--use", "civic", "--language", "ja")


def test_explain_needs_a_real_question(region):
    """A code with a wrong check digit, a use that is no name, a role that does not exist: a wrong command line."""
    for wrong in (("--for", "100006"), ("--use", "Civic!"), ("--role", "king"), ("--at", "soon")):
        run("explain", IDP, *region.place, *wrong, code=2)


def test_explain_tells_which_list_was_refused(region):
    """A list that cannot be read does not end the answer: it is named beside it."""
    output = region.by.directory / "region-saml.xml"
    output.write_bytes(output.read_bytes().replace(b"012173", b"102016"))
    found = told("explain", IDP, *region.place, code=3)
    assert (found["explanations"][0]["code"], list(found["lists_refused"])) == ("unlisted", ["region-saml"])
    output.unlink()
    done = CliRunner().invoke(main, ["trust", "explain", IDP, *map(str, region.place)])
    assert (done.exit_code, "cannot be read" in done.stderr) == (3, True)


def test_explain_reads_no_broken_configuration(region):
    """Every mistake is told as by check-config; exit code 1."""
    (region.config / "trust.yaml").write_text("sources: []\n")
    done = CliRunner().invoke(main, ["trust", "explain", IDP, *map(str, region.place)])
    assert (done.exit_code, "trust.yaml" in done.stderr) == (1, True)


def test_a_version_waits_and_is_approved(by, tmp_path):
    """`staged` shows what it would change; approving takes it out of waiting, and who did it is told."""
    region = Region(by, tmp_path, needs_approval=True)
    assert told("staged", *region.place) == []
    digest = region.stage()
    (waiting,) = told("staged", *region.place, code=3)
    assert (waiting["name"], waiting["digest"], waiting["comparison"]["widens"]) == ("region-saml", digest, True)
    shown = run("staged", *region.place, "--language", "ja", code=3)
    assert f"kakehashi trust approve region-saml --digest {digest}" in shown
    assert "\u65b0\u3057\u304f\u52a0\u308f\u308a\u307e\u3059" in shown
    run("approve", "region-saml", *region.place, "--digest", "0" * 64, "--by", "Hanako", code=1)
    run("approve", "another", *region.place, "--digest", digest, "--by", "Hanako", code=1)
    run("approve", "region-saml", *region.place, "--digest", digest, code=2)
    decided = told("approve", "region-saml", *region.place, "--digest", digest, "--by", "Hanako")
    assert (decided["name"], decided["word"], decided["who"]) == ("region-saml", "approved", "Hanako")
    assert told("staged", *region.place) == []
    (found,) = told("explain", IDP, *region.place, "--for", "012173")["explanations"]
    assert found["trusted"]


def test_a_version_is_rejected(by, tmp_path):
    """What is turned down waits no longer, and nobody on it is trusted."""
    region = Region(by, tmp_path, needs_approval=True)
    digest = region.stage()
    assert "\u5374\u4e0b" in run(
        "reject", "region-saml", *region.place, "--digest", digest, "--by", "Hanako", "--language", "ja"
    )
    assert run("staged", *region.place, "--language", "en") == "No list waits for approval.\n"
    run("explain", IDP, *region.place, "--for", "012173", code=3)


def test_explain_tells_that_a_list_is_over(region):
    """Nobody is called unknown because a list ended: the answer is that it is over, and the list is named."""
    path = Path(region.by.written("region-saml.xml", identity_provider(), until=-timedelta(hours=1)))
    two_hours_ago = (now() - timedelta(hours=2)).timestamp()
    os.utime(path, (two_hours_ago, two_hours_ago))
    found = told("explain", IDP, *region.place, "--for", "012173", code=3)
    assert found["explanations"][0]["code"] == "expired"
    assert "it was valid until" in found["lists_refused"]["region-saml"]


def test_what_a_list_says_cannot_steer_a_terminal(by):
    """Control characters in what others wrote come out escaped in JSON and replaced in words."""
    odd = '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:a\u202eb\u0085c"/>'
    whole = (
        '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_list" '
        f'validUntil="{format_instant(by.began + timedelta(days=1))}"><md:Extensions>'
        '<mdrpi:PublicationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" publisher="x" '
        f'creationInstant="{format_instant(by.began)}"/></md:Extensions>{odd}</md:EntitiesDescriptor>'
    )
    path = by.directory / "odd.xml"
    path.write_bytes(authority().signer.sign_element(whole.encode(), "_list"))
    printed = run("show", path, *by.anchor, "--json")
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed)["faults"][0]["where"] == "urn:a\u202eb\u0085c"
    assert "urn:a\ufffdb\ufffdc" in run("show", path, *by.anchor, "--language", "ja")
