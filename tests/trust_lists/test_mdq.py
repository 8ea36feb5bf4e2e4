"""Metadata queries: paths, files, and foreign software that asks for and verifies what we publish."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saml2.attribute_converter import ac_factory
from saml2.mdstore import InMemoryMetaData, MetaDataMDX
from saml2.sigver import CryptoBackendXmlSec1, SecurityContext, SignatureError, get_xmlsec_binary

from tests.flows.peers import xmlsec_program
from tests.trust_lists.builders import NOW, UNTIL, authority, identity_provider, read_saml, service_provider
from trust_lists import mdq, saml_metadata
from trust_lists.model import ListRefusedError, Status
from trust_lists.trusted_set import TrustedSet

IDP, SP = "https://idp.example/", "https://sp.example/"
ROOT = Path(__file__).resolve().parents[2]
PYFF = os.environ.get("KAKEHASHI_PYFF") or shutil.which("pyff") or str(ROOT / ".venv-pyff/bin/pyff")


def aggregate(now=NOW, until=UNTIL):
    """A published aggregate with every word that an authority can say."""
    return saml_metadata.publish(
        [identity_provider().encode(), service_provider().encode()],
        name="region-saml",
        signer=authority().signer,
        issued_at=now,
        valid_until=until,
        municipalities={IDP: "012173"},
        scopes={IDP: ["ebetsu.example"]},
        uses={IDP: ["civic"]},
        maximum_identities={IDP: 2},
        withdrawn={SP: now},
    )


def published(now=NOW, until=UNTIL, **kept):
    """The files of the directory `entities`."""
    document = aggregate(now, until)
    read = read_saml(document, now=now)
    return dict(mdq.publish(document, read=read, anchors=[authority().der], signer=authority().signer, **kept))


# --- paths


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1).filter(lambda t: t[0] != "{"))
def test_paths_and_identifiers(stated):
    """Every entity ID survives the way into a path and back, and so does its transformed form."""
    assert mdq.identifier(mdq.request_path(stated)) == stated
    assert mdq.identifier(mdq.request_path(mdq.transformed(stated))) == mdq.transformed(stated)


def test_the_drafts_own_example():
    """The SAML profile's example of a transformed identifier, and the protocol's of an encoded one."""
    assert mdq.transformed("http://example.org/service") == "{sha1}11d72e8cf351eb6c75c721e838f469677ab41bdb"
    assert mdq.request_path("http://example.org/service") == "/entities/http%3A%2F%2Fexample.org%2Fservice"


@pytest.mark.parametrize(
    "path",
    [
        "/entities/",
        "/entities",
        "/",
        "/other/https%3A%2F%2Fidp.example%2F",
        "/entities/https://idp.example/",
        "/entities/a/b",
        "/entities/a?b",
        "/entities/a%",
        "/entities/a%2",
        "/entities/%ff",
        "/entities/a%20b",
        "/entities/a%00",
        "/entities/%7Bsha256%7Dab",
        "/entities/%7Bsha1%7DAB",
        "/entities/" + "a" * 2000,
    ],
)
def test_other_paths_are_refused(path):
    """What no request for one entity looks like is refused with a plain error."""
    with pytest.raises(ValueError, match=r".+"):
        mdq.identifier(path)


def test_a_long_entity_id_has_one_file():
    """A percent-encoded name longer than a file's may be is left out; the transformed one always fits."""
    assert len(mdq.file_names("https://x.example/" + "a" * 300)) == 1
    assert mdq.file_names(IDP) == (mdq.transformed(IDP), "https%3A%2F%2Fidp.example%2F")


@pytest.mark.parametrize("stated", ["index.html", ".htaccess", "..", ".%2e", "member"])
def test_no_entity_id_makes_a_file_of_the_web_servers_own(stated):
    """Members name themselves; such a one is found by its transformed identifier, and removed by it when it leaves."""
    assert mdq.file_names(stated) == (mdq.transformed(stated),)
    assert all(map(mdq.is_file_name, (*mdq.file_names(stated), *mdq.file_names(IDP))))


# --- what is published


def test_each_entity_is_signed_alone_and_says_the_same():
    """Read alone, an entity says what it says in the aggregate, until the same day, and is to be kept six hours."""
    inside = {entity.entity_id: entity for entity in read_saml(aggregate()).entities}
    files = published()
    assert set(files) == {name for entity_id in inside for name in mdq.file_names(entity_id)}
    for entity_id, entity in inside.items():
        for name in mdq.file_names(entity_id):
            alone = read_saml(files[name])
            assert (alone.entities, alone.faults) == ((entity,), ())
            assert (alone.valid_until, alone.refresh_after) == (UNTIL, timedelta(hours=6))
    assert (inside[IDP].uses, inside[IDP].maximum_identity) == (frozenset({"civic"}), 2)
    assert (inside[SP].status, inside[SP].status_since) == (Status.WITHDRAWN, NOW)


def test_an_entity_can_never_stand_in_for_the_aggregate():
    """Signed with the same key, it still counts as older than any aggregate, and leaves no higher mark behind."""
    alone, whole = read_saml(published()[mdq.transformed(IDP)]), read_saml(aggregate())
    trusted = TrustedSet()
    trusted.admit(whole)
    with pytest.raises(ListRefusedError) as refused:
        trusted.admit(alone)
    assert refused.value.code == "rollback"
    other = TrustedSet()
    other.admit(alone)
    other.admit(whole)


def test_an_earlier_answer_cannot_stand_in_for_a_later_one():
    """Without a stated creation the end decides which answer is the newer one."""
    earlier = read_saml(published()[mdq.transformed(IDP)])
    day = timedelta(days=1)
    later = read_saml(published(NOW + day, UNTIL + day)[mdq.transformed(IDP)], now=NOW + day)
    trusted = TrustedSet()
    trusted.admit(earlier)
    trusted.admit(later)
    with pytest.raises(ListRefusedError) as refused:
        trusted.admit(earlier)
    assert refused.value.code == "rollback"


# --- others read it


@pytest.fixture
def server(tmp_path):
    """A web server on loopback that answers from a published directory, and knows the media type."""
    now = datetime.now(UTC).replace(microsecond=0)
    directory = tmp_path / mdq.ENTITIES
    directory.mkdir()
    for name, document in published(now, now + timedelta(days=7)).items():
        (directory / name).write_bytes(document)

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {"": mdq.MEDIA_TYPE}  # noqa: RUF012 - as the base class has it

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path))
    ) as answering:
        thread = threading.Thread(target=answering.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{answering.server_port}"
        answering.shutdown()
        thread.join()


def _client(server, anchor, tmp_path):
    pinned = tmp_path / "anchor.pem"
    pinned.write_bytes(anchor.certificate_pem)
    return MetaDataMDX(
        server,
        security=SecurityContext(CryptoBackendXmlSec1(get_xmlsec_binary())),
        cert=str(pinned),
        http_client_timeout=30,
    )


@xmlsec_program.NEEDED
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pysaml2_asks_for_single_entities(server, tmp_path):
    """pysaml2's query client finds an entity by its hashed ID, verifies it with our key, and finds no stranger."""
    client = _client(server, authority(), tmp_path)
    (service,) = client.single_sign_on_service(IDP)
    assert service["location"] == "https://idp.example/sso"
    with pytest.raises(KeyError):
        client["https://stranger.example/"]


@xmlsec_program.NEEDED
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pysaml2_refuses_another_authoritys_word(server, tmp_path):
    """With another anchor pinned the same answer is refused: pysaml2 did verify."""
    with pytest.raises(SignatureError):
        _client(server, authority("stranger"), tmp_path)[IDP]


def test_pysaml2_consumes_the_aggregate():
    """pysaml2's store finds the members, the municipality and the uses as entity attributes."""
    now = datetime.now(UTC).replace(microsecond=0)
    store = InMemoryMetaData(ac_factory(), "")
    store.parse(aggregate(now, now + timedelta(days=7)))
    assert set(store.keys()) == {IDP, SP}
    (attributes,) = store[IDP]["extensions"]["extension_elements"][1:]
    assert {each["name"]: [value["text"] for value in each["attribute_value"]] for each in attributes["attribute"]} == {
        "urn:kakehashi:municipality": ["012173"],
        "urn:kakehashi:information": ["urn:kakehashi:use:civic", "urn:kakehashi:maximum-identity:2"],
    }


@pytest.mark.skipif(
    not Path(PYFF).exists(),
    reason="pyFF is not here; it needs an environment of its own (redis < 6): "
    "`python -m venv .venv-pyff && .venv-pyff/bin/pip install pyff`, or KAKEHASHI_PYFF=its program",
)
@pytest.mark.parametrize(("pinned", "accepted"), [((), True), (("stranger",), False)])
def test_pyff_verifies_the_aggregate(tmp_path, pinned, accepted):
    """pyFF, the federations' own tool, loads the aggregate with our key, and refuses it with another one."""
    now = datetime.now(UTC).replace(microsecond=0)
    (tmp_path / "list.xml").write_bytes(aggregate(now, now + timedelta(days=7)))
    (tmp_path / "anchor.pem").write_bytes(authority(*pinned).certificate_pem)
    (tmp_path / "pipeline.fd").write_text(
        "- load fail_on_error True validate True:\n"
        f"  - {tmp_path}/list.xml verify {tmp_path}/anchor.pem\n"
        "- select\n"
        "- stats\n"
    )
    done = subprocess.run([PYFF, "pipeline.fd"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    told = done.stdout + done.stderr
    assert ("selected:       2" in told) is accepted, told
    assert ("verification failed" in told) is not accepted, told
