"""Reading an authentication request of a service (OIDC Core §3.1.2.1, RFC 6749 §4.1.1, RFC 7636, RFC 9700).

Until client and redirect URI are known to be the registered ones, every fault is a page. From then on it goes
back to the service by a redirect. The checks stand in `_CHECKS`, in the order in which they are made.

Beyond the specifications, the parameter `kakehashi_municipality` names the ID system to begin with: the id of
an ID system or the code of a municipality. It is a hint, and a useless one is passed over.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from federation.assurance import is_foreign, wished
from federation.model import Level, LoginRequest
from federation.oidc.claims import SCOPE_CLAIMS, ClaimsAsked, reached, read_claims_parameter
from federation.oidc.clients import Clients, RegisteredClient, UnknownClientError
from federation.oidc.dpop import THUMBPRINT
from federation.oidc.oauth import DuplicateParameterError, single
from federation.oidc.verified import Asked, read_asked
from federation.oidc.verified import names as verified_names
from federation.ports import Denied
from federation.refusal import AssuranceTooLow, BadRequest, InteractionNeeded, Refusal, UnknownService
from federation.web import Redirect, WebRequest, with_query

KIND = "oidc"
PROMPTS = ("none", "login", "consent", "select_account")

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_HINT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,7}")
_MOST_LANGUAGES = 8
_MAX_NONCE = 1024
_MOST_CONTEXTS = 8
_UNSAYABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")  # in an error_description, RFC 6749 §4.1.2.1


def error_redirect(redirect_uri: str, *, error: str, description: str, state: str | None, issuer: str) -> Redirect:
    """An error for the service at its own address (RFC 6749 §4.1.2.1), naming the issuer (RFC 9207 §2)."""
    parameters = [("error", error), ("error_description", _UNSAYABLE.sub("'", description))]
    if state is not None:
        parameters.append(("state", state))
    return Redirect(location=with_query(redirect_uri, [*parameters, ("iss", issuer)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request whose client and redirect URI hold: from here on refusals can go back."""

    client: RegisteredClient
    redirect_uri: str
    parameters: Mapping[str, str]
    issuer: str

    def words(self, name: str) -> list[str]:
        return self.parameters.get(name, "").split()

    def refuse(self, error: str, description: str, refusal: Refusal | None = None) -> NoReturn:
        answer = error_redirect(
            self.redirect_uri,
            error=error,
            description=description,
            state=self.parameters.get("state"),
            issuer=self.issuer,
        )
        raise Denied(answer, refusal or BadRequest(error))


def read(web: WebRequest, clients: Clients, issuer: str, now: datetime) -> LoginRequest:
    """The login that a service asks for. Raises `BadRequest`, `UnknownService`, `Denied`."""
    asked = _recognise(web, clients, issuer, now)
    for check in _CHECKS:
        check(asked)
    claims = _claims_parameter(asked)
    scopes = asked.words("scope")
    outward = [rule.to for rule in asked.client.service.outward.rules]
    verified = {place: _verified(asked, stated) for place, stated in _places(claims)}
    both = verified_names((*verified["userinfo"], *verified["id_token"]), outward)
    userinfo = reached({*_claims_of(scopes), *claims.userinfo}, outward)
    id_token = reached(claims.id_token, outward)
    granted = [s for s in dict.fromkeys(scopes) if s == "openid" or s in SCOPE_CLAIMS or s in outward]
    api_scopes = tuple(s for s in dict.fromkeys(scopes) if s in asked.client.service.scopes)
    return LoginRequest(
        service=asked.client.service.id,
        kind=KIND,
        reply={
            "client_id": asked.client.client_id,
            "redirect_uri": asked.redirect_uri,
            "state": asked.parameters.get("state"),
            "nonce": asked.parameters.get("nonce"),
            "challenge": asked.parameters["code_challenge"],
            "scopes": granted,
            "userinfo": list(userinfo),
            "id_token": list(id_token),
            "subject": claims.subject,
            "verified": {place: [each.to_json() for each in elements] for place, elements in verified.items()},
            "jkt": asked.parameters.get("dpop_jkt"),
            "contexts": [uri for uri in (*asked.words("acr_values"), *claims.acr) if is_foreign(uri)][:_MOST_CONTEXTS],
        },
        minimum=_minimum(asked, claims),
        hint=_hint(asked),
        force_authentication="login" in asked.words("prompt") or "max_age" in asked.parameters,
        passive="none" in asked.words("prompt"),
        scopes=api_scopes,
        claims=tuple(name for name in outward if name in userinfo or name in id_token or name in both),
        languages=tuple(_languages(asked)),
    )


def _recognise(web: WebRequest, clients: Clients, issuer: str, now: datetime) -> _Asked:
    """Who asks, and that the answer's address is registered: compared exactly (RFC 9700 §4.1.3)."""
    if web.method not in {"GET", "POST"}:
        raise BadRequest("method")
    listed = web.parameters()
    try:
        parameters, twice = single(listed), frozenset[str]()
    except DuplicateParameterError as error:
        parameters, twice = dict(single([pair for pair in listed if pair[0] not in error.names])), error.names
    except ValueError:
        raise BadRequest("parameters") from None
    if twice & {"client_id", "redirect_uri"} or "client_id" not in parameters:
        raise BadRequest("client_id")
    try:
        client = clients.find(parameters["client_id"], now)
    except UnknownClientError as error:
        raise UnknownService(error.code) from error
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None or redirect_uri not in client.redirect_uris:
        raise BadRequest("redirect_uri")
    asked = _Asked(client=client, redirect_uri=redirect_uri, parameters=parameters, issuer=issuer)
    if twice:
        asked.refuse("invalid_request", "a parameter occurs more than once")
    return asked


def _no_request_object(asked: _Asked) -> None:
    for name in ("request", "request_uri", "registration"):
        if name in asked.parameters:
            asked.refuse(f"{name}_not_supported", f"the parameter {name} is not supported")


def _response_type(asked: _Asked) -> None:
    if "response_type" not in asked.parameters:
        asked.refuse("invalid_request", "response_type is missing")
    if asked.parameters["response_type"] != "code":
        asked.refuse("unsupported_response_type", "only response_type=code is supported")
    if asked.parameters.get("response_mode", "query") != "query":
        asked.refuse("invalid_request", "only response_mode=query is supported")


def _scope(asked: _Asked) -> None:
    if "openid" not in asked.words("scope"):
        asked.refuse("invalid_scope", "the scope openid is missing")


def _proof_key(asked: _Asked) -> None:
    if asked.parameters.get("code_challenge_method") != "S256":
        asked.refuse("invalid_request", "PKCE with code_challenge_method=S256 is required")
    if not _CHALLENGE.fullmatch(asked.parameters.get("code_challenge", "")):
        asked.refuse("invalid_request", "code_challenge must be the 43 characters of an S256 challenge")


def _prompt(asked: _Asked) -> None:
    prompts = asked.words("prompt")
    if not set(prompts) <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1):
        asked.refuse("invalid_request", "this prompt is not possible")
    if "none" in prompts and "max_age" in asked.parameters:
        asked.refuse("login_required", "a new sign-in needs the person's part", InteractionNeeded("prompt-max-age"))


def _max_age(asked: _Asked) -> None:
    """A `max_age` is met by always signing in anew: the gateway has no session whose age it could compare."""
    age = asked.parameters.get("max_age", "0")
    if not (age.isascii() and age.isdigit()):
        asked.refuse("invalid_request", "max_age must be a number of seconds")


def _proof_of_possession(asked: _Asked) -> None:
    if not THUMBPRINT.fullmatch(asked.parameters.get("dpop_jkt", 43 * "A")):
        asked.refuse("invalid_request", "dpop_jkt must be the 43 characters of a key's SHA-256 thumbprint")


def _bounds(asked: _Asked) -> None:
    if len(asked.parameters.get("nonce", "")) > _MAX_NONCE:
        asked.refuse("invalid_request", "nonce is too long")


_CHECKS: Sequence[Callable[[_Asked], None]] = (
    _no_request_object,  # OIDC Core §3.1.2.6
    _response_type,  # RFC 6749 §4.1.1
    _scope,  # OIDC Core §3.1.2.1
    _proof_key,  # RFC 7636 §4.4.1
    _prompt,  # OIDC Core §3.1.2.1
    _max_age,
    _proof_of_possession,  # RFC 9449 §10
    _bounds,
)


def _claims_parameter(asked: _Asked) -> ClaimsAsked:
    if "claims" not in asked.parameters:
        return ClaimsAsked()
    try:
        return read_claims_parameter(asked.parameters["claims"])
    except ValueError:
        asked.refuse("invalid_request", "the parameter claims cannot be read")


def _claims_of(scopes: Sequence[str]) -> list[str]:
    return [claim for scope in scopes for claim in SCOPE_CLAIMS.get(scope, (scope,))]


def _minimum(asked: _Asked, claims: ClaimsAsked) -> Level:
    """The lowest known level asked for; an unknown one is a wish, unless essential (OIDC Core §5.5.1.1)."""
    wish = _lowest(asked.words("acr_values"))
    required = _lowest(claims.acr)
    if required is None and claims.acr and claims.acr_essential:
        asked.refuse("unmet_authentication_requirements", "no such acr value is known here", AssuranceTooLow("acr"))
    return max(wish or Level.NONE, required or Level.NONE)


def _lowest(uris: Sequence[str]) -> Level | None:
    return min((level for level in map(wished, uris) if level is not None), default=None)


def _places(claims: ClaimsAsked) -> tuple[tuple[str, Any], ...]:
    return ("userinfo", claims.verified_userinfo), ("id_token", claims.verified_id_token)


def _verified(asked: _Asked, stated: object) -> tuple[Asked, ...]:
    """The verified claims that are asked for in one place (OpenID Identity Assurance §5.3)."""
    if stated is None:
        return ()
    try:
        return read_asked(stated)
    except ValueError:
        asked.refuse("invalid_request", "verified_claims in the parameter claims cannot be read")


def _hint(asked: _Asked) -> str | None:
    hint = asked.parameters.get("kakehashi_municipality", "")
    return hint if _HINT.fullmatch(hint) else None


def _languages(asked: _Asked) -> list[str]:
    return [tag for tag in asked.words("ui_locales") if _LANGUAGE.fullmatch(tag)][:_MOST_LANGUAGES]
