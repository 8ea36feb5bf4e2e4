"""The council's proposal that residents sign on their phone: ordered at the gateway, fetched, looked into.

The gateway says that somebody signed, not who (docs/signing.md). So a container counts here only if it holds by the
authority's certificate, over this very text, and its certificate names whoever is signed in.
"""

import asyncio
import base64
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal

import aiohttp
from babel.dates import format_date, format_datetime
from cryptography import x509
from cryptography.x509.oid import NameOID

from federation.certificate import container, plain_text, subject
from federation.certificate.container import Anchors, ContainerRefusedError, Report
from federation.certificate.model import Wanted
from federation.certificate.timestamp import TimestampAuthority
from gateway.clock import Clock
from gateway.demo.authority_keys import CARD_POLICY, COUNTER_POLICY, TIMESTAMPS_POLICY
from gateway.demo.openid_client import OpenIdClient
from gateway.demo.peer import PeerError, ask, json_object
from gateway.demo.residents import Texts
from gateway.demo.service_pages import Fact
from gateway.demo.site import LONG_DATE

REQUESTS = "/signing/requests"
ID_SYSTEM = "maebashi-phone"
FORMAT = "cms"
CREATED = 201
OK = 200
NOT_FOUND = 404

JAPAN = timezone(timedelta(hours=9))

_TEXT: Mapping[str, tuple[str, str]] = {
    "ja": (
        "夜間バスの運行についての提案",
        """政策協議会 御中

夜間バスを、22時30分まで運行してください。
今の最終便は20時40分です。仕事や塾の帰りに間に合いません。

{date}
""",
    ),
    "en": (
        "Proposal on the night bus",
        """To the policy council

Please run the night bus until 22:30.
The last one leaves at 20:40 now, too early for those who come home from work or evening classes.

{date}
""",
    ),
}
"""Title and text. The braces are for the date."""

_MOMENT: Mapping[str, str] = {"ja": "y年M月d日 H時mm分ss秒（日本時間）", "en": "d MMMM y, HH:mm:ss '(Japan time)'"}

SIGNED: Texts = {
    "ja": "提案に署名しました。ありがとうございます。",
    "en": "You have signed the proposal. Thank you.",
}
UNANSWERED: Texts = {
    "ja": "今は、署名の受け付けにつながりません。何も届いていません。しばらく待って、もう一度ためしてください。",
    "en": "Signing is out of reach now, and nothing has come here. Please try again later.",
}
ANOTHER_PERSON: Texts = {
    "ja": "証明書の氏名が、ログインした人と違うので、署名は受け取らずに捨てました。ご自分の証明書で署名してください。",
    "en": "The certificate that signed names somebody other than who is signed in. The signature was thrown away. "
    "Please sign with your own certificate.",
}
NOT_BELIEVED: Texts = {
    "ja": "届いた署名を確かめられませんでした。受け取らずに捨てました。もう一度ためしてください。",
    "en": "The signature that came could not be verified, and was thrown away. Please try again.",
}
ENDED: Mapping[str, Texts] = {
    "declined": {
        "ja": "署名しませんでした。協議会には何も届いていません。いつでもやり直せます。",
        "en": "You did not sign. Nothing has come to the council. You can begin again whenever you like.",
    },
    "refused": {
        "ja": "確認コードを3回まちがえたので、署名を止めました。協議会には何も届いていません。はじめからやり直せます。",
        "en": "The code was wrong three times, so signing was stopped. Nothing has come to the council. "
        "You can begin again.",
    },
    "expired": {
        "ja": "時間がかかり、署名の受け付けが終わりました。協議会には何も届いていません。はじめからやり直せます。",
        "en": "The time for signing is over. Nothing has come to the council. You can begin again.",
    },
}
"""What the gateway's word for an end without a signature means to the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A text in one language, as it is shown and signed."""

    language: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A signed proposal that holds: the octets that anybody can verify, and what they say."""

    octets: bytes = field(repr=False)
    media_type: str
    facts: tuple[Fact, ...] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Signing:
    """A proposal that somebody was asked to sign: at the gateway's `page`, until there is a container.

    `asking` lets one ask at a time how it ended, since that is told once.
    """

    id: str = field(repr=False)
    page: str = field(repr=False)
    proposal: Proposal
    container: Container | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a signing ended, in plain words."""

    told: Texts
    good: bool = False


class AnotherPersonError(Exception):
    """The certificate names another person than the one who is signed in."""


def proposal(language: str, today: date) -> Proposal:
    """The proposal as it reads on that day."""
    title, text = _TEXT[language]
    day = format_date(today, LONG_DATE[language], locale=language)
    return Proposal(language=language, title=title, text=text.format(date=day))


class ProposalDesk:
    """Has the proposal signed by way of the gateway. `authority` is the certificate that signatures must lead to.

    In the demo one authority issues to residents and stamps the time; policies tell its certificates apart.
    """

    def __init__(
        self, client: OpenIdClient, *, gateway: str, return_to: str, authority: x509.Certificate, clock: Clock
    ) -> None:
        self._client = client
        self._gateway = gateway
        self._return_to = return_to
        self._clock = clock
        self._anchors = Anchors(
            persons=(authority,),
            timestamps=TimestampAuthority(url="", anchors=(authority,), policies=frozenset((TIMESTAMPS_POLICY,))),
            wanted=Wanted(policies=frozenset((CARD_POLICY, COUNTER_POLICY))),
        )

    def proposal(self, language: str) -> Proposal:
        """The proposal as it would be signed today, in Japan."""
        return proposal(language, self._clock().astimezone(JAPAN).date())

    async def order(self, http: aiohttp.ClientSession, language: str) -> Signing:
        """Ask the gateway to have it signed. Raises `PeerError`."""
        about = self.proposal(language)
        status, answer = await self._call(
            http,
            "POST",
            REQUESTS,
            json={
                "title": about.title,
                "text": about.text,
                "format": FORMAT,
                "id_system": ID_SYSTEM,
                "language": language,
                "return_to": self._return_to,
            },
        )
        signing_id, page = answer.get("id"), answer.get("page")
        if status != CREATED or not isinstance(signing_id, str) or not isinstance(page, str):
            raise PeerError(f"{REQUESTS}: {status} {answer.get('error', '')}")
        if not page.startswith(f"{self._gateway}/signing/"):
            raise PeerError(f"{REQUESTS}: the page is not the gateway's")
        return Signing(id=signing_id, page=page, proposal=about)

    async def learn(self, http: aiohttp.ClientSession, signing: Signing, name: str) -> Outcome | None:
        """How it ended, None if it has not; `name` is whose signature it should be. Raises `PeerError`.

        An end is told once: the gateway then keeps nothing of it, and `signing` has the container if there is one.
        """
        status, answer = await self._call(http, "GET", f"{REQUESTS}/{signing.id}")
        stage = "expired" if status == NOT_FOUND else answer.get("status")
        if stage == "open":
            return None
        if status not in (OK, NOT_FOUND) or stage not in ("signed", *ENDED):
            raise PeerError(f"{REQUESTS}: {status} {answer.get('error', '')}")
        outcome = await self._received(signing, answer, name) if stage == "signed" else Outcome(told=ENDED[stage])
        await self.forget(http, signing)
        return outcome

    async def forget(self, http: aiohttp.ClientSession, signing: Signing) -> None:
        """Let the gateway forget it; after a day it does so by itself."""
        try:
            await ask(http, "DELETE", f"{self._gateway}{REQUESTS}/{signing.id}", headers=self._headers())
        except PeerError:
            return

    async def _received(self, signing: Signing, answer: Mapping[str, Any], name: str) -> Outcome:
        try:
            octets = base64.b64decode(str(answer.get("container")), validate=True)
            signing.container = await asyncio.to_thread(self._checked, octets, signing.proposal, name)
        except AnotherPersonError:
            return Outcome(told=ANOTHER_PERSON)
        except (ContainerRefusedError, ValueError):
            return Outcome(told=NOT_BELIEVED)
        return Outcome(told=SIGNED, good=True)

    def _checked(self, octets: bytes, about: Proposal, name: str) -> Container:
        """Raises `ContainerRefusedError`, `AnotherPersonError`."""
        asked = plain_text.whole(about.text, title=about.title)
        report = container.check(octets, self._anchors, at=self._clock(), text=asked.encode())
        stated = subject.attributes(report.path.leaf).get("jpki.name", ())
        if [_spelled(each) for each in stated] != [_spelled(name)]:
            raise AnotherPersonError
        return Container(octets=octets, media_type=report.media_type, facts=_facts(stated[0], report))

    async def _call(
        self, http: aiohttp.ClientSession, method: Literal["GET", "POST"], path: str, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        status, body, _ = await ask(http, method, self._gateway + path, headers=self._headers(), **options)
        return status, json_object(body, self._gateway + REQUESTS)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._client.bearer()}


def _facts(name: str, report: Report) -> tuple[Fact, ...]:
    stamp = report.timestamp
    rows: tuple[tuple[Texts, str | Texts], ...] = (
        ({"ja": "署名した人", "en": "Signed by"}, name),
        ({"ja": "証明書を発行したところ", "en": "Certificate issued by"}, _title(report.path.certificates[1])),
        (
            {"ja": "署名した日時（スマートフォンの時計）", "en": "Signed at, by the phone’s clock"},
            _moment(report.claimed_at),
        ),
        ({"ja": "タイムスタンプの日時", "en": "Timestamp"}, _moment(stamp.at)),
        ({"ja": "タイムスタンプを付けたところ", "en": "Timestamp by"}, _title(stamp.path.leaf)),
    )
    return tuple(Fact(label=label, values=(value,)) for label, value in rows)


def _title(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _moment(at: datetime) -> Texts:
    return {
        language: format_datetime(at.astimezone(JAPAN), pattern, tzinfo=JAPAN, locale=language)
        for language, pattern in _MOMENT.items()
    }


def _spelled(name: str) -> str:
    """A name without its spaces, of which registers write narrow and wide ones."""
    return "".join(unicodedata.normalize("NFC", name).split())
