"""What the provider says of itself (OpenID Discovery §3, RFC 8414 §2, RFC 9207 §3), and where its endpoints are."""

from collections.abc import Collection, Iterable
from typing import Any

from federation.assurance import acr_uri
from federation.model import Level, Service
from federation.oidc import authorize, jose, verified
from federation.oidc.claims import PROTOCOL_CLAIMS, SCOPE_CLAIMS
from federation.oidc.clients import AUTHENTICATION_METHODS, ID_TOKEN_ALGORITHMS
from federation.oidc.oauth import json_document
from federation.oidc.parties import TLS
from federation.web import Document

AUTHORIZE_PATH = "/oidc/authorize"
TOKEN_PATH = "/oidc/token"  # noqa: S105 - a path
USERINFO_PATH = "/oidc/userinfo"
JWKS_PATH = "/oidc/jwks"

_CACHED = {"Cache-Control": "public, max-age=300"}
_TOKEN_CLAIMS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid")


def document(
    issuer: str,
    *,
    services: Iterable[Service],
    scopes: Collection[str],
    grant_types: Iterable[str],
    languages: Iterable[str],
    certificates: str | None,
) -> Document:
    """The metadata; `scopes` are those of systems, `certificates` the root where clients show certificates, if any."""
    services = tuple(services)
    outward = {rule.to for service in services for rule in service.outward.rules}
    spoken_of = sorted({name if ":" in name else name.partition(".")[0] for name in outward})
    api_scopes = sorted({*scopes, *(scope for service in services for scope in service.scopes)})
    metadata: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE_PATH,
        "token_endpoint": issuer + TOKEN_PATH,
        "userinfo_endpoint": issuer + USERINFO_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "scopes_supported": ["openid", *SCOPE_CLAIMS, *(s for s in api_scopes if s not in SCOPE_CLAIMS)],
        "claims_supported": [*_TOKEN_CLAIMS, *(name for name in spoken_of if name not in PROTOCOL_CLAIMS)],
        "claim_types_supported": ["normal"],
        "acr_values_supported": [acr_uri(level) for level in Level if level is not Level.NONE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grant_types),
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": list(ID_TOKEN_ALGORITHMS),
        "token_endpoint_auth_methods_supported": [*AUTHENTICATION_METHODS, *((TLS,) if certificates else ())],
        "token_endpoint_auth_signing_alg_values_supported": list(jose.ALGORITHMS),
        "dpop_signing_alg_values_supported": list(jose.ALGORITHMS),
        "prompt_values_supported": list(authorize.PROMPTS),
        "ui_locales_supported": list(languages),
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": True,
        **verified.metadata(outward),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        **({} if certificates is None else _aliases(certificates)),
    }
    return json_document(metadata, headers=dict(_CACHED))


def _aliases(root: str) -> dict[str, Any]:
    """Where clients show certificates (RFC 8705 §3.3, §5)."""
    return {
        "tls_client_certificate_bound_access_tokens": True,
        "mtls_endpoint_aliases": {"token_endpoint": root + TOKEN_PATH, "userinfo_endpoint": root + USERINFO_PATH},
    }
