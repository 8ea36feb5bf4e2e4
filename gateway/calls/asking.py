"""Asking the service: signed if a municipality's system calls, and answered with what its signature must cover."""

from dataclasses import replace

from aiohttp import web

from federation.access import ApiService
from federation.callers import CallerKind
from federation.refusal import CallRefusal
from federation.signatures.algorithms import MessageSigner
from federation.signatures.calls import AnswerCheck, Demand, check_answer, signed_call
from federation.signatures.message import Request, Response
from gateway.calls.bodies import digested
from gateway.calls.signatures import caller_digest
from gateway.calls.tally import Tally
from gateway.context import GATEWAY
from gateway.upstream.http1 import Answer, Outgoing
from gateway.upstream.pools import Pools

CONNECT_SECONDS = 5.0
"""How long a connection to a service may take to open, if the service's own limit is not shorter."""

POOLS = web.AppKey("pools", Pools)

SIGNER = web.AppKey("call_signer", MessageSigner)

SIGNATURES = frozenset({"signature", "signature-input"})
"""Headers of a caller's own signatures, which are for the gateway: it signs what it asks in its own name."""


async def asked(
    request: web.Request, service: ApiService, outgoing: Outgoing, tally: Tally, *, repeats: bool = False
) -> tuple[Answer, AnswerCheck | None]:
    """Ask the service, signed if a municipality's system calls: its answer, whose headers hold what they must.

    `repeats`: the service does nothing twice if it is asked twice.
    """
    sent = None
    system = tally.caller is not None and tally.caller.kind is CallerKind.SYSTEM
    if system or service.answers is not Demand.NONE:
        url = service.upstream.rstrip("/") + outgoing.target
        sent = Request(method=outgoing.method, url=url, headers=outgoing.headers)
    if sent is not None and system:
        sent = _signed(request, sent, outgoing, tally)
    seconds = service.timeout.total_seconds()
    answer = (
        await request.app[POOLS]
        .of(service)
        .send(outgoing, connect_seconds=min(CONNECT_SECONDS, seconds), seconds=seconds, safe=repeats)
    )
    if sent is None or service.answers is Demand.NONE:
        return answer, None
    response = Response(status=answer.status, headers=answer.headers, request=sent)
    try:
        check = check_answer(response, service.answer_keys, service.answers, request.app[GATEWAY].clock())
    except CallRefusal:
        answer.abandon()
        raise
    tally.verified = check.verified
    return answer, check


def _signed(request: web.Request, sent: Request, outgoing: Outgoing, tally: Tally) -> Request:
    """The request with the gateway's signature; a body that streams is held against the digest that its caller sent."""
    own = [header for header in outgoing.headers if header[0].lower() not in SIGNATURES]
    body = outgoing.body if isinstance(outgoing.body, bytes) else None
    signed = tally.signed = signed_call(
        replace(sent, headers=own), body, request.app[SIGNER], request.app[GATEWAY].clock()
    )
    outgoing.headers = list(signed.headers)
    digest = caller_digest(own)
    if digest is not None and outgoing.body is not None and not isinstance(outgoing.body, bytes):
        outgoing.body = digested(outgoing.body, digest, tally)
    return signed
