"""Requests of the policy council, in a real gateway with a real store and members that answer over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from federation.signatures.algorithms import keyring
from federation.signatures.message import Request as Signable
from federation.signatures.profile import verify_request
from gateway.clock import now

from .council_sample import (
    ASKER,
    CODES,
    Members,
    answers,
    app,
    as_system,
    council_list,
    members,
    question,
    say_json,
    with_council,
)
from .gateway_sample import Here, Sample, here
from .upstream_sample import Connection

NDJSON = "application/x-ndjson"
FEW = CODES[:4]


@pytest.fixture
async def council() -> AsyncIterator[Members]:
    """The members' systems."""
    async with members() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The asker's system."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        yield session


async def ask(http: aiohttp.ClientSession, gateway: Here, body: Any, code: str = ASKER) -> str:
    """Begin a request; its address."""
    async with http.post(gateway.url + "/council/requests", json=body, headers=as_system(code)) as answer:
        assert answer.status == 201, await answer.text()
        begun = await answer.json()
        assert answer.headers["Location"] == begun["location"]
        return str(begun["location"])


async def read(http: aiohttp.ClientSession, address: str, code: str = ASKER) -> dict[str, Any]:
    """All of a request as it is now."""
    async with http.get(address, headers=as_system(code)) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def ended(http: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    """All of a request once it has ended."""
    while (found := await read(http, address))["state"] != "ended":  # noqa: ASYNC110 - another program's state
        await asyncio.sleep(0.05)
    return found


def by_code(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members of a request by their codes."""
    return {each["municipality"]: each for each in found["members"]}


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """How each ended, and why."""
    return {code: (each["outcome"], each.get("reason")) for code, each in by_code(found).items()}


async def test_every_member_is_asked_once_and_each_end_is_stated(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Answered with what was said, refused with why, timed out, unreachable: each member ends as one of them."""

    async def unwilling(connection: Connection) -> None:
        await say_json(connection, {"title": "not tonight"}, status="503 Service Unavailable")

    async def slow(_: Connection) -> None:
        await asyncio.sleep(30)

    council.behaviours = {FEW[1]: unwilling, FEW[2]: slow}
    addresses = {**council.addresses(*FEW), FEW[3]: "http://127.0.0.1:9", CODES[4]: None}
    sample = with_council(Sample(tmp_path), addresses)
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, gateway, question(per_target_seconds=1))
        found = by_code(await ended(http, address))
    assert found[FEW[0]]["outcome"] == "answered"
    assert found[FEW[0]]["json"] == {"free": 201}
    assert found[FEW[0]]["signature"] == "no-keys"
    refused = found[FEW[1]]
    assert (refused["outcome"], refused["reason"], refused["status"]) == ("refused", "status", 503)
    assert refused["json"] == {"title": "not tonight"}
    assert (found[FEW[2]]["outcome"], found[FEW[2]]["may_have_arrived"]) == ("timed-out", True)
    assert (found[FEW[3]]["outcome"], found[FEW[3]]["may_have_arrived"]) == ("unreachable", False)
    assert found[CODES[4]]["reason"] == "no-address"
    assert council.arrived == dict.fromkeys(FEW[:3], 1)


async def test_members_learn_who_asks_what_for_and_by_whose_gateway(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Assertion and signature hold by the gateway's published keys; the question arrives as it was asked."""
    bodies: list[bytes] = []

    async def keeps(connection: Connection) -> None:
        bodies.append(await connection.body())
        await say_json(connection, {})

    council.behave = keeps
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    posted = {"method": "POST", "path": "/places?kind=school", "json": {"date": "2026-04-01", "what": "毛布"}}
    async with here(sample, store_url, app=app) as gateway:
        asked = question(to={"members": [FEW[1]]}, question=posted)
        address = await ask(http, gateway, asked)
        assert (await ended(http, address))["answered"] == 1
        async with http.get(gateway.url + "/.well-known/kakehashi-assertion-jwks.json") as answer:
            jwks = await answer.json()
    (arrived,) = council.seen
    assert json.loads(bodies[0]) == posted["json"]
    decoded = jwt.decode(arrived.header("Kakehashi-Assertion") or "", KeySet.import_key_set(jwks))
    claims = decoded.claims
    request_id = address.rpartition("/")[2]
    assert claims["aud"] == f"https://systems.example/{FEW[1]}"
    assert (claims["municipality"], claims["caller"]) == (ASKER, "system")
    assert (claims["council_request"], claims["purpose"]) == (request_id, asked["purpose"])
    assert arrived.header("Idempotency-Key") == f'"{request_id}.{FEW[1]}"'
    signed = Signable(
        method="POST", url=f"{council.address(FEW[1])}/places?kind=school", headers=tuple(arrived.headers)
    )
    assert verify_request(signed, keyring(jwks), now(), content=True).tag == "kakehashi-call"


@pytest.mark.parametrize("to", [{"prefecture": "10"}, {"prefecture": "01"}, {"members": [CODES[1], "011002"]}])
async def test_a_prefecture_or_a_list_is_asked(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession, to: dict[str, Any]
) -> None:
    """Only those are asked; a municipality that was listed and is no member is told of."""
    sample = with_council(Sample(tmp_path), {**council.addresses(*FEW), "012173": council.address("012173")})
    async with here(sample, store_url, app=app) as gateway:
        found = outcomes(await ended(http, await ask(http, gateway, question(to=to))))
    expected = {
        "prefecture 10": dict.fromkeys(FEW, ("answered", None)),
        "prefecture 01": {"012173": ("answered", None)},
        "members": {CODES[1]: ("answered", None), "011002": ("refused", "not-a-member")},
    }
    assert found == expected[f"prefecture {to['prefecture']}" if "prefecture" in to else "members"]


async def test_answers_are_streamed_as_lines_while_they_come(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """The first answer is read while another member still thinks; a reader takes up behind what it has."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {"free": 1})

    council.behaviours = {FEW[3]: waits}
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    async with here(sample, store_url, app=app) as gateway:
        headers = as_system(Accept=NDJSON)
        async with http.post(gateway.url + "/council/requests", json=question(), headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, NDJSON)
            lines = [json.loads(await answer.content.readline()) for _ in range(4)]
            assert [line["type"] for line in lines] == ["request", "answer", "answer", "answer"]
            goes.set()
            rest = [json.loads(line) async for line in answer.content]
        assert [(line["type"], line.get("municipality")) for line in rest] == [("answer", FEW[3]), ("end", None)]
        assert (rest[-1]["state"], rest[-1]["answered"]) == ("ended", 4)
        async with http.get(answer.headers["Location"] + "?after=3", headers=headers) as again:
            later = [json.loads(line) async for line in again.content]
    assert [(line["type"], line.get("number")) for line in later] == [("request", None), ("answer", 4), ("end", None)]


async def test_answers_are_streamed_as_parts(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Any reader of multipart/mixed gets what members sent, octet for octet, and what became of each."""
    sample = with_council(Sample(tmp_path), {**council.addresses(*FEW[:2]), FEW[2]: None})
    async with here(sample, store_url, app=app) as gateway:
        headers = as_system(Accept="multipart/mixed, */*;q=0.1")
        async with http.post(gateway.url + "/council/requests", json=question(), headers=headers) as answer:
            content = await answer.read()
            whole = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + content
    parsed: Message = BytesParser(policy=HTTP).parsebytes(whole)  # type: ignore[arg-type]
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    assert [part["Kakehashi-Part"] for part in parts] == ["request", "answer", "answer", "answer", "end"]
    said = {part["Kakehashi-Municipality"]: part for part in parts[1:-1]}
    assert said[FEW[0]].get_payload(decode=True) == b'{"free": 201}'
    assert (said[FEW[2]]["Kakehashi-Outcome"], said[FEW[2]]["Kakehashi-Reason"]) == ("unreachable", "no-address")


async def test_a_request_goes_on_when_its_asker_goes_away(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """The connection is cut in the middle of the stream; later everything is there."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {"free": 1})

    council.behaviours = {FEW[3]: waits}
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    async with here(sample, store_url, app=app) as gateway:
        headers = as_system(Accept=NDJSON)
        answer = await http.post(gateway.url + "/council/requests", json=question(), headers=headers)
        await answer.content.readline()
        answer.close()
        goes.set()
        found = await ended(http, answer.headers["Location"])
    assert found["answered"] == 4
    assert council.arrived == dict.fromkeys(FEW, 1)


async def test_the_missing_are_asked_again_with_the_same_key(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """A repeat asks those who have not answered, and nobody else; nothing is repeated while a round is under way."""
    goes = asyncio.Event()

    async def unwilling(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {}, status="503 Service Unavailable")

    council.behaviours = {FEW[1]: unwilling}
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, gateway, question())
        async with http.post(address + "/repeat", headers=as_system()) as early:
            assert (early.status, (await early.json())["code"]) == (409, "council-request-open")
        goes.set()
        assert (await ended(http, address))["refused"] == 1
        del council.behaviours[FEW[1]]
        async with http.post(address + "/repeat", headers=as_system()) as again:
            assert again.status == 201, await again.text()
        found = await ended(http, address)
        async with http.post(address + "/repeat", headers=as_system()) as nothing:
            assert (nothing.status, (await nothing.json())["code"]) == (400, "council-request-malformed")
    assert (found["answered"], found["round"], found["answers"]) == (4, 1, 5)
    assert council.arrived == {**dict.fromkeys(FEW, 1), FEW[1]: 2}
    assert all(len(keys) == 1 for keys in council.keys.values())


async def test_a_cancelled_request_asks_nobody_else(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Who was asked may have seen it; who was not, has not; and each is told so."""

    async def waits(_: Connection) -> None:
        await asyncio.sleep(30)

    council.behave = waits
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), concurrency=1)
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, gateway, question())
        await council.service.called.wait()
        async with http.post(address + "/cancel", headers=as_system()) as answer:
            assert answer.status == 202
        found = await ended(http, address)
    assert found["cancelled"] == 4
    arrived = [each["may_have_arrived"] for each in found["members"]]
    assert sorted(arrived) == [False, False, False, True]
    assert council.arrived.total() == 1


async def test_others_learn_nothing_of_a_request(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """To another member, to nobody in particular and to a municipality that is none it does not exist."""
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, gateway, question())
        await ended(http, address)
        found = []
        for method, path in (("GET", ""), ("GET", "?after=0"), ("POST", "/repeat"), ("POST", "/cancel")):
            for headers in (as_system(FEW[1]), {}):
                async with http.request(method, address + path, headers=headers) as answer:
                    found.append((answer.status, (await answer.json())["code"]))
        async with http.get(gateway.url + "/council/requests", headers=as_system(FEW[1])) as answer:
            assert await answer.json() == {"requests": []}
        async with http.get(gateway.url + "/council/requests", headers=as_system()) as answer:
            assert [each["id"] for each in (await answer.json())["requests"]] == [address.rpartition("/")[2]]
    assert found == [(404, "council-request-unknown"), (401, "token-missing")] * 4


async def test_a_token_of_a_person_or_none_begins_nothing(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """The endpoints are for systems: a resident's token is refused, whatever its scopes."""
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    sample.put_list(council_list({}))
    from .gateway_sample import signed_list  # noqa: PLC0415 - the sample's own list, whose ID system vouches

    sample.put_list(signed_list("maebashi", sequence=2))
    async with here(sample, store_url) as gateway:
        found = []
        for headers in ({}, sample.bearer(), {"Authorization": "Bearer x"}):
            async with http.post(gateway.url + "/council/requests", json=question(), headers=headers) as answer:
                found.append((await answer.json())["code"])
    assert found == ["token-missing", "caller-not-allowed", "token-invalid"]
    assert not council.arrived


# --- members that mean harm


async def endless(connection: Connection) -> None:
    """An answer without an end."""
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.say(b"8000\r\n" + b" " * 0x8000 + b"\r\n")


async def drips(connection: Connection) -> None:
    """One octet now and then."""
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
    while True:
        await connection.say(b" ")
        await asyncio.sleep(0.1)


async def lies(connection: Connection) -> None:
    """Less than was announced."""
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}")
    connection.writer.close()


async def big_headers(connection: Connection) -> None:
    """A header field of a hundred thousand octets."""
    await connection.say(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n")


async def other_type(connection: Connection) -> None:
    """A page where data were asked for."""
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>")


async def zipped(connection: Connection) -> None:
    """Compressed, which nobody asked for."""
    await connection.say(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    )


async def elsewhere(connection: Connection) -> None:
    """A redirect."""
    await connection.say(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /here\r\nContent-Length: 0\r\n\r\n")


async def my_number(connection: Connection) -> None:
    """What must never pass."""
    await say_json(connection, {"my_number": "123456789018"})


async def breaks_off(connection: Connection) -> None:
    """A connection that is reset."""
    connection.writer.transport.abort()


async def nonsense(connection: Connection) -> None:
    """No HTTP."""
    await connection.say(b"\x00\xff" * 100 + b"\r\n\r\n")


async def deep(connection: Connection) -> None:
    """JSON as deep as it fits."""
    content = b"[" * 20_000 + b"]" * 20_000
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    await connection.say(head.encode() + content)


HOSTILE = {
    endless: ("refused", "answer-too-large"),
    drips: ("timed-out", "slow"),
    lies: ("unreachable", "truncated"),
    big_headers: ("unreachable", "http"),
    other_type: ("refused", "content-type"),
    zipped: ("refused", "content-coding"),
    elsewhere: ("refused", "redirect"),
    my_number: ("refused", "forbidden-content"),
    nonsense: ("unreachable", "http"),
    breaks_off: ("unreachable", "truncated"),
}


async def test_members_that_mean_harm_harm_only_themselves(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Each ends with its reason, none of its octets are kept where it broke a rule, and the good ones are heard."""
    codes = dict(zip(CODES[1:], HOSTILE, strict=False))
    council.behaviours = {**codes, CODES[15]: deep}
    private = {CODES[17]: "https://10.0.0.1/x", CODES[18]: "https://metadata.internal.invalid/"}
    sample = with_council(Sample(tmp_path), {**council.addresses(*CODES[:16]), **private})
    async with here(sample, store_url, app=app) as gateway:
        found = await ended(http, await ask(http, gateway, question(per_target_seconds=2)))
    ends = outcomes(found)
    assert {code: ends[code] for code in codes} == {code: HOSTILE[each] for code, each in codes.items()}
    assert (ends[CODES[17]], ends[CODES[18]]) == (("unreachable", "private-address"), ("unreachable", "dns"))
    assert (
        "base64" in by_code(found)[CODES[15]]
    )  # two readers may read such depths in two ways, so nobody reads it here
    assert "json" not in by_code(found)[CODES[8]]
    assert [ends[code] for code in CODES[11:15]] == [("answered", None)] * 4
    assert council.arrived == dict.fromkeys(CODES[:16], 1)


async def test_a_member_that_left_the_council_is_not_asked(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Whom the lists name counts when the question goes out, not when it was asked."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {})

    council.behave = waits
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), concurrency=1)
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, gateway, question())
        await council.service.called.wait()
        left = council.addresses(*FEW[:3])
        sample.put_list(council_list(left, sequence=2))
        gateway.process.again.set()
        while gateway.process.gateway.region.trust.lists()[0].sequence != 2:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
        goes.set()
        found = outcomes(await ended(http, address))
    assert found == {**dict.fromkeys(FEW[:3], ("answered", None)), FEW[3]: ("refused", "not-a-member")}


# --- askers that mean harm


async def test_a_request_that_is_none_is_refused_with_the_place(
    tmp_path: Path, store_url: str, http: aiohttp.ClientSession
) -> None:
    """Where, what was expected, what to do; and nobody is asked. More in tests/federation/test_council.py."""
    sample = with_council(Sample(tmp_path), {ASKER: "http://127.0.0.1:9"})
    headers = as_system(**{"Content-Type": "application/json"})
    posted: dict[str, bytes] = {
        "/": b"",
        "/to/members/0": json.dumps(question(to={"members": ["102017"]})).encode(),
        "/to": json.dumps(question(to={"prefecture": "47"})).encode(),  # nobody is a member there
        "/question/path": json.dumps(question(to={"service": "notes"})).encode(),  # no route of this service
    }
    async with here(sample, store_url, app=app) as gateway:
        for where, content in posted.items():
            async with http.post(gateway.url + "/council/requests", data=content, headers=headers) as answer:
                assert (answer.status, answer.content_type) == (400, "application/problem+json")
                problem = await answer.json()
            assert (problem["code"], problem["where"]) == ("council-request-malformed", where)
            assert problem["expected"]
            assert problem["do"]


async def test_forbidden_content_and_other_bodies_do_not_go_out(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """A My Number in a question, a body that cannot be looked at, another type, too much at once."""
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    posts = (
        {"question": {"method": "POST", "path": "/x", "json": {"my_number": "123456789018"}}},
        {"question": {"method": "POST", "path": "/x", "base64": "AAAA", "content_type": "image/png"}},
    )
    async with here(sample, store_url, app=app) as gateway:
        url, found = gateway.url + "/council/requests", []
        for each in posts:
            async with http.post(url, json=question(**each), headers=as_system()) as answer:
                found.append((answer.status, (await answer.json())["code"]))
        async with http.post(
            url, data=b"x" * 300_000, headers=as_system(**{"Content-Type": "application/json"})
        ) as big:
            found.append((big.status, (await big.json())["code"]))
        async with http.post(url, data={"to": "all"}, headers=as_system()) as form:
            found.append((form.status, (await form.json())["code"]))
    assert found == [
        (422, "call-forbidden-content"),
        (415, "call-not-inspectable"),
        (413, "body-too-large"),
        (415, "content-type-not-allowed"),
    ]
    assert not council.arrived


async def test_a_member_has_no_more_requests_under_way_than_it_may(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """The others' requests are not counted among them."""

    async def waits(_: Connection) -> None:
        await asyncio.sleep(30)

    council.behave = waits
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), open_requests=2)
    async with here(sample, store_url, app=app) as gateway:
        url = gateway.url + "/council/requests"
        found = []
        for code in (ASKER, ASKER, ASKER, FEW[1]):
            async with http.post(url, json=question(deadline_seconds=3), headers=as_system(code)) as answer:
                found.append(answer.status)
        addresses = [each["id"] for each in (await (await http.get(url, headers=as_system())).json())["requests"]]
        for each in addresses:
            await http.post(f"{url}/{each}/cancel", headers=as_system())
    assert found == [201, 201, 429, 201]


async def test_a_service_of_the_region_is_asked_by_its_route(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """As a call would be: by the route's own terms, with an assertion for that service."""
    council.behave = answers(ASKER)
    sample = with_council(Sample(tmp_path, upstream=council.service.url), council.addresses(*FEW))
    routes = sample.routes()
    for route in routes["routes"]:
        route["callers"] = ["systems"]
    sample.write("routes.yaml", routes)
    asked = question(to={"service": "notes"}, question={"method": "GET", "path": "/api/notes/102016"})
    closed = question(to={"service": "notes"}, question={"method": "POST", "path": "/api/notes", "json": {}})
    async with here(sample, store_url, app=app) as gateway:
        found = await ended(http, await ask(http, gateway, asked))
        async with http.post(gateway.url + "/council/requests", json=closed, headers=as_system()) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "scope-missing")
    assert [(each["service"], each["outcome"]) for each in found["members"]] == [("notes", "answered")]
    assert council.seen[0].request_line.startswith("GET /notes/102016 ")
