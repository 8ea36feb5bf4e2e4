"""One call from the gateway's side: what it signs, and to what it holds the answer."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from federation.refusal import AnswerSignatureInvalid, ContentDigestWrong
from federation.signatures import profile
from federation.signatures.algorithms import MessageSigner
from federation.signatures.calls import Demand, check_answer, signed_call
from federation.signatures.digests import content_digest
from federation.signatures.message import Request, Response

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
GATEWAY, SERVICE = (MessageSigner.of(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
BODY = b'{"amount": 500}'
REQUEST = Request(
    method="POST",
    url="https://ledger.example/payments",
    headers=(
        ("Content-Type", "application/json"),
        ("Kakehashi-Assertion", "a.b.c"),
        ("Kakehashi-Request-Id", "request-1"),
    ),
)


def answered(body=b"paid", *, request=REQUEST, sign=True):
    """The service's answer."""
    bare = Response(status=201, headers=(("Content-Digest", content_digest(body)),), request=request)
    return replace(bare, headers=(*bare.headers, *profile.sign_answer(bare, SERVICE, NOW))) if sign else bare


def checked(response, pieces, demand=Demand.REQUIRED, keys=None):
    """The whole check of an answer."""
    check = check_answer(response, SERVICE.public() if keys is None else keys, demand, NOW)
    for piece in pieces:
        check.update(piece)
    check.finish()
    return check.verified


def refused(*arguments, **others):
    """The rule that does not hold, as the log has it."""
    with pytest.raises(AnswerSignatureInvalid) as why:
        checked(*arguments, **others)
    return why.value.detail


def test_a_call_and_its_answer_are_bound_together():
    """Whoever is called believes the gateway's request; the gateway believes an answer to just that."""
    sent = signed_call(REQUEST, BODY, GATEWAY, NOW)

    assert ("Content-Digest", content_digest(BODY)) in sent.headers
    profile.verify_request(sent, GATEWAY.public(), NOW, content=True)
    verified = checked(answered(request=sent), [b"pa", b"", b"id"])
    assert verified is not None
    assert verified.keyid == SERVICE.keyid
    other = signed_call(replace(REQUEST, url="https://ledger.example/refunds"), BODY, GATEWAY, NOW)
    assert refused(replace(answered(request=sent), request=other), [b"paid"]) == "signature"


def test_the_callers_own_digest_is_signed_if_it_holds():
    """Of a body that streams through it is for whoever streams to check; one that cannot be read is refused at once."""
    own = replace(REQUEST, headers=(*REQUEST.headers, ("Content-Digest", content_digest(BODY, "sha-512"))))
    for body in (BODY, None):
        sent = signed_call(own, body, GATEWAY, NOW, streams=body is None)
        profile.verify_request(sent, GATEWAY.public(), NOW, content=True)
        assert [name for name, _ in sent.headers].count("Content-Digest") == 1
    with pytest.raises(ContentDigestWrong, match="digest-differs"):
        signed_call(own, b"other", GATEWAY, NOW)
    for odd in ("sha-256", "md5=:aGk=:"):
        unreadable = replace(REQUEST, headers=(*REQUEST.headers, ("content-digest", odd)))
        for body in (BODY, None):
            with pytest.raises(ContentDigestWrong):
                signed_call(unreadable, body, GATEWAY, NOW, streams=body is None)


def test_a_digest_of_content_that_did_not_come_is_refused():
    """The gateway's signature over it would make a request of what nobody sent."""
    own = replace(REQUEST, headers=(*REQUEST.headers, ("Content-Digest", content_digest(BODY))))
    for body in (None, b""):
        with pytest.raises(ContentDigestWrong, match="digest-differs"):
            signed_call(own, body, GATEWAY, NOW)
    empty = replace(REQUEST, headers=(*REQUEST.headers, ("Content-Digest", content_digest(b""))))
    profile.verify_request(signed_call(empty, None, GATEWAY, NOW), GATEWAY.public(), NOW, content=True)


def test_a_call_without_content_needs_no_digest():
    """Nor does one whose content nobody could digest."""
    bare = replace(REQUEST, method="GET", headers=REQUEST.headers[1:])

    profile.verify_request(signed_call(bare, None, GATEWAY, NOW), GATEWAY.public(), NOW, content=False)


def test_what_is_demanded_of_an_answer():
    """Nothing; what is signed must hold; all must be signed."""
    unsigned = answered(sign=False)

    assert checked(unsigned, [b"anything"], Demand.NONE) is None
    assert checked(unsigned, [b"anything"], Demand.VERIFIED) is None
    assert refused(unsigned, [b"paid"]) == "missing"
    assert checked(answered(), [b"other"], Demand.NONE) is None
    for demand in (Demand.VERIFIED, Demand.REQUIRED):
        assert checked(answered(), [b"paid"], demand) is not None
        assert refused(answered(), [b"pai"], demand) == "digest-differs"
        assert refused(answered(), [b"paid"], demand, keys={}) == "unknown-key"
        assert refused(replace(answered(), status=200), [b"paid"], demand) == "signature"


def test_a_digest_that_nobody_can_compute_is_none():
    """Although it was signed."""
    bare = Response(status=200, headers=(("Content-Digest", "md5=:aGk=:"),), request=REQUEST)
    response = replace(bare, headers=(*bare.headers, *profile.sign_answer(bare, SERVICE, NOW)))

    assert refused(response, [b""]) == "digest-unknown"


def test_an_answer_without_content_has_no_digest_to_check():
    """204, signed."""
    bare = Response(status=204, headers=(), request=REQUEST)

    assert checked(replace(bare, headers=tuple(profile.sign_answer(bare, SERVICE, NOW))), []) is not None
