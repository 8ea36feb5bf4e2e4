"""Ends sessions that began with a certificate, soon after that certificate was revoked.

For each of them is remembered, sealed in the store, what is needed to ask again. One node at a time asks, every
`SWEEP_SECONDS`, about each certificate anew, as long as sessions that began with it may be in force. Whoever was
revoked is signed out everywhere, so within `SWEEP_SECONDS` and the time that asking takes; a node that dies is replaced
after `LEASE`. An issuer that cannot be asked ends nothing: then sessions end at their own time, and the log says so.

And knows, for each person, since when their newest certificate is valid: one that was issued before counts no more.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from cryptography import x509

from federation.certificate.model import RevocationPolicy, Standing, StatusQuestion
from federation.identifiers import PersonRef
from federation.refusal import Unavailable
from federation.web import Json
from gateway.asking import Statuses
from gateway.clock import Clock
from gateway.store import Store
from observability.events import EndReason

log = structlog.get_logger("gateway.certificate_watch")

SWEEP_SECONDS = 20.0
"""How often each certificate is asked about."""

FRESH = timedelta(seconds=SWEEP_SECONDS / 2)
"""What was learned at the last sweep is old at this one; what a sign-in learned just now is not."""

LEASE = timedelta(seconds=SWEEP_SECONDS + 10)
"""How long a node that died keeps the others from asking. Two at once would do no harm."""

TURN_SECONDS = 5.0
"""How often the other nodes look whether it is their turn."""

RENEWAL_SECONDS = 10.0
"""How often a node that asks renews its lease meanwhile."""

AT_ONCE = 32
"""Questions under way."""


class End(Protocol):
    """Ends every session of a person (`Ending.end_person`)."""

    def __call__(self, person: PersonRef, reason: EndReason, *, staying: bool = False) -> Awaitable[int]:
        """How many it were. `staying`: the person signs in at this moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A certificate with which sessions began, until `until`; `system` is the ID system's id."""

    person: PersonRef = field(repr=False)
    system: str
    certificate: bytes = field(repr=False)
    issuer: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """Under which it is kept: the same for the same certificate of the same person."""
        digest = hashlib.sha256(self.certificate).hexdigest()
        return hashlib.sha256(f"{self.person} {self.system} {digest}".encode()).hexdigest()

    def to_json(self) -> Json:
        """A JSON object from which `watched_from_json` makes an equal value."""
        return {
            "person": self.person,
            "system": self.system,
            "certificate": base64.b64encode(self.certificate).decode(),
            "issuer": base64.b64encode(self.issuer).decode(),
        }


def watched_from_json(data: Json) -> Watched:
    """What `Watched.to_json` wrote."""
    return Watched(
        person=PersonRef(data["person"]),
        system=data["system"],
        certificate=base64.b64decode(data["certificate"]),
        issuer=base64.b64decode(data["issuer"]),
    )


class CertificateWatch:
    """Watches in one process. `policies` answers how revocation is asked of each ID system (by id) in force now.

    `name` tells the gateways apart that share a store: the public address.
    """

    def __init__(
        self,
        *,
        store: Store,
        statuses: Statuses,
        end: End,
        policies: Callable[[], Mapping[str, RevocationPolicy]],
        name: str,
        clock: Clock,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._store = store
        self._statuses = statuses
        self._end = end
        self._policies = policies
        self._lease_name = f"{name} /certificates"  # beside those of lists, whose names hold no slash
        self._clock = clock
        self._seconds = sweep_seconds
        self._me = secrets.token_hex(16)
        self._unanswered = 0
        self._leads = False

    async def newest(self, person: PersonRef, not_before: datetime) -> datetime:
        """Since when the person's newest certificate is valid, of all that signed in, this one included.

        A certificate that is older was replaced, and the sessions that there are began with one: they end.
        On disk when this returns. To be called before the new session is remembered. Raises `Unavailable`.
        """
        newest, rises = await self._store.newest_certificate(person, not_before)
        if rises:
            ended = await self._end(person, EndReason.CERTIFICATE_REVOKED, staying=True)
            log.info("certificate-replaced", count=ended)
        return newest

    async def run(self) -> None:
        """Sweep until cancelled. A fault is logged, and the next sweep comes."""
        away = False
        try:
            while True:
                begun = asyncio.get_running_loop().time()
                try:
                    await self.sweep()
                    away = False
                except Unavailable as fault:
                    if not away:
                        log.warning("certificates-not-watched", detail=fault.detail)
                    away = True
                except Exception:
                    log.exception("certificate-watch-fault")
                took = asyncio.get_running_loop().time() - begun
                pause = self._seconds if self._leads else min(self._seconds, TURN_SECONDS)
                await asyncio.sleep(max(pause - took, self._seconds / 20))
        finally:
            await self._let_go()

    async def sweep(self) -> int:
        """Ask about every certificate, if no other node does; how many people were signed out. Raises `Unavailable`."""
        self._leads = await self._store.lease(self._lease_name, self._me, LEASE)
        if not self._leads:
            return 0
        renewing = asyncio.create_task(self._renew(), name="certificate-watch-lease")
        try:
            return await self._ask_all()
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _ask_all(self) -> int:
        policies, turns, unanswered, ended = self._policies(), asyncio.Semaphore(AT_ONCE), 0, 0

        async def one(value: Json) -> None:
            nonlocal unanswered, ended
            async with turns:
                standing = await self._standing(watched := watched_from_json(value), policies)
                if standing is None:
                    unanswered += 1
                if standing is Standing.REVOKED:
                    await self._sign_out(watched)
                    ended += 1

        faults: list[BaseException] = []
        async for found in self._store.watched_certificates(self._clock()):
            outcomes = await asyncio.gather(*map(one, found), return_exceptions=True)
            faults += [each for each in outcomes if isinstance(each, BaseException)]
        if faults:  # of one of them; all the others were asked about
            raise faults[0]
        if bool(unanswered) != bool(self._unanswered):
            log.warning("certificates-unanswered", count=unanswered)
        self._unanswered = unanswered
        return ended

    async def _standing(self, watched: Watched, policies: Mapping[str, RevocationPolicy]) -> Standing | None:
        """What is known of a certificate now."""
        policy = policies.get(watched.system)
        if policy is None:  # the ID system is gone, and with it, soon, its sessions (`ending.py`)
            return Standing.GOOD
        question = StatusQuestion(
            certificate=x509.load_der_x509_certificate(watched.certificate),
            issuer=x509.load_der_x509_certificate(watched.issuer),
            policy=replace(policy, fresh_within=min(policy.fresh_within or FRESH, FRESH)),
        )
        return (await self._statuses.status(question)).standing

    async def _sign_out(self, watched: Watched) -> None:
        """End the person's sessions, and watch the certificate no more.

        Ended is once before, so that nothing is forgotten if this process dies in between, and once after: a session
        that was remembered meanwhile is ended then, or is watched anew.
        """
        await self._end(watched.person, EndReason.CERTIFICATE_REVOKED)
        await self._store.unwatch_certificate(watched.key)
        await self._end(watched.person, EndReason.CERTIFICATE_REVOKED)
        log.info("certificate-revoked", id_system=watched.system)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                await self._store.lease(self._lease_name, self._me, LEASE)
            except Unavailable:
                continue

    async def _let_go(self) -> None:
        try:
            await self._store.release(self._lease_name, self._me)
        except Unavailable:
            return
