"""How far a sign-in with a phone is: what is kept beside its requests, and what is told of it.

Everything stands in the store, under the handle of the flow, each part under a kind of its own, so that no step can
overwrite another's; what was proved, or refused for good, is put once.
"""

import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from aiohttp import web

from federation.certificate.model import CertificateRefusedError
from federation.refusal import (
    BY_CODE,
    N_,
    OF_CERTIFICATES,
    CertificateDeclined,
    CertificateRefused,
    CertificateWrong,
    Refusal,
)
from federation.web import Json
from gateway.context import Gateway
from gateway.waiting import Waiting

WAITING = web.AppKey("waiting", Waiting)

FETCHED, TROUBLE, ANSWER, TRIES = (f"certificate-{each}" for each in ("fetched", "trouble", "answer", "tries"))
"""Kinds of what is kept beside a request, under the handle of its flow."""

REMEMBERED = timedelta(minutes=15)
"""For how long tries and the end of a sign-in are remembered; no request is open for longer."""

AGAIN = N_("Nothing of yours was sent. You can try again here: read the code once more with your phone.")
"""What to do on a page that stays open, where a refusal's own advice is to begin again."""

HERE: Mapping[type[Refusal], str] = {
    CertificateRefused: AGAIN,
    CertificateDeclined: AGAIN,
    CertificateWrong: N_(
        "Nothing of yours was sent. Choose the right certificate in the app, and read the code on this screen once "
        "more with your phone."
    ),
}
"""The same by refusal."""


class State(StrEnum):
    """How far a sign-in with a phone is."""

    WAITING = "waiting"
    FETCHED = "fetched"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"
    OVER = "over"


SENTENCES: Mapping[State, str] = {
    State.WAITING: N_("Waiting for your phone."),
    State.FETCHED: N_("Your phone has read the request. Go on there."),
    State.ANSWERED: N_("Your phone has answered."),
    State.REFUSED: N_("The sign-in has ended."),
    State.EXPIRED: N_("The time for this sign-in is over."),
    State.OVER: N_("The sign-in goes on in another window. You may close this page."),
}
"""What is told of each; screen readers read it when it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a sign-in now. `answer` is what was proved, or how it was refused for good."""

    state: State
    until: datetime
    answer: Json | None = None
    trouble: Refusal | None = None

    @property
    def notice(self) -> tuple[str, str] | None:
        """What the page tells of the last answer that did not count: what it was, and what to do."""
        if self.trouble is None:
            return None
        here = HERE.get(type(self.trouble))
        return self.trouble.title, self.trouble.advice if here is None else here

    def minutes(self, now: datetime) -> int:
        """Minutes left, the last one counted whole."""
        return max(1, math.ceil((self.until - now).total_seconds() / 60))


BESIDE = (ANSWER, TROUBLE, FETCHED)
"""What `standing_from` wants to know."""


async def standing_of(gateway: Gateway, handle: str, memory: Json) -> Standing:
    """How far the sign-in `handle` is, whose flow remembers `memory`."""
    flow, *beside = await gateway.store.read_all(*((kind, handle) for kind in ("flow", *BESIDE)))
    return standing_from(flow, beside, memory, gateway.clock())


def standing_from(flow: object | None, beside: Sequence[Json | None], memory: Json, now: datetime) -> Standing:
    """How far a sign-in is: whether its flow is there, what is kept `BESIDE` it, what it remembers."""
    answer, trouble, fetched = beside
    until = datetime.fromtimestamp(memory["expires"] if answer is None else answer["until"], UTC)
    if flow is None:
        state = State.OVER
    elif answer is not None and "refused" in answer:
        state = State.REFUSED
    elif now >= until:
        state = State.EXPIRED
    elif answer is not None:
        state = State.ANSWERED
    else:
        state = State.FETCHED if fetched is not None and trouble is None else State.WAITING  # after trouble anew
    return Standing(state=state, until=until, answer=answer, trouble=None if trouble is None else kept_refusal(trouble))


def kept_refusal(kept: Json) -> Refusal:
    """The refusal that was kept by its code."""
    return BY_CODE.get(kept["refused"], CertificateRefused)(kept["detail"])


def keyed(handle: str, secret: str) -> str:
    """A digest of a code that nobody can use who reads it: the handle is its key."""
    return hmac.digest(handle.encode(), secret.encode("utf-8", "surrogatepass"), "sha256").hex()


def refusal_of(why: CertificateRefusedError) -> Refusal:
    """What the person is told of it; the log says exactly what it was."""
    detail = f"{why.code}: {why.detail}" if why.detail else why.code
    return OF_CERTIFICATES[why.code](detail)
