"""AuthnRequests by HTTP-POST (SAML Bindings §3.5) at the running gateway, signed as Gunma's portal would."""

import base64
import secrets
from datetime import UTC, datetime

import pytest
from lxml import etree

from tests.flows.person import Person
from trust_lists.xmldsig import Signer

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
NAMES = {"p": "urn:oasis:names:tc:SAML:2.0:protocol", "a": "urn:oasis:names:tc:SAML:2.0:assertion"}


class Caught(Exception):  # noqa: N818 - not a fault: where the browser is to stop
    """The form that would go to the service."""

    def __init__(self, fields) -> None:
        super().__init__()
        self.fields = dict(fields)


class Watched(Person):
    """A browser that stops before it posts to `stop`."""

    stop = ""

    def submit_form(self, form):
        if form.get("action") == self.stop:
            raise Caught(form.form_values())
        super().submit_form(form)


def request(region, name_id_format: str, *, signed: bool = True) -> str:
    """A signed AuthnRequest of Gunma's portal, Base64."""
    pem = (region.state / "systems" / "gunma" / "saml.pem").read_bytes()
    begin = pem.index(b"-----BEGIN CERTIFICATE")
    identifier = "_" + secrets.token_hex(16)
    document = (
        f'<p:AuthnRequest xmlns:p="{NAMES["p"]}" xmlns:a="{NAMES["a"]}" ID="{identifier}" Version="2.0" '
        f'IssueInstant="{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" Destination="{region["gateway"]}/saml/sso" '
        f'AssertionConsumerServiceURL="{region["gunma"]}/saml/acs">'
        f"<a:Issuer>{region['gunma']}/saml/metadata</a:Issuer>"
        f'<p:NameIDPolicy Format="{name_id_format}"/></p:AuthnRequest>'
    ).encode()
    if signed:
        document = Signer.from_pem(pem[:begin], pem[begin:]).sign_element(document, identifier)
    return base64.b64encode(document).decode()


def signed_in(person: Person) -> None:
    """髙橋 花子 signs in, and agrees if she is asked."""
    person.choose("system", "maebashi").press("髙橋 花子")
    person.choose("decision", "agree")


def answered(region, name_id_format: str) -> etree._Element:
    """The Response that the service would get after 髙橋 花子 agreed."""
    person = Watched()
    person.stop = region["gunma"] + "/saml/acs"
    form = {"SAMLRequest": request(region, name_id_format), "RelayState": "where-I-was"}
    person.response = person.session.post(region["gateway"] + "/saml/sso", data=form, timeout=30)
    with pytest.raises(Caught) as caught:
        signed_in(person)
    assert caught.value.fields["RelayState"] == "where-I-was"
    return etree.fromstring(base64.b64decode(caught.value.fields["SAMLResponse"]))


@pytest.mark.parametrize("name_id_format", [PERSISTENT, TRANSIENT])
def test_names_are_of_the_kind_that_was_asked(region, name_id_format):
    """A persistent name is the same at every sign-in, a transient one new each time; both are signed twice."""
    found = []
    for _ in range(2):
        response = answered(region, name_id_format)
        name = response.find("a:Assertion/a:Subject/a:NameID", NAMES)
        assert name.get("Format") == name_id_format
        assert len(response.findall(".//{http://www.w3.org/2000/09/xmldsig#}Signature")) == 2
        found.append(name.text)
    assert (found[0] == found[1]) is (name_id_format == PERSISTENT)


def test_an_unsigned_request_of_a_service_that_signs(region):
    """Whoever says in the signed list that they sign is not believed without a signature."""
    form = {"SAMLRequest": request(region, PERSISTENT, signed=False)}
    person = Person()
    person.response = person.session.post(region["gateway"] + "/saml/sso", data=form, timeout=30)
    assert person.status == 400
    assert "The service sent a request that cannot be used" in person.text
