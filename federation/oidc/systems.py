"""Tokens for municipalities' own systems, in their own name (client credentials, RFC 6749 §4.4).

Which municipality a system is of, and by which keys it proves itself, is said by the list that names it as a member of
the council; which scopes it may have, by the configuration here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from federation.callers import Binding
from federation.model import Kept
from federation.oidc.client_auth import PartyAuthentication
from federation.oidc.oauth import OAuthError
from federation.oidc.parties import Parties, System
from federation.ports import TrustPort
from federation.web import WebRequest
from trust_lists.model import Role

GRANT_TYPE = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRequest:
    """A system's request whose sender is authenticated. `claims` must each be claimed once, else it is a replay."""

    client_id: str
    municipality: str
    scopes: tuple[str, ...]
    claims: tuple[Kept, ...] = field(default=(), repr=False)
    binding: Binding | None = None


class Systems:
    """The configured systems, by client ID; `audiences` are the names by which an assertion may call this provider."""

    def __init__(self, systems: Mapping[str, System], trust: TrustPort, audiences: frozenset[str]) -> None:
        self._systems = systems
        parties = Parties(dict.fromkeys(systems, Role.COUNCIL_MEMBER), trust)
        self._authentication = PartyAuthentication(parties=parties, audiences=audiences)

    @property
    def scopes(self) -> frozenset[str]:
        """Every scope that some system may have."""
        return frozenset(scope for system in self._systems.values() for scope in system.scopes)

    def request(self, web: WebRequest, parameters: Mapping[str, str], resource: str, now: datetime) -> SystemRequest:
        """Read a request for a token; `resource` is what tokens are for. Raises `OAuthError`."""
        who = self._authentication.authenticate(web, parameters, now)
        party = who.client
        if party.municipality is None:
            raise OAuthError("unauthorized_client", "the list says no municipality of it", detail="municipality")
        if parameters.get("resource", resource) != resource:
            raise OAuthError("invalid_target", f"tokens are for {resource}")  # RFC 8707 §2
        allowed = self._systems[party.client_id].scopes
        asked = tuple(dict.fromkeys(parameters["scope"].split())) if "scope" in parameters else tuple(sorted(allowed))
        if not asked or not allowed.issuperset(asked):
            raise OAuthError("invalid_scope", "the system may not have one of these scopes")
        return SystemRequest(
            client_id=party.client_id,
            municipality=party.municipality,
            scopes=asked,
            claims=() if who.claim is None else (who.claim,),
        )
