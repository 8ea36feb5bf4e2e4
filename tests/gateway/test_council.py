"""Requests of the policy council, in a real gateway with a real store and members that answer over real sockets."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet

from federation.signatures.algorithms import MessageSigner, keyring
from federation.signatures.digests import content_digest
from federation.signatures.message import Request as Signable
from federation.signatures.message import Response
from federation.signatures.profile import sign_answer, verify_request
from gateway.clock import now
from gateway.council import running
from observability.events import CouncilEvent

from .council_sample import (
    ASKER,
    CODES,
    Behaviour,
    Members,
    answers,
    app,
    as_system,
    council_list,
    entity,
    members,
    question,
    say_json,
    with_council,
    with_systems,
)
from .gateway_sample import Here, Sample, Signatory, here, signatory
from .upstream_sample import Connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

CERTIFICATE = base64.b64encode(
    x509.load_pem_x509_certificate(signatory("member").certificate).public_bytes(Encoding.DER)
).decode()
KEY: dict[str, Any] = dict(ECKey.import_key(signatory("member").key).as_dict(private=False))
"""The same key by value."""

NDJSON = "application/x-ndjson"
FEW = CODES[:4]
"""The last of them is down."""
GOOD = FEW[:3]


ALONE = {"012173": "", "422053": ""}
"""Members of other prefectures."""
NOWHERE, SIGNING, FORGED, ALTERED, UNSIGNED, REPLAYED = CODES[18:24]
"""A member without an address, and those whose keys the list names."""
PRIVATE = {
    CODES[16]: "https://10.0.0.1/x",
    CODES[17]: "https://metadata.internal.invalid/",
    FEW[3]: "http://127.0.0.1:9",
}


@dataclass
class Region:
    """A gateway and the members' systems; `sample` is its configuration."""

    gateway: Here
    council: Members
    sample: Sample

    @property
    def url(self) -> str:
        return self.gateway.url + "/council/requests"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """One gateway for most tests, which also gives systems their service of the region."""
    async with members() as council:
        sample = Sample(tmp_path_factory.mktemp("council"), upstream="http://localhost:9/notes-service")
        routes = sample.routes()
        routes["services"][0]["targets"] = [council.service.url]
        for route in routes["routes"]:
            route["callers"] = ["systems"]
        sample.write("routes.yaml", routes)
        with_systems(sample, *CODES, *ALONE)
        addresses = {**council.addresses(*CODES, *ALONE), NOWHERE: None, **PRIVATE}
        listed = council_list(addresses, certificates=dict.fromkeys(CODES[20:24], CERTIFICATE), keys={SIGNING: KEY})
        sample.put_list(listed)
        sample.write("gateway.yaml", sample.gateway(council={"open_requests": 50}))
        async with here(sample, store_url, app=app) as gateway:
            yield Region(gateway=gateway, council=council, sample=sample)


@pytest.fixture
def region(shared: Region) -> Region:
    """The same, with members that have met nobody and answer well."""
    shared.council.forget()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def council() -> AsyncIterator[Members]:
    """The members' systems for a gateway of a test's own."""
    async with members() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """The asker's system."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        yield session


async def ask(http: aiohttp.ClientSession, region: Region, body: Any, code: str = ASKER) -> str:
    """Begin a request; its address."""
    async with http.post(region.url, json=body, headers=as_system(code)) as answer:
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


async def ended(http: aiohttp.ClientSession, address: str, code: str = ASKER) -> dict[str, Any]:
    """All of a request once it has ended."""
    while (found := await read(http, address, code))["state"] != "ended":  # noqa: ASYNC110 - another program's state
        await asyncio.sleep(0.05)
    return found


def by_code(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members of a request by their codes."""
    return {each["municipality"]: each for each in found["members"]}


def outcomes(found: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """How each ended, and why."""
    return {code: (each["outcome"], each.get("reason")) for code, each in by_code(found).items()}


async def test_every_member_ends_as_what_became_of_it(region: Region, http: aiohttp.ClientSession) -> None:
    """Answered with what was said, refused with why, timed out, unreachable; and each is asked once."""

    async def unwilling(connection: Connection) -> None:
        await say_json(connection, {"title": "not tonight"}, status="503 Service Unavailable")

    async def slow(_: Connection) -> None:
        await asyncio.sleep(30)

    region.council.behaviours = {FEW[1]: unwilling, FEW[2]: slow}
    asked = question(to={"members": [*FEW, NOWHERE, "011002"]}, per_target_seconds=1)
    found = by_code(await ended(http, await ask(http, region, asked)))
    assert found[FEW[0]]["outcome"] == "answered"
    assert found[FEW[0]]["json"] == {"free": 201}
    assert found[FEW[0]]["signature"] == "no-keys"
    refused = found[FEW[1]]
    assert (refused["outcome"], refused["reason"], refused["status"]) == ("refused", "status", 503)
    assert refused["json"] == {"title": "not tonight"}
    assert (found[FEW[2]]["outcome"], found[FEW[2]]["may_have_arrived"]) == ("timed-out", True)
    assert (found[FEW[3]]["outcome"], found[FEW[3]]["may_have_arrived"]) == ("unreachable", False)
    assert (found[NOWHERE]["outcome"], found[NOWHERE]["reason"]) == ("unreachable", "no-address")
    assert (found["011002"]["outcome"], found["011002"]["reason"]) == ("refused", "not-a-member")
    assert region.council.arrived == dict.fromkeys(GOOD, 1)
    told = [(event.target, event.outcome) for event in region.gateway.heard.of(CouncilEvent)[-6:]]
    assert dict(told) == {code: each["outcome"] for code, each in found.items()}


async def test_members_learn_who_asks_what_for_and_by_whose_gateway(
    region: Region, http: aiohttp.ClientSession
) -> None:
    """Assertion and signature hold by the gateway's published keys; the question arrives as it was asked."""
    bodies: list[bytes] = []

    async def keeps(connection: Connection) -> None:
        bodies.append(await connection.body())
        await say_json(connection, {})

    region.council.behave = keeps
    posted = {"method": "POST", "path": "/places?kind=school", "json": {"date": "2026-04-01", "what": "毛布"}}
    asked = question(to={"members": [FEW[1]]}, question=posted)
    address = await ask(http, region, asked)
    assert (await ended(http, address))["answered"] == 1
    async with http.get(region.gateway.url + "/.well-known/kakehashi-assertion-jwks.json") as answer:
        jwks = await answer.json()
    (arrived,) = region.council.seen
    assert json.loads(bodies[0]) == posted["json"]
    claims = jwt.decode(arrived.header("Kakehashi-Assertion") or "", KeySet.import_key_set(jwks)).claims
    request_id = address.rpartition("/")[2]
    assert claims["aud"] == f"https://systems.example/{FEW[1]}"
    assert (claims["municipality"], claims["caller"]) == (ASKER, "system")
    assert (claims["council_request"], claims["purpose"]) == (request_id, asked["purpose"])
    assert arrived.header("Idempotency-Key") == f'"{request_id}.{FEW[1]}"'
    url = f"{region.council.address(FEW[1])}/places?kind=school"
    signed = Signable(method="POST", url=url, headers=tuple(arrived.headers))
    assert verify_request(signed, keyring(jwks), now(), content=True).tag == "kakehashi-call"


@pytest.mark.parametrize(
    "path", ["/a?x=%2F%3F%23", "/p?x=%e6%97%a5", "/a?x=%20%27%22", "/%41b?x=%41", "/a%7Eb!$&()*+,=", "/a?"]
)
async def test_what_is_signed_is_what_is_sent(http: aiohttp.ClientSession, region: Region, path: str) -> None:
    """`@target-uri` is that of the request line that comes (RFC 9421 §2.2.2), however the path is written."""
    asked = question(to={"members": [FEW[1]]}, question={"method": "GET", "path": path})
    assert (await ended(http, await ask(http, region, asked)))["answered"] == 1
    async with http.get(region.gateway.url + "/.well-known/kakehashi-assertion-jwks.json") as answer:
        jwks = await answer.json()
    (arrived,) = region.council.seen
    came = arrived.request_line.split(" ")[1]
    assert came == f"/{FEW[1]}{path}".removesuffix("?")
    signed = Signable(method="GET", url=region.council.service.url + came, headers=tuple(arrived.headers))
    assert verify_request(signed, keyring(jwks), now(), content=False).tag == "kakehashi-call"


async def test_a_prefecture_or_everybody_is_asked(region: Region, http: aiohttp.ClientSession) -> None:
    """By the codes that the lists name."""
    hokkaido = outcomes(await ended(http, await ask(http, region, question(to={"prefecture": "01"}))))
    assert hokkaido == {"012173": ("answered", None)}
    everybody = outcomes(await ended(http, await ask(http, region, question(to="all"))))
    assert sorted(everybody) == sorted((*CODES, *ALONE))


async def test_answers_are_streamed_as_lines_while_they_come(region: Region, http: aiohttp.ClientSession) -> None:
    """The first answer is read while another member still thinks; a reader takes up behind what it has."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {"free": 1})

    region.council.behaviours = {GOOD[2]: waits}
    headers = as_system(Accept=NDJSON)
    async with http.post(region.url, json=question(to={"members": GOOD}), headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, NDJSON)
        lines = [json.loads(await answer.content.readline()) for _ in range(3)]
        assert [line["type"] for line in lines] == ["request", "answer", "answer"]
        goes.set()
        rest = [json.loads(line) async for line in answer.content]
    assert [(line["type"], line.get("municipality")) for line in rest] == [("answer", GOOD[2]), ("end", None)]
    assert (rest[-1]["state"], rest[-1]["answered"]) == ("ended", 3)
    async with http.get(answer.headers["Location"] + "?after=2", headers=headers) as again:
        later = [json.loads(line) async for line in again.content]
    assert [(line["type"], line.get("number")) for line in later] == [("request", None), ("answer", 3), ("end", None)]


async def test_answers_are_streamed_as_parts(region: Region, http: aiohttp.ClientSession) -> None:
    """Any reader of multipart/mixed gets what members sent, octet for octet, and what became of each."""
    headers = as_system(Accept="multipart/mixed, */*;q=0.1")
    asked = question(to={"members": [*GOOD[:2], NOWHERE]})
    async with http.post(region.url, json=asked, headers=headers) as answer:
        content = await answer.read()
        whole = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + content
    parsed: Message = BytesParser(policy=HTTP).parsebytes(whole)  # type: ignore[arg-type]
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    assert [part["Kakehashi-Part"] for part in parts] == ["request", "answer", "answer", "answer", "end"]
    said = {part["Kakehashi-Municipality"]: part for part in parts[1:-1]}
    assert said[GOOD[0]].get_payload(decode=True) == b'{"free": 201}'
    assert (said[NOWHERE]["Kakehashi-Outcome"], said[NOWHERE]["Kakehashi-Reason"]) == ("unreachable", "no-address")


async def test_a_request_goes_on_when_its_asker_goes_away(region: Region, http: aiohttp.ClientSession) -> None:
    """The connection is cut in the middle of the stream; later everything is there."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {"free": 1})

    region.council.behaviours = {GOOD[2]: waits}
    headers = as_system(Accept=NDJSON)
    answer = await http.post(region.url, json=question(to={"members": GOOD}), headers=headers)
    await answer.content.readline()
    answer.close()
    goes.set()
    assert (await ended(http, answer.headers["Location"]))["answered"] == 3
    assert region.council.arrived == dict.fromkeys(GOOD, 1)


async def test_the_missing_are_asked_again_with_the_same_key(region: Region, http: aiohttp.ClientSession) -> None:
    """A repeat asks those who have not answered, and nobody else; nothing is repeated while a round is under way."""
    goes = asyncio.Event()

    async def unwilling(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {}, status="503 Service Unavailable")

    region.council.behaviours = {GOOD[1]: unwilling}
    address = await ask(http, region, question(to={"members": GOOD}))
    async with http.post(address + "/repeat", headers=as_system()) as early:
        assert (early.status, (await early.json())["code"]) == (409, "council-request-open")
    goes.set()
    assert (await ended(http, address))["refused"] == 1
    del region.council.behaviours[GOOD[1]]
    async with http.post(address + "/repeat", json={"members": [GOOD[0]]}, headers=as_system()) as answered:
        assert (answered.status, (await answered.json())["where"]) == (400, "/members")
    async with http.post(address + "/repeat", headers=as_system()) as again:
        assert again.status == 201, await again.text()
    found = await ended(http, address)
    async with http.post(address + "/repeat", headers=as_system()) as nothing:
        assert (nothing.status, (await nothing.json())["code"]) == (400, "council-request-malformed")
    assert (found["answered"], found["round"], found["answers"]) == (3, 1, 4)
    assert region.council.arrived == {**dict.fromkeys(GOOD, 1), GOOD[1]: 2}
    assert all(len(keys) == 1 for keys in region.council.keys.values())


async def test_two_repeats_at_once_are_one(region: Region, http: aiohttp.ClientSession) -> None:
    """The second one finds the request under way, or begins another round once it has ended."""
    address = await ask(http, region, question(to={"members": [FEW[3], NOWHERE]}))
    await ended(http, address)
    answers = await asyncio.gather(*(http.post(address + "/repeat", headers=as_system()) for _ in range(4)))
    statuses = sorted(answer.status for answer in answers)
    found = await ended(http, address)
    assert statuses.count(201) == found["round"]
    assert set(statuses) <= {201, 409}
    assert found["answers"] == 2 * (1 + found["round"])


async def test_others_learn_nothing_of_a_request(region: Region, http: aiohttp.ClientSession) -> None:
    """To another member, and to nobody in particular, it does not exist."""
    address = await ask(http, region, question(to={"members": GOOD}))
    await ended(http, address)
    found = []
    for method, path in (("GET", ""), ("GET", "?after=0"), ("POST", "/repeat"), ("POST", "/cancel")):
        for headers in (as_system(FEW[1]), {}):
            async with http.request(method, address + path, headers=headers) as answer:
                found.append((answer.status, (await answer.json())["code"]))
    assert found == [(404, "council-request-unknown"), (401, "token-missing")] * 4
    own = address.rpartition("/")[2]
    async with http.get(region.url, headers=as_system(FEW[1])) as answer:
        assert own not in [each["id"] for each in (await answer.json())["requests"]]
    async with http.get(region.url, headers=as_system()) as answer:
        assert (await answer.json())["requests"][0]["id"] == own


async def test_a_signature_is_verified_where_the_list_names_keys(region: Region, http: aiohttp.ClientSession) -> None:
    """One that is not believed refuses the answer; one that is missing is told, and refused if the asker says so."""

    def signs(*, by: Signatory, after: bytes = b"", other_request: bool = False) -> Behaviour:
        async def behave(connection: Connection) -> None:
            content = b'{"free": 7}'
            url = region.council.service.url + connection.request_line.split(" ")[1]
            asked = Signable(method="GET", url=url + ("?" if other_request else ""), headers=tuple(connection.headers))
            headers = [("Content-Type", "application/json"), ("Content-Digest", content_digest(content))]
            key: Any = load_pem_private_key(by.key, None)
            signed = sign_answer(Response(status=200, headers=headers, request=asked), MessageSigner.of(key), now())
            lines = "".join(f"{name}: {value}\r\n" for name, value in (*headers, *signed))
            body = after or content
            head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            await connection.say(head.encode() + body)

        return behave

    region.council.behaviours = {
        SIGNING: signs(by=signatory("member")),
        FORGED: signs(by=signatory("somebody else")),
        ALTERED: signs(by=signatory("member"), after=b'{"free": 8}'),
        REPLAYED: signs(by=signatory("member"), other_request=True),
    }
    to = {"members": [SIGNING, FORGED, ALTERED, REPLAYED, UNSIGNED]}
    found = by_code(await ended(http, await ask(http, region, question(to=to))))
    assert {code: (each["outcome"], each.get("reason"), each.get("signature")) for code, each in found.items()} == {
        SIGNING: ("answered", None, "verified"),
        FORGED: ("refused", "signature", None),
        ALTERED: ("refused", "signature", None),
        REPLAYED: ("refused", "signature", None),
        UNSIGNED: ("answered", None, "missing"),
    }
    assert "json" not in found[ALTERED]
    strict = await ask(http, region, question(to={"members": [SIGNING, UNSIGNED]}, signatures="required"))
    assert outcomes(await ended(http, strict)) == {SIGNING: ("answered", None), UNSIGNED: ("refused", "unsigned")}


async def test_a_request_that_is_sent_again_is_asked_once(region: Region, http: aiohttp.ClientSession) -> None:
    """Under its key, whoever lost the answer; another question under it is refused, another asker's key is its own."""
    asked = question(to={"members": list(GOOD)})

    async def post(body: dict[str, Any], code: str = ASKER, key: str = '"k-1"') -> tuple[int, Any]:
        headers = as_system(code, **{"Idempotency-Key": key})
        async with http.post(region.url, json=body, headers=headers) as answer:
            told = await answer.json()
            return answer.status, told.get("location") or told["code"]

    together = await asyncio.gather(*(post(asked) for _ in range(4)))
    ((status, location),) = set(together)
    assert status == 201
    await ended(http, location)
    assert await post(asked) == (201, location)
    async with http.post(
        region.url, json=asked, headers=as_system(Accept=NDJSON, **{"Idempotency-Key": '"k-1"'})
    ) as answer:
        lines = [json.loads(line) async for line in answer.content]
    assert (lines[-1]["type"], lines[-1]["answered"]) == ("end", len(GOOD))
    assert region.council.arrived == dict.fromkeys(GOOD, 1)
    assert await post({**asked, "purpose": "Another"}) == (422, "idempotency-key-reused")
    assert await post(asked, key="a\u3042") == (400, "idempotency-key-invalid")
    status, other = await post(asked, FEW[1])
    assert (status, other != location) == (201, True)
    await ended(http, other, FEW[1])


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


async def test_members_that_mean_harm_harm_only_themselves(region: Region, http: aiohttp.ClientSession) -> None:
    """Each ends with its reason, none of its octets are kept where it broke a rule, and the good ones are heard."""
    free = [code for code in CODES[:16] if code not in PRIVATE]
    codes = dict(zip(free, HOSTILE, strict=False))
    deepest, *good = free[len(HOSTILE) :]
    region.council.behaviours = {**codes, deepest: deep}
    found = await ended(http, await ask(http, region, question(to={"members": CODES[:18]}, per_target_seconds=2)))
    ends = outcomes(found)
    assert {code: ends[code] for code in codes} == {code: HOSTILE[each] for code, each in codes.items()}
    assert [ends[code] for code in CODES[16:18]] == [("unreachable", "private-address"), ("unreachable", "dns")]
    assert "base64" in by_code(found)[deepest]  # two readers may read such depths in two ways, so nobody reads it here
    assert not any("json" in by_code(found)[code] for code in codes)
    assert [ends[code] for code in good] == [("answered", None)] * len(good)
    assert region.council.arrived == dict.fromkeys(free, 1)


async def says_no(connection: Connection, content: bytes, *more: bytes) -> None:
    """A refusal of its own, with this content."""
    lines = [b"HTTP/1.1 451 No", b"Content-Type: application/json", b"Content-Length: %d" % len(content), *more]
    await connection.say(b"\r\n".join(lines) + b"\r\n\r\n" + content)


async def test_that_a_member_says_no_is_told_whatever_it_says_with_it(
    region: Region, http: aiohttp.ClientSession
) -> None:
    """Its status stays; of the rest nothing passes that must not."""
    contents: list[tuple[bytes, ...]] = [
        (b'{"why": "closed"}',),
        (b" " * 70_000,),
        (b"{}", b"Content-Encoding: gzip"),
        (b'{"my_number": "123456789018"}',),
    ]
    codes = [code for code in CODES[:16] if code not in PRIVATE][: len(contents)]

    def behaviour(content: tuple[bytes, ...]) -> Behaviour:
        return lambda connection: says_no(connection, *content)

    region.council.behaviours = {code: behaviour(each) for code, each in zip(codes, contents, strict=True)}
    found = by_code(await ended(http, await ask(http, region, question(to={"members": codes}))))
    told = [(each["outcome"], each["reason"], each["status"]) for each in found.values()]
    assert told == [("refused", "status", 451)] * len(codes)
    assert found[codes[0]]["json"] == {"why": "closed"}
    assert not any({"json", "text", "base64"} & found[code].keys() for code in codes[1:])


async def test_an_address_without_that_method_says_which_it_has(region: Region, http: aiohttp.ClientSession) -> None:
    """Problem JSON (RFC 9457) for systems, which read no pages; `Allow` for both (RFC 9110 §15.5.6)."""
    for path, method, status, code, allow in (
        ("", "DELETE", 405, "method-not-allowed", "GET, POST"),
        ("/x/cancel", "GET", 405, "method-not-allowed", "POST"),
        ("/x/y/z", "GET", 404, "no-route", None),
    ):
        async with http.request(method, region.url + path, headers=as_system()) as answer:
            assert (answer.status, answer.headers.get("Allow")) == (status, allow)
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["code"] == code
    async with http.delete(region.gateway.url + "/consents") as answer:
        assert (answer.status, answer.content_type) == (405, "text/html")
        assert "GET" in answer.headers["Allow"]


# --- askers that mean harm


async def test_a_request_that_is_none_is_refused_with_the_place(region: Region, http: aiohttp.ClientSession) -> None:
    """Where, what was expected, what to do; and nobody is asked. More in tests/federation/test_council.py."""
    headers = as_system(**{"Content-Type": "application/json"})
    posted: dict[str, bytes] = {
        "/": b"",
        "/to/members/0": json.dumps(question(to={"members": ["102017"]})).encode(),
        "/to": json.dumps(question(to={"prefecture": "47"})).encode(),  # nobody is a member there
        "/question/path": json.dumps(question(to={"service": "notes"})).encode(),  # no route of this service
    }
    for where, content in posted.items():
        async with http.post(region.url, data=content, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (400, "application/problem+json")
            problem = await answer.json()
        assert (problem["code"], problem["where"]) == ("council-request-malformed", where)
        assert problem["expected"]
        assert problem["do"]


async def test_forbidden_content_and_other_bodies_do_not_go_out(region: Region, http: aiohttp.ClientSession) -> None:
    """A My Number in a question, a body that cannot be looked at, another type, too much at once."""
    posts = (
        {"question": {"method": "POST", "path": "/x", "json": {"my_number": "123456789018"}}},
        {"purpose": "マイナンバー 123456789018"},
        {"question": {"method": "GET", "path": "/x?my_number=123456789018"}},
        {"question": {"method": "GET", "path": "/x?123456789018"}},
        {"question": {"method": "GET", "path": "/x?a&123456789018=1&b"}},
        {"question": {"method": "GET", "path": "/x?%31%32%33456789018"}},
        {"question": {"method": "POST", "path": "/x", "base64": "AAAA", "content_type": "image/png"}},
    )
    found = []
    for each in posts:
        async with http.post(region.url, json=question(**each), headers=as_system()) as answer:
            found.append((answer.status, (await answer.json())["code"]))
    headers = as_system(**{"Content-Type": "application/json"})
    async with http.post(region.url, data=b"x" * 300_000, headers=headers) as big:
        found.append((big.status, (await big.json())["code"]))
    async with http.post(region.url, data={"to": "all"}, headers=as_system()) as form:
        found.append((form.status, (await form.json())["code"]))
    assert found == [
        *[(422, "call-forbidden-content")] * 6,
        (415, "call-not-inspectable"),
        (413, "body-too-large"),
        (415, "content-type-not-allowed"),
    ]
    assert not region.council.arrived


async def test_a_service_of_the_region_is_asked_by_its_route(region: Region, http: aiohttp.ClientSession) -> None:
    """As a call would be: by the route's own terms, at one of its addresses, with an assertion for that service."""
    region.council.behave = answers(ASKER)
    asked = question(to={"service": "notes"}, question={"method": "GET", "path": "/api/notes/102016"})
    closed = question(to={"service": "notes"}, question={"method": "POST", "path": "/api/notes", "json": {}})
    found = await ended(http, await ask(http, region, asked))
    async with http.post(region.url, json=closed, headers=as_system()) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "scope-missing")
    assert [(each["service"], each["outcome"]) for each in found["members"]] == [("notes", "answered")]
    assert region.council.seen[0].request_line.startswith("GET /notes/102016 ")


# --- gateways of a test's own


async def test_a_cancelled_request_asks_nobody_else_and_others_go_on(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Who was asked may have seen it; who was not, has not. No member has more under way than it may."""

    async def waits(_: Connection) -> None:
        await asyncio.sleep(30)

    council.behave = waits
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), concurrency=1, open_requests=2)
    async with here(sample, store_url, app=app) as gateway:
        region = Region(gateway=gateway, council=council, sample=sample)
        address = await ask(http, region, question())

        async def further() -> tuple[int, str | None]:
            async with http.post(region.url, json=question(), headers=as_system()) as answer:
                return answer.status, (await answer.json()).get("code")

        await asyncio.gather(*(read(http, address) for _ in range(5)))  # connections for all of them
        together = await asyncio.gather(*(further() for _ in range(5)))
        assert sorted(together, key=str) == [(201, None), *[(429, "council-requests-too-many")] * 4]
        await ask(http, region, question(), FEW[1])
        await council.service.called.wait()
        async with http.post(address + "/cancel", headers=as_system()) as answer:
            assert answer.status == 202
        found = await ended(http, address)
    assert found["cancelled"] == 4
    arrived = [each["may_have_arrived"] for each in found["members"]]
    assert sorted(arrived) == [False, False, False, True]


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
        address = await ask(http, Region(gateway=gateway, council=council, sample=sample), question())
        await council.service.called.wait()
        sample.put_list(council_list(council.addresses(*FEW[:3]), sequence=2))
        await asyncio.to_thread(gateway.process.gateway.holder.look)
        goes.set()
        found = outcomes(await ended(http, address))
    assert found == {**dict.fromkeys(FEW[:3], ("answered", None)), FEW[3]: ("refused", "not-a-member")}


@pytest.mark.parametrize("gone", ["not listed", "not configured", "no scope"])
async def test_nobody_is_asked_in_the_name_of_a_system_that_was_withdrawn(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession, gone: str
) -> None:
    """Its municipality stays a member, and what another of its systems repeats goes out in that one's name."""
    goes, second = asyncio.Event(), "https://systems.example/second"

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {})

    council.behave = waits
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), concurrency=1)
    first, *others = yaml.safe_load((sample.config / "systems.yaml").read_text())["systems"]
    others.append({**first, "id": "second", "entity_id": second})
    sample.write("systems.yaml", {"systems": [first, *others]})
    addresses = council.addresses(*FEW)
    sample.put_list(council_list(addresses, more=[entity(ASKER, second)]))
    async with here(sample, store_url, app=app) as gateway:
        address = await ask(http, Region(gateway=gateway, council=council, sample=sample), question())
        await council.service.called.wait()
        if gone == "not listed":
            del addresses[ASKER]
            sample.put_list(council_list(addresses, sequence=2, more=[entity(ASKER, second)]))
        elif gone == "not configured":
            sample.write("systems.yaml", {"systems": others})
        else:
            sample.write("systems.yaml", {"systems": [{**first, "scopes": ["notes.read"]}, *others]})
        await asyncio.to_thread(gateway.process.gateway.holder.look)
        goes.set()
        refused = outcomes(await ended(http, address))
        async with http.post(address + "/repeat", headers=as_system(f"{ASKER} {second}")) as answer:
            assert answer.status == 201, await answer.text()
        await ended(http, address)
    before, *after = [_client(each.header("Kakehashi-Assertion")) for each in council.seen]
    assert Counter(refused.values()) == {("answered", None): 1, ("refused", "asker-not-trusted"): 3}
    assert before == first["entity_id"]
    assert set(after) == {second}


def _client(assertion: str | None) -> str:
    """In whose name a question came."""
    return str(json.loads(jws.extract_compact((assertion or "").encode()).payload)["client_id"])


async def test_two_processes_share_the_work_and_ask_nobody_twice(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Requests begun at either are read, streamed and cancelled at the other, while one of them runs each."""
    one = with_council(Sample(tmp_path / "one"), council.addresses(*CODES[:12]), concurrency=2)
    two = Sample(tmp_path / "two", public_url=one.public_url)
    with_council(two, council.addresses(*CODES[:12]), concurrency=2)
    two.put_list((one.config / "lists" / "region.jwt").read_bytes())

    may = asyncio.Event()
    may.set()

    def waits(code: str) -> Behaviour:
        async def behave(connection: Connection) -> None:
            await may.wait()
            await answers(code)(connection)

        return behave

    council.behaviours = {code: waits(code) for code in CODES[:12]}
    async with here(one, store_url, app=app) as first, here(two, store_url, app=app):
        region = Region(gateway=first, council=council, sample=one)
        address = await ask(http, region, question())
        elsewhere = f"http://localhost:{two.port}/council/requests/{address.rpartition('/')[2]}"
        async with http.get(elsewhere, headers=as_system(Accept=NDJSON)) as answer:
            lines = [json.loads(line) async for line in answer.content]
        assert (lines[-1]["type"], lines[-1]["answered"]) == ("end", 12)
        assert council.arrived == dict.fromkeys(CODES[:12], 1)
        may.clear()
        again = await ask(http, region, question())
        async with http.post(again.replace(str(one.port), str(two.port)) + "/cancel", headers=as_system()) as answer:
            assert answer.status == 202
        assert (await ended(http, again))["cancelled"] >= 1  # whoever asks the members hears of it while two are asked
        may.set()
    assert max(council.arrived.values()) <= 2


async def test_no_more_are_under_way_than_may_be_wherever_they_were_asked(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """Processes that share a store count those that come together at all of them."""

    async def waits(_: Connection) -> None:
        await asyncio.sleep(30)

    council.behave = waits
    one = with_council(Sample(tmp_path / "one"), council.addresses(*FEW), concurrency=1, open_requests=3)
    two = Sample(tmp_path / "two", public_url=one.public_url)
    with_council(two, council.addresses(*FEW), concurrency=1, open_requests=3)
    two.put_list((one.config / "lists" / "region.jwt").read_bytes())
    async with here(one, store_url, app=app), here(two, store_url, app=app):

        async def ask_at(sample: Sample) -> tuple[int, str]:
            url = f"http://localhost:{sample.port}/council/requests"
            async with http.post(url, json=question(), headers=as_system()) as answer:
                told = await answer.json()
                return answer.status, told.get("code") or told["location"]

        together = await asyncio.gather(*(ask_at(sample) for sample in (one, two) * 6))
        taken = [said for status, said in together if status == 201]
        assert len(taken) == 3
        assert {said for said in together if said[1] not in taken} == {(429, "council-requests-too-many")}
        for address in taken:
            async with http.post(address + "/cancel", headers=as_system()) as answer:
                assert answer.status == 202


async def test_a_municipality_waits_for_no_other(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a request of one is being accepted, wherever, another's is; its own next one waits."""
    monkeypatch.setattr(running, "LEASE_TRIES", 600)  # a slow machine may take longer than a lease lasts
    sample = with_council(Sample(tmp_path), council.addresses(*FEW))
    async with here(sample, store_url, app=app) as gateway:
        region = Region(gateway=gateway, council=council, sample=sample)
        rows, lease = gateway.process.gateway.council.rows, f"accepting {FEW[0]}"
        assert await rows.lease(lease, "another process", timedelta(minutes=5))
        own = asyncio.create_task(ask(http, region, question(), FEW[0]))
        await ask(http, region, question(), FEW[1])
        assert not own.done()
        await rows.release(lease, "another process")
        await own


async def test_a_token_of_a_person_or_none_begins_nothing(
    tmp_path: Path, store_url: str, http: aiohttp.ClientSession
) -> None:
    """The endpoints are for systems: a resident's token is refused, whatever its scopes."""
    sample = Sample(tmp_path)
    async with here(sample, store_url) as gateway:
        found = []
        for headers in ({}, sample.bearer(), {"Authorization": "Bearer x"}):
            async with http.post(gateway.url + "/council/requests", json=question(), headers=headers) as answer:
                found.append((await answer.json())["code"])
    assert found == ["token-missing", "caller-not-allowed", "token-invalid"]


async def test_a_repeat_counts_among_those_under_way(
    tmp_path: Path, store_url: str, council: Members, http: aiohttp.ClientSession
) -> None:
    """A municipality has no more of them under way by asking again; the request itself is not in its own way."""
    goes = asyncio.Event()

    async def waits(connection: Connection) -> None:
        await goes.wait()
        await say_json(connection, {})

    async def unwilling(connection: Connection) -> None:
        await say_json(connection, {}, status="503 Service Unavailable")

    council.behaviours = {FEW[0]: unwilling, FEW[1]: waits}
    sample = with_council(Sample(tmp_path), council.addresses(*FEW), open_requests=1)
    async with here(sample, store_url, app=app) as gateway:
        region = Region(gateway=gateway, council=council, sample=sample)
        first = await ask(http, region, question(to={"members": [FEW[0]]}))
        assert (await ended(http, first))["refused"] == 1
        async with http.post(first + "/repeat", headers=as_system()) as alone:
            assert alone.status == 201, await alone.text()
        await ended(http, first)
        while (  # noqa: ASYNC110 - whoever ran the round is about to leave it
            second := await http.post(region.url, json=question(to={"members": [FEW[1]]}), headers=as_system())
        ).status == 429:
            await asyncio.sleep(0.05)
        assert second.status == 201
        async with http.post(first + "/repeat", headers=as_system()) as beside:
            assert (beside.status, (await beside.json())["code"]) == (429, "council-requests-too-many")
        goes.set()
        await ended(http, (await second.json())["location"])
