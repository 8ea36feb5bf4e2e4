"""A region in memory: our provider with its store, and a foreign provider that signs whatever a test wants.

Nothing is mocked: keys, tokens and signatures are real, and time is passed in.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from federation.attributes import InwardMap, OutwardMap, OutwardRule
from federation.identifiers import IdentifierKeys, Identifiers
from federation.model import Assurance, IdSystem, Kept, Level, LoginRequest, Release, Service
from federation.oidc import jose
from federation.oidc.exchange import ExchangeRequest, ExchangeRules
from federation.oidc.oauth import OAuthError, error_document
from federation.oidc.parties import System
from federation.oidc.presented import presented
from federation.oidc.provider import OidcProvider, ProviderKeys
from federation.oidc.systems import SystemRequest
from federation.refusal import Refusal
from federation.web import Document, HttpRequest, HttpResponse, Redirect, RoadError, WebRequest
from trust_lists.model import NotTrustedError, Role, TrustedEntity

NOW = datetime(2026, 4, 1, 3, 0, 0, tzinfo=UTC)
GATEWAY = "https://gateway.example"
ISSUER = "https://id.example"
CALLBACK = GATEWAY + "/oidc/rp/callback"
SERVICE, LIBRARY = "https://service.example", "library"
SECRET = "s3cret: with + % and 橋"
REDIRECT = SERVICE + "/callback?from=kakehashi"
LIBRARY_REDIRECT = "http://localhost:9/cb"


@dataclass
class Listed:
    """A trusted set of whatever entities a test lists."""

    entities: dict[tuple[str, Role], TrustedEntity] = field(default_factory=dict)

    def add(self, entity_id: str, role: Role, metadata: Mapping[str, Any] | None = None, **said: Any) -> None:
        """List `entity_id` in `role` until a day after `NOW`; `said` of it besides."""
        self.entities[entity_id, role] = TrustedEntity(
            entity_id=entity_id,
            roles=frozenset({role}),
            listed_in="test",
            valid_until=NOW + timedelta(days=1),
            metadata=metadata or {},
            **said,
        )

    def find(self, entity_id: str, role: Role, at: datetime) -> TrustedEntity:
        """As `TrustPort` says."""
        entity = self.entities.get((entity_id, role))
        if entity is None:
            raise NotTrustedError("unlisted", entity_id, role)
        if at >= entity.valid_until:
            raise NotTrustedError("expired", entity_id, role)
        return entity


@dataclass
class Store:
    """What the gateway's store does with a `Kept`, by way of JSON. Nothing expires by itself."""

    rows: dict[tuple[str, str], str] = field(default_factory=dict)

    def put(self, kept: Kept) -> None:
        """Keep, overwriting."""
        self.rows[kept.kind, kept.key] = json.dumps(kept.value)

    def claim(self, kept: Kept) -> bool:
        """Keep if absent; whether it was absent."""
        if (kept.kind, kept.key) in self.rows:
            return False
        self.put(kept)
        return True

    def exchange(self, kept: Kept) -> Any:
        """Overwrite if present, answering what was there (SET … XX GET); else None."""
        old = self.get(kept.kind, kept.key)
        if old is not None:
            self.put(kept)
        return old

    def get(self, kind: str, key: str) -> Any:
        """What is kept, or None."""
        row = self.rows.get((kind, key))
        return None if row is None else json.loads(row)


@dataclass
class Served:
    """Our provider behind its endpoints, driven as the gateway drives it."""

    provider: OidcProvider
    store: Store = field(default_factory=Store)
    now: datetime = NOW
    seen: list[HttpRequest] = field(default_factory=list)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a back-channel request."""
        self.seen.append(request)
        parts = urlsplit(request.url)
        web = WebRequest(
            method=request.method,
            url=request.url,
            raw_query=parts.query,
            form=parse_qsl(request.body.decode(), keep_blank_values=True),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        try:
            document = self._document(parts.path, web)
        except OAuthError as error:
            document = error_document(error)
        except Refusal as refusal:
            document = Document(body=b"", content_type="text/plain", status=refusal.status)
        headers = {"content-type": document.content_type} | {k.lower(): v for k, v in document.headers.items()}
        return HttpResponse(status=document.status, headers=headers, body=document.body)

    def _document(self, path: str, web: WebRequest) -> Document:
        if path == "/oidc/token":
            return self.token(web)
        if path == "/oidc/userinfo":
            held = presented(web.headers.get("authorization"))
            token = self.provider.verify_access_token(held.token, self.now)
            return self.provider.userinfo(token, self.store.get("userinfo", token.jti))
        pages = {
            "/.well-known/openid-configuration": self.provider.configuration,
            "/oidc/jwks": self.provider.jwks,
        }
        return pages[path]()

    def token(self, web: WebRequest) -> Document:
        """The token endpoint: authenticate, claim the assertion, exchange code for tombstone, answer."""
        request = self.provider.token_request(web, self.now)
        if not all(self.store.claim(each) for each in request.claims):
            raise OAuthError("invalid_client", "the assertion was used before")
        assert not isinstance(request, ExchangeRequest)  # needs a region, see test_exchange.py
        if isinstance(request, SystemRequest):
            answer = self.provider.system_token(request, self.now).answer
            assert isinstance(answer, Document)
            return answer
        try:
            granted = self.provider.token(request, self.store.exchange(request.tombstone), self.now)
        except OAuthError as error:
            for kept in error.keep.items:
                self.store.put(kept)
            raise
        for kept in granted.keep.items:
            self.store.put(kept)
        assert isinstance(granted.answer, Document)
        return granted.answer


@dataclass
class Peer:
    """An ID system's provider that signs what a test wants; every member is a default to be overridden."""

    key: jose.SigningKey
    configuration: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | bytes | None = None
    userinfo_type: str = "application/json"
    jwks: Any = None
    statuses: dict[str, int] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    nonce: str = ""
    id_token: str | None = None
    asked: list[str] = field(default_factory=list)
    requests: list[HttpRequest] = field(default_factory=list)

    def default_claims(self) -> dict[str, Any]:
        """Claims of an ID token that is believed, with the test's overrides; a None leaves the claim out."""
        claims = {
            "iss": ISSUER,
            "sub": "resident-1",
            "aud": "kakehashi",
            "iat": int(NOW.timestamp()),
            "exp": int((NOW + timedelta(minutes=5)).timestamp()),
            "nonce": self.nonce,
        } | self.claims
        return {name: value for name, value in claims.items() if value is not None}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request of the connector."""
        path = urlsplit(request.url).path
        self.asked.append(path)
        self.requests.append(request)
        if path in self.down:
            raise RoadError("connection refused")
        bodies: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": ISSUER,
                "authorization_endpoint": ISSUER + "/authorize?tenant=1",
                "token_endpoint": ISSUER + "/token",
                "jwks_uri": ISSUER + "/keys",
            }
            | ({"userinfo_endpoint": ISSUER + "/userinfo"} if self.userinfo is not None else {})
            | self.configuration,
            "/keys": self.jwks if self.jwks is not None else {"keys": [self.key.public_jwk()]},
            "/token": {"access_token": "token-1", "token_type": "Bearer"}
            | {"id_token": self.id_token or jose.sign(self.default_claims(), self.key)}
            | self.tokens,
            "/userinfo": self.userinfo,
        }
        body = bodies[path]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = self.userinfo_type if path == "/userinfo" else "application/json"
        return HttpResponse(status=self.statuses.get(path, 200), headers={"content-type": kind}, body=raw)


def drive(exchange: Any, serve: Any) -> Any:
    """Run an `Exchange` against `serve`, as the gateway does with the network."""
    try:
        request = next(exchange)
        while True:
            try:
                response = serve(request)
            except RoadError as error:
                request = exchange.throw(error)
            else:
                request = exchange.send(response)
    except StopIteration as stop:
        return stop.value


def query(url: str) -> dict[str, str]:
    """The query of `url`, each parameter once."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


def arrival(**parameters: str) -> WebRequest:
    """The browser coming back to the connector."""
    return WebRequest(method="GET", url=CALLBACK, raw_query=urlencode(parameters))


IDENTIFIERS = Identifiers(IdentifierKeys(person=b"p" * 32, pairwise=b"w" * 32, sealing=b"s" * 32))


@functools.cache
def key(name: str, algorithm: str = "ES256") -> jose.SigningKey:
    """The key of that name, made once per run."""
    assert name
    return jose.SigningKey.generate(algorithm)


STRONG, WEAK = "urn:example:jpki", "urn:example:password"

SYSTEM = IdSystem(
    id="maebashi",
    kind="oidc",
    entity_id=ISSUER,
    municipality="102016",
    name={"ja": "前橋市", "en": "Maebashi City"},
    reading="まえばしし",
    description={},
    inward=InwardMap(),
    statements={
        STRONG: Assurance(identity=Level.THREE, authentication=Level.THREE),
        "urn:example:counter": Assurance(identity=Level.TWO, authentication=Level.TWO),
        WEAK: Assurance(identity=Level.ONE, authentication=Level.ONE),
    },
    default_assurance=Assurance(identity=Level.ONE, authentication=Level.ONE),
)

CLAIM_NAMES = ("name", "name#ja-Kana-JP", "email", "address.locality", "address.region", "residence", "card")


def service(client_id: str, **changes: Any) -> Service:
    """A relying service whose outward map has `CLAIM_NAMES`."""
    values: dict[str, Any] = {
        "id": client_id.removeprefix("https://").removesuffix(".example"),
        "kind": "oidc",
        "entity_id": client_id,
        "municipality": None,
        "name": {},
        "purpose": {},
        "outward": OutwardMap(rules=tuple(OutwardRule(to=to, sources=("familyName",)) for to in CLAIM_NAMES)),
        "minimum": Level.NONE,
        "consent_lifetime": timedelta(days=365),
        "scopes": frozenset({"council.polls.read", "council.polls.vote"}),
    }
    return Service(**values | changes)


def listed() -> Listed:
    """A trusted set with the ID system and both services."""
    found = Listed()
    found.add(ISSUER, Role.OPENID_PROVIDER)
    found.add(
        SERVICE,
        Role.OPENID_RELYING_PARTY,
        {
            "redirect_uris": [REDIRECT, SERVICE + "/other"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [key("service").public_jwk()]},
        },
    )
    found.add(
        LIBRARY,
        Role.OPENID_RELYING_PARTY,
        {
            "redirect_uris": [LIBRARY_REDIRECT],
            "token_endpoint_auth_method": "client_secret_basic",
            "id_token_signed_response_alg": "ES256",
        },
    )
    return found


@functools.cache
def certificate(name: str, algorithm: str = "ES256") -> bytes:
    """A certificate of the key of that name, DER."""
    signer = key(name) if algorithm == "ES256" else key(name, algorithm)  # as the cache tells them apart
    private = load_pem_private_key(signer.to_pem(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def provider(
    issuer: str = GATEWAY,
    trust: Listed | None = None,
    municipal: Mapping[str, System] | None = None,
    certificates: str | None = None,
    rules: ExchangeRules | None = None,
    **services: Service,
) -> OidcProvider:
    """Our provider with both services, or with `services` by client ID, and with `municipal` systems."""
    return OidcProvider(
        issuer=issuer,
        services=services or {SERVICE: service(SERVICE), LIBRARY: service(LIBRARY)},
        secrets={LIBRARY: hashlib.sha256(SECRET.encode()).hexdigest()},
        trust=trust or listed(),
        keys=ProviderKeys(rs256=key("gateway", "RS256"), es256=key("gateway")),
        municipal=municipal,
        certificates=certificates,
        identifiers=IDENTIFIERS,
        rules=rules,
    )


VERIFIER = "v" * 43


def asked(**changes: str | None) -> dict[str, str]:
    """Parameters of a good authentication request; None leaves one out."""
    parameters = {
        "response_type": "code",
        "client_id": SERVICE,
        "redirect_uri": REDIRECT,
        "scope": "openid profile council.polls.read",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": jose.s256(VERIFIER),
        "code_challenge_method": "S256",
    } | changes
    return {name: value for name, value in parameters.items() if value is not None}


def authorize(**changes: str | None) -> WebRequest:
    """A good authentication request by GET, changed."""
    return WebRequest(method="GET", url=GATEWAY + "/oidc/authorize", raw_query=urlencode(asked(**changes)))


def release(login: LoginRequest, **changes: Any) -> Release:
    """What the login flow releases: everything asked for."""
    values: dict[str, Any] = {
        "service": login.service,
        "subject": "pairwise-1",
        "person": "sealed-person",
        "attributes": {name: (f"{name} 髙橋",) for name in login.claims or ()},
        "assurance": Assurance(identity=Level.TWO, authentication=Level.THREE),
        "scopes": login.scopes,
        "consent": "consent-1",
        "authenticated_at": NOW - timedelta(seconds=9, microseconds=7),
    }
    return Release(**values | changes)


def granted_code(served: Served, web: WebRequest | None = None, **changes: Any) -> str:
    """Walk a request through to a code that is kept in the store."""
    login = served.provider.accept(web or authorize(), served.now)
    granted = served.provider.grant(login, release(login, **changes), served.now)
    for kept in granted.keep.items:
        served.store.put(kept)
    assert isinstance(granted.answer, Redirect)
    return query(granted.answer.location)["code"]


def assertion(signer: jose.SigningKey | None = None, typ: str = "JWT", **changes: Any) -> str:
    """A client assertion of the service; None leaves a claim out."""
    claims: dict[str, Any] = {
        "iss": SERVICE,
        "sub": SERVICE,
        "aud": GATEWAY,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "jti": "jti-1",
    } | changes
    return jose.sign({k: v for k, v in claims.items() if v is not None}, signer or key("service"), typ)


def exchange_form(issued: str, **changes: str | None) -> dict[str, str]:
    """The fields of a good token request by assertion; None leaves one out."""
    fields = {
        "grant_type": "authorization_code",
        "code": issued,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(),
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def post(fields: Mapping[str, str], **headers: str) -> WebRequest:
    """A token request."""
    return WebRequest(method="POST", url=GATEWAY + "/oidc/token", form=list(fields.items()), headers=headers)
