"""What a trust list leaves of what an OpenID provider announces, and holding a login to it.

A federation resolves a provider's metadata under its policies (OpenID Federation 1.0 §6.1); what it narrowed there
binds, whatever the provider's own discovery document says. An address that the list states is the only one; of what the
provider supports only that counts which the list permits. A list that states nothing narrows nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from federation.oidc.discovery import ProviderMetadata
from federation.refusal import IdSystemAnswerRefused, IdSystemNotTrusted

Permitted = Mapping[str, tuple[str, ...]]
"""Values by metadata name, as in `TrustedEntity.permitted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How the gateway speaks to the provider: it cannot do otherwise. `algorithm` signs its client assertions."""

    authentication: str
    algorithm: str | None = None


NEEDED: tuple[tuple[str, Callable[[Ways], str | None]], ...] = (
    ("response_types_supported", lambda _: "code"),
    ("response_modes_supported", lambda _: "query"),
    ("grant_types_supported", lambda _: "authorization_code"),
    ("code_challenge_methods_supported", lambda _: "S256"),
    ("scopes_supported", lambda _: "openid"),
    ("token_endpoint_auth_methods_supported", lambda ways: ways.authentication),
    ("token_endpoint_auth_signing_alg_values_supported", lambda ways: ways.algorithm),
)
"""What must be permitted of each name that the list states, or there is no login."""


def bound(metadata: ProviderMetadata, permitted: Permitted, ways: Ways) -> ProviderMetadata:
    """Hold what a provider announces against the list.

    Raises `IdSystemNotTrusted` (`not-permitted:NAME`) where the list leaves no way that the gateway could go, and
    `IdSystemAnswerRefused` (`discovery:NAME-not-listed`) where the provider announces only what the list leaves out.
    """
    for name, needed in NEEDED:
        wanted = needed(ways)
        if wanted is not None and name in permitted and wanted not in permitted[name]:
            raise IdSystemNotTrusted(f"not-permitted:{name}")
    for name, announced in metadata.announced.items():
        if announced and not left(name, announced, permitted):
            raise IdSystemAnswerRefused(f"discovery:{name}-not-listed")
    algorithms = left(_ID_TOKEN, metadata.algorithms, permitted)
    if not algorithms:
        raise IdSystemAnswerRefused(f"discovery:{_ID_TOKEN}-not-listed")
    return replace(
        metadata,
        authorization_endpoint=_address("authorization_endpoint", metadata.authorization_endpoint, permitted) or "",
        token_endpoint=_address("token_endpoint", metadata.token_endpoint, permitted) or "",
        userinfo_endpoint=_address("userinfo_endpoint", metadata.userinfo_endpoint, permitted),
        jwks_uri=_address("jwks_uri", metadata.jwks_uri, permitted),
        names_itself=metadata.names_itself or permitted.get(_NAMES_ITSELF) == ("true",),
        algorithms=algorithms,
        userinfo_algorithms=left(
            _USERINFO if _USERINFO in permitted else _ID_TOKEN, metadata.userinfo_algorithms, permitted
        ),
    )


_NAMES_ITSELF = "authorization_response_iss_parameter_supported"
_ID_TOKEN = "id_token_signing_alg_values_supported"  # noqa: S105 - a name of metadata
_USERINFO = "userinfo_signing_alg_values_supported"


def left(name: str, values: tuple[str, ...], permitted: Permitted) -> tuple[str, ...]:
    """Answer those values that the list permits under that name."""
    return tuple(value for value in values if name not in permitted or value in permitted[name])


def _address(name: str, announced: str | None, permitted: Permitted) -> str | None:
    stated = permitted.get(name)
    if stated is None:
        return announced
    if announced is None:
        return stated[0] if len(stated) == 1 else None
    if announced not in stated:
        raise IdSystemAnswerRefused(f"discovery:{name}-not-listed")
    return announced
