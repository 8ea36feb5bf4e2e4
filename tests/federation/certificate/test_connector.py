"""The third kind of ID system: no server, but whoever a listed authority gave a certificate."""

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from federation import assurance, requirement
from federation.attributes import InwardMap, InwardRule, OutwardMap, OutwardRule
from federation.certificate.connector import (
    PROVED,
    REQUEST,
    CertificateConnector,
    CertificateSettings,
    asked_attributes,
    proof,
)
from federation.certificate.model import RevocationPolicy, Wanted
from federation.certificate.request import asked_from_json
from federation.model import Departure, IdSystem, Level
from federation.refusal import IdSystemAnswerRefused, IdSystemNotTrusted, InteractionNeeded
from federation.web import Redirect, WebRequest
from tests.federation.certificate.authorities import AT, POLICY
from tests.federation.certificate.phone import Phone
from tests.federation.certificate.sign_in_sample import ASKED as REQUESTED
from tests.federation.certificate.sign_in_sample import GATEWAY, ISSUING, KEY, NUMBER, PERSON, ROOT, SERVICE, proved
from tests.federation.standing_sample import standings, trusted
from trust_lists.model import Status

SYSTEM = IdSystem(
    id="maebashi",
    kind="certificate",
    entity_id="urn:example:authority",
    municipality="102016",
    name={"ja": "前橋市", "en": "Maebashi"},
    reading="まえばしし",
    description={},
    inward=InwardMap(
        rules=(
            InwardRule(to="fullName", sources=("jpki.name",)),
            InwardRule(to="familyName", sources=("attribute.family_name",)),
        )
    ),
    statements={},
    default_assurance=None,
)
SETTINGS = CertificateSettings(
    phone_url="https://app.example/authorize",
    subject="subject.serialNumber",
    wanted=Wanted(policies=frozenset({POLICY})),
    revocation=RevocationPolicy(),
    attribute_policies=frozenset(),
)
DEPARTURE = Departure(handle="h" * 43, force_authentication=False, languages=("ja",), service=SERVICE)
BACK = WebRequest(method="GET", url=f"{GATEWAY}/certificate/{'h' * 43}")


def connector(*, cards_url: str | None = None, cards: bool = False, **said: Any) -> CertificateConnector:
    """The connector, with a list that says `said` of the authority."""
    certificates = (ROOT.certificate.public_bytes(Encoding.DER),)
    return CertificateConnector(
        system=SYSTEM,
        settings=replace(SETTINGS, cards=cards),
        trust=trusted(SYSTEM, **{"signing_certificates": certificates, **said}),
        key=KEY,
        public_url=GATEWAY,
        cards_url=cards_url,
    )


def ended(exchange: Generator[Any, Any, Any]) -> Any:
    """What an exchange that asks nobody comes to."""
    with pytest.raises(StopIteration) as end:
        next(exchange)
    return end.value.value


def answered() -> dict[str, Any]:
    """What a phone proved, as the store gives it back."""
    return json.loads(json.dumps(proof(proved(Phone(PERSON).answer(REQUESTED.jwt)))))


def test_the_browser_waits_here_and_two_requests_are_kept() -> None:
    """One for the QR code and one for the link; nothing else of them is in the browser's address."""
    departed = ended(connector().depart(DEPARTURE, AT))

    assert departed.answer == Redirect(location=f"{GATEWAY}/certificate/{'h' * 43}")
    kept = [asked_from_json(item.value) for item in departed.keep.items]
    assert {item.kind for item in departed.keep.items} == {REQUEST}
    assert [each.reference for each in kept] == departed.memory["requests"] == [i.key for i in departed.keep.items]
    assert {each.handle for each in kept} == {"h" * 43}
    assert {each.code for each in kept} == {departed.memory["code"]}
    assert departed.memory["card"] is None


def test_where_cards_count_the_page_knows_where() -> None:
    """Only if the gateway listens for them and the authority's cards are accepted."""
    url = "https://gateway.example:8443"
    assert ended(connector(cards_url=url, cards=True).depart(DEPARTURE, AT)).memory["card"].startswith(f"{url}/")
    assert ended(connector(cards_url=url).depart(DEPARTURE, AT)).memory["card"] is None
    assert ended(connector(cards=True).depart(DEPARTURE, AT)).memory["card"] is None


def test_no_page_no_sign_in() -> None:
    """SAML Core §3.4.1 IsPassive: a phone cannot be asked without one."""
    with pytest.raises(InteractionNeeded):
        next(connector().depart(replace(DEPARTURE, passive=True), AT))


def test_an_authority_that_its_list_withdraws_is_believed_at_no_step() -> None:
    """Before the QR code, when the phone answers, and when the browser comes back."""
    found = connector(status=Status.WITHDRAWN)
    with pytest.raises(IdSystemNotTrusted):
        next(found.depart(DEPARTURE, AT))
    with pytest.raises(IdSystemNotTrusted):
        found.accepted(AT)
    with pytest.raises(IdSystemNotTrusted):
        next(found.arrive(BACK, {PROVED: answered()}, AT))


def test_what_an_answer_is_held_against_is_the_list_s_word_now() -> None:
    """Its certificates and its uses."""
    found = connector(uses=frozenset({"civic"})).accepted(AT)
    assert found.anchors == (ROOT.certificate,)
    assert found.permitted == {"civic"}
    assert found.subject == "subject.serialNumber"


def test_without_an_answer_nobody_arrives() -> None:
    """The address of the page alone proves nothing."""
    with pytest.raises(IdSystemAnswerRefused):
        next(connector().arrive(BACK, {"requests": ["a", "b"]}, AT))


def test_what_was_proved_is_the_identity() -> None:
    """Subject, attributes with how they are known, policies, methods, and the certificate that is watched."""
    identity = ended(connector().arrive(BACK, {PROVED: answered()}, AT))

    assert identity.subject == f"subject.serialNumber:{NUMBER}"
    assert identity.attributes["jpki.name"] == ("山田　花子",)
    assert identity.evidence["jpki.name"] == "signing-certificate"
    assert identity.policies == (POLICY,)
    assert identity.authenticated_at == AT
    assert identity.held.certificate == PERSON.certificate.public_bytes(Encoding.DER)
    assert identity.held.issuer == ISSUING.certificate.public_bytes(Encoding.DER)
    assert identity.held.issued_at == PERSON.certificate.not_valid_before_utc
    assert NUMBER not in repr(identity)


def test_what_was_not_learned_of_revocation_caps_the_sign_in() -> None:
    """And says so among the reasons; the person's own key makes the answer worth federation 3."""
    proven = {**answered(), "cap": 1}
    identity = ended(connector().arrive(BACK, {PROVED: proven}, AT))
    counting = replace(SYSTEM, default_assurance=assurance.HIGHEST)
    worth = standings(counting).of(counting, SERVICE, AT)
    decision = requirement.decide(counting, identity, worth, tables=assurance.NO_TABLES, own=frozenset())

    assert decision.assurance.identity is Level.ONE
    legs = {reason.leg: reason.most for reason in decision.why}
    assert legs["revocation"].identity is Level.ONE
    assert legs["answer"].federation is Level.THREE


def test_the_phone_is_told_what_the_service_would_learn_and_what_that_is_made_from() -> None:
    """Only what was asked for, and only disclosures that an attribute certificate could hold."""
    service = replace(
        SERVICE,
        outward=OutwardMap(
            rules=(
                OutwardRule(to="name", sources=("fullName",)),
                OutwardRule(to="family_name", sources=("familyName",)),
                OutwardRule(to="born", sources=("dateOfBirth",)),
            )
        ),
    )
    found = asked_attributes(SYSTEM, service, ("name", "family_name"))

    assert [(each["name"], each["disclosures"]) for each in found] == [("name", []), ("family_name", ["family_name"])]
    assert found[0]["label"]["ja"] == "氏名"
