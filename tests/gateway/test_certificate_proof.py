"""Every certificate and answer that must not sign in, sent to a running gateway by a phone: each refused with its code.

The authority's responder and lists are servers that the gateway asks by itself; its standing is that of the list in
force. Rule by rule the same is shown in `tests/federation/certificate/`.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from cryptography import x509

from federation.certificate.connector import CertificateConnector
from federation.refusal import IdSystemNotTrusted
from tests.federation.certificate.authorities import (
    UNKNOWN_EXTENSION,
    Authority,
    Issued,
    duplicate_extension,
    name,
    unknown_extension,
)
from tests.federation.certificate.phone import Form, Phone

from .certificate_sample import Answered, Visitor, certificate_list, certificate_sample, fetched, sent
from .gateway_sample import Here, here
from .responders import Now, Responders, responding

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIST, DELTA = "/{}.crl", "/{}-delta.crl"
NAME = "Listed CA"
CLIENT_AUTH, SERVER_AUTH, OCSP_SIGNING = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.9"


def now() -> datetime:
    """To the second, as certificates and lists state it."""
    return datetime.now(UTC).replace(microsecond=0)


class Scene:
    """A gateway, the authority that its list names, and the authority's servers."""

    def __init__(self, gateway: Here, servers: Responders) -> None:
        self.gateway = gateway
        self.servers = servers
        self.authority = servers.authority
        self.part = 0

    def place(self, path: str) -> str:
        """Where a list is: elsewhere for each test, since what was fetched is remembered."""
        return path.format(self.part)

    def issue(self, by: Authority | None = None, **changes: Any) -> Issued:
        """A resident's certificate that is valid now and names the responder, unless `changes` say otherwise."""
        servers = {"ocsp_urls": (f"{self.servers.url}/ocsp",)}
        dates = {"not_before": now() - DAY, "not_after": now() + 30 * DAY}
        return (by or self.authority).issue("山田 花子", **{**servers, **dates, **changes})

    def on_lists(self, **changes: Any) -> Issued:
        """One of which only lists tell."""
        return self.issue(ocsp_urls=(), crl_urls=(self.servers.url + self.place(LIST),), **changes)

    def below(self, **changes: Any) -> Issued:
        """One of an authority below the listed one."""
        return self.issue(self.authority.subordinate("Below", **changes))

    def revoke(self, issued: Issued) -> Issued:
        """An hour ago."""
        self.authority.revoke(issued.certificate, now() - HOUR, x509.ReasonFlags.key_compromise)
        return issued

    def publish(self, path: str, **options: Any) -> None:
        """A list that counts for an hour."""
        times = {"at": now(), "next_update": now() + HOUR}
        self.servers.lists[self.place(path)] = self.authority.crl(**{**times, **options})


@asynccontextmanager
async def opened(directory: Path, store_url: str) -> AsyncIterator[Scene]:
    """One of them, which reads its list again when that changes."""
    authority, sample = Authority.root(NAME), certificate_sample(directory)
    sample.put_list(certificate_list(authority))
    async with responding(authority, Now(now())) as servers, here(sample, store_url, refreshes=True) as gateway:
        yield Scene(gateway, servers)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Scene]:
    """One for all of them."""
    async with opened(tmp_path_factory.mktemp("proof"), store_url) as found:
        yield found


@pytest.fixture(autouse=True)
def honest(scene: Scene) -> None:
    """Unless a test says otherwise."""
    scene.servers.manner = None
    scene.part += 1


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(scene: Scene) -> AsyncIterator[Visitor]:
    """Somebody's browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(gateway=scene.gateway, http=session)


async def request_of(visitor: Visitor) -> str:
    """The request behind the link of a sign-in that begins."""
    await visitor.begin()
    _, reference = await visitor.references()
    return await (await fetched(visitor.gateway, reference)).text()


def answer(request: str, issued: Issued, **how: Any) -> Form:
    """What a phone that holds the certificate posts."""
    return Phone(issued, at=datetime.now(UTC)).answer(request, **how)


def code(told: Answered) -> str:
    """With which it was refused."""
    assert 400 <= told.status < 500, told
    return str(told.body["code"])


async def test_a_good_certificate_signs_in(visitor: Visitor, scene: Scene) -> None:
    """So that nothing else refuses the others: by its responder, by lists, and with a purpose."""
    scene.publish(LIST)
    for issued in (scene.issue(), scene.on_lists(), scene.issue(extended_key_usages=(CLIENT_AUTH,))):
        assert (await sent(scene.gateway, answer(await request_of(visitor), issued))).status == 200


# --- certificates


def _by_list(scene: Scene) -> Issued:
    issued = scene.revoke(scene.on_lists())
    scene.publish(LIST)
    return issued


def _by_delta(scene: Scene) -> Issued:
    issued = scene.on_lists(freshest=(scene.servers.url + scene.place(DELTA),))
    scene.publish(LIST, number=10)
    scene.revoke(issued)
    scene.publish(DELTA, number=11, delta_of=10)
    return issued


def _saying(**options: Any) -> Callable[[Scene], Issued]:
    def made(scene: Scene) -> Issued:
        times = {"at": now(), "next_update": now() + HOUR}
        scene.servers.manner = lambda body: scene.authority.ocsp(body, **{**times, **options})
        return scene.issue()

    return made


def _over(scene: Scene) -> Issued:
    return _saying(at=now() - 2 * DAY, next_update=now() - DAY)(scene)


def _list_over(scene: Scene) -> Issued:
    scene.publish(LIST, at=now() - 2 * DAY, next_update=now() - DAY)
    return scene.on_lists()


FRANCE = x509.NameConstraints(permitted_subtrees=[x509.DirectoryName(name("C=FR"))], excluded_subtrees=None)

CERTIFICATES: dict[str, tuple[str, Callable[[Scene], Issued]]] = {
    "expired": ("expired", lambda scene: scene.issue(not_after=now() - HOUR)),
    "not yet valid": ("not-yet-valid", lambda scene: scene.issue(not_before=now() + HOUR)),
    "revoked, by its responder": ("revoked", lambda scene: scene.revoke(scene.issue())),
    "revoked, by a list": ("revoked", _by_list),
    "revoked, by a delta": ("revoked", _by_delta),
    "unknown to its responder": ("status-unknown", _saying(standing="unknown")),
    "a response that is over": ("status-unavailable", _over),
    "a list that is over": ("status-unavailable", _list_over),
    "another anchor": ("untrusted-issuer", lambda scene: scene.issue(Authority.root("Another"))),
    "another anchor of the same name": ("untrusted-issuer", lambda scene: scene.issue(Authority.root(NAME))),
    "name constraints": ("name-constraints", lambda scene: scene.below(name_constraints=FRANCE)),
    "path length": (
        "path-length",
        lambda scene: scene.issue(scene.authority.subordinate("A", path_length=0).subordinate("B")),
    ),
    "for servers": ("extended-key-usage", lambda scene: scene.issue(extended_key_usages=(SERVER_AUTH,))),
    "for OCSP": ("extended-key-usage", lambda scene: scene.issue(extended_key_usages=(OCSP_SIGNING,))),
    "for encryption": ("key-usage", lambda scene: scene.issue(key_usage=("key_encipherment",))),
    "a weak key": ("weak-key", lambda scene: scene.issue(key="rsa-1024")),
    "SHA-1": ("weak-algorithm", lambda scene: scene.issue(digest="sha1")),
    "an extension twice": ("certificate-malformed", lambda scene: scene.issue(surgery=duplicate_extension)),
    "an unknown critical extension": (
        "unknown-critical-extension",
        lambda scene: scene.issue(extensions=((unknown_extension(UNKNOWN_EXTENSION), True),)),
    ),
}


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_a_certificate_that_must_not_sign_in_is_refused_with_its_code(
    visitor: Visitor, scene: Scene, case: str
) -> None:
    """Its holder signed exactly the request; nobody goes on with it."""
    expected, issued = CERTIFICATES[case]
    form = answer(await request_of(visitor), issued(scene))

    assert code(await sent(scene.gateway, form)) == expected


async def test_the_right_anchor_under_a_withdrawn_service_is_refused(tmp_path: Path, store_url: str) -> None:
    """The list still has its certificate, and says that it counts no more: from then on, for those who wait, too."""
    async with (
        opened(tmp_path, store_url) as scene,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        visitor = Visitor(gateway=scene.gateway, http=http)
        form = answer(await request_of(visitor), scene.issue())
        scene.gateway.sample.put_list(certificate_list(scene.authority, sequence=2, status="withdrawn"))
        async with asyncio.timeout(60):
            while _counts(scene.gateway):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)

        assert code(await sent(scene.gateway, form)) == "authority-withdrawn"


def _counts(gateway: Here) -> bool:
    connector = gateway.process.gateway.region.connector("phone")
    assert isinstance(connector, CertificateConnector)
    try:
        connector.accepted(now())
    except IdSystemNotTrusted:
        return False
    return True


# --- answers


async def _replayed(visitor: Visitor, scene: Scene) -> Form:
    form = answer(await request_of(visitor), scene.issue())
    assert (await sent(scene.gateway, form)).status == 200
    return form


async def _replayed_for_another(visitor: Visitor, scene: Scene) -> Form:
    """The signature of one sign-in, posted as the answer to the next."""
    (_, used) = answer(await request_of(visitor), scene.issue())
    (state, _) = answer(await request_of(visitor), scene.issue())
    return [state, used]


async def _altered_request(visitor: Visitor, scene: Scene) -> Form:
    """The phone was shown another service, under the same nonce."""
    header, claims, signature = (await request_of(visitor)).split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    said["client_metadata"] = {"client_name": "evil"}
    altered = base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()
    return answer(f"{header}.{altered}.{signature}", scene.issue())


async def _altered_answer(visitor: Visitor, scene: Scene) -> Form:
    state, (field, token) = answer(await request_of(visitor), scene.issue())
    return [state, (field, token[:-8] + "AAAAAAAA")]


async def _other_audience(visitor: Visitor, scene: Scene) -> Form:
    return answer(
        await request_of(visitor), scene.issue(), members={"aud": "https://other.example/certificate/answers"}
    )


async def _unknown(visitor: Visitor, scene: Scene) -> Form:
    _, signed = answer(await request_of(visitor), scene.issue())
    return [("state", "x" * 43), signed]


ANSWERS: dict[str, tuple[str, Callable[[Visitor, Scene], Awaitable[Form]]]] = {
    "replayed": ("request-unknown", _replayed),
    "replayed for another request": ("nonce", _replayed_for_another),
    "to an altered request": ("request-altered", _altered_request),
    "altered": ("signature", _altered_answer),
    "meant for another gateway": ("audience", _other_audience),
    "to a request that is not ours": ("request-unknown", _unknown),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_that_is_not_to_our_request_is_refused_with_its_code(
    visitor: Visitor, scene: Scene, case: str
) -> None:
    """With a certificate against which nothing speaks."""
    expected, made = ANSWERS[case]

    assert code(await sent(scene.gateway, await made(visitor, scene))) == expected
