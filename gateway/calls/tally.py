"""What is known of a call while it is carried, and the two ways in which it can break off."""

from dataclasses import dataclass

from aiohttp import web

from federation.access import Match
from federation.callers import Caller
from federation.refusal import CallRefusal
from federation.signatures.message import Request
from federation.signatures.signing import Verified
from gateway.body_guard import CallGuard
from gateway.calls.desk import Desk

UNGUARDED = CallGuard(None, lambda *_: None)
"""The guard of calls that nobody looks at."""


@dataclass(slots=True)
class Tally:
    """What is known of a call so far, for its event; `refusal` is what the caller's own body made us say.

    `signed` is the request as the gateway signed it, `verified` the signature of the service's answer.
    """

    desk: Desk
    begun: float
    match: Match | None = None
    caller: Caller | None = None
    upstream_begun: float | None = None
    upstream_ended: float | None = None
    response: web.StreamResponse | None = None
    refusal: CallRefusal | None = None
    signed: Request | None = None
    verified: Verified | None = None
    guard: CallGuard = UNGUARDED


class CallerGoneError(Exception):
    """The caller went away, or broke off its own body: nobody is left to answer."""


class BrokenOffError(Exception):
    """The answer cannot go on after its headers were sent; `why` is what would have been said before."""

    def __init__(self, why: CallRefusal) -> None:
        super().__init__(why.code)
        self.why = why
