"""Who may make which call, and what goes with it.

The token is verified elsewhere; here its `Caller` meets the route's requirements. What a client or a
service says about identity in headers counts for nothing: such headers are dropped on the way in, and the
gateway's own signed assertion takes their place.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from federation.assurance import acr_uri
from federation.callers import Caller, CallerKind
from federation.identifiers import Identifiers
from federation.oidc.exchange import SEALED, seal_call
from federation.oidc.jose import ALGORITHMS
from federation.oidc.tokens import chain
from federation.refusal import (
    BodyTooLarge,
    CallAssuranceTooLow,
    CallerNotAllowed,
    CallRefusal,
    ContentTypeNotAllowed,
    CouncilRequestMalformed,
    FactMissing,
    MethodNotAllowed,
    NotAMember,
    ProofInvalid,
    Refusal,
    RouteClosed,
    ScopeMissing,
    TokenBound,
    TokenMissing,
)
from federation.routes import AmbiguousRoutes, ApiService, Match, Route, RouteTable, Subject
from federation.terms import Membership

__all__ = [
    "ASSERTION_LIFETIME",
    "DECISION",
    "AmbiguousRoutes",
    "ApiService",
    "Circumstances",
    "Match",
    "Route",
    "RouteTable",
    "assertion_claims",
    "body_limit",
    "decide",
    "forward_headers",
    "problem",
    "response_headers",
    "www_authenticate",
]

ASSERTION_LIFETIME = timedelta(seconds=60)

Headers = list[tuple[str, str]]

_SIGN = re.compile("[^a-z0-9]")

MOST_NAMES = 512
"""Names of headers that are remembered: callers choose them, and may make them long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What else a decision rests on: the hour, the council, and what is known of the body before it is read.

    `council` are the codes of its members in force. `content_type` is in small letters and without parameters;
    None: the call has no body. `length` is in bytes, None: it does not say. `limit` holds where the route has none.
    """

    now: datetime
    council: frozenset[str]
    content_type: str | None = None
    length: int | None = None
    limit: int


def body_limit(route: Route, limit: int) -> int:
    """How many bytes a call's body may have on this route; `limit` is the gateway's own."""
    return limit if route.terms.body_limit is None else min(limit, route.terms.body_limit)


def decide(route: Route, caller: Caller, here: Circumstances) -> None:
    """Answer nothing if the caller may, by every rule of `DECISION` in its order. Raises what the first one says."""
    for rule in DECISION:
        refusal = rule(route, caller, here)
        if refusal is not None:
            raise refusal


def _kind(route: Route, caller: Caller, _: Circumstances) -> CallRefusal | None:
    if caller.kind in route.terms.callers:
        return None
    return CallerNotAllowed(f"{route} is not for a {caller.kind}")


def _member(route: Route, caller: Caller, here: Circumstances) -> CallRefusal | None:
    members = route.terms.members
    if members is Membership.REGION:
        return None
    if caller.municipality in (here.council if members is Membership.COUNCIL else members):
        return None
    return NotAMember(f"{route} is not for {caller.municipality}")


def _scope(route: Route, caller: Caller, _: Circumstances) -> CallRefusal | None:
    if route.scope in caller.scopes:
        return None
    return ScopeMissing(f"{caller.client}: {route} needs {route.scope}", scope=route.scope)


def _identity(route: Route, caller: Caller, _: Circumstances) -> CallRefusal | None:
    """A system proves itself by its key alone: levels are people's."""
    if caller.kind is CallerKind.SYSTEM or caller.assurance.identity >= route.minimum:
        return None
    return CallAssuranceTooLow(
        f"{route} needs identity {int(route.minimum)}, came {int(caller.assurance.identity)}",
        acr=acr_uri(route.minimum),
    )


def _authentication(route: Route, caller: Caller, _: Circumstances) -> CallRefusal | None:
    if caller.kind is CallerKind.SYSTEM or caller.assurance.authentication >= route.minimum_authentication:
        return None
    return CallAssuranceTooLow(
        f"{route} needs authentication {int(route.minimum_authentication)}, came {int(caller.assurance.authentication)}"
    )


def _required(route: Route, caller: Caller, _: Circumstances) -> CallRefusal | None:
    """Facts are people's, too; one that nobody could establish is not true.

    The refusal names all that the route requires: whoever calls for the person is not told which of them is missing.
    """
    if not route.terms.requires or caller.kind is CallerKind.SYSTEM:
        return None
    told = caller.told.get(route.scope, {})
    if all(told.get(name) is True for name in route.terms.requires):
        return None
    return FactMissing(str(route), facts=tuple(sorted(route.terms.requires)))


def _open(route: Route, _: Caller, here: Circumstances) -> CallRefusal | None:
    opening = route.terms.opening
    if opening is None or opening.at(here.now):
        return None
    again = opening.opens_after(here.now)
    return RouteClosed(str(route), seconds=None if again is None else int((again - here.now).total_seconds()) + 1)


def _content_type(route: Route, _: Caller, here: Circumstances) -> CallRefusal | None:
    allowed = route.terms.content_types
    if not allowed or here.content_type is None or here.content_type in allowed:
        return None
    return ContentTypeNotAllowed(str(route), types=tuple(sorted(allowed)))


def _length(route: Route, _: Caller, here: Circumstances) -> CallRefusal | None:
    limit = body_limit(route, here.limit)
    return BodyTooLarge(f"more than {limit} bytes announced") if (here.length or 0) > limit else None


Rule = Callable[[Route, Caller, Circumstances], CallRefusal | None]

DECISION: tuple[Rule, ...] = (
    _kind,
    _member,
    _scope,
    _identity,
    _authentication,
    _required,
    _open,
    _content_type,
    _length,
)
"""Who it is comes before what they want, so that nobody learns of a route's terms who could never use it."""


def assertion_claims(
    caller: Caller,
    match: Match,
    api_service: ApiService,
    identifiers: Identifiers,
    *,
    issuer: str,
    now: datetime,
    request_id: str,
) -> dict[str, Any]:
    """The claims of the identity assertion that goes upstream with one call (RFC 7519 §4.1).

    `sub` is what the person is called towards this regional service alone, on some routes only in one context of it
    (which `context` says), and absent where the route shows nobody; `attributes` is what services behind the route's
    scope are told of the person; `jti` is the call's own `request_id`, which must be
    the gateway's and unique. Raises `UnknownKeyError`.
    """
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": api_service.audience,
        **_subject(caller, match, api_service, identifiers),
        "iat": issued_at,
        "exp": issued_at + int(ASSERTION_LIFETIME.total_seconds()),
        "jti": request_id,
        "caller": caller.kind.value,
        **({} if caller.kind is CallerKind.SYSTEM else {"acr": acr_uri(caller.assurance.identity)}),
        "municipality": caller.municipality,
        "client_id": caller.client,
        **({} if not caller.actors else {"act": chain(caller.actors)}),
        **_told(caller, match.route),
        **_exchange(caller, api_service, identifiers),
    }


def _told(caller: Caller, route: Route) -> dict[str, Any]:
    """What the person agreed that services behind this scope learn, in the words of its own map."""
    told = caller.told.get(route.scope)
    return {"attributes": dict(told)} if told else {}


def _exchange(caller: Caller, api_service: ApiService, identifiers: Identifiers) -> dict[str, str]:
    """What a service may exchange for a token of its own, if it is one that may (`federation.oidc.exchange`)."""
    if api_service.entity_id is None or caller.person is None:
        return {}
    return {SEALED: seal_call(caller, api_service.entity_id, identifiers)}


def _subject(caller: Caller, match: Match, api_service: ApiService, identifiers: Identifiers) -> dict[str, str]:
    """Whom the service sees, and by which consent: both named for this service alone, or for one context of it.

    The consent's own id would be the same everywhere, and so would lead from one name of a person to another.
    """
    sector = f"urn:kakehashi:api-service:{api_service.id}"
    if caller.person is None or caller.key is None or match.route.subject is Subject.NONE:
        return {}
    within: tuple[str, ...] = ()
    if match.route.subject is Subject.CONTEXT:
        within = match.context
        named = {
            "sub": identifiers.pseudonym(caller.person, sector, *within, key=caller.key),
            "context": match.spoken_context,
        }
    else:
        named = {"sub": identifiers.pairwise(caller.person, sector, caller.key)}
    if caller.consent is not None:
        told = ("consent", caller.consent, *within)
        named["consent"] = identifiers.pseudonym(caller.person, sector, *told, key=caller.key)
    return named


# --- headers. Names are compared in lower case with every sign as "-": many servers do not tell "_" from it,
# and some, which make variables of names, no sign at all.

_HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1, and what old clients send beside it
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Whatever says who calls, and whatever would show a service another call than the one that was decided on.
_NOT_FORWARDED = _HOP_BY_HOP | {
    "authorization",  # the gateway's token is not the service's
    "cf-connecting-ip",
    "content-length",  # whoever sends the body says how long it is
    "cookie",
    "cookie2",
    "expect",  # answered by the gateway itself (RFC 9110 §10.1.1)
    "fastly-client-ip",
    "forwarded",
    "host",  # the service's own
    "http2-settings",
    "method-override",
    "proxy",  # becomes HTTP_PROXY in CGI
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-email",
    "x-groups",
    "x-http-method",
    "x-login",
    "x-real-ip",
    "x-request-id",  # the gateway's is the one that logs can be joined by
    "x-rewrite-url",
}
_NOT_FORWARDED_PREFIXES = (
    "cf-access-",
    "client-cert",  # RFC 9440
    "iv-",
    "kakehashi-",
    "oidc-",
    "remote-",
    "shib-",
    "sm-",
    "ssl-client-",
    "tailscale-",
    "x-amzn-oidc-",
    "x-anonymous-consumer",
    "x-apigateway-",
    "x-appengine-",
    "x-arr-",
    "x-auth-",
    "x-authenticated-",
    "x-authentik-",
    "x-client-cert",
    "x-client-dn",
    "x-consumer-",
    "x-credential-",
    "x-endpoint-api-",
    "x-forwarded",
    "x-goog-",
    "x-http-method-override",
    "x-jwt-assertion",
    "x-kakehashi-",
    "x-method-override",
    "x-ms-client-principal",
    "x-original-",
    "x-pomerium-",
    "x-proxy-",
    "x-remote-",
    "x-ssl-",
    "x-user",
    "x-verified-",
    "x-vouch-",
    "x-webauth-",
)
# What the gateway signs, answers for or sends itself: a name that only looks like it would stand beside it.
_ONE_SPELLING = frozenset(
    {
        *("content-digest", "content-encoding", "content-type", "idempotency-key", "signature", "signature-input"),
        *("traceparent", "tracestate", "via"),
    }
)
_NOT_RETURNED = _HOP_BY_HOP | {
    "accept-ch",
    "alt-svc",  # would lead clients around the gateway
    "clear-site-data",
    "content-security-policy",  # set below
    "content-security-policy-report-only",
    "critical-ch",
    "expect-ct",
    "nel",  # browsers would report every address asked of the gateway, codes and states in it, to the service
    "origin-agent-cluster",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",  # services and the gateway's pages share an origin
    "set-cookie2",
    "set-login",
    "strict-transport-security",
    "x-accel-charset",  # what proxies in front obey
    "x-accel-expires",
    "x-accel-limit-rate",
    "x-accel-redirect",
    "x-content-type-options",  # set below
    "x-lighttpd-send-file",
    "x-reproxy-url",
    "x-sendfile",
}
_NOT_RETURNED_PREFIXES = ("kakehashi-", "x-kakehashi-")
# RFC 9110 §6.5.1: what frames, routes or judges a message, or says how to read its content, comes before the content.
_NOT_TRAILING = frozenset(
    {
        "age",
        "allow",
        "authentication-info",
        "authorization",
        "cache-control",
        "cookie",
        "date",
        "expect",
        "expires",
        "host",
        "location",
        "max-forwards",
        "pragma",
        "range",
        "referrer-policy",
        "retry-after",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "x-frame-options",
    }
)
_NOT_TRAILING_PREFIXES = ("accept-", "access-control-", "content-", "cross-origin-", "if-", "sec-")
_TRAILING = frozenset({"content-digest"})  # RFC 9530 §2: known when the content is over
_NOT_TRAILING_CALLS = frozenset(
    {"dpop", "idempotency-key", "origin", "referer", "signature", "signature-input", "user-agent"}
)
"""What the gateway acts on, or a service decides by, in front of a call."""
_RETURNED_TOO = (
    # What a service answers must not act as a page of the gateway's origin, where people sign in and consent.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("X-Content-Type-Options", "nosniff"),
)


def forward_headers(headers: Iterable[tuple[str, str]], assertion: str, request_id: str) -> Headers:
    """The headers that go upstream: the client's, without what concerns one connection or claims an identity.

    `Kakehashi-Assertion` and `Kakehashi-Request-Id` are the gateway's own. `Via` is added (RFC 9110 §7.6.3).
    """
    kept = _without(headers, _forwarded)
    return [
        *kept,
        ("Via", "1.1 kakehashi"),
        ("Kakehashi-Assertion", assertion),
        ("Kakehashi-Request-Id", request_id),
    ]


def response_headers(headers: Iterable[tuple[str, str]], request_id: str | None = None) -> Headers:
    """The headers that go back: the service's, without what concerns one connection or the origin.

    Content codings stay, so the body must be passed on as it came.
    """
    kept = _without(headers, _returned)
    own = [] if request_id is None else [("Kakehashi-Request-Id", request_id)]
    return [*kept, *_RETURNED_TOO, *own]


def response_trailers(trailers: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]]) -> Headers:
    """The trailers of an answer with these headers that go back: nothing that belongs before the content."""
    connection = [header for header in headers if _folded(header[0]) == "connection"]
    return _without([*connection, *trailers], _trailing)


def request_trailers(trailers: Iterable[tuple[str, str]], headers: Iterable[tuple[str, str]]) -> Headers:
    """The trailers of a call with these headers that go upstream: nothing that belongs before the content."""
    connection = [header for header in headers if _folded(header[0]) == "connection"]
    return _without([*connection, *trailers], _trailing_call)


@lru_cache(MOST_NAMES)
def _forwarded(name: str) -> str | None:
    """The name folded, or None if no header that is called so may go upstream."""
    key = _folded(name)
    if key.strip("-") in _ONE_SPELLING and name.lower() not in _ONE_SPELLING:
        return None
    return None if key in _NOT_FORWARDED or key.startswith(_NOT_FORWARDED_PREFIXES) else key


@lru_cache(MOST_NAMES)
def _returned(name: str) -> str | None:
    """The name folded, or None if no header that is called so may come back."""
    key = _folded(name)
    if key in _NOT_RETURNED or key.startswith(_NOT_RETURNED_PREFIXES):
        return None
    if key == "content-length" and name.lower() != key:  # in another spelling, another length
        return None
    return key


@lru_cache(MOST_NAMES)
def _trailing(name: str) -> str | None:
    """The name folded, or None if no trailer that is called so may come back."""
    return _after_content(_returned(name))


@lru_cache(MOST_NAMES)
def _trailing_call(name: str) -> str | None:
    """The name folded, or None if no trailer that is called so may go upstream."""
    key = _after_content(_forwarded(name))
    return None if key in _NOT_TRAILING_CALLS else key


def _after_content(key: str | None) -> str | None:
    if key is None or key in _TRAILING:
        return key
    return None if key in _NOT_TRAILING or key.startswith(_NOT_TRAILING_PREFIXES) else key


def _without(headers: Iterable[tuple[str, str]], passes: Callable[[str], str | None]) -> Headers:
    """The headers that may pass that way, without the names that a Connection header lists."""
    listed: set[str] = set()
    kept: Headers = []
    for header in headers:
        name, value = header
        if passes(name) is not None:
            kept.append(header)
        elif value and _folded(name) == "connection":
            listed |= {_folded(option.strip()) for option in value.split(",")}
    if not listed:
        return kept
    return [header for header in kept if passes(header[0]) not in listed]


@lru_cache(MOST_NAMES)
def _folded(name: str) -> str:
    return _SIGN.sub("-", name.lower())


# --- refusals of calls


def www_authenticate(refusal: Refusal, *, bound: bool = False, realm: str = "kakehashi") -> str | None:
    """The challenge that goes with the refusal (RFC 6750 §3, RFC 9470 §3), or None if no token would help.

    `bound`: the token came under the scheme of those that are bound to a key, which asks in its turn (RFC 9449 §7.1).
    Without a token the challenge has no error code (RFC 6750 §3.1). A low assurance is a 403 with RFC 9470's
    challenge, as the region's contract says, where that RFC has 401.
    """
    if isinstance(refusal, TokenMissing):
        return _challenge(realm=realm)
    if not isinstance(refusal, CallRefusal) or refusal.challenge is None:
        return None
    said = {"realm": realm, "error": refusal.challenge, "error_description": refusal.title, **_wanted(refusal)}
    if bound or isinstance(refusal, ProofInvalid) or (isinstance(refusal, TokenBound) and refusal.key):
        return _challenge("DPoP", **said, algs=" ".join(ALGORITHMS))
    return _challenge(**said)


def problem(
    refusal: Refusal, *, request_id: str, instance: str | None = None, bound: bool = False
) -> tuple[int, Headers, bytes]:
    """The refusal of a call as problem JSON (RFC 9457): status, headers, body; `bound` as for `www_authenticate`.

    Only fixed texts, what the caller needs to do better (`scope`, `acr_values`), and the reference of the
    log's detail.
    """
    body = {
        "type": f"urn:kakehashi:problem:{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.advice,
        "code": refusal.code,
        "request_id": request_id,
        **({} if instance is None else {"instance": instance}),
        **_wanted(refusal),
    }
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Language", "en"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Kakehashi-Request-Id", request_id),
    ]
    if (challenge := www_authenticate(refusal, bound=bound)) is not None:
        headers.append(("WWW-Authenticate", challenge))
    if isinstance(refusal, MethodNotAllowed):
        headers.append(("Allow", ", ".join(sorted(refusal.allow))))
    if isinstance(refusal, ContentTypeNotAllowed):
        headers.append(("Accept", ", ".join(refusal.types)))  # RFC 9110 §15.5.16
    if isinstance(refusal, CallRefusal) and refusal.retry_after is not None:
        headers.append(("Retry-After", str(refusal.retry_after)))
    return refusal.status, headers, json.dumps(body).encode()


def _wanted(refusal: Refusal) -> dict[str, str]:
    """What the caller lacks or must mend, where the refusal says it."""
    if isinstance(refusal, ScopeMissing) and refusal.scope:
        return {"scope": refusal.scope}
    if isinstance(refusal, CallAssuranceTooLow) and refusal.acr:
        return {"acr_values": refusal.acr}
    if isinstance(refusal, FactMissing) and refusal.facts:
        return {"facts": " ".join(refusal.facts)}
    if isinstance(refusal, CouncilRequestMalformed):
        return {"where": refusal.where, "expected": refusal.expected, "do": refusal.do}
    return {}


def _challenge(scheme: str = "Bearer", **parameters: str) -> str:
    """A challenge; the values are fixed texts and configured names, without quotes or backslashes."""
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
