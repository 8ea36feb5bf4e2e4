"""Quotas over several processes that share a real store."""

from collections.abc import AsyncIterator

import pytest

from federation.callers import Caller
from federation.identifiers import PersonRef
from federation.model import Assurance, Level
from federation.refusal import QuotaExceeded, Unavailable
from federation.routes import Route
from federation.terms import Quotas, Rate, Terms
from gateway.calls.quotas import CallQuotas
from gateway.clock import now
from gateway.store import Store, connect

PAY = Route(
    path="/api/pay",
    methods=frozenset({"POST"}),
    service="ledger",
    upstream_path="/pay",
    scope="pay",
    minimum=Level.ONE,
    terms=Terms(
        quotas=Quotas(
            person=Rate(calls=3, seconds=3600, burst=3),
            municipality=Rate(calls=5, seconds=3600, burst=5),
        )
    ),
)


def caller(person: str | None, municipality: str = "102016") -> Caller:
    """Somebody of a municipality, or its system."""
    return Caller(
        person=None if person is None else PersonRef(person),
        client="c",
        municipality=municipality,
        scopes=frozenset(),
        assurance=Assurance(identity=Level.ONE, authentication=Level.ONE),
        token_id="t",
        expires_at=now(),
    )


def passed(quotas: CallQuotas, who: Caller, tries: int) -> int:
    """How many of some calls passed."""

    def passes() -> bool:
        try:
            quotas.admit(PAY, who)
        except QuotaExceeded as refused:
            return not refused.retry_after
        return True

    return sum(passes() for _ in range(tries))


@pytest.fixture
async def url(store_url: str) -> str:
    """A store that holds nothing yet."""
    found = store_url + "?db=8"
    async with connect(found) as client:
        await client.flushdb()
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store of a real server's."""
    store = Store(connect(url), bytes(32), waits_for_disk=False)
    yield store
    await store.close()


async def test_one_process_is_exact(store: Store):
    """Each person theirs, all of a municipality together theirs, and what was refused counts for nothing."""
    quotas = CallQuotas(store=store)
    assert passed(quotas, caller("a"), 10) == 3
    assert passed(quotas, caller("b"), 10) == 2
    assert passed(quotas, caller("c"), 10) == 0
    assert passed(quotas, caller("c", "012173"), 10) == 3
    assert passed(quotas, caller(None, "012173"), 10) == 2


async def test_processes_hear_of_one_another(store: Store):
    """What one admitted, the other does not, as soon as both told; a process that begins anew, too."""
    one, other = CallQuotas(store=store), CallQuotas(store=store)
    assert passed(one, caller("a"), 2) == 2
    await one.share()
    assert passed(other, caller("a"), 1) == 1  # not heard of yet
    await other.share()
    assert passed(other, caller("a"), 1) == 0
    assert passed(one, caller("a"), 1) == 1  # nor this one: the error that is stated
    await one.share()
    await other.share()
    assert passed(one, caller("a"), 1) == passed(other, caller("a"), 1) == 0
    begun_anew = CallQuotas(store=store)
    passed(begun_anew, caller("a"), 1)
    await begun_anew.share()
    assert passed(begun_anew, caller("a"), 5) == 0


async def test_while_the_store_is_away_a_process_goes_on_by_itself(store: Store):
    """Nothing is lost: what could not be told is told the next time."""

    class Away:
        """A store that does not answer at first."""

        away = True

        async def move_quotas(self, told: list[tuple[str, float, int]]) -> list[float]:
            if self.away:
                raise Unavailable("away")
            return await store.move_quotas(told)

    away = Away()
    quotas, other = CallQuotas(store=away), CallQuotas(store=store)  # type: ignore[arg-type]
    assert passed(quotas, caller("a"), 2) == 2
    with pytest.raises(Unavailable):
        await quotas.share()
    assert passed(quotas, caller("a"), 5) == 1
    away.away = False
    await quotas.share()
    passed(other, caller("a"), 1)
    await other.share()
    assert passed(other, caller("a"), 5) == 0


async def test_names_of_people_do_not_reach_the_store(store: Store, url: str):
    """The key is a keyed digest, and gone when it says nothing any more."""
    quotas = CallQuotas(store=store)
    quotas.admit(PAY, caller("a-person"))
    await quotas.share()
    async with connect(url) as client:
        keys = await client.keys("*:quota:*")
        left = [await client.pttl(key) for key in keys]
    assert len(keys) == 2
    assert all(0 < each <= 3_600_000 for each in left)
    assert not any(b"person" in key or b"102016" in key for key in keys)
