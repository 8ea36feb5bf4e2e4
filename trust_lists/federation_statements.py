"""Entity statements of OpenID Federation 1.0 (§3): what makes one believable.

A statement about itself is an entity configuration, one by a superior a subordinate statement. `read` verifies the
signature with given keys over the exact bytes and reads the claims from the verified bytes only; `RULES` is the table
of what §3.2 demands of them. Times are looked at by `check_times`; how statements form a chain is the business of
`trust_lists.federation_chains`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from trust_lists import rules
from trust_lists.federation_constraints import ConstraintError, Constraints, read_constraints
from trust_lists.federation_policy import Metadata, Policy, PolicyError
from trust_lists.federation_policy import read as read_policy
from trust_lists.federation_tokens import (
    Claims,
    FederationKey,
    Keys,
    StatementRefusedError,
    header,
    peek_unsafe,
    read_keys,
    verified,
)
from trust_lists.rules import EntryError
from trust_lists.times import LEEWAY, format_instant

TYPE = "entity-statement+jwt"
MEDIA_TYPE = "application/entity-statement+jwt"
MARK_TYPE = "trust-mark+jwt"
WELL_KNOWN = "/.well-known/openid-federation"

MAXIMUM_HINTS = 32
MAXIMUM_TRUST_MARKS = 64

FEDERATION_ENTITY = "federation_entity"

_LAST_INSTANT = 253402300799  # 9999-12-31T23:59:59Z
_SHOWN = 200


# --- the rules for claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who owns a type of trust mark (§3.1.2), and the keys with which it delegates the issuing."""

    entity_id: str
    keys: Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMark:
    """A trust mark as an entity shows it, not yet verified."""

    type: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A verified entity statement. Times are aware, UTC; `token` is the very text that was signed."""

    token: str = field(repr=False)
    issuer: str
    subject: str
    issued_at: datetime
    expires_at: datetime
    keys: Keys = field(repr=False)
    metadata: Metadata = field(default_factory=dict)
    authority_hints: tuple[str, ...] = ()
    policy: Policy = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    trust_marks: tuple[HeldMark, ...] = ()
    trust_mark_issuers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trust_mark_owners: Mapping[str, Owner] = field(default_factory=dict)

    @property
    def is_configuration(self) -> bool:
        """Tell an entity configuration from a subordinate statement."""
        return self.issuer == self.subject

    def endpoint(self, name: str) -> str | None:
        """An address in the entity's own `federation_entity` metadata (§5.1.1), or None if there is none."""
        stated = self.metadata.get(FEDERATION_ENTITY, {}).get(name)
        try:
            return None if stated is None else rules.web_address(stated, (name,))
        except EntryError:
            return None


def is_entity_id(value: object) -> bool:
    """Tell whether it is an entity identifier (§1.2): an https URL with a host, no query and no fragment."""
    try:
        rules.issuer(value, ())
    except EntryError:
        return False
    return True


def is_instant(value: object) -> bool:
    """Tell whether it is a NumericDate (RFC 7519 §2) that a date can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_INSTANT


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _are_entity_ids(value: object) -> bool:
    return isinstance(value, list) and all(map(is_entity_id, value)) and len(set(value)) == len(value)


def _are_hints(value: object) -> bool:
    return _are_entity_ids(value) and isinstance(value, list) and 0 < len(value) <= MAXIMUM_HINTS


def _has_keys(value: object) -> bool:
    try:
        read_keys(value)
    except ValueError:
        return False
    return True


def _is_metadata(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(parameters, dict) and None not in parameters.values() for parameters in value.values()
    )


def _is_policy(value: object) -> bool:
    try:
        read_policy(value)
    except PolicyError:
        return False
    return True


def _is_constraints(value: object) -> bool:
    try:
        read_constraints(value)
    except ConstraintError:
        return False
    return True


def _are_trust_marks(value: object) -> bool:
    if not isinstance(value, list) or len(value) > MAXIMUM_TRUST_MARKS:
        return False
    for mark in value:
        if not isinstance(mark, dict) or not isinstance(mark.get("trust_mark"), str):
            return False
        try:
            claims = peek_unsafe(mark["trust_mark"], typ=MARK_TYPE)
        except StatementRefusedError:
            return False
        if not isinstance(mark.get("trust_mark_type"), str) or claims.get("trust_mark_type") != mark["trust_mark_type"]:
            return False
    return True


def _are_mark_issuers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_entity_ids, value.values()))


def _are_mark_owners(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(owner, dict) and is_entity_id(owner.get("sub")) and _has_keys(owner.get("jwks"))
        for owner in value.values()
    )


def _is_address(value: object) -> bool:
    try:
        rules.web_address(value, ())
    except EntryError:
        return False
    return True


def _refused(_: object) -> bool:
    return False


_REQUIRED = ("iss", "sub", "iat", "exp", "jwks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: what a claim must be wherever it stands, and whether it may stand in this kind of statement."""

    code: str
    claim: str
    says: str
    holds: Callable[[object], bool]
    in_configurations: bool = True
    in_subordinate_statements: bool = True


RULES: tuple[Rule, ...] = (
    Rule(code="issuer", claim="iss", says="an entity identifier is expected", holds=is_entity_id),
    Rule(code="subject", claim="sub", says="an entity identifier is expected", holds=is_entity_id),
    Rule(code="instant", claim="iat", says="seconds since 1970 are expected", holds=is_instant),
    Rule(code="instant", claim="exp", says="seconds since 1970 are expected", holds=is_instant),
    Rule(
        code="keys",
        claim="jwks",
        says="a JWK Set of public keys is expected, each with a kid of its own, one of them usable",
        holds=_has_keys,
    ),
    Rule(
        code="critical-claim",
        claim="crit",
        says="it demands that a claim be understood which is not",
        holds=_refused,
    ),
    Rule(
        code="metadata",
        claim="metadata",
        says="objects by entity type are expected, and no null in them",
        holds=_is_metadata,
    ),
    Rule(
        code="authority-hints",
        claim="authority_hints",
        says=f"1 to {MAXIMUM_HINTS} different entity identifiers are expected, and only in an entity configuration",
        holds=_are_hints,
        in_subordinate_statements=False,
    ),
    Rule(
        code="trust-anchor-hints",
        claim="trust_anchor_hints",
        says=f"1 to {MAXIMUM_HINTS} different entity identifiers are expected, and only in an entity configuration",
        holds=_are_hints,
        in_subordinate_statements=False,
    ),
    Rule(
        code="policy",
        claim="metadata_policy",
        says="a policy that keeps the rules of its operators is expected, and only in a subordinate statement",
        holds=_is_policy,
        in_configurations=False,
    ),
    Rule(
        code="critical-operator",
        claim="metadata_policy_crit",
        says="it demands that a policy operator be understood which is not",
        holds=_refused,
        in_configurations=False,
    ),
    Rule(
        code="constraints",
        claim="constraints",
        says="constraints as in section 6.2 are expected, and only in a subordinate statement",
        holds=_is_constraints,
        in_configurations=False,
    ),
    Rule(
        code="trust-marks",
        claim="trust_marks",
        says="trust marks with the type that each states are expected, and only in an entity configuration",
        holds=_are_trust_marks,
        in_subordinate_statements=False,
    ),
    Rule(
        code="trust-mark-issuers",
        claim="trust_mark_issuers",
        says="entity identifiers by type of trust mark are expected, and only in an entity configuration",
        holds=_are_mark_issuers,
        in_subordinate_statements=False,
    ),
    Rule(
        code="trust-mark-owners",
        claim="trust_mark_owners",
        says="sub and jwks by type of trust mark are expected, and only in an entity configuration",
        holds=_are_mark_owners,
        in_subordinate_statements=False,
    ),
    Rule(
        code="source-endpoint",
        claim="source_endpoint",
        says="an https address is expected, and only in a subordinate statement",
        holds=_is_address,
        in_configurations=False,
    ),
    Rule(code="audience", claim="aud", says="belongs to explicit registration, not here", holds=_refused),
    Rule(code="trust-anchor", claim="trust_anchor", says="belongs to explicit registration, not here", holds=_refused),
)
"""What §3.1 and §3.2 demand of each claim. A claim that stands in no row is passed over, as §3.1 allows."""


def _check(claims: Claims) -> None:
    for name in _REQUIRED:
        if name not in claims:
            raise StatementRefusedError("missing-claim", f"{name} is missing")
    configuration = claims["iss"] == claims["sub"]
    for rule in RULES:
        if rule.claim not in claims:
            continue
        placed = rule.in_configurations if configuration else rule.in_subordinate_statements
        if not placed or not rule.holds(claims[rule.claim]):
            raise StatementRefusedError(rule.code, f"{rule.claim}: {rule.says}")
    if claims["exp"] <= claims["iat"]:
        raise StatementRefusedError("instant", "exp: it ends before it begins")


def read(token: str, keys: Keys) -> Statement:
    """Verify a statement with its issuer's keys and read it. Raises `StatementRefusedError`."""
    claims = verified(token, keys, typ=TYPE)
    _check(claims)
    return Statement(
        token=token,
        issuer=claims["iss"],
        subject=claims["sub"],
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        keys=read_keys(claims["jwks"]),
        metadata=claims.get("metadata", {}),
        authority_hints=tuple(claims.get("authority_hints", ())),
        policy=read_policy(claims.get("metadata_policy", {})),
        constraints=read_constraints(claims.get("constraints", {})),
        trust_marks=tuple(
            HeldMark(type=mark["trust_mark_type"], token=mark["trust_mark"]) for mark in claims.get("trust_marks", ())
        ),
        trust_mark_issuers={kind: frozenset(issuers) for kind, issuers in claims.get("trust_mark_issuers", {}).items()},
        trust_mark_owners={
            kind: Owner(entity_id=owner["sub"], keys=read_keys(owner["jwks"]))
            for kind, owner in claims.get("trust_mark_owners", {}).items()
        },
    )


def read_configuration(token: str, keys: Keys) -> Statement:
    """Read an entity configuration that is signed by a key which its superior knows, and states itself (§4).

    Raises `StatementRefusedError`.
    """
    statement = read(token, keys)
    if not statement.is_configuration:
        raise StatementRefusedError("other-issuer", "an entity configuration is expected, in which iss is sub")
    _, kid = header(token, TYPE)
    own = statement.keys.get(kid)
    if own is None or own.thumbprint != keys[kid].thumbprint:
        raise StatementRefusedError("signature", "it is signed by a key that it does not state itself")
    return statement


def read_anchor(token: str, pins: Iterable[FederationKey]) -> Statement:
    """Read a trust anchor's entity configuration, signed by a pinned key that it states itself (§4).

    The header says which of the stated keys signed, and that one must be pinned. Raises `StatementRefusedError`.
    """
    _, kid = header(token, TYPE)
    try:
        stated = read_keys(peek_unsafe(token, typ=TYPE).get("jwks"))
    except ValueError as error:
        raise StatementRefusedError("keys", f"jwks: {error}") from error
    pinned = {pin.thumbprint for pin in pins}
    if kid not in stated or stated[kid].thumbprint not in pinned:
        raise StatementRefusedError("signature", "it is signed by a key that is not pinned")
    return read_configuration(token, {kid: stated[kid]})


def check_times(statement: Statement, now: datetime) -> None:
    """Refuse a statement that is over (`expired`) or from the future (`future`; two minutes are borne)."""
    about = f"the statement of {statement.issuer[:_SHOWN]} about {statement.subject[:_SHOWN]}"
    if now >= statement.expires_at:
        raise StatementRefusedError("expired", f"{about} was valid until {format_instant(statement.expires_at)}")
    if statement.issued_at > now + LEEWAY:
        raise StatementRefusedError("future", f"{about} was issued at {format_instant(statement.issued_at)}, ahead")


def configuration_url(entity_id: str) -> str:
    """Where an entity publishes its configuration (§9)."""
    return entity_id.removesuffix("/") + WELL_KNOWN
