import base64
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from federation.attributes import OutwardMap, OutwardRule
from federation.model import Assurance, Level, LoginRequest, Release, Service
from federation.ports import Denied
from federation.refusal import (
    AssuranceTooLow,
    BadRequest,
    ConsentDenied,
    InteractionNeeded,
    Refusal,
    UnknownService,
)
from federation.saml.frontend import SamlFrontend
from federation.saml.messages import BASIC_NAMES, PERSISTENT, TRANSIENT, UNSPECIFIED, URI_NAMES
from federation.saml.scopes import PAIRWISE_ID, SUBJECT_ID
from federation.saml.service_provider import SamlResponseRefusedError, SamlStatusError
from federation.sessions import SubjectName
from federation.web import PostForm, WebRequest
from tests.federation.saml.peers import (
    ACS,
    IDP,
    NOW,
    SP,
    SSO,
    Lists,
    acs_endpoint,
    adding,
    arrived,
    at,
    authn_request,
    came_by,
    identity_provider,
    inflated,
    listed_idp,
    listed_sp,
    setting,
    signer,
    xml_of,
)
from trust_lists.model import Role

CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
LEVEL = "urn:kakehashi:assurance:identity-"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"

RULES = (
    OutwardRule(to="urn:oid:2.5.4.4", sources=("familyName",), friendly_name="sn"),
    OutwardRule(to="birthday", sources=("dateOfBirth",)),
    OutwardRule(to="http://example.jp/city", sources=("cityAndCounty",), format=BASIC_NAMES),
)
SERVICE = Service(
    id="portal",
    kind="saml",
    entity_id=SP,
    municipality="100005",
    name={"ja": "群馬県ポータル", "en": "Gunma Prefecture portal"},
    purpose={"ja": "手続", "en": "Procedures"},
    outward=OutwardMap(rules=RULES),
    minimum=Level.ONE,
    consent_lifetime=timedelta(days=365),
)


def frontend(trust: Lists | None = None, services: dict[str, Service] | None = None) -> SamlFrontend:
    """The gateway as identity provider with one service."""
    return SamlFrontend(
        provider=identity_provider(),
        services={SP: SERVICE} if services is None else services,
        trust=trust or Lists(listed_sp()),
    )


def accept(edit: object = None, **asked: object) -> LoginRequest:
    """What the frontend makes of the service's request; an edited one is signed anew and posted."""
    redirect = authn_request(**asked)
    if edit is None:
        return frontend().accept(came_by(redirect), NOW)
    root = etree.fromstring(inflated(redirect))
    edit(root)
    document = signer("sp").sign_element(etree.tostring(root), "_asked")
    form = [("SAMLRequest", base64.b64encode(document).decode()), ("RelayState", "state")]
    return frontend().accept(WebRequest(method="POST", url=SSO, form=form), NOW)


def denied(edit: object = None, **asked: object) -> tuple[str, str]:
    """The refusal's code and the second-level status that the service gets, at its own address."""
    with pytest.raises(Denied) as caught:
        accept(edit, **asked)
    assert isinstance(caught.value.answer, PostForm)
    assert caught.value.answer.action == ACS
    return caught.value.refusal.code, status(caught.value.answer)


def status(form: PostForm) -> str:
    """The second-level status of a refusal."""
    with pytest.raises(SamlStatusError) as caught:
        arrived(xml_of(form))
    return (caught.value.second or "").removeprefix(STATUS)


def contexts(comparison: str, *levels: object) -> dict[str, object]:
    """A request for levels, and its comparison as an edit."""
    uris = tuple(f"{LEVEL}{level}" if isinstance(level, int) else level for level in levels)
    edit = setting("p:RequestedAuthnContext", Comparison=comparison)
    return {"edit": edit, "requested_contexts": uris}


def release(level: int = 2, **changes: object) -> Release:
    """What leaves for the service."""
    options = {
        "service": "portal",
        "subject": "pairwise-1",
        "person": "sealed",
        "attributes": {
            "urn:oid:2.5.4.4": ("髙橋",),
            "birthday": ("1985-03-15",),
            "http://example.jp/city": ("", "江別市"),
        },
        "assurance": Assurance(identity=Level(level), authentication=Level.ONE),
        "scopes": (),
        "consent": "c-1",
        "authenticated_at": NOW - timedelta(minutes=1),
        **changes,
    }
    return Release(**options)


# --- accepting


def test_a_request_becomes_a_login() -> None:
    """What the service asked for, in the gateway's terms; its own memory survives as JSON."""
    login = accept(force_authn=True, identity_providers=("https://maebashi.example",))
    assert login == LoginRequest(
        service="portal",
        kind="saml",
        reply=login.reply,
        minimum=Level.NONE,
        hint="https://maebashi.example",
        force_authentication=True,
    )
    assert (login.reply["id"], login.reply["acs_url"], login.reply["relay_state"]) == ("_asked", ACS, "state")


def test_a_passive_request_is_tried() -> None:
    """Whether a page would be needed is seen on the way (SAML Core §3.4.1, IsPassive)."""
    assert accept(is_passive=True).passive
    assert not accept().passive


def test_several_providers_are_no_hint() -> None:
    """A list is the person's to choose from."""
    assert accept(identity_providers=("https://a.example", "https://b.example")).hint is None


@pytest.mark.parametrize(
    ("asked", "minimum"),
    [
        ({}, 0),
        (contexts("exact", 2), 2),
        (contexts("exact", 3, 1), 1),
        (contexts("exact", "urn:unknown", 2), 2),
        (contexts("minimum", 2), 2),
        (contexts("minimum", 3, 2), 2),
        (contexts("maximum", 2), 0),
        (contexts("better", 1, 2), 3),
        (contexts("exact", CLASSES + "PasswordProtectedTransport"), 0),
        (contexts("minimum", CLASSES + "unspecified"), 0),
    ],
)
def test_requested_contexts_become_a_minimum(asked: dict[str, object], minimum: int) -> None:
    """The level that the login must reach for the answer to be what was asked (SAML Core §3.3.2.2.1)."""
    assert accept(**asked).minimum == Level(minimum)


@pytest.mark.parametrize(
    "asked",
    [
        contexts("exact", CLASSES + "X509"),
        contexts("exact", LEVEL + "02"),
        contexts("minimum", LEVEL + "4"),
        contexts("better", 3),
        contexts("nicest", 1),
    ],
)
def test_contexts_that_are_never_stated_are_denied(asked: dict[str, object]) -> None:
    """Nothing here would be what the service asks for: it is told so."""
    assert denied(**asked) == ("context-unknown", "NoAuthnContext")


@pytest.mark.parametrize("name", ["PasswordProtectedTransport", "Password", "unspecified"])
def test_what_every_sign_in_is_worth_is_stated_as_asked(name: str) -> None:
    """Who asks for exactly a password gets that said of a sign-in that is worth more (SAML Core §3.3.2.2.1)."""
    form = frontend().grant(accept(**contexts("exact", CLASSES + name)), release(), NOW).answer
    assert arrived(xml_of(form)).authn_context == CLASSES + name
    form = frontend().grant(accept(**contexts("exact", CLASSES + name, 2)), release(), NOW).answer
    assert arrived(xml_of(form)).authn_context == LEVEL + "2"


def test_what_cannot_be_met_is_denied_to_the_service() -> None:
    """Sign-in anew without a page, other kinds of names, another's names, one particular person."""
    email = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
    subject = adding(".", "<s:Subject><s:NameID>someone</s:NameID></s:Subject>")
    affiliation = setting("p:NameIDPolicy", SPNameQualifier="https://affiliation.example")
    assert denied(is_passive=True, force_authn=True) == ("interaction-needed", "NoPassive")
    assert denied(name_id_format=email) == ("name-id-not-offered", "InvalidNameIDPolicy")
    assert denied(affiliation, name_id_format=PERSISTENT) == ("name-id-not-offered", "InvalidNameIDPolicy")
    assert denied(subject) == ("bad-request", "RequestUnsupported")


@pytest.mark.parametrize("name_id_format", [None, UNSPECIFIED, PERSISTENT, TRANSIENT])
def test_names_that_are_given(name_id_format: str | None) -> None:
    """Persistent, transient, or as we like."""
    assert accept(name_id_format=name_id_format).service == "portal"


def refusal(front: SamlFrontend, web: WebRequest | None = None) -> Refusal:
    """The refusal that gets no answer."""
    with pytest.raises(Refusal) as caught:
        front.accept(web or came_by(authn_request()), NOW)
    return caught.value


@pytest.mark.parametrize(
    ("front", "code"),
    [
        (frontend(services={}), "not-configured"),
        (frontend(Lists()), "unlisted"),
        (frontend(Lists(listed_sp(valid_until=NOW))), "expired"),
        (frontend(Lists(listed_sp(roles=frozenset({Role.SAML_IDENTITY_PROVIDER})))), "other-role"),
    ],
)
def test_only_services_that_are_listed_and_configured(front: SamlFrontend, code: str) -> None:
    """Anyone else sees a page; no answer goes to an address that nobody vouches for."""
    found = refusal(front)
    assert (type(found), found.detail) == (UnknownService, code)


def test_a_forged_request_gets_no_answer() -> None:
    """Altered after signing: a page, not a redirect."""
    web = came_by(authn_request())
    forged = WebRequest(method="GET", url=web.url, raw_query=web.raw_query.replace("=state", "=other"))
    found = refusal(frontend(), forged)
    assert (type(found), found.detail) == (BadRequest, "signature")


# --- granting


def test_what_is_released_arrives_and_nothing_else() -> None:
    """Pairwise name with both qualifiers, attributes under the service's names, the level, the time."""
    form = frontend().grant(accept(), release(), NOW).answer
    assert form.action == ACS
    found = arrived(xml_of(form))
    assert found.name_id == SubjectName(value="pairwise-1", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP)
    assert found.attributes == {
        "urn:oid:2.5.4.4": ("髙橋",),
        "birthday": ("1985-03-15",),
        "http://example.jp/city": ("江別市",),
    }
    assert (found.authn_context, found.authn_instant) == (LEVEL + "2", NOW - timedelta(minutes=1))
    root = etree.fromstring(xml_of(form))
    assert [(a.get("NameFormat"), a.get("FriendlyName")) for a in at(root, "//s:Attribute")] == [
        (URI_NAMES, "sn"),
        (BASIC_NAMES, None),
        (BASIC_NAMES, None),
    ]
    assert b"sealed" not in xml_of(form)
    assert b"012173" not in xml_of(form)


def test_transient_names_are_new_each_time() -> None:
    """A service that asks for a transient name cannot recognise the person by it."""
    login = accept(name_id_format=TRANSIENT)
    names = [arrived(xml_of(frontend().grant(login, release(), NOW).answer)).name_id for _ in range(2)]
    assert [name.format for name in names] == [TRANSIENT, TRANSIENT]
    assert len({name.value for name in names} | {"pairwise-1"}) == 3


@pytest.mark.parametrize(
    ("asked", "reached", "stated"),
    [
        ({}, 3, 3),
        (contexts("exact", 1), 3, 1),
        (contexts("exact", 1, 2), 3, 2),
        (contexts("minimum", 1), 3, 3),
        (contexts("maximum", 2), 3, 2),
        (contexts("maximum", 2), 1, 1),
        (contexts("better", 1), 3, 3),
    ],
)
def test_the_stated_level_is_what_was_asked_for(asked: dict[str, object], reached: int, stated: int) -> None:
    """An exact request is answered with one of its own contexts; a higher sign-in is worth that too."""
    form = frontend().grant(accept(**asked), release(reached), NOW).answer
    assert arrived(xml_of(form)).authn_context == f"{LEVEL}{stated}"


@pytest.mark.parametrize(
    "trust",
    [Lists(), Lists(listed_sp(valid_until=NOW)), Lists(listed_sp(endpoints=(acs_endpoint(ACS + "2", 0),)))],
)
def test_a_service_that_left_meanwhile_gets_nothing(trust: Lists) -> None:
    """The list is asked again before anything leaves, for the address too."""
    with pytest.raises(UnknownService):
        frontend(trust).grant(accept(), release(), NOW)


# --- subject identifiers


def identified(listed: str | None, configured: str | None, **changes: object) -> dict[str, tuple[str, ...]]:
    """The identifiers that a service gets whose metadata ask for `listed` and whose file says `configured`."""
    entity = listed_sp(subject_id=listed)
    front = SamlFrontend(
        provider=identity_provider(),
        services={SP: replace(SERVICE, subject_identifier=configured)},
        trust=Lists(entity),
        scope="region.example",
    )
    login = front.accept(came_by(authn_request()), NOW)
    found = arrived(xml_of(front.grant(login, release(subject="a2" * 26, **changes), NOW).answer))
    return {name: values for name, values in found.attributes.items() if name in (PAIRWISE_ID, SUBJECT_ID)}


@pytest.mark.parametrize("configured", [None, "pairwise-id"])
@pytest.mark.parametrize("listed", [None, "none", "pairwise-id", "any"])
def test_pairwise_id_is_given_to_whom_it_is_due(listed: str | None, configured: str | None) -> None:
    """To who lists that it needs it or either, and to whom the operator gives it; one value, in the region's scope."""
    due = listed in ("pairwise-id", "any") or configured == "pairwise-id"
    assert identified(listed, configured) == ({PAIRWISE_ID: ("a2" * 26 + "@region.example",)} if due else {})


def test_identifiers_are_named_by_uri_and_fit_their_syntax() -> None:
    """Subject Identifier Attributes §3.4.1: NameFormat uri, one value, of its alphabet and length."""
    ((value,),) = identified("pairwise-id", None).values()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9=-]{0,126}@[A-Za-z0-9][A-Za-z0-9.-]{0,126}", value)
    front = SamlFrontend(
        provider=identity_provider(),
        services={SP: SERVICE},
        trust=Lists(listed_sp(subject_id="any")),
        scope="region.example",
    )
    form = front.grant(front.accept(came_by(authn_request()), NOW), release(subject="a2"), NOW).answer
    (attribute,) = at(etree.fromstring(xml_of(form)), f"//s:Attribute[@Name='{PAIRWISE_ID}']")
    assert (attribute.get("NameFormat"), len(attribute)) == (URI_NAMES, 1)


@pytest.mark.parametrize("configured", [None, "pairwise-id"])
def test_a_common_identifier_that_the_operator_does_not_allow_is_refused(configured: str | None) -> None:
    """A service whose metadata demand subject-id is told that it cannot be met; the log says what is missing."""
    with pytest.raises(Denied) as caught:
        identified("subject-id", configured)
    assert (caught.value.refusal.code, caught.value.refusal.detail) == (
        "name-id-not-offered",
        "subject-id-not-configured",
    )
    assert status(caught.value.answer) == "InvalidNameIDPolicy"


@pytest.mark.parametrize("listed", [None, "none", "subject-id"])
def test_a_common_identifier_is_an_attribute_that_was_agreed_to(listed: str | None) -> None:
    """It leaves only as part of the release, which the person has seen."""
    agreed = {SUBJECT_ID: ("ab" * 32 + "@region.example",)}
    assert identified(listed, "subject-id", attributes=agreed) == agreed
    assert identified(listed, "subject-id") == {}


# --- beside the hub, and unasked


def test_the_entity_of_a_municipality() -> None:
    """What is asked there remembers it, and is answered in that entity's name."""
    entity = "https://gateway.example/saml/012173/metadata"
    front = SamlFrontend(
        provider=identity_provider(entity_id=entity),
        services={SP: SERVICE},
        trust=Lists(listed_sp()),
        municipality="012173",
    )
    login = front.accept(came_by(authn_request()), NOW)
    assert login.municipality == "012173"
    form = front.grant(login, release(), NOW).answer
    found = arrived(xml_of(form), idp=listed_idp(entity_id=entity))
    assert found.name_id == SubjectName(
        value="pairwise-1", format=PERSISTENT, name_qualifier=entity, sp_name_qualifier=SP
    )
    assert {issuer.text for issuer in at(etree.fromstring(xml_of(form)), "//s:Issuer")} == {entity}
    with pytest.raises(SamlResponseRefusedError, match="issuer"):
        arrived(xml_of(form))


def test_a_request_for_another_of_our_entities_is_refused() -> None:
    """Its Destination is not this entity's address."""
    front = SamlFrontend(
        provider=identity_provider(sso_url=SSO + "/012173"), services={SP: SERVICE}, trust=Lists(listed_sp())
    )
    assert refusal(front).detail == "destination"


def test_a_login_that_the_service_did_not_ask_for() -> None:
    """The answer goes to the listed default address and answers nothing (SAML Profiles §4.1.5)."""
    login = frontend().unasked(SERVICE, NOW)
    assert (login.unsolicited, login.service, login.minimum, login.passive) == (True, "portal", Level.NONE, False)
    form = frontend().grant(login, release(), NOW).answer
    root = etree.fromstring(xml_of(form))
    assert form.action == ACS
    assert "RelayState" not in dict(form.fields)
    assert at(root, "//@InResponseTo") == []
    assert arrived(xml_of(form), request_id=None).name_id is not None


@pytest.mark.parametrize(
    ("trust", "services", "detail"),
    [
        (Lists(), {SP: SERVICE}, "unlisted"),
        (Lists(listed_sp(endpoints=())), {SP: SERVICE}, "no-answer-address"),
        (Lists(listed_sp()), {}, "not-configured"),
    ],
)
def test_nothing_goes_unasked_to_a_service_that_nobody_vouches_for(
    trust: Lists, services: dict[str, Service], detail: str
) -> None:
    """Listed, configured and with an address for answers, or nothing."""
    front = SamlFrontend(provider=identity_provider(), services=services, trust=trust)
    with pytest.raises(UnknownService, match=detail):
        front.unasked(SERVICE, NOW)


# --- denying


@pytest.mark.parametrize(
    ("reason", "second"),
    [
        (ConsentDenied(), "RequestDenied"),
        (AssuranceTooLow("needed identity 3, came 1"), "NoAuthnContext"),
        (InteractionNeeded(), "NoPassive"),
    ],
)
def test_a_denial_reaches_the_service(reason: Refusal, second: str) -> None:
    """A signed status, the RelayState, and no detail."""
    form = frontend().deny(accept(), reason, NOW)
    assert (form.action, dict(form.fields)["RelayState"]) == (ACS, "state")
    assert status(form) == second
    assert reason.detail.encode() not in xml_of(form) or not reason.detail


def test_a_service_is_told_when_its_session_ends() -> None:
    """SessionNotOnOrAfter (SAML Core §2.7.2) bounds it, so that a service that cannot be told forgets it, too."""
    until = NOW + timedelta(hours=12)
    granted = frontend().grant(accept(), release(session_until=until), NOW)
    assert arrived(xml_of(granted.answer)).session_until == until
