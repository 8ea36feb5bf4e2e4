"""What a stranger, a replay or a late comer gets: a page in plain words with a reference number, and nothing else."""

import base64
import re

import pytest
import requests

from tests.flows.person import Person

REFERENCE = re.compile(r"[0-9a-f]{16}")


def stopped(response: requests.Response, *, status: int, says: str) -> None:
    """The error page: both languages, a reference number, not a word of detail."""
    assert response.status_code == status
    assert says in response.text
    assert REFERENCE.search(response.text)
    for detail in ("Traceback", "flow-unknown", "InResponseTo", "state", "KeyError"):
        assert detail not in re.sub(r"<[^>]+>", "", response.text)


def away(region, system: str) -> tuple[Person, str]:
    """A person at the sign-in page of an ID system, and that page's address."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in").choose("system", system)
    return person, person.url


class Intercepted(Person):
    """A browser that stops before it hands a form over to another site, or follows a redirect to `stop`."""

    stop = ""
    caught: tuple[str, list[tuple[str, str]]] | None = None

    def submit_form(self, form):
        action = form.get("action")
        if self.stop and action.startswith(self.stop):
            self.caught = (action, list(form.form_values()))
            raise StopIteration
        super().submit_form(form)


def intercepted_response(region) -> tuple[Intercepted, str, list[tuple[str, str]]]:
    """A SAML response of Ebetsu that has not yet reached the gateway: browser, address, form."""
    person = Intercepted()
    person.open(region["takasaki"] + "/sign-in").choose("system", "ebetsu")
    person.stop = region["gateway"] + "/saml/sp/acs"
    with pytest.raises(StopIteration):
        person.press("佐々木 一郎")
    assert person.caught is not None
    return person, *person.caught


def intercepted_code(region) -> tuple[Person, str]:
    """A code of Maebashi that has not yet reached the gateway: browser, and the callback's address."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in").choose("system", "maebashi")
    button = next(b for b in person.page.iter("button") if "髙橋 花子" in b.text_content())
    form = next(button.iterancestors("form"))
    fields = [*form.form_values(), (button.get("name"), button.get("value"))]
    answer = person.session.post(
        requests.compat.urljoin(person.url, form.get("action")), data=fields, allow_redirects=False, timeout=30
    )
    while not answer.headers["Location"].startswith(region["gateway"]):
        answer = person.session.get(answer.headers["Location"], allow_redirects=False, timeout=30)
    return person, answer.headers["Location"]


def test_replayed_saml_response(region):
    """The same response a second time: the flow is taken."""
    person, action, fields = intercepted_response(region)
    first = person.session.post(action, data=fields, timeout=30)
    assert first.status_code == 200
    stopped(person.session.post(action, data=fields, timeout=30), status=400, says="no longer open")


def test_saml_response_in_another_browser(region):
    """A response carried to another browser is refused there, and still works where it belongs."""
    person, action, fields = intercepted_response(region)
    stopped(requests.post(action, data=fields, timeout=30), status=403, says="another browser")
    assert person.session.post(action, data=fields, timeout=30).status_code == 200


def test_altered_saml_response(region):
    """A response with one character changed inside is refused."""
    person, action, fields = intercepted_response(region)
    document = base64.b64decode(dict(fields)["SAMLResponse"]).replace("佐々木".encode(), "佐々本".encode())
    forged = [("SAMLResponse", base64.b64encode(document).decode())]
    answer = person.session.post(action, data=forged, timeout=30)
    stopped(answer, status=400, says="could not be verified")


def test_unsolicited_saml_response(region):
    """A response to nothing is refused."""
    answer = requests.post(region["gateway"] + "/saml/sp/acs", data={"SAMLResponse": "PHg+PC94Pg=="}, timeout=30)
    stopped(answer, status=400, says="could not be verified")


def test_unknown_in_response_to(region):
    """A response to a request that was never made finds no flow."""
    namespace = "urn:oasis:names:tc:SAML:2.0:protocol"
    document = f'<samlp:Response xmlns:samlp="{namespace}" InResponseTo="_{"A" * 43}"/>'.encode()
    answer = requests.post(
        region["gateway"] + "/saml/sp/acs", data={"SAMLResponse": base64.b64encode(document).decode()}, timeout=30
    )
    stopped(answer, status=400, says="no longer open")


def test_replayed_code(region):
    """The same authorization response a second time: the flow is taken."""
    person, callback = intercepted_code(region)
    assert person.session.get(callback, timeout=30).status_code == 200
    stopped(person.session.get(callback, timeout=30), status=400, says="no longer open")


def test_code_in_another_browser(region):
    """An authorization response carried to another browser is refused there, and still works where it belongs."""
    person, callback = intercepted_code(region)
    stopped(requests.get(callback, timeout=30), status=403, says="another browser")
    assert person.session.get(callback, timeout=30).status_code == 200


@pytest.mark.parametrize("query", ["", "?state=", "?state=unknown", "?code=x&state=" + "A" * 43, "?state=a&state=b"])
def test_unknown_state(region, query):
    """A state that was never given, or several, or none."""
    answer = requests.get(region["gateway"] + "/oidc/rp/callback" + query, timeout=30)
    stopped(answer, status=400, says="no longer open")


def test_pages_of_another_browser(region):
    """The choice and the consent page are shown to the browser that began, and to no other."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in")
    stopped(requests.get(person.url, timeout=30), status=403, says="another browser")
    person.choose("system", "maebashi").press("葛󠄀西 誠")
    assert "/consent" in person.url
    stopped(requests.get(person.url, timeout=30), status=403, says="another browser")
    assert "葛" not in requests.get(person.url, timeout=30).text


def test_form_of_another_site(region):
    """A choice or a decision that no page of ours was shown for is not taken."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in")
    answer = person.session.post(person.url, data={"system": "maebashi"}, timeout=30)
    stopped(answer, status=403, says="another browser")


def test_back_button_after_the_end(region):
    """One request of a service is answered once: the choice page is over when the login is."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in")
    choice = person.url
    person.choose("system", "omura").press("濵﨑 みどり")
    if "/consent" in person.url:
        person.choose("decision", "agree")
    stopped(person.session.get(choice, timeout=30), status=400, says="no longer open")


def test_back_button_before_the_end(region):
    """Whoever chose the wrong municipality goes back and chooses again."""
    person = Person()
    person.open(region["takasaki"] + "/sign-in")
    choice = person.url
    person.choose("system", "ebetsu")
    person.open(choice).choose("system", "omura").press("濵﨑 みどり")
    if "/consent" in person.url:
        person.choose("decision", "agree")
    assert person.url == region["takasaki"] + "/"


@pytest.mark.parametrize("path", ["/login/x", "/login/" + "A" * 43, "/nowhere", "/oidc/authorize", "/saml/sso"])
def test_addresses_that_lead_nowhere(region, path):
    """Whatever is typed into the address bar, the answer is a page in plain words."""
    answer = requests.get(region["gateway"] + path, headers={"Accept-Language": "ja"}, timeout=30)
    assert answer.status_code in (400, 403, 404)
    assert '<html lang="ja"' in answer.text
    assert REFERENCE.search(answer.text)


def refusals(region, reason: str) -> float:
    """How many logins the gateway counted as refused for this reason."""
    text = requests.get(region["admin"] + "/metrics", timeout=30).text
    return float(
        re.findall(rf'^kakehashi_refusals_total{{bridge="login",reason="{reason}"}} (\S+)', text, re.MULTILINE)[0]
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/login/" + "A" * 43, "flow-unknown"),
        ("/oidc/rp/callback?state=x", "flow-unknown"),
        ("/saml/sso", "bad-request"),
    ],
)
def test_a_refusal_before_anything_is_known_is_counted(region, path, reason):
    """Whoever is on duty sees refusals by reason, also those that belong to no login we know."""
    before = refusals(region, reason)
    requests.get(region["gateway"] + path, timeout=30)
    assert refusals(region, reason) == before + 1
