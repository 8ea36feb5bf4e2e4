"""Access tokens that ended early: every process hears of it, and holds it as long as such a token could live."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from federation.identifiers import PersonRef
from federation.model import Assurance, Level
from federation.oidc.grants import ACCESS_LIFETIME
from federation.oidc.tokens import AccessToken
from federation.refusal import CallUnavailable, ConsentWithdrawn, TokenInvalid, Unavailable
from gateway.revocations import LIFETIME, Revocations
from gateway.store import Store, connect

from .gateway_sample import free_port

BEGAN = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
HANAKO, TARO = PersonRef("hanako"), PersonRef("taro")
SECOND = timedelta(seconds=1)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """The store as one process reaches it."""
    store = Store(connect(url), bytes(32), waits_for_disk=False)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """One that holds nothing yet."""
    url = store_url + "?db=6"
    async with connect(url) as client:
        await client.flushdb()
    async with opened(url) as found:
        yield found


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


def token(jti: str = "t", *, issued: datetime = BEGAN) -> AccessToken:
    """A verified one."""
    return AccessToken(
        subject="s",
        client_id="https://site.example",
        scopes=frozenset(),
        assurance=Assurance(identity=Level.ONE, authentication=Level.ONE),
        consent="c",
        person="sealed",
        jti=jti,
        expires_at=issued + ACCESS_LIFETIME,
    )


def over(known: Revocations, which: AccessToken, person: PersonRef = HANAKO) -> bool:
    """Whether a token is refused."""
    try:
        known.check(which, person)
    except TokenInvalid as why:
        return why.detail == "revoked"
    return False


async def test_the_others_learn_what_one_ended(store: Store) -> None:
    """By the token, and by the person: what they were given until then, nobody else's, and nothing later."""
    clock = Clock()
    here, there = (Revocations(store=store, clock=clock) for _ in range(2))
    for known in (here, there):
        await known.learn()
    await here.revoke(["t", "u"])
    await here.revoke(person=TARO)
    assert over(here, token("t")), "the one that ended it needs no store"
    assert not over(there, token("t"))
    await there.learn()
    for known in (here, there):
        assert over(known, token("t"))
        assert over(known, token("u"))
        assert not over(known, token("v"))
        assert over(known, token("v"), TARO)
        assert not over(known, token("v", issued=BEGAN + SECOND), TARO)


async def test_whoever_signs_in_at_this_moment_keeps_what_they_get(store: Store) -> None:
    """A token says the second in which it was issued: those of this one end by their name alone, earlier ones all."""
    clock = Clock()
    clock.now += 0.4 * SECOND
    here, there = (Revocations(store=store, clock=clock) for _ in range(2))
    await here.revoke(["t"], person=TARO, staying=True)
    await here.learn()
    await there.learn()
    for known in (here, there):
        assert over(known, token("t", issued=BEGAN), TARO)
        assert not over(known, token("v", issued=BEGAN), TARO)
        assert over(known, token("v", issued=BEGAN - SECOND), TARO)


async def test_a_process_that_starts_learns_what_still_matters(store: Store) -> None:
    """And reads on from there."""
    clock = Clock()
    here, late = Revocations(store=store, clock=clock), Revocations(store=store, clock=clock)
    await here.revoke(f"t{number}" for number in range(2500))
    for number in range(1200):
        await here.revoke([f"u{number}"])
    await late.learn()
    assert all(over(late, token(jti)) for jti in ("t0", "t2499", "u0", "u1199"))
    await here.revoke(["v"])
    await late.learn()
    assert over(late, token("v"))


async def test_nothing_is_held_longer_than_a_token_lives(store: Store) -> None:
    """The memory of a process does not grow for ever; a person's later end replaces the earlier one."""
    clock = Clock()
    known = Revocations(store=store, clock=clock)
    await known.revoke(["t"], person=HANAKO)
    await known.learn()
    clock.now += LIFETIME - SECOND
    await known.revoke(person=HANAKO)
    await known.learn()
    assert over(known, token("t"), TARO)
    clock.now += SECOND
    await known.learn()
    assert not over(known, token("t"), TARO)
    assert over(known, token("t"))
    clock.now += LIFETIME
    await known.learn()
    assert not over(known, token("t"))


async def test_what_is_over_is_said_once(store: Store) -> None:
    """A code that comes a thousand times fills no store."""
    known = Revocations(store=store, clock=Clock())
    for _ in range(3):
        await known.revoke(["t"])
    _, found = await store.revocations("")
    assert [each["tokens"] for each in found] == [["t"]]
    await known.revoke([])
    assert len((await store.revocations(""))[1]) == 1


async def test_what_is_old_leaves_the_store_by_its_own_clock(store: Store) -> None:
    """A process whose clock is wrong takes nothing from the others."""
    clock = Clock()  # months away
    await Revocations(store=store, clock=clock).revoke(["t"])
    other = Revocations(store=store, clock=clock)
    await other.learn()
    assert over(other, token("t"))
    await store.add_revocation({"tokens": ["v"]}, timedelta(milliseconds=1))
    _, found = await store.revocations("")
    assert found[-1]["tokens"] == ["v"]


async def test_what_somebody_else_wrote_there_ends_nothing(store: Store, store_url: str) -> None:
    """It is not sealed by our key."""
    known = Revocations(store=store, clock=Clock())
    await known.revoke(["t"])
    async with connect(store_url + "?db=6") as client:
        (key,) = await client.keys("kakehashi:revoked:*")
        (((_, fields),),) = [await client.xrange(key)]
        assert fields[b"value"] != b"t"
        await client.xadd(key, {"value": b'{"tokens":["u"],"person":null,"at":0}'})
    other = Revocations(store=store, clock=Clock())
    await other.learn()
    assert over(other, token("t"))
    assert not over(other, token("u"))


async def test_a_process_that_knows_nothing_answers_no_token_that_is_older(store: Store) -> None:
    """Its consent may have been withdrawn before; what was given since then cannot have ended unheard."""
    clock = Clock()
    await Revocations(store=store, clock=clock).withdraw(HANAKO, "https://site.example")
    fresh = Revocations(store=store, clock=clock)
    with pytest.raises(CallUnavailable):
        fresh.check(token("t"), HANAKO)
    fresh.check(token("v", issued=BEGAN + SECOND), HANAKO)
    await fresh.learn()
    fresh.check(token("t"), TARO)
    with pytest.raises(ConsentWithdrawn):
        fresh.check(token("t"), HANAKO)


async def test_without_a_store_it_keeps_to_what_it_knows(store: Store) -> None:
    """Nothing new can be ended then, and what was stays so."""
    known = Revocations(store=store, clock=Clock())
    await known.learn()
    await known.revoke(["t"])
    async with opened(f"redis://localhost:{free_port()}") as away:
        known._store = away
        with pytest.raises(Unavailable):
            await known.learn()
        with pytest.raises(Unavailable):
            await known.revoke(["u"])
    assert over(known, token("t"))
    assert not over(known, token("u"))
