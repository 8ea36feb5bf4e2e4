"""Sign-ins with SAML software of others as it is installed: pysaml2 in both roles, python3-saml, with encryption.

One region for all of them. pysaml2 loads the gateway's metadata itself, makes and checks its messages with the program
xmlsec1, and lets through what its defaults let through.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import yaml
from cryptography import x509
from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

from tests.conftest import Running, start_region, stop_region
from tests.flows.peers import pysaml2_id_system, xmlsec_program
from tests.flows.peers.onelogin_service import OneLoginService
from tests.flows.peers.pysaml2_id_system import ProgramIdSystem
from tests.flows.peers.pysaml2_service import Pysaml2Service
from tests.flows.peers.site import Site
from tests.flows.person import Person

pytestmark = [
    # python3-saml 1.16 asks for the time by functions that Python 3.12 deprecates.
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utc.*:DeprecationWarning:onelogin"),
]

SECONDS = 60
"""How long a change may take that takes effect within `refresh_seconds`, which is 2."""

NAMES = {
    "a": "urn:oasis:names:tc:SAML:2.0:assertion",
    "p": "urn:oasis:names:tc:SAML:2.0:protocol",
    "e": "http://www.w3.org/2001/04/xmlenc#",
    "d": "http://www.w3.org/2000/09/xmldsig#",
}
HUB, MAEBASHI, SERVICE_PROVIDER = "/saml/metadata", "/saml/102016/metadata", "/saml/sp/metadata"
"""The gateway's entities: for services, for services that rely on one municipality alone, for ID systems."""

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
DISPLAY_NAME = "urn:oid:2.16.840.1.113730.3.1.241"
LEVEL_3 = "urn:kakehashi:assurance:identity-3"
RESIDENTS = {"maebashi": "髙橋 花子", "kiryu": "織田　糸子"}

ASKED = "//button[@name='system' or @name='resident']"
"""What somebody may press whose sign-in has begun: a municipality, or themselves at its ID system."""

SERVICE = {
    "kind": "saml",
    "municipality": "102059",
    "purpose": {"ja": "申込者として登録するため", "en": "To register you as the person who applies"},
    "minimum_identity": 1,
    "use": "civic",
    "attributes": [
        {"to": DISPLAY_NAME, "friendly_name": "displayName", "from": ["fullName"], "required": True},
    ],
}
ID_SYSTEM = {
    "id": "kiryu",
    "kind": "saml",
    "municipality": "102032",
    "name": {"ja": "桐生市", "en": "Kiryu City"},
    "reading": "きりゅうし",
    "attributes": [{"to": "fullName", "from": ["urn:oid:2.5.4.3"]}],
}
ROWS = [
    {"id": "kiryu-card", "when": {"context": pysaml2_id_system.CARD}, "identity": 3, "authentication": 3},
    {"id": "kiryu-else", "identity": 1, "authentication": 1},
]
"""What Kiryu's words are worth, in the region's table of assurance."""


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a program called xmlsec1 that only writes down that it was started, in `started`."""
    directory = tmp_path_factory.mktemp("trap")
    program = directory / "xmlsec1"
    program.write_text(f'#!/bin/sh\necho "$@" >> {directory}/started\nexit 1\n')
    program.chmod(0o755)
    return directory


@pytest.fixture(scope="module")
def region(trap: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A region of its own, since other tests' region keeps its members; it would find the trap's xmlsec1 first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(trap), prepend=os.pathsep)
        running = start_region(tmp_path_factory.mktemp("saml-peers"))
    yield running
    assert stop_region(running) == 0


def until(true: Callable[[], bool]) -> None:
    """Wait until the gateway looked again."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it took no effect"
        time.sleep(0.1)


def table(region: Running) -> str:
    """Until when the table of assurance counts that is in force: it tells one version from the next."""
    lists = requests.get(region["admin"] + "/readyz", timeout=30).json()["trust_lists"]
    return next(each["valid_until"] for each in lists if each["name"] == "region-assurance")


def join(region: Running, members: dict[str, Site], files: dict[str, dict]) -> None:
    """Sign the members' metadata into the list and write the operator's files, as `docs/joining.md` says."""
    config, authority = region.state / "config", region.state / "authority"
    for name, member in members.items():
        document = requests.get(member.url + "/saml/metadata", timeout=30)
        assert document.status_code == 200, document.text
        (config / f"lists/saml-members/{name}.xml").write_bytes(document.content)
    pair = ["--key", str(authority / "key.pem"), "--certificate", str(authority / "certificate.pem")]
    for path, content in files.items():
        (config / path).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    # The table is signed anew only if it says anything new: who waits for another one must not see a former one come.
    rated = any(path.startswith("lists/assurance/") for path in files)
    for name in ("region-saml", "region-assurance")[: 1 + rated]:
        words = [sys.executable, "-m", "gateway", "trust", "sign", str(config / f"lists/{name}.yaml"), *pair]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def services_of(region: Running, services: dict[str, Site]) -> None:
    """Join these services, and wait until they are known."""
    files = {
        f"services/{name}.yaml": {
            **SERVICE,
            "id": name,
            "entity_id": service.url + "/saml/metadata",
            "name": {"ja": f"{name} の窓口", "en": f"Counter {name}"},
            "address": service.url + "/",
        }
        for name, service in services.items()
    }
    join(region, services, files)
    for service in services.values():
        until(lambda service=service: Person().open(service.url + "/sign-in").page.xpath(ASKED))


@pytest.fixture(scope="module")
def pysaml2_services(region: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pysaml2Service]]:
    """Services of pysaml2's stock client: with as little as can be, with everything, and wishing for an identifier."""
    told = {"municipal": MAEBASHI}
    kinds = {
        "plain": {},
        "sealed": {"encrypts": True, "signs_out": True},
        "pairwise": {"encrypts": True, "subject_id": "pairwise-id"},
        "municipal": {"encrypts": True, "signs_out": True},
    }
    anchor = region.state / "state/keys/saml.crt"
    services = {
        name: Pysaml2Service(
            name, tmp_path_factory.mktemp(name), region["gateway"] + told.get(name, HUB), anchor=anchor, **options
        )
        for name, options in kinds.items()
    }
    services_of(region, services)
    yield services
    for service in services.values():
        service.__exit__()
        assert not service.faults, service.faults[0]


@pytest.fixture
def service(pysaml2_services, request, monkeypatch):
    """The service of pysaml2's stock client that the test names."""
    chosen = pysaml2_services[request.param]
    monkeypatch.setattr(chosen, "responses", [])
    return chosen


@pytest.fixture(scope="module")
def kiryu(region: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProgramIdSystem]:
    """Kiryu, an ID system of pysaml2's server with its stock back end."""
    metadata = region["gateway"] + "/saml/sp/metadata"
    former = table(region)
    with ProgramIdSystem(tmp_path_factory.mktemp("kiryu"), metadata) as system:
        join(
            region,
            {"kiryu": system},
            {
                "id-systems/kiryu.yaml": {**ID_SYSTEM, "entity_id": system.url + "/saml/metadata"},
                "lists/assurance/kiryu.yaml": {"system": system.url + "/saml/metadata", "rows": ROWS},
            },
        )
        offered = "//button[@name='system' and @value='kiryu']"
        until(lambda: Person().open(region["gunma"] + "/sign-in").page.xpath(offered) and table(region) != former)
        yield system
        assert not system.faults, system.faults[0]


@pytest.fixture
def encrypting(kiryu: ProgramIdSystem, monkeypatch) -> ProgramIdSystem:
    """Kiryu, while it encrypts assertions."""
    says = {"sign_response": True, "sign_assertion": True, "encrypt_assertion": True}
    monkeypatch.setattr(kiryu, "says", says)
    monkeypatch.setattr(kiryu, "block", kiryu.block)
    return kiryu


@pytest.fixture(scope="module")
def onelogin(region: Running) -> Iterator[OneLoginService]:
    """A service of python3-saml that takes encrypted assertions only, and signs out."""
    metadata = region["gateway"] + "/saml/metadata"
    with OneLoginService(metadata, name="ota-archive", encrypts=True, signs_out=True) as service:
        services_of(region, {"ota-archive": service})
        yield service
        assert not service.faults, service.faults[0]


def shown(person: Person) -> dict[str, str]:
    """What a peer's page says, by name."""
    return {term.text_content(): term.getnext().text_content() for term in person.page.iter("dt")}


def signed_in(service: str, system: str = "maebashi", person: Person | None = None) -> Person:
    """Somebody who signed in at this service with the ID of `system`; in a browser of their own if not told."""
    person = (person or Person()).open(service + "/sign-in").choose("system", system)
    person.press(RESIDENTS[system].split()[0])
    return person.choose("decision", "agree") if "/consent" in person.url else person


def document_of(saml_response: str) -> etree._Element:
    """A SAMLResponse as it came to a service."""
    return etree.fromstring(base64.b64decode(saml_response))


def reason(region: Running, person: Person) -> tuple[str, str]:
    """The log's reason and detail under the reference number of the page that the person reads."""
    (reference,) = person.page.xpath("//p[@class='reference']/code/text()")
    lines = [json.loads(line) for line in (region.state / "gateway.log").read_text().splitlines()]
    (refused,) = [line for line in lines if line.get("request_id") == reference and "detail" in line]
    return refused["reason"], refused["detail"]


# --- pysaml2's stock client is a service


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["plain", "sealed"], indirect=True)
@pytest.mark.parametrize("binding", [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST])
def test_pysaml2s_stock_client_is_a_service(region, service, binding, monkeypatch):
    """Its signed request by either binding is answered; response and assertion pass its default checks."""
    monkeypatch.setattr(service, "binding", binding)
    found = shown(signed_in(service.url))
    assert len(found.pop("NameID")) >= 32
    assert found == {
        "displayName": RESIDENTS["maebashi"],
        "NameID format": PERSISTENT,
        "Issuer": region["gateway"] + "/saml/metadata",
        "AuthnContext": LEVEL_3,
        "RelayState": service.url + "/after",
    }


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["plain", "sealed"], indirect=True)
def test_an_assertion_is_encrypted_for_who_lists_a_key(service):
    """Otherwise it is not; either way the Response is signed outside, and nothing else in it is encrypted."""
    signed_in(service.url)
    response = document_of(service.responses[-1])
    sealed = response.findall("a:EncryptedAssertion", NAMES)
    assert (len(sealed), len(response.findall("a:Assertion", NAMES))) == ((1, 0) if service.encrypts else (0, 1))
    assert response.find("d:Signature", NAMES) is not None
    text = etree.tostring(response, encoding="unicode")
    assert not {"EncryptedID", "EncryptedAttribute"} & {etree.QName(element).localname for element in response.iter()}
    assert (RESIDENTS["maebashi"] in text) is not service.encrypts
    if service.encrypts:
        methods = sealed[0].xpath(".//e:EncryptionMethod/@Algorithm", namespaces=NAMES)
        assert methods == [
            "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
        ]


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["pairwise"], indirect=True)
def test_an_identifier_that_the_metadata_require(service):
    """The pairwise-id comes without anybody's telephone call: one value, scoped, the same at every sign-in."""
    first, second = shown(signed_in(service.url)), shown(signed_in(service.url))
    assert re.fullmatch(r"[a-z0-9]{32,127}@localhost", first["pairwise-id"])
    assert first["pairwise-id"] == second["pairwise-id"]
    assert "subject-id" not in first


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["plain", "sealed"], indirect=True)
def test_an_altered_answer_is_not_believed(service, monkeypatch):
    """The peer is no yes-man: an answer whose signature is of something else is a fault there."""
    person = signed_in(service.url)
    response = document_of(service.responses[-1])
    response.set("IssueInstant", response.get("IssueInstant").replace("20", "19", 1))
    altered = base64.b64encode(etree.tostring(response)).decode()
    with monkeypatch.context() as patch:
        patch.setattr(service, "faults", [])
        person.response = person.session.post(service.url + "/saml/acs", data={"SAMLResponse": altered}, timeout=30)
        assert person.status == 500
        assert "SignatureError" in service.faults[0] or "Signature" in service.faults[0]


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["sealed"], indirect=True)
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"requested_authn_context": {"authn_context_class_ref": ["urn:example:none"]}}, "StatusNoAuthnContext"),
        ({"is_passive": "true"}, "StatusNoPassive"),
        ({"nameid_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"}, "StatusInvalidNameidPolicy"),
    ],
)
def test_a_refusal_is_understood_as_what_it_is(service, monkeypatch, asked, status):
    """A signed status of SAML Core §3.2.2.2, for which pysaml2 has a class each."""
    monkeypatch.setattr(service, "asked", asked)
    person = Person().open(service.url + "/sign-in")
    assert shown(person) == {"status": status}, person.text


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["plain"], indirect=True)
def test_a_request_of_another_is_not_taken_for_theirs(region, service, monkeypatch):
    """Who lists that they sign is asked for their signature: an unsigned request of theirs goes nowhere."""
    monkeypatch.setattr(service, "signs", False)
    person = Person().open(service.url + "/sign-in")
    assert "The service sent a request that cannot be used" in person.text
    assert reason(region, person) == ("bad-request", "unsigned")


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["municipal"], indirect=True)
def test_a_service_relies_on_one_municipality_alone(region, service):
    """It was told of that municipality's entity: its ID systems alone, that entity's word, and a sign-out there."""
    person = Person().open(service.url + "/sign-in")
    offered = [button.get("value") for button in person.page.xpath("//button[@name='system']")]
    assert offered == ["maebashi"]  # its certificates are permitted for uses that this service does not name
    person.choose("system", "maebashi").press(RESIDENTS["maebashi"].split()[0]).choose("decision", "agree")
    found = shown(person)
    assert (found["Issuer"], found["displayName"]) == (region["gateway"] + MAEBASHI, RESIDENTS["maebashi"])
    person.open(service.url + "/sign-out")
    assert shown(person) == {"status": "Success PartialLogout", "still known": "False"}, person.text


# --- python3-saml is a service that wants it encrypted


def test_python3_saml_takes_an_encrypted_assertion(onelogin):
    """In strict mode, with both signatures wanted, inside and outside."""
    found = shown(signed_in(onelogin.url))
    assert (found[DISPLAY_NAME], found["AuthnContext"]) == (RESIDENTS["maebashi"], LEVEL_3)


# --- pysaml2's server is an ID system

SIGNED = [
    pytest.param({"sign_response": True, "sign_assertion": True}, id="both-signed"),
    pytest.param({"sign_response": True, "sign_assertion": False}, id="response-signed"),
    pytest.param({"sign_response": False, "sign_assertion": True}, id="assertion-signed"),
]


@xmlsec_program.NEEDED
@pytest.mark.parametrize("signed", SIGNED)
def test_pysaml2s_stock_server_is_an_id_system(region, kiryu, monkeypatch, signed):
    """Its program signs what the gateway believes: the Response, the assertion, or both."""
    monkeypatch.setattr(kiryu, "says", signed)
    person = signed_in(region["gunma"], "kiryu")
    assert (person.status, person.url) == (200, region["gunma"] + "/")
    assert "織田 糸子" in person.text


@xmlsec_program.NEEDED
@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("block", [pysaml2_id_system.AES_128_GCM, pysaml2_id_system.AES_256_GCM], ids=["128", "256"])
def test_an_encrypted_assertion_is_opened(region, encrypting, signed, block):
    """With the key that the gateway's metadata name; a signature inside it, outside it, or both."""
    encrypting.says |= signed
    encrypting.block = block
    person = signed_in(region["gunma"], "kiryu")
    assert (person.status, person.url) == (200, region["gunma"] + "/")
    assert "織田 糸子" in person.text
    sent = etree.fromstring(encrypting.answers[-1].encode())
    assert sent.findall("a:Assertion", NAMES) == []
    assert sent.xpath("a:EncryptedAssertion/e:EncryptedData/e:EncryptionMethod/@Algorithm", namespaces=NAMES) == [
        block[0]
    ]


@xmlsec_program.NEEDED
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
def test_what_nobody_signed_is_not_believed(region, kiryu, monkeypatch, encrypted):
    """Whoever reads the gateway's metadata can encrypt for it: encryption says nothing of who speaks."""
    says = {"sign_response": False, "sign_assertion": False, "encrypt_assertion": encrypted}
    monkeypatch.setattr(kiryu, "says", says)
    person = signed_in(region["gunma"], "kiryu")
    assert person.status == 400
    assert "織田" not in person.text
    assert reason(region, person) == ("id-system-answer-refused", "unsigned")


@xmlsec_program.NEEDED
def test_prefixes_that_only_the_envelope_declares_are_not_guessed(region, encrypting):
    """pysaml2 can be told to rely on them, but what binds them is not signed in exclusive C14N."""
    encrypting.says["encrypt_assertion_self_contained"] = False
    person = signed_in(region["gunma"], "kiryu")
    assert person.status == 400
    assert reason(region, person) == ("id-system-answer-refused", "decryption")


@xmlsec_program.NEEDED
@pytest.mark.parametrize(
    ("block", "code"),
    [
        (pysaml2_id_system.AES_256_CBC, "legacy-encryption"),
        (pysaml2_id_system.TRIPLE_DES_CBC, "block-encryption"),
    ],
)
def test_encryption_that_can_be_undone_piecemeal_is_refused(region, encrypting, block, code):
    """CBC modes, the last of which is all that pysaml2 takes by itself: not from who is not marked as legacy."""
    encrypting.block = block
    person = signed_in(region["gunma"], "kiryu")
    assert person.status == 400
    assert reason(region, person) == ("id-system-answer-refused", code)


@xmlsec_program.NEEDED
def test_an_old_method_is_taken_from_who_is_marked_as_legacy(region, encrypting):
    """The operator says so in that ID system's file, for AES-CBC alone."""
    path = region.state / "config/id-systems/kiryu.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "weaker: [cbc-encryption]\n", encoding="utf-8")
    encrypting.block = pysaml2_id_system.AES_256_CBC
    try:
        until(lambda: "織田 糸子" in signed_in(region["gunma"], "kiryu").text)
        encrypting.block = pysaml2_id_system.TRIPLE_DES_CBC
        person = signed_in(region["gunma"], "kiryu")
        assert reason(region, person) == ("id-system-answer-refused", "block-encryption")
    finally:
        path.write_text(good, encoding="utf-8")
    encrypting.block = pysaml2_id_system.AES_256_CBC
    until(lambda: signed_in(region["gunma"], "kiryu").status == 400)


@xmlsec_program.NEEDED
@pytest.mark.usefixtures("encrypting")
def test_strangers_meet_through_the_gateway(pysaml2_services):
    """pysaml2 on both sides, the gateway between them, everything encrypted."""
    found = shown(signed_in(pysaml2_services["sealed"].url, "kiryu"))
    assert found["displayName"] == RESIDENTS["kiryu"]


@xmlsec_program.NEEDED
def test_an_answer_to_no_request(region, kiryu, onelogin):
    """Refused, unless the operator lets this ID system begin; then the person is asked, and the service hears of it."""
    address = kiryu.url + "/unasked?to=ota-archive"
    person = Person().open(address)
    assert person.status == 400
    assert reason(region, person) == ("id-system-answer-refused", "unsolicited")
    path = region.state / "config/id-systems/kiryu.yaml"
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "weaker: [unsolicited-responses]\n", encoding="utf-8")
    try:
        signed_in(onelogin.url, "kiryu", person)
        until(lambda: person.open(address).status == 200)
        assert "/consent" in person.url, "asked although consent is known: nobody here asked for this sign-in"
        found = shown(person.choose("decision", "agree"))
        assert found[DISPLAY_NAME] == RESIDENTS["kiryu"]
    finally:
        path.write_text(good, encoding="utf-8")
    until(lambda: person.open(address).status == 400)


# --- single logout


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["sealed"], indirect=True)
@pytest.mark.parametrize("binding", [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST])
def test_signing_out_at_a_service_ends_it_at_the_id_system(kiryu, service, binding, monkeypatch):
    """The ID system is told of the very session, under the very name that it gave; the service hears it is done."""
    monkeypatch.setattr(kiryu, "told", [])
    person = signed_in(service.url, "kiryu")
    monkeypatch.setattr(service, "binding", binding)
    person.open(service.url + "/sign-out")
    assert shown(person) == {"status": "Success", "still known": "False"}, person.text
    assert person.response.request.method == "GET", "answered by Redirect, whatever the request came by"
    (told,) = kiryu.told
    name = etree.fromstring(kiryu.answers[-1].encode()).find(".//a:Subject/a:NameID", NAMES)
    assert (told.name_id.text, *attributes_of(told.name_id)) == (
        name.text,
        *(name.get(key) for key in ("Format", "NameQualifier", "SPNameQualifier", "SPProvidedID")),
    )
    assert [index.text for index in told.session_index] == [session_index(kiryu.answers[-1])]


def session_index(answer: str) -> str:
    """What the ID system called the session in this answer."""
    (found,) = etree.fromstring(answer.encode()).xpath(".//a:AuthnStatement/@SessionIndex", namespaces=NAMES)
    return found


def attributes_of(name_id) -> tuple[str | None, ...]:
    """What a NameID says beside its text."""
    return name_id.format, name_id.name_qualifier, name_id.sp_name_qualifier, name_id.sp_provided_id


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["sealed"], indirect=True)
def test_the_other_services_are_told(onelogin, service):
    """Two services, one sign-in at an ID system that cannot be told: both end, and the answer says "in part"."""
    person = signed_in(onelogin.url, person=signed_in(service.url))
    assert "Signed in" in person.open(onelogin.url + "/").text
    person.open(service.url + "/sign-out")
    assert shown(person) == {"status": "Success PartialLogout", "still known": "False"}, person.text
    assert "Nobody" in person.open(onelogin.url + "/").text


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["sealed"], indirect=True)
def test_python3_saml_begins_to_sign_out(onelogin, service, kiryu):
    """Its LogoutRequest is answered, after pysaml2 on both other sides was told by its own."""
    before = len(kiryu.told)
    person = signed_in(onelogin.url, "kiryu")
    person.open(onelogin.url + "/sign-out")
    assert shown(person) == {"errors": "[]", "reason": "None", "RelayState": onelogin.url + "/after"}, person.text
    assert len(kiryu.told) == before + 1
    assert service.faults == []


@xmlsec_program.NEEDED
@pytest.mark.parametrize("service", ["sealed"], indirect=True)
@pytest.mark.parametrize("binding", [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST])
def test_signing_out_at_the_id_system_ends_it_everywhere(kiryu, service, onelogin, binding, monkeypatch):
    """pysaml2's server names the two sessions of this browser: both services are told, then the answer comes."""
    person = signed_in(onelogin.url, "kiryu", signed_in(service.url, "kiryu"))
    monkeypatch.setattr(kiryu, "session_indexes", [session_index(answer) for answer in kiryu.answers[-2:]])
    monkeypatch.setattr(kiryu, "binding", binding)
    person.open(kiryu.url + "/sign-out")
    assert shown(person) == {"status": "Success", "RelayState": "back"}, person.text
    assert person.response.request.method == "GET", "answered by Redirect, whatever the request came by"
    for peer in (service, onelogin):
        assert "Nobody" in person.open(peer.url + "/").text


@xmlsec_program.NEEDED
def test_a_service_that_cannot_be_told_makes_it_partial(kiryu, pysaml2_services):
    """It lists no address for logout: the ID system, which names no session and so means all, hears of a rest."""
    plain, sealed = pysaml2_services["plain"], pysaml2_services["sealed"]
    person = signed_in(sealed.url, "kiryu", signed_in(plain.url, "kiryu"))
    person.open(kiryu.url + "/sign-out")
    assert shown(person) == {"status": "Success PartialLogout", "RelayState": "back"}, person.text
    assert "Nobody" in person.open(sealed.url + "/").text


@xmlsec_program.NEEDED
def test_a_browser_that_gets_lost_leaves_nothing_behind(kiryu, onelogin, monkeypatch):
    """The session is forgotten before the ID system is asked: when that asks of itself, nobody is left to be told."""
    person = signed_in(onelogin.url, "kiryu")
    assert redirected(person, redirected(person, onelogin.url + "/sign-out")).startswith(kiryu.url + "/saml/slo?")
    monkeypatch.setattr(kiryu, "session_indexes", [session_index(kiryu.answers[-1])])
    answer = redirected(person, redirected(person, kiryu.url + "/sign-out"))
    assert answer.startswith(kiryu.url + "/saml/slo?SAMLResponse=")


def redirected(person: Person, url: str) -> str:
    """Where the person's browser is sent next, if it goes there."""
    return person.session.get(url, timeout=30, allow_redirects=False).headers["Location"]


# --- the gateway's own metadata

MD = {
    "m": "urn:oasis:names:tc:SAML:2.0:metadata",
    "u": "urn:oasis:names:tc:SAML:metadata:ui",
    "s": "urn:mace:shibboleth:metadata:1.0",
    "d": NAMES["d"],
}


def metadata(region: Running, path: str) -> etree._Element:
    """One of the gateway's metadata documents."""
    answer = requests.get(region["gateway"] + path, timeout=10)
    assert answer.headers["Content-Type"] == "application/samlmetadata+xml"
    return etree.fromstring(answer.content)


def bits(key: etree._Element) -> int:
    """The size of the RSA key of a KeyDescriptor."""
    (text,) = key.xpath(".//d:X509Certificate/text()", namespaces=MD)
    return x509.load_der_x509_certificate(base64.b64decode(text)).public_key().key_size


@pytest.mark.parametrize("path", [HUB, MAEBASHI, SERVICE_PROVIDER])
def test_the_metadata_say_what_saml2int_wants(region, path):
    """Who it is, by when to ask again, with which keys, where, and for whom it may speak."""
    found = metadata(region, path)
    assert found.get("entityID") == region["gateway"] + path
    assert len(found.get("entityID")) <= 256
    assert found.get("validUntil")
    (role,) = found.xpath("m:IDPSSODescriptor | m:SPSSODescriptor", namespaces=MD)
    is_service = role.tag.endswith("SPSSODescriptor")
    keys = {key.get("use"): bits(key) for key in role.iterfind("m:KeyDescriptor", MD)}
    assert keys == ({"signing": 3072, "encryption": 3072} if is_service else {"signing": 3072})
    languages = role.xpath("m:Extensions/u:UIInfo/u:DisplayName/@xml:lang", namespaces=MD)
    assert sorted(languages) == ["en", "ja"]
    scopes = role.xpath("m:Extensions/s:Scope[@regexp='false']/text()", namespaces=MD)
    assert scopes == ([] if is_service else ["localhost"])
    for kind in ("SingleLogoutService", "AssertionConsumerService" if is_service else "SingleSignOnService"):
        assert role.findall(f"m:{kind}", MD) != []
    methods = role.xpath("m:KeyDescriptor[@use='encryption']/m:EncryptionMethod/@Algorithm", namespaces=MD)
    assert not is_service or pysaml2_id_system.AES_256_GCM[0] in methods


@pytest.mark.parametrize("path", [HUB, MAEBASHI, SERVICE_PROVIDER])
def test_every_address_of_the_metadata_is_served(region, path):
    """By the binding that stands beside it: who brings nothing is refused, as somebody who may come here."""
    by = {BINDING_HTTP_REDIRECT: requests.get, BINDING_HTTP_POST: requests.post}
    places = metadata(region, path).xpath("//*[@Location]")
    assert places
    answers = {
        (place.get("Binding"), place.get("Location")): by[place.get("Binding")](
            place.get("Location"), timeout=10, allow_redirects=False
        ).status_code
        for place in places
    }
    assert set(answers.values()) == {400}, answers


@pytest.mark.usefixtures("region")
def test_the_gateway_started_no_program(trap):
    """After everything above: what the peers call for every signature, the gateway never called."""
    assert subprocess.run([trap / "xmlsec1"], check=False).returncode == 1
    assert (trap / "started").read_text() == "\n"
    (trap / "started").unlink()
