"""A certificate is revoked: sessions that began with it end. With a real store, a real responder, real sessions."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509

from federation.certificate.model import RevocationPolicy
from federation.identifiers import PersonRef
from federation.refusal import Unavailable
from federation.sessions import Session
from gateway.certificate_status import CertificateStatuses
from gateway.certificate_watch import (
    FRESH,
    LEASE,
    SWEEP_SECONDS,
    TURN_SECONDS,
    CertificateWatch,
    Watched,
    watched_from_json,
)
from gateway.clock import now as real_now
from gateway.store import Store, connect
from observability.events import EndReason
from tests.federation.certificate.authorities import AT, Issued, Region
from tests.gateway.responders import Now, Responders, knowing, responding

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PHONE = "maebashi-phone"
LIST = "/0.crl"


@dataclass
class Scene:
    """A store, an authority's servers and gateways' nodes; `ended` is who was signed out, and why."""

    store: Store
    servers: Responders
    statuses: CertificateStatuses
    now: Now
    name: str
    ended: list[tuple[PersonRef, EndReason]] = field(default_factory=list)
    policies: dict[str, RevocationPolicy] = field(default_factory=lambda: {PHONE: RevocationPolicy()})

    def node(self, **options: Any) -> CertificateWatch:
        """One gateway's."""
        return CertificateWatch(
            **{
                "store": self.store,
                "statuses": self.statuses,
                "end": self.end,
                "policies": lambda: self.policies,
                "name": self.name,
                "clock": real_now,
                **options,
            }
        )

    async def end(self, person: PersonRef, reason: EndReason, *, staying: bool = False) -> int:
        """Sign a person out."""
        assert not staying or reason is EndReason.CERTIFICATE_REVOKED
        self.ended.append((person, reason))
        return len(await self.store.end(await self.store.of_person(person, real_now())))

    async def sign_in(self, issued: Issued, person: PersonRef, **changes: Any) -> Session:
        """A session, and the certificate that it began with."""
        session = Session(
            id=secrets.token_hex(8),
            person=person,
            browser="b",
            system=PHONE,
            service="portal",
            upstream=None,
            participant=None,
            until=real_now() + HOUR,
        )
        await self.store.remember(session, real_now())
        until = changes.get("until", session.until)
        await self.watched(person, issued.der, self.servers.authority.der, until)
        return session

    async def watched(self, person: PersonRef, certificate: bytes, issuer: bytes, until: datetime) -> None:
        """What `Store.finish` keeps of a certificate."""
        kept = Watched(person=person, system=PHONE, certificate=certificate, issuer=issuer)
        await self.store.watch_certificate(kept.key, kept.to_json(), until, real_now())

    async def sessions(self, person: PersonRef) -> int:
        """How many a person has."""
        return len(await self.store.of_person(person, real_now()))


@pytest.fixture
async def scene(store_url: str) -> AsyncIterator[Scene]:
    """A region of its own in the shared store."""
    async with AsyncExitStack() as stack:
        store = Store(connect(store_url), secrets.token_bytes(32), waits_for_disk=False)
        stack.push_async_callback(store.close)
        now = Now()
        servers = await stack.enter_async_context(responding(Region().issuing, now))
        statuses = await stack.enter_async_context(knowing(now))
        yield Scene(store, servers, statuses, now, f"https://{secrets.token_hex(8)}.example")


def somebody() -> PersonRef:
    """A new person."""
    return PersonRef(secrets.token_urlsafe(32))


def test_within_a_minute():
    """A sweep that just missed the revocation, and a node that died right after it, in all."""
    assert LEASE.total_seconds() + TURN_SECONDS + SWEEP_SECONDS < 60
    assert FRESH.total_seconds() < SWEEP_SECONDS < LEASE.total_seconds()


async def test_a_revocation_signs_its_person_out(scene: Scene) -> None:
    """All of their sessions, and nobody else's; once."""
    watch = scene.node()
    hanako, taro = somebody(), somebody()
    of_hanako, of_taro = scene.servers.issue("山田 花子"), scene.servers.issue("田中 太郎")
    await scene.sign_in(of_hanako, hanako)
    await scene.sign_in(of_hanako, hanako)
    await scene.sign_in(of_taro, taro)
    assert await watch.sweep() == 0
    assert await scene.sessions(hanako) == 2

    scene.servers.authority.revoke(of_hanako.certificate, scene.now())
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    assert await watch.sweep() == 1

    assert (await scene.sessions(hanako), await scene.sessions(taro)) == (0, 1)
    assert {person for person, _ in scene.ended} == {hanako}
    assert {reason for _, reason in scene.ended} == {EndReason.CERTIFICATE_REVOKED}
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    assert await watch.sweep() == 0, "who signs in with another certificate stays signed in"


async def test_each_sweep_asks_anew(scene: Scene) -> None:
    """Though the answer counts for an hour; the same certificate is asked about once, however many sessions."""
    watch, issued, person = scene.node(), scene.servers.issue(), somebody()
    for _ in range(3):
        await scene.sign_in(issued, person)
    for count in range(1, 4):
        await watch.sweep()
        assert scene.servers.asked["/ocsp"] == count
        scene.now.passes(timedelta(seconds=SWEEP_SECONDS))


async def test_a_list_tells_too(scene: Scene) -> None:
    """An authority without a responder: as soon as it publishes a newer list."""
    watch, person = scene.node(), somebody()
    issued = scene.servers.issue(ocsp=False, lists=(LIST,))
    scene.servers.lists[LIST] = scene.servers.authority.crl(at=scene.now())
    await scene.sign_in(issued, person)
    assert await watch.sweep() == 0
    scene.servers.authority.revoke(issued.certificate, scene.now())
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    assert await watch.sweep() == 0
    scene.servers.lists[LIST] = scene.servers.authority.crl(at=scene.now())
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    assert await watch.sweep() == 1


async def test_many_are_asked_about(scene: Scene) -> None:
    """More than are read at a time."""
    watch = scene.node()
    issued = scene.servers.issue()
    await asyncio.gather(*(scene.sign_in(issued, somebody()) for _ in range(450)))
    scene.servers.authority.revoke(issued.certificate, scene.now())
    assert await watch.sweep() == 450
    assert len({person for person, _ in scene.ended}) == 450


async def test_an_issuer_that_does_not_answer_ends_nothing(scene: Scene) -> None:
    """Sessions are not ended by a broken line; when it is mended, they are."""
    watch, issued, person = scene.node(), scene.servers.issue(), somebody()
    await scene.sign_in(issued, person)
    scene.servers.authority.revoke(issued.certificate, scene.now())
    scene.servers.manner = lambda _: web.Response(status=500)
    assert await watch.sweep() == 0
    assert await scene.sessions(person) == 1
    scene.servers.manner = None
    scene.now.passes(2 * timedelta(seconds=SWEEP_SECONDS))
    assert await watch.sweep() == 1


async def test_what_is_over_is_not_watched(scene: Scene) -> None:
    """After the last session's end nobody asks; the longest of several counts."""
    issued, person = scene.servers.issue(), somebody()
    later = real_now() + HOUR
    await scene.sign_in(issued, person, until=later)
    await scene.sign_in(issued, person, until=real_now() + MINUTE)
    assert [found async for found in scene.store.watched_certificates(real_now() + 2 * MINUTE)] != []
    assert [found async for found in scene.store.watched_certificates(later)] == []


async def test_one_node_at_a_time(scene: Scene) -> None:
    """Two nodes ask no more often than one; the other takes over when the first stops."""
    one, other, issued = scene.node(), scene.node(), scene.servers.issue()
    await scene.sign_in(issued, somebody())
    await one.sweep()
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    await other.sweep()
    assert scene.servers.asked["/ocsp"] == 1
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    before = scene.servers.asked["/ocsp"]
    scene.now.passes(timedelta(seconds=SWEEP_SECONDS))
    await other.sweep()
    assert scene.servers.asked["/ocsp"] == before + 1


async def test_it_works_by_itself(scene: Scene) -> None:
    """The background task of a process; a fault does not end it."""
    faults = [Unavailable("away"), RuntimeError("broken")]
    gone = asyncio.Event()

    async def end(person: PersonRef, reason: EndReason, *, staying: bool = False) -> int:
        if faults:
            raise faults.pop()
        gone.set()
        return await scene.end(person, reason, staying=staying)

    watch, issued, person = scene.node(end=end, sweep_seconds=0.02), scene.servers.issue(), somebody()
    await scene.sign_in(issued, person)
    scene.servers.authority.revoke(issued.certificate, scene.now())
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await gone.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_one_that_cannot_be_read_hides_no_other(scene: Scene) -> None:
    """Somebody's record is broken: everybody else is asked about all the same."""
    watch, issued, person = scene.node(), scene.servers.issue(), somebody()
    await scene.watched(somebody(), b"no certificate", b"none", real_now() + HOUR)
    await scene.sign_in(issued, person)
    scene.servers.authority.revoke(issued.certificate, scene.now())
    with pytest.raises(ValueError, match="parsing asn1"):
        await watch.sweep()
    assert await scene.sessions(person) == 0


async def test_an_id_system_that_is_gone_is_not_asked(scene: Scene) -> None:
    """Its sessions end for another reason."""
    watch = scene.node()
    await scene.sign_in(scene.servers.issue(), somebody())
    scene.policies = {}
    assert await watch.sweep() == 0
    assert not scene.servers.asked


async def test_nothing_of_a_certificate_can_be_read_in_the_store(scene: Scene, store_url: str) -> None:
    """It holds a person's name; sealed by another key it is as if it were not there."""
    issued = scene.servers.issue()
    await scene.sign_in(issued, somebody())
    client = connect(store_url)
    try:
        names = [name async for name in client.scan_iter("kakehashi:watched*")]
        assert names
        assert all(b"maebashi" not in name for name in names)
        contents = [await client.get(name) for name in names if b":watched-certificate:" in name]
        assert contents
        assert not any("花子".encode() in content or issued.der in content for content in contents)
        stranger = Store(connect(store_url), secrets.token_bytes(32), waits_for_disk=False)
        assert [found async for found in stranger.watched_certificates(real_now())] == []
        await stranger.close()
    finally:
        await client.aclose()


def test_a_watched_certificate_is_written_and_read():
    """And is the same one under the same key."""
    issued = Region().issued
    one = Watched(person=somebody(), system=PHONE, certificate=issued.der, issuer=issued.others[0])
    assert watched_from_json(one.to_json()) == one
    assert watched_from_json(one.to_json()).key == one.key
    assert "花子" not in repr(one)
    assert x509.load_der_x509_certificate(one.certificate) == issued.certificate


# --- replaced


async def test_a_newer_certificate_ends_what_began_with_the_former_one(scene: Scene) -> None:
    """At once, and nobody else's; the former one changes nothing when it comes again."""
    watch = scene.node()
    hanako, taro = somebody(), somebody()
    await watch.newest(hanako, AT - MINUTE)
    await scene.sign_in(scene.servers.issue("山田 花子"), hanako)
    await scene.sign_in(scene.servers.issue("田中 太郎"), taro)

    assert await watch.newest(hanako, AT) == AT
    assert (await scene.sessions(hanako), await scene.sessions(taro)) == (0, 1)
    await scene.sign_in(scene.servers.issue("山田 花子"), hanako)
    assert await watch.newest(hanako, AT - MINUTE) == AT
    assert await scene.sessions(hanako) == 1


async def test_the_newest_certificate_only_rises(scene: Scene) -> None:
    """Whoever comes with an older one is told of the newer."""
    watch, person, other = scene.node(), somebody(), somebody()
    old, new = datetime(2026, 1, 1, tzinfo=UTC), AT
    assert await watch.newest(person, old) == old
    assert await watch.newest(person, new) == new
    assert await watch.newest(person, old) == new
    assert await scene.node().newest(person, new) == new
    assert await watch.newest(other, old) == old


async def test_many_at_once_agree(scene: Scene) -> None:
    """Whatever comes first: afterwards the newest counts."""
    watch, person = scene.node(), somebody()
    moments = [AT + number * MINUTE for number in range(40)]
    await asyncio.gather(*(watch.newest(person, moment) for moment in moments))
    assert await watch.newest(person, AT) == moments[-1]


async def test_what_somebody_else_wrote_keeps_nobody_out(scene: Scene, store_url: str) -> None:
    """A time in the far future that bears no code of ours is taken away."""
    watch, person = scene.node(), somebody()
    client = connect(store_url)
    try:
        before = {name async for name in client.scan_iter("kakehashi:newest-certificate:*")}
        await watch.newest(person, AT)
        (name,) = {name async for name in client.scan_iter("kakehashi:newest-certificate:*")} - before
        held = await client.hget(name, "newest")
        forged = str(int(AT.timestamp()) + 10**9).encode() + b":" + held.partition(b":")[2]
        await client.hset(name, "newest", forged)
        assert await watch.newest(person, AT) == AT
        assert await watch.newest(person, AT - MINUTE) == AT
    finally:
        await client.aclose()
