"""The region as a federation entity: what a running gateway serves, read back by our own reader and by others'."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import requests
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from gateway import collecting
from gateway.config import TrustSource
from gateway.fetching import Fetcher
from gateway.listeners import bind
from gateway.serve import Listener, listening
from gateway.vouching import Vouching, subordinate
from trust_lists import etsi_json, federation_serving, openid_federation
from trust_lists.federation_serving import FederationSigner
from trust_lists.federation_tokens import peek_unsafe
from trust_lists.model import Role, Status, StatusChange, TrustedEntity, TrustList
from trust_lists.trusted_set import TrustedSet

from .gateway_sample import Here, Sample, here, served, signatory, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WELL_KNOWN = "/.well-known/openid-federation"
STATEMENT = "application/entity-statement+jwt"
PROVIDER, PARTY, KEYLESS, WITHDRAWN, SILENT, STRANGER = "op", "rp", "keyless", "withdrawn", "silent", "stranger"


def now() -> datetime:
    """The clock of everybody here."""
    return datetime.now(UTC)


@dataclass
class Members:
    """The servers of listed parties, at one address: each signs its own configuration, and counts who asks."""

    url: str = ""
    signers: dict[str, FederationSigner] = field(default_factory=dict)
    superior: str = ""
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def id(self, name: str) -> str:
        return f"{self.url}/{name}"

    def signer(self, name: str) -> FederationSigner:
        if name not in self.signers:
            key = ECKey.generate_key("P-256")
            self.signers[name] = FederationSigner.from_pem(key.as_pem(private=True))
        return self.signers[name]

    def configuration(self, name: str) -> str:
        """What a member says of itself; more than the list says, and other redirect URIs."""
        signer, issued = self.signer(name), int(now().timestamp())
        kind = "openid_provider" if name == PROVIDER else "openid_relying_party"
        said = {"redirect_uris": ["https://evil.example/"], "jwks_uri": "https://evil.example/jwks"}
        return signer.sign(
            {
                "iss": self.id(name),
                "sub": self.id(name),
                "iat": issued,
                "exp": issued + 3600,
                "jwks": {"keys": [signer.public_jwk()]},
                "authority_hints": [self.superior],
                "metadata": {kind: self.own.get(name, said if name != PROVIDER else {}), "federation_entity": {}},
            }
        )

    async def serve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append(name)
        if name in self.silent:
            return web.Response(status=503)
        return web.Response(text=self.configuration(name), content_type=STATEMENT)

    def entries(self) -> list[dict[str, Any]]:
        """What the list says of them. The relying party's key has no ID there."""
        provider_key = self.signer(PROVIDER).public_jwk()
        party_key = {k: v for k, v in self.signer(PARTY).public_jwk().items() if k not in ("kid", "use", "alg")}

        def party(name: str, **metadata: Any) -> dict[str, Any]:
            stated = {"redirect_uris": ["https://rp.example/callback"], **metadata}
            stated.setdefault("token_endpoint_auth_method", "private_key_jwt")
            entry = {"entity_id": self.id(name), "role": "openid-relying-party", "metadata": stated}
            return {**entry, "name": {"ja": name, "en": name}}

        return [
            {
                "entity_id": self.id(PROVIDER),
                "role": "openid-provider",
                "municipality": "102016",
                "name": {"ja": "前橋市", "en": "Maebashi City"},
                "uses": ["civic", "mobility"],
                "maximum_identity": 2,
                "metadata": {"issuer": self.id(PROVIDER), "jwks": {"keys": [provider_key]}},
            },
            party(PARTY, jwks={"keys": [party_key]}),
            party(KEYLESS, token_endpoint_auth_method="client_secret_basic"),
            {**party(WITHDRAWN, jwks={"keys": [self.signer(WITHDRAWN).public_jwk()]}), "status": "withdrawn"},
            party(SILENT, jwks={"keys": [self.signer(SILENT).public_jwk()]}),
        ]

    def listed(self, *, sequence: int = 1, days: float = 30, leave_out: str = "") -> bytes:
        """The signed list of them."""
        issued = now()
        return etsi_json.publish(
            [entry for entry in self.entries() if entry["entity_id"] != self.id(leave_out)],
            name="region",
            key_pem=signatory().key,
            certificate_pem=signatory().certificate,
            issued_at=issued,
            valid_until=issued + timedelta(days=days),
            sequence=sequence,
        )


@contextlib.asynccontextmanager
async def serving(members: Members) -> AsyncIterator[None]:
    """The members' servers on loopback."""
    app = web.Application()
    app.router.add_get("/{name}" + WELL_KNOWN, members.serve)
    sockets = bind("localhost", 0)
    members.url = f"http://localhost:{sockets[0].getsockname()[1]}"
    async with listening(1, Listener(app, sockets)):
        yield


def prepared(directory: Path, members: Members, **federation: Any) -> Sample:
    """The configuration of a gateway that vouches for them."""
    sample = Sample(directory)
    members.superior = sample.public_url
    members.silent.add(SILENT)
    sample.put_list(members.listed())
    sample.write("gateway.yaml", sample.gateway(federation=federation))
    return sample


@dataclass
class Region:
    """A running gateway, the members around it, and a peer that asks it."""

    gateway: Here
    members: Members
    http: aiohttp.ClientSession

    def claims(self, token: str) -> dict[str, Any]:
        """What the gateway signed, verified with its federation key."""
        return verified(token, self.key)

    @property
    def key(self) -> ECKey:
        """The gateway's federation key, from its file."""
        pem = (self.gateway.sample.state / "keys" / "federation-es256.pem").read_bytes()
        return ECKey.import_key(pem)

    @property
    def pin(self) -> bytes:
        """The same as others pin it."""
        return public_key(self.gateway.sample.state)

    async def get(self, path: str, **query: str) -> tuple[int, str, str]:
        """Status, media type and body."""
        async with self.http.get(self.gateway.url + path, params=query) as answer:
            return answer.status, answer.content_type, await answer.text()

    async def collected(self) -> Any:
        """What another gateway would read of this region as a list."""
        source = TrustSource(
            name="neighbours", format="openid-federation", file=Path(), anchors=(self.pin,), entity=self.gateway.url
        )
        fetcher = Fetcher()
        try:
            bundle = await collecting.collect(source, fetcher, now=now())
        finally:
            await fetcher.close()
        return openid_federation.read(bundle, name="neighbours", anchors=[self.pin], now=now())


def public_key(state: Path) -> bytes:
    """The federation key of a state directory, DER."""
    private = load_pem_private_key((state / "keys" / "federation-es256.pem").read_bytes(), None)
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def verified(token: str, key: ECKey) -> dict[str, Any]:
    """The claims of a JWS, by an allow-list of one algorithm."""
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    registry.max_payload_length = 1_000_000
    found = jws.deserialize_compact(token, KeySet([key]), registry=registry)
    assert found.payload is not None
    claims: dict[str, Any] = json.loads(found.payload)
    return claims


@contextlib.asynccontextmanager
async def running(directory: Path, store_url: str) -> AsyncIterator[Region]:
    """A trust anchor with members."""
    members = Members()
    async with (
        serving(members),
        here(prepared(directory / "gateway", members), store_url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        yield Region(gateway, members, http)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def region(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """One that stays as it is."""
    async with running(tmp_path_factory.mktemp("region"), store_url) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def own_region(tmp_path: Path, store_url: str) -> AsyncIterator[Region]:
    """One for a single test."""
    async with running(tmp_path, store_url) as found:
        yield found


# --- the region itself


async def test_the_region_describes_itself(region: Region) -> None:
    """Its name and contacts, its three endpoints, and the provider as discovery has it, with keys by value."""
    status, kind, token = await region.get(WELL_KNOWN)
    claims = region.claims(token)
    _, _, discovery = await region.get("/.well-known/openid-configuration")
    _, _, jwks = await region.get("/oidc/jwks")

    url = region.gateway.url
    assert (status, kind, claims["iss"], claims["sub"]) == (200, STATEMENT, url, url)
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert "authority_hints" not in claims
    assert claims["metadata"]["federation_entity"] == {
        "organization_name": "地域",
        "organization_name#ja": "地域",
        "organization_name#en": "Region",
        "contacts": ["窓口", "Desk"],
        "federation_fetch_endpoint": url + "/federation/fetch",
        "federation_list_endpoint": url + "/federation/list",
        "federation_resolve_endpoint": url + "/federation/resolve",
    }
    expected = json.loads(discovery)
    del expected["jwks_uri"]
    expected |= {
        "jwks": json.loads(jwks),
        "client_registration_types_supported": ["urn:kakehashi:registration:listed"],
    }
    assert claims["metadata"]["openid_provider"] == expected


async def test_other_federation_keys_are_stated_and_do_not_sign(tmp_path: Path, store_url: str) -> None:
    """At a change of keys the former and the next one stand beside the one that signs."""
    members = Members()
    async with serving(members):
        sample = prepared(tmp_path / "gateway", members, authority_hints=["https://federation.pref.example.jp"])
        beside = ECKey.generate_key("P-256")
        (sample.state / "keys" / "federation-es256-next.pem").write_bytes(beside.as_pem(private=True))
        async with here(sample, store_url) as gateway, aiohttp.ClientSession() as http:
            region = Region(gateway, members, http)
            _, _, token = await region.get(WELL_KNOWN)
            claims = region.claims(token)

    assert [key["kid"] for key in claims["jwks"]["keys"]] == [region.key.thumbprint(), beside.thumbprint()]
    assert not any("d" in key for key in claims["jwks"]["keys"])
    assert claims["authority_hints"] == ["https://federation.pref.example.jp"]


# --- whom it vouches for


async def test_only_parties_in_force_with_keys_are_listed(region: Region) -> None:
    """Not who is withdrawn, and not who has no listed key; filtered by entity type."""
    ids = region.members.id

    async def listed(**query: str) -> Any:
        status, kind, body = await region.get("/federation/list", **query)
        assert kind == "application/json"
        return status, json.loads(body)

    assert await listed() == (200, sorted(map(ids, (PROVIDER, PARTY, SILENT))))
    assert await listed(entity_type="openid_provider") == (200, [ids(PROVIDER)])
    assert await listed(entity_type="openid_relying_party") == (200, sorted(map(ids, (PARTY, SILENT))))
    assert await listed(intermediate="true") == (200, [])
    status, refused = await listed(trust_marked="true")
    assert (status, refused["error"]) == (400, "unsupported_parameter")
    for name in (KEYLESS, WITHDRAWN, STRANGER):
        status, kind, body = await region.get("/federation/fetch", sub=ids(name))
        assert (status, kind, json.loads(body)["error"]) == (404, "application/json", "not_found")


async def test_a_statement_says_what_the_list_says(region: Region) -> None:
    """Keys, registered metadata, names, and what the entity is worth; it may vouch for nobody else."""
    _, kind, token = await region.get("/federation/fetch", sub=region.members.id(PROVIDER))
    claims = region.claims(token)
    key = region.members.signer(PROVIDER).public_jwk()

    assert kind == STATEMENT
    assert (claims["iss"], claims["sub"]) == (region.gateway.url, region.members.id(PROVIDER))
    assert claims["jwks"] == {"keys": [key]}
    assert claims["metadata"] == {
        "openid_provider": {
            "issuer": region.members.id(PROVIDER),
            "jwks": {"keys": [key]},
            "display_name#ja": "前橋市",
            "display_name#en": "Maebashi City",
        },
        "urn:kakehashi:entity-type:member": {
            "municipality": "102016",
            "uses": ["civic", "mobility"],
            "maximum_identity": 2,
        },
    }
    assert claims["constraints"] == {
        "max_path_length": 0,
        "allowed_entity_types": ["openid_provider", "urn:kakehashi:entity-type:member"],
    }
    _, _, token = await region.get("/federation/fetch", sub=region.members.id(PARTY))
    assert region.claims(token)["jwks"]["keys"][0]["kid"] == region.members.signer(PARTY).kid


async def test_a_statement_never_outlives_the_list(tmp_path: Path, store_url: str) -> None:
    """A list that ends within the hour bounds what is signed on its word."""
    members = Members()
    async with serving(members):
        sample = prepared(tmp_path / "gateway", members)
        sample.put_list(members.listed(days=1 / 48))
        async with here(sample, store_url) as gateway, aiohttp.ClientSession() as http:
            region = Region(gateway, members, http)
            _, _, token = await region.get("/federation/fetch", sub=members.id(PARTY))
            claims = region.claims(token)

    assert 0 < claims["exp"] - claims["iat"] <= 1800


async def test_who_leaves_the_list_disappears_at_once(own_region: Region) -> None:
    """With the next list, statement and listing are gone; what others have kept they are told to ask for again."""
    sub = {"sub": own_region.members.id(PARTY)}
    async with own_region.http.get(own_region.gateway.url + "/federation/fetch", params=sub) as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
        etag = answer.headers["ETag"]
    async with own_region.http.get(
        own_region.gateway.url + "/federation/fetch", params=sub, headers={"If-None-Match": etag}
    ) as answer:
        assert (answer.status, await answer.read()) == (304, b"")

    own_region.gateway.sample.put_list(own_region.members.listed(sequence=2, leave_out=PARTY))
    holder = own_region.gateway.process.gateway.holder
    await asyncio.to_thread(holder.look)

    async with own_region.http.get(
        own_region.gateway.url + "/federation/fetch", params=sub, headers={"If-None-Match": etag}
    ) as answer:
        assert answer.status == 404
    _, _, body = await own_region.get("/federation/list")
    assert own_region.members.id(PARTY) not in json.loads(body)


async def test_nothing_is_signed_twice_while_it_holds(region: Region) -> None:
    """The same octets for everybody, also after a list was read again that says the same of the rest."""
    first = [await region.get(path) for path in (WELL_KNOWN, "/federation/list")]
    statement = await region.get("/federation/fetch", sub=region.members.id(PARTY))

    assert [await region.get(path) for path in (WELL_KNOWN, "/federation/list")] == first
    assert await region.get("/federation/fetch", sub=region.members.id(PARTY), ignored="x") == statement


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"entity_id": "urn:example:rp"}, "an entity ID that is no address"),
        ({"metadata": {"redirect_uris": ["https://rp.example/"]}}, "no keys"),
        ({"metadata": {"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}]}}}, "none that signs"),
    ],
)
async def test_whom_a_federation_cannot_name_is_left_out(change: dict[str, Any], why: str) -> None:
    """Nobody is vouched for by half."""
    key = FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True)).public_jwk()
    assert subordinate([trusted(key)]) is not None
    assert subordinate([trusted(key, **change)]) is None, why


async def test_two_roles_of_one_entity_count_for_the_narrower() -> None:
    """A provider that is a relying party too: both keys, both types, the lesser level, the common uses."""
    keys = [FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True)).public_jwk() for _ in "12"]
    words = [
        trusted(
            key,
            entity_id="https://both.example",
            roles=frozenset({role}),
            valid_until=START + timedelta(days=days),
            uses=frozenset(uses),
            maximum_identity=level,
        )
        for role, key, uses, level, days in (
            (Role.OPENID_PROVIDER, keys[0], {"civic", "mobility"}, 3, 2),
            (Role.OPENID_RELYING_PARTY, keys[1], {"civic"}, 1, 1),
        )
    ]
    found = subordinate(words)

    assert found is not None
    assert found.jwks == {"keys": keys}
    assert found.entity_types == {"openid_provider", "openid_relying_party"}
    assert found.metadata["urn:kakehashi:entity-type:member"] == {"uses": ["civic"], "maximum_identity": 1}
    assert found.valid_until == words[1].valid_until
    same_kid = trusted({**keys[1], "kid": keys[0]["kid"]}, entity_id="https://both.example")
    assert subordinate([words[0], same_kid]) is None
    elsewhere = trusted(keys[1], entity_id="https://both.example", municipality="102016")
    assert subordinate([words[0], elsewhere]) is None


def trusted(key: dict[str, Any], **changes: Any) -> TrustedEntity:
    """A relying party as a list states it."""
    return TrustedEntity(
        **{
            "entity_id": "https://rp.example",
            "roles": frozenset({Role.OPENID_RELYING_PARTY}),
            "listed_in": "region",
            "valid_until": START + timedelta(days=30),
            "metadata": {"jwks": {"keys": [key]}},
            **changes,
        }
    )


START = datetime(2026, 4, 1, tzinfo=UTC)


@dataclass
class Said:
    """What a region says of one relying party as time goes by."""

    vouching: Vouching
    trust: TrustedSet

    @classmethod
    def of(cls, **changes: Any) -> "Said":
        signer = FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True))
        region = federation_serving.Region(
            entity_id="https://gateway.example",
            signer=signer,
            fetch_endpoint="https://gateway.example/federation/fetch",
            list_endpoint="https://gateway.example/federation/list",
        )
        said = cls(Vouching(region, trust := TrustedSet()), trust)
        said.list(1, trusted(signer.public_jwk(), **changes))
        return said

    def list(self, sequence: int, *entities: TrustedEntity, **changes: Any) -> None:
        until = START + timedelta(days=30)
        stated = {"name": "region", "issued_at": START, "valid_until": until, "sequence": sequence, **changes}
        self.trust.admit(TrustList(**stated, entities=entities))

    def at(self, after: timedelta) -> Any:
        """The statement's claims at that time, or the error; asked twice, it is the same."""
        now, asked = START + after, (("sub", "https://rp.example"),)
        made = self.vouching.ready("/federation/fetch", asked, now)
        made = made or self.vouching.make("/federation/fetch", asked, now)
        if made.answer.status != 200:
            return json.loads(made.answer.body)["error"]
        assert self.vouching.ready("/federation/fetch", asked, now) == made
        return peek_unsafe(made.answer.body.decode(), typ="entity-statement+jwt")


async def test_statements_are_renewed_at_half_of_their_life() -> None:
    """The same for twelve hours, then a new one; shorter near the list's end, and none at its end."""
    said = Said.of()
    hour, day = timedelta(hours=1), timedelta(days=1)

    first = said.at(timedelta())
    assert said.at(11.9 * hour) == first
    renewed = said.at(12 * hour)
    assert (renewed["iat"] - first["iat"], renewed["exp"] - renewed["iat"]) == (12 * 3600, 24 * 3600)
    last = said.at(30 * day - 2 * hour)
    assert last["exp"] == (START + 30 * day).timestamp()
    assert said.at(30 * day - 1 * hour)["exp"] == last["exp"]
    assert said.at(30 * day - timedelta(seconds=1)) == "not_found"
    assert said.at(30 * day) == "not_found"


async def test_an_announced_status_takes_effect_by_itself() -> None:
    """Withdrawn from tomorrow on: a statement today, none tomorrow, though nobody brought a new list."""
    tomorrow = START + timedelta(days=1)
    said = Said.of(
        status=Status.WITHDRAWN, status_since=tomorrow, history=(StatusChange(Status.GRANTED, START, "granted"),)
    )

    assert said.at(timedelta(hours=23))["sub"] == "https://rp.example"
    assert said.at(timedelta(hours=24)) == "not_found"


async def test_a_new_list_is_heard_at_once() -> None:
    """A changed key is in the next answer, and nobody is in it who has left."""
    said = Said.of()
    first = said.at(timedelta())
    (entity,) = said.trust.entities(Role.OPENID_RELYING_PARTY, START)
    other = FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True)).public_jwk()

    said.list(2, trusted(other))
    assert said.at(timedelta(minutes=1))["jwks"] == {"keys": [other]}
    said.list(3, entity)
    assert said.at(timedelta(minutes=2))["jwks"] == first["jwks"]
    said.list(4)
    assert said.at(timedelta(minutes=3)) == "not_found"


async def test_another_federations_word_alone_does_not_count() -> None:
    """Who is in a neighbour's federation only is left to it, and its word makes no statement last longer."""
    key = FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True)).public_jwk()
    said = Said.of(metadata={"jwks": {"keys": [key]}}, valid_until=START + timedelta(hours=2))
    theirs = trusted(key, listed_in="neighbours")
    said.list(1, theirs, name="neighbours", format="openid-federation")

    first = said.at(timedelta())
    assert first["exp"] - first["iat"] == 2 * 3600
    assert said.at(timedelta(hours=2)) == "not_found"
    assert said.trust.find("https://rp.example", Role.OPENID_RELYING_PARTY, START + timedelta(hours=2)) == theirs
    said.list(2)
    assert said.at(timedelta(minutes=1)) == "not_found"


# --- read back


async def test_our_own_reader_finds_what_the_list_says(region: Region) -> None:
    """Collected from the running gateway with its key pinned: the same entities; the members' own word changes none."""
    found = await region.collected()
    trust: TrustedSet = region.gateway.process.gateway.region.trust

    assert {entity.entity_id for entity in found.entities} == {region.members.id(name) for name in (PROVIDER, PARTY)}
    for entity in found.entities:
        [role] = entity.roles
        listed = trust.find(entity.entity_id, role, now())
        for said in ("municipality", "names", "metadata", "uses", "maximum_identity", "status"):
            assert getattr(entity, said) == getattr(listed, said), said
        assert entity.valid_until <= listed.valid_until
        assert entity.registered_by == region.gateway.url
    assert [(fault.where, fault.reason) for fault in found.faults] == [
        (region.members.id(SILENT), "not collected: unanswered")
    ]


async def test_another_implementation_resolves_the_members(region: Region) -> None:
    """The library pygrindvakt (Rust) walks from a member to the gateway's pinned key, and keeps to its word."""
    pygrindvakt = pytest.importorskip("pygrindvakt", reason="no wheel of it for this machine")
    anchors = {region.gateway.url: {"keys": [region.key.as_dict(private=False, kid=region.key.thumbprint())]}}
    asked = Plain()
    for name, kind in ((PROVIDER, "openid_provider"), (PARTY, "openid_relying_party")):
        found = await asyncio.to_thread(
            pygrindvakt.federation.resolve_via_trust_anchors, asked, region.members.id(name), anchors
        )
        assert found.subject == region.members.id(name)
        assert found.subject_jwks["keys"][0]["kid"] == region.members.signer(name).kid
        assert "jwks_uri" not in found.metadata[kind]
    assert found.metadata["openid_relying_party"]["redirect_uris"] == ["https://rp.example/callback"]
    stranger = ECKey.generate_key("P-256")
    wrong = {region.gateway.url: {"keys": [stranger.as_dict(private=False, kid=region.key.thumbprint())]}}
    with pytest.raises(pygrindvakt.GrindvaktError):
        await asyncio.to_thread(
            pygrindvakt.federation.resolve_via_trust_anchors, asked, region.members.id(PARTY), wrong
        )


class Plain:
    """An HTTP client for the peer."""

    def get(self, url: str) -> tuple[int, bytes, str | None]:
        answer = requests.get(url, timeout=10, allow_redirects=False)
        return answer.status_code, answer.content, answer.headers.get("Content-Type")

    def post_form(self, *_: object) -> tuple[int, bytes, str | None]:
        raise AssertionError("nothing is posted")


# --- resolving


async def test_the_gateway_resolves_for_others(own_region: Region) -> None:
    """Metadata as the chain makes them, the chain itself, and the member asked once for many requests."""
    query = {"sub": own_region.members.id(PARTY), "trust_anchor": own_region.gateway.url}
    answers = await asyncio.gather(*(own_region.get("/federation/resolve", **query) for _ in range(10)))
    for status, kind, token in answers:
        assert (status, kind) == (200, "application/resolve-response+jwt")
        claims = own_region.claims(token)
        party = claims["metadata"]["openid_relying_party"]
        assert (claims["sub"], party["redirect_uris"]) == (query["sub"], ["https://rp.example/callback"])
        assert "jwks_uri" not in party
        chain = [peek_unsafe(each, typ="entity-statement+jwt") for each in claims["trust_chain"]]
        assert [each["iss"] for each in chain] == [query["sub"], own_region.gateway.url, own_region.gateway.url]
        assert claims["exp"] <= min(each["exp"] for each in chain)
    assert own_region.members.asked == [PARTY]
    _, _, token = await own_region.get("/federation/resolve", **query, entity_type="openid_provider")
    assert own_region.claims(token)["metadata"] == {}


async def test_a_flood_costs_one_signature(own_region: Region) -> None:
    """For each subject, whatever else callers put into their questions; ECDSA signatures of the same differ."""
    about, anchor = own_region.members.id(PARTY), own_region.gateway.url

    async def answered(path: str, **query: str) -> set[str]:
        asked = (own_region.get(path, **query, **{f"more{n}": str(n)}) for n in range(20))
        return {body for _, _, body in await asyncio.gather(*asked)}

    assert len(await answered("/federation/fetch", sub=about)) == 1
    assert len(await answered(WELL_KNOWN)) == 1
    resolved = await answered("/federation/resolve", sub=about, trust_anchor=anchor)
    assert len(resolved) == 1
    assert await answered("/federation/resolve", sub=about, trust_anchor=anchor) == resolved
    nobody = await answered("/federation/resolve", sub=about, trust_anchor=anchor, entity_type="nobody")
    assert nobody == await answered("/federation/resolve", sub=about, trust_anchor=anchor, entity_type="no one")
    assert len(nobody) == 1
    assert nobody != resolved


async def test_only_listed_members_are_ever_asked(own_region: Region) -> None:
    """Who is not vouched for is not looked up, whatever callers name; who is silent is not asked again at once."""
    anchor = own_region.gateway.url

    async def error(**query: str) -> tuple[int, str]:
        status, kind, body = await own_region.get("/federation/resolve", **query)
        assert kind == "application/json"
        return status, json.loads(body)["error"]

    ids = own_region.members.id
    for name in (STRANGER, WITHDRAWN, KEYLESS):
        assert await error(sub=ids(name), trust_anchor=anchor) == (404, "not_found")
    assert await error(sub=anchor, trust_anchor=anchor) == (404, "not_found")
    assert await error(sub=ids(PARTY)) == (400, "invalid_request")
    assert await error(trust_anchor=anchor) == (400, "invalid_request")
    assert await error(sub="ftp://x", trust_anchor=anchor) == (400, "invalid_request")
    assert await error(sub=ids(PARTY), trust_anchor="https://elsewhere.example") == (404, "invalid_trust_anchor")
    assert own_region.members.asked == []
    for _ in range(3):
        assert await error(sub=ids(SILENT), trust_anchor=anchor) == (503, "temporarily_unavailable")
    assert own_region.members.asked == [SILENT]


async def test_a_member_that_signs_with_another_key_is_not_resolved(own_region: Region) -> None:
    """Only the listed key makes a chain."""
    stranger = FederationSigner.from_pem(ECKey.generate_key("P-256").as_pem(private=True))
    own_region.members.signers[PARTY] = stranger
    status, _, body = await own_region.get(
        "/federation/resolve", sub=own_region.members.id(PARTY), trust_anchor=own_region.gateway.url
    )
    assert (status, json.loads(body)["error"]) == (400, "invalid_trust_chain")


# --- callers' mistakes


@pytest.mark.parametrize(
    ("path", "query", "status", "error"),
    [
        ("/federation/fetch", "", 400, "invalid_request"),
        ("/federation/fetch", "sub=", 400, "invalid_request"),
        ("/federation/fetch", "sub=a&sub=b", 400, "invalid_request"),
        ("/federation/fetch", "sub=%ff", 400, "invalid_request"),
        ("/federation/fetch", "&".join(["sub=x"] * 33), 400, "invalid_request"),
        ("/federation/fetch", "sub=%00%0a", 404, "not_found"),
        ("/federation/list", "intermediate=perhaps", 400, "invalid_request"),
        ("/federation/list", "trust_mark_type=x", 400, "unsupported_parameter"),
        ("/federation/resolve", "sub=%ff", 400, "invalid_request"),
    ],
)
async def test_mistakes_are_said_in_the_federations_form(
    region: Region, path: str, query: str, status: int, error: str
) -> None:
    """§8.9: JSON with error and error_description; never kept, never what the caller wrote."""
    async with region.http.get(f"{region.gateway.url}{path}?{query}") as answer:
        said = await answer.json()
        assert (answer.status, said["error"]) == (status, error)
        assert set(said) == {"error", "error_description"}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", [WELL_KNOWN, "/federation/fetch", "/federation/list", "/federation/resolve"])
async def test_other_methods_are_refused(region: Region, path: str) -> None:
    """GET and HEAD, and nothing else."""
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        async with region.http.request(method, region.gateway.url + path, data=b"sub=x") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
            assert (await answer.json())["error"] == "invalid_request"
    async with region.http.head(region.gateway.url + path, params={"sub": region.members.id(PARTY)}) as answer:
        assert await answer.read() == b""


# --- switched on and off


async def test_without_the_key_nobody_is_there(tmp_path: Path, store_url: str) -> None:
    """The addresses are as unknown as any other."""
    sample = Sample(tmp_path / "gateway")
    async with here(sample, store_url) as gateway, aiohttp.ClientSession() as http:
        for path in (WELL_KNOWN, "/federation/fetch", "/federation/list", "/federation/resolve"):
            for method in ("GET", "POST"):
                async with http.request(method, gateway.url + path) as answer:
                    assert answer.status == 404
                    assert answer.content_type == "text/html"


async def test_the_process_serves_it_and_stops_without_a_restart(tmp_path: Path) -> None:
    """`kakehashi serve` with two workers: one key for both, and the configuration switches it off."""
    members = Members()
    async with serving(members):
        sample = prepared(tmp_path / "gateway", members)
        sample.write("gateway.yaml", sample.gateway(federation={}, workers=2))

        def drive() -> None:
            with served(sample):
                key = ECKey.import_key((sample.state / "keys" / "federation-es256.pem").read_bytes())
                url = f"{sample.public_url}/federation/fetch"
                for _ in range(8):
                    answer = requests.get(url, params={"sub": members.id(PARTY)}, timeout=10)
                    assert verified(answer.text, key)["sub"] == members.id(PARTY)
                sample.write("gateway.yaml", sample.gateway(workers=2))
                until(lambda: all(requests.get(url, timeout=10).status_code == 404 for _ in range(8)), seconds=60)

        await asyncio.to_thread(drive)
