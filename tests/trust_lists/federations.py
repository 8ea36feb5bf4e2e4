"""A federation for tests: entities with real keys that sign on demand, and answer by URL as their servers would."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from joserfc import jws
from joserfc.jwk import OctKey

from tests.trust_lists.builders import NOW, public_jwks
from trust_lists import federation_bundles, openid_federation
from trust_lists.federation_collecting import Limits, Wanted, collect
from trust_lists.federation_serving import FederationSigner
from trust_lists.federation_statements import TYPE
from trust_lists.federation_tokens import REGISTRY

ANCHOR = "https://anchor.example"
CITY = "https://city.example"
OTHER_CITY = "https://other-city.example"
PROVIDER = "https://op.city.example"
PARTY = "https://rp.city.example"

RP_METADATA: dict[str, Any] = {
    "redirect_uris": ["https://rp.city.example/callback"],
    "token_endpoint_auth_method": "private_key_jwt",
    "client_registration_types": ["automatic"],
    "jwks": public_jwks("rp"),
}
OP_METADATA: dict[str, Any] = {
    "issuer": PROVIDER,
    "jwks": public_jwks("op"),
    "authorization_endpoint": "https://op.city.example/authorize",
    "client_registration_types_supported": ["automatic"],
    "id_token_signing_alg_values_supported": ["ES256"],
}


@cache
def pem(name: str, kind: str = "P-256") -> bytes:  # noqa: ARG001 - a name is what tells keys apart
    """The same private key for the same arguments."""
    key: Any
    if kind == "RSA":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ec.generate_private_key({"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}[kind]())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def signer(name: str, kind: str = "P-256") -> FederationSigner:
    """A federation key."""
    return FederationSigner.from_pem(pem(name, kind))


def der(name: str, kind: str = "P-256") -> bytes:
    """The key as an operator pins it: a bare public key."""
    public = load_pem_private_key(pem(name, kind), None).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def jwks(*names: str) -> dict[str, Any]:
    """The public keys of these names."""
    return {"keys": [signer(name).public_jwk() for name in names]}


def sign(claims: Any, by: FederationSigner, **header: Any) -> str:
    """Sign anything, with whatever header is asked for; None takes a header member out."""
    stated = {"alg": by.algorithm, "kid": by.kid, "typ": TYPE, **header}
    stated = {name: value for name, value in stated.items() if value is not None}
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    if str(stated.get("alg")).startswith("HS"):
        registry = jws.JWSRegistry(algorithms=[stated["alg"]], strict_check_header=False)
        return jws.serialize_compact(stated, body, OctKey.import_key("x" * 64), registry=registry)
    registry = type(REGISTRY)(algorithms=[stated["alg"]], strict_check_header=False)
    return jws.serialize_compact(stated, body, by.key, registry=registry)


def seconds(after: timedelta = timedelta()) -> int:
    """A NumericDate, so long after the tests' time."""
    return int((NOW + after).timestamp())


@dataclass
class Member:
    """An entity: what it claims of itself (`own`), and of its subordinates (`about`), changed at will."""

    entity_id: str
    own: dict[str, Any] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        self.key = self.key or self.entity_id

    def configuration(self, **changed: Any) -> str:
        """Its entity configuration; a claim of None is taken out."""
        return self._signed({"sub": self.entity_id, "jwks": jwks(self.key), **self.own, **changed})

    def statement(self, subject: str, **changed: Any) -> str:
        """What it says of a subordinate."""
        claims = {"sub": subject, "jwks": jwks(subject), **self.about.get(subject, {}), **changed}
        return self._signed(claims)

    def _signed(self, claims: dict[str, Any]) -> str:
        stated = {"iss": self.entity_id, "iat": seconds(), "exp": seconds(timedelta(days=1)), **claims}
        return sign({name: value for name, value in stated.items() if value is not None}, signer(self.key))


def superior(entity_id: str, *hints: str, **own: Any) -> Member:
    """An entity with subordinates: its endpoints stand under its own address."""
    endpoints = {
        "federation_fetch_endpoint": f"{entity_id}/fetch",
        "federation_list_endpoint": f"{entity_id}/list",
    }
    stated = {
        "metadata": {"federation_entity": endpoints},
        **({"authority_hints": list(hints)} if hints else {}),
        **own,
    }
    return Member(entity_id, stated)


def leaf(entity_id: str, hint: str, **metadata: Any) -> Member:
    """An entity without subordinates; `metadata` by entity type."""
    return Member(entity_id, {"authority_hints": [hint], "metadata": metadata})


class Simulator:
    """Servers of a federation. `silent` are addresses that do not answer; `answers` replace what would be answered."""

    def __init__(self, *members: Member) -> None:
        self.members = {member.entity_id: member for member in members}
        self.silent: set[str] = set()
        self.answers: dict[str, bytes] = {}
        self.asked: list[Wanted] = []

    def below(self, above: str, *subjects: str) -> "Simulator":
        """Make entities subordinates of another."""
        for subject in subjects:
            self.members[above].about.setdefault(subject, {})
        return self

    def answer(self, wanted: Wanted) -> bytes | None:
        """Answer as a server would, or not."""
        self.asked.append(wanted)
        if wanted.url in self.answers:
            return self.answers[wanted.url]
        parts = urlsplit(wanted.url)
        member = self.members.get(f"{parts.scheme}://{parts.netloc}")
        if member is None or wanted.url in self.silent:
            return None
        if parts.path == "/.well-known/openid-federation":
            return member.configuration().encode()
        if parts.path == "/list":
            return json.dumps(list(member.about)).encode()
        [subject] = parse_qs(parts.query)["sub"]
        return member.statement(subject).encode()

    def bundle(self, *, anchor: str = ANCHOR, limits: Limits | None = None, now: Any = NOW, **kept: Any) -> bytes:
        """Collect everything, as the gateway would."""
        steps = collect(anchor, anchors=[der(anchor)], now=now, limits=limits, **kept)
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self.answer(wanted))
        except StopIteration as done:
            found: bytes = done.value
            return found

    def chain(self, *entities: str) -> tuple[str, ...]:
        """The chain from the first entity over the others to the last."""
        above = pairwise(entities)
        return (
            self.members[entities[0]].configuration(),
            *(self.members[issuer].statement(subject) for subject, issuer in above),
        )


def region() -> Simulator:
    """An anchor, a city below it, and the city's provider and relying party."""
    return (
        Simulator(
            superior(ANCHOR),
            superior(CITY, ANCHOR),
            leaf(PROVIDER, CITY, openid_provider=OP_METADATA),
            leaf(PARTY, CITY, openid_relying_party=RP_METADATA),
        )
        .below(ANCHOR, CITY)
        .below(CITY, PROVIDER, PARTY)
    )


def dump(simulator: Simulator, *chains: Iterable[str], anchor: str = ANCHOR) -> bytes:
    """A bundle of just these chains."""
    return federation_bundles.dump(simulator.members[anchor].configuration(), chains)


def read(document: bytes, *, now: Any = NOW, anchors: Any = None, name: str | None = "region-federation") -> Any:
    """Read with the anchor's key pinned."""
    return openid_federation.read(document, name=name, anchors=anchors or [der(ANCHOR)], now=now)
