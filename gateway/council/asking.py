"""One question to one target, out and back: where it goes, what is signed, and what the answer comes to.

Members are reached by the addresses that the trusted lists name, under the rules for addresses that are others' words
(`gateway/fetching.py`); services of the region by the address in routes.yaml. Questions and answers are looked at for
what must never pass (`federation/guard.py`), so their content must be of a type that can be looked at.
"""

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from urllib.parse import parse_qsl, urlsplit

from federation import access
from federation.callers import Caller, CallerKind
from federation.council import asking
from federation.council.answers import NEVER_ARRIVED, Answer, Outcome, Signed
from federation.council.asking import Asker, Came
from federation.council.members import Member, at, members
from federation.council.question import Asked, Question
from federation.council.told import Request
from federation.guard import Guard, refused
from federation.guard_bodies import BodyInspection, NotInspectableError
from federation.model import Assurance, Level
from federation.oidc.exchange import ASSERTION_TYPE
from federation.oidc.jose import sign
from federation.refusal import CallRefusal, TokenInvalid
from federation.routes import ApiService, Match
from federation.signatures.algorithms import Keyring, MessageSigner, keyring
from federation.signatures.calls import Demand
from federation.signatures.digests import FIELD, DigestRefusedError, check_digest, content_digest
from federation.signatures.message import Request as Signable
from federation.signatures.message import Response as Signed9421
from federation.signatures.profile import sign_request, verify_answer
from federation.signatures.signing import SIGNATURE, SignatureRefusedError
from gateway import fetching
from gateway.clock import Clock
from gateway.fetching import Answered, Bounds, Fetcher, FetchRefusedError
from gateway.holder import RegionHolder
from gateway.keys import GatewayKeys
from gateway.region import Region
from gateway.upstream import targets as upstream
from gateway.upstream.pools import Pools
from gateway.upstream.retries import TURNED_AWAY
from gateway.upstream.service import CircuitOpenError
from trust_lists.model import Role

CONNECT_SECONDS = 5.0

BOUNDS = Bounds(seconds=120.0, connect_seconds=CONNECT_SECONDS, patience_seconds=120.0)
"""Each question has a time of its own, which is shorter."""

ON_THE_SPOT = 8 * 1024
"""Octets that are looked at at once; more go to a thread."""

_SLOW = frozenset({"timeout", "slow"})
_TOO_MUCH = {"too-large": "answer-too-large", "encoding": "content-coding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a question goes, by the address that is signed; a `service` of the region may be asked at another one.

    `keys` are those that may sign the answer; `signed_only`: one that is not signed by them does not count.
    """

    url: str
    assertion: str
    keys: Keyring = field(default_factory=dict, repr=False)
    signed_only: bool = False
    service: ApiService | None = None

    @property
    def own(self) -> bool:
        """Whether it is a service of the region."""
        return self.service is not None


class Questions:
    """Puts questions to targets, in one process."""

    def __init__(
        self, *, holder: RegionHolder, fetcher: Fetcher, keys: GatewayKeys, clock: Clock, pools: Pools | None = None
    ) -> None:
        """`pools` know which address of a service is well; those of calls, so that both learn of each other."""
        self._holder = holder
        self._fetcher = fetcher
        self._keys = keys
        self._signer = MessageSigner.of(keys.assertion)
        self._clock = clock
        self._pools = Pools() if pools is None else pools

    def ready(self, request: Request, code: str) -> Target | Answer:
        """Where the question goes to by the lists in force now, or why it goes nowhere."""
        region, now = self._holder.current, self._clock()
        why = _may_not_ask(region, request.asking, now)
        if why is not None:
            return self.end(request, code, Outcome.REFUSED, why)
        if request.asked.to.service is not None:
            return self._service(region, request, code, now)
        member = known(region, now).get(code)
        if member is None:
            return self.end(request, code, Outcome.REFUSED, "not-a-member")
        if member.address is None:
            return self.end(request, code, Outcome.UNREACHABLE, "no-address")
        try:
            url = str(fetching.address(at(member.address, request.asked.question.path)))
        except ValueError:
            return self.end(request, code, Outcome.UNREACHABLE, "address")
        return Target(
            url=url,
            assertion=self._assertion(region, request, member, now),
            keys=keyring(member.jwks, member.certificates),
        )

    def end(
        self, request: Request, code: str, outcome: Outcome, reason: str, *, arrived: bool = False, seconds: float = 0.0
    ) -> Answer:
        """An end without an answer."""
        return Answer(
            code=code,
            round=request.round.number,
            outcome=outcome,
            reason=reason,
            at=self._clock(),
            may_have_arrived=arrived,
            seconds=round(seconds, 3) or None,
        )

    async def put(self, request: Request, code: str, target: Target, *, seconds: float, last: bool) -> Answer:
        """Ask once, for at most `seconds`; `last`: they are all that the request has left. Never raises a refusal."""
        if target.service is None:
            return await self._put(request, code, target, target.url, seconds=seconds, last=last)
        try:
            with self._pools.of(target.service).holding() as chosen:
                there = chosen.url + target.url.removeprefix(target.service.upstream.rstrip("/"))
                answer = await self._put(request, code, target, there, seconds=seconds, last=last)
                chosen.ended(_outcome(answer))
                return answer
        except CircuitOpenError as fault:
            return self.end(request, code, Outcome.UNREACHABLE, fault.code)

    async def _put(
        self, request: Request, code: str, target: Target, there: str, *, seconds: float, last: bool
    ) -> Answer:
        asked, begun = request.asked, perf_counter()
        question = asked.question
        digest = None if question.content is None else content_digest(question.content)
        once = secrets.token_hex(4)
        headers = asking.headers(request.id, asked, code, once=once, assertion=target.assertion, digest=digest)
        sent = Signable(method=question.method, url=target.url, headers=headers)
        headers = [*headers, *sign_request(sent, self._signer, self._clock())]
        sent = Signable(method=question.method, url=target.url, headers=headers)
        settings = self._holder.current.configuration.gateway.council
        try:
            came = await self._fetcher.ask(
                question.method,
                there,
                body=question.content,
                headers=headers,
                limit=settings.answer_kib * 1024,
                private=target.own or settings.private_addresses == "allowed",
                seconds=seconds,
                beyond=None if target.own else self._holder.current.public_url,
                plain=target.own,
            )
        except FetchRefusedError as fault:
            return self._failed(request, code, fault, perf_counter() - begun, last=last)
        answer = asking.judged(
            Came(status=came.status, headers=came.headers, content=came.body),
            asked,
            code=code,
            round_number=request.round.number,
            at=self._clock(),
            seconds=perf_counter() - begun,
            signature=await asyncio.to_thread(self._signed, sent, came, target) if target.keys else Signed.NO_KEYS,
            signed_only=target.signed_only,
        )
        why = await forbidden(answer.content, answer.content_type, self._guard())
        if why is None:
            return answer
        reason = answer.reason or why  # that a member says no is told, if not in its own words
        return replace(answer, outcome=Outcome.REFUSED, reason=reason, content=b"", content_type=None)

    async def check(self, asked: Asked) -> str | None:
        """Why a question must not go out, if it must not."""
        question, guard = asked.question, self._guard()
        path, _, query = question.path.partition("?")
        pieces: list[tuple[str | None, str]] = [(None, path), (None, asked.purpose)]
        said = parse_qsl(query, keep_blank_values=True, errors="replace")
        pieces += [(None, query), *said, *((None, name) for name, _ in said)]
        if any(refused(guard.inspect(name, [text])) is not None for name, text in pieces):
            return "forbidden-content"
        return await forbidden(question.content or b"", question.content_type, guard)

    def _guard(self) -> Guard:
        believed = self._holder.current.configuration.gateway.resident_code_check_digit == "believed"
        return Guard(resident_code_check=believed)

    def _failed(self, request: Request, code: str, fault: FetchRefusedError, seconds: float, *, last: bool) -> Answer:
        why = fault.code
        if why in _SLOW:
            reason = "deadline" if last else "slow"
            return self.end(request, code, Outcome.TIMED_OUT, reason, arrived=True, seconds=seconds)
        if why in _TOO_MUCH:
            says_no = (fault.status or 0) >= asking.ERRORS
            reason = "status" if says_no else _TOO_MUCH[why]
            refused = self.end(request, code, Outcome.REFUSED, reason, arrived=True, seconds=seconds)
            return replace(refused, status=fault.status)
        arrived = why not in NEVER_ARRIVED
        return self.end(request, code, Outcome.UNREACHABLE, why, arrived=arrived, seconds=seconds)

    def _signed(self, sent: Signable, came: Answered, target: Target) -> Signed | None:
        """What is known of the answer's signature; None: it bears one that is not believed."""
        names = {name for name, _ in came.headers}
        if SIGNATURE not in names:
            return Signed.MISSING
        response = Signed9421(status=came.status, headers=came.headers, request=sent)
        try:
            verify_answer(response, target.keys, self._clock())
            if FIELD in names or came.body:
                check_digest(came.headers, came.body)
        except (SignatureRefusedError, DigestRefusedError):
            return None
        return Signed.VERIFIED

    def _assertion(self, region: Region, request: Request, member: Member, now: datetime) -> str:
        claims = asking.assertion_claims(
            request.id,
            request.asking,
            request.asked,
            member,
            round_number=request.round.number,
            issuer=region.public_url,
            now=now,
        )
        return sign(claims, self._keys.assertion, asking.ASSERTION_TYPE)

    # --- one service of the region

    def _service(self, region: Region, request: Request, code: str, now: datetime) -> Target | Answer:
        question = request.asked.question
        path, _, query = question.path.partition("?")
        try:
            match = region.routes.match(question.method, path)
        except CallRefusal:
            return self.end(request, code, Outcome.REFUSED, "no-route")
        service = region.api_services.get(match.route.service)
        if service is None or service.id != code:
            return self.end(request, code, Outcome.REFUSED, "no-route")
        claims = access.assertion_claims(
            _as_caller(request.asking, now),
            match,
            service,
            region.identifiers,
            issuer=region.public_url,
            now=now,
            request_id=f"{request.id}.{request.round.number}",
        )
        return Target(
            url=service.upstream.rstrip("/") + match.upstream_path + (f"?{query}" if query else ""),
            assertion=sign(claims, self._keys.assertion, ASSERTION_TYPE),
            keys={} if service.answers is Demand.NONE else service.answer_keys,
            signed_only=service.answers is Demand.REQUIRED,
            service=service,
        )


def _may_not_ask(region: Region, asker: Asker, now: datetime) -> str | None:
    """Why nothing goes out in this system's name any more; None if it may ask."""
    if asker.municipality not in region.council(now):
        return "asker-not-a-member"
    try:
        scopes = region.scopes_of_system(asker.client, asker.municipality, now)
    except TokenInvalid:
        return "asker-not-trusted"
    return None if asking.SCOPE in scopes else "asker-not-trusted"


def _outcome(answer: Answer) -> upstream.Outcome:
    """What an answer says of the address that was asked."""
    if answer.status in TURNED_AWAY:
        return upstream.Outcome.TURNED_AWAY
    if answer.outcome in (Outcome.ANSWERED, Outcome.REFUSED):
        return upstream.Outcome.ANSWERED
    return upstream.Outcome.SILENT


def known(region: Region, now: datetime) -> dict[str, Member]:
    """The members of the council by the lists in force."""
    return members(region.trust.entities(Role.COUNCIL_MEMBER, now))


def match_of(region: Region, question: Question, service: str) -> Match | None:
    """The route of a question to one service; None if it is none of that service's."""
    try:
        match = region.routes.match(question.method, urlsplit(question.path).path)
    except CallRefusal:
        return None
    return match if match.route.service == service else None


def _as_caller(asker: Asker, now: datetime) -> Caller:
    return Caller(
        kind=CallerKind.SYSTEM,
        client=asker.client,
        municipality=asker.municipality,
        scopes=frozenset(),
        assurance=Assurance(identity=Level.NONE, authentication=Level.NONE),
        token_id="",
        expires_at=now + timedelta(minutes=1),
    )


async def forbidden(content: bytes, content_type: str | None, guard: Guard) -> str | None:
    """Why some content must not pass (`forbidden-content`, `not-inspectable`); None if it may."""
    if not content:
        return None
    if len(content) <= ON_THE_SPOT:
        return _looked_at(content, content_type, guard)
    return await asyncio.to_thread(_looked_at, content, content_type, guard)


def _looked_at(content: bytes, content_type: str | None, guard: Guard) -> str | None:
    try:
        inspection = BodyInspection(guard, content_type)
        found = refused((*inspection.feed(content), *inspection.finish()))
    except NotInspectableError:
        return "not-inspectable"
    return None if found is None else "forbidden-content"
