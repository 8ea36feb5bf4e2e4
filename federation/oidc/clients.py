"""The services that speak OpenID Connect: configured here, vouched for and described by a list in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from federation.model import Service
from federation.oidc import logout_token
from federation.oidc.jose import ALGORITHMS, PublicKeys
from federation.oidc.oauth import is_acceptable
from federation.ports import TrustPort
from trust_lists.model import NotTrustedError, Role, TrustedEntity

AUTHENTICATION_METHODS = ("private_key_jwt", "client_secret_basic")
ID_TOKEN_ALGORITHMS = ("RS256", "ES256")


class UnknownClientError(Exception):
    """No such client: not configured, not listed, or listed with unusable metadata; `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A service with its registered metadata (RFC 7591 §2, OIDC Registration §2).

    `assertion_algorithms` are what a `private_key_jwt` client may sign with; `keys` is empty for a client
    with a secret. `logout_address` is where it wants to be told of sessions that end.
    """

    client_id: str
    service: Service
    redirect_uris: tuple[str, ...]
    authentication: str
    id_token_algorithm: str
    assertion_algorithms: tuple[str, ...]
    keys: PublicKeys = field(repr=False)
    logout_address: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """How it may authenticate: in the one registered way."""
        return (self.authentication,)


class Clients:
    """Finds a client by its ID. A configured service that no list in force names is not found."""

    def __init__(self, services: Mapping[str, Service], trust: TrustPort) -> None:
        self._services = services
        self._trust = trust
        self._read: dict[str, tuple[TrustedEntity, RegisteredClient]] = {}

    def find(self, client_id: str, at: datetime) -> RegisteredClient:
        """The client `client_id` as the lists in force at `at` know it. Raises `UnknownClientError`."""
        service = self._services.get(client_id)
        if service is None:
            raise UnknownClientError("not-configured")
        try:
            entity = self._trust.find(client_id, Role.OPENID_RELYING_PARTY, at)
        except NotTrustedError as error:
            raise UnknownClientError(error.code) from error
        known = self._read.get(client_id)
        if known is None or known[0] is not entity:  # a newer list brings another one
            known = self._read[client_id] = (entity, _registered(client_id, service, entity))
        return known[1]


def _registered(client_id: str, service: Service, entity: TrustedEntity) -> RegisteredClient:
    """Read the list's entry. Defaults are those of OIDC Registration §2."""
    metadata = entity.metadata
    redirect_uris = metadata.get("redirect_uris")
    if not isinstance(redirect_uris, list | tuple) or not all(
        is_acceptable(uri, loopback_http=True) for uri in redirect_uris
    ):
        raise UnknownClientError("metadata:redirect_uris")
    authentication = metadata.get("token_endpoint_auth_method", "client_secret_basic")
    if authentication not in AUTHENTICATION_METHODS:
        raise UnknownClientError("metadata:token_endpoint_auth_method")
    id_token_algorithm = metadata.get("id_token_signed_response_alg", "RS256")
    if id_token_algorithm not in ID_TOKEN_ALGORITHMS:
        raise UnknownClientError("metadata:id_token_signed_response_alg")
    registered = metadata.get("token_endpoint_auth_signing_alg")
    algorithms = tuple(a for a in ALGORITHMS if registered in (None, a))
    try:
        keys = PublicKeys.from_jwks(metadata.get("jwks", {"keys": []}))
    except ValueError:
        raise UnknownClientError("metadata:jwks") from None
    return RegisteredClient(
        client_id=client_id,
        service=service,
        redirect_uris=tuple(redirect_uris),
        authentication=authentication,
        id_token_algorithm=id_token_algorithm,
        assertion_algorithms=algorithms,
        keys=keys,
        logout_address=logout_token.address(metadata),
    )
