"""Single logout at a running gateway, message by message: both directions, both bindings, and whoever disturbs it.

The peers are played by the test itself, so that they can do what no library would. Peers of others are in
`test_saml_peers.py`.
"""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree, html

from federation.saml import logout
from federation.saml.logout import LogoutAsked
from federation.saml.messages import POST, REDIRECT
from federation.sessions import SubjectName
from federation.web import PostForm, Redirect
from tests.federation.saml.peers import adding, removing, signer
from tests.flows.peers.played import (
    EBETSU,
    PARTIAL,
    REDIRECTING,
    STATUS,
    SUCCESS,
    Browser,
    End,
    configured,
    document,
    entity_of,
    follow,
    id_system_asks,
    logouts,
    members,
    named,
    nothing_left,
    now,
    own,
    peer_answers,
    pem,
    service_asks,
    sign_in,
    slo,
    told,
)
from tests.flows.person import Person
from tests.gateway.gateway_sample import Sample, Served, served, until
from trust_lists import saml_metadata
from trust_lists.model import Endpoint, Role, TrustedEntity


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with one SAML ID system and eight SAML services."""
    sample = Sample(tmp_path_factory.mktemp("logout"))
    document = saml_metadata.publish(
        members(),
        name="region-saml",
        signer=signer("authority"),
        issued_at=now(),
        valid_until=now() + timedelta(days=3),
    )
    lists = sample.config / "lists"
    (lists / "region-saml.xml").write_bytes(document)
    (lists / "saml.pem").write_bytes(pem(signer("authority").certificate_der))
    openid = {"name": "region", "format": "etsi-119602", "file": "lists/region.jwt", "anchors": ["lists/anchor.pem"]}
    by_saml = {
        "name": "region-saml",
        "format": "saml-metadata",
        "file": "lists/region-saml.xml",
        "anchors": ["lists/saml.pem"],
    }
    sample.write("trust.yaml", {"sources": [openid, by_saml], "refresh_seconds": 60})
    system = {
        "id": "ebetsu",
        "kind": "saml",
        "entity_id": EBETSU,
        "municipality": "012173",
        "name": {"ja": "江別市", "en": "Ebetsu City"},
        "reading": "えべつし",
        "attributes": [{"to": "fullName", "from": ["urn:oid:2.5.4.3"]}],
        "assurance": {"otherwise": {"identity": 1, "authentication": 1}},
    }
    sample.write("id-systems/ebetsu.yaml", system)
    for name in (*REDIRECTING, "pool", "portal"):
        sample.write(f"services/{name}.yaml", configured(name))
    with served(sample) as process:
        yield process
        assert [line for line in process.log() if line["event"] == "fault"] == []
        for line in process.out.read_text().splitlines():
            assert "resident-" not in line, "nobody's name stands in the log"


@pytest.fixture
def browser(gateway: Served) -> Browser:
    """Somebody's browser."""
    return Browser(gateway)


both_bindings = pytest.mark.parametrize("binding", [REDIRECT, POST])

# --- all goes well


@both_bindings
def test_a_service_begins(gateway, browser, binding) -> None:
    """The other service by the binding that it lists, then the ID system, then the answer, by either binding."""
    library, pool = sign_in(browser, "library"), sign_in(browser, "pool")
    before = logouts(gateway)

    end = follow(browser, browser.carry(service_asks(library, binding)), binding)

    assert end == End(["pool", "ebetsu"], SUCCESS, "back here", entity_of("library") + "/slo", REDIRECT)
    assert logouts(gateway)["complete"] == before["complete"] + 1
    assert nothing_left(browser, library)
    assert nothing_left(browser, pool)


def test_a_service_that_lists_post_alone_begins(browser) -> None:
    """Its answer comes by POST, the others are told by Redirect."""
    pool = sign_in(browser, "pool")
    sign_in(browser, "library")
    end = follow(browser, browser.carry(service_asks(pool, POST)))
    assert end == End(["library", "ebetsu"], SUCCESS, "back here", entity_of("pool") + "/slo", POST)


@both_bindings
def test_an_id_system_begins(browser, binding) -> None:
    """Every service is told, then the ID system is answered."""
    library, pool = sign_in(browser, "library"), sign_in(browser, "pool")
    end = follow(browser, browser.carry(id_system_asks(browser, binding)), binding)
    assert end == End(["library", "pool"], SUCCESS, None, EBETSU + "/slo", REDIRECT)
    assert nothing_left(browser, library)
    assert nothing_left(browser, pool)


def test_who_is_told_hears_the_name_that_they_were_given(gateway, browser) -> None:
    """Name, qualifiers and session index exactly as in the assertion to each; no service hears another's."""
    library, museum = sign_in(browser, "library"), sign_in(browser, "museum")
    first = told(gateway, browser.carry(service_asks(library)))
    assert (first[2].name, first[2].indexes) == (named(museum.assertion), (museum.assertion.session_index,))
    second = told(gateway, browser.carry(peer_answers(first)))
    assert second[2].name.value == browser.resident
    assert second[2].name.name_qualifier == EBETSU
    assert second[2].indexes == (browser.index,)
    assert library.assertion.session_index != museum.assertion.session_index
    follow(browser, browser.carry(peer_answers(second)))


def test_a_municipalitys_own_entity(gateway, browser) -> None:
    """Whoever was answered by it asks it and is told by it; the hub knows nothing of that session."""
    path = "/saml/012173/metadata"
    library, museum = sign_in(browser, "library", path=path), sign_in(browser, "museum", path=path)
    asked_hub = replace(library, asserted_by=own(gateway))
    end = follow(browser, browser.carry(service_asks(asked_hub)))
    assert end.status == [STATUS + "Requester", STATUS + "UnknownPrincipal"]
    asked = told(gateway, browser.carry(service_asks(library)))
    assert (asked[0], asked[1].entity_id) == ("museum", museum.asserted_by.entity_id)
    assert follow(browser, browser.carry(peer_answers(asked))).status == SUCCESS


def test_many_services_do_not_make_a_redirect_loop(browser) -> None:
    """After some peers a page stands in between, which goes on by itself or by its button."""
    signed = [sign_in(browser, name) for name in REDIRECTING]
    pages = []

    def answering(asked: tuple[str, TrustedEntity, LogoutAsked]) -> Redirect | PostForm:
        pages.append('http-equiv="refresh"' in browser.page)
        return peer_answers(asked)

    end = follow(browser, browser.carry(service_asks(signed[0])), answering=answering)
    assert end.told == [*REDIRECTING[1:], "ebetsu"]
    assert pages == [False] * 4 + [True] + [False]


def test_another_browser_stays_signed_in(gateway, browser) -> None:
    """Another session index, another browser: the same person's other session goes on."""
    other = Browser(gateway, resident=browser.resident)
    here, there = sign_in(browser, "library"), sign_in(other, "museum")
    assert follow(browser, browser.carry(service_asks(here))).told == ["ebetsu"]
    assert follow(other, other.carry(service_asks(there))).told == ["ebetsu"]


@pytest.mark.parametrize("all_of_them", [True, False])
def test_an_id_system_ends_one_session_or_all(gateway, browser, all_of_them) -> None:
    """Without a session index all of the person's, in whichever browser; with one only that."""
    other = Browser(gateway, resident=browser.resident)
    sign_in(browser, "library"), sign_in(other, "museum")
    indexes = () if all_of_them else (other.index,)
    end = follow(browser, browser.carry(id_system_asks(browser, indexes=indexes)))
    assert end.told == (["library", "museum"] if all_of_them else ["museum"])
    follow(browser, browser.carry(id_system_asks(browser)))


def test_an_id_system_that_numbers_every_sign_in_ends_them_all(browser) -> None:
    """It names the session index of one sign-in; what the same browser began there besides ends with it."""
    sign_in(browser, "library", index="first"), sign_in(browser, "museum", index="second")
    assert follow(browser, browser.carry(id_system_asks(browser, indexes=("second",)))).told == ["library", "museum"]


def test_a_browser_without_our_cookie_is_followed_too(gateway, browser) -> None:
    """The service may keep its session longer than the browser our cookie: the logout is bound to a new one."""
    library = sign_in(browser, "library")
    sign_in(browser, "museum")
    fresh = Browser(gateway)
    assert follow(fresh, fresh.carry(service_asks(library))).status == SUCCESS
    again = sign_in(browser, "library")
    answer = peer_answers(told(gateway, browser.carry(service_asks(again))))
    assert Browser(gateway).carry(answer) is None
    assert follow(browser, browser.carry(answer)).status == SUCCESS


def test_another_person_in_the_same_browser_stays_signed_in(browser) -> None:
    """A shared computer: the sessions belong to people."""
    one, two = sign_in(browser, "library"), sign_in(browser, "museum", "resident-of-the-same-house")
    assert follow(browser, browser.carry(service_asks(one))).told == ["ebetsu"]
    assert follow(browser, browser.carry(service_asks(two))).told == ["ebetsu"]


# --- not everywhere


def test_a_service_without_an_address_makes_it_partial(gateway, browser) -> None:
    """It cannot be told: success, and on the second level that it is not all; the operators' metric says so too."""
    library = sign_in(browser, "library")
    sign_in(browser, "portal")
    before = logouts(gateway)
    assert follow(browser, browser.carry(service_asks(library))).status == PARTIAL
    assert logouts(gateway)["partial"] == before["partial"] + 1


def test_a_service_that_refuses_makes_it_partial(browser) -> None:
    """The others are told all the same."""
    library = sign_in(browser, "library")
    sign_in(browser, "pool"), sign_in(browser, "museum")
    end = follow(
        browser,
        browser.carry(service_asks(library)),
        answering=lambda asked: peer_answers(asked, ended=asked[0] != "pool"),
    )
    assert (end.told, end.status) == (["pool", "museum", "ebetsu"], PARTIAL)


def forged(asked: tuple[str, TrustedEntity, LogoutAsked]) -> Redirect | PostForm:
    """A confirmation that somebody else signed."""
    peer, entity, request = asked
    impostor = "museum" if peer != "museum" else "pool"
    return logout.response(
        logout.success(partial=False),
        slo(entity, REDIRECT),
        own_entity=entity_of(peer),
        in_response_to=request.asker.request_id,
        relay_state=None,
        signer=signer(impostor),
        now=now(),
    )


def unsigned(asked: tuple[str, TrustedEntity, LogoutAsked]) -> Redirect | PostForm:
    """A confirmation that nobody signed."""
    sent = peer_answers(asked)
    assert isinstance(sent, Redirect)
    return Redirect(location=sent.location.partition("&SigAlg=")[0])


def from_elsewhere(asked: tuple[str, TrustedEntity, LogoutAsked]) -> Redirect | PostForm:
    """A confirmation that a service signed well for the ID systems' door."""
    peer, _, request = asked
    address = urlsplit(asked[1].entity_id)._replace(path="/saml/sp/slo").geturl()
    place = Endpoint(role=Role.SAML_SERVICE_PROVIDER, kind="SingleLogoutService", binding=REDIRECT, location=address)
    return logout.response(
        logout.success(partial=False),
        place,
        own_entity=entity_of(peer),
        in_response_to=request.asker.request_id,
        relay_state=None,
        signer=signer(peer),
        now=now(),
    )


@pytest.mark.parametrize("disturb", [forged, unsigned, from_elsewhere])
def test_a_confirmation_that_is_not_believed_confirms_nothing(browser, disturb) -> None:
    """It goes on, so that nobody gets stuck, and says that it is not all."""
    library = sign_in(browser, "library")
    sign_in(browser, "pool")
    end = follow(
        browser,
        browser.carry(service_asks(library)),
        answering=lambda asked: disturb(asked) if asked[0] == "pool" else peer_answers(asked),
    )
    assert (end.told, end.status) == (["pool", "ebetsu"], PARTIAL)


def test_who_wants_no_answer_leaves_the_person_with_a_page(gateway, browser) -> None:
    """In plain words: where they are signed out, where perhaps not, and what to do."""
    library = sign_in(browser, "library")
    sign_in(browser, "portal")
    asynchronous = (
        '<p:Extensions><a:Asynchronous xmlns:a="urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"/></p:Extensions>'
    )
    root = etree.fromstring(document(service_asks(library)))
    adding(".", asynchronous)(root)
    root.insert(1, root[-1])
    address = slo(own(gateway), REDIRECT).location
    request = logout.redirect.send(
        address, "SAMLRequest", etree.tostring(root), relay_state=None, signer=signer("library")
    )
    asked = told(gateway, browser.carry(request))
    browser.session.headers["Accept-Language"] = "en"
    assert browser.carry(peer_answers(asked)) is None
    assert browser.status == 200
    left, done = (" ".join(found.text_content().split()) for found in html.fromstring(browser.page).iter("section"))
    assert left == "Here you may still be signed in Counter portal"
    assert done == "Here you are signed out Counter library Ebetsu City"
    assert "close all windows of this browser" in browser.text


# --- whoever disturbs


def test_the_gateway_forgets_first(browser) -> None:
    """A browser that gets lost at the first peer leaves nothing that could be used or asked for again."""
    library, museum = sign_in(browser, "library"), sign_in(browser, "museum")
    assert browser.carry(service_asks(library)) is not None  # and it never comes back
    assert nothing_left(browser, library)
    assert nothing_left(browser, museum)


def test_an_answer_in_another_browser_is_nothing(gateway, browser) -> None:
    """It is refused there, and still works where it belongs; a second time it is over."""
    library = sign_in(browser, "library")
    answer = peer_answers(told(gateway, browser.carry(service_asks(library))))
    other = Browser(gateway)
    sign_in(other, "museum")
    other.session.headers["Accept-Language"] = "en"
    assert other.carry(answer) is None
    assert other.status == 400
    assert "This sign-out is no longer open" in other.text
    assert follow(browser, browser.carry(answer)).status == SUCCESS
    assert browser.carry(answer) is None
    assert browser.status == 400


def test_a_replayed_request_does_no_harm(browser) -> None:
    """It is answered, and does not end what began after it."""
    library = sign_in(browser, "library")
    request = service_asks(library, indexes=())
    assert follow(browser, browser.carry(request)).status == SUCCESS
    again = sign_in(browser, "library")
    end = follow(browser, browser.carry(request))
    assert (end.told, end.status) == ([], [STATUS + "Responder", STATUS + "RequestDenied"])
    assert follow(browser, browser.carry(service_asks(again))).told == ["ebetsu"]


def test_a_service_cannot_end_what_is_not_its_own(browser) -> None:
    """With its own key it can name another's person, and is told that it knows nobody of that name."""
    library, museum = sign_in(browser, "library"), sign_in(browser, "museum")
    for name in (named(museum.assertion), SubjectName(value=browser.resident), SubjectName(value="*")):
        end = follow(browser, browser.carry(service_asks(library, name=name, indexes=())))
        assert (end.told, end.status) == ([], [STATUS + "Requester", STATUS + "UnknownPrincipal"])
    assert follow(browser, browser.carry(service_asks(museum))).told == ["library", "ebetsu"]


def test_a_session_that_is_not_meant_stays(browser) -> None:
    """Another session index, or another qualifier: nothing left to end of that, and nothing ended."""
    library = sign_in(browser, "library")
    name = named(library.assertion)
    for changes in ({"indexes": ("x",)}, {"name": replace(name, name_qualifier="https://other.example")}):
        end = follow(browser, browser.carry(service_asks(library, **changes)))
        assert (end.told, end.status) == ([], SUCCESS)
    assert follow(browser, browser.carry(service_asks(library))).told == ["ebetsu"]


def refused_page(browser: Browser, what: Redirect | PostForm) -> bool:
    """Whether the gateway answers with its page for logout messages that cannot be used."""
    browser.session.headers["Accept-Language"] = "en"
    assert browser.carry(what) is None
    return browser.status == 400 and "The request to sign you out cannot be used" in browser.text


@both_bindings
def test_a_request_must_be_the_services_own(gateway, browser, binding) -> None:
    """Unsigned, signed by another member, of a stranger, for another address: a page, and nothing ended."""
    library = sign_in(browser, "library")
    genuine = service_asks(library, binding)
    before = logouts(gateway)
    stranger = replace(library, service="museum")  # museum's key under library's name
    party = {"own_entity": entity_of("library"), "name": named(library.assertion)}
    hostile = [
        service_asks(stranger, binding, **party),
        service_asks(library, binding, own_entity="https://stranger.example/saml"),
        service_asks(replace(library, asserted_by=own(gateway, "/saml/sp/metadata")), binding),
    ]
    if isinstance(genuine, Redirect):
        hostile.append(Redirect(location=genuine.location.partition("&SigAlg=")[0]))
        hostile.append(Redirect(location=genuine.location.replace("/saml/slo", "/saml/012173/slo")))
        hostile.append(Redirect(location=genuine.location + "&SAMLResponse=x"))
    else:
        root = etree.fromstring(document(genuine))
        removing("*[local-name() = 'Signature']")(root)
        fields = (("SAMLRequest", base64.b64encode(etree.tostring(root)).decode()),)
        hostile.append(PostForm(action=genuine.action, fields=fields))
        hostile.append(replace(genuine, action=genuine.action.replace("/saml/slo", "/saml/012173/slo")))
    assert [refused_page(browser, each) for each in hostile] == [True] * len(hostile)
    assert logouts(gateway)["refused"] == before["refused"] + len(hostile)
    assert follow(browser, browser.carry(genuine)).told == ["ebetsu"]


def test_an_encrypted_name_is_answered_as_not_supported(gateway, browser) -> None:
    """The service hears it by its protocol; nothing ended."""
    library = sign_in(browser, "library")
    root = etree.fromstring(document(service_asks(library)))
    removing("s:NameID")(root)
    encrypted = '<s:EncryptedID><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"/></s:EncryptedID>'
    adding(".", encrypted)(root)
    address = slo(own(gateway), REDIRECT).location
    sent = logout.redirect.send(
        address, "SAMLRequest", etree.tostring(root), relay_state=None, signer=signer("library")
    )
    end = follow(browser, browser.carry(sent))
    assert end.status == [STATUS + "Requester", STATUS + "RequestUnsupported"]
    assert follow(browser, browser.carry(service_asks(library))).told == ["ebetsu"]


def test_an_id_system_that_names_nobody_we_know_hears_success(browser) -> None:
    """Nobody of that name is signed in here: that is what it wanted."""
    end = follow(browser, browser.carry(id_system_asks(browser, resident="resident-99")))
    assert (end.told, end.status) == ([], SUCCESS)


@pytest.mark.parametrize("path", ["/saml/slo", "/saml/sp/slo", "/saml/012173/slo"])
def test_addresses_without_a_message_lead_nowhere(gateway, browser, path) -> None:
    """A page in plain words; an unknown municipality is no address at all."""
    url = gateway.sample.public_url
    assert refused_page(browser, Redirect(location=url + path))
    assert refused_page(browser, PostForm(action=url + path, fields=(("RelayState", "x"),)))
    assert requests.get(url + "/saml/999999/slo", timeout=10).status_code == 404
    assert requests.head(url + path, timeout=10).status_code == 405, "a look at an address is no logout"


def test_every_end_is_a_line_in_the_log(gateway, browser) -> None:
    """Who began, how it ended, and how many were told; no names of people."""
    library = sign_in(browser, "library")
    sign_in(browser, "portal")
    follow(browser, browser.carry(service_asks(library)))
    line = until(lambda: gateway.events("logout"))[-1]
    assert {name: line[name] for name in ("outcome", "relying_service", "told", "untold")} == {
        "outcome": "partial",
        "relying_service": "library",
        "told": 1,
        "untold": 1,
    }


# --- the demo's own systems, as a resident sees them


def in_both(region, system: str, resident: str) -> Person:
    """Somebody who is signed in at the library and at the portal in one browser."""
    person = Person()
    for service in ("takasaki", "gunma"):
        person.open(region[service] + "/sign-in").choose("system", system).press(resident)
        if "/consent" in person.url:
            person.choose("decision", "agree")
        assert "You are signed in" in person.text
    return person


def test_one_button_signs_a_resident_out_of_everything(region) -> None:
    """Of the service where it is pressed, of the other one, and of the ID system."""
    person = in_both(region, "ebetsu", "佐々木 一郎")
    person.press("Sign out")
    assert (person.status, person.url) == (200, region["gunma"] + "/")
    assert "Sign in with your city" in person.text
    assert "Sign in with your city" in person.open(region["takasaki"] + "/").text


def test_a_resident_hears_that_an_id_system_cannot_be_told(region) -> None:
    """Maebashi speaks OpenID: the services are left, and the page says that it may not be all."""
    person = in_both(region, "maebashi", "髙橋 花子")
    person.press("Sign out")
    assert person.status == 200
    assert "You are signed out here, but perhaps not everywhere" in person.text
    assert "Sign in with your city" in person.open(region["gunma"] + "/").text
    assert "Sign in with your city" in person.open(region["takasaki"] + "/").text


def test_the_openid_site_is_left_too(region) -> None:
    """The gateway tells it by itself, so that its own page says so when the resident comes back to it."""
    person = in_both(region, "ebetsu", "佐々木 一郎")
    person.open(region["participation"] + "/sign-in").choose("system", "ebetsu")
    if person.page.xpath("//button[contains(., '佐々木 一郎')]"):
        person.press("佐々木 一郎")
    if "/consent" in person.url:
        person.choose("decision", "agree")
    assert "You are signed in" in person.text
    forged = requests.post(
        region["participation"] + "/backchannel-logout", data={"logout_token": "e30.e30.e30"}, timeout=10
    )
    assert forged.status_code == 400
    assert "You are signed in" in person.open(region["participation"] + "/").text
    person.open(region["gunma"] + "/").press("Sign out")
    assert "Sign in with your city" in person.open(region["participation"] + "/").text
