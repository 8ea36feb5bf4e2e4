"""What descriptions are made of: refusals by their own codes and statuses, OAuth's errors, references."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from federation.oidc.oauth import ERRORS
from federation.refusal import BY_CODE, CallRefusal, QuotaExceeded, RouteClosed, TokenMissing, Unavailable

Described = dict[str, Any]
"""Some part of the document, as JSON has it."""

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
FORM: Final = "application/x-www-form-urlencoded"
HTML: Final = "text/html"
ANYTHING: Final = "*/*"

_TEXT: Final = {"type": "string"}


def reference(name: str, *, within: str = "schemas") -> Described:
    """A component."""
    return {"$ref": f"#/components/{within}/{name}"}


def answers(description: str, media_type: str | None = None, schema: Mapping[str, Any] | None = None) -> Described:
    """One answer, with a body if it has a media type."""
    body = {} if media_type is None else {"content": {media_type: {} if schema is None else {"schema": dict(schema)}}}
    return {"description": description, **body}


def refused(kinds: Iterable[type[CallRefusal]], *, others: bool = False) -> Described:
    """The answers by which these refusals are told, by status.

    `others`: the same status may come from the service behind the gateway, with a body of its own.
    """
    told: dict[int, list[type[CallRefusal]]] = {}
    for kind in kinds:
        told.setdefault(kind.status, []).append(kind)
    return {str(status): _problem(told[status], others=others) for status in sorted(told)}


def _problem(kinds: list[type[CallRefusal]], *, others: bool) -> Described:
    said = "".join(f"\n- `{kind.code}`: {kind.title}. {kind.advice}" for kind in kinds)
    codes = {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}
    content: Described = {PROBLEM: {"schema": {"allOf": [reference("Problem"), codes]}}}
    headers = {}
    if any(kind.challenge is not None or kind is TokenMissing for kind in kinds):
        headers["WWW-Authenticate"] = {
            "description": "What would help (RFC 6750, RFC 9449, RFC 9470).",
            "schema": _TEXT,
        }
    if any(kind.retry_after is not None or kind in {QuotaExceeded, RouteClosed} for kind in kinds):
        headers["Retry-After"] = {"description": "In how many seconds, if that is known.", "schema": _TEXT}
    if others:
        content[ANYTHING] = {}
        said += "\n\nOr the service's own answer."
    return {
        "description": "Refused; `code` says why." + said,
        **({"headers": headers} if headers else {}),
        "content": content,
    }


def oauth_refused(*codes: str) -> Described:
    """The answers by which OAuth's errors are told (RFC 6749 §5.2), by status; all that there are if none is named."""
    told: dict[int, list[str]] = {}
    for code in codes or ERRORS:
        told.setdefault(ERRORS[code], []).append(code)
    told.setdefault(Unavailable.status, []).append(Unavailable.oauth_error)
    return errors(told)


def errors(told: Mapping[int, Iterable[str]]) -> Described:
    """Answers with `error` and `error_description`, by status."""
    found: Described = {}
    for status, codes in sorted(told.items()):
        named = {"properties": {"error": {"enum": [*codes]}}}
        phrase = HTTPStatus(status).phrase
        found[str(status)] = answers(f"{phrase}; `error` says why.", JSON, {"allOf": [reference("Error"), named]})
    return found


SCHEMAS: Final[Mapping[str, Any]] = {
    "Problem": {
        "description": "Why a request was refused (RFC 9457). `request_id` leads to the detail in the gateway's log.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:kakehashi:problem:"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": {"enum": sorted(code for code, kind in BY_CODE.items() if issubclass(kind, CallRefusal))},
            "request_id": _TEXT,
            "instance": _TEXT,
            "scope": {**_TEXT, "description": "The scope that the token lacks."},
            "acr_values": {**_TEXT, "description": "What the person must sign in with (RFC 9470)."},
            "facts": {**_TEXT, "description": "What is not true of whoever calls, or not known."},
            "where": {**_TEXT, "description": "The place in what was sent (RFC 6901)."},
            "expected": _TEXT,
            "do": _TEXT,
        },
    },
    "Error": {
        "description": "Why a request was refused (RFC 6749 §5.2).",
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {"error": _TEXT, "error_description": _TEXT},
    },
}
