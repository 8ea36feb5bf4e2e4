"""A federation (OpenID Federation 1.0) as a trust list: who its trust anchor vouches for, through whom, and as what.

The document is a bundle (`trust_lists.federation_bundles`). The pinned keys verify the anchor's configuration, its keys
every chain. What is resolved under `openid_provider` and `openid_relying_party` then keeps the rules of
`openid_entries`, as in every other format. The list's name is the operator's; its sequence number is when the anchor
signed its configuration.

What an entity is worth here is stated under our own entity type, `urn:kakehashi:entity-type:member`: `municipality` (a
local-government code), `uses` (an array) and `maximum_identity` (0 to 3). Superiors state them in the `metadata` of a
subordinate statement, or cap them by `metadata_policy` (`value`, `subset_of`, `one_of`); the subject need not declare
the type. The subject's own word can only narrow: of its municipality it is not believed at all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trust_lists import admission, etsi, federation_bundles, federation_marks, federation_policy, openid_entries, rules
from trust_lists.admission import Entries, Opened
from trust_lists.federation_bundles import Bundle
from trust_lists.federation_chains import Chain, Verifier
from trust_lists.federation_marks import TrustMark
from trust_lists.federation_policy import PolicyError
from trust_lists.federation_statements import TYPE, Statement, read_anchor
from trust_lists.federation_tokens import Keys, StatementRefusedError, peek_unsafe, pinned_key
from trust_lists.model import Fault, ListRefusedError, Role, TrustedEntity, TrustList
from trust_lists.rules import EntryError

MAXIMUM_BYTES = federation_bundles.MAXIMUM_BYTES

ROLES: Mapping[str, Role] = {
    "openid_provider": Role.OPENID_PROVIDER,
    "openid_relying_party": Role.OPENID_RELYING_PARTY,
}
"""Entity types (§5.1) that are read, and the role that each makes."""

_SHOWN = 200
_LEVELS = range(4)
_NAMING = ("display_name", "organization_name", "client_name")
_UNDETERMINED = "und"
_KEY_CODES = frozenset({"signature", "unknown-key", "algorithm"})
_SAME_CODES = frozenset({"unsigned", "too-large"})


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Open the bundle and admit it: `open_list`, every rule of `admission`, then each chain and whom it vouches for.

    `anchors` are the trust anchor's pinned keys (DER certificates or public keys). Raises `ListRefusedError` as both
    do, for the bundle itself and the anchor's configuration. A subject without a valid chain, or that breaks a rule, is
    a `Fault` and dropped alone.
    """
    return admission.admit(open_list(document, name=name, anchors=anchors), now=now)


def open_list(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    """Verify the trust anchor's configuration with one of its pinned keys; it says all that the list says of itself.

    Raises `ListRefusedError` with code `too-large`, `unsigned`, `format` or `signature`.
    """
    bundle, anchor = _opened(document, name=name, anchors=anchors)
    called = name or anchor.subject
    return _as_list(anchor, called, lambda now: _entries(_examined(bundle, anchor, now), called, now))


def _as_list(anchor: Statement, called: str, entries: Callable[[datetime], Entries]) -> Opened:
    return Opened(
        name=called,
        sequence=int(anchor.issued_at.timestamp()),
        issued_at=anchor.issued_at,
        valid_until=anchor.expires_at,
        called=anchor.subject,
        entries=entries,
    )


def _entries(federation: "Federation", called: str, now: datetime) -> Entries:
    faults = list(federation.faults)
    issuers = federation.issuers()
    entities: list[TrustedEntity] = []
    for chain in federation.chains.values():
        for entity_type in ROLES:
            if entity_type not in chain.metadata:
                continue
            try:
                entities.append(_entity(chain, entity_type, listed_in=called, issuers=issuers, now=now))
            except EntryError as error:
                faults.append(Fault(where=chain.subject[:_SHOWN], reason=f"{entity_type}: {error}"))
    return Entries(tuple(entities), tuple(faults))


def admit(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> "Federation":
    """Verify a bundle, as `read` does, and answer its chains: what a resolve endpoint answers from.

    Raises `ListRefusedError` as `read` does.
    """
    bundle, anchor = _opened(document, name=name, anchors=anchors)
    found: list[Federation] = []

    def entries(now: datetime) -> Entries:
        found.append(_examined(bundle, anchor, now))
        return Entries(())

    admission.admit(_as_list(anchor, name or anchor.subject, entries), now=now)
    return found[0]


def _opened(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> tuple[Bundle, Statement]:
    label = f"list {name or '(unnamed)'}"
    if len(document) > MAXIMUM_BYTES:
        raise ListRefusedError(
            "too-large", f"{label}: {len(document)} bytes; at most {MAXIMUM_BYTES} are read. Check the file."
        )
    try:
        bundle = federation_bundles.load(document)
    except ValueError as error:
        raise ListRefusedError(
            "format", f"{label}: not a bundle of a federation: {error}; collect it again from its trust anchor."
        ) from error
    return bundle, admit_anchor(bundle.anchor, label=label, anchors=anchors)


def admit_anchor(token: str, *, label: str, anchors: Sequence[bytes]) -> Statement:
    """Read the trust anchor's configuration with the pinned keys. Raises `ListRefusedError`."""
    try:
        pins = [pinned_key(der) for der in anchors]
    except ValueError as error:
        raise ListRefusedError("signature", f"{label}: {error}; configure another anchor.") from error
    try:
        return read_anchor(token, pins)
    except StatementRefusedError as error:
        code = "signature" if error.code in _KEY_CODES else error.code if error.code in _SAME_CODES else "format"
        raise ListRefusedError(
            code,
            f"{label}: the trust anchor's configuration: {error}; fetch it again, and if its operator changed the key, "
            "check the new key with them and pin it.",
        ) from error


# --- chains


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """The best valid chain of each subject of a bundle, by subject in order, and who has none."""

    anchor: Statement
    chains: Mapping[str, Chain]
    faults: tuple[Fault, ...]

    def issuers(self) -> Mapping[str, Keys]:
        """The federation keys that superiors vouch for, by entity identifier: who may sign trust marks."""
        return {subject: chain.superior.keys for subject, chain in self.chains.items()}


def _examined(bundle: Bundle, anchor: Statement, now: datetime) -> Federation:
    """Verify a bundle's chains. Of several valid ones the shortest is taken; the order in the bundle decides nothing.

    Where valid chains vouch for different keys of one subject nobody can tell who that is, and it is dropped.
    """
    verifier = Verifier(anchor, now)
    valid: dict[str, list[Chain]] = {}
    refused: dict[str, StatementRefusedError] = {}
    for tokens in sorted(set(bundle.chains), key=lambda chain: (len(chain), chain)):
        try:
            chain = verifier.verify(tokens, of_itself=(etsi.FEDERATION_MEMBER,))
        except StatementRefusedError as error:
            refused.setdefault(_claimed_subject(tokens), error)
        else:
            valid.setdefault(chain.subject, []).append(chain)
    chains: list[Chain] = []
    faults = [
        Fault(where=subject, reason=f"{error.code}: {error}")
        for subject, error in refused.items()
        if subject not in valid
    ]
    for subject, found in valid.items():
        if len({frozenset(key.thumbprint for key in chain.configuration.keys.values()) for chain in found}) > 1:
            reason = "disputed: its superiors vouch for different keys; its operator and theirs must agree"
            faults.append(Fault(where=subject[:_SHOWN], reason=reason))
        else:
            chains.append(min(found, key=lambda chain: chain.rank))
    told = [
        Fault(where=each.entity[:_SHOWN], reason=f"not collected: {each.reason[:_SHOWN]}") for each in bundle.skipped
    ]
    return Federation(
        anchor=anchor,
        chains={chain.subject: chain for chain in sorted(chains, key=lambda chain: chain.subject)},
        faults=tuple(sorted(faults + told, key=lambda fault: (fault.where, fault.reason))),
    )


def _claimed_subject(tokens: Sequence[str]) -> str:
    """Look up whom a refused chain claims to be about, for the report only."""
    try:
        subject = peek_unsafe(tokens[0], typ=TYPE).get("sub") if tokens else None
    except StatementRefusedError:
        subject = None
    return subject[:_SHOWN] if isinstance(subject, str) and subject.isascii() and subject.isprintable() else "a chain"


# --- entities


def _entity(
    chain: Chain, entity_type: str, *, listed_in: str, issuers: Mapping[str, Keys], now: datetime
) -> TrustedEntity:
    metadata = chain.metadata[entity_type]
    role = ROLES[entity_type]
    worth = _worth(chain)
    kept = openid_entries.check_metadata(role, chain.subject, dict(_kept(metadata, entity_type)))
    marks = verified_marks(chain, issuers, now)
    return TrustedEntity(
        entity_id=rules.entity_id(chain.subject, ("sub",)),
        roles=frozenset({role}),
        listed_in=listed_in,
        valid_until=min([chain.expires_at, *(mark.expires_at for mark in marks if mark.expires_at)]),
        municipality=worth.municipality,
        names=_names(metadata),
        metadata=kept,
        permitted=openid_entries.permitted(metadata, chain.policy.get(entity_type))
        if role is Role.OPENID_PROVIDER
        else {},
        maximum_identity=worth.maximum_identity,
        uses=worth.uses,
        information=tuple(sorted({mark.type for mark in marks})),
        registered_by=chain.superior.issuer,
    )


def verified_marks(chain: Chain, issuers: Mapping[str, Keys], now: datetime) -> tuple[TrustMark, ...]:
    """Answer the subject's trust marks that hold; the others are as good as not there (§7.3)."""
    found: list[TrustMark] = []
    for held in chain.configuration.trust_marks:
        try:
            found.append(
                federation_marks.verify(held, holder=chain.subject, anchor=chain.anchor, issuers=issuers, now=now)
            )
        except StatementRefusedError:
            continue
    return tuple(found)


def _names(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Names to show to people, by language (OpenID Registration §2.1); without a language tag under `und`."""
    found: dict[str, str] = {}
    for wanted in _NAMING:
        for stated, value in metadata.items():
            name, _, language = stated.partition("#")
            if name == wanted:
                tag = rules.language(language or _UNDETERMINED, (stated,))
                found.setdefault(tag, rules.display_name(value, (stated,)))
    return found


# --- metadata that our lists do not know, and the federation does


_Passes = Callable[[Any], bool]


def _anything(_: Any) -> bool:
    return True


def _is_false(value: Any) -> bool:
    return value is False


def _holds_one_of(*wanted: str) -> _Passes:
    return lambda value: isinstance(value, list) and any(each in value for each in wanted)


_PASSED_OVER: Mapping[str, Mapping[str, _Passes]] = {
    "openid_provider": {
        **dict.fromkeys(
            (
                "client_registration_types_supported",
                "display_name",
                "description",
                "keywords",
                "information_uri",
                "organization_uri",
                "logo_uri",
                "policy_uri",
                "op_policy_uri",
                "op_tos_uri",
                "service_documentation",
                "check_session_iframe",
                "jwks_uri",
            ),
            _anything,
        ),
        "response_types_supported": _holds_one_of("code"),
        "subject_types_supported": _holds_one_of("pairwise", "public"),
        "id_token_signing_alg_values_supported": _holds_one_of(*openid_entries.SIGNING_ALGORITHMS),
        "token_endpoint_auth_methods_supported": _holds_one_of(*openid_entries.AUTHENTICATION_METHODS),
    },
    "openid_relying_party": {
        **dict.fromkeys(
            ("display_name", "description", "keywords", "information_uri", "organization_name", "organization_uri"),
            _anything,
        ),
        "client_registration_types": _holds_one_of("automatic", "explicit"),
        "jwks_uri": _anything,
    },
}
"""Registered names that are not kept, and the values with which they may be left out.

A provider announces itself what it supports and where; the gateway reads it there, and keeps to what the federation
leaves of it (`openid_entries.permitted`). A relying party is registered by
being listed. What says how an entity is called or described is kept as its name, or shown nowhere.
"""

_ANNOUNCED = ("_supported", "_endpoint")
_DEMANDS = (
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "require_request_uri_registration",
    "require_auth_time",
    "tls_client_certificate_bound_access_tokens",
    "dpop_bound_access_tokens",
)
"""Demands for more protection than the gateway gives: left out when they are false, otherwise the entry is refused."""


def _kept(metadata: Mapping[str, Any], entity_type: str) -> Iterator[tuple[str, Any]]:
    """Leave out what may be; `openid_entries` refuses what is left and not known to it. Raises `EntryError`."""
    if "signed_jwks_uri" in metadata and "jwks" not in metadata:
        raise EntryError(
            ("metadata", "jwks"), "is missing; keys behind signed_jwks_uri are not read, state them in jwks"
        )
    passed_over = _PASSED_OVER[entity_type]
    for stated, value in metadata.items():
        name = stated.partition("#")[0]
        passes = passed_over.get(name)
        if name == "signed_jwks_uri":
            continue
        if passes is None and name in _DEMANDS:
            passes = _is_false
        if passes is None and entity_type == "openid_provider" and name.endswith(_ANNOUNCED):
            continue
        if passes is None:
            yield stated, value
        elif not passes(value):
            raise EntryError(("metadata", stated), "the gateway cannot keep to this value")


# --- what the entity is worth


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worth:
    municipality: str | None
    uses: frozenset[str] | None
    maximum_identity: int | None


def _worth(chain: Chain) -> _Worth:
    """Read our own entity type: what superiors state or cap, narrowed by the subject's own word. Raises `EntryError`.

    Where a cap stands and nothing below it, the cap itself is the answer: silence never widens.
    """
    kind = etsi.FEDERATION_MEMBER
    caps = chain.policy.get(kind, {})
    stated = chain.metadata.get(kind)
    if stated is None:  # constraints let nobody below be of our type; what limits the subject holds all the same
        said = {**chain.configuration.metadata.get(kind, {}), **chain.superior.metadata.get(kind, {})}
        try:
            stated = federation_policy.apply({kind: caps}, {kind: said})[kind]
        except PolicyError as error:
            raise EntryError((kind,), str(error)) from error
        stated.pop("municipality", None)
    for name in stated:
        if name not in ("municipality", "uses", "maximum_identity"):
            raise EntryError((kind, name), "is not known; known are municipality, uses, maximum_identity")
    for name, other in (("uses", "one_of"), ("maximum_identity", "subset_of")):
        if name not in stated and other in caps.get(name, {}):
            raise EntryError((kind, name), f"{other} is no cap of it, and nobody states a value")
    uses = stated.get("uses", caps.get("uses", {}).get("subset_of"))
    level = stated.get("maximum_identity")
    if level is None and "one_of" in caps.get("maximum_identity", {}):
        level = max((_level(each) for each in caps["maximum_identity"]["one_of"]), default=0)
    return _Worth(
        municipality=_municipality(chain, stated, caps.get("municipality", {})),
        uses=None if uses is None else _uses(uses),
        maximum_identity=None if level is None else _level(level),
    )


def _municipality(chain: Chain, stated: Mapping[str, Any], caps: Mapping[str, Any]) -> str | None:
    kind = etsi.FEDERATION_MEMBER
    if "municipality" not in stated:
        return None
    own = chain.configuration.metadata.get(kind, {})
    by_superior = "municipality" in chain.superior.metadata.get(kind, {})
    if "municipality" in own and not by_superior and not caps.keys() & {"value", "one_of"}:
        raise EntryError((kind, "municipality"), "only the entity itself says so; its superior must state it")
    return rules.municipality(stated["municipality"], (kind, "municipality"))


def _uses(value: Any) -> frozenset[str]:
    place = (etsi.FEDERATION_MEMBER, "uses")
    if not isinstance(value, list):
        raise EntryError(place, "names of uses are expected, as [civic]")
    return frozenset(etsi.use(each, (*place, index)) for index, each in enumerate(value))


def _level(value: Any) -> int:
    if type(value) is not int or value not in _LEVELS:
        raise EntryError((etsi.FEDERATION_MEMBER, "maximum_identity"), "a level from 0 to 3 is expected")
    return value
