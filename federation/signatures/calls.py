"""The two signatures of one call, from the gateway's side: its request signed, the answer held to what was signed."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from federation.refusal import AnswerSignatureInvalid, ContentDigestWrong
from federation.signatures import profile
from federation.signatures.algorithms import Keyring, MessageSigner
from federation.signatures.digests import FIELD, ContentDigest, DigestRefusedError, check_digest, content_digest
from federation.signatures.message import Request, Response, lines
from federation.signatures.signing import SignatureRefusedError, Verified


class Demand(StrEnum):
    """Whether a service's answers are signed."""

    NONE = "none"
    """Nobody looks."""
    VERIFIED = "verified"
    """Those that are must hold; one without a signature passes. Whoever is in between can take signatures away."""
    REQUIRED = "required"
    """All must be signed, and hold."""


def signed_call(
    request: Request, body: bytes | None, signer: MessageSigner, now: datetime, *, streams: bool = False
) -> Request:
    """The request with the digest of its content, and its signature.

    `body` is the whole content, None if there is none. If it `streams` through, only a digest that the caller sent is
    signed, and is for whoever streams to check (`ContentDigest`). Raises `ContentDigestWrong` for a caller's
    digest that cannot be read, or is of other content.
    """
    headers = list(request.headers)
    try:
        if lines(headers, FIELD):
            ContentDigest(headers) if streams else check_digest(headers, body or b"")
        elif body is not None:
            headers.append(("Content-Digest", content_digest(body)))
    except DigestRefusedError as why:
        raise ContentDigestWrong(why.code) from None
    with_digest = replace(request, headers=tuple(headers))
    fields = profile.sign_request(with_digest, signer, now)
    return replace(with_digest, headers=(*headers, *fields))


@dataclass(slots=True, kw_only=True)
class AnswerCheck:
    """What is left to check of an answer, once its headers were: `update` with each piece of content, then `finish`.

    `verified` is the signature, for the evidence; None if the answer has none, and may.
    """

    verified: Verified | None = None
    _digest: ContentDigest | None = field(default=None, repr=False)

    def update(self, piece: bytes) -> None:
        """The next piece of the content, as it came."""
        if self._digest is not None:
            self._digest.update(piece)

    def finish(self) -> None:
        """The content is whole. Raises `AnswerSignatureInvalid` if it is not what was signed."""
        try:
            if self._digest is not None:
                self._digest.finish()
        except DigestRefusedError as why:
            raise AnswerSignatureInvalid(why.code) from None


def check_answer(response: Response, keys: Keyring, demand: Demand, now: datetime) -> AnswerCheck:
    """Hold an answer's headers to its signature; `response.request` is what `signed_call` made, or else was sent.

    Raises `AnswerSignatureInvalid`.
    """
    if demand is Demand.NONE:
        return AnswerCheck()
    try:
        verified = profile.verify_answer(response, keys, now)
        return AnswerCheck(
            verified=verified, _digest=ContentDigest(response.headers) if verified.covers(FIELD) else None
        )
    except SignatureRefusedError as why:
        if why.code == "missing" and demand is Demand.VERIFIED:
            return AnswerCheck()
        raise AnswerSignatureInvalid(why.code) from None
    except DigestRefusedError as why:
        raise AnswerSignatureInvalid(why.code) from None
