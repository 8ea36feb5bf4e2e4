"""Texts that residents are asked to sign, as they are kept: the order, the browser, the round with a phone, the end.

Each part is under the order's id in a kind of its own, so that no step can overwrite another's: an order is written
once, a browser binds itself once, a request is answered once (taken), an end is put once.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from federation.certificate.model import Asked, Device
from federation.certificate.request import asked_from_json, asked_to_json
from federation.certificate.transaction import KEPT, Order, order_from_json
from federation.model import Keep, Kept
from federation.web import Json
from gateway.store import AlreadyClaimedError, Store

ORDER, BROWSER, ROUND, REQUEST, ANSWER, END, TROUBLE, TRIES = (
    f"signing-{each}" for each in ("order", "browser", "round", "request", "answer", "end", "trouble", "tries")
)
"""Kinds of what is kept."""

OPEN = timedelta(hours=1)
"""How long the resident may take to open the page and sign."""

ANSWERED = timedelta(minutes=5)
"""How long the person may take from the phone's answer to the code that it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """An order under its id, which stands in the page's address and is known to the service and its visitor."""

    id: str = field(repr=False)
    order: Order
    begun_at: datetime

    @property
    def open_until(self) -> datetime:
        """When the page's time is over."""
        return self.begun_at + OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One try with a phone: the references of its two requests, the number to compare, its end."""

    across: str = field(repr=False)
    here: str = field(repr=False)
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How far a signing is: all that is kept beside the order."""

    browser: str | None
    round: Round | None
    answer: Json | None = field(repr=False)
    end: Json | None = field(repr=False)
    trouble: Json | None

    @property
    def agreed(self) -> bool:
        """Whether somebody agreed to sign before."""
        return self.browser is not None


class Signings:
    """What is kept, as operations. Each raises `Unavailable` while the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, signing: Signing) -> None:
        """Keep an order."""
        value = {**signing.order.to_json(), "begun_at": signing.begun_at.timestamp()}
        await self._keep(ORDER, signing.id, value, KEPT)

    async def find(self, signing_id: str) -> Signing | None:
        """The order of that id."""
        kept = await self._store.read(ORDER, signing_id)
        if kept is None:
            return None
        order = {name: value for name, value in kept.items() if name != "begun_at"}
        return Signing(
            id=signing_id, order=order_from_json(order), begun_at=datetime.fromtimestamp(kept["begun_at"], UTC)
        )

    async def stage(self, signing: Signing) -> Stage:
        """How far it is."""
        kinds = (BROWSER, ROUND, ANSWER, END, TROUBLE)
        browser, turn, answer, end, trouble = await self._store.read_all(*((kind, signing.id) for kind in kinds))
        return Stage(
            browser=None if browser is None else browser["browser"],
            round=None if turn is None else _round(turn),
            answer=answer,
            end=end,
            trouble=trouble,
        )

    async def bind(self, signing: Signing, browser: str) -> bool:
        """Bind it to a browser; False if it is another one's."""
        if await self._once(BROWSER, signing.id, {"browser": browser}, OPEN):
            return True
        kept = await self._store.read(BROWSER, signing.id)
        return kept is not None and hmac.compare_digest(kept["browser"], browser)

    async def ask(self, signing: Signing, requests: Sequence[Asked], now: datetime) -> None:
        """Begin a round: the requests can be answered until they are over, those of an earlier round no more."""
        before = await self._store.read(ROUND, signing.id)
        if before is not None:
            await self._forget_requests(_round(before))
        by_device = {asked.device: asked for asked in requests}
        across, here = by_device[Device.CROSS], by_device[Device.SAME]
        lifetime = across.expires_at - now
        value = {
            "across": across.reference,
            "here": here.reference,
            "code": across.code,
            "expires_at": across.expires_at.timestamp(),
        }
        items = [Kept(kind=REQUEST, key=a.reference, value=asked_to_json(a), lifetime=lifetime) for a in requests]
        await self._store.forget(TROUBLE, signing.id)
        items.append(Kept(kind=ROUND, key=signing.id, value=value, lifetime=lifetime))
        await self._store.keep(Keep(items=tuple(items)))

    async def asked(self, reference: str) -> Asked | None:
        """The request of that reference, while it can be answered."""
        kept = await self._store.read(REQUEST, reference)
        return None if kept is None else asked_from_json(kept)

    async def tried(self, what: str) -> int:
        """How often something was tried, this time included."""
        return await self._store.count(TRIES, what, OPEN)

    async def answer(self, signing: Signing, asked: Asked, value: Json, now: datetime) -> bool:
        """Keep what a phone signed until the browser is known to be the person's; False if it was answered before."""
        if await self._store.take(REQUEST, asked.reference) is None:
            return False
        kept = {**value, "device": asked.device.value, "until": (now + ANSWERED).timestamp()}
        return await self._once(ANSWER, signing.id, kept, ANSWERED)

    async def end(self, signing: Signing, value: Json) -> bool:
        """End it: what the service then reads; False if it had ended."""
        ended = await self._once(END, signing.id, value, KEPT)
        await self._clean(signing)
        return ended

    async def take_answer(self, signing: Signing) -> Json | None:
        """What a phone signed, for whoever takes it first."""
        return await self._store.take(ANSWER, signing.id)

    async def trouble(self, signing: Signing, notice: tuple[str, str]) -> None:
        """Remember for the page why the last answer did not count: title and advice."""
        await self._keep(TROUBLE, signing.id, {"notice": list(notice)}, ANSWERED)

    async def forget(self, signing: Signing) -> None:
        """Forget everything of it."""
        await self._clean(signing)
        for kind in (END, BROWSER, TROUBLE, ORDER):
            await self._store.forget(kind, signing.id)

    async def end_round(self, signing: Signing) -> None:
        """Let no phone answer any more, until the person begins again."""
        turn = await self._store.take(ROUND, signing.id)
        if turn is not None:
            await self._forget_requests(_round(turn))

    async def _clean(self, signing: Signing) -> None:
        await self.end_round(signing)
        await self._store.forget(ANSWER, signing.id)

    async def _forget_requests(self, turn: Round) -> None:
        for reference in (turn.across, turn.here):
            await self._store.forget(REQUEST, reference)

    async def _keep(self, kind: str, key: str, value: Json, lifetime: timedelta) -> None:
        await self._store.keep(Keep(items=(Kept(kind=kind, key=key, value=value, lifetime=lifetime),)))

    async def _once(self, kind: str, key: str, value: Json, lifetime: timedelta) -> bool:
        try:
            await self._store.keep(Keep(items=(Kept(kind=kind, key=key, value=value, lifetime=lifetime),)), first=True)
        except AlreadyClaimedError:
            return False
        return True


def _round(kept: Json) -> Round:
    return Round(
        across=kept["across"],
        here=kept["here"],
        code=kept["code"],
        expires_at=datetime.fromtimestamp(kept["expires_at"], UTC),
    )


def keyed(handle: str, secret: str) -> str:
    """A digest of a code that nobody can use who reads it: the handle is its key."""
    return hmac.digest(handle.encode(), secret.encode("utf-8", "surrogatepass"), "sha256").hex()
