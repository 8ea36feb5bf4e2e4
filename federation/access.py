"""Who may make which call, and what goes with it.

The token is verified elsewhere; here its `Caller` meets the route's requirements. What a client or a
service says about identity in headers counts for nothing: such headers are dropped on the way in, and the
gateway's own signed assertion takes their place.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from federation.assurance import acr_uri
from federation.callers import Caller
from federation.identifiers import Identifiers
from federation.refusal import (
    CallAssuranceTooLow,
    CallRefusal,
    MethodNotAllowed,
    Refusal,
    ScopeMissing,
    TokenMissing,
)
from federation.routes import AmbiguousRoutes, ApiService, Match, Route, RouteTable, Subject

__all__ = [
    "ASSERTION_LIFETIME",
    "AmbiguousRoutes",
    "ApiService",
    "Match",
    "Route",
    "RouteTable",
    "assertion_claims",
    "decide",
    "forward_headers",
    "problem",
    "response_headers",
    "www_authenticate",
]

ASSERTION_LIFETIME = timedelta(seconds=60)

Headers = list[tuple[str, str]]

_SIGN = re.compile("[^a-z0-9]")


def decide(route: Route, caller: Caller) -> None:
    """Answer nothing if the caller may. Raises `ScopeMissing`, `CallAssuranceTooLow`."""
    checks: tuple[tuple[bool, Callable[[], Refusal]], ...] = (
        (
            route.scope in caller.scopes,
            lambda: ScopeMissing(f"{caller.client}: {route} needs {route.scope}", scope=route.scope),
        ),
        (
            caller.assurance.identity >= route.minimum,
            lambda: CallAssuranceTooLow(
                f"{route} needs identity {int(route.minimum)}, came {int(caller.assurance.identity)}",
                acr=acr_uri(route.minimum),
            ),
        ),
    )
    for passed, refusal in checks:
        if not passed:
            raise refusal()


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
    (which `context` says), and absent where the route shows nobody; `jti` is the call's own `request_id`, which must be
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
        "acr": acr_uri(caller.assurance.identity),
        "municipality": caller.municipality,
        "client_id": caller.client,
    }


def _subject(caller: Caller, match: Match, api_service: ApiService, identifiers: Identifiers) -> dict[str, str]:
    sector = f"urn:kakehashi:api-service:{api_service.id}"
    if caller.person is None or caller.key is None:
        return {}
    match match.route.subject:
        case Subject.NONE:
            return {}
        case Subject.CONTEXT:
            named = identifiers.pseudonym(caller.person, sector, *match.context, key=caller.key)
            return {"sub": named, "context": match.spoken_context}
    return {"sub": identifiers.pairwise(caller.person, sector, caller.key)}


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
    "cookie",
    "cookie2",
    "expect",  # answered by the gateway itself (RFC 9110 §10.1.1)
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
    "x-real-ip",
    "x-request-id",  # the gateway's is the one that logs can be joined by
    "x-rewrite-url",
}
_NOT_FORWARDED_PREFIXES = (
    "cf-access-",
    "client-cert",  # RFC 9440
    "kakehashi-",
    "oidc-",
    "remote-",
    "shib-",
    "ssl-client-",
    "x-amzn-oidc-",
    "x-auth-",
    "x-authenticated-",
    "x-client-cert",
    "x-consumer-",
    "x-forwarded-",
    "x-goog-",
    "x-http-method-override",
    "x-kakehashi-",
    "x-method-override",
    "x-ms-client-principal",
    "x-original-",
    "x-proxy-",
    "x-remote-",
    "x-ssl-",
    "x-user",
    "x-webauth-",
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
    "strict-transport-security",
    "x-content-type-options",  # set below
}
_NOT_RETURNED_PREFIXES = ("kakehashi-", "x-kakehashi-")
_RETURNED_TOO = (
    # What a service answers must not act as a page of the gateway's origin, where people sign in and consent.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("X-Content-Type-Options", "nosniff"),
)


def forward_headers(headers: Iterable[tuple[str, str]], assertion: str, request_id: str) -> Headers:
    """The headers that go upstream: the client's, without what concerns one connection or claims an identity.

    `Kakehashi-Assertion` and `Kakehashi-Request-Id` are the gateway's own. `Via` is added (RFC 9110 §7.6.3).
    """
    kept = _without(headers, _NOT_FORWARDED, _NOT_FORWARDED_PREFIXES)
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
    kept = _without(headers, _NOT_RETURNED, _NOT_RETURNED_PREFIXES)
    own = [] if request_id is None else [("Kakehashi-Request-Id", request_id)]
    return [*kept, *_RETURNED_TOO, *own]


def _without(headers: Iterable[tuple[str, str]], names: frozenset[str], prefixes: tuple[str, ...]) -> Headers:
    """The headers but for `names`, `prefixes`, and the names that a Connection header lists."""
    folded = [(_folded(name), name, value) for name, value in headers]
    listed = {
        _folded(option.strip()) for name, _, value in folded if name == "connection" for option in value.split(",")
    }
    return [
        (name, value)
        for key, name, value in folded
        if key not in names
        and key not in listed
        and not key.startswith(prefixes)
        and (key != "content-length" or name.lower() == key)  # in another spelling, another length
    ]


def _folded(name: str) -> str:
    return _SIGN.sub("-", name.lower())


# --- refusals of calls


def www_authenticate(refusal: Refusal, *, realm: str = "kakehashi") -> str | None:
    """The challenge that goes with the refusal (RFC 6750 §3, RFC 9470 §3), or None if no token would help.

    Without a token the challenge has no error code (RFC 6750 §3.1). A low assurance is a 403 with RFC 9470's
    challenge, as the region's contract says, where that RFC has 401.
    """
    if isinstance(refusal, TokenMissing):
        return _challenge(realm=realm)
    if not isinstance(refusal, CallRefusal) or refusal.challenge is None:
        return None
    return _challenge(realm=realm, error=refusal.challenge, error_description=refusal.title, **_wanted(refusal))


def problem(refusal: Refusal, *, request_id: str, instance: str | None = None) -> tuple[int, Headers, bytes]:
    """The refusal of a call as problem JSON (RFC 9457): status, headers, body.

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
    if (challenge := www_authenticate(refusal)) is not None:
        headers.append(("WWW-Authenticate", challenge))
    if isinstance(refusal, MethodNotAllowed):
        headers.append(("Allow", ", ".join(sorted(refusal.allow))))
    return refusal.status, headers, json.dumps(body).encode()


def _wanted(refusal: Refusal) -> dict[str, str]:
    """What the caller lacks, where the refusal says it."""
    if isinstance(refusal, ScopeMissing) and refusal.scope:
        return {"scope": refusal.scope}
    if isinstance(refusal, CallAssuranceTooLow) and refusal.acr:
        return {"acr_values": refusal.acr}
    return {}


def _challenge(**parameters: str) -> str:
    """A Bearer challenge; the values are fixed texts and configured names, without quotes or backslashes."""
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
