"""Members of a region played by hand, for single logout: they can do what no library would.

One SAML ID system (Ebetsu) and eight SAML services; a browser that stops at every answer of the gateway.
"""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from lxml import etree, html

from federation.saml import logout
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.logout import LogoutAsked
from federation.saml.messages import PERSISTENT, POST, REDIRECT, inflate, new_id
from federation.saml.service_provider import SamlAssertion, SamlServiceProvider
from federation.sessions import Party, Side, SubjectName
from federation.web import PostForm, Redirect, WebRequest
from tests.federation.saml.peers import SAMLP, signer
from tests.gateway.gateway_sample import Served
from trust_lists.model import Endpoint, TrustedEntity
from trust_lists.saml_entities import MD, read_entity
from trust_lists.xmldsig import parse

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
SUCCESS, PARTIAL = [STATUS + "Success"], [STATUS + "Success", STATUS + "PartialLogout"]
EBETSU = "https://ebetsu.example/saml"
REDIRECTING = ("library", "museum", "s3", "s4", "s5", "s6")
"""Services that list Redirect and POST; `pool` lists POST alone, `portal` lists no address for logout."""


def now() -> datetime:
    """The gateway process has a real clock, so its peers have one too."""
    return datetime.now(UTC)


def entity_of(service: str) -> str:
    """The service's entity ID."""
    return f"https://{service}.example/saml"


# --- the region


def member(document: bytes, drop: str | None = None) -> bytes:
    """A peer's metadata, without its addresses for logout by the binding `drop`."""
    root = etree.fromstring(document)
    for element in root.findall(f".//{{{MD}}}SingleLogoutService"):
        if drop in (element.get("Binding"), "all"):
            element.getparent().remove(element)
    return etree.tostring(root)


def members() -> list[bytes]:
    """The metadata of every peer."""
    found = [id_system().metadata(now=now())]
    drops = {**dict.fromkeys(REDIRECTING), "pool": REDIRECT, "portal": "all"}
    return [*found, *(member(service_provider(name).metadata(now=now()), drop) for name, drop in drops.items())]


def id_system() -> SamlIdentityProvider:
    """Ebetsu's identity provider."""
    return SamlIdentityProvider(
        entity_id=EBETSU, sso_url=EBETSU + "/sso", slo_url=EBETSU + "/slo", signer=signer("ebetsu")
    )


def service_provider(name: str) -> SamlServiceProvider:
    """The service provider of that name."""
    entity = entity_of(name)
    return SamlServiceProvider(entity_id=entity, acs_url=entity + "/acs", slo_url=entity + "/slo", signer=signer(name))


def configured(name: str) -> dict:
    """The service as the operator writes it."""
    return {
        "id": name,
        "kind": "saml",
        "entity_id": entity_of(name),
        "name": {"ja": f"{name}窓口", "en": f"Counter {name}"},
        "purpose": {"ja": "試験", "en": "Testing"},
        "id_systems": ["ebetsu"],
        "minimum_identity": 0,
        "attributes": [{"to": "urn:oid:2.16.840.1.113730.3.1.241", "from": ["fullName"]}],
    }


def pem(der: bytes) -> bytes:
    """The certificate as a file holds it."""
    text = base64.b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


def own(gateway: Served, path: str = "/saml/metadata") -> TrustedEntity:
    """An entity of the gateway, as its metadata state it."""
    document = requests.get(gateway.sample.public_url + path, timeout=10).content
    later = now() + timedelta(days=1)
    return read_entity(parse(document), listed_in="metadata", valid_until=later, now=now())[0]


def logouts(gateway: Served) -> dict[str, float]:
    """How logouts ended so far."""
    text = requests.get(gateway.sample.admin + "/metrics", timeout=10).text
    return {
        outcome: float(value)
        for outcome, value in re.findall(r'^kakehashi_logouts_total\{outcome="(\w+)"\} (\S+)', text, re.MULTILINE)
    }


# --- a browser, hop by hop


@dataclass
class Browser:
    """Somebody's browser; it stops at every answer of the gateway. `index` is its session's name at Ebetsu."""

    gateway: Served
    resident: str = field(default_factory=lambda: "resident-" + secrets.token_hex(8))
    index: str = field(default_factory=secrets.token_hex)
    session: requests.Session = field(default_factory=requests.Session)
    page: str = ""
    status: int = 0

    def carry(self, what: Redirect | PostForm) -> Redirect | PostForm | None:
        """Bring a message to the gateway; what it answers with: the next message, or None for a page."""
        if isinstance(what, PostForm):
            answer = self.session.post(what.action, data=list(what.fields), allow_redirects=False, timeout=10)
        else:
            answer = self.session.get(what.location, allow_redirects=False, timeout=10)
        return self.next(answer)

    def next(self, answer: requests.Response) -> Redirect | PostForm | None:
        """The message that the answer lets the browser carry on."""
        self.page, self.status = answer.text, answer.status_code
        if answer.status_code == 303:
            location = urljoin(answer.url, answer.headers["Location"])
            if location.startswith(self.gateway.sample.public_url):
                return self.next(self.session.get(location, allow_redirects=False, timeout=10))
            return Redirect(location=location)
        document = html.fromstring(answer.text)
        for form in document.xpath("//form[@id='handover']"):
            return PostForm(action=form.get("action"), fields=tuple(form.form_values()))
        for button in document.xpath("//button[@name='decision' and @value='agree']"):
            fields = [*next(button.iterancestors("form")).form_values(), ("decision", "agree")]
            return self.next(self.session.post(answer.url, data=fields, allow_redirects=False, timeout=10))
        return None

    @property
    def text(self) -> str:
        """What stands on the page."""
        return " ".join(html.fromstring(self.page).text_content().split())


def came(what: Redirect | PostForm | None) -> WebRequest:
    """The request by which a peer gets it."""
    assert what is not None
    if isinstance(what, PostForm):
        return WebRequest(method="POST", url=what.action, form=what.fields)
    parts = urlsplit(what.location)
    return WebRequest(method="GET", url=parts._replace(query="").geturl(), raw_query=parts.query)


@dataclass(frozen=True)
class SignedIn:
    """What a service knows after a sign-in: as whom, by which entity of the gateway."""

    service: str
    assertion: SamlAssertion
    asserted_by: TrustedEntity


def sign_in(
    browser: Browser,
    service: str,
    resident: str | None = None,
    *,
    path: str = "/saml/metadata",
    index: str | None = None,
) -> SignedIn:
    """A resident of Ebetsu signs in at the service, through the entity of the gateway at `path`."""
    entity, provider = own(browser.gateway, path), service_provider(service)
    hub, request_id = own(browser.gateway, "/saml/sp/metadata"), new_id()
    away = browser.carry(provider.request(entity, request_id=request_id, relay_state=None, now=now()))
    asked = id_system().request(came(away), find=lambda _: hub, now=now())
    answer = id_system().response(
        asked,
        name_id=resident or browser.resident,
        name_id_format=PERSISTENT,
        attributes=[],
        authn_context="urn:x",
        authn_instant=now(),
        session_index=index or browser.index,
        now=now(),
    )
    back = browser.carry(answer)
    assert isinstance(back, PostForm), browser.text
    response = dict(back.fields)["SAMLResponse"]
    return SignedIn(service, provider.response(response, idp=entity, request_id=request_id, now=now()), entity)


# --- logout messages of the peers


def slo(entity: TrustedEntity, binding: str) -> Endpoint:
    """Where an entity of the gateway takes logout messages."""
    found = entity.endpoint(next(iter(entity.roles)), "SingleLogoutService", binding)
    assert found is not None
    return found


def named(assertion: SamlAssertion) -> SubjectName:
    """The name that the assertion gave."""
    name = assertion.name_id
    assert name is not None
    return SubjectName(
        value=name.value,
        format=name.format,
        name_qualifier=name.name_qualifier,
        sp_name_qualifier=name.sp_name_qualifier,
    )


def service_asks(known: SignedIn, binding: str = REDIRECT, **changes: object) -> Redirect | PostForm:
    """The service's LogoutRequest."""
    index = known.assertion.session_index
    party = Party(
        side=Side.SERVICE,
        id=known.service,
        own_entity=entity_of(known.service),
        entity_id=known.asserted_by.entity_id,
        name=named(known.assertion),
        indexes=() if index is None else (index,),
    )
    address = slo(known.asserted_by, binding)
    sent = logout.request(
        replace(party, **changes), address, request_id=new_id(), signer=signer(known.service), now=now()
    )
    return with_relay_state(sent, known.service)


def with_relay_state(sent: Redirect | PostForm, key: str) -> Redirect | PostForm:
    """The same message with a RelayState."""
    if isinstance(sent, PostForm):
        return PostForm(action=sent.action, fields=(*sent.fields, ("RelayState", "back here")))
    address = sent.location.partition("?")[0]
    return logout.redirect.send(address, "SAMLRequest", document(sent), relay_state="back here", signer=signer(key))


def id_system_asks(
    browser: Browser, binding: str = REDIRECT, resident: str | None = None, indexes: tuple[str, ...] = ()
) -> Redirect | PostForm:
    """Ebetsu's LogoutRequest."""
    hub = own(browser.gateway, "/saml/sp/metadata")
    party = Party(
        side=Side.ID_SYSTEM,
        id="gateway",
        own_entity=EBETSU,
        entity_id=hub.entity_id,
        name=SubjectName(value=resident or browser.resident, format=PERSISTENT),
        indexes=indexes,
    )
    return logout.request(party, slo(hub, binding), request_id=new_id(), signer=signer("ebetsu"), now=now())


def document(what: Redirect | PostForm | None) -> bytes:
    """The document that a message is."""
    assert what is not None
    if isinstance(what, PostForm):
        return base64.b64decode(what.fields[0][1])
    return inflate(base64.b64decode(next(iter(parse_qs(urlsplit(what.location).query).values()))[0]))


def told(gateway: Served, what: Redirect | PostForm | None) -> tuple[str, TrustedEntity, LogoutAsked]:
    """Who is told, by which entity of the gateway, and what; the message is verified as the peer would."""
    web = came(what)
    peer = "ebetsu" if web.url.startswith(EBETSU) else web.url.removeprefix("https://").partition(".")[0]
    issuer = etree.fromstring(document(what)).findtext("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer")
    entity = own(gateway, urlsplit(issuer).path)
    return peer, entity, logout.read_request(web, url=web.url, find=lambda _: entity, now=now())


def peer_answers(
    asked: tuple[str, TrustedEntity, LogoutAsked], binding: str = REDIRECT, *, ended: bool = True
) -> Redirect | PostForm:
    """The LogoutResponse of whoever was asked."""
    peer, entity, request = asked
    return logout.response(
        logout.success(partial=False) if ended else logout.failure(logout.REQUEST_DENIED),
        slo(entity, binding),
        own_entity=EBETSU if peer == "ebetsu" else entity_of(peer),
        in_response_to=request.asker.request_id,
        relay_state=request.asker.relay_state,
        signer=signer(peer),
        now=now(),
    )


@dataclass(frozen=True)
class End:
    """How a logout ended for whoever began it."""

    told: list[str]
    status: list[str]
    relay_state: str | None
    address: str
    binding: str


def follow(
    browser: Browser,
    what: Redirect | PostForm | None,
    binding: str = REDIRECT,
    answering: Callable[[tuple[str, TrustedEntity, LogoutAsked]], Redirect | PostForm] | None = None,
) -> End:
    """Let every peer answer until a LogoutResponse leaves."""
    heard: list[str] = []
    while what is not None and etree.fromstring(document(what)).tag == SAMLP + "LogoutRequest":
        asked = told(browser.gateway, what)
        heard.append(asked[0])
        what = browser.carry(answering(asked) if answering else peer_answers(asked, binding))
        if what is None and (
            links := html.fromstring(browser.page).xpath(
                "//a[@class='button' and contains(@href, 'SAMLRequest')]/@href"
            )
        ):
            what = Redirect(location=links[0])
    assert what is not None, browser.text
    root = etree.fromstring(document(what))
    assert root.tag == SAMLP + "LogoutResponse"
    web = came(what)
    state = dict(web.form).get("RelayState") or parse_qs(web.raw_query).get("RelayState", [None])[0]
    return End(
        told=heard,
        status=[code.get("Value") for code in root.iter(SAMLP + "StatusCode")],
        relay_state=state,
        address=web.url,
        binding=POST if web.method == "POST" else REDIRECT,
    )


def nothing_left(browser: Browser, known: SignedIn) -> bool:
    """Whether the gateway has forgotten the session: a logout of it tells nobody and succeeds."""
    end = follow(browser, browser.carry(service_asks(known)))
    return (end.told, end.status) == ([], SUCCESS)
