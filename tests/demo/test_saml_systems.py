"""The demo's SAML systems, before a gateway that the test plays: real messages and signatures, real HTTP."""

import base64
import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from yarl import URL

from federation.saml import logout
from federation.saml.identity_provider import SamlAttribute, SamlIdentityProvider
from federation.saml.messages import REDIRECT, new_id
from federation.saml.service_provider import SamlServiceProvider, SamlStatusError
from federation.sessions import Party, Side, SubjectName
from federation.web import WebRequest
from gateway.demo.keys import saml_pair
from gateway.demo.residents import EBETSU_CARD, EBETSU_NAMES, ebetsu
from gateway.demo.saml_id_system import PERSISTENT, STATUS, SamlIdSystem
from gateway.demo.saml_logout import Self
from gateway.demo.saml_peer import GatewayMetadata
from gateway.demo.saml_service import SamlService
from gateway.demo.service_pages import ServicePages
from gateway.demo.site import Face
from gateway.demo.systems import EBETSU_LADDER
from trust_lists.model import Endpoint, Role
from trust_lists.saml_entities import read_entity
from trust_lists.xmldsig import Signer, parse

TEXTS = {"ja": "試験", "en": "Test"}
NAME = "urn:oid:2.16.840.1.113730.3.1.241"


@dataclass
class Gateway:
    """Both SAML roles of a gateway, with their metadata at their entity IDs."""

    sp: SamlServiceProvider
    idp: SamlIdentityProvider


@pytest.fixture
async def gateway(place, clock, tmp_path):
    """A gateway whose metadata can be fetched."""
    here = place()
    signer = Signer.from_pem(*saml_pair(tmp_path, "gateway"))
    roles = Gateway(
        sp=SamlServiceProvider(entity_id=f"{here.url}/sp", acs_url=f"{here.url}/acs", signer=signer),
        idp=SamlIdentityProvider(entity_id=f"{here.url}/idp", sso_url=f"{here.url}/sso", signer=signer),
    )

    def shown(role):
        async def metadata(_request):
            return web.Response(body=role.metadata(now=clock(), valid_until=clock().replace(year=2030)))

        return metadata

    app = web.Application()
    app.router.add_get("/sp", shown(roles.sp))
    app.router.add_get("/idp", shown(roles.idp))
    await here.serve(app)
    return roles


async def known(browser, url, clock):
    """The peer at `url` as a list would state it."""
    document = await (await browser.get(url)).read()
    (entity,) = read_entity(parse(document), listed_in="test", valid_until=clock().replace(year=2030), now=clock())
    return entity


def as_sent(location):
    """An address whose octets stay as they are: they are what was signed."""
    return URL(location, encoded=True)


def fields_of(page):
    """Action and hidden fields of a page that carries a form onward."""
    action = re.search(r'action="([^"]+)"', page)[1]
    return unescape(action), {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    }


class TestIdSystem:
    """Ebetsu's identity provider."""

    @pytest.fixture
    async def system(self, place, gateway, clock, tmp_path):
        """An ID system that listens; answers its address."""
        here, keys = place(), tmp_path / "ebetsu"
        keys.mkdir()
        provider = SamlIdentityProvider(
            entity_id=f"{here.url}/saml/metadata",
            sso_url=f"{here.url}/saml/sso",
            signer=Signer.from_pem(*saml_pair(keys, "ebetsu")),
        )
        system = SamlIdSystem(
            Face(name="ebetsu", title=TEXTS, kind=TEXTS, theme="theme-ebetsu", url=here.url),
            provider,
            gateway=GatewayMetadata(gateway.sp.entity_id, Role.SAML_SERVICE_PROVIDER),
            asker=TEXTS,
            register=ebetsu,
            names=EBETSU_NAMES,
            ladder=EBETSU_LADDER,
            own=Self(
                entity_id=f"{here.url}/saml/metadata",
                url=f"{here.url}/saml/slo",
                signer=Signer.from_pem(*saml_pair(keys, "ebetsu")),
            ),
            clock=clock,
        )
        await here.serve(system.application())
        return here.url

    @pytest.fixture
    def signs_in(self, browser, gateway, system, clock):
        """Sends a request, answers the page, and reads the Response as the gateway does."""

        async def flow(asked, chosen):
            idp = await known(browser, f"{system}/saml/metadata", clock)
            request_id = new_id()
            redirect = gateway.sp.request(idp, request_id=request_id, relay_state="relayed", now=clock(), **asked)
            page = await (await browser.get(as_sent(redirect.location))).text()
            if chosen:
                _, hidden = fields_of(page)
                page = await (await browser.post(f"{system}/sign-in", data={**hidden, **chosen})).text()
            action, fields = fields_of(page)
            assert (action, fields["RelayState"]) == (gateway.sp.acs_url, "relayed")
            return gateway.sp.response(fields["SAMLResponse"], idp=idp, request_id=request_id, now=clock())

        return flow

    async def test_it_says_what_it_knows_under_its_own_names(self, signs_in):
        """Half-width kana and an era date, under object identifiers, for a persistent name."""
        found = await signs_in({}, {"resident": "sasaki"})
        assert (found.name_id.value, found.name_id.format) == ("E0004417", PERSISTENT)
        assert found.authn_context == EBETSU_CARD.statement
        assert found.attributes == {
            EBETSU_NAMES["shimei"]: ("佐々木　一郎",),
            EBETSU_NAMES["shimei_kana"]: ("ｻｻｷ ｲﾁﾛｳ",),
            EBETSU_NAMES["seinengappi"]: ("昭和60年3月15日",),
            EBETSU_NAMES["seibetsu"]: ("1",),
            EBETSU_NAMES["jusho"]: ("北海道江別市高砂町６番地",),
            EBETSU_NAMES["dantai_code"]: ("012173",),
        }

    @pytest.mark.parametrize(
        ("asked", "chosen", "second"),
        [
            ({}, {"cancel": "1"}, "AuthnFailed"),
            ({"is_passive": True}, {}, "NoPassive"),
            ({"name_id_format": PERSISTENT.replace("persistent", "transient")}, {}, "InvalidNameIDPolicy"),
            ({"requested_contexts": (EBETSU_CARD.statement,)}, {"resident": "honma"}, "NoAuthnContext"),
            ({"requested_contexts": ("urn:unknown",)}, {"resident": "sasaki"}, "NoAuthnContext"),
        ],
    )
    async def test_it_refuses_by_the_protocol(self, signs_in, asked, chosen, second):
        """Each refusal is a signed Response with its own second-level status (SAML Core §3.2.2.2)."""
        with pytest.raises(SamlStatusError) as refused:
            await signs_in(asked, chosen)
        assert refused.value.second == STATUS + second

    async def test_a_request_that_was_altered_gets_a_page(self, browser, gateway, system, clock):
        """One changed octet of the query, and nobody signs in."""
        idp = await known(browser, f"{system}/saml/metadata", clock)
        redirect = gateway.sp.request(idp, request_id=new_id(), relay_state="a", now=clock())
        response = await browser.get(as_sent(redirect.location.replace("RelayState=a", "RelayState=b")))
        assert response.status == 400
        assert "SAMLResponse" not in await response.text()

    async def test_another_service_provider_gets_a_page(self, browser, system, clock, tmp_path):
        """This ID system knows the gateway and nobody else."""
        other = tmp_path / "other"
        other.mkdir()
        stranger = SamlServiceProvider(
            entity_id="http://localhost:1/sp",
            acs_url="http://localhost:1/acs",
            signer=Signer.from_pem(*saml_pair(other, "other")),
        )
        idp = await known(browser, f"{system}/saml/metadata", clock)
        redirect = stranger.request(idp, request_id=new_id(), relay_state=None, now=clock())
        assert (await browser.get(as_sent(redirect.location))).status == 400


class TestService:
    """A relying service."""

    @pytest.fixture
    async def service(self, place, gateway, clock, tmp_path):
        """A service that listens; answers its address."""
        here, keys = place(), tmp_path / "service"
        keys.mkdir()
        face = Face(name="service", title=TEXTS, kind=TEXTS, theme="theme-gunma", url=here.url)
        service = SamlService(
            ServicePages(face, welcome=TEXTS, asks=TEXTS, neighbours=(), clock=clock),
            SamlServiceProvider(
                entity_id=f"{here.url}/saml/metadata",
                acs_url=f"{here.url}/saml/acs",
                signer=Signer.from_pem(*saml_pair(keys, "service")),
            ),
            gateway=GatewayMetadata(gateway.idp.entity_id, Role.SAML_IDENTITY_PROVIDER),
            shown={NAME: {"ja": "氏名", "en": "Name"}},
            own=Self(
                entity_id=f"{here.url}/saml/metadata",
                url=f"{here.url}/saml/slo",
                signer=Signer.from_pem(*saml_pair(keys, "service")),
            ),
            clock=clock,
        )
        await here.serve(service.application())
        return here.url

    @staticmethod
    async def asks(browser, gateway, service, clock):
        """Press "sign in"; the request as the gateway reads it."""
        response = await browser.get(f"{service}/sign-in", allow_redirects=False)
        location = urlsplit(response.headers["Location"])
        sp = await known(browser, f"{service}/saml/metadata", clock)
        web_request = WebRequest(method="GET", url=f"http://{location.netloc}/sso", raw_query=location.query)
        return gateway.idp.request(web_request, find=lambda _: sp, now=clock())

    @staticmethod
    def answer(gateway, request, clock):
        """What the gateway answers when somebody agreed."""
        return gateway.idp.response(
            request,
            name_id="pairwise",
            name_id_format=PERSISTENT,
            attributes=[
                SamlAttribute(name=NAME, values=("髙橋 <花子>",)),
                SamlAttribute(name="urn:unasked", values=("secret",)),
            ],
            authn_context="urn:kakehashi:assurance:identity-2",
            authn_instant=clock(),
            now=clock(),
        )

    async def test_it_shows_what_it_was_told_and_forgets_on_sign_out(self, browser, gateway, service, clock):
        """Labels in plain words, values escaped, nothing that it did not ask for."""
        request = await self.asks(browser, gateway, service, clock)
        post = self.answer(gateway, request, clock)
        page = await (await browser.post(post.action, data=dict(post.fields))).text()
        assert "髙橋 &lt;花子&gt;" in page
        assert "secret" not in page
        token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
        assert (await browser.post(f"{service}/sign-out", data={"form_token": "forged"})).status == 403
        page = await (await browser.post(f"{service}/sign-out", data={"form_token": token})).text()
        assert "髙橋" not in page

    async def test_only_the_gateway_ends_a_session(self, browser, gateway, service, clock, tmp_path):
        """A logout message of a stranger, or an answer that nobody waits for, is a page and ends nothing."""
        post = self.answer(gateway, await self.asks(browser, gateway, service, clock), clock)
        assert "髙橋" in await (await browser.post(post.action, data=dict(post.fields))).text()
        keys = tmp_path / "stranger"
        keys.mkdir()
        stranger = Signer.from_pem(*saml_pair(keys, "stranger"))
        role = Role.SAML_SERVICE_PROVIDER
        place = Endpoint(role=role, kind="SingleLogoutService", binding=REDIRECT, location=f"{service}/saml/slo")
        party = Party(
            side=Side.SERVICE,
            id="service",
            own_entity=gateway.idp.entity_id,
            entity_id=f"{service}/saml/metadata",
            name=SubjectName(value="pairwise"),
        )
        forged = logout.request(party, place, request_id="_1", signer=stranger, now=clock())
        stray = logout.response(
            logout.success(partial=False),
            place,
            own_entity=gateway.idp.entity_id,
            in_response_to="_1",
            relay_state=None,
            signer=stranger,
            now=clock(),
        )
        for message in (forged, stray):
            assert (await browser.get(as_sent(message.location))).status == 400
        assert "髙橋" in await (await browser.get(f"{service}/")).text()

    async def test_a_response_counts_once(self, browser, gateway, service, clock):
        """The second time nothing waits for it."""
        post = self.answer(gateway, await self.asks(browser, gateway, service, clock), clock)
        assert (await browser.post(post.action, data=dict(post.fields), allow_redirects=False)).status == 303
        assert (await browser.post(post.action, data=dict(post.fields), allow_redirects=False)).status == 400

    async def test_a_response_for_another_browser_is_refused(self, browser, stranger, gateway, service, clock):
        """Who did not begin the sign-in is not signed in by it."""
        post = self.answer(gateway, await self.asks(browser, gateway, service, clock), clock)
        assert (await stranger.post(post.action, data=dict(post.fields), allow_redirects=False)).status == 400

    async def test_an_altered_response_is_refused(self, browser, gateway, service, clock):
        """Another name under the same signature."""
        post = self.answer(gateway, await self.asks(browser, gateway, service, clock), clock)
        fields = dict(post.fields)
        document = base64.b64decode(fields["SAMLResponse"]).replace(b">pairwise<", b">somebody<")
        fields["SAMLResponse"] = base64.b64encode(document).decode()
        assert (await browser.post(post.action, data=fields, allow_redirects=False)).status == 502

    @pytest.mark.parametrize(
        "denial",
        [
            ("NoAuthnContext", "A stronger proof of identity is needed"),
            ("RequestDenied", "You were not signed in"),
        ],
    )
    async def test_a_denial_is_a_friendly_page(self, browser, gateway, service, clock, denial):
        """It says what happened in plain words, and the protocol's status."""
        second, says = denial
        request = await self.asks(browser, gateway, service, clock)
        post = gateway.idp.error(request, second=STATUS + second, now=clock())
        response = await browser.post(
            post.action, data=dict(post.fields), headers={"Accept-Language": "en"}, allow_redirects=False
        )
        page = await response.text()
        assert response.status == 403
        assert says in page
        assert second in page
