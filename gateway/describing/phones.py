"""The endpoints of the app on a resident's phone: signed requests that it fetches, and answers that it posts."""

from collections.abc import Mapping
from typing import Any, Final

from federation.certificate import container, model, timestamp, transaction
from federation.refusal import Unavailable
from gateway.describing.parts import FORM, JSON, Described, answers, errors, reference
from gateway.region import Region

REQUEST: Final = "application/oauth-authz-req+jwt"

_TEXT: Final = {"type": "string"}
_NOT_STAMPED: Final = sorted({*timestamp.CODES, *container.CODES})
_OVER: Final = errors({404: ["invalid_request_uri"], Unavailable.status: [Unavailable.oauth_error]})
_REFUSED: Final[Mapping[int, str]] = {
    400: "The answer cannot be read or does not hold, or there is no such request (any more).",
    403: "The answer is believed and does not count, or a page of a browser sent it.",
    413: "The answer is too large.",
}


def phones(region: Region) -> Described:
    """What the app does at a sign-in, and to sign a text, as far as there are certificates in this region."""
    if not any(each.certificates is not None for each in region.configuration.id_systems.values()):
        return {}
    found: Described = {
        "/certificate/requests/{reference}": _request("readSignInRequest", "The request to sign in, signed."),
        "/certificate/answers": {"post": _answers("answerSignIn", "Sign in with a certificate.", "SignInAnswer")},
    }
    if region.configuration.timestamp is not None:
        signed = _answers("answerSigning", "Sign the text that the request shows.", "SigningAnswer")
        signed["responses"][str(Unavailable.status)] = answers(
            "The time of signing could not be certified, or the store does not answer: try again.",
            JSON,
            reference("NotStamped"),
        )
        found["/signing/objects/{reference}"] = _request("readSigningRequest", "The request to sign a text, signed.")
        found[transaction.ANSWERS] = {"post": signed}
    return found


def _request(name: str, summary: str) -> Described:
    handle = {"name": "reference", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    told = "A JWT of type oauth-authz-req+jwt (RFC 9101), by a key of /certificate/jwks, until it is answered."
    get = {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {"200": answers(told, REQUEST, _TEXT), **_OVER},
    }
    return {"parameters": [handle], "get": get}


def _answers(name: str, summary: str, form: str) -> Described:
    return {
        "operationId": name,
        "summary": summary,
        "description": "By direct post (OpenID4VP §8.2); what the request says is what counts. No page may post here.",
        "security": [],
        "requestBody": {"required": True, "content": {FORM: {"schema": reference(form)}}},
        "responses": {
            "200": answers("How the person goes on.", JSON, reference("PhoneAnswered")),
            **{str(status): answers(why, JSON, reference("AnswerRefused")) for status, why in _REFUSED.items()},
            **errors({Unavailable.status: [Unavailable.oauth_error]}),
        },
    }


def _form(**more: str) -> Described:
    fields = {
        "state": "The request's `state`.",
        "response": "A JWS in compact form with `x5c`, over the request.",
        "cms": "CMS SignedData in base64, in the place of `response`.",
        "error": "In the place of both: `access_denied` if the person declined.",
        **more,
    }
    ways = [{"required": [name]} for name in ("response", "cms", "error")]
    return {
        "type": "object",
        "required": ["state"],
        "oneOf": ways,
        "properties": {name: {**_TEXT, "minLength": 1, "description": said} for name, said in fields.items()},
    }


def _refused(codes: list[str], *named: str) -> Described:
    properties = {"error": {"enum": [*named]}, "code": {"enum": codes}}
    return {"allOf": [reference("Error"), {"properties": properties}]}


SCHEMAS: Final[Mapping[str, Any]] = {
    "SignInAnswer": _form(attributes="An attribute certificate with what the person discloses of it."),
    "SigningAnswer": _form(),
    "PhoneAnswered": {
        "description": "A code that the person types into the browser that began, or an address that the app opens; "
        "neither where a declined request of a QR code needs nothing more.",
        "type": "object",
        "properties": {
            "confirmation_code": {**_TEXT, "pattern": "^[0-9]{6}$"},
            "expires_in": {"type": "integer", "description": "Seconds in which the code counts."},
            "redirect_uri": {**_TEXT, "format": "uri"},
        },
    },
    "AnswerRefused": {
        "description": "Why an answer did not count: `code` says it to whoever makes the app.",
        **_refused(sorted({*model.CODES, "authority-withdrawn"}), "invalid_request", "access_denied"),
    },
    "NotStamped": _refused(_NOT_STAMPED, Unavailable.oauth_error),
}
