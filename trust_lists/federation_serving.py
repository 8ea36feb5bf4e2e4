"""What a federation authority answers at its endpoints (OpenID Federation 1.0 §8, §9), as data.

A `Region` is everything that it knows; each function takes the request's parameters, the time, and answers status,
media type and body. Mistakes are answered by the JSON errors of §8.9: `ERRORS` is their table.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from trust_lists import certificates
from trust_lists.federation_chains import Chain
from trust_lists.federation_statements import FEDERATION_ENTITY, MEDIA_TYPE, TYPE, Statement, is_entity_id, read
from trust_lists.federation_tokens import REGISTRY, StatementRefusedError, read_keys
from trust_lists.openid_federation import Federation, verified_marks

RESOLVE_TYPE = "resolve-response+jwt"
RESOLVE_MEDIA_TYPE = "application/resolve-response+jwt"
JSON_MEDIA_TYPE = "application/json"

ERRORS: Mapping[str, int] = {
    "invalid_request": 400,
    "invalid_trust_anchor": 404,
    "invalid_trust_chain": 400,
    "not_found": 404,
    "unsupported_parameter": 400,
}
"""The error codes of §8.9 that are answered here, with their HTTP status."""

Parameters = Sequence[tuple[str, str]]
"""The decoded query of a request, in order, duplicates kept. Unknown names are passed over (§8)."""

_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384"}
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    media_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationSigner:
    """A federation key that signs: P-256 by ES256, P-384 by ES384, RSA by RS256. `kid` is its thumbprint (RFC 7638)."""

    key: ECKey | RSAKey = field(repr=False)
    algorithm: str
    kid: str

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key in an unencrypted PEM file. Raises ValueError, without its text."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (TypeError, ValueError):
            raise ValueError("expected an unencrypted private key in PEM form") from None
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _EC_ALGORITHMS:
            on_curve = ECKey.import_key(private)
            return cls(key=on_curve, algorithm=_EC_ALGORITHMS[private.curve.name], kid=on_curve.thumbprint())
        if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= certificates.MINIMUM_RSA_BITS:
            of_rsa = RSAKey.import_key(private)
            return cls(key=of_rsa, algorithm="RS256", kid=of_rsa.thumbprint())
        raise ValueError(
            f"expected a key on P-256 or P-384, or of RSA with {certificates.MINIMUM_RSA_BITS} bits or more"
        )

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK that names its use, algorithm and kid (RFC 7517 §4)."""
        return {**self.key.as_dict(private=False), "use": "sig", "alg": self.algorithm, "kid": self.kid}

    def sign(self, claims: Mapping[str, Any], typ: str = TYPE) -> str:
        """Sign claims as a compact JWS of that type."""
        header = {"alg": self.algorithm, "kid": self.kid, "typ": typ}
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, self.key, registry=REGISTRY)


Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subordinate:
    """An entity for which a region vouches.

    `jwks` are its federation keys. `metadata`, `metadata_policy` and `constraints` are claims of the statement about it
    (§3.1.3), left out where they are empty. `entity_types` and `intermediate` are what listings are filtered by. No
    statement about it is valid beyond `valid_until`.
    """

    entity_id: str
    jwks: Json = field(repr=False)
    metadata: Json = field(default_factory=dict)
    metadata_policy: Json = field(default_factory=dict)
    constraints: Json = field(default_factory=dict)
    entity_types: frozenset[str] = frozenset()
    intermediate: bool = False
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A trust anchor, or an intermediate entity if it has `authority_hints`, as it presents itself.

    `signer` signs; `other_keys` are public JWKs that it states besides: the former key, and the next one, at a
    rollover (§11.1). `metadata` are its own, by entity type; the three endpoints are added to `federation_entity`.
    A statement is valid for `lifetime`.
    """

    entity_id: str
    signer: FederationSigner
    fetch_endpoint: str
    list_endpoint: str
    resolve_endpoint: str | None = None
    other_keys: tuple[Json, ...] = ()
    lifetime: timedelta = timedelta(days=1)
    metadata: Json = field(default_factory=dict)
    subordinates: Mapping[str, Subordinate] = field(default_factory=dict, repr=False)
    authority_hints: tuple[str, ...] = ()
    trust_marks: tuple[Json, ...] = ()
    trust_mark_issuers: Json = field(default_factory=dict)
    trust_mark_owners: Json = field(default_factory=dict)


def check(region: Region, now: datetime) -> None:
    """Make sure that what the region would say keeps the rules of entity statements.

    Raises ValueError with the entity and what is wrong.
    """
    try:
        own = {"keys": [region.signer.public_jwk(), *region.other_keys]}
        keys = read_keys(own)
        read(_configuration(region, now), keys)
    except (StatementRefusedError, ValueError) as error:
        raise ValueError(f"{region.entity_id}: {error}") from error
    for name, subordinate in region.subordinates.items():
        try:
            statement: Statement = read(_statement(region, subordinate, now), keys)
        except StatementRefusedError as error:
            raise ValueError(f"{name}: {error}") from error
        if statement.is_configuration or name != subordinate.entity_id:
            raise ValueError(f"{name}: is not a subordinate of {region.entity_id}, or stands under another's name")


# --- the endpoints


def entity_configuration(region: Region, now: datetime) -> Answer:
    """What the region says of itself, at `/.well-known/openid-federation` (§9)."""
    return _signed(_configuration(region, now), MEDIA_TYPE)


def subordinate_statement(region: Region, parameters: Parameters, now: datetime) -> Answer:
    """What the region says of the subordinate `sub`, at the fetch endpoint (§8.1)."""
    subject = _single(parameters, "sub")
    if subject is None or subject == region.entity_id:
        return _error("invalid_request", "Exactly one parameter [sub] with the entity ID of a subordinate is expected.")
    subordinate = region.subordinates.get(subject)
    if subordinate is None or _is_over(subordinate, now):
        return _error("not_found", "This entity is not an immediate subordinate.")
    return _signed(_statement(region, subordinate, now), MEDIA_TYPE)


def listing(region: Region, parameters: Parameters) -> Answer:
    """The region's immediate subordinates, at the list endpoint (§8.2), in order."""
    for name, _ in parameters:
        if name in ("trust_marked", "trust_mark_type"):
            return _error("unsupported_parameter", f"The parameter [{name}] is not supported.")
    types = frozenset(value for name, value in parameters if name == "entity_type")
    intermediate: bool | None = None
    if any(name == "intermediate" for name, _ in parameters):
        intermediate = _BOOLEANS.get(_single(parameters, "intermediate") or "")
        if intermediate is None:
            return _error("invalid_request", "The parameter [intermediate] is true or false.")
    found = sorted(
        entity_id
        for entity_id, subordinate in region.subordinates.items()
        if types <= subordinate.entity_types and (not intermediate or subordinate.intermediate)
    )
    return Answer(status=200, media_type=JSON_MEDIA_TYPE, body=json.dumps(found).encode())


def resolve_response(region: Region, parameters: Parameters, federation: Federation, now: datetime) -> Answer:
    """The resolved metadata of `sub` with its chain and verified trust marks, at the resolve endpoint (§8.3).

    `federation` is what `openid_federation.admit` answered for the federation that the region collects.
    """
    subject = _single(parameters, "sub")
    anchors = [value for name, value in parameters if name == "trust_anchor"]
    types = {value for name, value in parameters if name == "entity_type"}
    if subject is None or not is_entity_id(subject) or not anchors:
        return _error("invalid_request", "Exactly one parameter [sub] and a parameter [trust_anchor] are expected.")
    if federation.anchor.subject not in anchors:
        return _error("invalid_trust_anchor", "This resolver knows no such trust anchor.")
    chain = federation.chains.get(subject)
    if chain is None:
        return _error("not_found", "No valid trust chain is known for this entity.")
    if now >= chain.expires_at:
        return _error("invalid_trust_chain", "The trust chain that is known for this entity has expired.")
    return _signed(
        region.signer.sign(_resolved(region, chain, types, federation, now), RESOLVE_TYPE), RESOLVE_MEDIA_TYPE
    )


# --- claims


def _times(region: Region, now: datetime, until: datetime | None = None) -> dict[str, int]:
    issued_at = int(now.timestamp())
    expires_at = issued_at + int(region.lifetime.total_seconds())
    return {"iat": issued_at, "exp": expires_at if until is None else min(expires_at, int(until.timestamp()))}


def _is_over(subordinate: Subordinate, now: datetime) -> bool:
    """Tell whether less than a second is left, so that no statement could be valid."""
    return subordinate.valid_until is not None and int(subordinate.valid_until.timestamp()) <= int(now.timestamp())


def _stated(**claims: object) -> dict[str, object]:
    """Leave out what is empty."""
    return {name: value for name, value in claims.items() if value}


def _configuration(region: Region, now: datetime) -> str:
    endpoints = _stated(
        federation_fetch_endpoint=region.fetch_endpoint,
        federation_list_endpoint=region.list_endpoint,
        federation_resolve_endpoint=region.resolve_endpoint,
    )
    claims = {
        "iss": region.entity_id,
        "sub": region.entity_id,
        **_times(region, now),
        "jwks": {"keys": [region.signer.public_jwk(), *map(dict, region.other_keys)]},
        "metadata": {
            **region.metadata,
            FEDERATION_ENTITY: {**region.metadata.get(FEDERATION_ENTITY, {}), **endpoints},
        },
        **_stated(
            authority_hints=list(region.authority_hints),
            trust_marks=[dict(each) for each in region.trust_marks],
            trust_mark_issuers=region.trust_mark_issuers,
            trust_mark_owners=region.trust_mark_owners,
        ),
    }
    return region.signer.sign(claims)


def _statement(region: Region, subordinate: Subordinate, now: datetime) -> str:
    claims = {
        "iss": region.entity_id,
        "sub": subordinate.entity_id,
        **_times(region, now, subordinate.valid_until),
        "jwks": subordinate.jwks,
        "source_endpoint": region.fetch_endpoint,
        **_stated(
            metadata=subordinate.metadata,
            metadata_policy=subordinate.metadata_policy,
            constraints=subordinate.constraints,
        ),
    }
    return region.signer.sign(claims)


def _resolved(
    region: Region, chain: Chain, types: set[str], federation: Federation, now: datetime
) -> dict[str, object]:
    marks = verified_marks(chain, federation.issuers(), now)
    ends = [chain.expires_at, *(mark.expires_at for mark in marks if mark.expires_at)]
    declared = chain.configuration.metadata
    return {
        "iss": region.entity_id,
        "sub": chain.subject,
        "iat": int(now.timestamp()),
        "exp": int(min(ends).timestamp()),
        "metadata": {
            each: stated for each, stated in chain.metadata.items() if each in declared and (not types or each in types)
        },
        "trust_chain": [*(each.token for each in chain.statements), chain.anchor.token],
        **_stated(trust_marks=[{"trust_mark_type": mark.type, "trust_mark": mark.token} for mark in marks]),
    }


# --- answers


def _single(parameters: Parameters, name: str) -> str | None:
    """Answer the parameter's value, or None if it is missing, empty or there twice."""
    found = [value for each, value in parameters if each == name]
    return found[0] if len(found) == 1 and found[0] else None


def _signed(token: str, media_type: str) -> Answer:
    return Answer(status=200, media_type=media_type, body=token.encode("ascii"))


def _error(code: str, description: str) -> Answer:
    body = json.dumps({"error": code, "error_description": description}).encode()
    return Answer(status=ERRORS[code], media_type=JSON_MEDIA_TYPE, body=body)
