"""Whether certificates were revoked: asked of their issuers, remembered, and renewed before it is over.

The issuer's responder is asked first, by POST with a nonce (RFC 6960 §A.1); what caches in between could save, the
cache here saves. If it says nothing that can be believed, the issuer's lists are, with deltas where there are any.
One fetch serves however many wait for it. Whoever was asked in vain is left alone for `Pace.brief`.

Answers and lists count until their nextUpdate (`RevocationPolicy.fresh_within` may ask for more), and those that were
used are renewed in the background after `Pace.share` of that time. An answer that is older than the one held does not
replace it, whoever sent it. Addresses are the issuers' words, so they are fetched within the bounds of `fetching.py`;
by plain http, too, since what comes is signed, and a responder behind TLS would need a responder (RFC 5280 §8).

Lists are read on a thread of their own: a large one takes a second, and sign-ins must not wait behind it.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives import hashes

from federation.certificate import crl, ocsp, status
from federation.certificate.crl import RevocationList
from federation.certificate.model import Standing, Status, StatusQuestion
from federation.certificate.sources import Moment, Sources, StatusRefusedError, sources
from federation.refusal import Unavailable
from gateway.asking import Recalled
from gateway.certificate_shelf import (
    MOST_ANSWERS,
    MOST_LISTS,
    MOST_OCTETS,
    Failures,
    HeldAnswer,
    HeldList,
    Shelf,
    Times,
)
from gateway.clock import Clock
from gateway.fetching import OK, Fetched, Fetcher, FetchRefusedError
from gateway.flights import Flights
from gateway.outward import Outward, Threads
from observability.events import OverdueStage

log = structlog.get_logger("gateway.certificate_status")

LOOK_SECONDS = 2.0
"""How often it is looked what is to be renewed."""

AT_ONCE = 8
"""Renewals under way."""

LIST_READ_SECONDS = 60.0
"""How long reading one list may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to wait for a responder and for a list, and when to ask again.

    `brief`: for how long a source that failed, and the word that a certificate is unknown, count without asking again.
    Renewed is after `share` of the time for which an answer counts, give or take `jitter` of it.
    """

    seconds: float = 5.0
    list_seconds: float = 30.0
    whole_seconds: float = 40.0
    brief: timedelta = timedelta(seconds=30)
    share: float = 0.8
    jitter: float = 0.05


class _Listed(NamedTuple):
    """What lists say, held against `generation` of them: where they are held, and when the oldest was asked for."""

    status: Status | None
    generation: int
    places: tuple[Hashable, ...]
    asked_at: datetime


class _FailedError(Exception):
    """A source that said nothing that can be believed."""


class CertificateStatuses:
    """What one process knows of revocations, and how it learns more. Give it a fetcher of its own.

    `beyond` is the gateway's own public address: where it names this machine, issuers' addresses may, too.
    """

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        outward: Outward,
        clock: Clock,
        beyond: str,
        pace: Pace | None = None,
        most_answers: int = MOST_ANSWERS,
        most_octets: int = MOST_OCTETS,
        chance: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - spreads load, keeps no secret
    ) -> None:
        self._fetcher = fetcher
        self._outward = outward
        self._clock = clock
        self._beyond = beyond
        self._pace = pace or Pace()
        self._chance = chance
        self._answers: Shelf[HeldAnswer] = Shelf(most=most_answers, most_octets=most_octets)
        self._lists: Shelf[HeldList] = Shelf(most=MOST_LISTS, most_octets=most_octets)
        self._generation = 0
        self._failures = Failures()
        self._flights = Flights("certificate-status")
        self._renewals = asyncio.Semaphore(AT_ONCE)
        self._reader = Threads(count=1, seconds=LIST_READ_SECONDS, overdue=_list_overdue)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._flights.close()
        self._reader.close()

    # --- asked

    async def status(self, question: StatusQuestion) -> Status:
        """What can be known of a certificate now; never raises for what cannot (`Status.why` says what was tried)."""
        known = self.recalled(question)
        if known is not None:
            self.used(known.key)
            return known.status
        key = _key(question)
        self._answers.get(key, self._clock())  # used, whatever comes of it
        return await self._flights.once(("status", key, question.policy), partial(self._learn, question, key))

    def recalled(self, question: StatusQuestion) -> Recalled | None:
        """What `status` would answer without asking anybody, from any thread; it does not count as used."""
        key = _key(question)
        held = self._answers.get(key)
        if held is None or held.generation != self._generation or not self._is_fresh(held, question, self._clock()):
            return None
        return Recalled(held.status, key)

    def used(self, key: Hashable) -> None:
        """Count what was recalled as used: its answer, and the lists that it was held against."""
        now = self._clock()
        held = self._answers.get(key, now)
        for place in () if held is None else held.lists:
            self._lists.get(place, now)

    def _is_fresh(self, held: HeldAnswer, question: StatusQuestion, now: datetime) -> bool:
        if held.status.standing is Standing.UNKNOWN:  # it may have been issued a moment ago
            return now < held.times.asked_at + self._pace.brief
        return _counts(held.status.next_update, held.times, question, now)

    async def _learn(self, question: StatusQuestion, key: Hashable) -> Status:
        """Ask whoever is to be asked, and remember the answer."""
        held, tried, begun = self._answers.get(key), list[str](), self._clock()
        own = held.own if held is not None else None
        asked_at = held.times.asked_at if held is not None else begun
        listed = _Listed(None, self._generation, (), begun)
        try:
            async with asyncio.timeout(self._pace.whole_seconds):
                where = sources(question.certificate, question.issuer)
                fresh = held is not None and self._is_own_fresh(held, question, begun)
                if not fresh:
                    said = await self._respond(question, key, where, tried)
                    if said is not None:
                        own, asked_at = _newer(own, said), begun
                        fresh = _current(said, self._clock())
                listed = await self._listed(question, where, tried, ask=not fresh)
        except TimeoutError:
            tried.append("no answer in time")
        except Unavailable:
            tried.append("this gateway is busy")
        except Exception:
            log.exception("certificate-status-fault")
            tried.append("a fault of this gateway")
        now = self._clock()
        known = [each for each in (own, listed.status) if each is not None]
        if listed.status is None and held is not None and held.status.source != "ocsp":
            known.append(held.status)
        answer = status.status(question, known, tried=tried, at=now)
        if answer.standing is None:
            log.warning("certificate-status-unavailable", detail=answer.why)
            return answer
        if answer.source != "ocsp" and listed.status is not None:
            asked_at = listed.asked_at
        times = Times(asked_at=asked_at, used_at=now, due=self._due(answer, asked_at, now))
        kept = replace(answer, stale=False)
        self._answers.put(key, HeldAnswer(question, kept, own, listed.generation, times, listed.places))
        return answer

    def _is_own_fresh(self, held: HeldAnswer, question: StatusQuestion, now: datetime) -> bool:
        if held.own is None:
            return False
        if held.own.standing is Standing.UNKNOWN:
            return now < held.times.asked_at + self._pace.brief
        return _counts(held.own.next_update, held.times, question, now)

    # --- responders

    async def _respond(
        self, question: StatusQuestion, key: Hashable, where: Sources, tried: list[str]
    ) -> Status | None:
        """What the first responder says that can be believed."""
        for url in where.ocsp:
            try:
                return await self._flights.once(
                    ("ocsp", url, key, question.policy.private_addresses), partial(self._ask, url, question, key)
                )
            except _FailedError as why:
                tried.append(str(why))
        return None

    async def _ask(self, url: str, question: StatusQuestion, key: Hashable) -> Status:
        """One response, held against everything. Raises `_FailedError`, `Unavailable`."""
        self._spare(url, key)
        nonce = secrets.token_bytes(ocsp.NONCE_OCTETS)
        try:
            response = await self._fetcher.post(
                url,
                body=ocsp.request(question.certificate, question.issuer, nonce=nonce),
                headers={"Content-Type": ocsp.REQUEST, "Accept": ocsp.RESPONSE},
                limit=ocsp.MAX_RESPONSE,
                private=question.policy.private_addresses,
                seconds=self._pace.seconds,
                beyond=self._beyond,
                plain=True,
            )
        except FetchRefusedError as why:
            raise self._failed(url, "", why.code) from None
        if response.status != OK:
            raise self._failed(url, "", f"status {response.status}")
        moment = Moment(at=self._clock(), stale=status.allowed(question.policy))
        try:
            answer = await self._outward.run(partial(ocsp.read, response.body, question, moment, nonce=nonce))
            if answer.responder is None:
                return answer.status
            of_responder = replace(question, certificate=answer.responder)
            lists = await self._lists_of(of_responder, [])
            return await self._outward.run(partial(status.vouched, answer, question, lists, moment))
        except StatusRefusedError as why:
            raise self._failed(url, key, why.code) from None

    # --- lists

    async def _listed(self, question: StatusQuestion, where: Sources, tried: list[str], *, ask: bool) -> "_Listed":
        """What the lists say: with `ask` they are fetched, otherwise those that are held will do."""
        generation, begun = self._generation, self._clock()
        urls = {url for point in where.points for url in point.urls}
        if not urls or (not ask and not any(self._lists.get((url, _signer(question))) for url in urls)):
            return _Listed(None, generation, (), begun)
        lists = await self._lists_of(question, tried, where=where, ask=ask)
        held = [(place, each) for place, each in self._lists if any(each.list is one for one in lists)]
        generation, now = self._generation, self._clock()
        found = _Listed(
            status=None,
            generation=generation,
            places=tuple(place for place, _ in held),
            asked_at=min((each.times.asked_at for _, each in held), default=now),
        )
        if not lists:
            return found
        moment = Moment(at=now, stale=status.allowed(question.policy))
        try:
            return found._replace(status=await self._outward.run(partial(crl.judged, question, lists, moment)))
        except StatusRefusedError as why:
            if ask:
                tried.append(f"lists: {why.code}")
            return found

    async def _lists_of(
        self, question: StatusQuestion, tried: list[str], *, where: Sources | None = None, ask: bool = True
    ) -> Sequence[RevocationList]:
        """The lists that a certificate may stand on, from the first address of each of its points that has one."""
        where = where or sources(question.certificate, question.issuer)
        found: list[RevocationList] = []
        fresh = list(where.freshest)
        for point in where.points:
            for url in () if point.indirect else point.urls:
                one = await self._list(url, question, tried, ask=ask)
                if one is not None:
                    found.append(one)
                    fresh += one.freshest
                    break
        if found:
            for url in dict.fromkeys(fresh):
                one = await self._list(url, question, tried, ask=ask)
                if one is not None:
                    found.append(one)
        return found

    async def _list(self, url: str, question: StatusQuestion, tried: list[str], *, ask: bool) -> RevocationList | None:
        """The list at an address: the one that is held, a newer one, or none."""
        key, now = (url, _signer(question)), self._clock()
        held = self._lists.get(key, now)
        if held is not None and (not ask or _counts(held.list.next_update, held.times, question, now)):
            return held.list
        if not ask:
            return None
        try:
            return await self._flights.once(
                ("list", *key, question.policy.private_addresses), partial(self._fetch, url, question, key)
            )
        except _FailedError as why:
            tried.append(str(why))
            return held.list if held is not None else None

    async def _fetch(self, url: str, question: StatusQuestion, key: tuple[str, bytes]) -> RevocationList:
        """Ask for a list, and remember it. Raises `_FailedError`."""
        self._spare(url, key[1])
        held, now = self._lists.get(key), self._clock()
        try:
            fetched = await self._fetcher.fetch(
                url,
                limit=crl.MAX_LIST,
                private=question.policy.private_addresses,
                accept=crl.MEDIA_TYPE,
                etag=held.etag if held is not None else None,
                last_modified=held.last_modified if held is not None else None,
                seconds=self._pace.list_seconds,
                beyond=self._beyond,
                plain=True,
            )
            newer = await self._read(fetched, question, held)
        except FetchRefusedError as why:
            raise self._failed(url, "", why.code) from None
        except StatusRefusedError as why:
            raise self._failed(url, key[1], why.code) from None
        except Unavailable:
            raise self._failed(url, key[1], "overdue") from None
        if newer.next_update <= self._clock():  # what it says of a revocation may last, but it is not asked for at once
            self._failed(url, key[1], "crl-over")
        times = Times(
            asked_at=now,
            used_at=now if held is None else held.times.used_at,
            due=self._at_share(now, newer.next_update),
        )
        source = fetched or held
        assert source is not None  # "not modified" is said of what is held only
        self._lists.put(key, HeldList(url, question, newer, source.etag, source.last_modified, times))
        if held is None or newer is not held.list:
            self._replaced()
        return newer

    async def _read(self, fetched: Fetched | None, question: StatusQuestion, held: HeldList | None) -> RevocationList:
        """The list that came; the one that is held, if that is the same or newer. Raises `StatusRefusedError`."""
        if held is not None and (fetched is None or fetched.body == held.list.der):
            return held.list
        assert fetched is not None
        found = await self._reader.run(partial(crl.read, fetched.body, question.issuer))
        return held.list if held is not None and _is_older(found, held.list) else found

    def _replaced(self) -> None:
        """A list is new: what was said of certificates is held against it when it is used next."""
        self._generation += 1
        for key, held in self._answers:
            if any(each.kind == "crl" for each in held.status.evidence):
                self._answers.drop(key)

    # --- whoever failed

    def _spare(self, url: str, key: Hashable) -> None:
        """Leave alone whom was asked in vain a moment ago. Raises `_FailedError`."""
        if text := self._failures.of((url, ""), (url, key), now=self._clock()):
            raise _FailedError(text)

    def _failed(self, url: str, key: Hashable, code: str) -> _FailedError:
        """Remember that a source failed: for everybody, or (`key`) for one certificate or issuer."""
        text = f"{urlsplit(url).hostname}: {code}"
        log.info("certificate-status-source-failed", detail=text)
        self._failures.add((url, key), text, until=self._clock() + self._pace.brief)
        return _FailedError(text)

    # --- in time

    async def run(self) -> None:
        """Renew until cancelled what was used and will soon be over. A fault is logged, and the next look comes."""
        while True:
            try:
                self.look()
            except Exception:
                log.exception("certificate-status-fault")
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Begin what is due, and let go of what is of no use any more."""
        now = self._clock()
        for key, answer in self._answers:
            over = answer.status.next_update
            if over is None or over + max(status.allowed(answer.question.policy), self._pace.brief) <= now:
                self._answers.drop(key)
            elif answer.own is not None and answer.times.used and now >= answer.times.due:
                self._renew(answer.times, ("renewal", key), partial(self._ask_again, key, answer))
        for key, held in self._lists:
            if held.list.next_update + max(status.allowed(held.question.policy), self._pace.brief) <= now:
                self._lists.drop(key)
            elif held.times.used and now >= held.times.due:
                place = (held.url, held.list.issuer)
                private = held.question.policy.private_addresses
                again = partial(
                    self._flights.once, ("list", *place, private), partial(self._fetch, held.url, held.question, place)
                )
                self._renew(held.times, ("renewal", key), again)

    async def settle(self) -> None:
        """Wait for what is under way."""
        await self._flights.settle()

    def _renew(self, times: Times, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        times.due = self._clock() + self._pace.brief  # whatever comes of it

        async def in_turn() -> None:
            async with self._renewals:
                try:
                    await work()
                except (_FailedError, Unavailable):
                    return

        if key not in self._flights:
            self._flights.start(key, in_turn)

    async def _ask_again(self, key: Hashable, held: HeldAnswer) -> None:
        """A responder's newer answer, before the one that is held is over."""
        question, begun = held.question, self._clock()
        where = sources(question.certificate, question.issuer)
        own = _newer(held.own, await self._respond(question, key, where, []))
        if own is None or own is held.own or self._answers.get(key) is not held:
            return
        now = self._clock()
        if held.status.source != "ocsp":  # a list outweighed it
            self._answers.drop(key)
            return
        times = Times(asked_at=begun, used_at=held.times.used_at, due=self._due(own, begun, now))
        self._answers.put(key, HeldAnswer(question, replace(own, stale=False), own, held.generation, times, held.lists))

    def _due(self, answer: Status, asked_at: datetime, now: datetime) -> datetime:
        return self._at_share(asked_at, answer.next_update or now)

    def _at_share(self, asked_at: datetime, over: datetime) -> datetime:
        return asked_at + (over - asked_at) * (self._pace.share + self._pace.jitter * self._chance())


def _key(question: StatusQuestion) -> tuple[bytes, bytes]:
    digest = hashes.SHA256()
    return question.certificate.fingerprint(digest), question.issuer.fingerprint(digest)


def _signer(question: StatusQuestion) -> bytes:
    return crl.identity(question.issuer)


def _counts(over: datetime | None, times: Times, question: StatusQuestion, now: datetime) -> bool:
    """Whether nobody needs to be asked: it is not over, and not older than the policy wants."""
    within = question.policy.fresh_within
    return over is not None and now < over and (within is None or now < times.asked_at + within)


def _current(answer: Status | None, now: datetime) -> bool:
    return answer is not None and answer.next_update is not None and now < answer.next_update


def _newer(one: Status | None, other: Status | None) -> Status | None:
    """The newer of two responders' answers; of one moment (responders may count in hours) one that says "revoked"."""
    if one is None or other is None:
        return one or other
    before, after = one.this_update, other.this_update
    if before is None or after is None or before == after:
        return one if one.standing is Standing.REVOKED and other.standing is not Standing.REVOKED else other
    return one if after < before else other


def _is_older(one: RevocationList, other: RevocationList) -> bool:
    """Whether a list is older than another from the same place; of one moment and number, one that names fewer is."""
    return (one.this_update, one.number or 0, one.entries) < (other.this_update, other.number or 0, other.entries)


def _list_overdue(stage: OverdueStage, abandoned: int) -> None:
    log.warning("certificate-list-overdue", outcome=stage.value, count=abandoned)
