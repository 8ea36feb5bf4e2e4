"""The kinds of value that configuration knows: codes, names, addresses, amounts, each with its check.

A check raises pydantic's custom error whose type is a kind of `messages.py`; nothing else of
pydantic's wording is ever shown.
"""

import ipaddress
import re
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Annotated, LiteralString, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from federation.attributes import CANONICAL, Applied
from federation.certificate.subject import is_field
from federation.evidence import EVIDENCE
from federation.terms import Membership
from federation.transforms import TRANSFORMS
from trust_lists import etsi
from trust_lists.assurance_rows import METHODS
from trust_lists.codes import is_municipality_code
from trust_lists.formats import FORMATS
from trust_lists.recognition import EVERYONE
from trust_lists.rules import EntryError

H = TypeVar("H", bound=Hashable)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_TEXT = 1000
LONGEST_WORD = 100
"""Characters of a word that are compared with known words."""
LONGEST_ENTITY_ID = 1024
"""SAML Core §8.3.6."""
HIGHEST_PORT = 65535
RESERVED_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
"""Scopes with a meaning of their own (OpenID Connect Core §5.4, §11)."""
RESERVED_CLAIMS = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "auth_time", "nonce", "acr", "amr", "azp"}
    | {"at_hash", "c_hash", "s_hash", "sid", "cnf", "client_id", "scope"}
)
"""Claims with which a token speaks of itself (RFC 7519 §4.1, OpenID Connect Core §2, RFC 9068 §2.2)."""
SUBJECT_IDENTIFIERS = frozenset(
    {"urn:oasis:names:tc:SAML:attribute:subject-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id"}
)
"""Attributes that the gateway itself makes (SAML Subject Identifier Attributes §3)."""
STATE = "state:"
"""Prefix of a path that is resolved in the state directory."""


def wrong(kind: LiteralString, **facts: str) -> PydanticCustomError:
    """The error that becomes a mistake of `kind`."""
    return PydanticCustomError(kind, "see gateway/config/messages.py", dict(facts))


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known word that `word` was probably meant to be; None if none is near enough."""
    names = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold()[:LONGEST_WORD], names, n=1, cutoff=likeness)
    return names[found[0]] if found else None


# --- text


def _text(value: str) -> str:
    value = value.strip()
    if not value:
        raise wrong("text-empty")
    if len(value) > LONGEST_TEXT:
        raise wrong("text-long", limit=str(LONGEST_TEXT))
    if any(not c.isprintable() and c not in "\n\u3000" for c in value):
        raise wrong("text-control")
    return value


def _matching(pattern: str, kind: LiteralString) -> AfterValidator:
    compiled = re.compile(pattern)

    def test(value: str) -> str:
        if not compiled.fullmatch(value):
            raise wrong(kind)
        return value

    return AfterValidator(test)


def _municipality(value: str) -> str:
    if not re.fullmatch(r"[0-9]{6}", value):
        raise wrong("municipality")
    if not is_municipality_code(value):
        raise wrong("municipality-digit")
    return value


def _recogniser(value: str) -> str:
    return value if value == EVERYONE else _municipality(value)


def _day(value: str) -> date:
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise wrong("day") from None


def _use(value: str) -> str:
    try:
        return etsi.use(value, ())
    except EntryError:
        raise wrong("use") from None


_MARK = r"[^\s\x00-\x1f\x7f]"

Text = Annotated[str, AfterValidator(_text)]
Slug = Annotated[str, _matching(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "slug")]
Municipality = Annotated[str, AfterValidator(_municipality)]
Recogniser = Annotated[str, AfterValidator(_recogniser)]
"""A municipality's code, or `everyone`."""
Use = Annotated[str, AfterValidator(_use)]
Sha256 = Annotated[str, _matching(r"[0-9a-f]{64}", "sha256")]
_DOMAIN = r"[a-z0-9][a-z0-9.-]{0,126}"
Domain = Annotated[str, _matching(_DOMAIN, "domain")]
"""The scope of an identifier (SAML Subject Identifier Attributes §3.1), in the one case that the gateway writes."""
ClientId = Annotated[str, _matching(r"[\x21-\x7e]{1,255}", "client-id")]
RoutePath = Annotated[str, _matching(r"/api/[\x21-\x7e]+", "route-path")]
UpstreamPath = Annotated[str, _matching(r"/[\x21-\x7e]*", "upstream-path")]
PlainClaim = Annotated[str, _matching(r"[A-Za-z][A-Za-z0-9_]{0,63}", "claim-plain")]
"""The name of a claim that stands by itself in an identity assertion."""

RequestedScope = Annotated[str, _matching(r"[\x21\x23-\x5b\x5d-\x7e]+", "scope-name")]
NameFormat = Annotated[str, _matching(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", "uri")]
MediaType = Annotated[str, _matching(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}", "media-type")]
AttributeName = Annotated[str, _matching(rf"{_MARK}(?:[^\x00-\x1f\x7f]{{0,510}}{_MARK})?", "attribute-name")]


def _claim_name(value: str) -> str:
    if value in RESERVED_CLAIMS:
        raise wrong("claim-reserved", claim=value)
    return value


def _saml_name(value: str) -> str:
    if value in SUBJECT_IDENTIFIERS:
        raise wrong("subject-identifier")
    return value


SamlName = Annotated[AttributeName, AfterValidator(_saml_name)]
ClaimName = Annotated[AttributeName, AfterValidator(_claim_name)]


def _scope_name(value: str) -> str:
    if value in RESERVED_SCOPES:
        raise wrong("scope-reserved", scope=value)
    return value


ScopeName = Annotated[RequestedScope, AfterValidator(_scope_name)]


def one_of_known(kind: LiteralString, known: Mapping[str, object]) -> AfterValidator:
    """A name out of `known`; the facts of the mistake are the nearest one, or all of them."""

    def test(value: str) -> str:
        if value not in known:
            near = nearest(value, known)
            if near is not None:
                raise PydanticCustomError("near-name", "see gateway/config/messages.py", {"near": near})
            raise wrong(kind, known=", ".join(sorted(known)))
        return value

    return AfterValidator(test)


NAMES = "x-names"
"""In the JSON Schema of a value: of which definition of `schema.py` it is a name."""

CanonicalName = Annotated[str, one_of_known("canonical-name", CANONICAL), WithJsonSchema({NAMES: "vocabulary"})]


def _applied(value: object) -> Applied:
    """A transform by its name, or as `{name: argument}`; several ages or codes as one argument may be a list."""
    if isinstance(value, str):
        return _transform(value, None)
    if not isinstance(value, dict) or len(value) != 1:
        raise wrong("transform-shape")
    name, argument = next(iter(value.items()))
    parts = argument if isinstance(argument, tuple) else (argument,)
    if not isinstance(name, str) or not all(isinstance(p, str | int) and not isinstance(p, bool) for p in parts):
        raise wrong("transform-shape")
    return _transform(name, ",".join(map(str, parts)))


def _transform(name: str, argument: str | None) -> Applied:
    if name not in TRANSFORMS:
        near = nearest(name, TRANSFORMS)
        if near is not None:
            raise PydanticCustomError("near-name", "see gateway/config/messages.py", {"near": near})
        raise wrong("transform", known=", ".join(sorted(TRANSFORMS)))
    try:
        return Applied(name, argument)
    except ValueError:
        wanted = TRANSFORMS[name].argument
        if wanted is None:
            raise wrong("transform-argument-unused", name=name) from None
        raise wrong("transform-argument", name=name, ja=wanted["ja"], en=wanted["en"]) from None


TransformEntry = Annotated[Applied, PlainValidator(_applied), WithJsonSchema({NAMES: "transform"})]


EvidenceName = Annotated[str, one_of_known("evidence", EVIDENCE)]


def _list_format(value: str) -> str:
    if value not in FORMATS:
        raise wrong("list-format", known=", ".join(FORMATS))
    return value


def _method(value: str) -> str:
    if value not in METHODS:
        raise wrong("sign-in-method", known=", ".join(METHODS))
    return value


def _subject_field(value: str) -> str:
    if not is_field(value):
        raise wrong("subject-field")
    return value


SubjectField = Annotated[str, AfterValidator(_subject_field)]
ObjectIdentifier = Annotated[str, _matching(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}", "object-identifier")]
SignInMethod = Annotated[str, AfterValidator(_method)]
ListFormat = Annotated[str, AfterValidator(_list_format)]
Territory = Annotated[str, _matching(r"[A-Z]{2}", "territory")]
ListType = Annotated[str, _matching(r"[a-z][a-z0-9+.-]*:[!-~]{1,500}", "list-type")]


# --- amounts and lists


def between(low: int, high: int) -> AfterValidator:
    """A number from `low` to `high`, both included."""

    def test(value: float) -> float:
        if not low <= value <= high:
            raise wrong("range", low=str(low), high=str(high))
        return value

    return AfterValidator(test)


def _filled(value: tuple[H, ...]) -> tuple[H, ...]:
    if not value:
        raise wrong("list-empty")
    return value


def _distinct(value: tuple[H, ...]) -> tuple[H, ...]:
    if len(set(value)) < len(value):
        raise wrong("list-duplicate", value=str(next(v for n, v in enumerate(value) if v in value[:n])))
    return value


def _at_most_32(value: tuple[H, ...]) -> tuple[H, ...]:
    if len(value) > 32:  # noqa: PLR2004 - named so
        raise wrong("list-long", limit="32")
    return value


def _written_day(value: object) -> date:
    if not isinstance(value, str):
        raise wrong("day")
    return _day(value)


Day = Annotated[date, PlainValidator(_written_day)]
Filled = AfterValidator(_filled)
AtMost32 = AfterValidator(_at_most_32)
Distinct = AfterValidator(_distinct)


def _clock(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise wrong("clock")
    return time.fromisoformat(value)


Clock = Annotated[time, PlainValidator(_clock)]
"""A time of the day, by the clock of Japan."""


def _council_or_list(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str) and value in tuple(Membership):
        return value
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise wrong("council-or-list")
    return _distinct(_filled(tuple(map(_municipality, value))))


CouncilOrList = Annotated[str | tuple[str, ...], PlainValidator(_council_or_list)]
"""`council`, `region`, or municipalities by their codes."""


def _all_or_list(value: object) -> tuple[str, ...] | None:
    if value == "all":
        return None
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise wrong("all-or-list")
    return _distinct(_filled(value))


def _all_or_uses(value: object) -> tuple[str, ...] | None:
    found = _all_or_list(value)
    return None if found is None else tuple(map(_use, found))


def _all_or_scopes(value: object) -> tuple[str, ...] | None:
    found = _all_or_list(value)
    if found is not None and not all(re.fullmatch(_DOMAIN, scope) for scope in found):
        raise wrong("domain")
    return found


AllOrList = Annotated[tuple[str, ...] | None, PlainValidator(_all_or_list)]
"""`all` (None) or a list of IDs."""
AllOrUses = Annotated[tuple[str, ...] | None, PlainValidator(_all_or_uses)]
AllOrScopes = Annotated[tuple[str, ...] | None, PlainValidator(_all_or_scopes)]


# --- addresses


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine (RFC 6761 §6.3 for `localhost`)."""
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # ::ffff:127.0.0.1 is a way to write it that nobody needs; whether Python calls it so depends on its version.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def _split(value: str, schemes: tuple[str, ...] = ("http", "https")) -> SplitResult:
    if not re.fullmatch(r"[\x21-\x7e]+", value) or "\\" in value:
        raise wrong("url")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong("url") from None
    if parts.scheme not in schemes:
        raise wrong("url")
    if "@" in parts.netloc:
        raise wrong("url-credentials")
    if port == 0 or (parts.scheme in ("http", "https") and not _is_host(host or "")):
        raise wrong("url")
    return parts


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        return len(value) <= 253 and re.fullmatch(rf"{label}(?:\.{label})*\.?", value) is not None  # noqa: PLR2004 - RFC 1035 §2.3.4
    return True


def _web(value: str, *, query: bool = True, path: bool = True) -> SplitResult:
    parts = _split(value)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise wrong("url-plain")
    if "#" in value:
        raise wrong("url-fragment")
    if not query and "?" in value:
        raise wrong("url-query")
    if not path and parts.path not in ("", "/"):
        raise wrong("url-path")
    return parts


def _web_address(value: str) -> str:
    _web(value)
    return value


def _issuer(value: str) -> str:
    _web(value, query=False)
    return value


def _base(value: str) -> str:
    _web(value, query=False)
    return value.rstrip("/")


def _origin(value: str) -> str:
    parts = _web(value, query=False, path=False)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _entity_id(value: str) -> str:
    if len(value) > LONGEST_ENTITY_ID or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", value):
        raise wrong("entity-id")
    return value


def _store(value: str) -> str:
    if value == "embedded":
        return value
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise wrong("store-url")
    parts = _split(value, ("redis", "rediss", "unix"))
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise wrong("store-url")
    return value


def _host(value: str) -> str:
    if "[" in value or not _is_host(value):
        raise wrong("host")
    return value


def _network(value: object) -> Network:
    try:
        network = ipaddress.ip_network(value) if isinstance(value, str) else None
    except ValueError:
        network = None
    if network is None:
        raise wrong("network")
    if network.prefixlen == 0:
        raise wrong("network-all")
    return network


WebAddress = Annotated[str, AfterValidator(_web_address)]
Issuer = Annotated[str, AfterValidator(_issuer)]
BaseUrl = Annotated[str, AfterValidator(_base)]
OriginUrl = Annotated[str, AfterValidator(_origin)]
EntityId = Annotated[str, AfterValidator(_entity_id)]
StoreUrl = Annotated[str, AfterValidator(_store)]
Host = Annotated[str, AfterValidator(_host)]
NetworkRange = Annotated[Network, PlainValidator(_network)]


def _path(value: str) -> str:
    if not value or "\0" in value or value.startswith("~"):
        raise wrong("path")
    inner = value.removeprefix(STATE)
    if inner != value and (not inner or inner.startswith("/") or ".." in inner.split("/")):
        raise wrong("path-state")
    return value


FilePath = Annotated[str, AfterValidator(_path)]
"""A file, relative to the configuration directory, absolute, or `state:…` in the state directory."""
