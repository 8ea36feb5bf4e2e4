"""Every system of the demo region, put together: its face, its keys, what it knows of the gateway."""

from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from cryptography import x509

from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from gateway.clock import Clock, now
from gateway.demo import federation, residents
from gateway.demo.addresses import Addresses
from gateway.demo.assertions import AssertionVerifier
from gateway.demo.authority_keys import Links, listed_certificate
from gateway.demo.certificate_authority import AuthoritySystem, CertificateAuthority
from gateway.demo.council_members import FREE_PLACES, CouncilMembers, Member
from gateway.demo.keys import message_pair, saml_pair, signing_key
from gateway.demo.ledger import AUDIENCE as LEDGER_AUDIENCE
from gateway.demo.ledger import Ledger
from gateway.demo.openid_client import OpenIdClient
from gateway.demo.openid_provider import Client, OpenIdProvider
from gateway.demo.participation import SIGNED, Participation
from gateway.demo.phone import Phone
from gateway.demo.phone_wallet import Settings, Wallet
from gateway.demo.poll import AUDIENCE as POLL_AUDIENCE
from gateway.demo.poll import Poll
from gateway.demo.proposal import ProposalDesk
from gateway.demo.residents import Texts
from gateway.demo.roster import (
    ALGORITHMS,
    ASKING,
    CLIENT_ID,
    FACES,
    FEDERATION,
    directory,
    enrolment_secret,
    member_directory,
    member_entity_id,
    omura_secret,
    saml_entity_id,
)
from gateway.demo.saml_id_system import SamlIdSystem
from gateway.demo.saml_logout import Self
from gateway.demo.saml_peer import GatewayMetadata
from gateway.demo.saml_service import SamlService
from gateway.demo.service_pages import ServicePages
from gateway.demo.site import Face, Neighbour
from gateway.demo.survey import Survey
from trust_lists.model import Role
from trust_lists.xmldsig import Signer

ASKER: Texts = {"ja": "かけはしデモ地域のゲートウェイ", "en": "the gateway of the Kakehashi demo region"}
MAEBASHI_SCOPES = {
    "profile": frozenset(
        (
            "name",
            "family_name",
            "given_name",
            "family_name#ja-Kana-JP",
            "given_name#ja-Kana-JP",
            "birthdate",
            "gender",
            "通称",
            "通称カナ",
        )
    ),
    "address": frozenset(("address", "郵便番号", "市区町村コード")),
}
OMURA_SCOPES = {
    "kihon": frozenset(("shimei", "sei", "mei", "sei_yomi", "mei_yomi", "umare", "seibetsu", "jusho", "dantai"))
}
"""Which claims each scope opens; 基本情報 (kihon) is Omura's one scope."""

EBETSU_LADDER = tuple(
    means.statement for means in (residents.EBETSU_PASSWORD, residents.EBETSU_MOBILE, residents.EBETSU_CARD)
)

GUNMA_SHOWN: Mapping[str, Texts] = {
    "urn:oid:2.16.840.1.113730.3.1.241": {"ja": "氏名", "en": "Name"},
    "https://portal.gunma.example/attributes/furigana": {"ja": "フリガナ", "en": "Name in kana"},
    "https://portal.gunma.example/attributes/tsusho": {"ja": "通称", "en": "Registered alias"},
    "https://portal.gunma.example/attributes/seinengappi": {"ja": "生年月日", "en": "Date of birth"},
    "https://portal.gunma.example/attributes/seibetsu": {"ja": "性別", "en": "Sex"},
    "urn:oid:2.5.4.16": {"ja": "住所", "en": "Address"},
    "https://portal.gunma.example/attributes/dantai-code": {
        "ja": "市区町村コード",
        "en": "Municipality code",
    },
}
TAKASAKI_SHOWN: Mapping[str, Texts] = {
    "urn:oid:2.16.840.1.113730.3.1.241": {"ja": "カードに載せる名前", "en": "Name on your card"},
    "https://library.takasaki.example/attributes/yomi": {"ja": "読みがな", "en": "How to read it"},
}


def saml_provider(name: str, systems: Path, addresses: Addresses) -> SamlServiceProvider | SamlIdentityProvider:
    """The SAML role of system `name`, with its key."""
    url, own = addresses.url(name), saml_self(name, systems, addresses)
    if name == "ebetsu":
        return SamlIdentityProvider(
            entity_id=own.entity_id, sso_url=f"{url}/saml/sso", slo_url=own.url, signer=own.signer
        )
    return SamlServiceProvider(entity_id=own.entity_id, acs_url=f"{url}/saml/acs", slo_url=own.url, signer=own.signer)


def saml_self(name: str, systems: Path, addresses: Addresses) -> Self:
    """Who the SAML system `name` is at a logout."""
    signer = Signer.from_pem(*saml_pair(directory(systems, name), f"Kakehashi demo {name}"))
    return Self(entity_id=saml_entity_id(addresses, name), url=f"{addresses.url(name)}/saml/slo", signer=signer)


def applications(addresses: Addresses, systems: Path, clock: Clock = now) -> dict[str, web.Application]:
    """Every system by its name; `systems` is the directory that holds one directory for each."""
    build = _Builder(addresses, systems, clock)
    return {
        "maebashi": build.maebashi(),
        "ebetsu": build.ebetsu(),
        "omura": build.omura(),
        "gunma": build.gunma(),
        "takasaki": build.takasaki(),
        "participation": build.participation(),
        "poll": build.poll(),
        "ledger": build.ledger(),
        "council": build.council(),
        FEDERATION: build.federation(),
        "phone": build.phone(),
        "authority": build.authority(),
    }


class _Builder:
    def __init__(self, addresses: Addresses, systems: Path, clock: Clock) -> None:
        self._addresses = addresses
        self._systems = systems
        self._clock = clock
        self._gateway = addresses.url("gateway")

    def maebashi(self) -> web.Application:
        return OpenIdProvider(
            self._face("maebashi"),
            register=residents.maebashi,
            scopes=MAEBASHI_SCOPES,
            key=signing_key(directory(self._systems, "maebashi"), ALGORITHMS["maebashi"]),
            algorithm=ALGORITHMS["maebashi"],
            client=Client(
                id=CLIENT_ID,
                name=ASKER,
                authentication="private_key_jwt",
                redirect_uris=(f"{self._gateway}/oidc/rp/callback",),
                jwks_uri=f"{self._gateway}/oidc/rp/jwks",
            ),
            clock=self._clock,
        ).application()

    def omura(self) -> web.Application:
        app = OpenIdProvider(
            self._face("omura"),
            register=residents.omura,
            scopes=OMURA_SCOPES,
            key=signing_key(directory(self._systems, "omura"), ALGORITHMS["omura"]),
            algorithm=ALGORITHMS["omura"],
            client=Client(
                id=CLIENT_ID,
                name=ASKER,
                authentication="client_secret_basic",
                redirect_uris=(f"{self._gateway}/oidc/rp/callback",),
                secret=omura_secret(self._systems),
            ),
            clock=self._clock,
        ).application()
        app.router.add_get(federation.WELL_KNOWN, federation.member_configuration(*self._member()))
        return app

    def federation(self) -> web.Application:
        return federation.application(*self._member())

    def _member(self) -> tuple[Addresses, Path, Clock]:
        return self._addresses, self._systems, self._clock

    def ebetsu(self) -> web.Application:
        provider = saml_provider("ebetsu", self._systems, self._addresses)
        assert isinstance(provider, SamlIdentityProvider)
        return SamlIdSystem(
            self._face("ebetsu"),
            provider,
            gateway=GatewayMetadata(f"{self._gateway}/saml/sp/metadata", Role.SAML_SERVICE_PROVIDER),
            asker=ASKER,
            register=residents.ebetsu,
            names=residents.EBETSU_NAMES,
            ladder=EBETSU_LADDER,
            own=saml_self("ebetsu", self._systems, self._addresses),
            clock=self._clock,
        ).application()

    def gunma(self) -> web.Application:
        return self._saml_service(
            "gunma",
            shown=GUNMA_SHOWN,
            welcome={"ja": "群馬県のオンライン手続き", "en": "Online procedures of Gunma Prefecture"},
            asks={
                "ja": "手続きには、マイナンバーカードなどによる確かな本人確認が必要です。",
                "en": "Procedures need a sound proof of identity, such as a My Number Card.",
            },
        )

    def takasaki(self) -> web.Application:
        return self._saml_service(
            "takasaki",
            shown=TAKASAKI_SHOWN,
            welcome={"ja": "図書館の貸出カード", "en": "A library card"},
            asks={
                "ja": "会員都市にお住まいの方は、だれでも借りられます。お聞きするのは、名前と読みがなだけです。",
                "en": "Residents of member cities may borrow. We ask for your name and its reading, no more.",
            },
        )

    def participation(self) -> web.Application:
        url = self._addresses.url("participation")
        algorithm = ALGORITHMS["participation"]
        client = OpenIdClient(
            issuer=self._gateway,
            client_id=url,
            redirect_uri=f"{url}/callback",
            key=signing_key(directory(self._systems, "participation"), algorithm),
            algorithm=algorithm,
            clock=self._clock,
        )
        pages = self._pages(
            "participation",
            welcome={"ja": "まちのことを、いっしょに決める", "en": "Decide together about your town"},
            asks={
                "ja": "会員都市の住民は、アンケートに一度ずつ投票し、会費を支払えます。",
                "en": "Residents of member cities vote once in each poll, and pay their town fee.",
            },
        )
        authority = self._addresses.url("authority")
        listed = listed_certificate(directory(self._systems, "authority"), authority, self._clock())
        desk = ProposalDesk(
            client,
            gateway=self._gateway,
            return_to=f"{url}{SIGNED}",
            authority=x509.load_pem_x509_certificate(listed),
            clock=self._clock,
        )
        return Participation(
            pages,
            client,
            desk,
            gateway=self._gateway,
            authority=Links(url=authority).issuing,
            clock=self._clock,
        ).application()

    def poll(self) -> web.Application:
        verifier = AssertionVerifier(issuer=self._gateway, audience=POLL_AUDIENCE, clock=self._clock)
        return Poll(directory(self._systems, "poll"), verifier, self._clock).application()

    def ledger(self) -> web.Application:
        verifier = AssertionVerifier(issuer=self._gateway, audience=LEDGER_AUDIENCE, clock=self._clock)
        return Ledger(directory(self._systems, "ledger"), verifier, self._clock).application()

    def council(self) -> web.Application:
        members = {
            code: Member(
                entity_id=member_entity_id(self._addresses, code),
                key=message_pair(member_directory(self._systems, code), f"Kakehashi demo {code}")[0],
                free=free,
            )
            for code, free in FREE_PLACES.items()
        }
        return Survey(
            self._face("council"),
            gateway=self._gateway,
            asker=members[ASKING],
            answering=CouncilMembers(members, gateway=self._gateway, clock=self._clock),
            clock=self._clock,
        ).application()

    def phone(self) -> web.Application:
        home = directory(self._systems, "phone")
        settings = Settings(
            gateway=self._gateway,
            authority=self._addresses.url("authority"),
            secret=enrolment_secret(self._systems),
        )
        settings.write(home)
        return Phone(self._face("phone"), Wallet(home, settings), self._clock).application()

    def authority(self) -> web.Application:
        authority = CertificateAuthority(
            directory(self._systems, "authority"),
            self._addresses.url("authority"),
            enrolment_secret(self._systems),
            self._clock,
        )
        return AuthoritySystem(self._face("authority"), authority, self._clock).application()

    def _saml_service(self, name: str, *, shown: Mapping[str, Texts], welcome: Texts, asks: Texts) -> web.Application:
        provider = saml_provider(name, self._systems, self._addresses)
        assert isinstance(provider, SamlServiceProvider)
        return SamlService(
            self._pages(name, welcome=welcome, asks=asks),
            provider,
            gateway=GatewayMetadata(f"{self._gateway}/saml/metadata", Role.SAML_IDENTITY_PROVIDER),
            shown=shown,
            own=saml_self(name, self._systems, self._addresses),
            clock=self._clock,
        ).application()

    def _pages(self, name: str, *, welcome: Texts, asks: Texts) -> ServicePages:
        return ServicePages(
            self._face(name), welcome=welcome, asks=asks, neighbours=self._neighbours(name), clock=self._clock
        )

    def _neighbours(self, name: str) -> tuple[Neighbour, ...]:
        notes: Mapping[str, Texts] = {
            "participation": {
                "ja": "アンケートに投票する、会費を支払う",
                "en": "Vote in the council’s polls, pay the town fee",
            },
            "gunma": {
                "ja": "確かな本人確認が必要な、オンライン手続き",
                "en": "Procedures that need a sound proof of identity",
            },
            "takasaki": {
                "ja": "名前と読みがなだけで作れる、貸出カード",
                "en": "A library card for a name and its reading",
            },
        }
        return tuple(
            Neighbour(name=FACES[other][0], url=f"{self._addresses.url(other)}/", note=note)
            for other, note in notes.items()
            if other != name
        )

    def _face(self, name: str) -> Face:
        title, kind, theme = FACES[name]
        return Face(name=name, title=title, kind=kind, theme=theme, url=self._addresses.url(name))
