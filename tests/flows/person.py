"""A resident with a browser that has no JavaScript: follows links, presses buttons, reads what stands there.

Only what HTML itself says is done: a form's hidden fields travel with the button that was pressed, redirects are
followed, cookies are kept for `localhost` whatever the port, as browsers do.
"""

from dataclasses import dataclass, field
from urllib.parse import urljoin

import requests
from lxml import html


@dataclass
class Person:
    """One browser. `page` is the document that is open, `response` how it came."""

    language: str = "en"
    session: requests.Session = field(default_factory=requests.Session)
    response: requests.Response = field(init=False)

    def __post_init__(self) -> None:
        self.session.headers["Accept-Language"] = self.language
        self.session.trust_env = False

    @property
    def url(self) -> str:
        return self.response.url

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def page(self) -> html.HtmlElement:
        return html.fromstring(self.response.text, base_url=self.url)

    @property
    def text(self) -> str:
        """Everything that a screen reader would read of the page, white space folded."""
        return " ".join(self.page.text_content().split())

    def open(self, url: str) -> "Person":
        self.response = self.session.get(url, timeout=30)
        return self.carried_on()

    def follow(self, text: str) -> "Person":
        """Follow the link that says `text`."""
        links = [a for a in self.page.iter("a") if text in a.text_content()]
        assert links, f"no link {text!r} on {self.url}: {self.text[:300]}"
        return self.open(urljoin(self.url, links[0].get("href")))

    def press(self, text: str) -> "Person":
        """Press the button that says `text`."""
        buttons = [b for b in self.page.iter("button") if text in " ".join(b.text_content().split())]
        assert buttons, f"no button {text!r} on {self.url}: {self.text[:300]}"
        return self.submit(buttons[0])

    def choose(self, name: str, value: str) -> "Person":
        """Press the button that sends `name=value`."""
        buttons = self.page.xpath(f"//button[@name='{name}' and @value='{value}']")
        assert buttons, f"no button {name}={value} on {self.url}: {self.text[:300]}"
        return self.submit(buttons[0])

    def submit(self, button: html.HtmlElement) -> "Person":
        form = next(button.iterancestors("form"))
        fields = list(form.form_values())
        if button.get("name"):
            fields.append((button.get("name"), button.get("value", "")))
        action = urljoin(self.url, form.get("action") or self.url)
        if (form.get("method") or "get").lower() == "post":
            self.response = self.session.post(action, data=fields, timeout=30)
        else:
            self.response = self.session.get(action, params=fields, timeout=30)
        return self.carried_on()

    def carried_on(self) -> "Person":
        """Press "Continue" on pages that only carry a form from one site to the next."""
        while handover := self.page.xpath("//form[@id='handover']"):
            self.submit_form(handover[0])
        return self

    def submit_form(self, form: html.HtmlElement) -> None:
        self.response = self.session.post(
            urljoin(self.url, form.get("action")), data=list(form.form_values()), timeout=30
        )
