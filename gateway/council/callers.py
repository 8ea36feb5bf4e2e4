"""Which system speaks to the council's endpoints: one of a member of the council, whose token says so."""

from aiohttp import web

from federation.callers import Caller, CallerKind
from federation.oidc.tokens import bearer
from federation.refusal import CallerNotAllowed, NotAMember, ScopeMissing
from federation.web import WebRequest
from gateway import proxy
from gateway.context import GATEWAY, header_map

SCOPE = "council.ask"
"""The scope of a system that may put questions to members, and read the answers."""


def caller_of(request: web.Request) -> Caller:
    """The system that calls. Raises what a call is refused with."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    incoming = WebRequest(method=request.method, url=request.path, headers=header_map(request))
    callers = request.app[proxy.CALLERS]
    caller = callers.find(bearer(incoming), region, now).caller
    if caller.kind is not CallerKind.SYSTEM:
        raise CallerNotAllowed("council requests are for municipalities' systems")
    if SCOPE not in caller.scopes:
        raise ScopeMissing(f"{caller.client} needs {SCOPE}", scope=SCOPE)
    if caller.municipality not in callers.council(region, now):
        raise NotAMember(f"{caller.municipality} is no member of the council")
    return caller
