"""An ID system that is an OpenID provider: the gateway is its relying party (OIDC Core §3.1, RFC 9700).

Owns the way there and back of one login by the code flow with PKCE. What a provider says of itself is
`discovery.py`'s, what the trust list leaves of that `bound.py`'s, what its ID token must say `id_token.py`'s.
"""

import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote_plus, urlencode

from federation.assurance import ASKED, BACK_CHANNEL
from federation.model import Departure, Identity, IdSystem
from federation.oidc.bound import Ways, bound, left
from federation.oidc.claims import PROTOCOL_CLAIMS, flatten
from federation.oidc.discovery import Discovery, ProviderMetadata, answered_object, ask
from federation.oidc.id_token import ID_TOKEN_CHECKS, Expected, audiences
from federation.oidc.jose import (
    PublicKeys,
    SigningKey,
    TokenRefusedError,
    VerifiedClaims,
    hold,
    s256,
    sign,
    verify,
)
from federation.oidc.oauth import ASSERTION_TYPE, basic, single
from federation.oidc.strict_json import instant, read_object, seconds
from federation.oidc.verified import read_verified
from federation.ports import Departed, TrustPort
from federation.refusal import (
    AssuranceTooLow,
    IdSystemAnswerRefused,
    IdSystemDenied,
    IdSystemNotTrusted,
    IdSystemUnreachable,
    InteractionNeeded,
    Refusal,
)
from federation.web import Exchange, HttpRequest, HttpResponse, Json, Redirect, WebRequest, with_query
from trust_lists.model import NotTrustedError, Role, TrustedEntity

ASSERTION_LIFETIME = timedelta(minutes=1)

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_OK = 200
_MOST_WORDS = 20
"""Of an ID system's words that are asked for at once: an address has an end."""

_ANSWERED_ERRORS: Mapping[str, type[Refusal]] = {
    "access_denied": IdSystemDenied,
    "login_required": IdSystemDenied,
    "interaction_required": IdSystemDenied,
    "account_selection_required": IdSystemDenied,
    "consent_required": IdSystemDenied,
    "unmet_authentication_requirements": AssuranceTooLow,
    "invalid_request": IdSystemDenied,
    "invalid_scope": IdSystemDenied,
    "unauthorized_client": IdSystemDenied,
    "unsupported_response_type": IdSystemDenied,
    "server_error": IdSystemUnreachable,
    "temporarily_unavailable": IdSystemUnreachable,
}
"""What each error code of RFC 6749 §4.1.2.1 and OIDC Core §3.1.2.6 comes to; any other is a plain denial."""

_PAGE_ERRORS = frozenset({"login_required", "interaction_required", "account_selection_required", "consent_required"})
"""What a provider says that was asked not to show a page, and would have to (OIDC Core §3.1.2.6)."""

_TOKEN_ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClientSettings:
    """How the gateway presents itself to one ID system.

    `assertion_audience` is what a `private_key_jwt` assertion is addressed to: the issuer, or the token
    endpoint for a provider that insists (OIDC Core §9). Raises `ValueError` when the settings contradict one
    another.
    """

    client_id: str
    authentication: Literal["private_key_jwt", "client_secret_basic"]
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid",)
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"

    def __post_init__(self) -> None:
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain openid (OIDC Core §3.1.2.1)")
        if (self.authentication == "client_secret_basic") != bool(self.client_secret):
            raise ValueError("client_secret_basic needs a client secret, private_key_jwt has none")


class OidcConnector:
    """The connector of one ID system.

    `signing_key` is needed for `private_key_jwt` and signs with its own algorithm (ES256 for a P-256 key).
    `subject_claim` names the claim that identifies the person at the ID system, `sub` unless the system says
    otherwise. `own_redirect_uri` is nobody else's: where a provider sends the browser that does not name
    itself in its answers. Else another provider could have it answer a login of its own, and learn the code
    (mix-up: RFC 9700 §2.1, §4.4).
    """

    brief: ClassVar[bool] = True

    def __init__(
        self,
        *,
        system: IdSystem,
        trust: TrustPort,
        client: OidcClientSettings,
        redirect_uri: str,
        own_redirect_uri: str | None = None,
        signing_key: SigningKey | None = None,
        subject_claim: str = "sub",
    ) -> None:
        if client.authentication == "private_key_jwt" and signing_key is None:
            raise ValueError("private_key_jwt needs a signing key")
        self._system = system
        self._trust = trust
        self._client = client
        self._redirect_uri = redirect_uri
        self._own_redirect_uri = own_redirect_uri or redirect_uri
        self._signing_key = signing_key
        self._subject_claim = subject_claim
        self._discovery = Discovery(system.entity_id)
        by_key = client.authentication == "private_key_jwt" and signing_key is not None
        self._ways = Ways(
            authentication=client.authentication, algorithm=signing_key.algorithm if by_key and signing_key else None
        )

    # --- there

    def depart(self, departure: Departure, now: datetime) -> Exchange[Departed]:
        """Send the browser to the authorization endpoint (OIDC Core §3.1.2.1, RFC 7636 §4.3).

        Raises `IdSystemNotTrusted`, `IdSystemUnreachable`, `IdSystemAnswerRefused` (unusable configuration).
        """
        listed = self._listed(now)
        metadata = yield from self._metadata(listed, now)
        redirect_uri = self._redirect_uri if metadata.names_itself else self._own_redirect_uri
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        parameters = [
            ("response_type", "code"),
            ("client_id", self._client.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", " ".join(left("scopes_supported", self._client.scopes, listed.permitted))),
            ("state", departure.handle),
            ("nonce", nonce),
            ("code_challenge", s256(verifier)),
            ("code_challenge_method", "S256"),
        ]
        words = left("acr_values_supported", departure.words, listed.permitted)
        parameters += _contexts(words, essential=departure.essential and metadata.reads_claims)
        if departure.force_authentication:
            parameters += [("prompt", "login"), ("max_age", "0")]
        elif departure.passive:
            parameters.append(("prompt", "none"))
        if departure.languages:
            parameters.append(("ui_locales", " ".join(departure.languages)))
        memory = {
            "state": departure.handle,
            "nonce": nonce,
            "code_verifier": verifier,
            "issuer": metadata.issuer,
            "redirect_uri": redirect_uri,
            "force": departure.force_authentication,
            "passive": departure.passive,
            "departed_at": seconds(now),
        }
        return Departed(
            answer=Redirect(location=with_query(metadata.authorization_endpoint, parameters)), memory=memory
        )

    # --- and back

    def arrive(self, request: WebRequest, memory: Json, now: datetime) -> Exchange[Identity]:
        """Redeem the code and verify what the ID system says (OIDC Core §3.1.2.7, §3.1.3, §5.3).

        `memory` is taken once by the caller: that is what stops a replay. Raises as `Connector.arrive` says.
        """
        listed = self._listed(now)
        answer = _read_answer(request)
        if request.url != memory["redirect_uri"]:
            raise IdSystemAnswerRefused("answer:address")
        metadata = yield from self._metadata(listed, now)
        code = _code(answer, memory, metadata)
        tokens = yield from self._redeem(code, memory, metadata, now)
        expected = Expected(
            issuer=metadata.issuer,
            client_id=self._client.client_id,
            nonce=memory["nonce"],
            access_token=tokens["access_token"],
            now=now,
            authenticated_after=instant(memory["departed_at"]) if memory["force"] else None,
        )
        claims = yield from self._verified(tokens["id_token"], listed, metadata, now)
        _hold(claims, expected)
        userinfo = yield from self._userinfo(tokens["access_token"], claims, listed, metadata, now)
        return self._identity(claims, userinfo, listed)

    def _listed(self, now: datetime) -> TrustedEntity:
        try:
            return self._trust.find(self._system.entity_id, Role.OPENID_PROVIDER, now)
        except NotTrustedError as error:
            raise IdSystemNotTrusted(error.code) from error

    def _metadata(self, listed: TrustedEntity, now: datetime) -> Exchange[ProviderMetadata]:
        """What the provider announces, as far as the list lets it."""
        announced = yield from self._discovery.metadata(now)
        return bound(announced, listed.permitted, self._ways)

    def _redeem(self, code: str, memory: Json, metadata: ProviderMetadata, now: datetime) -> Exchange[dict[str, str]]:
        """`access_token` and `id_token` for the code (OIDC Core §3.1.3.1, §3.1.3.5)."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": memory["redirect_uri"],
            "code_verifier": memory["code_verifier"],
        }
        headers = dict(_FORM)
        if self._client.client_secret is not None:
            headers["Authorization"] = basic(self._client.client_id, self._client.client_secret)
        else:
            fields |= {
                "client_id": self._client.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(metadata, now),
            }
        body = urlencode(fields, quote_via=quote_plus).encode()
        response = yield from ask(
            HttpRequest(method="POST", url=metadata.token_endpoint, headers=headers, body=body), "token"
        )
        if response.status != _OK:
            raise IdSystemAnswerRefused(f"token:{_token_error(response)}")
        tokens = answered_object(response, "token")
        wanted = {name: tokens.get(name) for name in ("access_token", "id_token")}
        if str(tokens.get("token_type")).lower() != "bearer":
            raise IdSystemAnswerRefused("token:type")
        if not all(isinstance(token, str) and token.isascii() and token.isprintable() for token in wanted.values()):
            raise IdSystemAnswerRefused("token:missing")
        return {name: str(token) for name, token in wanted.items()}

    def _assertion(self, metadata: ProviderMetadata, now: datetime) -> str:
        """A signed statement of who asks (RFC 7523 §3, OIDC Core §9)."""
        if self._signing_key is None:  # pragma: no cover - the constructor saw to it
            raise ValueError("private_key_jwt needs a signing key")
        issuer = self._client.assertion_audience == "issuer"
        claims = {
            "iss": self._client.client_id,
            "sub": self._client.client_id,
            "aud": metadata.issuer if issuer else metadata.token_endpoint,
            "iat": seconds(now),
            "exp": seconds(now + ASSERTION_LIFETIME),
            "jti": secrets.token_urlsafe(24),
        }
        return sign(claims, self._signing_key)

    def _verified(
        self, token: str, listed: TrustedEntity, metadata: ProviderMetadata, now: datetime, step: str = "id-token"
    ) -> Exchange[VerifiedClaims]:
        """Verify with the keys that the list pins, or with the provider's, asked anew once if none fits."""
        pinned, address = listed.metadata.get("jwks"), listed.metadata.get("jwks_uri", metadata.jwks_uri)
        algorithms = metadata.algorithms if step == "id-token" else metadata.userinfo_algorithms
        try:
            if pinned is not None:
                return verify(token, PublicKeys.from_jwks(pinned), algorithms)
            keys = yield from self._discovery.keys(address, now)
            try:
                return verify(token, keys, algorithms)
            except TokenRefusedError as error:
                if error.code not in {"unknown-key", "signature"}:
                    raise
            keys = yield from self._discovery.keys(address, now, refresh=True)
            return verify(token, keys, algorithms)
        except TokenRefusedError as error:
            raise IdSystemAnswerRefused(f"{step}:{error.code}") from error
        except ValueError:
            raise IdSystemAnswerRefused("keys:malformed") from None

    def _userinfo(
        self,
        access_token: str,
        claims: VerifiedClaims,
        listed: TrustedEntity,
        metadata: ProviderMetadata,
        now: datetime,
    ) -> Exchange[dict[str, Any]]:
        """The userinfo claims, plain or signed, of the same person (OIDC Core §5.3), if it offers any."""
        if metadata.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json, application/jwt"}
        response = yield from ask(
            HttpRequest(method="GET", url=metadata.userinfo_endpoint, headers=headers), "userinfo"
        )
        if not response.headers.get("content-type", "").lower().startswith("application/jwt"):
            userinfo = answered_object(response, "userinfo")
        else:
            if response.status != _OK or not response.body.isascii():
                raise IdSystemAnswerRefused("userinfo:malformed")
            token = response.body.decode("ascii").strip()
            userinfo = signed = yield from self._verified(token, listed, metadata, now, "userinfo")
            if signed.get("iss") != metadata.issuer or self._client.client_id not in audiences(signed):
                raise IdSystemAnswerRefused("userinfo:not-for-us")
        if userinfo.get("sub") != claims["sub"]:
            raise IdSystemAnswerRefused("userinfo:sub")
        return userinfo

    def _identity(self, claims: VerifiedClaims, userinfo: Mapping[str, Any], listed: TrustedEntity) -> Identity:
        """Everything said of the person; what is said of the sign-in comes from the ID token alone.

        A level (`acr`) that the list does not let the provider state is none.
        """
        merged = {name: value for name, value in {**claims, **userinfo}.items() if name not in PROTOCOL_CLAIMS}
        attributes = flatten(merged)
        subject = (claims["sub"],) if self._subject_claim == "sub" else attributes.get(self._subject_claim, ())
        if len(subject) != 1:
            raise IdSystemAnswerRefused("subject")
        amr = claims.get("amr")
        verified, evidence = read_verified(merged.get("verified_claims"))
        return Identity(
            id_system=self._system.id,
            subject=subject[0],
            attributes=attributes,
            statements=left("acr_values_supported", _words([claims.get("acr")]), listed.permitted),
            authenticated_at=instant(claims.get("auth_time")),
            methods=_words(amr if isinstance(amr, list) else [amr]),
            verified=verified,
            evidence=evidence,
            protection=frozenset({ASKED, BACK_CHANNEL}),  # state, nonce and proof key; TLS to the token endpoint
        )


def _words(said: list[Any]) -> tuple[str, ...]:
    return tuple(word for word in said if isinstance(word, str) and word)


def _contexts(words: Sequence[str], *, essential: bool) -> list[tuple[str, str]]:
    """Ask for one of these (OIDC Core §3.1.2.1), or for nothing else (§5.5.1.1); the best ones if they are many.

    A value of `acr_values` has no space: what has one can be asked for as essential only.
    """
    if not words:
        return []
    parameters = []
    if essential:
        asked = {"id_token": {"acr": {"essential": True, "values": list(words[:_MOST_WORDS])}}}
        parameters.append(("claims", json.dumps(asked, ensure_ascii=False, separators=(",", ":"))))
    single_words = [word for word in words if " " not in word]
    if single_words:
        parameters.append(("acr_values", " ".join(single_words[:_MOST_WORDS])))
    return parameters


def _read_answer(request: WebRequest) -> dict[str, str]:
    if request.method != "GET":
        raise IdSystemAnswerRefused("answer:method")
    try:
        return single(request.parameters())
    except ValueError:
        raise IdSystemAnswerRefused("answer:parameters") from None


def _code(answer: Mapping[str, str], memory: Json, metadata: ProviderMetadata) -> str:
    """The code, once the answer is known to be of this login and from this issuer (RFC 9207 §2.4)."""
    if not hmac.compare_digest(answer.get("state", "").encode(), memory["state"].encode()):
        raise IdSystemAnswerRefused("answer:state")
    if memory["issuer"] != metadata.issuer:
        raise IdSystemAnswerRefused("answer:issuer-changed")
    named = answer.get("iss")
    if named is None and metadata.names_itself:
        raise IdSystemAnswerRefused("answer:iss")
    if named is not None and named != metadata.issuer:
        raise IdSystemAnswerRefused("answer:iss")
    if "error" in answer:
        error = answer["error"] if answer["error"] in _ANSWERED_ERRORS else "other"
        if memory.get("passive") and error in _PAGE_ERRORS:
            raise InteractionNeeded(f"answer:{error}")
        raise _ANSWERED_ERRORS.get(error, IdSystemDenied)(f"answer:{error}")
    if "code" not in answer:
        raise IdSystemAnswerRefused("answer:code")
    return answer["code"]


def _token_error(response: HttpResponse) -> str:
    try:
        error = read_object(response.body).get("error")
    except ValueError:
        error = None
    return error if isinstance(error, str) and error in _TOKEN_ERRORS else f"status-{response.status}"


def _hold(claims: VerifiedClaims, expected: Expected) -> None:
    try:
        hold(ID_TOKEN_CHECKS, claims, expected)
    except TokenRefusedError as error:
        raise IdSystemAnswerRefused(f"id-token:{error.code}") from error
