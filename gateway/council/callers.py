"""Which system speaks to the council's endpoints: one of a member of the council, whose token says so."""

from aiohttp import web

from federation.callers import Caller, CallerKind
from federation.council.asking import SCOPE
from federation.refusal import CallerNotAllowed, NotAMember, ScopeMissing
from gateway import binding, proxy
from gateway.calls.callers import Known
from gateway.context import GATEWAY

KNOWN: web.RequestKey[Known] = web.RequestKey("council_known", Known)
"""Who was found to call."""


def caller_of(request: web.Request) -> Caller:
    """The system that calls. Raises what a call is refused with."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    callers = request.app[proxy.CALLERS]
    known = callers.find(request.headers.getall("Authorization", ()), region, now)
    caller = known.caller
    if not known.as_it_is:
        binding.check(request, region, binding.held(request), caller.binding, now, gateway.replays)
    if caller.kind is not CallerKind.SYSTEM:
        raise CallerNotAllowed("council requests are for municipalities' systems")
    if SCOPE not in caller.scopes:
        raise ScopeMissing(f"{caller.client} needs {SCOPE}", scope=SCOPE)
    if caller.municipality not in callers.council(region, now):
        raise NotAMember(f"{caller.municipality} is no member of the council")
    request[KNOWN] = known
    return caller


def still(request: web.Request) -> bool:
    """Whether the system that calls would be let in again: its token counts, and its municipality is a member."""
    gateway, callers, known = request.app[GATEWAY], request.app[proxy.CALLERS], request[KNOWN]
    region, now = gateway.region, gateway.clock()
    return callers.still(known, region, now) and known.caller.municipality in callers.council(region, now)
