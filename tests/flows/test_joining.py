"""Joining by `docs/joining.md`, step by step, with peers of others: python3-saml, Authlib, pysaml2."""

import json
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from tests.conftest import Running, start_region, stop_region
from tests.flows.peers.authlib_id_system import AuthlibIdSystem
from tests.flows.peers.authlib_service import AuthlibService
from tests.flows.peers.guide import Guide, blocks
from tests.flows.peers.onelogin_service import OneLoginService
from tests.flows.peers.pysaml2_id_system import Pysaml2IdSystem
from tests.flows.person import Person
from trust_lists.authoring import new_authority, sign_list

pytestmark = [
    # python3-saml 1.16 asks for the time by functions that Python 3.12 deprecates.
    pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utc.*:DeprecationWarning:onelogin"),
]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "joining.md"
SECONDS = 60
"""How long an effect may take that the guide promises within `refresh_seconds`, which is 2."""

RESIDENTS = {"maebashi": "髙橋 花子", "ebetsu": "佐々木　一郎", "kiryu": "織田　糸子", "isesaki": "齋藤　恵"}
"""Somebody of each ID system, as their own register writes them: here with an ideographic space."""


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A region of its own: other tests' region keeps its members."""
    running = start_region(tmp_path_factory.mktemp("joining"))
    yield running
    assert stop_region(running) == 0


@pytest.fixture(scope="module")
def guide(region: Running) -> Guide:
    """The guide, with this region's addresses and paths in the place of the demo's usual ones."""
    return Guide(
        DOCUMENT,
        region.state,
        {
            "http://localhost:8080": region["gateway"],
            "http://localhost:8081": region["admin"],
            ".venv/bin/kakehashi": shlex.join([sys.executable, "-m", "gateway"]),
            ".demo/": f"{region.state}/",
        },
    )


def told(guide: Guide, written: str) -> str:
    """What the guide's own table of addresses says, as addresses of this region."""
    assert f"| `{written}` |" in guide.document.read_text(encoding="utf-8")
    return written.replace("http://localhost:8080", guide.stands_for["http://localhost:8080"])


def until(true: Callable[[], bool]) -> None:
    """Wait until the gateway looked again."""
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it took no effect"
        time.sleep(0.1)


def printed(said: str, name: str) -> str:
    """What a command printed under this name."""
    return re.findall(rf"^{name}: +(\S+)", said, re.MULTILINE)[0]


def readyz(region: Running) -> dict:
    """What the admin listener says of lists and configuration."""
    found = requests.get(region["admin"] + "/readyz", timeout=10).json()
    return {"configuration": found["configuration"]} | {each["name"]: each for each in found["trust_lists"]}


def table(region: Running) -> str:
    """Until when the table of assurance counts that is in force: it tells one version from the next."""
    found: str = readyz(region)["region-assurance"]["valid_until"]
    return found


def log(region: Running) -> str:
    """The gateway's log so far."""
    return (region.state / "gateway.log").read_text()


def offered(service: str) -> list[str]:
    """The municipalities on the choice page of a sign-in at this service."""
    return Person().open(service + "/sign-in").page.xpath("//button[@name='system']/@value")


def shown(person: Person) -> dict[str, str]:
    """What a peer's page says, by name."""
    return {term.text_content(): term.getnext().text_content() for term in person.page.iter("dt")}


def signed_in(service: str, system: str) -> Person:
    """Somebody who signed in at this service with the ID of `system`."""
    person = Person().open(service + "/sign-in").choose("system", system).press(RESIDENTS[system].split()[0])
    return person.choose("decision", "agree") if "/consent" in person.url else person


# --- the peers, joined as the guide says


@pytest.fixture(scope="module")
def bookings(guide: Guide) -> Iterator[OneLoginService]:
    """Ota's facility bookings, a SAML service of python3-saml."""
    with OneLoginService(told(guide, "http://localhost:8080/saml/metadata")) as service:
        guide.stands_for["http://localhost:9001"] = service.url
        said = guide.follow("A SAML service joins")
        assert service.url + "/saml/metadata" in said
        assert "no mistakes" in said
        until(lambda: offered(service.url) != [])
        yield service
        assert not service.faults, service.faults[0]


def issuer(guide: Guide) -> str:
    """The issuer, as the guide says it: the root of the address where its configuration stands."""
    configuration = told(guide, "http://localhost:8080/.well-known/openid-configuration")
    return configuration.removesuffix("/.well-known/openid-configuration")


@pytest.fixture(scope="module")
def museum(guide: Guide) -> Iterator[AuthlibService]:
    """Tomioka's museum, an OpenID service of Authlib with a key."""
    with AuthlibService(issuer(guide), "openid profile") as service:
        guide.stands_for["http://localhost:9002"] = service.url
        said = guide.follow("With a key")
        assert service.key.thumbprint() in said
        until(lambda: offered(service.url) != [])
        yield service
        assert not service.faults, service.faults[0]


@pytest.fixture(scope="module")
def clinic(guide: Guide) -> Iterator[AuthlibService]:
    """Tatebayashi's check-ups, an OpenID service of Authlib with a secret."""
    with AuthlibService(issuer(guide), "openid profile") as service:
        guide.stands_for["http://localhost:9003"] = service.url
        said = guide.follow("With a shared secret", THE_DIGEST=lambda said: re.findall(r"sha256: (\w+)", said)[0])
        service.secret = re.findall(r"client_secret: +(\S+)", said)[0]
        until(lambda: offered(service.url) != [])
        yield service
        assert not service.faults, service.faults[0]


@pytest.fixture(scope="module")
def kiryu(region: Running, guide: Guide, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pysaml2IdSystem]:
    """Kiryu, a SAML ID system of pysaml2's server."""
    metadata = told(guide, "http://localhost:8080/saml/sp/metadata")
    with Pysaml2IdSystem(tmp_path_factory.mktemp("kiryu"), metadata) as system:
        guide.stands_for["http://localhost:9004"] = system.url
        former = table(region)
        said = guide.follow("A SAML ID system joins")
        assert system.url + "/saml/sso" in said
        until(lambda: "kiryu" in offered(region["gunma"]) and table(region) != former)
        yield system
        assert not system.faults, system.faults[0]


@pytest.fixture(scope="module")
def isesaki(region: Running, guide: Guide) -> Iterator[AuthlibIdSystem]:
    """Isesaki, an OpenID ID system of Authlib's authorization server."""
    with AuthlibIdSystem() as system:
        system.register(
            "kakehashi",
            redirect_uri=told(guide, "http://localhost:8080/oidc/rp/callback"),
            jwks_uri=told(guide, "http://localhost:8080/oidc/rp/jwks"),
        )
        guide.stands_for["http://localhost:9005"] = system.url
        former = table(region)
        said = guide.follow("An OpenID ID system joins")
        assert system.url in said
        until(lambda: "isesaki" in offered(region["gunma"]) and table(region) != former)
        yield system
        assert not system.faults, system.faults[0]


# --- services


@pytest.mark.parametrize("system", ["maebashi", "ebetsu"])
def test_python3_saml_is_a_service(bookings, system):
    """Signed requests out; the signed answer passes python3-saml's strict validation."""
    found = shown(signed_in(bookings.url, system))
    assert len(found.pop("NameID")) >= 32
    assert found == {
        "NameID format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        "AuthnContext": "urn:kakehashi:assurance:identity-3",
        "RelayState": bookings.url + "/after",
        "urn:oid:2.16.840.1.113730.3.1.241": RESIDENTS[system],
        "urn:oid:1.3.6.1.4.1.25178.1.2.3": "19850315",
    }


@pytest.mark.parametrize("system", ["maebashi", "ebetsu"])
@pytest.mark.parametrize("peer", ["museum", "clinic"])
def test_authlib_is_a_service(request, guide, peer, system):
    """With a key or a secret: PKCE, an ID token that Authlib validates, userinfo of the same person."""
    service = request.getfixturevalue(peer)
    found = shown(signed_in(service.url, system))
    assert found["sub"] == found["id_token sub"]
    assert found["id_token iss"] == issuer(guide)
    assert found["id_token aud"] == service.url
    assert found["id_token acr"] == "urn:kakehashi:assurance:identity-3"
    assert (found["name"], found["birthdate"]) == (RESIDENTS[system], "1985-03-15")


# --- ID systems


@pytest.mark.usefixtures("kiryu")
@pytest.mark.parametrize("service", ["gunma", "participation"])
def test_pysaml2_is_an_id_system(region, service):
    """Its server verifies the request by the gateway's metadata; its answer signs the resident in."""
    person = signed_in(region[service], "kiryu")
    assert (person.status, person.url) == (200, region[service] + "/")
    assert "織田 糸子" in person.text


def test_pysaml2_would_not_believe_another_request(region, kiryu):
    """The peer is no yes-man: a request whose signature is of something else is a fault there."""
    person = Person().open(region["gunma"] + "/sign-in")
    button = person.page.xpath("//button[@name='system' and @value='kiryu']")[0]
    fields = {**dict(next(button.iterancestors("form")).form_values()), "system": "kiryu"}
    away = person.session.post(person.url, data=fields, allow_redirects=False, timeout=10).headers["Location"]
    assert away.startswith(kiryu.url + "/saml/sso?")
    person.open(away.replace("RelayState=", "RelayState=x"))
    assert person.status == 500
    assert "IncorrectlySigned" in kiryu.faults.pop()
    assert person.open(away).status == 200


@pytest.mark.usefixtures("isesaki")
@pytest.mark.parametrize("service", ["gunma", "participation"])
def test_authlib_is_an_id_system(region, service):
    """Its authorization server believes the gateway's key, holds the proof key, and signs the resident in."""
    person = signed_in(region[service], "isesaki")
    assert (person.status, person.url) == (200, region[service] + "/")
    assert "齋藤 恵" in person.text


def test_authlib_is_an_id_system_with_a_secret(region, guide, isesaki):
    """The same with `client_secret_basic`: the secret lies in the state directory."""
    registered = isesaki.clients["kakehashi"]
    secret = secrets.token_urlsafe()
    isesaki.register("kakehashi", redirect_uri=registered.redirect_uri, jwks_uri="", secret=secret)
    loaded = readyz(region)["configuration"]["loaded_at"]
    guide.follow("If it gives the gateway a secret", THE_SECRET=lambda _: secret)
    until(lambda: readyz(region)["configuration"]["loaded_at"] != loaded)
    assert "齋藤 恵" in signed_in(region["takasaki"], "isesaki").text


@pytest.mark.parametrize("peer", ["bookings", "museum"])
@pytest.mark.parametrize("system", ["kiryu", "isesaki"])
def test_strangers_meet_through_the_gateway(request, peer, system):
    """No line of either side is ours: one joined as an ID system, the other as a service."""
    service, id_system = request.getfixturevalue(peer), request.getfixturevalue(system)
    person = signed_in(service.url, system)
    assert RESIDENTS[system] in shown(person).values()
    assert [*service.faults, *id_system.faults] == []


# --- what goes wrong, as the guide tells it


def reasons(region: Running, person: Person) -> set[tuple[str, str]]:
    """The log's reasons under the reference number of the page that the person reads."""
    (reference,) = person.page.xpath("//p[@class='reference']/code/text()")
    lines = [json.loads(line) for line in log(region).splitlines()]
    refused = [line for line in lines if line.get("request_id") == reference and "detail" in line]
    return {(line["reason"], line["detail"]) for line in refused}


def test_a_request_without_the_signature_that_the_metadata_promise(region, bookings, monkeypatch):
    """Nobody can begin a sign-in in the name of a service that signs."""
    monkeypatch.setitem(bookings.security, "authnRequestsSigned", False)
    person = Person().open(bookings.url + "/sign-in")
    assert "The service sent a request that cannot be used" in person.text
    assert reasons(region, person) == {("bad-request", "unsigned")}


CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


@pytest.mark.parametrize(
    ("asked", "stated"),
    [
        (True, CLASSES + "PasswordProtectedTransport"),
        (["urn:kakehashi:assurance:identity-2"], "urn:kakehashi:assurance:identity-2"),
    ],
)
def test_kinds_of_sign_in_that_a_service_may_ask_for(bookings, monkeypatch, asked, stated):
    """What python3-saml asks for by itself (True), and a level of the region: met, and stated as asked."""
    monkeypatch.setitem(bookings.security, "requestedAuthnContext", asked)
    assert shown(signed_in(bookings.url, "maebashi"))["AuthnContext"] == stated


def test_a_kind_of_sign_in_that_is_none_of_the_regions(bookings, monkeypatch):
    """The service gets its protocol's own word."""
    monkeypatch.setitem(bookings.security, "requestedAuthnContext", [CLASSES + "Kerberos"])
    assert "NoAuthnContext" in Person().open(bookings.url + "/sign-in").text


def test_a_redirect_uri_that_is_not_listed(region, museum):
    """Compared character by character; the code goes nowhere else."""
    away = requests.get(museum.url + "/sign-in", allow_redirects=False, timeout=10).headers["Location"]
    person = Person().open(away.replace("callback", "callback%2F"))
    assert "The service sent a request that cannot be used" in person.text
    assert reasons(region, person) == {("bad-request", "redirect_uri")}


def test_a_secret_that_is_not_the_registered_one(region, clinic, monkeypatch):
    """The token endpoint says `invalid_client`, and the log why."""
    monkeypatch.setattr(clinic, "secret", "not-the-secret")
    assert shown(signed_in(clinic.url, "maebashi")) == {"error": "invalid_client"}
    assert '"token-refused"' in log(region)


@pytest.mark.usefixtures("kiryu")
def test_something_that_the_service_requires_does_not_come(region, clinic):
    """Kiryu gives no date of birth; the page says so in plain words, the log names what is missing."""
    person = signed_in(clinic.url, "kiryu")
    assert "Your municipality did not give something that the service requires" in person.text
    ((reason, detail),) = reasons(region, person)
    assert reason == "attribute-missing"
    assert "birthdate" in detail


def test_a_private_key_is_not_signed_into_a_list(guide, museum, monkeypatch):
    """A list is public: the authority is stopped before it publishes somebody's key."""
    monkeypatch.setattr(museum, "careless", True)
    with pytest.raises(AssertionError, match="is part of a private key"):
        guide.follow("With a key")
    monkeypatch.setattr(museum, "careless", False)
    guide.follow("With a key")


def test_a_mistake_leaves_the_old_configuration_in_force(region, bookings):
    """`check-config` and the log name file and line; people notice nothing."""
    path = region.state / "config/services/ota-bookings.yaml"
    good = path.read_text()
    path.write_text(good.replace("minimum_identity: 1", "minimum_idenity: 1"))
    try:
        words = [sys.executable, "-m", "gateway", "check-config", str(region.state / "config")]
        checked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 1
        assert re.search(r"ota-bookings\.yaml:8\b.*minimum_idenity", checked.stderr)
        until(lambda: readyz(region)["configuration"]["mistakes"] == 1)
        assert re.search(r'ota-bookings\.yaml:8".*"configuration-mistake"', log(region))
        assert "髙橋 花子" in signed_in(bookings.url, "maebashi").text
    finally:
        path.write_text(good)
    until(lambda: readyz(region)["configuration"]["mistakes"] == 0)


def unsigned(document: bytes) -> bytes:
    """The list without its signature."""
    root = etree.fromstring(document)
    root.remove(root.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    return etree.tostring(root)


def altered(document: bytes) -> bytes:
    """The list with Ota's answers sent elsewhere."""
    assert b"/saml/acs" in document
    return document.replace(b"/saml/acs", b"/saml/acz")


def by_another(document: bytes, region: Running, directory: Path) -> bytes:
    """The list, its members the same, signed by an authority that nobody pinned."""
    key, certificate = new_authority(directory)
    recipe = region.state / "config/lists/region-saml.yaml"
    written = sign_list(recipe, key=key, certificate=certificate, now=datetime.now(UTC))
    signed = written.read_bytes()
    written.write_bytes(document)
    return signed


@pytest.mark.parametrize(
    ("how", "code"), [("unsigned", "unsigned"), ("altered", "signature"), ("another", "signature")]
)
def test_a_list_that_the_authority_did_not_sign(region, bookings, tmp_path, how, code):
    """It is not loaded, the log says what to do, and the list before it stays in force."""
    path = region.state / "config/lists/region-saml.xml"
    good = path.read_bytes()
    forged = {
        "unsigned": lambda: unsigned(good),
        "altered": lambda: altered(good),
        "another": lambda: by_another(good, region, tmp_path / "authority"),
    }[how]()
    before = readyz(region)["region-saml"]
    path.write_bytes(forged)
    try:
        until(lambda: readyz(region)["region-saml"]["refused"] == code)
        after = readyz(region)["region-saml"]
        assert (after["in_force"], after["entities"]) == (True, before["entities"])
        refused = [json.loads(line) for line in log(region).splitlines() if '"list-refused"' in line][-1]
        assert (refused["list"], refused["code"]) == ("region-saml", code)
        assert "kakehashi trust sign" in refused["detail"] or "another key" in refused["detail"]
        assert "佐々木 一郎" in signed_in(bookings.url, "ebetsu").text
    finally:
        path.write_bytes(good)
    until(lambda: readyz(region)["region-saml"]["refused"] is None)


# --- the document


def test_the_addresses_of_the_guide_answer(guide):
    """Every address in the guide's table is there; the redirect URI refuses who was not sent to it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = re.findall(r"^\|.*\| `(http://localhost:8080/\S+)` \|$", text, re.MULTILINE)
    answers = {written: requests.get(told(guide, written), timeout=10).status_code for written in table}
    assert answers == {
        "http://localhost:8080/saml/metadata": 200,
        "http://localhost:8080/saml/012173/metadata": 200,
        "http://localhost:8080/.well-known/openid-configuration": 200,
        "http://localhost:8080/saml/sp/metadata": 200,
        "http://localhost:8080/oidc/rp/jwks": 200,
        "http://localhost:8080/oidc/rp/callback": 400,
        "http://localhost:8080/oidc/rp/callback/ID": 400,
    }


def test_the_metadata_are_signed_as_others_verify_it(guide):
    """python3-saml verifies the signature of both metadata documents with the certificate in them."""
    for written in ("http://localhost:8080/saml/metadata", "http://localhost:8080/saml/sp/metadata"):
        document = requests.get(told(guide, written), timeout=10).content
        certificate = etree.fromstring(document).findtext(".//{http://www.w3.org/2000/09/xmldsig#}X509Certificate")
        assert OneLogin_Saml2_Utils.validate_metadata_sign(
            document, cert=OneLogin_Saml2_Utils.format_cert(certificate), raise_exceptions=True
        )


def test_both_languages_say_the_same_steps():
    """The Japanese guide has the same files and commands, in the same order."""
    english, japanese = blocks(DOCUMENT), blocks(DOCUMENT.with_suffix(".ja.md"))
    assert [(step.action, step.text) for step in japanese] == [(step.action, step.text) for step in english]


# --- leaving; the last tests, since the members are gone after them


def test_an_id_system_leaves(region, guide, kiryu):
    """Off the list, it is offered no more and a choice made meanwhile is refused; without its file, nobody knows it."""
    names = {"services/ota-bookings": "id-systems/kiryu", "ota-bookings": "kiryu"}
    leaving = replace(guide, stands_for=names | guide.stands_for)
    choosing = Person().open(region["gunma"] + "/sign-in")
    assert kiryu.url not in leaving.follow("Off the list")
    until(lambda: "kiryu" not in offered(region["gunma"]))
    assert "Kiryu" in Person().open(region["gunma"] + "/sign-in").page.xpath("//details")[0].text_content()
    choosing.choose("system", "kiryu")
    assert "Sign-in with this municipality is not possible now" in choosing.text
    assert reasons(region, choosing) == {("id-system-not-trusted", "unlisted")}
    leaving.follow("Out of the configuration")
    until(lambda: "Kiryu" not in Person().open(region["gunma"] + "/sign-in").text)
    assert "髙橋 花子" in signed_in(region["gunma"], "maebashi").text


def test_a_service_leaves(region, guide, bookings):
    """Off the list, it is refused, a sign-in under way included; without its file, it is unknown."""
    under_way = Person().open(bookings.url + "/sign-in").choose("system", "maebashi").press("葛󠄀西 誠")
    assert "Nothing has been sent yet." in under_way.text
    assert bookings.url not in guide.follow("Off the list")

    def begun() -> Person:
        return Person().open(bookings.url + "/sign-in")

    until(lambda: "not a member of the region" in begun().text)
    assert reasons(region, begun()) == {("unknown-service", "unlisted")}
    under_way.choose("decision", "agree")
    assert "This service is not a member of the region" in under_way.text
    assert "葛" not in under_way.text
    under_way.follow("Go back to Ota City facility bookings")
    assert under_way.url == bookings.url + "/", "to the service's own address, and without an answer"
    guide.follow("Out of the configuration")
    until(lambda: reasons(region, begun()) == {("unknown-service", "not-configured")})
    assert readyz(region)["configuration"]["mistakes"] == 0
