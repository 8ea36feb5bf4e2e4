"""The calls that the gateway carries to shared services: what a caller must know of each route, and no more.

Who a route is for, at what hours, for which content and how often, callers learn by its refusals once they may know;
here stand only their codes. Where a service is, and what it is called there, stands nowhere.
"""

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from federation.assurance import acr_uri
from federation.callers import CallerKind
from federation.guard import Outcome
from federation.model import Level, Texts
from federation.refusal import (
    AnswerForbiddenContent,
    AnswerNotInspectable,
    AnswerSignatureInvalid,
    BodyTooLarge,
    CallAssuranceTooLow,
    CallerNotAllowed,
    CallForbiddenContent,
    CallNotInspectable,
    CallRefusal,
    CallUnavailable,
    ConsentWithdrawn,
    ContentDigestWrong,
    ContentTypeNotAllowed,
    EvidenceNotKept,
    FactMissing,
    IdempotencyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    IdempotencyUnknown,
    NoRoute,
    NotAMember,
    ProofInvalid,
    QuotaExceeded,
    RouteClosed,
    ScopeMissing,
    TokenBound,
    TokenInvalid,
    TokenMissing,
    UpstreamBusy,
    UpstreamTooSlow,
    UpstreamUnreachable,
)
from federation.routes import ApiService, Inspected, Route
from federation.signatures.calls import Demand
from federation.terms import Idempotency, Membership
from gateway.config import Configuration
from gateway.describing.parts import ANYTHING, Described, answers, reference, refused

BODIES: Final = frozenset({"PUT", "POST", "PATCH"})

READING: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 §9.2.1."""

OPEN: Final = {CallerKind.PERSON: "people", CallerKind.SYSTEM: "systems"}
"""The security scheme of each kind of caller."""

REST: Final = "rest"
_NAME: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_WORD: Final = re.compile("[A-Za-z0-9_]+")


# --- which refusals a route has

When = Callable[[Route, ApiService, str], bool]


def _always(_route: Route, _service: ApiService, _method: str) -> bool:
    return True


def _named(route: Route, _service: ApiService, _method: str) -> bool:
    return _template(route.path) != route.path or bool(_NAME.search(route.path))


def _people(route: Route, _service: ApiService, _method: str) -> bool:
    return CallerKind.PERSON in route.terms.callers


def _not_all(route: Route, _service: ApiService, _method: str) -> bool:
    return route.terms.callers != frozenset(CallerKind)


def _levels(route: Route, service: ApiService, method: str) -> bool:
    wanted = max(route.minimum, route.minimum_authentication) > Level.NONE
    return wanted and _people(route, service, method)


def _keys(route: Route, _service: ApiService, method: str) -> bool:
    return route.terms.idempotency is not Idempotency.NONE and method not in READING


def _refuses(way: Callable[[Inspected], Outcome | None]) -> When:
    return lambda route, _service, _method: route.guard is not None and way(route.guard) is Outcome.REFUSE


REFUSALS: Final[tuple[tuple[type[CallRefusal], When], ...]] = (
    (NoRoute, _named),
    (TokenMissing, _always),
    (TokenInvalid, _always),
    (ConsentWithdrawn, _people),
    (TokenBound, _always),
    (ProofInvalid, _always),
    (CallerNotAllowed, _not_all),
    (NotAMember, lambda route, _service, _method: route.terms.members is not Membership.REGION),
    (ScopeMissing, _always),
    (CallAssuranceTooLow, _levels),
    (FactMissing, lambda route, _service, _method: bool(route.terms.requires)),
    (RouteClosed, lambda route, _service, _method: route.terms.opening is not None),
    (ContentTypeNotAllowed, lambda route, _service, _method: bool(route.terms.content_types)),
    (BodyTooLarge, _always),
    (
        QuotaExceeded,
        lambda route, _service, method: bool(
            route.terms.quotas.person or route.terms.quotas.municipality or (route.terms.websocket and method == "GET")
        ),
    ),
    (
        IdempotencyKeyMissing,
        lambda route, service, method: (
            _keys(route, service, method) and route.terms.idempotency is Idempotency.REQUIRED
        ),
    ),
    (IdempotencyKeyInvalid, _keys),
    (IdempotencyKeyReused, _keys),
    (IdempotencyInFlight, _keys),
    (IdempotencyUnknown, _keys),
    (CallForbiddenContent, _refuses(lambda guard: guard.request)),
    (CallNotInspectable, _refuses(lambda guard: guard.request)),
    (AnswerForbiddenContent, _refuses(lambda guard: guard.response)),
    (AnswerNotInspectable, _refuses(lambda guard: guard.response)),
    (ContentDigestWrong, _always),
    (AnswerSignatureInvalid, lambda _route, service, _method: service.answers is not Demand.NONE),
    (UpstreamUnreachable, _always),
    (UpstreamTooSlow, _always),
    (UpstreamBusy, _always),
    (EvidenceNotKept, _always),
    (CallUnavailable, _always),
)
"""Every refusal of a call, and of which calls."""


# --- paths


def _template(path: str) -> str:
    """The path as OpenAPI writes it, which has no word for "whatever follows"."""
    if not path.endswith("/**"):
        return path
    name = REST
    while f"{{{name}}}" in path:
        name += "_"
    return path.removesuffix("**") + f"{{{name}}}"


def paths(configuration: Configuration) -> Described:
    """Every route of the configuration.

    Paths that differ in nothing but the names of their segments are one for OpenAPI (§4.8.8.2), by the first's names.
    """
    found: Described = {}
    spelled: dict[str, str] = {}
    ids: set[str] = set()
    for route in configuration.routes.routes:
        template = _template(route.path)
        path = spelled.setdefault(_NAME.sub("{}", template), template)
        item = found.setdefault(path, {"parameters": _parameters(path, rest=False)} if "{" in path else {})
        if route.path.endswith("/**"):
            item["parameters"] = _parameters(path, rest=True)
        for method in sorted(route.methods):
            operation = item.setdefault(method.lower(), _operation(route, configuration, method))
            operation["operationId"] = _new(
                ids, "-".join(("call", method.lower(), *_WORD.findall(path.removeprefix("/api"))))
            )
    return found


def _new(taken: set[str], wanted: str) -> str:
    """The ID that is wanted, or if another operation has it already, with a number."""
    found = next(each for n in count(1) if (each := wanted if n == 1 else f"{wanted}-{n}") not in taken)
    taken.add(found)
    return found


def _parameters(path: str, *, rest: bool) -> list[Described]:
    names = _NAME.findall(path)
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            **({"description": "One segment or more, slashes as they are."} if rest and name == names[-1] else {}),
        }
        for name in names
    ]


def _operation(route: Route, configuration: Configuration, method: str) -> Described:
    service = configuration.api_services[route.service]
    kinds = [kind for kind, when in REFUSALS if when(route, service, method)]
    keys = _keys(route, service, method)
    label = configuration.scopes.get(route.scope, {})
    return {
        "summary": _told(service.name, label, "ja"),
        "description": _about(route, _told(service.name, label, "en")),
        "tags": [f"service:{service.id}"],
        "security": [{name: [route.scope]} for kind, name in OPEN.items() if kind in route.terms.callers],
        **({"parameters": [reference("IdempotencyKey", within="parameters")]} if keys else {}),
        **({"requestBody": _ANY_BODY} if method in BODIES else {}),
        "responses": {
            **({"101": answers("A WebSocket, if the call asked for one.")} if route.terms.websocket else {}),
            **refused(kinds, others=True),
            "default": answers("The service's own answer, of which the gateway knows nothing.", ANYTHING),
        },
    }


_ANY_BODY: Final = {
    "description": "Whatever the service reads, of which the gateway knows nothing.",
    "required": False,
    "content": {ANYTHING: {}},
}


def _told(name: Texts, label: Texts, language: str) -> str:
    return ": ".join(filter(None, (name.get(language), label.get(language))))


def _about(route: Route, summary: str) -> str:
    said = [f"{summary}.", f"Scope `{route.scope}`."]
    if CallerKind.PERSON in route.terms.callers:
        if route.minimum > Level.NONE:
            said.append(f"People's identity is sure to level {int(route.minimum)} (`{acr_uri(route.minimum)}`).")
        if route.minimum_authentication > Level.NONE:
            said.append(f"People signed in at level {int(route.minimum_authentication)}.")
    said.append("Requests and answers are the service's own.")
    return " ".join(said)


PARAMETERS: Final[Mapping[str, Any]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A new one with every new request, and the same when it is repeated.",
        "schema": {"type": "string", "pattern": '^"[A-Za-z0-9_-]{1,255}"$'},
    }
}
