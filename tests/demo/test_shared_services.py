"""Poll and ledger, called as the gateway calls them: with an identity assertion and nothing else."""

import asyncio

import pytest
from joserfc.jwk import ECKey

from gateway.demo.assertions import HEADER, AssertionVerifier
from gateway.demo.ledger import Ledger
from gateway.demo.poll import Poll

FEE = {"fee": "town-fee", "amount": 3000}


@pytest.fixture
def start(place, asserter, clock, tmp_path):
    """Starts a service, also a second time on the same directory; answers its address."""

    async def started(service, audience):
        here = place()
        verifier = AssertionVerifier(issuer=asserter.url, audience=audience, clock=clock)
        await here.serve(service(tmp_path, verifier, clock).application())
        return here.url

    return started


@pytest.fixture
async def poll(start):
    """The poll's address."""
    return await start(Poll, "council-poll")


@pytest.fixture
async def ledger(start):
    """The ledger's address."""
    return await start(Ledger, "ledger")


def as_caller(asserter, audience, subject="hanako", **claims):
    """Headers of a call of one person, in the polls' case for one of them."""
    if audience == "council-poll":
        claims = {
            "context": "poll-shared-library",
            "attributes": {"adult": True, "member_resident": True},
            **claims,
        }
    return {HEADER: asserter.assertion(audience, subject, **claims)}


async def vote(browser, poll, headers, option="yes"):
    """Vote: status and answer."""
    response = await browser.post(f"{poll}/polls/shared-library/votes", json={"option": option}, headers=headers)
    return response.status, await response.json()


async def test_a_person_votes_once(browser, poll, asserter):
    """The second vote is a conflict, whatever it says; the first one stays."""
    headers = as_caller(asserter, "council-poll")
    assert await vote(browser, poll, headers) == (201, {"poll": "shared-library", "option": "yes"})
    status, problem = await vote(browser, poll, headers, option="no")
    assert (status, problem["type"]) == (409, "urn:kakehashi:demo:already-voted")
    results = await browser.get(f"{poll}/polls/shared-library/results", headers=headers)
    assert await results.json() == {
        "poll": "shared-library",
        "total": 1,
        "options": {"yes": 1, "region": 0, "no": 0},
        "municipalities": {"102016": 1},
    }


@pytest.mark.parametrize("context", ["poll-night-bus", "poll-Shared-Library", "", None])
async def test_a_name_for_another_poll_has_no_voice(browser, poll, asserter, context):
    """Else a second spelling of the poll's path would be a second vote."""
    headers = as_caller(asserter, "council-poll", context=context)
    assert (await vote(browser, poll, headers))[0] == 401


@pytest.mark.parametrize("told", [None, {}, {"adult": True}, {"adult": False, "member_resident": True}])
async def test_whoever_is_no_adult_resident_has_no_voice(browser, poll, asserter, told):
    """By the facts that come with the call, whatever else is true of them; one that nobody knows is not true."""
    status, problem = await vote(browser, poll, as_caller(asserter, "council-poll", attributes=told))
    assert (status, problem["type"]) in ((403, "urn:kakehashi:demo:no-voter"), (401, problem["type"]))
    results = await browser.get(f"{poll}/polls/shared-library/results", headers=as_caller(asserter, "council-poll"))
    assert (await results.json())["total"] == 0


async def test_votes_at_the_same_moment_count_once(browser, poll, asserter):
    """Twenty requests of one person: one is accepted."""
    headers = as_caller(asserter, "council-poll")
    answers = await asyncio.gather(*(vote(browser, poll, headers) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 19


async def test_votes_survive_a_restart(browser, start, poll, asserter, tmp_path):
    """Also when the last line was cut off while it was written: only what was acknowledged is there."""
    headers = as_caller(asserter, "council-poll")
    await vote(browser, poll, headers)
    with (tmp_path / "votes.jsonl").open("ab") as file:
        file.write(b'{"poll": "shared-lib')
    again = await start(Poll, "council-poll")
    assert (await vote(browser, again, headers))[0] == 409
    assert (await vote(browser, again, as_caller(asserter, "council-poll", "taro")))[0] == 201
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("body", [{"option": "perhaps"}, {"option": ["yes"]}, {}, [], "yes"])
async def test_a_vote_for_nothing_is_refused(browser, poll, asserter, body):
    """Only the poll's own options count."""
    headers = as_caller(asserter, "council-poll")
    response = await browser.post(f"{poll}/polls/shared-library/votes", json=body, headers=headers)
    assert response.status in (400, 422)
    assert response.content_type == "application/problem+json"


async def test_an_unknown_poll_is_not_found(browser, poll, asserter):
    """404, as problem JSON."""
    response = await browser.get(f"{poll}/polls/none", headers=as_caller(asserter, "council-poll"))
    assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_without_an_assertion_nobody_is_served(browser, poll):
    """Also not with headers that claim an identity."""
    response = await browser.get(f"{poll}/polls", headers={"X-Remote-User": "hanako"})
    assert response.status == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://localhost:1"},
        {"aud": "ledger"},
        {"aud": ["council-poll", "ledger"]},
        {"exp": 1},
        {"exp": 1 << 40},
        {"iat": 1 << 40},
        {"sub": ""},
        {"municipality": None},
    ],
)
async def test_an_assertion_for_other_use_is_refused(browser, poll, asserter, claims):
    """Issuer, audience, time, life and subject are all checked."""
    response = await browser.get(f"{poll}/polls", headers=as_caller(asserter, "council-poll", **claims))
    assert response.status == 401


async def test_whoever_only_looks_is_nobody(browser, poll, ledger, asserter):
    """The list of polls and results need no name; to vote, to see whether one voted, and to pay, somebody is needed."""
    nobody = as_caller(asserter, "council-poll", None)
    listed = await browser.get(f"{poll}/polls", headers=nobody)
    assert all("voted" not in each for each in (await listed.json())["polls"])
    assert (await browser.get(f"{poll}/polls/shared-library/results", headers=nobody)).status == 200
    assert (await browser.get(f"{poll}/polls/shared-library", headers=nobody)).status == 401
    assert (await vote(browser, poll, nobody))[0] == 401
    assert (await browser.get(f"{ledger}/payments", headers=as_caller(asserter, "ledger", None))).status == 401


async def test_an_assertion_by_another_key_is_refused(browser, poll, asserter):
    """The key ID of the right key does not help."""
    forged = as_caller(asserter, "council-poll", key=ECKey.generate_key("P-256"))
    assert (await browser.get(f"{poll}/polls", headers=forged)).status == 401


async def pay(browser, ledger, headers, key, body=FEE):
    """Pay: status and the answer as it came."""
    response = await browser.post(f"{ledger}/payments", json=body, headers={**headers, "Idempotency-Key": key})
    return response.status, await response.text()


async def test_a_payment_is_made_once_per_key(browser, ledger, asserter):
    """The second answer equals the first, and one payment is in the books."""
    headers = as_caller(asserter, "ledger")
    first = await pay(browser, ledger, headers, "key-0001")
    assert first[0] == 201
    assert await pay(browser, ledger, headers, "key-0001") == first
    assert await pay(browser, ledger, headers, '"key-0001"') == first  # as a string of RFC 9651
    assert (await pay(browser, ledger, headers, "key-0002"))[1] != first[1]
    listed = await (await browser.get(f"{ledger}/payments", headers=headers)).json()
    assert [payment["amount"] for payment in listed["payments"]] == [3000, 3000]


async def test_payments_at_the_same_moment_are_one(browser, ledger, asserter):
    """Twenty requests with one key get one and the same answer."""
    headers = as_caller(asserter, "ledger")
    answers = await asyncio.gather(*(pay(browser, ledger, headers, "key-0001") for _ in range(20)))
    assert len(set(answers)) == 1


async def test_a_key_stands_for_one_payment(browser, ledger, asserter):
    """With another amount it is refused, and nothing is paid."""
    headers = as_caller(asserter, "ledger")
    await pay(browser, ledger, headers, "key-0001")
    status, _ = await pay(browser, ledger, headers, "key-0001", {"fee": "town-fee", "amount": 1})
    assert status == 422


async def test_a_key_belongs_to_one_person(browser, ledger, asserter):
    """Somebody else's payment with the same key is a payment of its own, and their books stay apart."""
    await pay(browser, ledger, as_caller(asserter, "ledger", "hanako"), "key-0001")
    taro = as_caller(asserter, "ledger", "taro")
    assert await (await browser.get(f"{ledger}/payments", headers=taro)).json() == {"payments": []}
    assert (await pay(browser, ledger, taro, "key-0001"))[0] == 201


async def test_payments_survive_a_restart(browser, start, ledger, asserter):
    """The same key gets the same answer from a ledger that was started again."""
    headers = as_caller(asserter, "ledger")
    first = await pay(browser, ledger, headers, "key-0001")
    again = await start(Ledger, "ledger")
    assert await pay(browser, again, headers, "key-0001") == first


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (("short", FEE), 400),
        (("key-0001", {"fee": "town-fee"}), 422),
        (("key-0001", {"fee": "town-fee", "amount": 0}), 422),
        (("key-0001", {"fee": "town-fee", "amount": True}), 422),
        (("key-0001", {"fee": "town-fee", "amount": 1.5}), 422),
        (("key-0001", {"fee": "<script>", "amount": 1}), 422),
        (("key-0001", {**FEE, "payer": "taro"}), 422),
    ],
)
async def test_an_order_must_be_whole(browser, ledger, asserter, order, status):
    """No key, no amount, or somebody else's name: refused."""
    assert (await pay(browser, ledger, as_caller(asserter, "ledger"), *order))[0] == status
