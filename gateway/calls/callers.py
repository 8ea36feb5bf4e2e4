"""Who calls, remembered by the hash of their token: a token's signature is verified once in each process.

What can change while a token lives is asked again: whether it was revoked at every call, in memory, and whether the
lists, the agreements and the configuration still let it count after `STANDING`, or at once when the region was
replaced. The memory holds no token: whoever reads it learns nothing that could be sent.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from federation.callers import Caller
from federation.oidc.presented import Presented, Scheme, presented
from federation.oidc.tokens import AccessToken
from federation.refusal import Refusal, TokenInvalid
from federation.routes import ApiService
from gateway.region import Region
from gateway.revocations import Revocations

STANDING = timedelta(seconds=1)
"""For how long it is not asked again whether whoever vouched for a caller is still trusted."""

LONG_STANDING = timedelta(seconds=10)
"""The same for calls that go on for long, of which there may be thousands."""

REUSED = timedelta(seconds=30)
"""For how long one assertion serves: half of its life, so that a service always has the other half."""

MOST_CALLERS = 20_000
"""Callers that are remembered in one process; beyond it the one that came first is forgotten."""

MOST_ASSERTIONS = 32
"""Assertions that are remembered for one caller."""


MOST_PASSES = 32
"""Calls that are remembered for one caller, each with its path."""

LONGEST_PATH = 512
"""Characters of the longest path that is remembered: callers choose them."""

USUAL = ("Bearer ", "bearer ", "DPoP ", "dpop ")
"""How a token is written beside its scheme. Other spellings, of which there are any number, are read each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What came of the rules for a call without a body that changes nothing; until then it is not asked again."""

    service: ApiService
    assertion: str = field(repr=False)
    since: datetime
    until: datetime


@dataclass(slots=True, kw_only=True)
class Known:
    """A caller whose token was verified, and when it was last asked whether it still counts."""

    scheme: Scheme
    token: AccessToken
    caller: Caller
    region: Region
    asked: datetime
    until: datetime
    assertions: dict[object, tuple[datetime, str]] = field(default_factory=dict)
    passes: dict[tuple[str, str], Pass] = field(default_factory=dict)
    looked: tuple[Region, datetime] | None = None

    @property
    def as_it_is(self) -> bool:
        """Whether the token alone is enough: it is bound to nothing, and nobody says that it is."""
        return self.caller.binding is None and self.scheme is Scheme.BEARER

    def passed(self, method: str, path: str, now: datetime) -> Pass | None:
        """What the rules said of the same call a moment ago."""
        held = self.passes.get((method, path))
        return held if held is not None and held.since <= now < held.until else None

    def remember(self, method: str, path: str, held: Pass) -> None:
        """Remember what the rules said of a call."""
        if len(path) > LONGEST_PATH:
            return
        if len(self.passes) >= MOST_PASSES:
            self.passes.clear()
        self.passes[method, path] = held

    def assertion(self, key: object, now: datetime, make: Callable[[], str]) -> str:
        """The assertion of `key` (for whom, as whom), made anew when it is older than `REUSED`."""
        held = self.assertions.get(key)
        if held is not None and timedelta() <= now - held[0] < REUSED:
            return held[1]
        if len(self.assertions) >= MOST_ASSERTIONS:
            self.assertions.clear()
        made = make()
        self.assertions[key] = (now, made)
        return made


class Callers:
    """The callers that one process knows."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations
        self._known: dict[bytes, Known] = {}
        self._council: tuple[Region, datetime, frozenset[str]] | None = None

    def council(self, region: Region, now: datetime) -> frozenset[str]:
        """The members of the council, asked of the lists again after `STANDING`."""
        held = self._council
        if held is None or held[0] is not region or not timedelta() <= now - held[1] < STANDING:
            held = self._council = (region, now, region.council(now))
        return held[2]

    def find(self, credentials: Sequence[str], region: Region, now: datetime) -> Known:
        """Whoever shows these values of the `Authorization` header.

        Of a header sent twice the values are joined (RFC 9110 §5.3), and are no token. Raises `TokenMissing`,
        `TokenInvalid`, `ConsentWithdrawn`.
        """
        said = ", ".join(credentials)
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is None or known.region is not region:
            self._known.pop(digest, None)
            shown = presented(said)
            known = self._verified(shown, region, now)
            if said in [scheme + shown.token for scheme in USUAL]:
                if len(self._known) >= MOST_CALLERS:
                    del self._known[next(iter(self._known))]
                self._known[digest] = known
        elif now >= known.token.expires_at:
            del self._known[digest]
            raise TokenInvalid("exp")
        elif not known.asked <= now < known.until:
            caller = region.caller(known.token, now)
            if caller != known.caller:  # say, a list lowered what its ID system's word counts for
                known.assertions.clear()
            known.caller = caller
            known.asked, known.until = now, now + STANDING
            known.passes.clear()
        self._revocations.check(known.token, known.caller.person)
        return known

    def still(self, known: Known, region: Region, now: datetime) -> bool:
        """Whether what was found would be found again, asked of the lists every `LONG_STANDING`: for what goes on.

        It changes nothing of what further calls go by.
        """
        if now >= known.token.expires_at:
            return False
        try:
            looked_in, at = known.looked or (known.region, known.asked)
            if looked_in is not region or not timedelta() <= now - at < LONG_STANDING:
                region.caller(known.token, now)
                known.looked = region, now
            self._revocations.check(known.token, known.caller.person)
        except Refusal:
            return False
        return True

    def revoked(self, known: Known) -> bool:
        """Whether the token was ended, or the consent that it rests on withdrawn."""
        try:
            self._revocations.check(known.token, known.caller.person)
        except Refusal:
            return True
        return False

    def _verified(self, shown: Presented, region: Region, now: datetime) -> Known:
        access = region.openid_provider.verify_access_token(shown.token, now)
        caller = region.caller(access, now)
        return Known(scheme=shown.scheme, token=access, caller=caller, region=region, asked=now, until=now + STANDING)
