"""Access tokens that ended before their time: every process knows of them, so no call has to ask the store.

Whoever ends something adds it to the store once; each process reads on from where it was, every `LEARN_SECONDS`, and
holds it as long as such a token could live. While the store is away a process keeps to what it knows, and catches up;
one that knows nothing yet answers no token that is older than itself.
A person's end covers each of their tokens that is older, remembered by a session or not; a consent that they withdrew
covers those of one service.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog

from federation.identifiers import PersonRef
from federation.oidc.grants import ACCESS_LIFETIME, CODE_LIFETIME
from federation.oidc.jose import LEEWAY
from federation.oidc.tokens import AccessToken
from federation.refusal import CallUnavailable, ConsentWithdrawn, TokenInvalid, Unavailable
from federation.web import Json
from gateway.clock import Clock
from gateway.store import Store

log = structlog.get_logger("gateway.revocations")

LEARN_SECONDS = 0.5
"""How often a process asks for what the others ended."""

LIFETIME = CODE_LIFETIME + ACCESS_LIFETIME + LEEWAY
"""For how long a token may live whose end was said: its code may not even have been exchanged."""


class Revocations:
    """What one process knows of tokens that are over."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._place = ""
        self._since = clock()
        self._knows = False
        self._tokens: dict[str, datetime] = {}
        self._people: dict[PersonRef, tuple[datetime, datetime]] = {}
        self._consents: dict[tuple[PersonRef, str], tuple[datetime, datetime]] = {}

    async def revoke(
        self, tokens: Iterable[str] = (), *, person: PersonRef | None = None, staying: bool = False
    ) -> None:
        """End access tokens by their `jti`, and every one that `person` was given until now. Raises `Unavailable`.

        `staying`: the person gets others at this moment, which stay. What tokens say of their time is in whole seconds,
        so those of this second are then ended by their `jti` alone.
        """
        fresh = [token for token in tokens if token not in self._tokens]
        if not fresh and person is None:
            return
        now = self._clock()
        said = {"tokens": fresh, "person": person, "at": now.timestamp() - staying}
        await self._store.add_revocation(said, LIFETIME)
        self._hold(said, now)

    async def withdraw(self, person: PersonRef, client: str) -> None:
        """End every token that a service (its client ID) was given for `person` until now. Raises `Unavailable`."""
        now = self._clock()
        said = {"tokens": [], "person": person, "client": client, "at": now.timestamp()}
        await self._store.add_revocation(said, LIFETIME)
        self._hold(said, now)

    def check(self, token: AccessToken, person: PersonRef | None) -> None:
        """Refuse a token that is over; `person` is whose it is. Raises `TokenInvalid`, `ConsentWithdrawn`.

        `CallUnavailable` for one that is older than this process, until what ended before was read once.

        One that came of another by exchange ends with it, and with the consent that the first one rests on; it never
        lives longer, so it counts as no younger.
        """
        if token.jti in self._tokens or (token.ancestors and not self._tokens.keys().isdisjoint(token.ancestors)):
            raise TokenInvalid("revoked")
        if person is not None and (self._people or self._consents):
            self._check_person(token, person)
        if not self._knows and token.expires_at - ACCESS_LIFETIME <= self._since:
            raise CallUnavailable("revocations are not read yet")

    def _check_person(self, token: AccessToken, person: PersonRef) -> None:
        issued = token.expires_at - ACCESS_LIFETIME
        ended = self._people.get(person)
        if ended is not None and issued <= ended[0]:
            raise TokenInvalid("revoked")
        withdrawn = self._consents.get((person, token.consented))
        if withdrawn is not None and issued <= withdrawn[0]:
            raise ConsentWithdrawn

    async def learn(self) -> None:
        """Read what was added since the last time, and let go of what is too old to matter. Raises `Unavailable`."""
        now = self._clock()
        while True:
            place, found = await self._store.revocations(self._place)
            if place == self._place:
                break
            self._place = place
            for said in found:
                self._hold(said, now)
        self._knows = True
        self._tokens = {token: until for token, until in self._tokens.items() if now < until}
        self._people = {person: held for person, held in self._people.items() if now < held[1]}
        self._consents = {consent: held for consent, held in self._consents.items() if now < held[1]}

    async def run(self) -> None:
        """Learn until cancelled."""
        away = False
        while True:
            try:
                await self.learn()
                away = False
            except Unavailable as fault:
                if not away:
                    log.warning("revocations-not-read", detail=fault.detail)
                away = True
            except Exception:
                log.exception("revocations-fault")
            await asyncio.sleep(LEARN_SECONDS)

    def _hold(self, said: Json, now: datetime) -> None:
        until = now + LIFETIME
        self._tokens.update(dict.fromkeys(said["tokens"], until))
        if said["person"] is None:
            return
        person, at = PersonRef(said["person"]), datetime.fromtimestamp(said["at"], UTC)
        if "client" in said:
            consent = (person, said["client"])
            self._consents[consent] = _later(self._consents.get(consent), at, until)
        else:
            self._people[person] = _later(self._people.get(person), at, until)


def _later(before: tuple[datetime, datetime] | None, at: datetime, until: datetime) -> tuple[datetime, datetime]:
    return (at if before is None else max(at, before[0]), until)
