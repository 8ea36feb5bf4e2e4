"""Whole logins through the running region: every protocol towards ID systems with every protocol towards services."""

import pytest

from tests.flows.person import Person

SERVICES = {"gunma": "SAML", "takasaki": "SAML", "participation": "OpenID"}
NO_AGREEMENT = ("gunma", "omura")
"""The one pairing that no recognition covers."""

SYSTEMS = {"maebashi": "髙橋 花子", "ebetsu": "佐々木 一郎", "omura": "濵﨑 みどり"}


def signed_in(region, service: str, system: str, resident: str, person: Person | None = None) -> Person:
    """A person who signed in to `service` with the ID of `system` and agreed to everything."""
    person = person or Person()
    person.open(region[service] + "/sign-in")
    person.choose("system", system)
    person.press(resident)
    if "/consent" in person.url:
        person.choose("decision", "agree")
    return person


def received(person: Person) -> dict[str, str]:
    """What the service's page says it received, by label."""
    return {
        " ".join(term.text_content().split()): " ".join(term.getnext().text_content().split())
        for term in person.page.iter("dt")
    }


@pytest.mark.parametrize(
    ("service", "system"),
    [(service, system) for service in SERVICES for system in SYSTEMS if (service, system) != NO_AGREEMENT],
)
def test_every_pairing_of_protocols(region, service, system):
    """Whichever protocol the ID system and the service speak, the person arrives under their own name."""
    person = signed_in(region, service, system, SYSTEMS[system])
    assert (person.status, person.url) == (200, region[service] + "/")
    assert SYSTEMS[system] in person.text


def test_a_pairing_that_is_not_recognised_is_refused(region):
    """Gunma has no agreement with Omura: its ID is not offered, and who insists reads why, with the way back."""
    person = Person()
    person.open(region["gunma"] + "/sign-in")
    offered = [button.get("value") for button in person.page.xpath("//button[@name='system']")]
    assert offered == ["ebetsu", "maebashi-phone", "maebashi"]
    assert person.page.xpath("//details//li")[0].text_content().strip() == "Omura City"
    form = {field.get("name"): field.get("value") for field in person.page.xpath("//form//input[@name]")}
    answer = person.session.post(person.url, data={**form, "system": "omura"}, timeout=30)
    assert answer.status_code == 403
    assert "An ID of this municipality cannot be used for this service yet" in answer.text


def test_formats_are_mapped(region):
    """Ebetsu writes 和暦 and half-width kana, Gunma reads compact dates and full-width katakana."""
    person = signed_in(region, "gunma", "ebetsu", "佐々木 一郎")
    found = received(person)
    assert found.pop("Your number, for this service only")
    assert found == {
        "Name": "佐々木 一郎",
        "Name in kana": "ササキ イチロウ",
        "Date of birth": "15 March 1985",
        "Sex": "男性",
        "Address": "北海道江別市高砂町６番地",
        "Municipality code": "012173",
        "How sure we are that it is you": "level 3",
    }


@pytest.mark.parametrize(("resident", "adult"), [("髙橋 花子", "Yes"), ("田村 さくら", "No")])
def test_a_service_learns_a_fact_and_no_birth_date(region, resident, adult):
    """Whether somebody is 18, and lives in a member city: yes or no, agreed to as such."""
    person = Person()
    person.open(region["participation"] + "/sign-in").choose("system", "maebashi").press(resident)
    if "/consent" in person.url:
        assert received(person)["Whether you are 18 or older"] == adult
        person.choose("decision", "agree")
    found = received(person)
    assert found.pop("Your number, for this service only")
    assert found == {
        "Your name": resident,
        "18 or older": adult,
        "Lives in a member city": "Yes",
        "How sure we are that it is you": "level 3",
    }
    assert ("There is no fee for those under 18." in person.text) == (adult == "No")


def test_a_service_gets_no_more_than_it_needs(region):
    """The library learns a name and its reading, nothing else."""
    found = received(signed_in(region, "takasaki", "maebashi", "髙橋 花子"))
    assert set(found) == {
        "Name on your card",
        "How to read it",
        "How sure we are that it is you",
        "Your number, for this service only",
    }


def test_identifiers_are_pairwise_and_stable(region):
    """The same person has one number at one service, always, and another number at every other service."""

    def number(service: str) -> str:
        person = signed_in(region, service, "maebashi", "髙橋 花子")
        return received(person)["Your number, for this service only"]

    first = [number(service) for service in SERVICES]
    assert len(set(first)) == len(SERVICES)
    assert [number(service) for service in SERVICES] == first


def test_consent_is_asked_once(region):
    """The second sign-in goes straight through, and the municipality chosen last is offered first."""
    person = signed_in(region, "takasaki", "omura", "濵﨑 みどり")
    person.open(region["takasaki"] + "/sign-in")
    first = person.page.xpath("//button[@name='system']")[0]
    assert first.get("value") == "omura"
    assert "Your last choice" in person.text
    person.submit(first)
    person.press("濵﨑 みどり")
    assert person.url == region["takasaki"] + "/"


@pytest.mark.parametrize("service", SERVICES)
def test_not_now_is_a_proper_denial(region, service):
    """Who says "not now" sends nothing, and the service gets its protocol's own word for it."""
    person = Person()
    person.open(region[service] + "/sign-in").choose("system", "maebashi").press("葛󠄀西 誠")
    assert "Nothing has been sent yet." in person.text
    person.choose("decision", "not-now")
    assert person.url.startswith(region[service])
    assert "葛" not in person.text
    assert ("access_denied" if service == "participation" else "RequestDenied") in person.text


@pytest.mark.parametrize("service", SERVICES)
def test_cancelling_at_the_id_system(region, service):
    """The person reads what happened, and the way back carries a proper denial to the service."""
    person = Person()
    person.open(region[service] + "/sign-in").choose("system", "ebetsu").press("Cancel")
    assert person.status == 403
    assert "Your municipality's ID system did not sign you in" in person.text
    person.follow("Go back to")
    assert person.url.startswith(region[service])
    assert ("access_denied" if service == "participation" else "AuthnFailed") in person.text


def test_too_low_assurance_is_refused_before_anything_leaves(region):
    """A password at Maebashi is worth level 1; Gunma's portal requires 2, the library takes it."""
    person = Person()
    person.open(region["gunma"] + "/sign-in").choose("system", "maebashi").press("山﨑 健一")
    assert person.url.startswith(region["maebashi"])  # asked once more
    person.press("山﨑 健一")
    assert person.status == 403
    assert "The service needs a stronger proof of identity" in person.text
    assert "山﨑" not in person.text
    person.follow("Go back to")
    assert "NoAuthnContext" in person.text
    assert "山﨑 健一" in signed_in(region, "takasaki", "maebashi", "山﨑 健一").text


def test_an_id_system_that_cannot_reach_the_level(region):
    """Ebetsu itself says that a password is not enough; the person reads that, and not "you cancelled"."""
    person = Person()
    person.open(region["gunma"] + "/sign-in").choose("system", "ebetsu").choose("resident", "honma")
    assert person.status == 403
    assert "The service needs a stronger proof of identity" in person.text
    person.follow("Go back to")
    assert "NoAuthnContext" in person.text
