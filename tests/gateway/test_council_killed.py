"""The gateway is killed in the middle of a council request: nothing is lost, and nothing is sent twice."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from federation.council.answers import Answer, Outcome
from federation.council.asking import Asker
from federation.council.question import read_asked
from federation.council.told import Request, Round
from gateway import keys
from gateway.clock import now
from gateway.council.rows import Claim, Rows, new_mark
from gateway.store import Store, connect

from .council_sample import CODES, Behaviour, Members, answers, app, as_system, members, question, with_council
from .gateway_sample import ROOT, Sample, here, store_server
from .upstream_sample import Connection

DOWN, SLOW = CODES[3:6], CODES[6:8]
READY = [code for code in CODES if code not in DOWN and code not in SLOW]
KILLED_AFTER = 9
"""Questions that have arrived when the gateway is killed."""


@contextlib.asynccontextmanager
async def gateway(sample: Sample, store: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gateway of its own, ready; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.gateway.council_process"),
        *(str(sample.config), str(sample.state), store, str(sample.port)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(sample.public_url + "/"):
                        break
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(session: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    """All of a request once it has ended."""
    while True:
        async with session.get(address, headers=as_system()) as answer:
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:  # the store is away
                await asyncio.sleep(0.1)
                continue
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
        if found["state"] == "ended":
            return found
        await asyncio.sleep(0.1)


async def half_way(sample: Sample, store: str, council: Members) -> str:
    """Begin a request over all members, and kill the gateway when some were asked; the request's address."""
    enough = asyncio.Event()

    def takes_its_time(code: str) -> Any:
        async def behave(connection: Connection) -> None:
            if council.arrived.total() >= KILLED_AFTER:
                enough.set()
            await asyncio.sleep(0.15)
            await answers(code)(connection)

        return behave

    async def slow(_: Connection) -> None:
        await asyncio.sleep(60)

    council.behaviours = {**{code: takes_its_time(code) for code in READY}, **dict.fromkeys(SLOW, slow)}
    async with gateway(sample, store) as process, aiohttp.ClientSession() as session:
        url = sample.public_url + "/council/requests"
        async with session.post(url, json=question(per_target_seconds=2), headers=as_system()) as answer:
            assert answer.status == 201, await answer.text()
            address = str((await answer.json())["location"])
        async with asyncio.timeout(30):
            await enough.wait()
        process.kill()
        await process.wait()
    return address


def council_of(sample: Sample, council: Members) -> Sample:
    """Twenty-four members, three of them down."""
    return with_council(sample, {**council.addresses(), **dict.fromkeys(DOWN, "http://127.0.0.1:9")}, concurrency=4)


async def test_nothing_is_lost_and_nothing_sent_twice(tmp_path: Path, store_url: str) -> None:
    """24 members, 3 down, 2 slow. Each ends as what is known of it; nobody is asked twice until the asker says so."""
    async with members() as council:
        sample = council_of(Sample(tmp_path), council)
        address = await half_way(sample, store_url, council)
        assert KILLED_AFTER <= council.arrived.total() < len(READY)
        async with gateway(sample, store_url), aiohttp.ClientSession() as session:
            found = await ended(session, address)
            ends = {each["municipality"]: each for each in found["members"]}
            assert sorted(ends) == sorted(CODES)
            assert found["answers"] == len(CODES)  # one end each
            assert council.arrived == dict.fromkeys((*READY, *SLOW), 1)
            interrupted = {code for code, each in ends.items() if each.get("reason") == "interrupted"}
            assert 1 <= len(interrupted) <= 4  # those that were under way, and had an answer that nobody heard
            assert all(ends[code]["may_have_arrived"] for code in interrupted)
            assert {code for code in READY if ends[code]["outcome"] == "answered"} == set(READY) - interrupted
            assert all(ends[code]["outcome"] == "unreachable" for code in DOWN)
            async with session.post(address + "/repeat", headers=as_system()) as again:
                assert again.status == 201
            found = await ended(session, address)
    assert (found["answered"], found["timed-out"], found["unreachable"]) == (len(READY), len(SLOW), len(DOWN))
    assert council.arrived == {**dict.fromkeys(READY, 1), **dict.fromkeys((*interrupted, *SLOW), 2)}
    assert all(len(keys) == 1 for keys in council.keys.values())  # who was asked again could know it by the key


async def test_what_was_interrupted_is_asked_once_more_if_the_asker_said_so(tmp_path: Path, store_url: str) -> None:
    """Of four members one had answered, one was being asked, one was being asked for the second time, one was not."""
    answered, asked, asked_again, waiting = CODES[:4]
    async with members() as council:
        sample = with_council(Sample(tmp_path), council.addresses(*CODES[:4]))
        begun = now()
        left = Round(number=0, begun=begun, until=begun + timedelta(seconds=30), codes=CODES[:4])
        request = Request(
            id="left-by-another-proces",
            asker=Asker(client=f"https://systems.example/{CODES[0]}", municipality=CODES[0]),
            asked=read_asked(json.dumps(question(interrupted="repeat")).encode(), most_targets=4),
            begun=begun,
            rounds=(left,),
        )
        keep, dead = timedelta(minutes=5), "a process that is gone"
        store = Store(connect(store_url), keys.load(sample.state).sealing, waits_for_disk=False)
        rows = Rows(store, sample.public_url)
        await rows.accept(request, keep)
        assert await rows.lease(request.id, dead, timedelta(seconds=30))
        for code in (answered, asked, asked_again):
            assert await rows.claim(request.id, dead, 0, code, keep, mark=new_mark()) is Claim.MINE
        first = (await rows.claimed(request.id, 0))[asked_again]
        mark = new_mark(first)
        for _ in range(2):  # the answer to the first try may be lost on the way
            assert await rows.claim(request.id, dead, 0, asked_again, keep, mark=mark, former=first) is Claim.MINE
        assert await rows.claim(request.id, "another", 0, waiting, keep, mark=new_mark()) is Claim.LOST
        assert await rows.claim(request.id, dead, 0, answered, keep, mark=new_mark()) is Claim.TAKEN
        await rows.end(request.id, Answer(code=answered, round=0, outcome=Outcome.ANSWERED, at=begun), keep)
        await rows.release(request.id, dead)
        await store.close()
        async with here(sample, store_url, app=app), aiohttp.ClientSession() as session:
            found = await ended(session, f"{sample.public_url}/council/requests/{request.id}")
    ends = {each["municipality"]: (each["outcome"], each.get("reason")) for each in found["members"]}
    heard = ("answered", None)
    assert ends == {answered: heard, asked: heard, waiting: heard, asked_again: ("unreachable", "interrupted")}
    assert council.arrived == {asked: 1, waiting: 1}


async def test_a_store_that_is_killed_loses_nothing_either(tmp_path: Path) -> None:
    """Whoever is being asked then is heard; the others are asked when the store is there again; all once."""
    directory = tmp_path / "store"
    directory.mkdir()
    kept = ("--appendonly", "yes", "--appendfsync", "always")
    asked = CODES[:12]

    def takes_its_time(code: str) -> Behaviour:
        async def behave(connection: Connection) -> None:
            await asyncio.sleep(0.3)
            await answers(code)(connection)

        return behave

    async with members() as council, contextlib.AsyncExitStack() as stack:
        council.behaviours = {code: takes_its_time(code) for code in asked}
        store = stack.enter_context(store_server(directory, *kept))
        sample = with_council(Sample(tmp_path / "gateway"), council.addresses(*asked), concurrency=3)
        async with (
            here(sample, f"unix://{directory / 's.sock'}", app=app),
            aiohttp.ClientSession() as session,
        ):
            url = sample.public_url + "/council/requests"
            async with session.post(url, json=question(), headers=as_system()) as answer:
                address = str((await answer.json())["location"])
            await council.service.called.wait()
            store.kill()
            await asyncio.to_thread(store.wait)
            await asyncio.sleep(0.5)
            stack.enter_context(store_server(directory, *kept))
            found = await ended(session, address)
    assert (found["answered"], found["answers"]) == (len(asked), len(asked))
    assert council.arrived == dict.fromkeys(asked, 1)
