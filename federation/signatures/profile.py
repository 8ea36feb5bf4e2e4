"""Which parts of a call its two ends sign: the gateway's profile of RFC 9421 for requests of municipalities.

| message | tag | signed |
|---|---|---|
| request | `kakehashi-call` | method, target URI, assertion, request id; if any, content's digest and type, the key |
| answer | `kakehashi-answer` | status, digest and type of the content; method, target URI and id of its request |

The answer names the request by what was signed or sent there (`;req`, RFC 9421 §2.4), so that no answer can stand for
another request. Content is signed by its digest (RFC 9530), which is `Content-Digest` of what is sent.
"""

from datetime import datetime, timedelta

from federation.signatures.algorithms import Keyring, MessageSigner
from federation.signatures.components import Component
from federation.signatures.message import Headers, Request, Response, lines
from federation.signatures.signing import Verified, sign, verify

CALL, ANSWER = "kakehashi-call", "kakehashi-answer"
"""Tags: neither kind of signature can be taken for the other, or for one of another application (RFC 9421 §7.2.7)."""

LIFETIME = timedelta(seconds=60)
"""How long a signature is believed; the difference of two clocks comes on top of it."""

_DIGEST, _TYPE, _KEY = "content-digest", "content-type", "idempotency-key"
_REQUEST = ("@method", "@target-uri", "kakehashi-assertion", "kakehashi-request-id")
_ANSWER = ("@status", '"@method";req', '"@target-uri";req', '"kakehashi-request-id";req')
_WITHOUT_CONTENT = frozenset({204, 205, 304})


def of_request(request: Request) -> tuple[Component, ...]:
    """What a request's signature covers: its digest, type and key too, where it states them."""
    return _named(*_REQUEST, *_stated(request.headers, _DIGEST, _TYPE, _KEY))


def of_answer(response: Response) -> tuple[Component, ...]:
    """What an answer's signature covers; the digest also if the answer lacks one, but for answers without content."""
    bare = response.status in _WITHOUT_CONTENT or (response.request is not None and response.request.method == "HEAD")
    digest = () if bare else (_DIGEST,)
    return _named(*_ANSWER, *dict.fromkeys((*digest, *_stated(response.headers, _DIGEST, _TYPE))))


def sign_request(request: Request, signer: MessageSigner, now: datetime) -> list[tuple[str, str]]:
    """The two fields that sign a call. Content must bear its `Content-Digest` before.

    Raises `ComponentError`: the assertion or the request's id is not there.
    """
    return sign(request, components=of_request(request), signer=signer, created=now, expires=now + LIFETIME, tag=CALL)


def verify_request(request: Request, keys: Keyring, now: datetime, *, content: bool) -> Verified:
    """Whoever is called: the gateway's signature. `content`: the request has some, whose digest must be signed.

    Whether the content is of that digest, and whether the request came before (`Verified.claim`), is yet to be
    checked. Raises `SignatureRefusedError`.
    """
    required = (*of_request(request), *(_named(_DIGEST) if content else ()))
    return verify(request, keys=keys, required=required, now=now, max_age=LIFETIME, tag=CALL)


def sign_answer(response: Response, signer: MessageSigner, now: datetime) -> list[tuple[str, str]]:
    """The two fields that sign an answer to `response.request`. Raises `ComponentError`."""
    return sign(
        response, components=of_answer(response), signer=signer, created=now, expires=now + LIFETIME, tag=ANSWER
    )


def verify_answer(response: Response, keys: Keyring, now: datetime) -> Verified:
    """The gateway: the signature of whoever answered `response.request`, as that was sent.

    Whether the content is of the digest that was signed is yet to be checked. Raises `SignatureRefusedError`.
    """
    return verify(response, keys=keys, required=of_answer(response), now=now, max_age=LIFETIME, tag=ANSWER)


def _stated(headers: Headers, *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if lines(headers, name))


def _named(*names: str) -> tuple[Component, ...]:
    return tuple(map(Component.of, names))
