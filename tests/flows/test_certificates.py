"""Sign-in with the certificate on a phone, through the running region: two browsers, one of them a phone's."""

import base64
import json
import re
import time

import pytest

from .client import CatchingSession, Client, Stopped
from .person import Person
from .phone import Phone, link, number, seen, type_code


def waiting(region, service="participation") -> Person:
    """Somebody before the QR code."""
    return Person().open(region[service] + "/sign-in").choose("system", "maebashi-phone")


@pytest.mark.parametrize(
    ("owner", "name", "form"),
    [("takahashi", "髙橋 花子", "jws"), ("suryani", "SURYANI", "cms"), ("kasai", "葛󠄀西 誠", "cms")],
)
def test_a_resident_signs_in_with_a_phone_beside_the_screen(region, owner, name, form):
    """QR code, the same number on both, the code of the phone typed into the screen, consent, signed in."""
    browser = waiting(region)
    phone = Phone(region, owner).scan(seen(browser))
    assert phone.number() == number(browser)
    assert "Participation site" in phone.person.text
    phone.allow("municipality_code", format=form)

    type_code(browser, phone.code())

    assert "/consent" in browser.url, browser.text[:500]
    browser.choose("decision", "agree")
    assert browser.url == region["participation"] + "/"
    assert "You are signed in" in browser.text, name


def test_a_resident_takes_back_with_the_phone_what_they_agreed_to_with_it(region):
    """The list permits these certificates for some uses; everyone sees their own consents all the same."""
    browser = waiting(region)
    phone = Phone(region, "takahashi").scan(seen(browser)).allow("municipality_code")
    type_code(browser, phone.code())
    if "/consent" in browser.url:  # else agreed before
        browser.choose("decision", "agree")

    browser.open(region["gateway"] + "/consents/sign-in").choose("system", "maebashi-phone")
    phone = Phone(region, "takahashi").scan(seen(browser)).allow()
    type_code(browser, phone.code())

    assert browser.url == region["gateway"] + "/consents", browser.text[:500]
    assert "Participation site" in browser.text


def test_on_the_same_device_the_app_leads_back_to_the_browser(region):
    """No code is typed: the address that the app opens is known to the browser that began."""
    browser = waiting(region, "gunma")
    phone = Phone(region, "takahashi", person=browser).scan(link(browser)).allow()

    assert "/consent" in phone.person.url, phone.person.text[:500]


def test_the_link_opened_elsewhere_signs_nobody_in(region):
    """A stranger sends somebody the link of the stranger's own sign-in: it ends in the victim's browser."""
    stranger = waiting(region)
    victim = Phone(region, "kasai").scan(link(stranger)).allow()

    assert victim.person.status == 403
    stranger.open(stranger.url)
    assert "consent" not in stranger.url
    assert "葛󠄀西" not in stranger.text


def test_a_photographed_qr_code_signs_no_stranger_in(region):
    """The stranger's browser has the victim's signature and not the code: three guesses, and it is over."""
    stranger = waiting(region)
    victim = Phone(region, "kasai").scan(seen(stranger)).allow()
    wrong = f"{(int(victim.code()) + 1) % 1_000_000:06}"

    type_code(stranger, wrong)
    type_code(stranger, wrong)
    type_code(stranger, wrong)

    assert "葛󠄀西" not in stranger.text
    assert "consent" not in stranger.url
    stranger.open(stranger.url)
    assert not stranger.page.xpath("//input[@class='code']")


@pytest.mark.parametrize("owner", ["shimoda", "arai", "ogawa"])
def test_a_certificate_of_no_use_is_told_on_the_phone_and_on_the_screen(region, owner):
    """Expired, revoked, of an authority on no list: nobody is signed in, and both screens say what to do."""
    browser = waiting(region)
    phone = Phone(region, owner).scan(seen(browser)).allow()

    assert not phone.person.page.xpath("//output[contains(@class,'confirmation-code')]")
    assert phone.person.status in (200, 400, 403)
    browser.open(browser.url)
    assert "consent" not in browser.url


def test_a_request_is_answered_once(region):
    """The same QR code, scanned again after the answer, leads nowhere."""
    browser = waiting(region)
    address = seen(browser)
    Phone(region, "takahashi").scan(address).allow()

    second = Phone(region, "kasai").scan(address)

    assert not second.person.page.xpath("//button[@name='decision']")


def test_who_refuses_on_the_phone_is_not_signed_in(region):
    """On the same device the service hears of it at once, as a denial."""
    browser = waiting(region)
    Phone(region, "takahashi", person=browser).scan(link(browser)).refuse()
    assert "consent" not in browser.url


def test_the_service_learns_the_level_and_how_the_person_signed_in(region):
    """The certificate's policy is worth identity 3, and a face that was looked at stands in `amr`."""
    client = Client(region, scope="openid")
    tokens = client.exchange(authorization_code(region, client)).json()
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))

    assert claims["acr"] == "urn:kakehashi:assurance:identity-3"
    assert set(claims["amr"]) >= {"hwk", "face"}
    assert re.fullmatch(r"[A-Za-z0-9_-]+", claims["sub"])


def test_a_revoked_certificate_ends_what_was_begun_with_it(region):
    """A lost phone: the certificate is revoked, and within a minute the site knows the browser no more."""
    browser = waiting(region)
    phone = Phone(region, "tamura").scan(seen(browser)).allow("municipality_code")
    type_code(browser, phone.code()).choose("decision", "agree")
    assert "You are signed in" in browser.text

    phone.revoke()

    deadline = time.monotonic() + 60
    while "You are signed in" in browser.open(region["participation"] + "/").text:
        assert time.monotonic() < deadline, "still signed in after a minute"
        time.sleep(1)
    again = waiting(region)
    assert not Phone(region, "tamura").scan(seen(again)).allow().person.page.xpath("//output")


def test_a_renewed_certificate_is_the_same_person_and_ends_the_former_one(region):
    """The authority keeps its number for the person: no consent is asked again, by the new certificate."""
    first = waiting(region)
    phone = Phone(region, "yamazaki").scan(seen(first)).allow("municipality_code")
    type_code(first, phone.code()).choose("decision", "agree")

    phone.renew()
    second = waiting(region)
    phone.scan(seen(second)).allow("municipality_code")
    type_code(second, phone.code())

    assert second.url == region["participation"] + "/"
    assert "You are signed in" in second.text


def authorization_code(region, client: Client) -> str:
    """What comes back to the service, with a face that was looked at."""
    browser = Person(session=CatchingSession())
    browser.session.callback = client.redirect_uri
    browser.open(client.authorization_url()).choose("system", "maebashi-phone")
    phone = Phone(region, "takahashi").scan(seen(browser)).allow("municipality_code", face="1")
    try:
        type_code(browser, phone.code()).choose("decision", "agree")
    except Stopped as stopped:
        return stopped.parameters["code"]
    raise AssertionError(f"no answer came back; the browser is at {browser.url}: {browser.text[:300]}")
