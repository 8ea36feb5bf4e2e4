"""The endpoints of protocols: OpenID Connect, signing, OpenID Federation, SAML metadata."""

import json
from collections.abc import Mapping
from typing import Any, Final

from federation.certificate.container import FORMS
from federation.oidc.metadata import JWKS_PATH, TOKEN_PATH, USERINFO_PATH
from federation.refusal import (
    ConsentWithdrawn,
    ProofInvalid,
    ScopeMissing,
    TokenBound,
    TokenInvalid,
    TokenMissing,
    Unavailable,
)
from gateway.describing.parts import FORM, HTML, JSON, Described, answers, errors, oauth_refused, reference, refused
from gateway.metadata_query import BASE
from gateway.region import Region
from gateway.saml_endpoints import METADATA_TYPE, MUNICIPAL
from gateway.vouching import FETCH, LIST, RESOLVE
from trust_lists import mdq
from trust_lists.federation_serving import ERRORS, RESOLVE_MEDIA_TYPE
from trust_lists.federation_statements import MEDIA_TYPE, WELL_KNOWN

OPENAPI = "/openapi.json"
KEYS = "application/jwk-set+json"

_TEXT: Final = {"type": "string"}
_NOT_CHANGED: Final = {"304": answers("What `If-None-Match` names is still so.")}
_NO_PAGE: Final = {"404": answers("There is nothing at this address.", HTML)}
_UNAVAILABLE: Final = {Unavailable.status: [Unavailable.oauth_error]}


def _get(name: str, summary: str, **responses: Any) -> Described:
    return {"get": {"operationId": name, "summary": summary, "security": [], **responses}}


def _document(name: str, summary: str, media_type: str, schema: Mapping[str, Any], *, kept: bool = False) -> Described:
    """Something that is there for everybody."""
    found = {"200": answers(summary, media_type, schema), **(_NOT_CHANGED if kept else {})}
    return _get(name, summary, responses=found)


def _query(name: str, description: str, *, required: bool = False, several: bool = False) -> Described:
    schema = {"type": "array", "items": _TEXT, "maxItems": 8} if several else _TEXT
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


# --- OpenID Connect


def openid(region: Region) -> Described:
    """Discovery, keys, tokens, userinfo."""
    said = json.loads(region.openid_provider.configuration().body)
    keys = reference("Keys")
    about = reference("Provider")
    found: Described = {
        OPENAPI: _document("openapi", "This description (OpenAPI 3.1).", JSON, {"type": "object"}, kept=True),
        "/.well-known/openid-configuration": _document("discovery", "What the provider says of itself.", JSON, about),
        JWKS_PATH: _document("keys", "The keys of ID tokens and access tokens.", KEYS, keys),
        "/oidc/rp/jwks": _document("clientKeys", "The gateway's keys as a client of ID systems.", KEYS, keys),
        "/.well-known/kakehashi-assertion-jwks.json": _document(
            "assertionKeys", "The key of identity assertions, and of signatures of calls.", KEYS, keys
        ),
        "/certificate/jwks": _document("requestKeys", "The key that signs requests to apps on phones.", KEYS, keys),
        TOKEN_PATH: {"post": _token(said["grant_types_supported"])},
    }
    for_people: Described = {
        "summary": "What the access token tells of the person (OpenID Connect Core §5.3).",
        "security": [{"people": ["openid"]}],
        "responses": {
            "200": answers("The claims.", JSON, reference("UserInfo")),
            **refused((TokenMissing, TokenInvalid, ConsentWithdrawn, TokenBound, ProofInvalid, ScopeMissing)),
            **errors(_UNAVAILABLE),
        },
    }
    found[USERINFO_PATH] = {
        "get": {"operationId": "userinfo", **for_people},
        "post": {"operationId": "postUserinfo", **for_people},
    }
    return found


def _token(grant_types: list[str]) -> Described:
    names = (
        *("code", "redirect_uri", "code_verifier"),
        *("scope", "resource", "audience", "client_id", "client_secret"),
        *("client_assertion_type", "client_assertion"),
        *("subject_token", "subject_token_type", "requested_token_type"),
    )
    form = {
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": {"type": "string", "enum": grant_types},
            **{name: {"type": "string", "minLength": 1} for name in names},
        },
    }
    proof = {"name": "DPoP", "in": "header", "required": False, "schema": _TEXT}
    return {
        "operationId": "token",
        "summary": "A token: for a code, for a system, or for another token.",
        "description": "Clients authenticate as registered: by HTTP Basic, a signed assertion in the form, or TLS.",
        "security": [{"clients": []}, {}],
        "parameters": [{**proof, "description": "A proof of possession (RFC 9449): the token is bound to its key."}],
        "requestBody": {"required": True, "content": {FORM: {"schema": form}}},
        "responses": {"200": answers("The token.", JSON, reference("Token")), **oauth_refused()},
    }


# --- signing


def signing(region: Region) -> Described:
    """What a service does to have a text signed, if texts are signed in this region."""
    if region.configuration.timestamp is None:
        return {}
    security: list[Described] = [{"clients": []}, {"assertions": []}]
    refusals = oauth_refused("invalid_request", "invalid_client", "unauthorized_client")
    unknown = errors({404: ["not_found"]})
    handle = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    ask = {
        "operationId": "askForSignature",
        "summary": "Have a text signed by a resident.",
        "security": security,
        "requestBody": {"required": True, "content": {JSON: {"schema": reference("SigningOrder")}}},
        "responses": {"201": answers("Where to send the browser.", JSON, reference("SigningAsked")), **refusals},
    }
    fetch = {
        "operationId": "readSignature",
        "summary": "How far it is; once signed, the container.",
        "security": security,
        "responses": {"200": answers("How far it is.", JSON, reference("Signing")), **refusals, **unknown},
    }
    forget = {
        "operationId": "forgetSignature",
        "summary": "Keep nothing of it any more.",
        "security": security,
        "responses": {"204": answers("Forgotten."), **refusals, **unknown},
    }
    return {
        "/signing/requests": {"post": ask},
        "/signing/requests/{id}": {"parameters": [handle], "get": fetch, "delete": forget},
    }


# --- other federations


def federation(region: Region) -> Described:
    """The region as an entity of OpenID Federation, if it is one."""
    if region.vouching is None:
        return {}
    entity = "An entity ID."

    def endpoint(name: str, summary: str, media_type: str, *parameters: Described, schema: Any = _TEXT) -> Described:
        told: dict[int, list[str]] = {}
        for code, status in ERRORS.items():
            told.setdefault(status, []).append(code)
        responses = {
            "200": answers("The answer.", media_type, schema),
            **_NOT_CHANGED,
            **errors(told),
            **errors(_UNAVAILABLE),
        }
        return _get(name, summary, parameters=[*parameters], responses=responses)

    kinds = _query("entity_type", "Those of these types only.", several=True)
    anchors = _query("trust_anchor", "Whom the asker trusts.", required=True, several=True)
    ids = {"type": "array", "items": _TEXT}
    return {
        WELL_KNOWN: endpoint("entityConfiguration", "What the region says of itself (§9).", MEDIA_TYPE),
        FETCH: endpoint(
            "fetch", "What it says of a subordinate (§8.1).", MEDIA_TYPE, _query("sub", entity, required=True)
        ),
        LIST: endpoint(
            "list",
            "Its subordinates (§8.2).",
            JSON,
            kinds,
            _query("intermediate", "`true`: those that have subordinates themselves."),
            schema=ids,
        ),
        RESOLVE: endpoint(
            "resolve",
            "A subordinate's metadata, with the chain that they come from (§8.3).",
            RESOLVE_MEDIA_TYPE,
            _query("sub", entity, required=True),
            anchors,
            kinds,
        ),
    }


def saml(region: Region) -> Described:
    """SAML metadata at their own addresses, and by query if that is configured."""
    found: Described = {
        "/saml/metadata": _document("samlMetadata", "The region as identity provider, signed.", METADATA_TYPE, _TEXT),
        "/saml/sp/metadata": _document(
            "samlSpMetadata", "The region as service provider, signed.", METADATA_TYPE, _TEXT
        ),
    }
    codes = sorted(region.municipal_identity_providers)
    if codes:
        responses = {"200": answers("The metadata.", METADATA_TYPE, _TEXT), **_NO_PAGE}
        code = {"name": "municipality", "in": "path", "required": True, "schema": {"type": "string", "enum": codes}}
        path = MUNICIPAL.partition("{")[0] + "{municipality}/metadata"
        found[path] = _get("samlMunicipalMetadata", "One municipality, signed.", parameters=[code], responses=responses)
    if region.configuration.gateway.metadata_query is not None:
        responses = {"200": answers("The metadata.", mdq.MEDIA_TYPE, _TEXT), **_NOT_CHANGED, **_NO_PAGE}
        named = {"name": "identifier", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        found[BASE + "/entities"] = _get("samlEntities", "All entities of the region, signed.", responses=responses)
        found[BASE + "/entities/{identifier}"] = _get(
            "samlEntity", "One of them, by entity ID or its SHA-1.", parameters=[named], responses=responses
        )
    return found


_ADDRESS: Final = {"type": "string", "format": "uri"}

_PROVIDER: Final = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")

SCHEMAS: Final[Mapping[str, Any]] = {
    "Keys": {
        "type": "object",
        "required": ["keys"],
        "properties": {
            "keys": {
                "type": "array",
                "items": {"type": "object", "required": ["kty", "kid"], "not": {"required": ["d"]}},
            }
        },
    },
    "Provider": {"type": "object", "required": [*_PROVIDER], "properties": dict.fromkeys(_PROVIDER, _ADDRESS)},
    "Token": {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": _TEXT,
            "token_type": {"enum": ["Bearer", "DPoP"]},
            "expires_in": {"type": "integer"},
            "scope": _TEXT,
            "id_token": _TEXT,
            "issued_token_type": _TEXT,
        },
    },
    "UserInfo": {"type": "object", "required": ["sub"], "properties": {"sub": _TEXT}},
    "SigningOrder": {
        "type": "object",
        "additionalProperties": False,
        "required": ["title", "text", "format", "id_system", "return_to"],
        "properties": {
            "title": {**_TEXT, "minLength": 1},
            "text": {**_TEXT, "minLength": 1},
            "format": {"type": "string", "enum": [*FORMS]},
            "id_system": {**_TEXT, "description": "One whose certificates the service may ask for."},
            "return_to": {**_ADDRESS, "description": "One of the service's redirect_uris."},
            "language": {"type": "string", "enum": ["ja", "en"]},
        },
    },
    "SigningAsked": {
        "type": "object",
        "required": ["id", "page", "expires_in"],
        "properties": {"id": _TEXT, "page": _ADDRESS, "expires_in": {"type": "integer"}},
    },
    "Signing": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {"id": _TEXT, "status": _TEXT, "container": _TEXT, "media_type": _TEXT},
    },
}
