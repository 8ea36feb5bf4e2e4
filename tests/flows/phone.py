"""A resident's phone beside the browser: reads the QR code that stands on the page, and answers on the demo's phone."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin

import zxingcpp
from lxml import html

from tests.conftest import Running
from tests.flows.person import Person

_STROKE = re.compile(r"M(\d+) (\d+)\.5|m(\d+) 0|h(\d+)")
DOT = 4
"""Pixels of one dot of the picture that is looked at."""


def seen(page: Person) -> str:
    """What the QR code on the page says, read as a camera would."""
    (drawing,) = page.page.xpath("//div[contains(@class,'qr')]//svg")
    return read_code(drawing)


def read_code(drawing: html.HtmlElement) -> str:
    """What a QR code drawn as SVG says."""
    size = int(drawing.get("viewbox", drawing.get("viewBox")).split()[2])
    picture = bytearray(b"\xff" * (size * size * DOT * DOT))
    x = y = 0
    for column, line, gap, length in _STROKE.findall(drawing.find("path").get("d")):
        if line:
            x, y = int(column), int(line)
        for row in range(y * DOT, (y + 1) * DOT) if length else ():
            begin = (row * size + x) * DOT
            picture[begin : begin + int(length) * DOT] = bytes(int(length) * DOT)
        x += int(gap or 0) + int(length or 0)
    view = memoryview(bytes(picture)).cast("B", (size * DOT, size * DOT))
    (found,) = zxingcpp.read_barcodes(view, formats=zxingcpp.BarcodeFormat.QRCode)
    return str(found.text)


def link(page: Person) -> str:
    """Where the button for an app on the same device leads."""
    (address,) = page.page.xpath("//section[contains(@class,'phone-here')]//a/@href")
    return str(address)


def number(page: Person) -> str:
    """The number to compare, as the browser shows it."""
    (digits,) = page.page.xpath("//p[contains(@class,'phone-digits')]")
    return str(digits.text_content().strip())


@dataclass
class Phone:
    """One person's phone: what it shows is `person`'s page."""

    region: Running
    owner: str
    person: Person = field(default_factory=Person)

    def scan(self, address: str) -> "Phone":
        """Open a request."""
        self.person.open(f"{address}&{urlencode({'phone': self.owner})}")
        return self

    def number(self) -> str:
        """The number to compare, as the phone shows it."""
        (digits,) = self.person.page.xpath("//p[contains(@class,'comparison-code')]")
        return str(digits.text_content().strip())

    def allow(self, *disclose: str, **more: str) -> "Phone":
        """Agree, disclosing those attributes of the attribute certificate. `more`: other fields of the form."""
        return self._decide("allow", {**{f"disclose.{name}": "1" for name in disclose}, **more})

    def refuse(self) -> "Phone":
        """Do not agree."""
        return self._decide("refuse", {})

    def code(self) -> str:
        """The code for the other screen."""
        (digits,) = self.person.page.xpath("//output[contains(@class,'confirmation-code')]")
        return str(digits.text_content().strip())

    def revoke(self) -> None:
        """Have the certificate stopped, as for a lost phone."""
        self._change("revoke")

    def renew(self) -> None:
        """Have a new certificate issued."""
        self._change("renew")

    def _change(self, action: str) -> None:
        address = self.region["phone"] + "/certificates"
        page = self.person.open(f"{address}?{urlencode({'phone': self.owner})}").page
        form = next(form for form in page.iter("form") if form.xpath(f".//*[@name='action' and @value='{action}']"))
        fields = {**dict(form.form_values()), "action": action}
        answer = self.person.session.post(address, data=fields, timeout=30)
        assert answer.status_code == 200, answer.text[:300]

    def _decide(self, decision: str, more: dict[str, str]) -> "Phone":
        (form,) = self.person.page.xpath("//form[.//button[@name='decision']]")
        fields = {**dict(form.form_values()), **more, "decision": decision}
        self.person.response = self.person.session.post(self.region["phone"] + "/answer", data=fields, timeout=30)
        return self


@dataclass
class Form:
    """A form filled in: where it is posted, and what."""

    action: str
    fields: dict[str, str]


def typed(browser: Person, code: str) -> Form:
    """The page's form with the code typed into it."""
    if not browser.page.xpath("//input[@class='code']"):
        browser.open(browser.url)
    return typed_into(browser.page, browser.url, code)


def typed_into(page: html.HtmlElement, address: str, code: str) -> Form:
    """The form of the page at that address with the code typed into it."""
    (form,) = page.xpath("//form[.//input[@class='code']]")
    fields = {**dict(form.form_values()), form.xpath(".//input[@class='code']/@name")[0]: code}
    return Form(action=urljoin(address, form.get("action")), fields=fields)


def type_code(browser: Person, code: str) -> Person:
    """Type the code into the page that asks for it."""
    form = typed(browser, code)
    browser.response = browser.session.post(form.action, data=form.fields, timeout=30)
    return browser.carried_on()
