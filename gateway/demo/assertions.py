"""How a shared service knows who calls: by the identity assertion that the gateway puts on every call.

The resident's own token never gets here; the service sees a subject that only it knows, and what it needs
to decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.clock import Clock, now
from gateway.demo.peer import HTTP, PeerError, RemoteKeys

HEADER = "Kakehashi-Assertion"
LEEWAY = 10
"""Seconds that two clocks may differ."""

LONGEST_LIFE = 60
"""Seconds between `iat` and `exp` of an assertion that is accepted."""


class AssertionRefusedError(Exception):
    """The call has no assertion, or one that is not to be believed; the text names the check that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Who calls, as far as this service needs to know.

    `subject` is this service's own, or one for the single occasion `context`; None where the route shows nobody.
    `facts` are what the gateway found to be true of them, of what they agreed that this service is told.
    """

    subject: str | None
    municipality: str
    context: str | None = None
    facts: frozenset[str] = frozenset()

    @property
    def somebody(self) -> str:
        """The subject. Raises `AssertionRefusedError` where nobody is shown."""
        if self.subject is None:
            raise AssertionRefusedError("sub is missing")
        return self.subject

    def voice(self, context: str) -> str:
        """The subject for that occasion. Raises `AssertionRefusedError` where it is one for another, or for none."""
        if self.context != context:
            raise AssertionRefusedError("context is not as expected")
        return self.somebody


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    issuer: str
    audience: str
    time: float


Check = tuple[str, Callable[[Mapping[str, Any], _Context], bool]]

CHECKS: tuple[Check, ...] = (
    ("iss", lambda c, x: c.get("iss") == x.issuer),
    ("aud", lambda c, x: c.get("aud") in (x.audience, [x.audience])),
    ("sub", lambda c, _: c.get("sub") is None or (isinstance(c["sub"], str) and bool(c["sub"]))),
    ("municipality", lambda c, _: isinstance(c.get("municipality"), str)),
    ("attributes", lambda c, _: isinstance(c.get("attributes", {}), dict)),
    ("iat", lambda c, x: _number(c, "iat") and c["iat"] <= x.time + LEEWAY),
    ("exp", lambda c, x: _number(c, "exp") and c["exp"] > x.time - LEEWAY),
    ("life", lambda c, _: c["exp"] - c["iat"] <= LONGEST_LIFE),
)
"""The claims that are checked, in order.

`jti`, `acr` and `client_id` are knowingly unchecked: nothing hangs on them here.
"""


def _number(claims: Mapping[str, Any], name: str) -> bool:
    return isinstance(claims.get(name), int | float)


class AssertionVerifier:
    """Verifies assertions of one gateway for one service."""

    def __init__(self, *, issuer: str, audience: str, clock: Clock = now) -> None:
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys = RemoteKeys(f"{issuer}/.well-known/kakehashi-assertion-jwks.json")

    async def resident(self, request: web.Request) -> Resident:
        """Who calls. Raises `AssertionRefusedError`."""
        tokens = request.headers.getall(HEADER, [])
        if len(tokens) != 1:
            raise AssertionRefusedError("exactly one assertion is expected")
        try:
            _, claims = await self._keys.claims(request.app[HTTP], tokens[0], algorithms=("ES256",))
        except PeerError as fault:
            raise AssertionRefusedError(str(fault)) from fault
        context = _Context(issuer=self._issuer, audience=self._audience, time=self._clock().timestamp())
        for name, holds in CHECKS:
            if not holds(claims, context):
                raise AssertionRefusedError(f"{name} is not as expected")
        told = claims.get("attributes", {})
        return Resident(
            subject=claims.get("sub"),
            municipality=claims["municipality"],
            context=claims.get("context"),
            facts=frozenset(name for name, value in told.items() if value is True),
        )
