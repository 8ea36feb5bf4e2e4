"""OAuth 2.0 as both doors need it: parameters, the token endpoint's errors, HTTP Basic for clients.

Owns the wire forms of RFC 6749 that have nothing to do with a login.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus, urlsplit

from federation.model import Keep
from federation.web import Document

MAX_PARAMETERS = 64
MAX_VALUE = 16 * 1024

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""`client_assertion_type` of a signed assertion (RFC 7523 §2.2)."""

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer with tokens or personal data (RFC 6749 §5.1)."""


ERRORS: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_grant": 400,
    "unauthorized_client": 400,
    "unsupported_grant_type": 400,
    "invalid_scope": 400,
    "invalid_target": 400,
    "invalid_dpop_proof": 400,
    "consent_required": 400,
}
"""The errors that are answered where services and systems ask by themselves, with their HTTP status.

RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 9449 §5; the last is for whoever acts on behalf of a person that did not agree.
"""


class OAuthError(Exception):
    """A refusal at the token endpoint (RFC 6749 §5.2).

    `detail` is a reason code for the log. `keep` is to be put in the store before the answer leaves.
    """

    def __init__(self, code: str, description: str, *, detail: str = "", keep: Keep | None = None) -> None:
        super().__init__(f"{code}: {detail or description}")
        self.code = code
        self.description = description
        self.detail = detail
        self.keep = keep or Keep()


def error_document(error: OAuthError) -> Document:
    """The answer for `error`: 401 with a challenge for a client that could not be authenticated, else 400."""
    headers = dict(NO_STORE)
    if error.code == "invalid_client":
        headers["WWW-Authenticate"] = 'Basic realm="token endpoint", charset="UTF-8"'
    body = {"error": error.code, "error_description": error.description}
    return json_document(body, status=ERRORS[error.code], headers=headers)


def json_document(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Document:
    """`body` as a JSON document."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Document(body=text.encode(), content_type="application/json", status=status, headers=headers or {})


class DuplicateParameterError(ValueError):
    """A parameter occurs more than once (RFC 6749 §3.1); `names` says which."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__("a parameter occurs more than once")
        self.names = names


def single(parameters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """`parameters` as a mapping; one without a value counts as left out (RFC 6749 §3.1).

    Raises `DuplicateParameterError`, and `ValueError` when there are too many or one is too long.
    """
    if len(parameters) > MAX_PARAMETERS or any(len(value) > MAX_VALUE for _, value in parameters):
        raise ValueError("too many parameters, or one is too long")
    names = [name for name, _ in parameters]
    twice = frozenset(name for name in names if names.count(name) > 1)
    if twice:
        raise DuplicateParameterError(twice)
    return {name: value for name, value in parameters if value}


def basic(client_id: str, secret: str) -> str:
    """The `Authorization` header of a client with a secret: each half form-encoded (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def read_basic(header: str) -> tuple[tuple[str, str], ...]:
    """What an `Authorization: Basic` header may mean: pairs of client ID and secret. Raises `ValueError`.

    First what RFC 6749 §2.3.1 says: both halves form-decoded. Then, for clients that send them as they are (Authlib
    does, like many): split at the last colon, so that an address can be a client ID. Either must match a registered
    secret.
    """
    scheme, _, encoded = header.partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("not Base64 of UTF-8") from None
    client_id, colon, secret = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise ValueError("not Basic credentials")
    plain_id, _, plain_secret = pair.rpartition(":")
    try:
        decoded = (unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict"))
    except UnicodeDecodeError:
        return ((plain_id, plain_secret),)
    return tuple(dict.fromkeys((decoded, (plain_id, plain_secret))))


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine by one of its usual names."""
    return urlsplit(url).hostname in _LOOPBACK


def is_acceptable(url: object, *, loopback_http: bool) -> bool:
    """Whether `url` is absolute https, or (if allowed) loopback http, without fragment and user part."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        return False
    if not parts.hostname or parts.fragment or "#" in url or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback_http and is_loopback(url))
