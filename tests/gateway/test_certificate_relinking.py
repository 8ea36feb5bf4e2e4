"""The same person after a renewal, through a running gateway: services know who comes back with another certificate."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.certificate import answer, relinking
from federation.certificate.model import CertificateRefusedError, Standing, Status, StatusQuestion
from federation.refusal import Unavailable
from gateway.app import public_app
from gateway.asking import drive
from gateway.outward import Outward
from observability.events import LoginEvent, LoginOutcome
from tests.federation.certificate.authorities import AT, POLICY, Authority, Issued
from tests.federation.certificate.phone import Phone, unurl
from tests.federation.certificate.sign_in_sample import ACCEPTED, ASKED

from .certificate_sample import ENTITY, Forgetful, Shown, Visitor, certificate_sample, fetched, issued, sent, signed
from .gateway_sample import CALLBACK, Here, here
from .responders import Now, knowing, responding

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "a service's secret"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
NEW_PAGE = re.compile(r"/certificate/[\w-]{43}/new")
PHONE_PAGE = re.compile(r"/certificate/[\w-]{43}")
DAY = timedelta(days=1)
TOO_LATE = {"standing": None, "why": "ocsp.example: ocsp-too-late"}


@dataclass
class Says(Forgetful):
    """What the authority says of single certificates; of all others, that they are good."""

    of: dict[int, Status] = field(default_factory=dict)

    async def status(self, question: StatusQuestion) -> Status:
        return self.of.get(question.certificate.serial_number, Status(standing=Standing.GOOD, source="ocsp"))

    def say(self, holder: Issued, **changes: Any) -> Issued:
        self.of[holder.certificate.serial_number] = Status(**changes)
        return holder


@pytest.fixture(scope="module")
def says() -> Says:
    """The authority."""
    return Says()


@asynccontextmanager
async def running(directory: Any, store_url: str, says: Says, **changes: Any) -> AsyncIterator[Here]:
    """A gateway whose municipality's issuer promises nothing."""
    sample = certificate_sample(directory)
    sample.write(
        "id-systems/phone.yaml",
        {
            "id": "phone",
            "kind": "certificate",
            "entity_id": ENTITY,
            "municipality": "102016",
            "name": {"ja": "前橋市", "en": "Maebashi City"},
            "reading": "まえばしし",
            "phone_url": "https://app.example/authorize",
            "subject": "key",
            "policies": [POLICY],
            "attributes": [{"to": "fullName", "from": ["subject.commonName"]}],
            "assurance": {"otherwise": {"identity": 2, "authentication": 2}},
            **changes,
        },
    )
    secret = hashlib.sha256(SECRET.encode()).hexdigest()
    sample.write("services/site.yaml", {**sample.service("site"), "client_secret_sha256": secret})
    async with here(
        sample, store_url, app=lambda process: public_app(replace(process.gateway, statuses=says))
    ) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str, says: Says) -> AsyncIterator[Here]:
    """One, in which a newer certificate ends those before it."""
    async with running(tmp_path_factory.mktemp("relinking"), store_url, says) as found:
        yield found


@asynccontextmanager
async def visiting(gateway: Here) -> AsyncIterator[Visitor]:
    """A browser of its own."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(gateway=gateway, http=session)


def certificate(subject: str = "山田 花子", *, age: float = 1, left: float = 300, **changes: Any) -> Issued:
    """A resident's certificate, issued `age` days ago, with `left` days to go (or over since as many)."""
    now = datetime.now(UTC)
    times = {"not_before": now - timedelta(days=age), "not_after": now + timedelta(days=left)}
    return issued(subject, **{**times, **changes})


async def shows(visitor: Visitor, holder: Issued, *, same_device: bool = False) -> Shown:
    """The phone of `holder` answers what the page asks, and the browser goes on."""
    across, here_ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, here_ if same_device else across, holder))
    assert told.status == 200, told.body
    if same_device:
        return await visitor.get(told.body["redirect_uri"])
    return await visitor.confirm(told.body["confirmation_code"])


async def begun(visitor: Visitor, holder: Issued, **how: Any) -> Shown:
    """A sign-in as far as the phone of `holder` leads."""
    await visitor.begin()
    return await shows(visitor, holder, **how)


async def decided(visitor: Visitor, asked: Shown, decision: str) -> Shown:
    """What the page with the question leads to."""
    assert NEW_PAGE.fullmatch(asked.location), asked.text
    page = await visitor.get(asked.location)
    assert page.status == 200
    return await visitor.post(asked.location, {"csrf": page.csrf(), "decision": decision})


async def asked_former(visitor: Visitor, holder: Issued) -> Shown:
    """A sign-in as far as the page that asks for the former certificate, which it answers."""
    there = await decided(visitor, await begun(visitor, holder), "renewed")
    assert PHONE_PAGE.fullmatch(there.location), there.text
    visitor.page = there.location
    return await visitor.get(visitor.page)


async def name_at_service(visitor: Visitor, on: Shown) -> str:
    """What the service calls the person in the end: the pairwise subject."""
    if not on.location.startswith(CALLBACK):
        consent = await visitor.get(on.location)
        assert consent.status == 200, on.text
        on = await visitor.post(on.location, {"csrf": consent.csrf(), "decision": "agree"})
    code = parse_qs(urlsplit(on.location).query)["code"][0]
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    words = urlencode({"x": SECRET})[2:]
    basic = base64.b64encode(f"https%3A%2F%2Fsite.example:{words}".encode()).decode()
    token = await visitor.post("/oidc/token", fields, headers={"Authorization": f"Basic {basic}"})
    assert token.status == 200, token.text
    return str(json.loads(unurl(json.loads(token.text)["id_token"].split(".")[1]))["sub"])


async def first_time(gateway: Here, holder: Issued) -> str:
    """Somebody's first sign-in; what the service calls them."""
    async with visiting(gateway) as visitor:
        return await name_at_service(visitor, await decided(visitor, await begun(visitor, holder), "first"))


async def again(gateway: Here, holder: Issued, **how: Any) -> str:
    """A later sign-in, at which nothing is asked."""
    async with visiting(gateway) as visitor:
        on = await begun(visitor, holder, **how)
        assert not NEW_PAGE.fullmatch(on.location)
        return await name_at_service(visitor, on)


async def renewed(gateway: Here, holder: Issued, former: Issued, **how: Any) -> str:
    """A sign-in with both certificates."""
    async with visiting(gateway) as visitor:
        await asked_former(visitor, holder)
        return await name_at_service(visitor, await shows(visitor, former, **how))


async def not_renewed(gateway: Here, holder: Issued, former: Issued) -> tuple[str, str]:
    """A sign-in with both that comes to nothing: the page, and the reason that is recorded."""
    async with visiting(gateway) as visitor:
        await asked_former(visitor, holder)
        page = await shows(visitor, former)
        event: LoginEvent = gateway.heard.of(LoginEvent)[-1]
        assert event.outcome is not LoginOutcome.GRANTED
        return page.text, event.reason or ""


async def refused_at_once(gateway: Here, holder: Issued, former: Issued) -> tuple[int, str, str]:
    """The phone with the former certificate is told no: status, code, and what the page says then."""
    async with visiting(gateway) as visitor:
        await asked_former(visitor, holder)
        across, _ = await visitor.references()
        told = await sent(gateway, await signed(gateway, across, former))
        return told.status, told.body["code"], (await visitor.get(visitor.page)).text


# --- once asked, always known


async def test_a_certificate_is_asked_about_once(gateway: Here) -> None:
    """The first time; then it is known, whichever way its phone answers."""
    hanako = certificate()

    name = await first_time(gateway, hanako)

    assert [await again(gateway, hanako), await again(gateway, hanako, same_device=True)] == [name, name]


async def test_two_people_are_two(gateway: Here) -> None:
    """Of the same name, too."""
    assert await first_time(gateway, certificate()) != await first_time(gateway, certificate())


async def test_where_the_issuer_promises_a_field_nobody_is_asked(
    tmp_path_factory: pytest.TempPathFactory, store_url: str, says: Says
) -> None:
    """The renewed certificate is the same person's by that field."""
    async with running(tmp_path_factory.mktemp("field"), store_url, says, subject="subject.commonName") as gateway:
        name = await again(gateway, certificate("高橋 花子", age=20))

        assert await again(gateway, certificate("高橋 花子", age=1)) == name


# --- renewed


@pytest.mark.parametrize("same_device", [False, True])
async def test_who_shows_both_certificates_stays_the_same_person(gateway: Here, *, same_device: bool) -> None:
    """To the service, and without being asked again."""
    former, new = certificate(age=300), certificate(age=1)
    name = await first_time(gateway, former)

    assert await renewed(gateway, new, former, same_device=same_device) == name
    assert await again(gateway, new) == name


async def test_certificates_may_follow_one_another(gateway: Here) -> None:
    """Each one shows the one before it; all lead to the first."""
    first, second, third = certificate(age=300), certificate(age=200), certificate(age=1)
    name = await first_time(gateway, first)

    assert await renewed(gateway, second, first) == name
    assert await renewed(gateway, third, second) == name


async def test_the_former_certificate_may_be_over(gateway: Here, says: Says) -> None:
    """It signed in while it was in force; its issuer says nothing of it any more."""
    key = certificate(age=390).key
    before, over = certificate(age=390, key=key), certificate(age=390, left=-20, key=key)
    name = await first_time(gateway, before)
    says.say(over, **TOO_LATE)

    assert await renewed(gateway, certificate(), over) == name


async def test_not_by_more_than_400_days(gateway: Here, says: Says) -> None:
    """Its phone is told, and the person what to do."""
    key = certificate().key
    await first_time(gateway, certificate(age=390, key=key))
    over = says.say(certificate(age=900, left=-401, key=key), **TOO_LATE)

    status, code, page = await refused_at_once(gateway, certificate(), over)

    assert (status, code) == (403, "expired")
    assert "cannot show any more that you are the same person" in page
    assert "counter" in page


@pytest.mark.parametrize("reason", ["superseded", "cessationOfOperation", "affiliationChanged"])
async def test_the_former_certificate_may_be_revoked_as_renewals_do(gateway: Here, says: Says, reason: str) -> None:
    """Nothing is said against its key."""
    former = certificate(age=300)
    name = await first_time(gateway, former)
    says.say(former, standing=Standing.REVOKED, reason=reason)

    assert await renewed(gateway, certificate(), former) == name


@pytest.mark.parametrize("reason", ["keyCompromise", "certificateHold", "privilegeWithdrawn", "unspecified", None])
async def test_a_stolen_former_certificate_shows_nothing(gateway: Here, says: Says, reason: str | None) -> None:
    """Nor one of which nobody knows why it was revoked; the person stays who they were."""
    former, thief = certificate(age=300), certificate()
    await first_time(gateway, former)
    says.say(former, standing=Standing.REVOKED, reason=reason)

    status, code, page = await refused_at_once(gateway, thief, former)

    assert (status, code) == (403, "revoked")
    assert "cannot show any more" in page
    async with visiting(gateway) as visitor:
        assert NEW_PAGE.fullmatch((await begun(visitor, thief)).location)  # nothing was written


async def test_a_revoked_certificate_signs_in_nobody_by_itself(gateway: Here, says: Says) -> None:
    """What is excused of a former certificate is excused of no other."""
    former = certificate(age=300)
    await first_time(gateway, former)
    says.say(former, standing=Standing.REVOKED, reason="superseded")
    async with visiting(gateway) as visitor:
        await visitor.begin()
        across, _ = await visitor.references()

        told = await sent(gateway, await signed(gateway, across, former))

    assert (told.status, told.body["code"]) == (403, "revoked")


@pytest.mark.parametrize("by", ["responder", "list"])
@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("silent", None),
        ("superseded", None),
        ("keyCompromise", "revoked"),
        ("certificateHold", "revoked"),
        (None, "revoked"),
        ("nobody there", "status-unavailable"),
    ],
)
async def test_of_what_is_over_a_real_issuer_is_asked(by: str, reason: str | None, code: str | None) -> None:
    """Its silence is enough, its word counts, and one that cannot be reached is no silence."""
    now, authority = Now(), Authority.root("Issuing")
    outward = Outward(seconds=5, size=2**20)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(outward.close)
        servers = await stack.enter_async_context(responding(authority, now))
        statuses = await stack.enter_async_context(knowing(now))
        former = servers.issue(not_after=AT - DAY, ocsp=by == "responder", lists=("/0.crl",) if by == "list" else ())
        if reason == "nobody there":
            servers.manner = lambda _: web.Response(status=500)
        elif reason != "silent":
            authority.revoke(former.certificate, AT - 2 * DAY, None if reason is None else x509.ReasonFlags(reason))
        if reason != "nobody there":
            servers.lists["/0.crl"] = authority.crl()
        posted = answer.read(Phone(former).answer(ASKED.jwt))
        accepted = replace(ACCEPTED, subject="key", anchors=(authority.certificate,))
        asking = relinking.verify_former(posted, ASKED, accepted, AT)
        if code is None:
            found = await drive(asking, outward=outward, statuses=statuses)
            assert found.path.leaf == former.certificate
            return
        with pytest.raises(CertificateRefusedError) as why:
            await drive(asking, outward=outward, statuses=statuses)
        assert why.value.code == code


# --- not the same person


async def test_another_persons_former_certificate_is_refused(gateway: Here) -> None:
    """A family's phones."""
    former, new = certificate("山田 太郎", age=300), certificate("山田 花子")
    name = await first_time(gateway, former)

    page, reason = await not_renewed(gateway, new, former)

    assert reason == "certificate-former-other"
    assert "not those of your family" in page
    assert await first_time(gateway, new) != name


async def test_a_certificate_that_was_never_used_here_shows_nothing(gateway: Here) -> None:
    """There is no person to stay. Nor is the new certificate its own former one."""
    new = certificate()

    assert (await not_renewed(gateway, new, certificate(age=300)))[1] == "certificate-former-unknown"
    assert (await not_renewed(gateway, new, new))[1] == "certificate-former-unknown"


async def test_a_known_person_cannot_become_another_one(gateway: Here) -> None:
    """Two people are never merged: a known certificate is not asked about, whatever is posted."""
    one, two = certificate(age=300), certificate(age=1)
    first, second = await first_time(gateway, one), await first_time(gateway, two)

    assert first != second
    assert [await again(gateway, two)] == [second]


async def test_of_two_windows_the_first_one_counts(gateway: Here) -> None:
    """A person who says both is who they said first."""
    former, new = certificate(age=300), certificate()
    await first_time(gateway, former)
    async with visiting(gateway) as one, visiting(gateway) as other:
        await asked_former(one, new)
        fresh = await decided(other, await begun(other, new), "first")
        name = await name_at_service(other, fresh)

        assert await name_at_service(one, await shows(one, former)) == name


async def test_a_certificate_that_was_replaced_speaks_for_nobody(gateway: Here) -> None:
    """The one after it does: who finds an old phone cannot go on with it as its person."""
    first, second, third = certificate(age=300), certificate(age=200), certificate(age=1)
    await first_time(gateway, first)
    await renewed(gateway, second, first)

    page, reason = await not_renewed(gateway, third, first)

    assert reason == "certificate-revoked"
    assert "If you have a newer certificate, use that one" in page


async def test_the_older_of_two_is_not_the_new_one(gateway: Here) -> None:
    """It would be replaced at once."""
    older, newer = certificate(age=300), certificate(age=1)
    await first_time(gateway, newer)

    assert (await not_renewed(gateway, older, newer))[1] == "certificate-former-unknown"


async def test_where_certificates_stand_side_by_side_both_are_one_persons(
    tmp_path_factory: pytest.TempPathFactory, store_url: str, says: Says
) -> None:
    """`reissue: adds`: the one with which a person began goes on to count."""
    async with running(tmp_path_factory.mktemp("adds"), store_url, says, reissue="adds") as gateway:
        phone, card = certificate(age=1), certificate(age=300)
        name = await first_time(gateway, phone)

        assert await renewed(gateway, card, phone) == name
        assert [await again(gateway, card), await again(gateway, phone)] == [name, name]


# --- the browser and the phone


async def test_the_phone_says_what_the_former_certificate_is_for(gateway: Here) -> None:
    """A request of its own, that asks for nothing else; the first one is over."""
    async with visiting(gateway) as visitor:
        await visitor.begin()
        old = await visitor.references()
        page = await decided(visitor, await shows(visitor, certificate()), "renewed")
        visitor.page = page.location
        across, here_ = await visitor.references()
        jwt = await (await fetched(gateway, across)).text()

        claims = json.loads(unurl(jwt.split(".")[1]))
        assert claims["purpose"] == relinking.PURPOSE
        assert claims["attributes"] == []
        assert claims["client_metadata"]["client_name"] == "site"
        assert len({*old, across, here_}) == 4
        assert [(await fetched(gateway, each)).status for each in old] == [404, 404]


async def test_another_browser_sees_and_decides_nothing(gateway: Here) -> None:
    """Neither the question, nor the page for the former certificate."""
    async with visiting(gateway) as visitor, visiting(gateway) as stranger:
        asked = await begun(visitor, certificate())
        page = await visitor.get(asked.location)
        seen = await stranger.get(asked.location)
        posted = await stranger.post(asked.location, {"csrf": page.csrf(), "decision": "first"})
        assert (seen.status, posted.status) == (403, 403)
        there = await decided(visitor, asked, "renewed")
        assert (await stranger.get(there.location)).status == 403
        assert (await stranger.get(there.location + "/new")).status == 403


async def test_what_the_page_does_not_offer_does_nothing(gateway: Here) -> None:
    """No token, another decision, a handle of something else."""
    async with visiting(gateway) as visitor:
        asked = await begun(visitor, certificate())
        token = (await visitor.get(asked.location)).csrf()
        assert (await visitor.post(asked.location, {"decision": "first"})).status == 403
        for decision in ("", "lost", "agree", "FIRST"):
            assert (await visitor.post(asked.location, {"csrf": token, "decision": decision})).status == 400
        assert (await visitor.get(asked.location)).status == 200
        await visitor.begin()
        assert "no longer open" in (await visitor.get(visitor.page + "/new")).text


async def test_a_decision_is_taken_once(gateway: Here) -> None:
    """Pressed twice, it is one sign-in; and not both of two."""
    async with visiting(gateway) as visitor:
        asked = await begun(visitor, certificate())
        token = (await visitor.get(asked.location)).csrf()

        found = await asyncio.gather(
            *(visitor.post(asked.location, {"csrf": token, "decision": each}) for each in ("first", "renewed") * 2)
        )

    assert sum(each.status == 303 for each in found) == 1
    assert sum("no longer open" in each.text for each in found) == 3


async def test_who_is_asked_for_the_former_certificate_is_not_yet_anybody(gateway: Here) -> None:
    """The other decision, pressed too late, writes nothing."""
    former, new = certificate(age=300), certificate()
    name = await first_time(gateway, former)
    async with visiting(gateway) as visitor:
        asked = await begun(visitor, new)
        token = (await visitor.get(asked.location)).csrf()
        there = await decided(visitor, asked, "renewed")
        late = await visitor.post(asked.location, {"csrf": token, "decision": "first"})
        visitor.page = there.location

        assert "no longer open" in late.text
        assert await name_at_service(visitor, await shows(visitor, former)) == name


async def test_an_answer_of_the_first_request_is_none_to_the_second(gateway: Here) -> None:
    """Replayed as it is, or under the other's state."""
    former = certificate(age=300)
    await first_time(gateway, former)
    async with visiting(gateway) as visitor:
        await visitor.begin()
        across, _ = await visitor.references()
        used = dict(await signed(gateway, across, former))
        there = await decided(visitor, await shows(visitor, certificate()), "renewed")
        visitor.page = there.location
        second, _ = await visitor.references()

        found = [await sent(gateway, used), await sent(gateway, {**used, "state": second})]

        assert [(each.status, each.body["code"]) for each in found] == [(400, "request-unknown"), (400, "nonce")]
        assert await name_at_service(visitor, await shows(visitor, former))


async def test_the_code_of_the_second_answer_is_typed_in_the_browser(gateway: Here) -> None:
    """Three wrong ones end it, as at every sign-in; nothing is linked."""
    former, new = certificate(age=300), certificate()
    await first_time(gateway, former)
    async with visiting(gateway) as visitor:
        await asked_former(visitor, new)
        across, _ = await visitor.references()
        told = await sent(gateway, await signed(gateway, across, former))
        code = told.body["confirmation_code"]
        wrong = f"{(int(code) + 1) % 10**6:06}"
        for _ in range(3):
            last = await visitor.confirm(wrong)
        assert "wrong too often" in last.text
        assert NEW_PAGE.fullmatch((await begun(visitor, new)).location)


async def test_who_lost_the_former_certificate_goes_on_as_a_new_person(gateway: Here) -> None:
    """Told first what that means, and whom to ask."""
    async with visiting(gateway) as visitor:
        page = await asked_former(visitor, certificate())
        back = await visitor.post(visitor.page + "/new", {"csrf": page.csrf(), "decision": "lost"})
        told = await visitor.get(back.location)
        assert re.search(r'<details class="help" open>\s*<summary>I no longer have the former', told.text)
        assert "the counter of Maebashi City" in told.text
        assert "no longer open" in (await visitor.get(visitor.page)).text
        assert await name_at_service(visitor, await decided(visitor, back, "first"))


@pytest.mark.parametrize("where", ["question", "former"])
async def test_who_stops_goes_back_to_the_service(gateway: Here, where: str) -> None:
    """With a denial, from both pages."""
    async with visiting(gateway) as visitor:
        if where == "question":
            back = await decided(visitor, await begun(visitor, certificate()), "stop")
        else:
            page = await asked_former(visitor, certificate())
            back = await visitor.post(visitor.page + "/cancel", {"csrf": page.csrf()})

    assert back.location.startswith(CALLBACK)
    assert parse_qs(urlsplit(back.location).query)["error"] == ["access_denied"]


async def test_everything_works_without_javascript(gateway: Here) -> None:
    """Forms and links alone; the page that waits refreshes itself, and can be stopped."""
    async with visiting(gateway) as visitor:
        page = await asked_former(visitor, certificate())
        assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page.text
        assert "http-equiv" not in (await visitor.get(visitor.page + "?paused=1")).text
        assert "Now with your former certificate" in page.text
        assert (await visitor.get(visitor.page + "/new")).location == visitor.page


# --- what is kept


async def test_nothing_that_is_kept_can_be_read_or_moved(gateway: Here) -> None:
    """Neither key nor name of a person; what somebody else wrote there makes nobody another person."""
    holder = certificate()
    store = gateway.process.gateway.store
    spki = holder.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    subject = "key:" + base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode()
    await first_time(gateway, holder)
    name = store._certificate_person(ENTITY, subject)

    (content,) = await store._send(("GET", name))
    assert subject[4:].encode() not in content
    assert subject[4:] not in name
    assert await store._send(("PTTL", name)) == [-1]

    await store._send(("SET", store._certificate_person(ENTITY, "key:other"), content))
    with pytest.raises(Unavailable):
        await store.certificate_person(ENTITY, "key:other")
    with pytest.raises(Unavailable):
        await store.keep_certificate_person(ENTITY, "key:other", "key:other")


async def test_of_two_who_keep_at_once_one_counts(gateway: Here) -> None:
    """And both learn whose it is."""
    store = gateway.process.gateway.store
    found = await asyncio.gather(
        *(store.keep_certificate_person(ENTITY, "key:of-two", f"key:{number}") for number in range(8))
    )

    assert len(set(found)) == 1
    assert await store.certificate_person(ENTITY, "key:of-two") == found[0]
    assert await store.certificate_person("urn:example:another", "key:of-two") is None
