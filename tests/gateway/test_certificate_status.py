"""Asking issuers about revocations: real servers, honest, broken and hostile, and how seldom they are asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509

from federation.certificate import ocsp
from federation.certificate.model import Standing, Status
from gateway import certificate_status
from gateway.certificate_status import CertificateStatuses, Pace
from tests.federation.certificate.authorities import AT, Issued, Region
from tests.gateway.responders import QUICK, Now, Responders, knowing, responding

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIST, PART, DELTA = "/0.crl", "/1.crl", "/0-delta.crl"
COMPROMISE = x509.ReasonFlags.key_compromise


class Scene:
    """An authority, its servers, a gateway that knows nothing yet, and the time."""

    def __init__(self, region: Region, now: Now, servers: Responders, statuses: CertificateStatuses) -> None:
        self.region = region
        self.authority = region.issuing
        self.now = now
        self.servers = servers
        self.statuses = statuses

    async def ask(self, issued: Issued, **policy: Any) -> Status:
        """What is known of a certificate."""
        return await self.statuses.status(self.servers.question(issued, **policy))

    @property
    def asked(self) -> int:
        """How often the responder was."""
        return self.servers.asked["/ocsp"]

    def publish(self, path: str = LIST, **options: Any) -> None:
        """A new list."""
        self.servers.lists[path] = self.authority.crl(**{"at": self.now(), **options})

    def revoke(self, issued: Issued, reason: x509.ReasonFlags | None = COMPROMISE) -> None:
        """Now."""
        self.authority.revoke(issued.certificate, self.now(), reason)


Opened = Callable[..., Any]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Opens scenes."""
    async with AsyncExitStack() as stack:

        async def open_scene(**options: Any) -> Scene:
            region, now = Region(), Now()
            servers = await stack.enter_async_context(responding(region.issuing, now))
            statuses = await stack.enter_async_context(knowing(now, **options))
            return Scene(region, now, servers, statuses)

        yield open_scene


@pytest.fixture
async def scene(opened: Opened) -> Scene:
    """The usual one."""
    made: Scene = await opened()
    return made


# --- once


async def test_many_who_wait_are_one_question(scene: Scene) -> None:
    """One fetch however many wait; and nobody who gives up ends it for the others."""
    issued = scene.servers.issue()
    scene.servers.pause = 0.1
    waiting = [asyncio.create_task(scene.ask(issued)) for _ in range(200)]
    await asyncio.sleep(0.02)
    waiting[0].cancel()
    answers = await asyncio.gather(*waiting[1:])
    assert {answer.standing for answer in answers} == {Standing.GOOD}
    assert scene.asked == 1


async def test_many_people_share_one_list(scene: Scene) -> None:
    """A list is fetched once for everybody who may be on it, and read once."""
    people = [scene.servers.issue(f"{number}", ocsp=False, lists=(LIST,)) for number in range(30)]
    scene.revoke(people[7])
    scene.publish()
    scene.servers.pause = 0.1
    answers = await asyncio.gather(*map(scene.ask, people))
    assert [answer.standing is Standing.REVOKED for answer in answers] == [number == 7 for number in range(30)]
    assert scene.servers.asked[LIST] == 1


async def test_an_answer_counts_until_its_next_update(scene: Scene) -> None:
    """Nobody is asked meanwhile, and somebody is afterwards."""
    issued = scene.servers.issue()
    first = await scene.ask(issued)
    assert (first.standing, first.source, first.next_update) == (Standing.GOOD, "ocsp", AT + HOUR)
    scene.now.passes(59 * MINUTE)
    assert await scene.ask(issued) == first
    assert scene.asked == 1
    scene.revoke(issued)
    scene.now.passes(2 * MINUTE)
    found = await scene.ask(issued)
    assert (found.standing, found.reason) == (Standing.REVOKED, "keyCompromise")
    assert scene.asked == 2


async def test_fresher_answers_may_be_wanted(scene: Scene) -> None:
    """An older one is asked for again, even before its nextUpdate; and counts, if nobody answers."""
    issued = scene.servers.issue()
    await scene.ask(issued)
    scene.now.passes(5 * MINUTE)
    assert (await scene.ask(issued, fresh_within=10 * MINUTE)).this_update == AT
    scene.servers.manner = lambda _: web.Response(status=503)
    assert (await scene.ask(issued, fresh_within=MINUTE)).this_update == AT
    assert scene.asked == 2
    scene.servers.manner = None
    scene.now.passes(MINUTE)
    assert (await scene.ask(issued, fresh_within=MINUTE)).this_update == AT + 6 * MINUTE


async def test_what_is_used_is_renewed_in_time(scene: Scene) -> None:
    """After 80 % of its life, in the background; what nobody used since is not."""
    issued = scene.servers.issue()
    await scene.ask(issued)
    scene.now.passes(47 * MINUTE)
    await looked(scene)
    assert scene.asked == 1
    scene.now.passes(2 * MINUTE)
    await looked(scene)
    assert scene.asked == 2
    scene.now.passes(30 * MINUTE)
    assert (await scene.ask(issued)).this_update == AT + 49 * MINUTE
    assert scene.asked == 2
    scene.now.passes(20 * MINUTE)
    await looked(scene)
    assert scene.asked == 3, "it was used"
    scene.now.passes(50 * MINUTE)
    await looked(scene)
    assert scene.asked == 3, "it was not used since"


async def looked(scene: Scene) -> None:
    """One look of the renewal, and what it began."""
    scene.statuses.look()
    await scene.statuses.settle()


async def test_renewal_works_by_itself(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background task of a process, until it is cancelled."""
    monkeypatch.setattr(certificate_status, "LOOK_SECONDS", 0.01)
    scene = await opened()
    await scene.ask(scene.servers.issue())
    again = asyncio.Event()

    def answer(body: bytes) -> bytes:
        again.set()
        return scene.servers.honest(body)

    scene.servers.manner = answer
    running = asyncio.create_task(scene.statuses.run())
    scene.now.passes(50 * MINUTE)
    async with asyncio.timeout(20):
        await again.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_list_is_renewed_too(scene: Scene) -> None:
    """Only its validators go there while it is the same; who is on a newer one is revoked at once."""
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    scene.publish()
    assert (await scene.ask(issued)).standing is Standing.GOOD
    scene.now.passes(20 * HOUR)
    await looked(scene)
    assert (scene.servers.asked[LIST], scene.servers.conditional) == (2, 1)
    assert (await scene.ask(issued)).standing is Standing.GOOD
    scene.revoke(issued)
    scene.publish()
    scene.now.passes(4 * HOUR - MINUTE)
    await looked(scene)
    assert (await scene.ask(issued)).standing is Standing.REVOKED
    assert scene.servers.asked[LIST] == 3


async def test_the_unknown_are_asked_about_again_soon(scene: Scene) -> None:
    """A certificate may have been issued a moment ago; until then nobody is hammered."""
    issued = scene.servers.issue()
    scene.servers.manner = lambda body: scene.servers.honest(body, standing="unknown")
    assert (await scene.ask(issued)).standing is Standing.UNKNOWN
    assert (await scene.ask(issued)).standing is Standing.UNKNOWN
    assert scene.asked == 1
    scene.servers.manner = None
    scene.now.passes(timedelta(seconds=31))
    assert (await scene.ask(issued)).standing is Standing.GOOD


async def test_what_is_remembered_is_bounded(opened: Opened) -> None:
    """What was not used for longest goes first."""
    scene = await opened(most_answers=3)
    people = [scene.servers.issue(f"{number}") for number in range(5)]
    for each in people:
        await scene.ask(each)
    await scene.ask(people[4])
    assert scene.asked == 5
    await scene.ask(people[0])
    assert scene.asked == 6
    small = await opened(most_octets=1000)
    issued = small.servers.issue(ocsp=False, lists=(LIST,))
    small.authority.revoked.update({each.certificate.serial_number: _revoked(each) for each in people * 10})
    small.publish()
    assert (await small.ask(issued)).standing is Standing.GOOD, "though nothing can be kept"


def _revoked(issued: Issued) -> Any:
    region = Region()
    region.issuing.revoke(issued.certificate, AT - DAY)
    return region.issuing.revoked[issued.certificate.serial_number]


# --- broken, hostile

HOSTILE: dict[str, Callable[[Scene], Callable[[bytes], Any]]] = {
    "status": lambda _: lambda _: web.Response(status=500),
    "nothing": lambda _: lambda _: b"",
    "garbage": lambda _: lambda _: b"\x30\x82\xff\xff" * 100,
    "huge": lambda _: lambda _: bytes(ocsp.MAX_RESPONSE + 1),
    "redirect": lambda scene: lambda _: web.Response(status=307, headers={"Location": f"{scene.servers.url}/ocsp"}),
    "hangs": lambda _: lambda _: _hang(),
    "try later": lambda scene: lambda body: scene.servers.honest(body, status="try_later"),
    "wrong signer": lambda scene: lambda body: scene.servers.honest(body, signed_by=scene.region.root.key),
    "wrong nonce": lambda scene: lambda body: scene.servers.honest(body, nonce=b"x" * 32),
    "old": lambda scene: lambda body: scene.authority.ocsp(body, scene.now() - DAY, nonce=None),
    "of another": lambda scene: lambda _: scene.authority.ocsp(scene.authority.issue().certificate),
    "compressed": lambda _: lambda _: web.Response(body=b"", headers={"Content-Encoding": "gzip"}),
}


async def _hang() -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


@pytest.mark.parametrize("case", HOSTILE)
async def test_who_cannot_be_believed_is_not(opened: Opened, case: str) -> None:
    """Nothing is learned, and is said; the list is asked instead, if there is one."""
    scene = await opened(pace=QUICK if case == "hangs" else None)
    scene.servers.manner = HOSTILE[case](scene)
    found = await scene.ask(scene.servers.issue())
    assert found.standing is None
    assert found.why.startswith("127.0.0.1: ")
    scene.publish()
    found = await scene.ask(scene.servers.issue(lists=(LIST,)))
    assert (found.standing, found.source) == (Standing.GOOD, "crl")


async def test_a_replayed_answer_does_not_take_the_place_of_a_newer_one(scene: Scene) -> None:
    """A response without a nonce from before the revocation, still within its time."""
    issued = scene.servers.issue()
    kept = scene.authority.ocsp(issued.certificate, AT, AT + DAY)
    scene.now.passes(HOUR)
    scene.revoke(issued)
    assert (await scene.ask(issued)).standing is Standing.REVOKED
    scene.servers.manner = lambda _: kept
    scene.now.passes(10 * MINUTE)
    assert (await scene.ask(issued, fresh_within=MINUTE)).standing is Standing.REVOKED


@pytest.mark.parametrize("order", list(permutations(["good", "revoked", "unknown"])))
async def test_an_answer_of_the_same_moment_does_not_take_a_revocation_back(
    scene: Scene, order: tuple[str, ...]
) -> None:
    """A responder that counts in hours says several things of one moment: the others are from before the revocation."""
    issued = scene.servers.issue()
    for standing in order:
        answer = scene.authority.ocsp(issued.certificate, AT, AT + DAY, standing=standing)
        scene.servers.manner = lambda _, answer=answer: answer
        found = await scene.ask(issued, fresh_within=MINUTE)
        scene.now.passes(10 * MINUTE)
    assert found.standing is Standing.REVOKED


async def test_a_list_of_the_same_moment_does_not_take_a_revocation_back(scene: Scene) -> None:
    """Two lists of one second and one number: the one that names nobody is from before the revocation."""
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    good = scene.authority.crl(AT, next_update=AT + DAY, number=7)
    scene.revoke(issued)
    revoked = scene.authority.crl(AT, next_update=AT + DAY, number=7)
    for listed in (good, revoked, good):
        scene.servers.lists[LIST] = listed
        found = await scene.ask(issued, fresh_within=MINUTE)
        scene.now.passes(10 * MINUTE)
    assert found.standing is Standing.REVOKED


async def test_an_older_list_does_not_take_the_place_of_a_newer_one(scene: Scene) -> None:
    """Nor does one that is as it was before somebody was revoked."""
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    scene.publish()
    old = scene.servers.lists[LIST]
    scene.now.passes(HOUR)
    scene.revoke(issued)
    scene.publish()
    assert (await scene.ask(issued)).standing is Standing.REVOKED
    scene.servers.lists[LIST] = old
    scene.now.passes(HOUR)
    assert (await scene.ask(issued, fresh_within=MINUTE)).standing is Standing.REVOKED


@pytest.mark.parametrize("manner", ["closed", "silent"])
async def test_a_dead_responder_is_left_alone(opened: Opened, manner: str) -> None:
    """For half a minute, whoever is asked about; then it may be alive again."""
    scene = await opened(pace=QUICK if manner == "silent" else None)
    scene.servers.manner = lambda _: web.Response(status=500) if manner == "closed" else _hang()
    people = [scene.servers.issue(f"{number}") for number in range(20)]
    for each in people:
        assert (await scene.ask(each)).standing is None
    assert scene.asked == 1
    scene.servers.manner = None
    scene.now.passes(timedelta(seconds=31))
    assert (await scene.ask(people[0])).standing is Standing.GOOD


async def test_stale_answers_count_as_the_policy_says(opened: Opened) -> None:
    """Hard: not at all. Soft: within bounds, marked."""
    scene = await opened()
    issued = scene.servers.issue()
    await scene.ask(issued)
    scene.servers.manner = lambda _: web.Response(status=500)
    scene.now.passes(3 * HOUR)
    assert (await scene.ask(issued)).standing is None
    soft = await scene.ask(issued, hard=False, stale=3 * HOUR)
    assert (soft.standing, soft.stale) == (Standing.GOOD, True)
    assert (await scene.ask(issued, hard=False, stale=HOUR)).standing is None
    scene.now.passes(HOUR)
    assert (await scene.ask(issued, hard=False, stale=3 * HOUR)).standing is None


async def test_stale_lists_count_as_the_policy_says(opened: Opened) -> None:
    """The same of lists: the issuer published none since."""
    scene = await opened()
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    scene.publish()
    policy = {"hard": False, "stale": DAY}
    assert not (await scene.ask(issued, **policy)).stale
    scene.now.passes(30 * HOUR)
    found = await scene.ask(issued, **policy)
    assert (found.standing, found.stale) == (Standing.GOOD, True)
    assert (await scene.ask(issued)).standing is None
    scene.now.passes(30 * HOUR)
    assert (await scene.ask(issued, **policy)).standing is None


async def test_a_certificate_without_sources(scene: Scene) -> None:
    """Nothing can be learned of it, and nobody is asked."""
    found = await scene.ask(scene.servers.issue(ocsp=False))
    assert (found.standing, found.why) == (None, "the certificate names nobody who could be asked")


async def test_issuers_cannot_send_us_to_this_machine(opened: Opened) -> None:
    """Where the gateway itself is not on it alone."""
    scene = await opened(beyond="https://login.example.jp")
    scene.publish()
    found = await scene.ask(scene.servers.issue(lists=(LIST,)))
    assert found.standing is None
    assert "private-address" in found.why
    assert not scene.servers.asked


async def test_issuers_cannot_send_us_into_private_networks(scene: Scene) -> None:
    """By number or by name; nor to schemes other than http and https."""
    for url in ("http://10.0.0.1/ocsp", "http://169.254.169.254/", "http://[fd00:ec2::254]/ocsp"):
        issued = scene.authority.issue(ocsp_urls=(url,))
        assert "private-address" in (await scene.ask(issued)).why


# --- lists


async def test_a_list_is_the_fallback(scene: Scene) -> None:
    """Where the responder fails, who is on the list is revoked."""
    issued = scene.servers.issue(lists=(LIST,))
    scene.servers.manner = lambda _: web.Response(status=500)
    scene.revoke(issued)
    scene.publish()
    found = await scene.ask(issued)
    assert (found.standing, found.source) == (Standing.REVOKED, "crl")


async def test_nobody_asks_for_lists_without_need(scene: Scene) -> None:
    """The responder's word is enough."""
    scene.publish()
    assert (await scene.ask(scene.servers.issue(lists=(LIST,)))).source == "ocsp"
    assert not scene.servers.asked[LIST]


async def test_a_list_that_is_known_outweighs_the_responder(scene: Scene) -> None:
    """Whatever says "revoked" and can be believed: a responder may lag behind."""
    issued, other = scene.servers.issue(lists=(LIST,)), scene.servers.issue("田中 太郎", ocsp=False, lists=(LIST,))
    assert (await scene.ask(issued)).standing is Standing.GOOD
    scene.servers.manner = lambda body: scene.servers.honest(body, standing="good")
    scene.revoke(issued)
    scene.publish()
    assert (await scene.ask(other)).standing is Standing.GOOD
    found = await scene.ask(issued)
    assert (found.standing, found.source) == (Standing.REVOKED, "crl")


@pytest.mark.parametrize("named_by", ["certificate", "list"])
async def test_a_delta_revokes(scene: Scene, named_by: str) -> None:
    """The complete list of the morning, and what came since; whoever names the delta's address."""
    address = f"{scene.servers.url}{DELTA}"
    by_certificate = {"freshest": (address,)} if named_by == "certificate" else {}
    issued = scene.servers.issue(ocsp=False, lists=(LIST,), **by_certificate)
    by_list = {"freshest": (address,)} if named_by == "list" else {}
    scene.publish(number=5, **by_list)
    scene.now.passes(2 * HOUR)
    scene.revoke(issued)
    scene.publish(DELTA, number=6, delta_of=5, next_update=scene.now() + HOUR)
    found = await scene.ask(issued)
    assert (found.standing, found.source, len(found.evidence)) == (Standing.REVOKED, "delta", 2)


async def test_a_delta_is_asked_for_when_it_is_over(scene: Scene) -> None:
    """The complete list is not, as long as it counts; where no delta comes, it counts alone."""
    issued = scene.servers.issue(ocsp=False, lists=(LIST,), freshest=(f"{scene.servers.url}{DELTA}",))
    scene.publish(number=5)
    scene.publish(DELTA, number=6, delta_of=5, next_update=scene.now() + HOUR)
    assert (await scene.ask(issued)).standing is Standing.GOOD
    scene.now.passes(2 * HOUR)
    scene.revoke(issued)
    scene.publish(DELTA, number=7, delta_of=5, next_update=scene.now() + HOUR)
    assert (await scene.ask(issued)).standing is Standing.REVOKED
    assert (scene.servers.asked[LIST], scene.servers.asked[DELTA]) == (1, 2)
    other = scene.servers.issue("田中 太郎", ocsp=False, lists=(LIST,), freshest=(f"{scene.servers.url}/none.crl",))
    found = await scene.ask(other)
    assert (found.standing, found.source) == (Standing.GOOD, "crl")


async def test_another_part_says_nothing(scene: Scene) -> None:
    """Somebody serves the other partition's list, on which the certificate cannot stand."""
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    scene.revoke(issued)
    scene.publish(only=(), distribution_point=f"{scene.servers.url}{PART}")
    found = await scene.ask(issued)
    assert (found.standing, found.why) == (None, "lists: crl-partition")
    scene.publish(distribution_point=f"{scene.servers.url}{LIST}")
    scene.now.passes(timedelta(seconds=31))
    assert (await scene.ask(issued, fresh_within=timedelta(seconds=1))).standing is Standing.REVOKED


LISTS: dict[str, Callable[[Scene], Any]] = {
    "garbage": lambda _: b"\x30\x82\xff\xff" * 100,
    "of another issuer": lambda scene: scene.region.root.crl(),
    "by another key": lambda scene: scene.authority.crl(signed_by=scene.region.root.key),
    "of yesterday": lambda scene: scene.authority.crl(at=AT - 3 * DAY),
    "elsewhere": lambda _: lambda: web.Response(status=302, headers={"Location": "http://localhost:1/0.crl"}),
    "never whole": lambda _: lambda: web.Response(status=200, headers={"Content-Length": "100"}, body=b"x"),
    "too large": lambda _: lambda: web.Response(status=200, headers={"Content-Length": str(2**40)}),
}


@pytest.mark.parametrize("case", LISTS)
async def test_a_list_that_cannot_be_believed_says_nothing(opened: Opened, case: str) -> None:
    """And is not asked for again at once."""
    scene = await opened(pace=QUICK if case == "never whole" else None)
    scene.servers.lists[LIST] = LISTS[case](scene)
    people = [scene.servers.issue(f"{number}", ocsp=False, lists=(LIST,)) for number in range(3)]
    for each in people:
        found = await scene.ask(each)
        assert found.standing is None
        assert found.why
    assert scene.servers.asked[LIST] == 1


async def test_a_list_that_has_moved_on_its_host_is_found(scene: Scene) -> None:
    """Redirects are followed on the same host only."""
    issued = scene.servers.issue(ocsp=False, lists=("/old.crl",))
    scene.publish()
    scene.servers.lists["/old.crl"] = lambda: web.Response(status=302, headers={"Location": LIST})
    assert (await scene.ask(issued)).standing is Standing.GOOD


async def test_the_second_address_is_tried(scene: Scene) -> None:
    """Of responders and of lists."""
    dead = "http://127.0.0.1:9/"
    issued = scene.authority.issue(ocsp_urls=(dead, f"{scene.servers.url}/ocsp"))
    assert (await scene.ask(issued)).standing is Standing.GOOD
    scene.publish()
    issued = scene.authority.issue(crl_urls=(dead, f"{scene.servers.url}{LIST}"))
    assert (await scene.ask(issued)).standing is Standing.GOOD


async def test_a_responder_may_itself_be_revoked(scene: Scene) -> None:
    """One that its issuer does not vouch for is looked up on the list; once revoked, it is not believed."""
    responder = scene.authority.responder(no_check=False, crl_urls=(f"{scene.servers.url}{LIST}",))
    scene.servers.manner = lambda body: scene.servers.honest(body, signer=responder)
    scene.publish()
    found = await scene.ask(scene.servers.issue())
    assert (found.standing, found.source) == (Standing.GOOD, "ocsp")
    scene.revoke(responder)
    scene.publish()
    scene.now.passes(2 * DAY)
    scene.publish()
    found = await scene.ask(scene.servers.issue("田中 太郎"))
    assert found.standing is None
    assert "ocsp-responder-status" in found.why


async def test_an_overall_time_bounds_the_question(opened: Opened) -> None:
    """However many addresses hang."""
    scene = await opened(pace=Pace(seconds=30, list_seconds=30, whole_seconds=0.2))
    scene.servers.manner = lambda _: _hang()
    assert (await scene.ask(scene.servers.issue())).why == "no answer in time"
