"""What an OpenID provider says of itself (OpenID Discovery §4), and its keys: asked for, kept for a while.

Owns the two caches of a connector and how often they may be refilled. Nothing here outlives its lifetime:
when a provider cannot be asked again, its login fails rather than run on old keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from federation.oidc.jose import ALGORITHMS, PublicKeys
from federation.oidc.oauth import is_acceptable, is_loopback
from federation.oidc.strict_json import read_object
from federation.refusal import IdSystemAnswerRefused, IdSystemUnreachable
from federation.web import Exchange, HttpRequest, HttpResponse, RoadError
from trust_lists.openid_entries import CHOICES

METADATA_LIFETIME = timedelta(hours=1)
KEYS_LIFETIME = timedelta(hours=1)
KEYS_INTERVAL = timedelta(minutes=1)
"""At least this long between two requests for keys because of a key nobody knows."""

_JSON = {"Accept": "application/json"}
_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """The part of a provider's configuration that a login needs (OpenID Discovery §3, RFC 9207 §3).

    `announced` is what it says that it supports, by metadata name: `bound.py` holds it against the list.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str | None
    userinfo_endpoint: str | None
    names_itself: bool
    reads_claims: bool = False
    algorithms: tuple[str, ...]
    userinfo_algorithms: tuple[str, ...]
    announced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def ask(request: HttpRequest, step: str) -> Exchange[HttpResponse]:
    """Make `request`; an answer below 500 comes back. Raises `IdSystemUnreachable`, naming `step`."""
    try:
        response = yield request
    except RoadError as error:
        raise IdSystemUnreachable(f"{step}:no-answer") from error
    if response.status >= _SERVER_ERROR or response.status == _TOO_MANY:
        raise IdSystemUnreachable(f"{step}:status-{response.status}")
    return response


def answered_object(response: HttpResponse, step: str) -> dict[str, Any]:
    """The JSON object of a 200 answer. Raises `IdSystemAnswerRefused` for any other answer."""
    if response.status != _OK:
        raise IdSystemAnswerRefused(f"{step}:status-{response.status}")
    try:
        return read_object(response.body)
    except ValueError:
        raise IdSystemAnswerRefused(f"{step}:malformed") from None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


class Discovery:
    """One issuer's configuration and keys. Time is a parameter; the caches belong to the instance."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._loopback_http = issuer.startswith("http://") and is_loopback(issuer)
        self._metadata: tuple[datetime, ProviderMetadata] | None = None
        self._keys: tuple[datetime, str, PublicKeys] | None = None

    def metadata(self, now: datetime) -> Exchange[ProviderMetadata]:
        """The provider's configuration, at most `METADATA_LIFETIME` old.

        Plain http is accepted from an issuer on this machine only. Raises `IdSystemUnreachable`, and
        `IdSystemAnswerRefused` when the configuration is of another issuer (OpenID Discovery §4.3) or
        unusable.
        """
        if self._metadata and timedelta() <= now - self._metadata[0] < METADATA_LIFETIME:
            return self._metadata[1]
        if not is_acceptable(self._issuer, loopback_http=self._loopback_http):
            raise IdSystemAnswerRefused("discovery:issuer-address")
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        response = yield from ask(HttpRequest(method="GET", url=url, headers=_JSON), "discovery")
        metadata = self._read(answered_object(response, "discovery"))
        self._metadata = (now, metadata)
        return metadata

    def _read(self, document: dict[str, Any]) -> ProviderMetadata:
        if document.get("issuer") != self._issuer:
            raise IdSystemAnswerRefused("discovery:issuer")
        addresses = {}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            address = addresses[name] = document.get(name)
            needed = name in {"authorization_endpoint", "token_endpoint"}
            if (needed or address is not None) and not is_acceptable(address, loopback_http=self._loopback_http):
                raise IdSystemAnswerRefused(f"discovery:{name}")
        announced = document.get("id_token_signing_alg_values_supported")
        algorithms = tuple(a for a in ALGORITHMS if not isinstance(announced, list) or a in announced)
        if not algorithms:
            raise IdSystemAnswerRefused("discovery:algorithms")
        supported = {name: _texts(document[name]) for name in CHOICES if name in document}
        of_userinfo = supported.get("userinfo_signing_alg_values_supported", ())
        return ProviderMetadata(
            issuer=self._issuer,
            authorization_endpoint=str(addresses["authorization_endpoint"]),
            token_endpoint=str(addresses["token_endpoint"]),
            jwks_uri=addresses["jwks_uri"],
            userinfo_endpoint=addresses["userinfo_endpoint"],
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
            reads_claims=document.get("claims_parameter_supported") is True,
            algorithms=algorithms,
            userinfo_algorithms=tuple(a for a in ALGORITHMS if a in of_userinfo) or algorithms,
            announced=supported,
        )

    def keys(self, address: str | None, now: datetime, *, refresh: bool = False) -> Exchange[PublicKeys]:
        """The provider's keys at `address`, at most `KEYS_LIFETIME` old.

        With `refresh` they are asked for again, unless that happened less than `KEYS_INTERVAL` ago. Raises
        `IdSystemUnreachable`, `IdSystemAnswerRefused`.
        """
        if not is_acceptable(address, loopback_http=self._loopback_http):
            raise IdSystemAnswerRefused("keys:address")
        url = str(address)
        if self._keys and self._keys[1] == url:
            age = now - self._keys[0]
            if timedelta() <= age < (KEYS_INTERVAL if refresh else KEYS_LIFETIME):
                return self._keys[2]
        response = yield from ask(HttpRequest(method="GET", url=url, headers=_JSON), "keys")
        try:
            keys = PublicKeys.from_jwks(answered_object(response, "keys"))
        except ValueError:
            raise IdSystemAnswerRefused("keys:malformed") from None
        self._keys = (now, url, keys)
        return keys
