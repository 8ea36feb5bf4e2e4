"""What the store keeps: taken once, sealed, claimed once, durable. Real servers only."""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.consent import ConsentRecord
from federation.identifiers import KeyName, PersonRef
from federation.model import Keep, Kept
from federation.refusal import Unavailable
from federation.sessions import Basis, Participant, Session, SubjectName, UpstreamSession
from gateway.embedded import EmbeddedStore
from gateway.store import MOST_SESSIONS, AlreadyClaimedError, Store, StoreUnfitError, connect
from observability.events import StoreChange
from trust_lists.admission import Mark

from .gateway_sample import free_port, store_server

MINUTE = timedelta(minutes=1)
SEALING = bytes(range(32))
VALUE = {"familyName": ["髙橋"], "kana": ["タカハシ"]}


@contextlib.asynccontextmanager
async def opened(url: str, sealing: bytes = SEALING, *, waits_for_disk: bool = False) -> AsyncIterator[Store]:
    """A store for one test."""
    store = Store(connect(url), sealing, waits_for_disk=waits_for_disk)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def embedded(directory: Path) -> AsyncIterator[tuple[EmbeddedStore, list[StoreChange]]]:
    """An embedded server, and what it told."""
    told: list[StoreChange] = []
    server = EmbeddedStore(directory, changed=told.append)
    try:
        await server.start()
        yield server, told
    finally:
        await server.stop()


def consent(service: str = "site") -> ConsentRecord:
    """What somebody agreed to just now."""
    now = datetime.now(UTC)
    return ConsentRecord(
        id="consent-1",
        person=PersonRef("person-1"),
        service=service,
        purpose_digest="digest",
        attributes=frozenset({"name"}),
        scopes=frozenset({"notes.read"}),
        granted_at=now,
        expires_at=now + timedelta(days=365),
    )


async def test_a_flow_is_read_often_and_taken_once(store_url: str) -> None:
    """Reading leaves it there; of many who take it at once, one gets it."""
    async with opened(store_url) as store:
        await store.put_flow("handle-1", VALUE, MINUTE)
        assert [await store.read_flow("handle-1") for _ in range(2)] == [VALUE, VALUE]

        taken = await asyncio.gather(*(store.take_flow("handle-1") for _ in range(50)))

        assert [flow for flow in taken if flow is not None] == [VALUE]
        assert await store.read_flow("handle-1") is None


async def test_what_is_kept_ends(store_url: str) -> None:
    """After its lifetime it is as if it had never been."""
    async with opened(store_url) as store:
        await store.put_flow("handle-2", VALUE, timedelta(milliseconds=30))
        await asyncio.sleep(0.06)
        assert await store.read_flow("handle-2") is None


async def test_a_claim_is_made_once(store_url: str) -> None:
    """Of many who claim the same at once, one does; other kinds are replaced, unless the first is to stand."""
    async with opened(store_url) as store:
        for kind in ("client-assertion", "assertion"):
            claim = Kept(kind=kind, key="jti-1", value={}, lifetime=MINUTE)
            answers = await asyncio.gather(*(store.claim(claim) for _ in range(20)), return_exceptions=True)
            assert [type(answer) for answer in answers if answer is not None] == [AlreadyClaimedError] * 19

        for word in ("first", "second"):
            kept = Kept(kind="userinfo", key="jti-1", value={"word": word}, lifetime=MINUTE)
            await store.keep(Keep(items=(kept,)))
        assert await store.read("userinfo", "jti-1") == {"word": "second"}
        with pytest.raises(AlreadyClaimedError):
            await store.keep(Keep(items=(kept,)), first=True)
        await store.keep(Keep())  # nothing to keep is no fault


async def test_a_code_is_exchanged_for_its_tombstone(store_url: str) -> None:
    """One of many gets what the code stood for, the others that it was used; an unknown code leaves nothing."""
    used = {"used": True}
    async with opened(store_url) as store:
        kept = Kept(kind="code", key="code-1", value=VALUE, lifetime=MINUTE)
        await store.keep(Keep(items=(kept,)))

        answers = await asyncio.gather(*(store.exchange("code", "code-1", used, MINUTE) for _ in range(10)))

        assert sorted(answers, key=lambda answer: answer == used) == [VALUE] + [used] * 9
        assert await store.exchange("code", "never", used, MINUTE) is None
        assert await store.read("code", "never") is None
        await store.forget("code", "code-1")
        assert await store.read("code", "code-1") is None


async def test_what_others_sealed_or_moved_is_not_there(store_url: str) -> None:
    """A value under another key, altered, cut off or moved to another name opens for nobody."""
    store_url += "?db=1"  # nobody else's
    async with opened(store_url) as store, opened(store_url, bytes(32)) as other:
        await store.put_flow("handle-3", VALUE, MINUTE)
        assert await other.read_flow("handle-3") is None
        raw = connect(store_url)
        (name,) = [key async for key in raw.scan_iter("kakehashi:flow:*") if await raw.get(key)]
        sealed = await raw.get(name)
        await store.put_flow("handle-4", {}, MINUTE)
        (second,) = {key async for key in raw.scan_iter("kakehashi:flow:*")} - {name}
        for spoiled in (sealed, sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:20], b"", b"x"):
            await raw.set(second, spoiled)
            assert await store.read_flow("handle-4") is None
        assert await store.take_flow("handle-3") == VALUE
        await raw.delete(second)
        await raw.aclose()


async def test_a_person_stays_named_by_the_first_key(store_url: str) -> None:
    """Whichever key is the present one later, and on whichever of two nodes they come in at once."""
    person = PersonRef(secrets.token_urlsafe(32))
    async with opened(store_url) as one, opened(store_url) as other:
        names = await asyncio.gather(one.naming_key(person, KeyName("a")), other.naming_key(person, KeyName("b")))
        assert len(set(names)) == 1
        assert await other.naming_key(person, KeyName("c")) == names[0]
        assert await one.naming_key(PersonRef(secrets.token_urlsafe(32)), KeyName("c")) == "c"


async def test_whoever_arrives_takes_the_flow_and_is_told_what_is_known(store_url: str) -> None:
    """Their consent and the key by which they are named, the present one the first time; the flow once."""
    record = replace(consent("arrival"), person=PersonRef(secrets.token_urlsafe(32)))
    async with opened(store_url) as store:
        await store.put_flow("handle-9", VALUE, MINUTE)
        first = await store.arrive("handle-9", record.person, "arrival", KeyName("a"))
        assert first == (VALUE, None, "a")
        await store.save_consent(record)
        assert await store.arrive("handle-9", record.person, "arrival", KeyName("b")) == (None, record, "a")
        assert await store.naming_key(record.person, KeyName("b")) == "a"


async def test_a_certificate_is_watched_with_the_session_that_began_with_it(store_url: str) -> None:
    """In the step that ends the sign-in."""
    one = session(person=PersonRef(secrets.token_urlsafe(32)))
    async with opened(store_url) as store:
        await store.put_flow("handle-10", VALUE, MINUTE)
        watched = (secrets.token_hex(8), {"certificate": secrets.token_hex(8)})
        kept = {"keep": Keep(), "once": None, "session": one, "watched": watched, "now": AT}
        assert await store.finish("handle-10", **kept)
        assert not await store.finish("handle-10", **kept)
        found = [each async for some in store.watched_certificates(AT) for each in some]
        assert found.count(watched[1]) == 1
        assert {each.id for each in await store.of_person(one.person, AT)} == {one.id}


async def test_a_person_whose_key_cannot_be_read_gets_no_other_name(store_url: str) -> None:
    """What somebody else wrote there does not make somebody new of them, who could vote once more."""
    person = PersonRef(secrets.token_urlsafe(32))
    client = connect(store_url)
    async with opened(store_url) as store, client:
        before = set(await client.keys("*"))
        await store.naming_key(person, KeyName("a"))
        (name,) = set(await client.keys("*")) - before
        await client.set(name, b"x" * 60)
        with pytest.raises(Unavailable):
            await store.naming_key(person, KeyName("b"))


async def test_the_names_are_those_of_the_table(store_url: str) -> None:
    """The docstring of `gateway/store.py` says which keys there are; no name holds a handle, and each has its end."""
    async with opened(store_url) as store:
        await store.put_flow("handle-5", VALUE, MINUTE)
        kinds = ("code", "userinfo", "client-assertion", "assertion")
        for kind in kinds:
            await store.keep(Keep(items=(Kept(kind=kind, key="handle-5", value={}, lifetime=MINUTE),)))
        await store.save_consent(consent())
        await store.add_series({29_000_000: {"login:102016:granted": 2}})
        raw = connect(store_url)
        digest = "{" + hashlib.sha256(b"handle-5").hexdigest() + "}"
        expected = {f"kakehashi:{kind}:{digest}" for kind in ("flow", *kinds)}
        expected |= {"kakehashi:consent:{person-1}:site", "kakehashi:series:{29000000}"}
        found = {key.decode() async for key in raw.scan_iter("kakehashi:*")}
        assert expected <= found
        assert all("handle-5" not in name for name in found)
        for name in expected:
            assert await raw.pttl(name) > 0
            await raw.delete(name)
        await raw.aclose()


async def test_counters_add_up(store_url: str) -> None:
    """Each worker adds its own; empty minutes are not answered."""
    async with opened(store_url) as store:
        await asyncio.gather(*(store.add_series({28_000_000: {"a": 1, "b": n}}) for n in range(10)))
        assert await store.series([28_000_000, 28_000_001]) == {28_000_000: {"a": 10, "b": 45}}


# --- the embedded server


async def test_its_files_hold_no_attribute_and_no_handle(tmp_path: Path) -> None:
    """Everything is on disk at once, sealed, in files of this user alone; consents name no value."""
    directory = tmp_path / "store"
    async with embedded(directory) as (server, _), opened(f"unix://{server.socket}") as store:
        await store.put_flow("the-handle", VALUE, MINUTE)
        await store.keep(Keep(items=(Kept(kind="code", key="the-code", value=VALUE, lifetime=MINUTE),)))
        await store.exchange("code", "the-code", {**VALUE, "used": True}, MINUTE)
        await store.save_consent(consent())
        content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
        assert directory.stat().st_mode & 0o077 == 0
        assert server.socket.stat().st_mode & 0o077 == 0
    assert b"kakehashi:flow:{" in content  # it is the right file, and it was written before the answer came
    assert b'"id": "consent-1"' in content
    for secret in ("髙橋", "タカハシ", "familyName", "the-handle", "the-code"):
        assert secret.encode() not in content
        assert json.dumps(secret)[1:-1].encode() not in content


async def test_a_killed_server_comes_back_with_its_consents(tmp_path: Path) -> None:
    """While it is down the store says so; it is started again by itself, and told in this order."""
    async with embedded(tmp_path) as (server, told), opened(f"unix://{server.socket}") as store:
        record = consent()
        await store.save_consent(record)
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await asyncio.sleep(0)
        while StoreChange.RESTART not in told:  # noqa: ASYNC110 - a plain list
            await asyncio.sleep(0.01)
        assert await store.consent(record.person, "site") == record
        assert server.pid not in (None, first)
        assert told == [StoreChange.UP, StoreChange.DOWN, StoreChange.RESTART, StoreChange.UP]


async def test_a_frozen_server_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is no server: `Unavailable` within its time, and well again afterwards."""
    monkeypatch.setattr("gateway.store.ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("gateway.store.FLUSH_MILLISECONDS", 200)
    async with embedded(tmp_path) as (server, _), opened(f"unix://{server.socket}") as store:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        with pytest.raises(Unavailable):
            await store.round_trip()
        os.kill(server.pid, signal.SIGCONT)
        assert await store.round_trip() < 1


# --- what nodes of one region know together


def _marks(**numbers: int) -> dict[str, Mark]:
    return {name: Mark(number) for name, number in numbers.items()}


async def test_marks_know_what_was_admitted_under_them(store_url: str) -> None:
    """The first content of a number stays, also where another node says something else; a forged one is no content."""
    region = f"https://{secrets.token_hex(8)}.example"
    first, second, bare = Mark(9, "a" * 64, "b" * 64), Mark(9, "c" * 64, "d" * 64), Mark(9)
    async with opened(store_url) as store:
        assert await store.raise_marks(region, {"a": bare}) == {"a": bare}
        assert await store.raise_marks(region, {"a": first}) == {"a": first}
        for each in (second, bare):
            assert await store.raise_marks(region, {"a": each}) == {"a": first}
        key = store._keyed("high-water", region)
        (written,) = await store._send(("HGET", key, "a"))
        await store._send(("HSET", key, "a", written.replace(b"b" * 64, b"d" * 64)))
        assert await store.raise_marks(region, {}) == {}
        higher = Mark(10, *second[1:])
        assert await store.raise_marks(region, {"a": higher}) == {"a": higher}


async def test_marks_only_rise(store_url: str) -> None:
    """Each list's by itself, numbers of any length, for one region alone; the answer is all of them."""
    region, big = f"https://{secrets.token_hex(8)}.example", 10**30
    async with opened(store_url) as store:
        assert await store.raise_marks(region, {}) == {}
        assert await store.raise_marks(region, _marks(a=9, b=big, c=-1)) == _marks(a=9, b=big)
        assert await store.raise_marks(region, _marks(a=10, b=big - 1)) == _marks(a=10, b=big)
        assert await store.raise_marks(region, _marks(a=9, b=big + 1)) == _marks(a=10, b=big + 1)
        assert await store.raise_marks(region + "/other", {}) == {}


async def test_a_lease_is_one_nodes_at_a_time(store_url: str) -> None:
    """Who has it keeps it, also if asked twice; only its holder ends it early; it ends by itself."""
    region = f"https://{secrets.token_hex(8)}.example"
    async with opened(store_url) as store:
        assert await store.lease(region, "a", MINUTE)
        assert await store.lease(region, "a", MINUTE)
        assert not await store.lease(region, "b", MINUTE)
        await store.release(region, "b")
        assert not await store.lease(region, "b", MINUTE)
        await store.release(region, "a")
        assert await store.lease(region, "b", timedelta(milliseconds=1))
        await asyncio.sleep(0.05)
        assert await store.lease(region, "a", MINUTE)


async def test_decisions_are_added_and_sealed(store_url: str) -> None:
    """One that is there stays; another gateway's keys read none of them."""
    region = f"https://{secrets.token_hex(8)}.example"
    async with opened(store_url) as store, opened(store_url, bytes(32)) as stranger:
        await store.add_decisions(region, {})
        await store.add_decisions(region, {"1": {"who": "Hanako"}})
        await store.add_decisions(region, {"1": {"who": "Mallory"}, "2": {"who": "Jiro"}})
        assert sorted(each["who"] for each in await store.decisions(region)) == ["Hanako", "Jiro"]
        assert await stranger.decisions(region) == ()


# --- a server that others run


async def test_a_server_that_flushes_now_and_then_is_waited_for(tmp_path: Path) -> None:
    """With `appendfsync everysec` a consent is acknowledged once it is flushed, and not before."""
    port = free_port()
    options = ("--appendonly", "yes", "--appendfsync", "everysec")
    with store_server(tmp_path, *options, port=port):
        async with opened(f"redis://127.0.0.1:{port}", waits_for_disk=True) as store:
            await store.require_durability()
            raw = connect(f"redis://127.0.0.1:{port}")
            for _ in range(3):
                await store.save_consent(consent())
                # nothing is left to be flushed: the server acknowledges that without waiting
                assert (await raw.waitaof(1, 0, 1))[0] == 1
            await raw.aclose()


@pytest.mark.parametrize("options", [("--appendonly", "no"), ("--appendonly", "yes", "--appendfsync", "no")])
async def test_a_server_that_does_not_flush_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """It is refused with what to set there; a consent is not acknowledged."""
    monkeypatch.setattr("gateway.store.FLUSH_MILLISECONDS", 300)
    port = free_port()
    with store_server(tmp_path, *options, port=port):
        async with opened(f"redis://127.0.0.1:{port}", waits_for_disk=True) as store:
            with pytest.raises(StoreUnfitError, match=r"appendonly yes.*appendfsync everysec.*store-not-durable"):
                await store.require_durability()
            with pytest.raises(Unavailable):
                await store.save_consent(consent())


async def test_a_server_that_refuses_is_unavailable(tmp_path: Path) -> None:
    """No memory, no password, only a replica: each is `Unavailable`, whose detail names the server's word alone."""
    port = free_port()
    with store_server(tmp_path, "--requirepass", "secret", port=port):
        async with opened(f"redis://127.0.0.1:{port}") as store:
            with pytest.raises(Unavailable, match="AuthenticationError"):
                await store.round_trip()
        async with opened(f"redis://:secret@127.0.0.1:{port}") as store:
            await store.round_trip()
            raw = connect(f"redis://:secret@127.0.0.1:{port}")
            await raw.config_set("maxmemory", "1")
            with pytest.raises(Unavailable) as refused:
                await store.put_flow("handle", VALUE, MINUTE)
            assert refused.value.detail.endswith("OOM") or "OutOfMemory" in refused.value.detail
            await raw.config_set("maxmemory", "0")
            await raw.replicaof("127.0.0.1", str(free_port()))
            with pytest.raises(Unavailable, match="store: "):
                await store.put_flow("handle", VALUE, MINUTE)
            await raw.aclose()


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    """Nobody there: `Unavailable` at once; somebody there later: it works, without anything being done."""
    port = free_port()
    async with opened(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(Unavailable):
            await store.round_trip()
        with store_server(tmp_path, port=port):
            assert await store.round_trip() < 1


# --- sessions


def session(service: str = "library", number: int = 1, **changes: Any) -> Session:
    """A sign-in of somebody at a service; the store is shared, so `person` and names are of one test."""
    own, entity = "https://gateway.example/saml/metadata", f"https://{service}.example"
    name = SubjectName(value=f"{changes.get('person', 'person-1')}-{service}")
    fields = {
        "id": f"{service}-{number}",
        "person": PersonRef("person-1"),
        "browser": "b-1",
        "system": "ebetsu",
        "service": service,
        "upstream": UpstreamSession(
            entity_id="https://ebetsu.example", name=SubjectName(value="7"), index="s-1", until=None
        ),
        "participant": Participant(own_entity=own, entity_id=entity, name=name, index=f"i-{number}"),
        "until": AT + MINUTE,
    }
    return Session(**{**fields, **changes})


AT = datetime.now(UTC)


async def test_sessions_are_found_by_each_of_their_names(store_url: str) -> None:
    """By what the service calls the person, and by what the ID system does: all of that person's, oldest first."""
    kept = [session("library", person=PersonRef("p-1")), session("portal", person=PersonRef("p-1"))]
    async with opened(store_url) as store:
        for each in kept:
            await store.remember(each, AT)
        names = {name for each in kept for name in each.names()}
        assert len(names) == 3
        assert [await store.sessions(name, AT) for name in sorted(names)] == [tuple(kept)] * 3
        assert await store.sessions("another name", AT) is None
        assert await store.sessions(kept[0].names()[0], AT + MINUTE) == (), "they are over"


async def test_a_session_is_ended_once(store_url: str) -> None:
    """Of many who end the same at once, one does; the others stay."""
    kept = [session("library", number, person=PersonRef("p-2")) for number in range(3)]
    async with opened(store_url) as store:
        for each in kept:
            await store.remember(each, AT)

        ended = await asyncio.gather(*(store.end(kept[:2]) for _ in range(10)))

        assert sorted(each.id for found in ended for each in found) == ["library-0", "library-1"]
        assert await store.sessions(kept[0].names()[0], AT) == (kept[2],)
        assert await store.end(kept) == (kept[2],)
        assert await store.sessions(kept[0].names()[0], AT) == (), "the name is still known"
        assert await store.end([]) == ()


async def test_of_one_person_only_the_newest_sessions_are_kept(store_url: str) -> None:
    """Whoever signs in again and again fills nothing."""
    async with opened(store_url) as store:
        for number in range(MOST_SESSIONS + 5):
            await store.remember(session("library", number, person=PersonRef("p-3")), AT)
        found = await store.sessions(session(person=PersonRef("p-3")).names()[0], AT)
        assert found is not None
        assert [each.id for each in found] == [f"library-{number}" for number in range(5, MOST_SESSIONS + 5)]


async def test_sessions_live_as_long_as_the_longest(store_url: str) -> None:
    """A shorter one that comes later does not take the others with it."""
    person = PersonRef("p-4")
    long, short = session("library", person=person, until=AT + 2 * MINUTE), session("portal", person=person)
    async with opened(store_url) as store, connect(store_url) as client:
        others = {key async for key in client.scan_iter("kakehashi:sessions:*")}
        await store.remember(long, AT)
        (name,) = {key async for key in client.scan_iter("kakehashi:sessions:*")} - others
        before = await client.pttl(name)
        await store.remember(short, AT)
        assert await client.llen(name) == 2
        assert MINUTE < timedelta(milliseconds=await client.pttl(name)) <= timedelta(milliseconds=before)
        await store.remember(replace(short, id="longer", until=AT + 5 * MINUTE), AT)
        assert timedelta(milliseconds=await client.pttl(name)) > 4 * MINUTE
        await client.delete(name)


async def content(client: Any, key: bytes) -> bytes:
    """What stands under a key of whichever kind."""
    kind = await client.type(key)
    if kind == b"string":
        found: bytes = await client.get(key)
        return found
    members = client.lrange(key, 0, -1) if kind == b"list" else client.zrange(key, 0, -1)
    return b"".join(await members)


async def sessions_of(store: Store, basis: Basis, now: datetime = AT, most: int = 10) -> list[str]:
    """The ids of what rests on a basis."""
    return [each.id for each in await store.resting_on(basis, now, most=most)]


async def test_sessions_are_found_by_what_they_rest_on(store_url: str) -> None:
    """One ID system at one service and level: whoever's they are, until they are over or ended."""
    people = [PersonRef(f"p-6-{number}") for number in range(3)]
    kept = [session("swimming", n, person=p, until=AT + MINUTE * (n + 1)) for n, p in enumerate(people)]
    higher = session("swimming", 9, person=people[0], needed=2)
    async with opened(store_url + "?db=2") as store:
        for each in (*kept, higher):
            await store.remember(each, AT)
        basis = kept[0].basis
        assert set(await store.bases(AT)) == {basis, higher.basis}
        assert await sessions_of(store, basis) == ["swimming-0", "swimming-1", "swimming-2"]
        assert await sessions_of(store, basis, most=2) == ["swimming-0", "swimming-1"]
        assert await sessions_of(store, basis, AT + MINUTE) == ["swimming-1", "swimming-2"]
        assert set(await store.bases(AT + MINUTE)) == {basis}, "nothing rests on the other one any more"
        assert await store.bases(AT + 3 * MINUTE) == ()

        await store.end([kept[1]])

        assert await sessions_of(store, basis, most=2) == ["swimming-0", "swimming-2"]
        assert [each.id for each in await store.of_person(people[0], AT)] == ["swimming-0", "swimming-9"]


async def test_what_is_in_the_index_alone_is_taken_out_of_it(store_url: str) -> None:
    """Sessions that made room for newer ones, and what somebody else wrote there, keep nobody busy for ever."""
    person = PersonRef("p-7")
    async with opened(store_url + "?db=3") as store:
        for number in range(MOST_SESSIONS + 3):
            await store.remember(session("library", number, person=person), AT)
        basis = session("library").basis
        await store._send(("ZADD", store._basis(basis), int(AT.timestamp() * 1000) + 1, b"forged"))
        seen: list[str] = []
        while found := await store.resting_on(basis, AT, most=10):
            seen += [each.id for each in found]
            await store.end(found)
        assert sorted(seen) == sorted(f"library-{number}" for number in range(3, MOST_SESSIONS + 3))


async def test_nothing_of_a_session_can_be_read_or_guessed(store_url: str) -> None:
    """Values are sealed, and names are keyed: whoever has the files cannot try out employees' numbers."""
    kept = session("library", person=PersonRef("p-5"))
    async with opened(store_url) as store, connect(store_url) as client:
        before = {key async for key in client.scan_iter("kakehashi:session*")}
        await store.remember(kept, AT)
        added = {key async for key in client.scan_iter("kakehashi:session*")} - before
        guesses = {hashlib.sha256(text.encode()).hexdigest() for text in (*kept.names(), kept.person)}
        values = [await content(client, key) for key in sorted(added)]
        assert 2 <= len(added) <= 5, "the ID system's name and the indexes may be there from another test"
        assert not any(guess.encode() in key for guess in guesses for key in added)
        assert not any(word in value for value in values for word in (b"ebetsu", b"library", b"p-5"))
    async with opened(store_url, bytes(32)) as other:
        assert await other.sessions(kept.names()[0], AT) is None


async def test_a_mark_that_somebody_else_wrote_keeps_no_list_out(store_url: str) -> None:
    """It is taken away, and does not stand in the way of the true one; nor does one that was moved between lists."""
    region, name = f"https://{secrets.token_hex(8)}.example", "high-water"
    async with opened(store_url) as store:
        await store.raise_marks(region, _marks(a=7, b=900))
        key = store._keyed(name, region)
        (moved,) = await store._send(("HGET", key, "b"))
        for forged in (b"99999", b"99999:" + b"0" * 64, b"text", b"", b"-1:", moved):
            await store._send(("HSET", key, "a", forged, b"\xff", b"1"))
            assert await store.raise_marks(region, _marks(a=8)) == _marks(a=8, b=900)
            assert await store.raise_marks(region, {}) == _marks(a=8, b=900)
