"""The council's endpoints in the words of OpenAPI 3.1: paths and schemas for the gateway's description of itself."""

from collections.abc import Mapping
from typing import Any, Final

from federation.council.answers import REFUSALS, ROAD, Outcome, Signed
from federation.council.asking import SCOPE
from federation.council.question import (
    DEADLINE_SECONDS,
    LONGEST_PATH,
    LONGEST_PURPOSE,
    MOST_TYPES,
    TARGET_SECONDS,
    Interrupted,
    Signatures,
)
from federation.council.told import MULTIPART, NDJSON, WHOLE
from federation.refusal import (
    BodyTooLarge,
    CallerNotAllowed,
    CallForbiddenContent,
    CallNotInspectable,
    CallRefusal,
    CallUnavailable,
    ContentTypeNotAllowed,
    CouncilRequestMalformed,
    CouncilRequestOpen,
    CouncilRequestsTooMany,
    CouncilRequestUnknown,
    EvidenceNotKept,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    MethodNotAllowed,
    NoRoute,
    NotAMember,
    ProofInvalid,
    QuotaExceeded,
    RouteClosed,
    ScopeMissing,
    TokenBound,
    TokenInvalid,
    TokenMissing,
)
from gateway.describing.parts import refused


def _seconds(bounds: tuple[int, int, int]) -> dict[str, Any]:
    least, most, otherwise = bounds
    return {"type": "integer", "minimum": least, "maximum": most, "default": otherwise}


def _words(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": [*map(str, words)]}


_CODE: Final = {"type": "string", "pattern": "^[0-9]{6}$"}
_CODES: Final = {"type": "array", "items": _CODE, "minItems": 1, "uniqueItems": True}
_TYPE: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$"}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": [*required], "properties": properties}


def _of(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _streams(description: str, schema: str) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    return {"description": description, "content": {WHOLE: {"schema": _of(schema)}, NDJSON: text, MULTIPART: text}}


_CALLER: Final = (
    TokenMissing,
    TokenInvalid,
    TokenBound,
    ProofInvalid,
    CallerNotAllowed,
    ScopeMissing,
    NotAMember,
    CallUnavailable,
)
_BODY: Final = (CouncilRequestMalformed, ContentTypeNotAllowed, BodyTooLarge, EvidenceNotKept)
_SERVICE: Final = (NoRoute, MethodNotAllowed, RouteClosed, QuotaExceeded)
"""What a question to one shared service may be refused with besides, as a call of it."""


_KEYS: Final = (IdempotencyKeyInvalid, IdempotencyKeyReused)


def _refusals(*kinds: type[CallRefusal]) -> dict[str, Any]:
    return refused((*_CALLER, *kinds))


_SECURITY: Final = [{"systems": [SCOPE]}]
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
}
_KEY: Final = {"$ref": "#/components/parameters/IdempotencyKey"}
_AFTER: Final = {
    "name": "after",
    "in": "query",
    "required": False,
    "description": "How many answers the reader has: the last `number` that came.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,6}$", "default": "0"},
}

PATHS: Final[Mapping[str, Any]] = {
    "/council/requests": {
        "post": {
            "operationId": "askCouncil",
            "summary": "Put a question to members of the council, or to one shared service.",
            "security": _SECURITY,
            "parameters": [_KEY],
            "requestBody": {"required": True, "content": {WHOLE: {"schema": _of("CouncilQuestion")}}},
            "responses": {
                "201": {"description": "Accepted, on disk.", "content": {WHOLE: {"schema": _of("CouncilRequest")}}},
                "200": _streams("The answers as they come, by `Accept`.", "CouncilRequest"),
                **_refusals(
                    *_BODY, *_SERVICE, *_KEYS, CallForbiddenContent, CallNotInspectable, CouncilRequestsTooMany
                ),
            },
        },
        "get": {
            "operationId": "listCouncilRequests",
            "summary": "The municipality's own requests, the newest first.",
            "security": _SECURITY,
            "responses": {
                "200": {
                    "description": "The list.",
                    "content": {
                        WHOLE: {
                            "schema": _object(("requests",), requests={"type": "array", "items": _of("CouncilRequest")})
                        }
                    },
                },
                **_refusals(),
            },
        },
    },
    "/council/requests/{id}": {
        "parameters": [_ID],
        "get": {
            "operationId": "readCouncilRequest",
            "summary": "All of a request, or what comes after some answers.",
            "security": _SECURITY,
            "parameters": [_AFTER],
            "responses": {
                "200": _streams("The request with its answers.", "CouncilRequest"),
                **_refusals(CouncilRequestMalformed, CouncilRequestUnknown, CouncilRequestsTooMany),
            },
        },
    },
    "/council/requests/{id}/repeat": {
        "parameters": [_ID],
        "post": {
            "operationId": "repeatCouncilRequest",
            "summary": "Ask those again who have not answered.",
            "security": _SECURITY,
            "requestBody": {"required": False, "content": {WHOLE: {"schema": _of("CouncilRepeat")}}},
            "responses": {
                "201": {"description": "Accepted, on disk.", "content": {WHOLE: {"schema": _of("CouncilRequest")}}},
                "200": _streams("The new round's answers as they come, by `Accept`.", "CouncilRequest"),
                **_refusals(*_BODY, *_SERVICE, CouncilRequestUnknown, CouncilRequestOpen, CouncilRequestsTooMany),
            },
        },
    },
    "/council/requests/{id}/cancel": {
        "parameters": [_ID],
        "post": {
            "operationId": "cancelCouncilRequest",
            "summary": "Ask nobody else.",
            "security": _SECURITY,
            "responses": {
                "202": {"description": "How far it was.", "content": {WHOLE: {"schema": _of("CouncilRequest")}}},
                **_refusals(CouncilRequestUnknown),
            },
        },
    },
}

SCHEMAS: Final[Mapping[str, Any]] = {
    "CouncilQuestion": _object(
        ("to", "question", "purpose"),
        to={
            "oneOf": [
                {"const": "all"},
                _object(("prefecture",), prefecture={"type": "string", "pattern": "^(0[1-9]|[1-3][0-9]|4[0-7])$"}),
                _object(("members",), members=_CODES),
                _object(("service",), service={"type": "string"}),
            ]
        },
        question=_object(
            ("method", "path"),
            method=_words("GET", "POST"),
            path={"type": "string", "pattern": "^/", "maxLength": LONGEST_PATH},
            accept={"type": "array", "items": _TYPE, "minItems": 1, "maxItems": MOST_TYPES},
            content_type=_TYPE,
            json={},
            base64={"type": "string", "contentEncoding": "base64"},
        ),
        purpose={"type": "string", "minLength": 1, "maxLength": LONGEST_PURPOSE},
        deadline_seconds=_seconds(DEADLINE_SECONDS),
        per_target_seconds=_seconds(TARGET_SECONDS),
        interrupted=_words(*Interrupted),
        signatures=_words(*Signatures),
    ),
    "CouncilRepeat": _object((), members=_CODES, deadline_seconds=_seconds(DEADLINE_SECONDS)),
    "CouncilRequest": {
        "type": "object",
        "required": ["id", "municipality", "client_id", "purpose", "to", "begun", "until", "round", "targets"],
        "properties": {
            "id": {"type": "string"},
            "municipality": _CODE,
            "state": _words("open", "ended"),
            "members": {"type": "array", "items": _of("CouncilAnswer")},
            "waiting": {"type": "array", "items": {"type": "string"}},
            **{str(outcome): {"type": "integer"} for outcome in Outcome},
        },
    },
    "CouncilAnswer": {
        "type": "object",
        "required": ["number", "outcome", "may_have_arrived", "round", "at"],
        "properties": {
            "number": {"type": "integer", "minimum": 1},
            "municipality": _CODE,
            "service": {"type": "string"},
            "outcome": _words(*Outcome),
            "reason": _words(*REFUSALS, *ROAD, "slow", "deadline", "cancelled"),
            "may_have_arrived": {"type": "boolean"},
            "status": {"type": "integer"},
            "signature": _words(*Signed),
            "json": {},
            "text": {"type": "string"},
            "base64": {"type": "string"},
        },
    },
}
"""`Problem` and the security scheme `systems` are the whole description's."""
