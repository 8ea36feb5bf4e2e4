"""Asking the service: signed if a municipality's system calls, and answered with what its signature must cover."""

from dataclasses import replace

from federation.access import ApiService
from federation.callers import CallerKind
from federation.refusal import CallRefusal, ContentDigestWrong
from federation.signatures.calls import AnswerCheck, Demand, check_answer, signed_call
from federation.signatures.digests import FIELD, DigestRefusedError, check_digest
from federation.signatures.message import Request, Response, lines
from gateway.calls.bodies import digested
from gateway.calls.signatures import CallerDigest, caller_digest
from gateway.calls.tally import Tally
from gateway.upstream.http1 import Answer, Outgoing

CONNECT_SECONDS = 5.0
"""How long a connection to a service may take to open, if the service's own limit is not shorter."""

SIGNATURES = frozenset({"signature", "signature-input"})
"""Headers of a caller's own signatures, which are for the gateway: it signs what it asks in its own name."""


async def asked(
    service: ApiService, outgoing: Outgoing, tally: Tally, *, repeats: bool = False
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
        sent = _signed(sent, outgoing, tally)
    elif outgoing.body is not None:
        _held_against(outgoing, tally)
    seconds = service.timeout.total_seconds()
    answer = await tally.desk.pools.of(service).send(
        outgoing, connect_seconds=min(CONNECT_SECONDS, seconds), seconds=seconds, safe=repeats
    )
    if sent is None or service.answers is Demand.NONE:
        return answer, None
    response = Response(status=answer.status, headers=answer.headers, request=sent)
    try:
        check = check_answer(response, service.answer_keys, service.answers, tally.desk.gateway.clock())
    except CallRefusal:
        answer.abandon()
        raise
    tally.verified = check.verified
    return answer, check


def _held_against(outgoing: Outgoing, tally: Tally) -> None:
    """Hold the body of a person's call against the digest that it came with. Raises `ContentDigestWrong`."""
    if not lines(outgoing.headers, FIELD):
        return
    try:
        if isinstance(outgoing.body, bytes):
            check_digest(outgoing.headers, outgoing.body)
        elif outgoing.body is not None:
            outgoing.body = digested(outgoing.body, CallerDigest(outgoing.headers), tally)
    except DigestRefusedError as why:
        raise ContentDigestWrong(why.code) from None


def _signed(sent: Request, outgoing: Outgoing, tally: Tally) -> Request:
    """The request with the gateway's signature; a body that streams is held against the digest that its caller sent."""
    own = [header for header in outgoing.headers if header[0].lower() not in SIGNATURES]
    body = outgoing.body if isinstance(outgoing.body, bytes) else None
    streams = outgoing.body is not None and body is None
    now = tally.desk.gateway.clock()
    signed = tally.signed = signed_call(replace(sent, headers=own), body, tally.desk.signer, now, streams=streams)
    outgoing.headers = list(signed.headers)
    digest = caller_digest(own)
    if digest is not None and outgoing.body is not None and not isinstance(outgoing.body, bytes):
        outgoing.body = digested(outgoing.body, digest, tally)
    return signed
