import base64
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from federation.attributes import InwardMap
from federation.model import Assurance, Departure, Identity, IdSystem, Level
from federation.ports import Departed
from federation.refusal import AssuranceTooLow, IdSystemAnswerRefused, IdSystemDenied, IdSystemNotTrusted, Refusal
from federation.saml.checks import LEEWAY
from federation.saml.connector import SamlConnector
from federation.saml.messages import PERSISTENT, TRANSIENT, UNSPECIFIED
from federation.saml.scopes import SCOPED
from federation.web import Exchange, PostForm, Redirect, WebRequest
from tests.federation.saml.peers import (
    ACS,
    ATTRIBUTES,
    CONTEXT,
    IDP,
    NOW,
    SAML,
    SP,
    Lists,
    adding,
    answer,
    at,
    came_by,
    identity_provider,
    listed_idp,
    listed_sp,
    reissued,
    removing,
    service_provider,
    setting,
    xml_of,
)
from trust_lists.model import Role

NO_AUTHN_CONTEXT = "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"
AUTHN_FAILED = "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"


def assurance(level: int) -> Assurance:
    """The same level for identity and authentication."""
    return Assurance(identity=Level(level), authentication=Level(level))


def system(**changes: object) -> IdSystem:
    """Ebetsu as configured."""
    options = {
        "id": "ebetsu",
        "kind": "saml",
        "entity_id": IDP,
        "municipality": "012173",
        "name": {"ja": "江別市", "en": "Ebetsu City"},
        "reading": "えべつし",
        "description": {},
        "inward": InwardMap(rules=()),
        "statements": {
            "urn:example:password": assurance(1),
            CONTEXT: assurance(3),
            "urn:example:counter": assurance(2),
        },
        "default_assurance": assurance(1),
        **changes,
    }
    return IdSystem(**options)


def connector(
    *,
    subject_attribute: str | None = None,
    trust: Lists | None = None,
    scoped_attributes: tuple[str, ...] = (),
    **changes: object,
) -> SamlConnector:
    """A connector to Ebetsu."""
    return SamlConnector(
        system=system(**changes),
        provider=service_provider(),
        trust=trust or Lists(listed_idp()),
        subject_attribute=subject_attribute,
        scoped_attributes=scoped_attributes,
    )


def run(exchange: Exchange) -> object:
    """Drive an exchange that asks the network for nothing."""
    with pytest.raises(StopIteration) as done:
        next(exchange)
    return done.value.value


def depart(door: SamlConnector, *, words: tuple[str, ...] = (), force: bool = False) -> Departed:
    """Leave for the ID system."""
    departure = Departure(handle="h-1", words=words, force_authentication=force, languages=("ja",))
    return run(door.depart(departure, NOW))


def arrive(
    door: SamlConnector, form: PostForm | bytes, departed: Departed | None = None, **options: object
) -> Identity:
    """Come back with an answer."""
    form = form if isinstance(form, PostForm) else response_form(form)
    web = WebRequest(method="POST", url=ACS, form=form.fields)
    return run(door.arrive(web, (departed or depart(door)).memory, options.get("now", NOW)))


def response_form(document: bytes) -> PostForm:
    """A form around a document."""
    return PostForm(action=ACS, fields=(("SAMLResponse", base64.b64encode(document).decode()),))


def asked(departed: Departed) -> object:
    """What the identity provider sees of the departure."""
    assert isinstance(departed.answer, Redirect)
    return identity_provider().request(came_by(departed.answer), find=lambda _: listed_sp(), now=NOW)


def refused(exchange: Exchange) -> Refusal:
    """The refusal that an exchange ends in."""
    with pytest.raises(Refusal) as caught:
        next(exchange)
    return caught.value


def detail(door: SamlConnector, document: bytes) -> str:
    """The reason for the log under which an answer is refused."""
    with pytest.raises(IdSystemAnswerRefused) as caught:
        arrive(door, document)
    return caught.value.detail


def fitting(edit: object = lambda _: None) -> bytes:
    """A validly signed answer to the connector's request, edited."""
    return reissued(edit, document=xml_of(answer(request=asked(depart(connector())))))


def test_a_person_signs_in() -> None:
    """Departure, the provider's answer, arrival: the identity with the provider's own names and words."""
    door = connector()
    departed = depart(door)
    request = asked(departed)
    assert (request.id, request.relay_state, request.name_id_format) == ("_h-1", "h-1", PERSISTENT)
    assert request.requested_contexts == ()
    identity = arrive(door, answer(request=request), departed)
    assert identity == Identity(
        id_system="ebetsu",
        subject=f"{IDP}!{SP}!person-1",
        attributes={attribute.name: attribute.values for attribute in ATTRIBUTES},
        statements=(CONTEXT,),
        authenticated_at=NOW - timedelta(minutes=1),
        once=identity.once,
        scoped=SCOPED,
        protection=frozenset({"asked"}),
    )


def test_an_assertion_must_be_claimed_until_it_could_not_be_presented_again() -> None:
    """By issuer and ID, for its five minutes and the leeway; nothing of the person is in the claim."""
    door = connector()
    departed = depart(door)
    form = answer(request=asked(departed))
    once = arrive(door, form, departed).once
    assert once is not None
    (assertion,) = etree.fromstring(xml_of(form)).iter(SAML + "Assertion")
    assert (once.kind, once.key, once.value) == ("assertion", f"{IDP} {assertion.get('ID')}", {})
    assert once.lifetime == timedelta(minutes=5) + LEEWAY


def test_the_memory_is_json_and_finds_nothing_else() -> None:
    """What is remembered: the request's ID, and since when the person must have signed in."""
    assert depart(connector()).memory == {"request_id": "_h-1", "forced_at": None}
    assert depart(connector(), force=True).memory == {"request_id": "_h-1", "forced_at": NOW.timestamp()}


def test_an_assurance_is_asked_for_in_the_systems_own_words() -> None:
    """One of those that reach the level, exactly (SAML Core §3.3.2.2.1); none if any sign-in there will do."""
    words = ("urn:example:counter", CONTEXT)
    assert asked(depart(connector(), words=words)).requested_contexts == words
    assert asked(depart(connector(), words=words)).comparison == "exact"
    assert asked(depart(connector())).requested_contexts == ()


def test_a_forced_sign_in_must_be_new() -> None:
    """The provider is asked for it, and an older authentication is refused."""
    door = connector()
    departed = depart(door, force=True)
    request = asked(departed)
    assert request.force_authn is True
    assert arrive(door, answer(request=request), departed).subject == f"{IDP}!{SP}!person-1"
    with pytest.raises(IdSystemAnswerRefused, match="authentication-too-old"):
        arrive(door, answer(request=request, authn_instant=NOW - timedelta(minutes=4)), departed)


def test_the_subject_may_be_an_attribute() -> None:
    """Then the NameID does not matter, and a persistent one is not asked for."""
    door = connector(subject_attribute="urn:oid:2.5.4.4")
    assert asked(depart(door)).name_id_format is None
    form = answer(request=asked(depart(door)), name_id="_t", name_id_format=TRANSIENT)
    assert arrive(door, form).subject == "髙橋"
    mail = connector(subject_attribute="urn:oid:0.9.2342.19200300.100.1.3")
    assert detail(mail, xml_of(form)) == "subject-ambiguous"
    assert detail(connector(subject_attribute="urn:none"), xml_of(form)) == "subject-attribute-missing"


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("name-id-transient", setting("//s:NameID", Format=TRANSIENT)),
        ("name-id-not-persistent", setting("//s:NameID", Format=UNSPECIFIED)),
        ("name-id-not-persistent", setting("//s:NameID", Format=None)),
        ("name-id-missing", removing("//s:NameID")),
        ("proxy-forbidden", adding("//s:Conditions", '<s:ProxyRestriction Count="0"/>')),
        ("audience", removing("//s:AudienceRestriction")),
    ],
)
def test_what_names_nobody_for_good_is_refused(code: str, edit: object) -> None:
    """A name that changes, or none, is no subject; the log gets a code and nothing of the person."""
    assert detail(connector(), fitting(edit)) == code


def test_name_qualifiers_belong_to_the_name() -> None:
    """The same value under another qualifier is another person; an omitted qualifier is the entity's own."""
    door = connector()
    assert arrive(door, fitting(setting("//s:NameID", NameQualifier="urn:x", SPNameQualifier="urn:y"))).subject == (
        "urn:x!urn:y!person-1"
    )
    silent = fitting(setting("//s:NameID", NameQualifier=None, SPNameQualifier=None))
    assert arrive(door, silent).subject == f"{IDP}!{SP}!person-1"


def test_the_provider_said_no() -> None:
    """A denial, told apart from an answer that cannot be believed; and "not that sure" told apart from a plain no."""
    for second, refusal in ((AUTHN_FAILED, IdSystemDenied), (NO_AUTHN_CONTEXT, AssuranceTooLow)):
        door = connector()
        departed = depart(door)
        form = identity_provider().error(asked(departed), second=second, now=NOW)
        with pytest.raises(refusal) as caught:
            arrive(door, form, departed)
        assert caught.value.detail.endswith(second)


def test_an_answer_of_another_flow_is_refused() -> None:
    """The request's ID is in the signed answer."""
    assert detail(connector(), xml_of(answer())) == "in-response-to"


@pytest.mark.parametrize(
    "web",
    [
        WebRequest(method="GET", url=ACS, raw_query="SAMLResponse=x"),
        WebRequest(method="POST", url=ACS, form=()),
        WebRequest(method="POST", url=ACS, form=(("SAMLResponse", "x"), ("SAMLResponse", "x"))),
    ],
)
def test_exactly_one_response_is_posted(web: WebRequest) -> None:
    """None, two, or one in the address is refused."""
    door = connector()
    refusal = refused(door.arrive(web, depart(door).memory, NOW))
    assert (type(refusal), refusal.detail) == (IdSystemAnswerRefused, "response-missing")


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (Lists(), "unlisted"),
        (Lists(listed_idp(valid_until=NOW)), "expired"),
        (Lists(listed_idp(roles=frozenset({Role.SAML_SERVICE_PROVIDER}))), "other-role"),
        (Lists(listed_idp(endpoints=())), "no-sign-on-address"),
    ],
)
def test_only_who_is_listed_is_asked(trust: Lists, code: str) -> None:
    """Unlisted, expired or listed for something else: nobody is sent there."""
    departure = Departure(handle="h", force_authentication=False, languages=())
    refusal = refused(connector(trust=trust).depart(departure, NOW))
    assert (type(refusal), refusal.detail) == (IdSystemNotTrusted, code)


def test_trust_is_asked_anew_on_arrival() -> None:
    """An entry that ended while the person was away is no longer believed."""
    door = connector(trust=Lists(listed_idp(valid_until=NOW + timedelta(minutes=1))))
    departed = depart(door)
    form = answer(request=asked(departed))
    with pytest.raises(IdSystemNotTrusted, match="expired"):
        arrive(door, form, departed, now=NOW + timedelta(minutes=1))


def test_the_request_travels_in_the_address() -> None:
    """Redirect with the handle as RelayState (SAML Bindings §3.4.3: 80 octets at most)."""
    departed = depart(connector())
    query = parse_qs(urlsplit(departed.answer.location).query)
    assert query["RelayState"] == ["h-1"]
    assert at(etree.fromstring(fitting()), "//s:Audience")[0].text == SP
